import type { Db } from './connect.ts'

/** Stores a pushed authorization request, and clears away some that nobody can answer any more since `over`. */
export const insertPushedRequest = (
  sql: Db,
  pushed: {
    digest: Uint8Array
    clientId: string
    parameters: Record<string, string>
    signed: boolean
    over: Date
    expiresAt: Date
  },
) => sql`
  with expired as (
    delete from latchkey.pushed_requests where digest in (
      select digest from latchkey.pushed_requests where expires_at <= ${pushed.over}
      order by expires_at limit 10 for update skip locked))
  insert into latchkey.pushed_requests (digest, client_id, parameters, signed, expires_at)
  values (${pushed.digest}, ${pushed.clientId}, ${sql.json(pushed.parameters)}, ${pushed.signed},
    ${pushed.expiresAt})`

/** A pushed request of a client; no row when it is unknown, used, expired or another client's. */
export const findPushedRequest = (sql: Db, digest: Uint8Array, clientId: string, now: Date) => sql<
  { parameters: Record<string, string>; signed: boolean }[]
>`
  select parameters, signed from latchkey.pushed_requests
  where digest = ${digest} and client_id = ${clientId} and expires_at > ${now}`

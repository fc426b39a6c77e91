import type { Db } from './connect.ts'

/** Whether a user agreed to these scopes of a client before. */
export const findConsent = (sql: Db, userId: string, clientId: string, scope: string) => sql<
  { found: boolean }[]
>`
  select true as found from latchkey.consents
  where user_id = ${userId} and client_id = ${clientId} and scope = ${scope}`

/** Whether a user agreed to anything of a client before. */
export const hasAnyConsent = (sql: Db, userId: string, clientId: string) => sql<{ found: boolean }[]>`
  select true as found from latchkey.consents where user_id = ${userId} and client_id = ${clientId} limit 1`

/** Forgets what a user agreed to for a client. */
export const deleteConsents = (sql: Db, userId: string, clientId: string) => sql<{ scope: string }[]>`
  delete from latchkey.consents where user_id = ${userId} and client_id = ${clientId} returning scope`

/** Remembers that a user agreed to these scopes of a client. */
export const insertConsent = (sql: Db, userId: string, clientId: string, scope: string, now: Date) => sql`
  insert into latchkey.consents (user_id, client_id, scope, created_at)
  values (${userId}, ${clientId}, ${scope}, ${now})
  on conflict do nothing`

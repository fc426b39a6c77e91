import type { Db } from './connect.ts'

/** Notes where a browser goes when a provider sends it back from its sign-out. */
export const insertLogoutReturn = (
  sql: Db,
  wanted: { stateHash: Uint8Array; browserHash: Uint8Array; target: string; now: Date },
) => sql`
  insert into latchkey.logout_returns (state_hash, browser_hash, target, created_at)
  values (${wanted.stateHash}, ${wanted.browserHash}, ${wanted.target}, ${wanted.now})`

/** Claims where a browser goes that set out after `since`; no row for another browser, and none the second time. */
export const claimLogoutReturn = (
  sql: Db,
  came: { stateHash: Uint8Array; browserHash: Uint8Array; since: Date },
) => sql<{ target: string }[]>`
  delete from latchkey.logout_returns
  where state_hash = ${came.stateHash} and browser_hash = ${came.browserHash} and created_at > ${came.since}
  returning target`

/** Deletes those of browsers that set out before `before` and never came back, at most `limit`. */
export const deleteOldLogoutReturns = (sql: Db, before: Date, limit: number) => sql<
  { state_hash: Uint8Array }[]
>`
  delete from latchkey.logout_returns where state_hash in (
    select state_hash from latchkey.logout_returns where created_at < ${before} limit ${limit})
  returning state_hash`

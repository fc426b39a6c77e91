import type { Db } from './connect.ts'

/** Remembers that a browser was used for an account; a row with `is_new` when it was not known. */
export const noteKnownBrowser = (sql: Db, userId: string, browserHash: Uint8Array, now: Date) => sql<
  { is_new: boolean }[]
>`
  insert into latchkey.known_browsers as k (user_id, browser_hash, last_used_at)
  values (${userId}, ${browserHash}, ${now})
  on conflict (user_id, browser_hash) do update set last_used_at = excluded.last_used_at
  returning k.xmax = 0 as is_new`

/** Forgets every browser of an account: the next sign-in with each is one from a new browser. */
export const deleteKnownBrowsers = (sql: Db, userId: string) => sql`
  delete from latchkey.known_browsers where user_id = ${userId}`

import type { Db } from './connect.ts'

/** Which entry of the directory an account belongs to. */
export interface DirectoryLinkRow {
  user_id: string
  entry_id: string
  dn: string
}

/** The link of an account. */
export const findDirectoryLink = (sql: Db, userId: string) => sql<DirectoryLinkRow[]>`
  select user_id, entry_id, dn from latchkey.directory_links where user_id = ${userId}`

/** Links an entry to an account; no row when either has another link. */
export const insertDirectoryLink = (
  sql: Db,
  link: { userId: string; entryId: string; dn: string; now: Date },
) => sql<{ user_id: string }[]>`
  insert into latchkey.directory_links (user_id, entry_id, dn, created_at, last_used_at)
  values (${link.userId}, ${link.entryId}, ${link.dn}, ${link.now}, ${link.now})
  on conflict do nothing returning user_id`

/** Notes a sign-in, and where the entry is; no row when the entry is not the account's any more. */
export const touchDirectoryLink = (
  sql: Db,
  link: { userId: string; entryId: string; dn: string; now: Date },
) => sql<{ user_id: string }[]>`
  update latchkey.directory_links set dn = ${link.dn}, last_used_at = ${link.now}
  where user_id = ${link.userId} and entry_id = ${link.entryId} returning user_id`

/** Takes the entry from an account. */
export const deleteDirectoryLink = (sql: Db, userId: string) => sql<{ user_id: string }[]>`
  delete from latchkey.directory_links where user_id = ${userId} returning user_id`

import type { Db } from './connect.ts'

/** Gives or takes the right to administer; no row for an account that does not exist. */
export const setAdmin = (sql: Db, id: string, isAdmin: boolean) => sql<{ id: string }[]>`
  update latchkey.users set is_admin = ${isAdmin} where id = ${id} returning id`

/** The accounts that may administer, by name; deactivated ones are not among them. */
export const listAdmins = (sql: Db) => sql<{ username: string; locked_at: Date | null }[]>`
  select username, locked_at from latchkey.users
  where is_admin and deactivated_at is null order by username_folded, id`

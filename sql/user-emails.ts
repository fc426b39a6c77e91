import type { Db } from './connect.ts'

/** An address of an account. */
export interface UserEmailRow {
  id: string
  email: string
  is_primary: boolean
  created_at: Date
}

/** The addresses of a user: the main one first, which is the oldest where none was chosen. */
export const listUserEmails = (sql: Db, userId: string) => sql<UserEmailRow[]>`
  select id, email, is_primary, created_at from latchkey.user_emails
  where user_id = ${userId} order by is_primary desc, id`

/** Holds up everybody else who changes the addresses of a user, until this transaction ends. */
export const lockUserEmails = (sql: Db, userId: string) => sql<{ id: string }[]>`
  select id from latchkey.users where id = ${userId} for no key update`

/** Makes no address of a user the main one. */
export const clearPrimaryEmail = (sql: Db, userId: string) => sql`
  update latchkey.user_emails set is_primary = false where user_id = ${userId} and is_primary`

/** Makes an address of a user the main one; no row when it is not theirs. `clearPrimaryEmail` comes before. */
export const markPrimaryEmail = (sql: Db, id: string, userId: string) => sql<{ email: string }[]>`
  update latchkey.user_emails set is_primary = true where id = ${id} and user_id = ${userId} returning email`

/** Removes an address of a user; no row when it is not theirs. */
export const deleteUserEmail = (sql: Db, id: string, userId: string) => sql<{ email: string }[]>`
  delete from latchkey.user_emails where id = ${id} and user_id = ${userId} returning email`

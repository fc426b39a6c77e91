import type { Db } from './connect.ts'

/** An account that waits. */
export interface WaitingRow {
  id: string
  username: string
  display_name: string | null
  email: string | null
  approval_requested_at: Date
}

/** Those that wait and came after `after`, in the order in which they were made. */
export const listWaiting = (sql: Db, after: string | null, limit: number) => sql<WaitingRow[]>`
  select u.id, u.username, u.display_name, u.approval_requested_at,
    (select e.email from latchkey.user_emails e where e.user_id = u.id order by e.is_primary desc, e.id limit 1) as email
  from latchkey.users u
  where u.approval_requested_at is not null and u.deactivated_at is null and (${after}::uuid is null or u.id > ${after}::uuid)
  order by u.id limit ${limit}`

/** Makes an account wait that was just made. */
export const requestApproval = (sql: Db, id: string, lang: string, now: Date) => sql`
  update latchkey.users set approval_requested_at = ${now}, locked_at = ${now}, sign_up_lang = ${lang}
  where id = ${id}`

/** Who is told how it was decided. */
export interface DecidedRow {
  username: string
  sign_up_lang: string | null
}

/** Approves an account; no row for one that does not wait, or was deactivated meanwhile. */
export const approveWaiting = (sql: Db, id: string) => sql<DecidedRow[]>`
  update latchkey.users set approval_requested_at = null, locked_at = null
  where id = ${id} and approval_requested_at is not null and deactivated_at is null
  returning username, sign_up_lang`

/** Deletes an account that waits, with everything of it; no row for one that does not. The homeserver never knew it. */
export const deleteWaiting = (sql: Db, id: string) => sql<DecidedRow[]>`
  delete from latchkey.users where id = ${id} and approval_requested_at is not null
  returning username, sign_up_lang`

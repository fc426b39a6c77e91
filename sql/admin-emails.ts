import type { Db } from './connect.ts'
import {
  bounds,
  type Counting,
  counted,
  type Fragment,
  type ListTable,
  type PageBounds,
  where,
  window,
} from './page.ts'

/** An email address as admins see it. */
export interface AdminEmailRow {
  id: string
  user_id: string
  email: string
  created_at: Date
}

/** Which addresses; what is undefined does not matter. */
export interface EmailFilter {
  userId: string | undefined
  /** The whole address, folded. */
  folded: string | undefined
}

const emails = (sql: Db): ListTable => ({ from: sql`latchkey.user_emails e`, id: sql`e.id` })

const conditions = (sql: Db, { userId, folded }: EmailFilter): (Fragment | undefined)[] => [
  userId === undefined ? undefined : sql`e.user_id = ${userId}`,
  folded === undefined ? undefined : sql`e.email_folded = ${folded}`,
]

/** A page of the addresses, and one row more when there are more. */
export const listUserEmails = (sql: Db, filter: EmailFilter, page: PageBounds) => sql<AdminEmailRow[]>`
  select e.id, e.user_id, e.email, e.created_at from latchkey.user_emails e
  ${where(sql, [...conditions(sql, filter), ...bounds(sql, emails(sql), page)])} ${window(sql, emails(sql), page)}`

/** How many there are. */
export const countUserEmails = (sql: Db, filter: EmailFilter, how: Counting) =>
  counted(sql, sql`latchkey.user_emails e`, conditions(sql, filter), how)

/** One of them. */
export const findUserEmail = (sql: Db, id: string) => sql<AdminEmailRow[]>`
  select e.id, e.user_id, e.email, e.created_at from latchkey.user_emails e where e.id = ${id}`

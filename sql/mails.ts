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

/** A mail that waits, or that nobody tries to send any more. */
export interface MailRow {
  id: string
  kind: string
  sealed_content: string
  created_at: Date
  expires_at: Date | null
  attempts: number
  attempted_at: Date | null
  failure: string | null
  given_up_at: Date | null
}

const columns = (sql: Db) =>
  sql`id, kind, sealed_content, created_at, expires_at, attempts, attempted_at, failure, given_up_at`

/** Adds a mail. */
export const insertMail = (
  sql: Db,
  mail: { id: string; kind: string; sealedContent: string; expiresAt: Date | null; now: Date },
) => sql`
  insert into latchkey.mails (id, kind, sealed_content, created_at, expires_at)
  values (${mail.id}, ${mail.kind}, ${mail.sealedContent}, ${mail.now}, ${mail.expiresAt})`

/** A mail by its id. */
export const findMail = (sql: Db, id: string) => sql<MailRow[]>`
  select ${columns(sql)} from latchkey.mails where id = ${id}`

/** Removes a mail that was sent. */
export const deleteMail = (sql: Db, id: string) => sql`delete from latchkey.mails where id = ${id}`

/** Notes that an attempt failed; with `givenUp` it was the last one. */
export const noteMailFailure = (sql: Db, id: string, failure: string, givenUp: boolean, now: Date) => sql`
  update latchkey.mails
  set attempts = attempts + 1, attempted_at = ${now}, failure = ${failure},
    given_up_at = ${givenUp ? now : null}
  where id = ${id}`

/** Mails that failed at least once, oldest first; with `givenUp` only those that nobody tries any more. */
export const listFailedMails = (sql: Db, givenUp: boolean, limit: number) => sql<MailRow[]>`
  select ${columns(sql)} from latchkey.mails
  where (attempts > 0 or given_up_at is not null) and (not ${givenUp} or given_up_at is not null)
  order by id limit ${limit}`

/** Lets mails be tried anew that were given up and are still of use: one, or all. */
export const reviveMails = (sql: Db, id: string | null, now: Date) => sql<{ id: string }[]>`
  update latchkey.mails set attempts = 0, given_up_at = null
  where given_up_at is not null and (${id}::uuid is null or id = ${id}::uuid)
    and (expires_at is null or expires_at > ${now})
  returning id`

const failed = (sql: Db, { givenUp }: { givenUp: boolean | undefined }): (Fragment | undefined)[] => [
  sql`(m.attempts > 0 or m.given_up_at is not null)`,
  givenUp === undefined ? undefined : sql`(m.given_up_at is not null) = ${givenUp}`,
]

/** A page of the mails that failed at least once, and one more when there are more. */
export const listFailedMailPage = (sql: Db, filter: { givenUp: boolean | undefined }, page: PageBounds) => {
  const table: ListTable = { from: sql`latchkey.mails m`, id: sql`m.id` }
  return sql<MailRow[]>`
    select ${columns(sql)} from latchkey.mails m
    ${where(sql, [...failed(sql, filter), ...bounds(sql, table, page)])} ${window(sql, table, page)}`
}

/** How many there are. */
export const countFailedMails = (sql: Db, filter: { givenUp: boolean | undefined }, how: Counting) =>
  counted(sql, sql`latchkey.mails m`, failed(sql, filter), how)

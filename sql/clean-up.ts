import type { Db } from './connect.ts'

/** Ids of one batch: small enough to hold no lock for long. */
type Batch = { id: string }[]

/** Deletes authorization requests that began before `before`, at most `limit`. */
export const deleteOldGrants = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.authorization_grants where id in (
    select id from latchkey.authorization_grants where created_at < ${before} limit ${limit})
  returning id`

/** Deletes device requests that ran out before `before`, at most `limit`. */
export const deleteOldDeviceGrants = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.device_grants where id in (
    select id from latchkey.device_grants where expires_at < ${before} limit ${limit})
  returning id`

/**
 * Deletes sign-ups, at most `limit`: those that nobody finished and that began before `abandoned` (they hold a password
 * hash), and finished ones that began before `before`.
 */
export const deleteOldRegistrations = (sql: Db, abandoned: Date, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.registrations where id in (
    select id from latchkey.registrations
    where (completed_at is null and created_at < ${abandoned}) or created_at < ${before} limit ${limit})
  returning id`

/** Deletes mails that were written before `before`, at most `limit`: nobody sends them any more. */
export const deleteOldMails = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.mails where id in (
    select id from latchkey.mails where created_at < ${before} limit ${limit})
  returning id`

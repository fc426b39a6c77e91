import type { Db } from './connect.ts'

/**
 * How many sessions of apps a user has besides those of a device, which a sign-in on it replaces; counted as the policy
 * does (`countAppSessions`).
 */
export const countOtherAppSessions = (sql: Db, userId: string, deviceId: string | null) => sql<
  { total: number }[]
>`
  select count(*)::int as total from (
    select device_id from latchkey.oauth_sessions where user_id = ${userId} and finished_at is null
    union all
    select device_id from latchkey.compat_sessions where user_id = ${userId} and finished_at is null
    union all
    select device_id from latchkey.personal_sessions
    where user_id = ${userId} and owner_user_id = user_id and finished_at is null
  ) as sessions
  where device_id is null or device_id is distinct from ${deviceId}`

/** Ends the sessions of legacy clients that were not used for the longest time, but for those of a device. */
export const finishIdlestCompatSessions = (
  sql: Db,
  userId: string,
  deviceId: string | null,
  limit: number,
  now: Date,
) => sql<{ id: string }[]>`
  update latchkey.compat_sessions set finished_at = ${now}
  where finished_at is null and id in (
    select id from latchkey.compat_sessions
    where user_id = ${userId} and finished_at is null and (device_id is null or device_id is distinct from ${deviceId})
    order by coalesce(last_active_at, created_at), id limit ${limit})
  returning id`

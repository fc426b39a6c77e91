import type { Db } from './connect.ts'

/**
 * The devices of every active session of a user, of every kind: the complete set that the homeserver is told. `since`
 * is when the last of a device's sessions began.
 */
export const listDevices = (sql: Db, userId: string) => sql<{ device_id: string; since: Date }[]>`
  select device_id, max(created_at) as since from (
    select device_id, created_at from latchkey.oauth_sessions where user_id = ${userId} and finished_at is null
    union all
    select device_id, created_at from latchkey.compat_sessions where user_id = ${userId} and finished_at is null
    union all
    select device_id, created_at from latchkey.personal_sessions where user_id = ${userId} and finished_at is null
  ) as devices
  where device_id is not null
  group by device_id
  order by device_id`

/**
 * Ends the other sessions of a device, of whichever kind; `sessionId` stays, and the device goes on in that one, so the
 * homeserver need not be told. With null all of them end.
 */
export const finishDeviceSessions = (
  sql: Db,
  userId: string,
  deviceId: string,
  sessionId: string | null,
  now: Date,
) => sql<{ id: string }[]>`
  with compat as (
    update latchkey.compat_sessions set finished_at = ${now}
    where user_id = ${userId} and device_id = ${deviceId} and id is distinct from ${sessionId}::uuid and finished_at is null
    returning id),
  oauth as (
    update latchkey.oauth_sessions set finished_at = ${now}
    where user_id = ${userId} and device_id = ${deviceId} and id is distinct from ${sessionId}::uuid and finished_at is null
    returning id),
  personal as (
    update latchkey.personal_sessions set finished_at = ${now}
    where user_id = ${userId} and device_id = ${deviceId} and id is distinct from ${sessionId}::uuid and finished_at is null
    returning id)
  select id from compat union all select id from oauth union all select id from personal`

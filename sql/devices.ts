import type { Db } from './connect.ts'

/** The devices of every active session of a user, of every kind: the complete set that the homeserver is told. */
export const listDevices = (sql: Db, userId: string) => sql<{ device_id: string }[]>`
  select device_id from (
    select device_id from latchkey.oauth_sessions where user_id = ${userId} and finished_at is null
    union
    select device_id from latchkey.compat_sessions where user_id = ${userId} and finished_at is null
    union
    select device_id from latchkey.personal_sessions where user_id = ${userId} and finished_at is null
  ) as devices
  where device_id is not null
  order by device_id`

/**
 * Ends the other sessions of a device, of whichever kind; `sessionId` stays. The device goes on in that one, so the
 * homeserver need not be told.
 */
export const finishDeviceSessions = (
  sql: Db,
  userId: string,
  deviceId: string,
  sessionId: string,
  now: Date,
) => sql<{ id: string }[]>`
  with compat as (
    update latchkey.compat_sessions set finished_at = ${now}
    where user_id = ${userId} and device_id = ${deviceId} and id <> ${sessionId} and finished_at is null
    returning id),
  oauth as (
    update latchkey.oauth_sessions set finished_at = ${now}
    where user_id = ${userId} and device_id = ${deviceId} and id <> ${sessionId} and finished_at is null
    returning id),
  personal as (
    update latchkey.personal_sessions set finished_at = ${now}
    where user_id = ${userId} and device_id = ${deviceId} and id <> ${sessionId} and finished_at is null
    returning id)
  select id from compat union all select id from oauth union all select id from personal`

import type { Db } from './connect.ts'

/** Begins a session of a legacy client. It cannot be used before it has a token. */
export const insertCompatSession = (
  sql: Db,
  session: {
    id: string
    userId: string
    deviceId: string | null
    humanName: string | null
    browserSessionId: string | null
    synapseAdmin: boolean
    userAgent: string | null
    ip: string | null
    now: Date
  },
) => sql`
  insert into latchkey.compat_sessions (id, user_id, device_id, human_name, browser_session_id, synapse_admin, created_at,
    user_agent, last_active_at, last_active_ip)
  values (${session.id}, ${session.userId}, ${session.deviceId}, ${session.humanName}, ${session.browserSessionId},
    ${session.synapseAdmin}, ${session.now}, ${session.userAgent}, ${session.now}, ${session.ip})`

/** Ends a session, whoever asks; no row when it had ended. */
export const finishCompatSession = (sql: Db, id: string, now: Date) => sql<
  { user_id: string; device_id: string | null }[]
>`
  update latchkey.compat_sessions set finished_at = ${now} where id = ${id} and finished_at is null
  returning user_id, device_id`

/** Ends a session of a user; no row when it had ended or belongs to somebody else. */
export const finishCompatSessionOf = (sql: Db, id: string, userId: string, now: Date) => sql<
  { device_id: string | null }[]
>`
  update latchkey.compat_sessions set finished_at = ${now}
  where id = ${id} and user_id = ${userId} and finished_at is null
  returning device_id`

/** Ends every session that a user began with a legacy client. */
export const finishCompatSessions = (sql: Db, userId: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.compat_sessions set finished_at = ${now} where user_id = ${userId} and finished_at is null
  returning id`

/** Gives the active session of a user another name; no row when there is none. */
export const renameCompatSession = (sql: Db, id: string, userId: string, name: string) => sql<
  { id: string }[]
>`
  update latchkey.compat_sessions set human_name = ${name}
  where id = ${id} and user_id = ${userId} and finished_at is null
  returning id`

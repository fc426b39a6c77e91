import type { Db } from './connect.ts'

/** A client to be told that a browser session of a person ended. */
export interface LogoutNoticeRow {
  client_id: string
  browser_session_id: string
  user_id: string
}

/** The clients that registered for it and have an app session, not ended, of one of these browser sessions. */
export const listLogoutNotices = (sql: Db, browserSessionIds: string[]) => sql<LogoutNoticeRow[]>`
  select distinct s.client_id, s.browser_session_id, s.user_id
  from latchkey.oauth_sessions s join latchkey.clients c on c.id = s.client_id
  where s.browser_session_id = any (${browserSessionIds}::uuid[]) and s.finished_at is null
    and s.user_id is not null and c.metadata->>'backchannel_logout_uri' is not null`

/** Ends the sessions without a Matrix device that a client has of a browser session. */
export const finishClientSessions = (sql: Db, browserSessionId: string, clientId: string, now: Date) => sql<
  { id: string }[]
>`
  update latchkey.oauth_sessions set finished_at = ${now}
  where browser_session_id = ${browserSessionId} and client_id = ${clientId} and device_id is null
    and finished_at is null
  returning id`

/** How many app sessions, of whichever kind, were begun with a browser session and go on. */
export const countAppsOf = (sql: Db, browserSessionId: string) => sql<{ apps: number }[]>`
  select
    (select count(*)::int from latchkey.oauth_sessions
      where browser_session_id = ${browserSessionId} and finished_at is null)
    + (select count(*)::int from latchkey.compat_sessions
      where browser_session_id = ${browserSessionId} and finished_at is null) as apps`

/** Ends the app sessions, of whichever kind, that were begun with a browser session of a user. */
export const finishAppsOf = (sql: Db, browserSessionId: string, userId: string, now: Date) => sql<
  { id: string; device_id: string | null }[]
>`
  with oauth as (
    update latchkey.oauth_sessions set finished_at = ${now}
    where browser_session_id = ${browserSessionId} and user_id = ${userId} and finished_at is null
    returning id, device_id),
  compat as (
    update latchkey.compat_sessions set finished_at = ${now}
    where browser_session_id = ${browserSessionId} and user_id = ${userId} and finished_at is null
    returning id, device_id)
  select id, device_id from oauth union all select id, device_id from compat`

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

import type { Db } from './connect.ts'

/** Begins a session of a client. It cannot be used before it has a token. */
export const insertOAuthSession = (
  sql: Db,
  session: {
    id: string
    clientId: string
    userId: string | null
    browserSessionId: string | null
    scope: string[]
    /** The scopes that give claims and that the person saw; none when absent. */
    claimScopes?: string[]
    deviceId: string | null
    humanName: string | null
    userAgent: string | null
    ip: string | null
    now: Date
  },
) => sql`
  insert into latchkey.oauth_sessions (id, client_id, user_id, browser_session_id, scope, claim_scopes,
    device_id, human_name, created_at, user_agent, last_active_at, last_active_ip)
  values (${session.id}, ${session.clientId}, ${session.userId}, ${session.browserSessionId}, ${session.scope},
    ${session.claimScopes ?? []}, ${session.deviceId}, ${session.humanName}, ${session.now}, ${session.userAgent}, ${session.now}, ${session.ip})`

/** What a session may tell about its person (decision 16); an address in `user_emails` is a verified one. */
export const findPersonClaims = (sql: Db, id: string) => sql<
  { claim_scopes: string[]; username: string; display_name: string | null; email: string | null }[]
>`
  select s.claim_scopes, u.username, u.display_name,
    (select e.email from latchkey.user_emails e where e.user_id = u.id
      order by e.is_primary desc, e.id limit 1) as email
  from latchkey.oauth_sessions s join latchkey.users u on u.id = s.user_id
  where s.id = ${id}`

/** Keeps an active session from ending until the transaction is over; no row when it ended. */
export const lockOAuthSession = (sql: Db, id: string) => sql<{ id: string }[]>`
  select id from latchkey.oauth_sessions where id = ${id} and finished_at is null for no key update`

/** Ends a session, whoever asks; no row when it had ended. */
export const finishOAuthSession = (sql: Db, id: string, now: Date) => sql<
  { user_id: string | null; device_id: string | null }[]
>`
  update latchkey.oauth_sessions set finished_at = ${now} where id = ${id} and finished_at is null
  returning user_id, device_id`

/** Ends a session of a user; no row when it had ended or belongs to somebody else. */
export const finishOAuthSessionOf = (sql: Db, id: string, userId: string, now: Date) => sql<
  { device_id: string | null }[]
>`
  update latchkey.oauth_sessions set finished_at = ${now}
  where id = ${id} and user_id = ${userId} and finished_at is null
  returning device_id`

/** Ends every session that a client has of a user. */
export const finishOAuthSessionsOfClient = (sql: Db, userId: string, clientId: string, now: Date) => sql<
  { id: string; device_id: string | null }[]
>`
  update latchkey.oauth_sessions set finished_at = ${now}
  where user_id = ${userId} and client_id = ${clientId} and finished_at is null
  returning id, device_id`

/** Gives the active session of a user another name; no row when there is none. */
export const renameOAuthSession = (sql: Db, id: string, userId: string, name: string) => sql<
  { id: string }[]
>`
  update latchkey.oauth_sessions set human_name = ${name}
  where id = ${id} and user_id = ${userId} and finished_at is null
  returning id`

/** Ends every session of a user. */
export const finishOAuthSessions = (sql: Db, userId: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.oauth_sessions set finished_at = ${now} where user_id = ${userId} and finished_at is null
  returning id`

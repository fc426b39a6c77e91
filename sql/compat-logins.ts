import type { Db } from './connect.ts'

/** A login by SSO on its way from the redirect to the login token. */
export interface CompatLoginRow {
  id: string
  redirect_uri: string
  created_at: Date
  fulfilled_at: Date | null
  cancelled_at: Date | null
}

/** Stores a login that a client began. */
export const insertCompatLogin = (sql: Db, login: { id: string; redirectUri: string; now: Date }) => sql`
  insert into latchkey.compat_logins (id, redirect_uri, created_at)
  values (${login.id}, ${login.redirectUri}, ${login.now})`

/** A login, for the page that asks the person. */
export const findCompatLogin = (sql: Db, id: string) => sql<CompatLoginRow[]>`
  select id, redirect_uri, created_at, fulfilled_at, cancelled_at from latchkey.compat_logins where id = ${id}`

/** Approves a login that was begun after `since`, and gives it its token; no row when it was answered or is too old. */
export const fulfilCompatLogin = (
  sql: Db,
  id: string,
  answer: { browserSessionId: string; tokenHash: Uint8Array; since: Date; now: Date },
) => sql<{ id: string }[]>`
  update latchkey.compat_logins
  set fulfilled_at = ${answer.now}, browser_session_id = ${answer.browserSessionId}, token_hash = ${answer.tokenHash}
  where id = ${id} and created_at > ${answer.since} and fulfilled_at is null and cancelled_at is null
  returning id`

/** Declines a login; no row when it was answered. */
export const cancelCompatLogin = (sql: Db, id: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.compat_logins set cancelled_at = ${now}
  where id = ${id} and fulfilled_at is null and cancelled_at is null
  returning id`

/** What the exchange of a login token needs to know. */
export interface LoginTokenRow {
  id: string
  fulfilled_at: Date
  exchanged_at: Date | null
  browser_session_id: string | null
  session_finished_at: Date | null
  user_id: string | null
  username: string | null
  is_admin: boolean | null
  provisioned_at: Date | null
  locked_at: Date | null
  deactivated_at: Date | null
}

/** The approved login of a token, with the browser session and the person that approved it. */
export const findLoginByToken = (sql: Db, tokenHash: Uint8Array) => sql<LoginTokenRow[]>`
  select l.id, l.fulfilled_at, l.exchanged_at, l.browser_session_id, b.finished_at as session_finished_at,
    u.id as user_id, u.username, u.is_admin, u.provisioned_at, u.locked_at, u.deactivated_at
  from latchkey.compat_logins l
    left join latchkey.browser_sessions b on b.id = l.browser_session_id
    left join latchkey.users u on u.id = b.user_id
  where l.token_hash = ${tokenHash} and l.fulfilled_at is not null`

/** Spends a login token for a session; no row when another one was first. */
export const spendLoginToken = (sql: Db, id: string, sessionId: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.compat_logins set exchanged_at = ${now}, session_id = ${sessionId}
  where id = ${id} and exchanged_at is null
  returning id`

/** Gives a login token back whose session could not be made. */
export const releaseLoginToken = (sql: Db, id: string, sessionId: string) => sql`
  update latchkey.compat_logins set exchanged_at = null, session_id = null
  where id = ${id} and session_id = ${sessionId}`

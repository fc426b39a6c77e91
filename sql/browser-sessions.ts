import type { Db } from './connect.ts'
import type { Fragment } from './page.ts'
import type { Terms } from './terms.ts'

/**
 * How somebody proved who they are: with the password of the account (ours or the directory’s), at a provider, or with a
 * link that was mailed or given to them. Whoever signs up with a password has set the one that they sign in with.
 */
export type AuthenticationMethod = 'password' | 'provider' | 'recovery'

/** A browser's signed-in session with the user it belongs to. */
export interface BrowserSessionRow {
  id: string
  created_at: Date
  authenticated_at: Date
  /** How; null when that was not noted yet. */
  authentication_method: AuthenticationMethod | null
  finished_at: Date | null
  user_id: string
  username: string
  display_name: string | null
  is_admin: boolean
  locked_at: Date | null
  deactivated_at: Date | null
  provisioned_at: Date | null
  /** What the person set for pages and mails. */
  locale: string | null
  time_zone: string | null
  /** Terms are to be accepted before anything else. */
  owes_terms: boolean
}

/** Begins a session. */
export const insertBrowserSession = (
  sql: Db,
  session: {
    id: string
    userId: string
    secretHash: Uint8Array
    userAgent: string | null
    ip: string | null
    method: AuthenticationMethod
    now: Date
  },
) => sql`
  insert into latchkey.browser_sessions
    (id, user_id, secret_hash, created_at, authenticated_at, authentication_method,
      user_agent, last_active_at, last_active_ip)
  values (${session.id}, ${session.userId}, ${session.secretHash}, ${session.now}, ${session.now},
    ${session.method}, ${session.userAgent}, ${session.now}, ${session.ip})`

/** Notes that the person of an active session signed in anew; its cookie changes with it. No row when it had ended. */
export const renewBrowserSession = (
  sql: Db,
  id: string,
  secretHash: Uint8Array,
  method: AuthenticationMethod,
  now: Date,
) => sql<{ id: string }[]>`
  update latchkey.browser_sessions
  set authenticated_at = ${now}, authentication_method = ${method}, secret_hash = ${secretHash}, previous_hash = secret_hash
  where id = ${id} and finished_at is null
  returning id`

/**
 * Whether the user of a row `u` still has to accept terms. A version with a name is what counts, wherever it is; without
 * one a new address is a new version.
 */
const owesTerms = (sql: Db, terms: Terms | undefined): Fragment =>
  terms === undefined
    ? sql`false`
    : sql`not exists (select from latchkey.user_terms t where t.user_id = u.id
        and case when ${terms.version} = '' then t.terms_uri = ${terms.uri} else t.version = ${terms.version} end)`

/**
 * The session of a cookie, ended ones included: the page says what happened to it. The cookie before the last one works if
 * that changed after `renewedSince` (a form sent twice brings it), and then as that of an old sign-in.
 */
export const findBrowserSession = (
  sql: Db,
  secretHash: Uint8Array,
  terms: Terms | undefined,
  renewedSince: Date,
) => sql<BrowserSessionRow[]>`
  select s.id, s.created_at,
    case when s.secret_hash = ${secretHash} then s.authenticated_at else s.created_at end as authenticated_at,
    case when s.secret_hash = ${secretHash} then s.authentication_method end as authentication_method, s.finished_at, u.id as user_id, u.username, u.display_name,
    u.is_admin, u.locked_at, u.deactivated_at, u.provisioned_at, u.locale, u.time_zone,
    ${owesTerms(sql, terms)} as owes_terms
  from latchkey.browser_sessions s join latchkey.users u on u.id = s.user_id
  where s.secret_hash = ${secretHash}
    or (s.previous_hash = ${secretHash} and s.authenticated_at > ${renewedSince})`

/** Gives an active session of a user another name; no row when it is not theirs or ended. */
export const renameBrowserSession = (sql: Db, id: string, userId: string, name: string) => sql<
  { id: string }[]
>`
  update latchkey.browser_sessions set human_name = ${name}
  where id = ${id} and user_id = ${userId} and finished_at is null
  returning id`

/** Ends a session of a user; no row when it had ended or belongs to somebody else. */
export const finishBrowserSession = (sql: Db, id: string, userId: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.browser_sessions set finished_at = ${now}
  where id = ${id} and user_id = ${userId} and finished_at is null
  returning id`

/** Ends every session of a user, except one if given. */
export const finishBrowserSessions = (sql: Db, userId: string, now: Date, except: string | null) => sql<
  { id: string }[]
>`
  update latchkey.browser_sessions set finished_at = ${now}
  where user_id = ${userId} and finished_at is null and id is distinct from ${except}
  returning id`

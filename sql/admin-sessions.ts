import type { Db } from './connect.ts'
import {
  bounds,
  COUNTED_SLOWLY,
  type Counting,
  counted,
  type Fragment,
  type ListTable,
  type PageBounds,
  where,
  window,
} from './page.ts'

/** Which sessions; what is undefined does not matter. */
export interface SessionFilter {
  userId: string | undefined
  /** The browser session that they were begun from. */
  browserSessionId: string | undefined
  status: 'active' | 'finished' | undefined
  createdBefore: Date | undefined
  createdAfter: Date | undefined
  /** An id; what began after `createdAfter` has a later one. It lets the list begin there. */
  createdAfterId?: string | undefined
  activeBefore: Date | undefined
  activeAfter: Date | undefined
  /** These alone. */
  ids?: string[] | undefined
  /** Not this one. */
  exceptId?: string | undefined
}

/** Which sessions of OAuth clients. */
export interface OAuthSessionFilter extends SessionFilter {
  clientIds: string[] | undefined
  isStaticClient: boolean | undefined
  /** All of these. */
  scopes: string[] | undefined
}

interface Activity {
  id: string
  created_at: Date
  finished_at: Date | null
  user_agent: string | null
  last_active_at: Date | null
  last_active_ip: string | null
}

/** A browser's session as admins see it. */
export interface AdminBrowserSessionRow extends Activity {
  user_id: string
  /** What the person calls it. */
  human_name: string | null
}

/** A session of a client of the older login API. */
export interface AdminCompatSessionRow extends Activity {
  user_id: string
  device_id: string | null
  browser_session_id: string | null
  human_name: string | null
  /** Where an SSO login led back to. */
  redirect_uri: string | null
}

/** A session of an OAuth client. */
export interface AdminOAuthSessionRow extends Activity {
  user_id: string | null
  browser_session_id: string | null
  client_id: string
  scope: string[]
  human_name: string | null
}

/** What was never active since it began counts from then. */
const lastActivity = (sql: Db): Fragment => sql`coalesce(s.last_active_at, s.created_at)`

/** A session table under the alias `s`. */
const table = (sql: Db, from: Fragment): ListTable => ({
  from: sql`${from} s`,
  id: sql`s.id`,
  activity: lastActivity(sql),
})

const browserTable = (sql: Db) => table(sql, sql`latchkey.browser_sessions`)
const compatTable = (sql: Db) => table(sql, sql`latchkey.compat_sessions`)
const oauthTable = (sql: Db) => table(sql, sql`latchkey.oauth_sessions`)

const activityColumns = (sql: Db) =>
  sql`s.id, s.created_at, s.finished_at, s.user_agent, s.last_active_at, host(s.last_active_ip) as last_active_ip`

const browserColumns = (sql: Db) => sql`${activityColumns(sql)}, s.user_id, s.human_name`

const compatColumns = (sql: Db) => sql`${activityColumns(sql)}, s.user_id, s.device_id, s.browser_session_id,
  s.human_name, (select l.redirect_uri from latchkey.compat_logins l where l.session_id = s.id limit 1) as redirect_uri`

const oauthColumns = (sql: Db) =>
  sql`${activityColumns(sql)}, s.user_id, s.browser_session_id, s.client_id, s.scope, s.human_name`

/** What all kinds share, but for the browser that they were begun from, which a browser session has none. */
function common(sql: Db, filter: Omit<SessionFilter, 'browserSessionId'>): (Fragment | undefined)[] {
  const { userId, status, createdBefore, createdAfter, activeBefore, activeAfter } = filter
  const { createdAfterId, ids, exceptId } = filter
  return [
    ids === undefined ? undefined : sql`s.id = any (${ids}::uuid[])`,
    exceptId === undefined ? undefined : sql`s.id <> ${exceptId}`,
    userId === undefined ? undefined : sql`s.user_id = ${userId}`,
    status === 'active' ? sql`s.finished_at is null` : undefined,
    status === 'finished' ? sql`s.finished_at is not null` : undefined,
    createdBefore === undefined ? undefined : sql`s.created_at < ${createdBefore}`,
    createdAfter === undefined ? undefined : sql`s.created_at > ${createdAfter}`,
    createdAfterId === undefined ? undefined : sql`s.id > ${createdAfterId}`,
    activeBefore === undefined ? undefined : sql`${lastActivity(sql)} < ${activeBefore}`,
    activeAfter === undefined ? undefined : sql`${lastActivity(sql)} > ${activeAfter}`,
  ]
}

const begunFrom = (sql: Db, { browserSessionId }: SessionFilter): Fragment | undefined =>
  browserSessionId === undefined ? undefined : sql`s.browser_session_id = ${browserSessionId}`

function oauthConditions(sql: Db, filter: OAuthSessionFilter): (Fragment | undefined)[] {
  const { clientIds, isStaticClient, scopes } = filter
  return [
    ...common(sql, filter),
    begunFrom(sql, filter),
    clientIds === undefined ? undefined : sql`s.client_id = any (${clientIds}::uuid[])`,
    isStaticClient === undefined
      ? undefined
      : sql`s.client_id in (select c.id from latchkey.clients c where c.is_static = ${isStaticClient})`,
    ...scopeConditions(sql, scopes ?? []),
  ]
}

/** Scopes that few sessions have: an index knows them. */
const RARE = ['urn:mas:admin', 'urn:synapse:admin:*']
const DEVICE = /^urn:matrix:(?:org\.matrix\.msc2967\.)?client:device:(.+)$/

/** With all of these. Where an index finds them the condition says so: of lists the database does not know how rare each is. */
function scopeConditions(sql: Db, scopes: readonly string[]): (Fragment | undefined)[] {
  if (scopes.length === 0) return []
  const devices = scopes.map((scope) => DEVICE.exec(scope)?.[1]).filter((device) => device !== undefined)
  const isRare = scopes.some((scope) => RARE.includes(scope))
  return [
    sql`s.scope @> ${scopes as string[]}::text[]`,
    isRare ? sql`s.scope && array['urn:mas:admin', 'urn:synapse:admin:*']` : undefined,
    ...devices.map((device): Fragment => sql`s.device_id = ${device}`),
  ]
}

/** The index of the last activity has no other column: every row is read. */
const mostOf = ({ activeBefore, activeAfter }: SessionFilter): number | undefined =>
  activeBefore === undefined && activeAfter === undefined ? undefined : COUNTED_SLOWLY

/** A page of the sessions of browsers, and one row more when there are more. */
export const listBrowserSessions = (sql: Db, filter: SessionFilter, page: PageBounds) => sql<
  AdminBrowserSessionRow[]
>`
  select ${browserColumns(sql)} from latchkey.browser_sessions s
  ${where(sql, [...common(sql, filter), ...bounds(sql, browserTable(sql), page)])} ${window(sql, browserTable(sql), page)}`

/** How many there are. */
export const countBrowserSessions = (sql: Db, filter: SessionFilter, how: Counting) =>
  counted(sql, browserTable(sql).from, common(sql, filter), how, mostOf(filter))

/** One of them. */
export const findAdminBrowserSession = (sql: Db, id: string) => sql<AdminBrowserSessionRow[]>`
  select ${browserColumns(sql)} from latchkey.browser_sessions s where s.id = ${id}`

/** A page of the sessions of clients of the older login API, and one row more when there are more. */
export const listCompatSessions = (sql: Db, filter: SessionFilter, page: PageBounds) => sql<
  AdminCompatSessionRow[]
>`
  select ${compatColumns(sql)} from latchkey.compat_sessions s
  ${where(sql, [...common(sql, filter), begunFrom(sql, filter), ...bounds(sql, compatTable(sql), page)])}
  ${window(sql, compatTable(sql), page)}`

/** How many there are. */
export const countCompatSessions = (sql: Db, filter: SessionFilter, how: Counting) =>
  counted(sql, compatTable(sql).from, [...common(sql, filter), begunFrom(sql, filter)], how, mostOf(filter))

/** One of them. */
export const findAdminCompatSession = (sql: Db, id: string) => sql<AdminCompatSessionRow[]>`
  select ${compatColumns(sql)} from latchkey.compat_sessions s where s.id = ${id}`

/** A page of the sessions of OAuth clients, and one row more when there are more. */
export const listOAuthSessions = (sql: Db, filter: OAuthSessionFilter, page: PageBounds) => sql<
  AdminOAuthSessionRow[]
>`
  select ${oauthColumns(sql)} from latchkey.oauth_sessions s
  ${where(sql, [...oauthConditions(sql, filter), ...bounds(sql, oauthTable(sql), page)])}
  ${window(sql, oauthTable(sql), page)}`

/** How many there are. */
export const countOAuthSessions = (sql: Db, filter: OAuthSessionFilter, how: Counting) =>
  counted(sql, oauthTable(sql).from, oauthConditions(sql, filter), how, mostOf(filter))

/** One of them. */
export const findAdminOAuthSession = (sql: Db, id: string) => sql<AdminOAuthSessionRow[]>`
  select ${oauthColumns(sql)} from latchkey.oauth_sessions s where s.id = ${id}`

/** A session that ended, or would. */
export interface FinishedRow {
  id: string
  user_id: string | null
  device_id: string | null
}

/** In the order of their ids and locked, so that two of these at once do not wait for each other. */
const toFinish = (
  sql: Db,
  { from, id }: ListTable,
  conditions: readonly (Fragment | undefined)[],
  limit: number,
): Fragment => sql`
  select ${id} from ${from} ${where(sql, [sql`s.finished_at is null`, ...conditions])}
  order by ${id} limit ${limit} for no key update of s`

/** Ends active sessions of browsers, at most `limit`, the oldest first. */
export const finishFoundBrowserSessions = (sql: Db, filter: SessionFilter, limit: number, now: Date) => sql<
  FinishedRow[]
>`
  update latchkey.browser_sessions set finished_at = ${now}
  where id in (${toFinish(sql, browserTable(sql), common(sql, filter), limit)})
  returning id, user_id, null::text as device_id`

/** Ends active sessions of clients of the older login API, at most `limit`, the oldest first. */
export const finishFoundCompatSessions = (sql: Db, filter: SessionFilter, limit: number, now: Date) => sql<
  FinishedRow[]
>`
  update latchkey.compat_sessions set finished_at = ${now}
  where id in (
    ${toFinish(sql, compatTable(sql), [...common(sql, filter), begunFrom(sql, filter)], limit)})
  returning id, user_id, device_id`

/** Ends active sessions of OAuth clients, at most `limit`, the oldest first. */
export const finishFoundOAuthSessions = (sql: Db, filter: OAuthSessionFilter, limit: number, now: Date) =>
  sql<FinishedRow[]>`
  update latchkey.oauth_sessions set finished_at = ${now}
  where id in (${toFinish(sql, oauthTable(sql), oauthConditions(sql, filter), limit)})
  returning id, user_id, device_id`

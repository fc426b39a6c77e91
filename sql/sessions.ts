import type { Db } from './connect.ts'

/** One active session of a person, of any kind, as lists show it. */
export interface SessionRow {
  id: string
  kind: 'browser' | 'oauth' | 'compat' | 'personal'
  created_at: Date
  last_active_at: Date | null
  last_active_ip: string | null
  user_agent: string | null
  client_name: string | null
  human_name: string | null
  device_id: string | null
  /** False for a token that somebody else made, such as the people who run the server. */
  is_own: boolean
}

/** The active sessions of a user, one kind after the other; with `id` that one alone. */
function activeSessions(sql: Db, userId: string, id?: string) {
  const only = id === undefined ? sql`` : sql`and s.id = ${id}`
  return sql<SessionRow[]>`
    select s.id, 'browser' as kind, s.created_at, s.last_active_at, host(s.last_active_ip) as last_active_ip,
      s.user_agent, null as client_name, s.human_name, null as device_id, true as is_own
    from latchkey.browser_sessions s where s.user_id = ${userId} and s.finished_at is null ${only}
    union all
    select s.id, 'oauth', s.created_at, s.last_active_at, host(s.last_active_ip), s.user_agent,
      c.metadata->>'client_name', s.human_name, s.device_id, true
    from latchkey.oauth_sessions s join latchkey.clients c on c.id = s.client_id
    where s.user_id = ${userId} and s.finished_at is null ${only}
    union all
    select s.id, 'compat', s.created_at, s.last_active_at, host(s.last_active_ip), s.user_agent,
      substring(l.redirect_uri from '^https?://([^/?#]+)'), s.human_name, s.device_id, true
    from latchkey.compat_sessions s left join latchkey.compat_logins l on l.session_id = s.id
    where s.user_id = ${userId} and s.finished_at is null ${only}
    union all
    select s.id, 'personal', s.created_at, s.last_active_at, host(s.last_active_ip), null, null, s.human_name,
      s.device_id, s.owner_user_id is not distinct from s.user_id
    from latchkey.personal_sessions s where s.user_id = ${userId} and s.finished_at is null ${only}`
}

/** The active sessions of a user, newest activity first, at most `limit`. */
export const listActiveSessions = (sql: Db, userId: string, limit: number) => sql<SessionRow[]>`
  ${activeSessions(sql, userId)} order by last_active_at desc nulls last, id desc limit ${limit}`

/** What a list of sessions shows. */
export interface SessionSearch {
  /** All kinds when null; `apps` is those that people sign in to, of both kinds. */
  kind: 'browser' | 'apps' | 'tokens' | null
  /** Part of a name, client, device, user agent or address; all when null. */
  text: string | null
  sort: 'active' | 'created'
  limit: number
  offset: number
}

const ORDERS = {
  active: (sql: Db) => sql`s.last_active_at desc nulls last`,
  created: (sql: Db) => sql`s.created_at desc`,
}

/** Active sessions of a user that a search finds, `current` first; each row has how many there are. */
export const searchActiveSessions = (
  sql: Db,
  userId: string,
  current: string,
  { kind, text, sort, limit, offset }: SessionSearch,
) => sql<(SessionRow & { total: number })[]>`
  select s.id, s.kind, s.created_at, s.last_active_at, s.last_active_ip, s.user_agent, s.client_name, s.human_name,
    s.device_id, s.is_own, (count(*) over ())::int as total
  from (${activeSessions(sql, userId)}) s
  where (${kind}::text is null or ${kind}::text =
      case s.kind when 'browser' then 'browser' when 'personal' then 'tokens' else 'apps' end)
    and (${text}::text is null or strpos(lower(concat_ws(' ', s.human_name, s.client_name, s.device_id, s.user_agent,
      s.last_active_ip)), lower(${text}::text)) > 0)
  order by s.id = ${current} desc, ${ORDERS[sort](sql)}, s.id desc
  limit ${limit} offset ${offset}`

/** One active session of a user; no row when it ended or is somebody else's. */
export const findActiveSession = (sql: Db, id: string, userId: string) => activeSessions(sql, userId, id)

/** The active session of a user with a device, of whichever kind; the one last begun when several share it. */
export const findActiveDevice = (sql: Db, userId: string, deviceId: string) => sql<
  { id: string; kind: 'app' | 'token' }[]
>`
  select id, 'app' as kind from latchkey.oauth_sessions
  where user_id = ${userId} and device_id = ${deviceId} and finished_at is null
  union all
  select id, 'app' from latchkey.compat_sessions
  where user_id = ${userId} and device_id = ${deviceId} and finished_at is null
  union all
  select id, 'token' from latchkey.personal_sessions
  where user_id = ${userId} and device_id = ${deviceId} and finished_at is null
  order by id desc limit 1`

/** How many sessions of a user are active, by kind; a personal one counts for whom it acts as. */
export const countActiveSessions = (sql: Db, userId: string) => sql<
  { browser: number; oauth: number; compat: number; personal: number }[]
>`
  select
    (select count(*)::int from latchkey.browser_sessions where user_id = ${userId} and finished_at is null) as browser,
    (select count(*)::int from latchkey.oauth_sessions where user_id = ${userId} and finished_at is null) as oauth,
    (select count(*)::int from latchkey.compat_sessions where user_id = ${userId} and finished_at is null) as compat,
    (select count(*)::int from latchkey.personal_sessions where user_id = ${userId} and finished_at is null) as personal`

/**
 * Keeps two sign-ins of one person from being decided on at once: what a transaction counts, ends and begins after this
 * is seen by the next one. No row for an account that is gone.
 */
export const lockSessionsOf = (sql: Db, userId: string) => sql<
  { locked_at: Date | null; deactivated_at: Date | null }[]
>`
  select locked_at, deactivated_at from latchkey.users where id = ${userId} for no key update`

/**
 * As `lockSessionsOf`, for an account that is in order and the browser session that a grant stands on: neither ends nor
 * rests until the transaction is over. No row when one of them does already.
 */
export const lockSignIn = (sql: Db, userId: string, browserSessionId: string) => sql<{ id: string }[]>`
  select u.id from latchkey.users u join latchkey.browser_sessions b on b.user_id = u.id
  where u.id = ${userId} and b.id = ${browserSessionId}
    and u.locked_at is null and u.deactivated_at is null and b.finished_at is null
  for no key update`

/**
 * The active sessions of a user's apps, as the policy counts them (reference operations 6.2): those of browsers do not
 * count, and of personal tokens only the user's own.
 */
export const countAppSessions = (sql: Db, userId: string) => sql<
  { total: number; oauth2: number; compat: number; personal: number }[]
>`
  select oauth2 + compat + personal as total, oauth2, compat, personal from (
    select
      (select count(*)::int from latchkey.oauth_sessions where user_id = ${userId} and finished_at is null) as oauth2,
      (select count(*)::int from latchkey.compat_sessions where user_id = ${userId} and finished_at is null) as compat,
      (select count(*)::int from latchkey.personal_sessions
        where user_id = ${userId} and owner_user_id = user_id and finished_at is null) as personal
  ) counted`

/** One flush of remembered activity. A session that vanished meanwhile is left out, the others are written. */
export const recordActivity = (
  sql: Db,
  kind: SessionRow['kind'],
  rows: { ids: string[]; times: Date[]; ips: (string | null)[] },
) => {
  const table = sql(`latchkey.${kind}_sessions`)
  // The driver takes the type of a list from its first item, which for a Date is not that of a list.
  const times = rows.times.map((time) => time.toISOString())
  return sql`
    update ${table} s
    set last_active_at = greatest(s.last_active_at, seen.at), last_active_ip = coalesce(seen.ip, s.last_active_ip)
    from unnest(${rows.ids}::uuid[], ${times}::timestamptz[], ${rows.ips}::inet[]) as seen (id, at, ip)
    where s.id = seen.id`
}

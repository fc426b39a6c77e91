import type { Db } from './connect.ts'

/** A personal session with its token's expiry, the person it acts as, and who made it. */
export interface PersonalSessionRow {
  id: string
  owner_user_id: string | null
  owner_client_id: string | null
  /** Of the owner, when that is a person. */
  owner_username: string | null
  user_id: string
  username: string
  human_name: string
  scope: string[]
  device_id: string | null
  created_at: Date
  finished_at: Date | null
  last_active_at: Date | null
  last_active_ip: string | null
  /** When its token runs out; null for never, and where there is no token. */
  expires_at: Date | null
  /** It has a token, expired or not: a session whose device could not be made has none. */
  has_token: boolean
}

const personalSessions = (sql: Db) => sql`
  select s.id, s.owner_user_id, s.owner_client_id, o.username as owner_username, s.user_id, u.username, s.human_name,
    s.scope, s.device_id, s.created_at, s.finished_at, s.last_active_at, host(s.last_active_ip) as last_active_ip,
    t.expires_at, t.id is not null as has_token
  from latchkey.personal_sessions s
    join latchkey.users u on u.id = s.user_id
    left join latchkey.users o on o.id = s.owner_user_id
    left join latchkey.personal_tokens t on t.session_id = s.id and t.revoked_at is null`

/** Begins a session. It cannot be used before it has a token. */
export const insertPersonalSession = (
  sql: Db,
  session: {
    id: string
    ownerUserId: string | null
    ownerClientId: string | null
    userId: string
    humanName: string
    scope: string[]
    deviceId: string | null
    userAgent: string | null
    now: Date
  },
) => sql`
  insert into latchkey.personal_sessions
    (id, owner_user_id, owner_client_id, user_id, human_name, scope, device_id, created_at, user_agent)
  values (${session.id}, ${session.ownerUserId}, ${session.ownerClientId}, ${session.userId}, ${session.humanName},
    ${session.scope}, ${session.deviceId}, ${session.now}, ${session.userAgent})`

/** A session in any state. */
export const findPersonalSession = (sql: Db, id: string) => sql<PersonalSessionRow[]>`
  ${personalSessions(sql)} where s.id = ${id}`

/** The sessions that act as a person or that the person made, not ended, newest first, at most `limit` from `offset` on. */
export const listPersonalSessions = (sql: Db, userId: string, limit: number, offset = 0) => sql<
  PersonalSessionRow[]
>`
  ${personalSessions(sql)}
  where (s.user_id = ${userId} or s.owner_user_id = ${userId}) and s.finished_at is null
  order by s.id desc limit ${limit} offset ${offset}`

/** Gives an active session that acts as a user another name; no row when it acts as somebody else or ended. */
export const renamePersonalSession = (sql: Db, id: string, userId: string, name: string) => sql<
  { id: string }[]
>`
  update latchkey.personal_sessions set human_name = ${name}
  where id = ${id} and user_id = ${userId} and finished_at is null
  returning id`

/** Keeps an active session from ending or getting another token until the transaction is over; no row when it ended. */
export const lockPersonalSession = (sql: Db, id: string) => sql<{ id: string }[]>`
  select id from latchkey.personal_sessions where id = ${id} and finished_at is null for no key update`

/** Gives a session a token. It must have none that is not revoked. */
export const insertPersonalToken = (
  sql: Db,
  token: { id: string; sessionId: string; hash: Uint8Array; now: Date; expiresAt: Date | null },
) => sql`
  insert into latchkey.personal_tokens (id, session_id, token_hash, created_at, expires_at)
  values (${token.id}, ${token.sessionId}, ${token.hash}, ${token.now}, ${token.expiresAt})`

/** Revokes the token of a session. */
export const revokePersonalToken = (sql: Db, sessionId: string, now: Date) => sql`
  update latchkey.personal_tokens set revoked_at = ${now} where session_id = ${sessionId} and revoked_at is null`

/** Ends a session; no row when it had ended. */
export const finishPersonalSession = (sql: Db, id: string, now: Date) => sql<
  { user_id: string; device_id: string | null }[]
>`
  update latchkey.personal_sessions set finished_at = ${now} where id = ${id} and finished_at is null
  returning user_id, device_id`

/** Ends a session that acts as a user; no row when it had ended or acts as somebody else. */
export const finishPersonalSessionOf = (sql: Db, id: string, userId: string, now: Date) => sql<
  { device_id: string | null }[]
>`
  update latchkey.personal_sessions set finished_at = ${now}
  where id = ${id} and user_id = ${userId} and finished_at is null
  returning device_id`

/** Ends every session that acts as a person; with `owned` also those that the person made for others. */
export const finishPersonalSessions = (sql: Db, userId: string, now: Date, owned: boolean) => sql<
  { id: string; user_id: string; device_id: string | null }[]
>`
  update latchkey.personal_sessions set finished_at = ${now}
  where (user_id = ${userId} or (${owned} and owner_user_id = ${userId})) and finished_at is null
  returning id, user_id, device_id`

/** What a personal token stands for, when it is good. */
export interface ActivePersonalTokenRow {
  id: string
  session_id: string
  /** Seconds since 1970, as the wire has them; null for never. */
  expires_at: number | null
  /** Space-separated. */
  scope: string
  /** The client that made it; null when a person did. */
  client_id: string | null
  /** Who made it; null when a client did. */
  owner_user_id: string | null
  user_id: string
  username: string
}

/**
 * The personal token of a digest, only if it is good: neither revoked nor expired, its session not ended, the person it
 * acts as and the one who made it neither locked nor deactivated. One round trip, no write.
 */
export const findActivePersonalToken = (sql: Db, hash: Uint8Array, now: Date) => sql<
  ActivePersonalTokenRow[]
>`
  select t.id, t.session_id, date_part('epoch', t.expires_at) as expires_at, array_to_string(s.scope, ' ') as scope,
    s.owner_client_id as client_id, s.owner_user_id, s.user_id, u.username
  from latchkey.personal_tokens t
    join latchkey.personal_sessions s on s.id = t.session_id
    join latchkey.users u on u.id = s.user_id
    left join latchkey.users o on o.id = s.owner_user_id
  where t.token_hash = ${hash} and t.revoked_at is null and (t.expires_at is null or t.expires_at > ${now})
    and s.finished_at is null and u.locked_at is null and u.deactivated_at is null
    and o.locked_at is null and o.deactivated_at is null`

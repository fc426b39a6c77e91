import type { Db } from './connect.ts'

/** Seconds since 1970, for `to_timestamp`: cheaper to read than a date in text, as in tokens.ts. */
const seconds = (time: Date): number => time.getTime() / 1000

/** What the token of a legacy client stands for, when it is good. */
export interface ActiveCompatTokenRow {
  id: string
  /** Seconds since 1970; null for a token that never expires. */
  expires_at: number | null
  unused: boolean
  session_id: string
  user_id: string
  username: string
  device_id: string | null
  synapse_admin: boolean
}

/**
 * The access token of a digest, only if it is good: not expired or replaced, its session not ended, its user neither
 * locked nor deactivated. One round trip, no write.
 */
export const findActiveCompatAccessToken = (sql: Db, hash: Uint8Array, now: Date) => sql<
  ActiveCompatTokenRow[]
>`
  select t.session_id, t.id, date_part('epoch', t.expires_at) as expires_at, t.first_used_at is null as unused,
    s.user_id, u.username, s.device_id, s.synapse_admin
  from latchkey.compat_tokens t
    join latchkey.compat_sessions s on s.id = t.session_id
    join latchkey.users u on u.id = s.user_id
  where t.access_hash = ${hash} and (t.expires_at is null or t.expires_at > to_timestamp(${seconds(now)}))
    and t.consumed_at is null and s.finished_at is null and u.locked_at is null and u.deactivated_at is null`

/** The refresh token of a digest, only if it is good. To ask about it is no use of its pair. */
export const findActiveCompatRefreshToken = (sql: Db, hash: Uint8Array) => sql<ActiveCompatTokenRow[]>`
  select t.session_id, t.id, null::float8 as expires_at, false as unused, s.user_id, u.username, s.device_id,
    s.synapse_admin
  from latchkey.compat_tokens t
    join latchkey.compat_sessions s on s.id = t.session_id
    join latchkey.users u on u.id = s.user_id
  where t.refresh_hash = ${hash} and t.consumed_at is null and s.finished_at is null
    and u.locked_at is null and u.deactivated_at is null`

/** Records the first use of an access token: from then on its predecessor cannot be retried (decision 8). */
export const markFirstCompatUse = (sql: Db, token: { session_id: string; id: string }, now: Date) => sql`
  update latchkey.compat_tokens set first_used_at = ${now}
  where session_id = ${token.session_id} and id = ${token.id} and first_used_at is null`

/** The session of a good access token, for signing out: people who are locked may do that too. */
export const findCompatSignOut = (sql: Db, hash: Uint8Array, now: Date) => sql<
  { session_id: string; user_id: string; locked_at: Date | null }[]
>`
  select s.id as session_id, s.user_id, u.locked_at
  from latchkey.compat_tokens t
    join latchkey.compat_sessions s on s.id = t.session_id
    join latchkey.users u on u.id = s.user_id
  where t.access_hash = ${hash} and (t.expires_at is null or t.expires_at > ${now})
    and t.consumed_at is null and s.finished_at is null and u.deactivated_at is null`

/**
 * Gives an active session its first tokens; no row when the session has ended. `refreshHash` is null where there is an
 * access token alone, `expiresAt` where it lives as long as its session.
 */
export const insertCompatTokens = (
  sql: Db,
  pair: {
    sessionId: string
    id: string
    accessHash: Uint8Array
    refreshHash: Uint8Array | null
    expiresAt: Date | null
  },
) => sql<{ id: string }[]>`
  insert into latchkey.compat_tokens (session_id, id, access_hash, refresh_hash, expires_at)
  select s.id, ${pair.id}::uuid, ${pair.accessHash}::bytea, ${pair.refreshHash}::bytea,
    ${pair.expiresAt}::timestamptz
  from latchkey.compat_sessions s where s.id = ${pair.sessionId} and s.finished_at is null
  returning id`

/** A refresh token as presented, with its session, its user and the state of its successor. */
export interface CompatRefreshRow {
  session_id: string
  finished_at: Date | null
  user_id: string
  locked_at: Date | null
  deactivated_at: Date | null
  consumed_at: Date | null
  next_id: string | null
  next_consumed_at: Date | null
  next_first_used_at: Date | null
}

/** The refresh token of a digest in any state. */
export const findCompatRefreshToken = (sql: Db, hash: Uint8Array) => sql<CompatRefreshRow[]>`
  select t.session_id, s.finished_at, s.user_id, u.locked_at, u.deactivated_at, t.consumed_at, t.next_id,
    n.consumed_at as next_consumed_at, n.first_used_at as next_first_used_at
  from latchkey.compat_tokens t
    join latchkey.compat_sessions s on s.id = t.session_id
    join latchkey.users u on u.id = s.user_id
    left join latchkey.compat_tokens n on n.session_id = t.session_id and n.id = t.next_id
  where t.refresh_hash = ${hash}`

/** The pair that replaces another. */
interface Successor {
  id: string
  accessHash: Uint8Array
  refreshHash: Uint8Array
  expiresAt: Date
}

/**
 * Replaces the pair of a good refresh token by its successor, in one statement; its access token ends with it. No row
 * when it is not good, or when another request was first; `findCompatRefreshToken` tells which.
 */
export const rotateCompatToken = (
  sql: Db,
  presented: { hash: Uint8Array; now: Date },
  next: Successor,
) => sql<{ session_id: string }[]>`
  with consumed as (
    update latchkey.compat_tokens t set consumed_at = to_timestamp(${seconds(presented.now)}), next_id = ${next.id}
    from latchkey.compat_sessions s join latchkey.users u on u.id = s.user_id
    where t.refresh_hash = ${presented.hash} and t.consumed_at is null
      and s.id = t.session_id and s.finished_at is null and u.locked_at is null and u.deactivated_at is null
    returning t.session_id, t.next_id),
  successor as (
    insert into latchkey.compat_tokens (session_id, id, access_hash, refresh_hash, expires_at)
    select session_id, next_id, ${next.accessHash}::bytea, ${next.refreshHash}::bytea,
      to_timestamp(${seconds(next.expiresAt)})
    from consumed)
  select session_id from consumed`

/**
 * Gives the unused successor of a consumed token out again, with its digests written anew and its access token alive
 * from now. No row, and nothing written, when it was used meanwhile.
 */
export const renewCompatSuccessor = (sql: Db, sessionId: string, next: Successor) => sql<{ id: string }[]>`
  update latchkey.compat_tokens
  set access_hash = ${next.accessHash}, refresh_hash = ${next.refreshHash}, expires_at = ${next.expiresAt}
  where session_id = ${sessionId} and id = ${next.id} and consumed_at is null and first_used_at is null
  returning id`

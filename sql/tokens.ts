import type { Db } from './connect.ts'

/** What a token stands for, when it is good. */
export interface ActiveTokenRow {
  id: string
  /** Seconds since 1970, as the wire has them: reading a Date from text is slow, and this is the hot path. */
  issued_at: number
  expires_at: number | null
  unused: boolean
  session_id: string
  scope: string[]
  client_id: string
  user_id: string | null
  username: string | null
}

/**
 * The access token of a digest, only if it is good: not expired or revoked, its session not ended, its user neither
 * locked nor deactivated. This is the hot path: one round trip, no write.
 */
export const findActiveAccessToken = (sql: Db, hash: Uint8Array, now: Date) => sql<ActiveTokenRow[]>`
  select a.id, date_part('epoch', a.created_at) as issued_at, date_part('epoch', a.expires_at) as expires_at,
    a.first_used_at is null as unused, s.id as session_id, s.scope, s.client_id, u.id as user_id, u.username
  from latchkey.access_tokens a
    join latchkey.oauth_sessions s on s.id = a.session_id
    left join latchkey.users u on u.id = s.user_id
  where a.token_hash = ${hash} and a.expires_at > ${now} and a.revoked_at is null and s.finished_at is null
    and (s.user_id is null or (u.locked_at is null and u.deactivated_at is null))`

/** The refresh token of a digest, only if it is good. */
export const findActiveRefreshToken = (sql: Db, hash: Uint8Array) => sql<ActiveTokenRow[]>`
  select r.id, date_part('epoch', r.created_at) as issued_at, null::float8 as expires_at, false as unused,
    s.id as session_id, s.scope, s.client_id, u.id as user_id, u.username
  from latchkey.refresh_tokens r
    join latchkey.oauth_sessions s on s.id = r.session_id
    left join latchkey.users u on u.id = s.user_id
  where r.token_hash = ${hash} and r.consumed_at is null and s.finished_at is null
    and (s.user_id is null or (u.locked_at is null and u.deactivated_at is null))`

/** Records the first use of an access token: from then on its predecessor cannot be retried (decision 7). */
export const markFirstUse = (sql: Db, id: string, now: Date) => sql`
  update latchkey.access_tokens set first_used_at = ${now} where id = ${id} and first_used_at is null`

/** A new access token and the refresh token that goes with it. `expiresAt` is the end of the first. */
interface NewPair {
  accessId: string
  accessHash: Uint8Array
  expiresAt: Date
  refreshId: string
  refreshHash: Uint8Array
  now: Date
}

/** Gives a session its first pair of tokens. */
export const insertTokenPair = (sql: Db, pair: NewPair & { sessionId: string }) => sql`
  with access as (
    insert into latchkey.access_tokens (id, session_id, token_hash, created_at, expires_at)
    values (${pair.accessId}, ${pair.sessionId}, ${pair.accessHash}, ${pair.now}, ${pair.expiresAt})
    returning id, session_id)
  insert into latchkey.refresh_tokens (id, session_id, access_token_id, token_hash, created_at)
  select ${pair.refreshId}::uuid, access.session_id, access.id, ${pair.refreshHash}::bytea, ${pair.now}::timestamptz
  from access`

/** A refresh token as presented, with its session, its user and the state of its successor. */
export interface RefreshRow {
  id: string
  session_id: string
  client_id: string
  scope: string[]
  finished_at: Date | null
  user_id: string | null
  locked_at: Date | null
  deactivated_at: Date | null
  consumed_at: Date | null
  next_id: string | null
  next_consumed_at: Date | null
  next_first_used_at: Date | null
}

/** The refresh token of a digest in any state. */
export const findRefreshToken = (sql: Db, hash: Uint8Array) => sql<RefreshRow[]>`
  select r.id, r.session_id, s.client_id, s.scope, s.finished_at, s.user_id, u.locked_at, u.deactivated_at,
    r.consumed_at, r.next_id, n.consumed_at as next_consumed_at, a.first_used_at as next_first_used_at
  from latchkey.refresh_tokens r
    join latchkey.oauth_sessions s on s.id = r.session_id
    left join latchkey.users u on u.id = s.user_id
    left join latchkey.refresh_tokens n on n.id = r.next_id
    left join latchkey.access_tokens a on a.id = n.access_token_id
  where r.token_hash = ${hash}`

/**
 * Replaces a good refresh token of a client by its successor and revokes the access token it came with, all in one
 * statement: good means unused, its session not ended, its user neither locked nor deactivated, its client one that
 * authenticates with `authMethod` and may refresh. No row otherwise, or when another request was first;
 * `findRefreshToken` tells which.
 */
export const rotateRefreshToken = (
  sql: Db,
  rotation: NewPair & { hash: Uint8Array; clientId: string; authMethod: string },
) => sql<{ session_id: string; scope: string[] }[]>`
  with good as (
    select r.id, r.access_token_id, r.session_id, s.scope
    from latchkey.refresh_tokens r
      join latchkey.oauth_sessions s on s.id = r.session_id
      join latchkey.clients c on c.id = s.client_id
      left join latchkey.users u on u.id = s.user_id
    where r.token_hash = ${rotation.hash} and r.consumed_at is null and s.finished_at is null
      and (s.user_id is null or (u.locked_at is null and u.deactivated_at is null))
      and c.id = ${rotation.clientId} and c.auth_method = ${rotation.authMethod}
      and 'refresh_token' = any (c.grant_types)),
  consumed as (
    update latchkey.refresh_tokens r set consumed_at = ${rotation.now}, next_id = ${rotation.refreshId}
    from good where r.id = good.id and r.consumed_at is null
    returning good.session_id, good.access_token_id, good.scope, r.consumed_at as now, r.next_id),
  revoked as (
    update latchkey.access_tokens a set revoked_at = consumed.now
    from consumed where a.id = consumed.access_token_id and a.revoked_at is null),
  access as (
    insert into latchkey.access_tokens (id, session_id, token_hash, created_at, expires_at)
    select ${rotation.accessId}::uuid, session_id, ${rotation.accessHash}::bytea, now,
      ${rotation.expiresAt}::timestamptz
    from consumed),
  refresh as (
    insert into latchkey.refresh_tokens (id, session_id, access_token_id, token_hash, created_at)
    select next_id, session_id, ${rotation.accessId}::uuid, ${rotation.refreshHash}::bytea, now
    from consumed)
  select session_id, scope from consumed`

/**
 * Gives the unused successor of a consumed token out again: its digests are written anew, so that it also works after
 * the key that they derive from changed, and its access token lives from now. No row, and nothing written, when it was
 * used meanwhile. Locks in the order of `rotateRefreshToken`, the refresh token first.
 */
export const renewSuccessor = (
  sql: Db,
  renewal: { refreshId: string; accessHash: Uint8Array; refreshHash: Uint8Array; expiresAt: Date },
) => sql<{ id: string }[]>`
  with successor as (
    select id, access_token_id from latchkey.refresh_tokens
    where id = ${renewal.refreshId} and consumed_at is null
    for update),
  access as (
    update latchkey.access_tokens a set token_hash = ${renewal.accessHash}, expires_at = ${renewal.expiresAt}
    from successor where a.id = successor.access_token_id and a.first_used_at is null
    returning successor.id)
  update latchkey.refresh_tokens r set token_hash = ${renewal.refreshHash}
  from access where r.id = access.id
  returning r.id`

/** The session of an access or refresh token in any state, for revocation. */
export const findTokenSession = (sql: Db, hash: Uint8Array, kind: 'access' | 'refresh') => {
  const table = kind === 'access' ? sql`latchkey.access_tokens` : sql`latchkey.refresh_tokens`
  return sql<{ session_id: string; client_id: string }[]>`
    select s.id as session_id, s.client_id
    from ${table} t join latchkey.oauth_sessions s on s.id = t.session_id
    where t.token_hash = ${hash}`
}

import type { Db } from './connect.ts'
import { formatArray } from './types.ts'

/**
 * Seconds since 1970, for `to_timestamp`: PostgreSQL takes 4 µs to read a date from text, which is a tenth of what it
 * does for an introspection.
 */
const seconds = (time: Date): number => time.getTime() / 1000

/** What a token stands for, when it is good. */
export interface ActiveTokenRow {
  id: string
  /** Seconds since 1970, as the wire has them: reading a Date from text is slow, and this is the hot path. */
  expires_at: number | null
  unused: boolean
  session_id: string
  /** Space-separated. */
  scope: string
  client_id: string
  user_id: string | null
  username: string | null
  /** The key that the pair is bound to, if it is (RFC 9449 section 6). */
  dpop_jkt: string | null
}

/**
 * The access tokens of some digests, each only if it is good: not expired or replaced, its session not ended, its user
 * neither locked nor deactivated. `at` is the place of its digest, from 1. This is the hot path: one round trip, no write.
 * The lookups stand behind a `limit`, so that each goes by the indexes, whatever the planner thinks of a list; and the list
 * in a `select` of its own, or it would plan anew for every short list, which takes longer than to answer it.
 */
export const findActiveAccessTokens = (sql: Db, hashes: readonly Uint8Array[], now: Date) => sql<
  (ActiveTokenRow & { at: number })[]
>`
  select asked.at::int4 as at, found.*
  from unnest((select ${formatArray(hashes)}::bytea[])) with ordinality asked (hash, at)
    cross join lateral (
      select t.session_id, t.id, date_part('epoch', t.expires_at) as expires_at, t.first_used_at is null as unused,
        array_to_string(s.scope, ' ') as scope, s.client_id, s.user_id, u.username, t.dpop_jkt
      from latchkey.tokens t
        join latchkey.oauth_sessions s on s.id = t.session_id
        left join latchkey.users u on u.id = s.user_id
      where t.access_hash = asked.hash and t.expires_at > to_timestamp(${seconds(now)}) and t.consumed_at is null
        and s.finished_at is null and (s.user_id is null or (u.locked_at is null and u.deactivated_at is null))
      limit 1) found`

/** The refresh token of a digest, only if it is good. To ask about it is no use of its pair. */
export const findActiveRefreshToken = (sql: Db, hash: Uint8Array) => sql<ActiveTokenRow[]>`
  select t.session_id, t.id, null::float8 as expires_at, false as unused,
    array_to_string(s.scope, ' ') as scope, s.client_id, s.user_id, u.username, t.dpop_jkt
  from latchkey.tokens t
    join latchkey.oauth_sessions s on s.id = t.session_id
    left join latchkey.users u on u.id = s.user_id
  where t.refresh_hash = ${hash} and t.consumed_at is null and s.finished_at is null
    and (s.user_id is null or (u.locked_at is null and u.deactivated_at is null))`

/** Records the first use of an access token: from then on its predecessor cannot be retried (decision 7). */
export const markFirstUse = (sql: Db, token: { session_id: string; id: string }, now: Date) => sql`
  update latchkey.tokens set first_used_at = ${now}
  where session_id = ${token.session_id} and id = ${token.id} and first_used_at is null`

/** Gives a session its first tokens; `refreshHash` is null where there is an access token alone. */
export const insertTokenPair = (
  sql: Db,
  pair: {
    sessionId: string
    id: string
    accessHash: Uint8Array
    refreshHash: Uint8Array | null
    expiresAt: Date
    /** The key that it is bound to, if it is. */
    dpopJkt?: string | undefined
  },
) => sql`
  insert into latchkey.tokens (session_id, id, access_hash, refresh_hash, expires_at, dpop_jkt)
  values (${pair.sessionId}, ${pair.id}, ${pair.accessHash}, ${pair.refreshHash}, ${pair.expiresAt},
    ${pair.dpopJkt ?? null})`

/** A refresh token as presented, with its session, its user and the state of its successor. */
export interface RefreshRow {
  session_id: string
  client_id: string
  scope: string
  finished_at: Date | null
  user_id: string | null
  locked_at: Date | null
  deactivated_at: Date | null
  consumed_at: Date | null
  next_id: string | null
  next_consumed_at: Date | null
  next_first_used_at: Date | null
  dpop_jkt: string | null
  next_dpop_jkt: string | null
}

/** The refresh token of a digest in any state. */
export const findRefreshToken = (sql: Db, hash: Uint8Array) => sql<RefreshRow[]>`
  select t.session_id, s.client_id, array_to_string(s.scope, ' ') as scope, s.finished_at, s.user_id, u.locked_at, u.deactivated_at,
    t.consumed_at, t.next_id, n.consumed_at as next_consumed_at, n.first_used_at as next_first_used_at,
    t.dpop_jkt, n.dpop_jkt as next_dpop_jkt
  from latchkey.tokens t
    join latchkey.oauth_sessions s on s.id = t.session_id
    left join latchkey.users u on u.id = s.user_id
    left join latchkey.tokens n on n.session_id = t.session_id and n.id = t.next_id
  where t.refresh_hash = ${hash}`

/** The pair that replaces another. */
export interface Successor {
  id: string
  accessHash: Uint8Array
  refreshHash: Uint8Array
  expiresAt: Date
  /** The key that was proven, if one was: it binds the pair. */
  dpopJkt: string | undefined
}

/** A refresh token as a client presents it, and the pair that would replace its own. */
export interface Rotation {
  hash: Uint8Array
  clientId: string
  next: Successor
}

/**
 * Replaces the pairs of good refresh tokens by their successors, in one statement; their access tokens end with them. Good
 * means unused, its session not ended, its user neither locked nor deactivated, its client one that authenticates with
 * `authMethod` and may refresh, and, if nothing but its token says who it is, has proven the key that the token is bound
 * to, or some key if it registered that it always will. No row for any other, or when another request was first;
 * `findRefreshToken` tells which. `at` is the place of the rotation, from 1.
 *
 * `waits` for a token that another transaction holds, which only one rotation may do: several would wait for each other.
 */
export const rotateRefreshTokens = (
  sql: Db,
  rotations: readonly Rotation[],
  { authMethod, now, waits }: { authMethod: string; now: Date; waits: boolean },
) => {
  const list = (of: (rotation: Rotation) => unknown) => formatArray(rotations.map(of))
  return sql<{ at: number; session_id: string; scope: string }[]>`
  with good as materialized (
    select asked.*, t.session_id, t.id, array_to_string(s.scope, ' ') as scope
    from unnest((select ${list(({ hash }) => hash)}::bytea[]), (select ${list(({ clientId }) => clientId)}::uuid[]),
        (select ${list(({ next }) => next.id)}::uuid[]), (select ${list(({ next }) => next.accessHash)}::bytea[]),
        (select ${list(({ next }) => next.refreshHash)}::bytea[]),
        (select ${list(({ next }) => seconds(next.expiresAt))}::float8[]),
        (select ${list(({ next }) => next.dpopJkt ?? null)}::text[]))
        with ordinality asked (hash, client_id, next_id, access_hash, refresh_hash, expires_at, jkt, at)
      join latchkey.tokens t on t.refresh_hash = asked.hash
      join latchkey.oauth_sessions s on s.id = t.session_id
      join latchkey.clients c on c.id = s.client_id
      left join latchkey.users u on u.id = s.user_id
    where t.consumed_at is null and s.finished_at is null
      and (s.user_id is null or (u.locked_at is null and u.deactivated_at is null))
      and c.id = asked.client_id and c.auth_method = ${authMethod} and 'refresh_token' = any (c.grant_types)
      and (c.auth_method <> 'none'
        or case when asked.jkt is null
          then t.dpop_jkt is null and c.metadata -> 'dpop_bound_access_tokens' is distinct from 'true'
          else coalesce(t.dpop_jkt, asked.jkt) = asked.jkt end)
    for update of t ${waits ? sql`` : sql`skip locked`}),
  consumed as (
    update latchkey.tokens t set consumed_at = to_timestamp(${seconds(now)}), next_id = good.next_id
    from good where t.session_id = good.session_id and t.id = good.id
    returning good.*),
  successor as (
    insert into latchkey.tokens (session_id, id, access_hash, refresh_hash, expires_at, dpop_jkt)
    select session_id, next_id, access_hash, refresh_hash, to_timestamp(expires_at), jkt from consumed)
  select at::int4 as at, session_id, scope from consumed`
}

/**
 * Gives the session of a good refresh token of a client one more access token, and leaves the refresh token as it is. Those
 * that ran out before `before` are cleared away. No row when the refresh token is not good; `findRefreshToken` tells why.
 */
export const insertAccessToken = (
  sql: Db,
  presented: { hash: Uint8Array; clientId: string; before: Date },
  access: { id: string; accessHash: Uint8Array; expiresAt: Date; dpopJkt: string | undefined },
) => sql<{ session_id: string; scope: string }[]>`
  with good as (
    select t.session_id, array_to_string(s.scope, ' ') as scope
    from latchkey.tokens t
      join latchkey.oauth_sessions s on s.id = t.session_id
      left join latchkey.users u on u.id = s.user_id
    where t.refresh_hash = ${presented.hash} and t.consumed_at is null and s.finished_at is null
      and (s.user_id is null or (u.locked_at is null and u.deactivated_at is null))
      and s.client_id = ${presented.clientId}),
  expired as (
    delete from latchkey.tokens o using good
    where o.session_id = good.session_id and o.refresh_hash is null and o.expires_at < ${presented.before}),
  added as (
    insert into latchkey.tokens (session_id, id, access_hash, expires_at, dpop_jkt)
    select session_id, ${access.id}, ${access.accessHash}::bytea, ${access.expiresAt}, ${access.dpopJkt ?? null}
    from good)
  select session_id, scope from good`

/**
 * Gives the unused successor of a consumed token out again: its digests are written anew, so that it also works after
 * the key that they derive from changed, and its access token lives from now. It stays bound as it was, unless `rebind`:
 * then to the key of this request. No row, and nothing written, when it was used meanwhile.
 */
export const renewSuccessor = (sql: Db, sessionId: string, next: Successor, rebind: boolean) => sql<
  { dpop_jkt: string | null }[]
>`
  update latchkey.tokens
  set access_hash = ${next.accessHash}, refresh_hash = ${next.refreshHash}, expires_at = ${next.expiresAt},
    dpop_jkt = case when ${rebind} then ${next.dpopJkt ?? null} else dpop_jkt end
  where session_id = ${sessionId} and id = ${next.id} and consumed_at is null and first_used_at is null
  returning dpop_jkt`

/** The session of an access or refresh token in any state, for revocation. */
export const findTokenSession = (sql: Db, hash: Uint8Array, kind: 'access' | 'refresh') => sql<
  { session_id: string; client_id: string }[]
>`
  select s.id as session_id, s.client_id
  from latchkey.tokens t join latchkey.oauth_sessions s on s.id = t.session_id
  where ${kind === 'access' ? sql`t.access_hash` : sql`t.refresh_hash`} = ${hash}`

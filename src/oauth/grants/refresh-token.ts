import type { ClientRow } from '../../../sql/clients.ts'
import { isOutage } from '../../../sql/outage.ts'
import {
  findRefreshToken,
  insertAccessToken,
  type RefreshRow,
  type Rotation,
  renewSuccessor,
  rotateRefreshTokens,
} from '../../../sql/tokens.ts'
import { successorPair } from '../../crypto/successor.ts'
import { newToken, parseToken, tokenDigest } from '../../crypto/tokens.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError, Unavailable } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { endAppSession } from '../../identity/sessions.ts'
import { noteTokenReuse } from '../../identity/token-reuse.ts'
import { addSeconds } from '../../lib/clock.ts'
import { gather } from '../../lib/gather.ts'
import { codeOf } from '../../lib/thrown.ts'
import { transact } from '../../lib/transact.ts'
import { newId } from '../../lib/ulid.ts'
import { mayRefresh, tokenTypeOf } from '../dpop.ts'
import { keepsRefreshToken } from '../fapi2.ts'
import type { TokenResponse } from '../token-response.ts'

type Needs = Pick<
  Deps,
  'config' | 'sql' | 'clock' | 'random' | 'secrets' | 'jobs' | 'activity' | 'rotations' | 'translate' | 'log'
>

/**
 * The refresh grant (RFC 6749 section 6) with a rotation that survives a lost response (decision 7). The successor pair
 * is derived from the presented token and the id of the successor's row, under a key of its own: whoever presents the
 * same token again while the successor is unused (a lost response, two tabs) gets the same pair, and nothing is stored
 * in clear. The first use of the successor freezes it. Clients under FAPI 2.0 keep their refresh token.
 *
 * @throws OAuthError unauthorized_client, invalid_grant; temporarily_unavailable for a locked user, whose session waits
 */
export async function refresh(
  deps: Needs,
  client: ClientRow,
  form: { refresh_token: string },
  jkt: string | undefined,
  requester: Requester,
): Promise<TokenResponse> {
  if (!client.grant_types.includes('refresh_token')) throw new OAuthError('unauthorized_client')
  const presented = form.refresh_token
  if (parseToken(presented) !== 'mar') throw new OAuthError('invalid_grant', { cause: 'no refresh token' })
  const hash = tokenDigest(presented)
  const proven = { client, presented, jkt, requester }
  // Every pass either answers or finds the token in a later state, of which there are two.
  for (let pass = 0; pass < 3; pass++) {
    const used = keepsRefreshToken(client) ? await keep(deps, proven) : await rotate(deps, proven)
    const answer = used ?? (await repeat(deps, proven, (await findRefreshToken(deps.sql, hash))[0]))
    if (answer) return note(deps, answer, requester)
  }
  // Not invalid_grant, which would sign the app out for our trouble.
  throw new Unavailable('database', { cause: new Error('the token kept changing') })
}

/**
 * The usual refresh of a public client in one statement, which also checks that the client is a public one: there is
 * nothing else to authenticate. Undefined whenever something is unusual; `refresh` then finds out what.
 */
export async function refreshPublic(
  deps: Needs,
  clientId: string,
  presented: string | undefined,
  jkt: string | undefined,
  requester: Requester,
): Promise<TokenResponse | undefined> {
  if (presented === undefined || parseToken(presented) !== 'mar') return undefined
  const { rotation, answer } = prepare(deps, {
    client: { id: clientId, auth_method: 'none' },
    presented,
    jkt,
    requester,
  })
  const row = await deps.rotations(rotation)
  return row && note(deps, answer(row, jkt ?? null), requester)
}

/** Replaces the pair of a good refresh token of a public client; undefined for any other, and for one that is in use. */
export type Rotations = (rotation: Rotation) => Promise<{ session_id: string; scope: string } | undefined>

/**
 * Rotates for public clients. What comes while two statements are under way goes together in the next: one commit for all
 * of them. An accident of one is not the others': they are left to `refresh`, which takes them one by one.
 */
export const createRotations = ({ sql, clock }: Pick<Deps, 'sql' | 'clock'>): Rotations =>
  gather(
    async (rotations) => {
      const rows: Awaited<ReturnType<Rotations>>[] = new Array(rotations.length)
      const options = { authMethod: 'none', now: clock.now(), waits: false }
      try {
        for (const row of await rotateRefreshTokens(sql, rotations, options)) rows[row.at - 1] = row
      } catch (error) {
        const conflict = codeOf(error)?.startsWith('40')
        if (rotations.length === 1 || (isOutage(error) && !conflict)) throw error
      }
      return rows
    },
    { atOnce: 2, atMost: 100 },
  )

/** Seconds that an access token which ran out can still be revoked, and its session with it. */
const KEPT = 24 * 3600
/** Seconds after which an app may ask whether its account was unlocked. */
const LOCKED_RETRY = 60

/** Who presents a refresh token, and the key that was proven with it, if one was (RFC 9449 section 5). */
interface Presented {
  client: Pick<ClientRow, 'id' | 'auth_method'>
  presented: string
  jkt: string | undefined
  requester: Requester
}

/** What a session gets for a refresh token. */
interface Answer {
  sessionId: string
  response: TokenResponse
}

function note(deps: Needs, answer: Answer, requester: Requester): TokenResponse {
  deps.activity.record('oauth', answer.sessionId, deps.clock.now(), requester.ip)
  return answer.response
}

/** The successor pair of a presented token, which has the row `id`. */
function successor(deps: Needs, { presented, jkt }: Presented, id: string, now: Date) {
  const expiresIn = deps.config.experimental.access_token_ttl
  const kinds = { access: 'mat', refresh: 'mar' } as const
  const {
    access,
    refresh,
    row: pair,
  } = successorPair(deps.secrets.refresh, kinds, presented, id, now, expiresIn)
  return {
    pair: { ...pair, dpopJkt: jkt },
    answer: (row: { session_id: string; scope: string }, boundTo: string | null): Answer => ({
      sessionId: row.session_id,
      response: {
        access_token: access,
        token_type: tokenTypeOf(row.scope.split(' '), boundTo),
        expires_in: expiresIn,
        refresh_token: refresh,
        scope: row.scope,
      },
    }),
  }
}

/** What the first use of a token would make of it, and the answer to that. */
function prepare(deps: Needs, proven: Presented) {
  const now = deps.clock.now()
  const { pair, answer } = successor(deps, proven, newId(now, deps.random), now)
  const rotation = { hash: tokenDigest(proven.presented), clientId: proven.client.id, next: pair }
  return { rotation, answer, now }
}

/** The first use of a good token; undefined for any other. */
async function rotate(deps: Needs, proven: Presented): Promise<Answer | undefined> {
  const { rotation, answer, now } = prepare(deps, proven)
  const options = { authMethod: proven.client.auth_method, now, waits: true }
  const [row] = await rotateRefreshTokens(deps.sql, [rotation], options)
  return row && answer(row, proven.jkt ?? null)
}

/** The use of a good token that is not replaced by it; undefined for any other. */
async function keep(deps: Needs, { client, presented, jkt }: Presented): Promise<Answer | undefined> {
  const now = deps.clock.now()
  const access = newToken('mat', deps.random)
  const expiresIn = deps.config.experimental.access_token_ttl
  const [row] = await insertAccessToken(
    deps.sql,
    { hash: tokenDigest(presented), clientId: client.id, before: addSeconds(now, -KEPT) },
    {
      id: newId(now, deps.random),
      accessHash: tokenDigest(access),
      expiresAt: addSeconds(now, expiresIn),
      dpopJkt: jkt,
    },
  )
  return (
    row && {
      sessionId: row.session_id,
      response: {
        access_token: access,
        token_type: tokenTypeOf(row.scope.split(' '), jkt),
        expires_in: expiresIn,
        refresh_token: presented,
        scope: row.scope,
      },
    }
  )
}

/** A token that was not good, or not any more; undefined when it is worth another try. */
async function repeat(
  deps: Needs,
  proven: Presented,
  row: RefreshRow | undefined,
): Promise<Answer | undefined> {
  if (!row) throw new OAuthError('invalid_grant', { cause: 'unknown token' })
  checkOwner(proven, row)
  if (row.finished_at || row.deactivated_at)
    throw new OAuthError('invalid_grant', { cause: 'the session has ended' })
  // Nothing is consumed, so that unlocking resumes the session. A 503, since apps take every 4xx of this endpoint for a
  // sign-out (Matrix specification, refresh token grant) and delete their keys with the session.
  if (row.locked_at)
    throw new OAuthError('temporarily_unavailable', {
      description: 'This account is locked.',
      retryAfter: LOCKED_RETRY,
    })
  if (!row.consumed_at) return undefined
  if (!row.next_id || row.next_consumed_at || row.next_first_used_at)
    return refuseReuse(deps, row, proven.requester)
  const { pair, answer } = successor(deps, proven, row.next_id, deps.clock.now())
  // Two keys for one pair that nobody used: two holders, where the token says nothing about which is the right one.
  if (!mayRefresh(proven.client, row.next_dpop_jkt, proven.jkt))
    return refuseReuse(deps, row, proven.requester)
  const rebind = proven.client.auth_method !== 'none'
  const [renewed] = await renewSuccessor(deps.sql, row.session_id, pair, rebind)
  return renewed && answer(row, renewed.dpop_jkt)
}

/**
 * The token is the client's, and bound to no other key than the proven one. Whoever lacks the key can do nothing with the
 * token, not even have its session ended as stolen.
 */
function checkOwner({ client, jkt }: Presented, row: RefreshRow): void {
  if (row.client_id !== client.id) throw new OAuthError('invalid_grant', { cause: 'token of another client' })
  if (!mayRefresh(client, row.dpop_jkt, jkt))
    throw new OAuthError('invalid_grant', {
      description: 'The refresh token is bound to a key that the request does not prove.',
    })
}

/** A token whose successor was used: a stolen one, or an app restored from a backup (decision 7). */
async function refuseReuse(deps: Needs, row: RefreshRow, requester: Requester): Promise<never> {
  const ended = deps.config.oauth.refresh_token_reuse === 'end_session'
  await transact(deps.sql, async (tx) => {
    if (ended) await endAppSession(deps, tx, row.session_id)
    await noteTokenReuse(deps, tx, { id: row.session_id, userId: row.user_id, ended }, requester)
  })
  throw new OAuthError('invalid_grant', { cause: 'the successor of the token was used' })
}

import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import {
  type CompatRefreshRow,
  findCompatRefreshToken,
  renewCompatSuccessor,
  rotateCompatToken,
} from '../../../sql/compat-tokens.ts'
import { type SuccessorPair, successorPair } from '../../crypto/successor.ts'
import { parseToken, tokenDigest } from '../../crypto/tokens.ts'
import type { Deps } from '../../deps.ts'
import { apiCors } from '../../http/cors.ts'
import { MatrixError, Unavailable } from '../../http/errors.ts'
import { json } from '../../http/reply.ts'
import { type Requester, requesterOf } from '../../http/requester.ts'
import type { Route } from '../../http/route.ts'
import { endCompatSession } from '../../identity/sessions.ts'
import { noteTokenReuse } from '../../identity/token-reuse.ts'
import { transact } from '../../lib/transact.ts'
import { newId } from '../../lib/ulid.ts'
import { readBody } from './body.ts'
import { userLocked } from './errors.ts'

const RefreshRequest = TypeCompiler.Compile(Type.Object({ refresh_token: Type.String() }))

type Needs = Pick<
  Deps,
  | 'config'
  | 'sql'
  | 'clock'
  | 'random'
  | 'secrets'
  | 'jobs'
  | 'activity'
  | 'translate'
  | 'log'
  | 'peers'
  | 'trustedProxies'
>

/** What a session gets for a refresh token. */
interface Answer {
  sessionId: string
  pair: SuccessorPair
}

/**
 * POST /_matrix/client/{version}/refresh (reference 9.4). The rotation is that of OAuth: while the new pair is unused
 * the old token gives it out again, so that a lost answer signs nobody out (decision 8).
 */
async function refresh(deps: Needs, request: Request): Promise<Response> {
  const { refresh_token: presented } = await readBody(request, RefreshRequest)
  const form = parseToken(presented)
  if (form !== 'mcr' && form !== 'syr') throw invalidToken('no refresh token')
  const requester = requesterOf(deps, request)
  const { sessionId, pair } = await replace(deps, presented, requester)
  deps.activity.record('compat', sessionId, deps.clock.now(), requester.ip)
  return json({
    access_token: pair.access,
    refresh_token: pair.refresh,
    expires_in_ms: deps.config.experimental.compat_token_ttl * 1000,
  })
}

/** @throws MatrixError M_UNKNOWN_TOKEN, M_USER_LOCKED; Unavailable */
async function replace(deps: Needs, presented: string, requester: Requester): Promise<Answer> {
  const hash = tokenDigest(presented)
  // Every pass either answers or finds the token in a later state, of which there are two.
  for (let pass = 0; pass < 3; pass++) {
    const now = deps.clock.now()
    const pair = successor(deps, presented, newId(now, deps.random), now)
    const [rotated] = await rotateCompatToken(deps.sql, { hash, now }, pair.row)
    if (rotated) return { sessionId: rotated.session_id, pair }
    const [row] = await findCompatRefreshToken(deps.sql, hash)
    const again = await repeat(deps, row, presented, requester)
    if (again) return again
  }
  // Not M_UNKNOWN_TOKEN, which would sign the client out for our trouble.
  throw new Unavailable('database', { cause: new Error('the token kept changing') })
}

const successor = (deps: Needs, presented: string, id: string, now: Date): SuccessorPair =>
  successorPair(
    deps.secrets.refresh,
    { access: 'mct', refresh: 'mcr' },
    presented,
    id,
    now,
    deps.config.experimental.compat_token_ttl,
  )

/** A token that was not good, or not any more; undefined when it is worth another try. */
async function repeat(
  deps: Needs,
  row: CompatRefreshRow | undefined,
  presented: string,
  requester: Requester,
): Promise<Answer | undefined> {
  if (!row) throw invalidToken('unknown token')
  if (row.finished_at || row.deactivated_at) throw invalidToken('the session has ended')
  // Nothing is consumed, so that unlocking resumes the session.
  if (row.locked_at) throw userLocked()
  if (!row.consumed_at) return undefined
  if (!row.next_id || row.next_consumed_at || row.next_first_used_at) return refuseReuse(deps, row, requester)
  const pair = successor(deps, presented, row.next_id, deps.clock.now())
  const [renewed] = await renewCompatSuccessor(deps.sql, row.session_id, pair.row)
  return renewed && { sessionId: row.session_id, pair }
}

/** A token whose successor was used: a stolen one, or a client restored from a backup (decision 7). */
async function refuseReuse(deps: Needs, row: CompatRefreshRow, requester: Requester): Promise<never> {
  const ended = deps.config.oauth.refresh_token_reuse === 'end_session'
  await transact(deps.sql, async (tx) => {
    if (ended) await endCompatSession(deps, tx, row.session_id)
    await noteTokenReuse(deps, tx, { id: row.session_id, userId: row.user_id, ended }, requester)
  })
  throw invalidToken('the successor of the token was used')
}

const invalidToken = (cause: string): MatrixError =>
  new MatrixError('M_UNKNOWN_TOKEN', 401, 'Invalid refresh token', { cause })

export const compatRefreshRoutes = (deps: Deps): Route[] => [
  {
    method: 'POST',
    path: '/_matrix/client/{version}/refresh',
    cors: apiCors,
    handle: (request) => refresh(deps, request),
  },
]

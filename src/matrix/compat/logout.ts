import { finishCompatSessions } from '../../../sql/compat-sessions.ts'
import { findCompatSignOut } from '../../../sql/compat-tokens.ts'
import { parseToken, tokenDigest } from '../../crypto/tokens.ts'
import type { Deps } from '../../deps.ts'
import { apiCors } from '../../http/cors.ts'
import { MatrixError, NotFound } from '../../http/errors.ts'
import { readPageQuery, readText } from '../../http/params.ts'
import { json } from '../../http/reply.ts'
import type { Route } from '../../http/route.ts'
import { endCompatSession } from '../../identity/sessions.ts'
import { transact } from '../../lib/transact.ts'
import type { Counter } from '../../telemetry/metrics.ts'
import { userLocked } from './errors.ts'

type SignOut = Awaited<ReturnType<typeof findCompatSignOut>>[number]

/**
 * The session of the access token of a request; tokens of OAuth clients are none, they are revoked (reference 9.5).
 * Also from the query, where the oldest clients put it.
 *
 * @throws MatrixError M_MISSING_TOKEN, M_UNKNOWN_TOKEN
 */
async function sessionOf(deps: Pick<Deps, 'sql' | 'clock'>, request: Request): Promise<SignOut> {
  const header = request.headers.get('authorization')
  const token =
    header === null
      ? readPageQuery(request).access_token
      : /^bearer +([\x21-\x7e]+)$/i.exec(header.trim())?.[1]
  if (token === undefined || token === '')
    throw new MatrixError('M_MISSING_TOKEN', 401, 'The request has no access token.')
  const form = parseToken(token)
  const [session] =
    form === 'mct' || form === 'syt' || form === 'macaroon'
      ? await findCompatSignOut(deps.sql, tokenDigest(token), deps.clock.now())
      : []
  if (!session) throw new MatrixError('M_UNKNOWN_TOKEN', 401, 'The access token is not valid.')
  return session
}

/** POST /_matrix/client/{version}/logout: ends this session. Somebody who is locked may do so too. */
async function logout(deps: Deps, request: Request): Promise<Response> {
  const session = await sessionOf(deps, request)
  await transact(deps.sql, (tx) => endCompatSession(deps, tx, session.session_id))
  deps.log.info('session.ended', { user_id: session.user_id, session_id: session.session_id })
  return json({})
}

/**
 * POST /_matrix/client/{version}/logout/all: unknown, unless the client says that it means sessions of legacy clients
 * alone. Clients call it after a change of password, where ending everything would surprise (edge 51).
 */
async function logoutAll(deps: Deps, request: Request): Promise<Response> {
  const session = await sessionOf(deps, request)
  if (session.locked_at) throw userLocked()
  if (!(await wantsLegacyOnly(request))) throw new NotFound()
  const ended = await transact(deps.sql, async (tx) => {
    const sessions = await finishCompatSessions(tx, session.user_id, deps.clock.now())
    await deps.jobs.enqueue(tx, 'sync-devices', { user_id: session.user_id })
    return sessions.length
  })
  deps.log.info('user.legacy_sessions_ended', { user_id: session.user_id, sessions: ended })
  return json({})
}

async function wantsLegacyOnly(request: Request): Promise<boolean> {
  try {
    const body: unknown = JSON.parse((await readText(request)) ?? '')
    return (body as Record<string, unknown> | null)?.['io.element.only_compat_is_fine'] === true
  } catch {
    return false
  }
}

/** Counts how a request ended. */
async function counted(counter: Counter, run: () => Promise<Response>): Promise<Response> {
  try {
    const response = await run()
    counter.add('success')
    return response
  } catch (error) {
    counter.add(error instanceof MatrixError || error instanceof NotFound ? 'failure' : 'error')
    throw error
  }
}

export const compatLogoutRoutes = (deps: Deps): Route[] => [
  {
    method: 'POST',
    path: '/_matrix/client/{version}/logout',
    cors: apiCors,
    handle: (request) => counted(deps.metrics.legacyLogouts, () => logout(deps, request)),
  },
  {
    method: 'POST',
    path: '/_matrix/client/{version}/logout/all',
    cors: apiCors,
    handle: (request) => counted(deps.metrics.legacyLogoutsEverywhere, () => logoutAll(deps, request)),
  },
]

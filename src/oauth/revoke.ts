import { Type } from '@sinclair/typebox'
import { finishOAuthSession } from '../../sql/oauth-sessions.ts'
import { findTokenSession } from '../../sql/tokens.ts'
import { parseToken, tokenDigest } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { check, params, parseForm, readFormText } from '../http/params.ts'
import { empty } from '../http/reply.ts'
import { requesterOf } from '../http/requester.ts'
import type { Route } from '../http/route.ts'
import { transact } from '../lib/transact.ts'
import { authenticateClient } from './client-auth.ts'

const RevocationRequest = params(
  Type.Object({ token: Type.String(), token_type_hint: Type.Optional(Type.String()) }),
)

/**
 * POST /oauth2/revoke (RFC 7009, reference section 1.2): ends the whole session of either token. Every token that is not
 * good any more is answered as if it were, so that a second try is no error.
 */
export async function revoke(deps: Deps, request: Request): Promise<Response> {
  const form = parseForm(await readFormText(request))
  const client = await authenticateClient(
    deps,
    request.headers.get('authorization'),
    form,
    requesterOf(deps, request),
  )
  const { token, token_type_hint: hint } = check(RevocationRequest, form)
  const kind = parseToken(token)
  if (kind !== undefined && hint !== undefined && hint !== 'access_token' && hint !== 'refresh_token')
    throw new OAuthError('unsupported_token_type')
  if (kind !== 'mat' && kind !== 'mar') return empty(200)
  const type = kind === 'mat' ? 'access' : 'refresh'
  if (hint !== undefined && hint !== `${type}_token`) return empty(200)
  const [row] = await findTokenSession(deps.sql, tokenDigest(token), type)
  if (!row) return empty(200)
  if (row.client_id !== client.id)
    throw new OAuthError('unauthorized_client', { description: 'The token was issued to another client.' })
  const now = deps.clock.now()
  if (row.finished_at || (row.spent_at && row.spent_at <= now)) return empty(200)
  await transact(deps.sql, async (tx) => {
    const [ended] = await finishOAuthSession(tx, row.session_id, now)
    if (ended?.user_id && ended.device_id)
      await deps.jobs.enqueue(tx, 'sync-devices', { user_id: ended.user_id })
  })
  deps.log.info('session.revoked', { session_id: row.session_id })
  return empty(200)
}

export const revocationRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/oauth2/revoke', cors: apiCors, handle: (request) => revoke(deps, request) },
]

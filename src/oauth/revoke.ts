import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { findTokenSession } from '../../sql/tokens.ts'
import { parseToken, tokenDigest } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { checkParams, readForm } from '../http/params.ts'
import { empty } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { endAppSession } from '../identity/sessions.ts'
import { transact } from '../lib/transact.ts'
import { authenticateClient } from './client-auth.ts'

const RevocationRequest = TypeCompiler.Compile(
  Type.Object({ token: Type.String(), token_type_hint: Type.Optional(Type.String()) }),
)

/**
 * POST /oauth2/revoke (RFC 7009, reference 1.2): ends the whole session of either token. An expired or replaced
 * token does so too (MAS leaves the session alive): an app that lost the answer to its last refresh still means to sign
 * out. Unknown tokens are answered as if they were good, so that a second try is no error.
 */
async function revoke(deps: Deps, request: Request): Promise<Response> {
  const form = await readForm(request)
  const client = await authenticateClient(deps, request, form)
  const { token, token_type_hint: hint } = checkParams(RevocationRequest, form)
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
  const ended = await transact(deps.sql, (tx) => endAppSession(deps, tx, row.session_id))
  if (ended) deps.log.info('session.revoked', { session_id: row.session_id })
  return empty(200)
}

export const revocationRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/oauth2/revoke', cors: apiCors, handle: (request) => revoke(deps, request) },
]

import { findClient } from '../../sql/clients.ts'
import { parseToken } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { FORM, mediaType, readForm, readQuery } from '../http/params.ts'
import { empty, json } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { useAccessToken } from './access-token.ts'
import { personClaims } from './person-claims.ts'

/** GET and POST /oauth2/userinfo (OpenID Connect Core section 5.3, reference 1.2). */
async function userinfo(deps: Deps, request: Request): Promise<Response> {
  const token = await readToken(request)
  if (token === 'malformed') return empty(400, { 'www-authenticate': 'Bearer error="invalid_request"' })
  const row =
    token !== undefined && parseToken(token) === 'mat'
      ? await useAccessToken(deps, token, deps.clock.now())
      : undefined
  const scope = row?.scope.split(' ') ?? []
  if (!row?.user_id || !row.username || !scope.includes('openid')) return empty(401)
  const claims = {
    sub: ulidFromUuid(row.user_id),
    username: row.username,
    ...(await personClaims(deps.sql, row.session_id, scope)),
  }
  const [client] = await findClient(deps.sql, row.client_id)
  const alg = client?.metadata.userinfo_signed_response_alg
  if (alg === undefined) return json(claims)
  const signed = await deps.keys.sign(
    { iss: deps.urls.issuer, aud: ulidFromUuid(row.client_id), ...claims },
    { alg, typ: 'JWT' },
  )
  return new Response(signed, { headers: { 'content-type': 'application/jwt', 'cache-control': 'no-store' } })
}

/** RFC 6750 section 2: the header or the form, never both. A token in the query is refused: it would be logged. */
async function readToken(request: Request): Promise<string | undefined | 'malformed'> {
  const header = request.headers.get('authorization')
  const bearer = /^bearer +([\x21-\x7e]+)$/i.exec(header ?? '')?.[1]
  if (header !== null && bearer === undefined) return 'malformed'
  try {
    if (readQuery(request).access_token !== undefined) return 'malformed'
    // Any other body says nothing about the token (RFC 6750 section 2.2).
    if (request.method !== 'POST' || mediaType(request) !== FORM) return bearer
    const { access_token: inForm } = await readForm(request)
    return inForm !== undefined && bearer !== undefined ? 'malformed' : (inForm ?? bearer)
  } catch (error) {
    if (error instanceof OAuthError) return 'malformed'
    throw error
  }
}

export const userinfoRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/oauth2/userinfo', cors: apiCors, handle: (request) => userinfo(deps, request) },
  { method: 'POST', path: '/oauth2/userinfo', cors: apiCors, handle: (request) => userinfo(deps, request) },
]

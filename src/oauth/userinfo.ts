import { findClient } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { FORM, mediaType, readForm, readQuery } from '../http/params.ts'
import { empty, json } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { authenticateAccessToken, type Credentials, readCredentials } from './access-token.ts'
import { personClaims } from './person-claims.ts'

/** GET and POST /oauth2/userinfo (OpenID Connect Core section 5.3, reference 1.2; with DPoP RFC 9449 section 7). */
async function userinfo(deps: Deps, request: Request): Promise<Response> {
  const credentials = await readToken(request)
  if (credentials === 'malformed') return empty(400, { 'www-authenticate': 'Bearer error="invalid_request"' })
  // Without a challenge, as MAS answers.
  if (!credentials) return empty(401)
  const address = deps.urls.absolute('/oauth2/userinfo')
  const row = await authenticateAccessToken(deps, request, address, credentials)
  if ('status' in row)
    return empty(row.status, row.challenge === undefined ? {} : { 'www-authenticate': row.challenge })
  const scope = row.scope.split(' ')
  if (!row.user_id || !row.username || !scope.includes('openid')) return empty(401)
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
async function readToken(request: Request): Promise<Credentials | undefined | 'malformed'> {
  const inHeader = readCredentials(request)
  if (inHeader === 'malformed') return 'malformed'
  try {
    if (readQuery(request).access_token !== undefined) return 'malformed'
    // Any other body says nothing about the token (RFC 6750 section 2.2).
    if (request.method !== 'POST' || mediaType(request) !== FORM) return inHeader
    const { access_token: inForm } = await readForm(request)
    if (inForm === undefined) return inHeader
    return inHeader ? 'malformed' : { scheme: 'Bearer', token: inForm }
  } catch (error) {
    if (error instanceof OAuthError) return 'malformed'
    throw error
  }
}

export const userinfoRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/oauth2/userinfo', cors: apiCors, handle: (request) => userinfo(deps, request) },
  { method: 'POST', path: '/oauth2/userinfo', cors: apiCors, handle: (request) => userinfo(deps, request) },
]

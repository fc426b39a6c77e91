import { Type } from '@sinclair/typebox'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { check, params, parseForm, readFormText } from '../http/params.ts'
import { json } from '../http/reply.ts'
import { requesterOf } from '../http/requester.ts'
import type { Route } from '../http/route.ts'
import { authenticateClient, publicClientOf } from './client-auth.ts'
import { exchangeCode } from './grants/authorization-code.ts'
import { refresh, refreshPublic } from './grants/refresh-token.ts'

const TokenRequest = params(
  Type.Object({ grant_type: Type.String() }, { additionalProperties: Type.String() }),
)
const CodeRequest = params(
  Type.Object({
    code: Type.String(),
    code_verifier: Type.Optional(Type.String()),
    redirect_uri: Type.Optional(Type.String()),
  }),
)
const RefreshRequest = params(Type.Object({ refresh_token: Type.String() }))

/** A successful answer (RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3). */
export interface TokenResponse {
  access_token: string
  token_type: 'Bearer'
  /** Seconds. */
  expires_in: number
  refresh_token?: string
  id_token?: string
  scope?: string
}

/** POST /oauth2/token (reference section 4). */
export async function token(deps: Deps, request: Request): Promise<Response> {
  const form = parseForm(await readFormText(request))
  const { grant_type } = check(TokenRequest, form)
  const authorization = request.headers.get('authorization')
  const requester = requesterOf(deps, request)
  const publicClient = grant_type === 'refresh_token' ? publicClientOf(authorization, form) : undefined
  if (publicClient !== undefined) {
    const refreshed = await refreshPublic(deps, publicClient, form.refresh_token, requester)
    if (refreshed) return json(refreshed)
  }
  const client = await authenticateClient(deps, authorization, form, requester)
  switch (grant_type) {
    case 'authorization_code':
      return json(await exchangeCode(deps, client, check(CodeRequest, form), requester))
    case 'refresh_token':
      return json(await refresh(deps, client, check(RefreshRequest, form), requester))
    default:
      throw new OAuthError('unsupported_grant_type')
  }
}

export const tokenRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/oauth2/token', cors: apiCors, handle: (request) => token(deps, request) },
]

import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { checkParams, type Params, readForm } from '../http/params.ts'
import { json } from '../http/reply.ts'
import { requesterOf } from '../http/requester.ts'
import type { Route } from '../http/route.ts'
import { authenticateClient, publicClientOf } from './client-auth.ts'
import { DEVICE_CODE_GRANT } from './device.ts'
import { keyOf, takeProof } from './dpop.ts'
import { exchangeCode } from './grants/authorization-code.ts'
import { grantToClient } from './grants/client-credentials.ts'
import { exchangeDeviceCode } from './grants/device-code.ts'
import { refresh, refreshPublic } from './grants/refresh-token.ts'
import { checkResources } from './resource.ts'

const TokenRequest = TypeCompiler.Compile(
  Type.Object({ grant_type: Type.String() }, { additionalProperties: Type.String() }),
)
const CodeRequest = TypeCompiler.Compile(
  Type.Object({
    code: Type.String(),
    code_verifier: Type.Optional(Type.String()),
    redirect_uri: Type.Optional(Type.String()),
  }),
)
const DeviceCodeRequest = TypeCompiler.Compile(Type.Object({ device_code: Type.String() }))
const ClientRequest = TypeCompiler.Compile(Type.Object({ scope: Type.Optional(Type.String()) }))
const RefreshRequest = TypeCompiler.Compile(Type.Object({ refresh_token: Type.String() }))

const GRANTS = ['authorization_code', 'refresh_token', DEVICE_CODE_GRANT, 'client_credentials']

/** POST /oauth2/token (reference 4). */
async function token(deps: Deps, request: Request): Promise<Response> {
  const form = await readForm(request)
  const { grant_type } = checkParams(TokenRequest, form)
  let result = 'error'
  try {
    const response = await grant(deps, request, form, grant_type)
    result = 'success'
    return response
  } finally {
    deps.metrics.tokenRequests.add(GRANTS.includes(grant_type) ? grant_type : 'unsupported', result)
  }
}

async function grant(deps: Deps, request: Request, form: Params, grant_type: string): Promise<Response> {
  const requester = requesterOf(deps, request)
  const proof = await takeProof(deps, request, deps.urls.absolute('/oauth2/token'))
  checkResources(form)
  const publicClient = grant_type === 'refresh_token' ? publicClientOf(request, form) : undefined
  if (publicClient !== undefined) {
    const refreshed = await refreshPublic(deps, publicClient, form.refresh_token, proof?.jkt, requester)
    if (refreshed) return json(refreshed)
  }
  const client = await authenticateClient(deps, request, form)
  const jkt = keyOf(client, proof)
  switch (grant_type) {
    case 'authorization_code':
      return json(await exchangeCode(deps, client, checkParams(CodeRequest, form), jkt, requester))
    case 'refresh_token':
      return json(await refresh(deps, client, checkParams(RefreshRequest, form), jkt, requester))
    case DEVICE_CODE_GRANT:
      return json(
        await exchangeDeviceCode(deps, client, checkParams(DeviceCodeRequest, form), jkt, requester),
      )
    case 'client_credentials':
      return json(await grantToClient(deps, client, checkParams(ClientRequest, form), jkt, requester))
    default:
      throw new OAuthError('unsupported_grant_type')
  }
}

export const tokenRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/oauth2/token', cors: apiCors, handle: (request) => token(deps, request) },
]

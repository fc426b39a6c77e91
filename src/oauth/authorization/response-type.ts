import type { ClientRow } from '../../../sql/clients.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import type { Params } from '../../http/params.ts'
import { isAdminApiScope } from '../../lib/admin-scope.ts'
import { isMatrixScope, SYNAPSE_ADMIN } from '../../lib/scope.ts'
import { isFapi2 } from '../fapi2.ts'

/** What an authorization request may ask for, in the order of words that OpenID Connect Core writes. */
const RESPONSE_TYPES = ['code', 'id_token', 'id_token token'] as const
export type ResponseType = (typeof RESPONSE_TYPES)[number]

const invalid = (description: string) => new OAuthError('invalid_request', { description })

/**
 * The response types that this deployment serves. The implicit flow puts tokens into an address, where histories and
 * scripts find them (RFC 9700 section 2.1.2), so it is off unless the operator needs it for clients that know nothing
 * else, or for the certification profile Dynamic.
 */
export const servedResponseTypes = ({ config }: Pick<Deps, 'config'>): readonly ResponseType[] =>
  config.oauth.implicit_flow ? RESPONSE_TYPES : ['code']

/** The response type of a request, whatever the order of its words (OAuth 2.0 Multiple Response Types section 3). */
export function readResponseType(text: string | undefined): ResponseType | undefined {
  const words = [...new Set(text?.split(' ').filter((word) => word !== ''))].sort().join(' ')
  return RESPONSE_TYPES.find((type) => type === words)
}

/**
 * Whether a request wants tokens in its answer, served or not: then the answer, an error too, comes in the fragment unless
 * the request says otherwise, and never in the query (Multiple Response Types section 5).
 */
export const wantsTokens = ({ response_type }: Params): boolean =>
  response_type?.split(' ').some((word) => word === 'id_token' || word === 'token') === true

/** @throws OAuthError invalid_request, unsupported_response_type, unauthorized_client */
export function checkResponseType(
  deps: Pick<Deps, 'config'>,
  client: ClientRow,
  params: Params,
): ResponseType {
  if (params.response_type === undefined) throw invalid('The parameter response_type is missing.')
  const type = readResponseType(params.response_type)
  if (type === undefined || !servedResponseTypes(deps).includes(type))
    throw new OAuthError('unsupported_response_type')
  if (type === 'code') {
    if (!client.grant_types.includes('authorization_code')) throw new OAuthError('unauthorized_client')
    return type
  }
  if (!client.grant_types.includes('implicit') || isFapi2(client)) throw new OAuthError('unauthorized_client')
  const registered = client.metadata.response_types
  if (Array.isArray(registered) && !registered.some((one) => readResponseType(String(one)) === type))
    throw new OAuthError('unauthorized_client')
  if (params.code_challenge !== undefined || params.code_challenge_method !== undefined)
    throw invalid('PKCE is for requests of a code.')
  if (params.nonce === undefined) throw invalid('The parameter nonce is missing.')
  return type
}

/**
 * What the implicit flow may not give: anything that acts as the person. OpenID Connect Core section 3.2 is about who
 * signed in, and for that alone it is here.
 *
 * @throws OAuthError invalid_scope
 */
export function checkImplicitScope(type: ResponseType, scope: readonly string[]): void {
  if (type === 'code') return
  const tooMuch = scope.some((one) => isMatrixScope(one) || one === SYNAPSE_ADMIN || isAdminApiScope(one))
  if (tooMuch || !scope.includes('openid'))
    throw new OAuthError('invalid_scope', {
      description: 'Without a code, the scope must have openid, and nothing of Matrix or administration.',
    })
}

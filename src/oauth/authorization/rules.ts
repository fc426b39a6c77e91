import type { ClientRow } from '../../../sql/clients.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import type { Params } from '../../http/params.ts'
import { hasDefaultAcr } from '../acr.ts'
import { isThumbprint } from '../dpop.ts'
import { mustNameRedirect, mustPush, mustUsePkce } from '../fapi2.ts'
import { isChallenge } from '../pkce.ts'
import { askedScope, isRegisteredScope } from '../registered-scope.ts'
import { checkResources } from '../resource.ts'
import { type ClaimsRequest, readClaims } from './claims.ts'
import type { AuthorizationRequest } from './request.ts'
import { checkImplicitScope, checkResponseType, type ResponseType } from './response-type.ts'

/** Characters of one parameter (`state`, `nonce`, …) that are kept. */
const OPAQUE_LIMIT = 4096
const OPAQUE = ['state', 'nonce', 'scope', 'login_hint', 'acr_values', 'claims']

/** `prompt` as OpenID Connect Core section 3.1.2.1 and "Initiating User Registration" know it. */
const PROMPTS = ['none', 'login', 'consent', 'select_account', 'create'] as const
export type Prompt = (typeof PROMPTS)[number]

/** An authorization request that was found to be in order. */
export interface CheckedRequest {
  params: Params
  responseType: ResponseType
  prompt: Prompt[]
  /** Seconds that the sign-in may lie back. */
  maxAge: number | undefined
  scope: string[]
  claims: ClaimsRequest
  acrRequested: boolean
  pushedDigest: Uint8Array | undefined
}

const invalid = (description: string) => new OAuthError('invalid_request', { description })

/**
 * Every rule for a request whose client and redirect URI are known, in order; the first that is broken answers
 * (reference section 3.2).
 *
 * @throws OAuthError
 */
export function checkRequest(
  deps: Pick<Deps, 'config'>,
  client: ClientRow,
  request: AuthorizationRequest,
): CheckedRequest {
  const { params } = request
  checkWay(client, request)
  const responseType = checkResponseType(deps, client, params)
  checkRegistration(params)
  checkRedirectNamed(client, params)
  const prompt = readPrompt(params.prompt)
  if (responseType === 'code') checkPkce(client, params)
  checkKey(params)
  checkResources(params)
  checkLengths(params)
  const maxAge = readMaxAge(params.max_age) ?? defaultMaxAge(client)
  const claims = readClaims(deps, params.claims)
  const scope = readScope(client, params.scope, claims)
  checkImplicitScope(responseType, scope)
  const acrRequested = claims.acr || params.acr_values !== undefined || hasDefaultAcr(client)
  const { pushedDigest } = request
  return { params, responseType, prompt, maxAge, scope, claims, acrRequested, pushedDigest }
}

/** Clients may be bound to pushing (RFC 9126 section 6, FAPI 2.0) and to signing (RFC 9101 section 10.5). */
export function checkWay(client: ClientRow, { pushed, signed }: AuthorizationRequest): void {
  if ((client.metadata.require_pushed_authorization_requests === true || mustPush(client)) && !pushed)
    throw invalid('This client must push its authorization requests.')
  if (client.metadata.require_signed_request_object === true && !signed)
    throw invalid('This client must send its authorization requests as signed request objects.')
}

/** OpenID Connect Core section 7.2.1: self-issued providers only. */
function checkRegistration({ registration }: Params): void {
  if (registration !== undefined) throw new OAuthError('registration_not_supported')
}

/** FAPI 2.0 Security Profile section 5.3.2.2, point 6. */
function checkRedirectNamed(client: ClientRow, { redirect_uri }: Params): void {
  if (redirect_uri === undefined && mustNameRedirect(client))
    throw invalid('The parameter redirect_uri is missing.')
}

/** OpenID Connect Core section 3.1.2.1. A value that we do not know might ask for what we would then not do. */
function readPrompt(text: string | undefined): Prompt[] {
  const words = text?.split(' ').filter((word) => word !== '') ?? []
  const prompt = PROMPTS.filter((known) => words.includes(known))
  if (prompt.length < new Set(words).size) throw invalid(`prompt may have the values ${PROMPTS.join(', ')}.`)
  if (prompt.includes('none') && prompt.length > 1) throw invalid('prompt=none goes with no other value.')
  return prompt
}

/** S256 for everybody who uses PKCE, and PKCE for every client that cannot keep a secret (reference edges 3 and 4). */
function checkPkce(client: ClientRow, { code_challenge, code_challenge_method }: Params): void {
  if (code_challenge === undefined && code_challenge_method === undefined) {
    if (client.auth_method === 'none' || mustUsePkce(client))
      throw invalid('This client must use PKCE: code_challenge and code_challenge_method=S256.')
    return
  }
  if (code_challenge_method !== 'S256') throw invalid('code_challenge_method must be S256.')
  if (code_challenge === undefined || !isChallenge(code_challenge))
    throw invalid('code_challenge must be 32 bytes in base64url.')
}

/** RFC 9449 section 10. */
function checkKey({ dpop_jkt: jkt }: Params): void {
  if (jkt !== undefined && !isThumbprint(jkt))
    throw invalid('dpop_jkt must be a SHA-256 thumbprint in base64url.')
}

function checkLengths(params: Params): void {
  for (const name of OPAQUE)
    if ((params[name]?.length ?? 0) > OPAQUE_LIMIT) throw invalid(`The parameter ${name} is too long.`)
}

function readMaxAge(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,10}$/.test(text)) throw invalid('max_age must be a number of seconds.')
  return Number(text)
}

/** RFC 6749 section 3.3, and the scopes of the claims that were asked for one by one, where the client may ask for them. */
function readScope(client: ClientRow, text: string | undefined, claims: ClaimsRequest): string[] {
  if (text === undefined)
    throw new OAuthError('invalid_scope', { description: 'The parameter scope is missing.' })
  const scope = askedScope(client, text)
  if (!scope.includes('openid')) return scope
  const ofClaims = claims.scopes.filter((one) => isRegisteredScope(client, one))
  return [...new Set([...scope, ...ofClaims])].sort()
}

const defaultMaxAge = ({ metadata: { default_max_age: seconds } }: ClientRow): number | undefined =>
  typeof seconds === 'number' ? seconds : undefined

import { noteRegistration } from '../../sql/client-registrations.ts'
import { type ClientRow, findClientByDigest, insertClient } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { isPublicAddress } from '../http/fetch-public.ts'
import { mediaType, readJson } from '../http/params.ts'
import { json } from '../http/reply.ts'
import { type Requester, requesterOf } from '../http/requester.ts'
import type { Route } from '../http/route.ts'
import { limitSubject, take } from '../identity/limits.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds, epochSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { parseIp } from '../lib/ip.ts'
import { randomString } from '../lib/random.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import type { Violation } from '../policy/violation.ts'
import { checkRequestObjectMetadata } from './authorization/request-object.ts'
import { readResponseType } from './authorization/response-type.ts'
import { ASSERTION_ALGORITHMS } from './client-assertion.ts'
import { metadataDigest, parseRegistration, type Registration } from './client-metadata.ts'
import { sealClientSecret } from './client-secret.ts'
import { DEVICE_CODE_GRANT, deviceGrantEnabled } from './device.ts'
import { hasReadableQuery } from './redirect-uri.ts'

const invalid = (description: string) => new OAuthError('invalid_client_metadata', { description })

/** Grants that a registered client may keep; the others are dropped, as clients rely on (reference 7.1). */
const GRANTS = ['authorization_code', 'refresh_token', 'client_credentials']
export const SECRET_METHODS = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt']
const METHODS = ['none', ...SECRET_METHODS, 'private_key_jwt']

/** Registrations of one address: a person installs few apps, an office on a Monday hundreds, a script thousands. */
export const REGISTRATION_LIMIT = { burst: 300, per_second: 300 / 3600 }

const DAY = 24 * 3600

/** POST /oauth2/registration (RFC 7591, reference 7). */
export async function register(deps: Deps, request: Request): Promise<Response> {
  const requester = requesterOf(deps, request)
  await take(deps, 'client-registration.ip', limitSubject(requester.ip), REGISTRATION_LIMIT)
  const metadata = await checkRegistration(deps, await readRegistration(request), requester)
  const { client, secret, token } = await store(deps, metadata)
  return json(describeClient(deps, client, secret, token), 201)
}

/** The body of a registration: any JSON. @throws OAuthError invalid_request */
export async function readRegistration(request: Request): Promise<unknown> {
  if (mediaType(request) !== 'application/json')
    throw new OAuthError('invalid_request', { description: 'The body must be application/json.' })
  return readJson(request)
}

/**
 * Every rule that a registration must keep, whether it is the first one or replaces another (RFC 7591, RFC 7592).
 *
 * @throws OAuthError invalid_request, invalid_client_metadata, invalid_redirect_uri
 */
export async function checkRegistration(
  deps: Pick<Deps, 'keys' | 'log' | 'policy'>,
  body: unknown,
  requester: Requester,
): Promise<Registration> {
  const metadata = checkMetadata(deps, body)
  await checkPublicSuffix(metadata)
  await checkPolicy(deps, metadata, requester)
  return metadata
}

/**
 * The rules that hold whoever registers a client.
 *
 * @throws OAuthError invalid_request, invalid_client_metadata, invalid_redirect_uri
 */
export function checkMetadata(deps: Pick<Deps, 'keys'>, body: unknown): Registration {
  const metadata = parseRegistration(body)
  checkStructure(metadata)
  checkLogout(metadata)
  checkRequestObjectMetadata(metadata)
  checkAlgorithms(deps, metadata)
  return metadata
}

/** Rules between members (reference 7.2, step 4). Absent members mean their RFC defaults here. */
function checkStructure(metadata: Registration): void {
  const grants = metadata.grant_types ?? ['authorization_code']
  const responses = metadata.response_types ?? (grants.includes('authorization_code') ? ['code'] : [])
  if (
    grants.some((grant) => grant === 'authorization_code' || grant === 'implicit') &&
    !metadata.redirect_uris
  )
    throw new OAuthError('invalid_redirect_uri', { description: 'redirect_uris is required.' })
  if (!(metadata.redirect_uris ?? []).every(hasReadableQuery))
    throw new OAuthError('invalid_redirect_uri', {
      description: 'The query of a redirect URI must be UTF-8 under its percent signs.',
    })
  for (const type of responses) {
    const words = type.split(' ')
    if (words.includes('code') && !grants.includes('authorization_code'))
      throw invalid(`response_type ${type} needs the grant authorization_code.`)
    if ((words.includes('id_token') || words.includes('token')) && !grants.includes('implicit'))
      throw invalid(`response_type ${type} needs the grant implicit.`)
  }
  if (metadata.jwks && metadata.jwks_uri) throw invalid('jwks and jwks_uri exclude each other.')
  for (const name of ['sector_identifier_uri', 'initiate_login_uri'] as const)
    if (metadata[name] !== undefined && !metadata[name].startsWith('https://'))
      throw invalid(`${name} must be https.`)
  const method = metadata.token_endpoint_auth_method
  if (method !== undefined && !METHODS.includes(method))
    throw invalid(`token_endpoint_auth_method ${method.slice(0, 60)} is not supported.`)
  if (method === 'private_key_jwt' && !metadata.jwks && !metadata.jwks_uri)
    throw invalid('private_key_jwt needs jwks or jwks_uri.')
  if (metadata.jwks_uri !== undefined && !metadata.jwks_uri.startsWith('https://'))
    throw invalid('jwks_uri must be https.')
  const alg = metadata.token_endpoint_auth_signing_alg
  if (alg === 'none') throw invalid('token_endpoint_auth_signing_alg must not be none.')
  if (alg !== undefined && (method === 'client_secret_jwt' || method === 'private_key_jwt'))
    if (!ASSERTION_ALGORITHMS[method].some((ours) => ours === alg))
      throw invalid(
        `token_endpoint_auth_signing_alg must be one of ${ASSERTION_ALGORITHMS[method].join(', ')}.`,
      )
}

/** OpenID Connect RP-Initiated Logout section 3.1, Back-Channel Logout section 2.2. */
function checkLogout(metadata: Registration): void {
  for (const uri of metadata.post_logout_redirect_uris ?? [])
    if (!URL.canParse(uri) || uri.includes('#'))
      throw invalid('A post_logout_redirect_uri must be a URI without a fragment.')
  const uri = metadata.backchannel_logout_uri
  if (uri === undefined) return
  const { protocol, hostname } = new URL(uri)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (protocol !== 'https:' || uri.includes('#') || (parseIp(host) && !isPublicAddress(host)))
    throw invalid('backchannel_logout_uri must be https, at a public address, without a fragment.')
}

/** What we could not sign would make every sign-in of this client fail, long after anybody looks at its registration. */
function checkAlgorithms({ keys }: Pick<Deps, 'keys'>, metadata: Registration): void {
  for (const name of ['id_token_signed_response_alg', 'userinfo_signed_response_alg'] as const) {
    const alg = metadata[name]
    if (alg !== undefined && !keys.algorithms.some((ours) => ours === alg))
      throw invalid(`${name} must be one of ${keys.algorithms.join(', ')}.`)
  }
}

const SUFFIX_CHECKED = [
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'initiate_login_uri',
  'backchannel_logout_uri',
]

/** A host that is a public suffix itself belongs to nobody (reference section 7.2, step 5). */
async function checkPublicSuffix(metadata: Registration): Promise<void> {
  // 1 MB of data, of use to this endpoint only.
  const { parse } = await import('tldts')
  const isSuffix = (uri: string): boolean => {
    const host = new URL(uri).hostname.replace(/^\.|\.$/g, '')
    const { publicSuffix, isIcann, isPrivate } = parse(host, { allowPrivateDomains: true })
    return publicSuffix === host && (isIcann === true || isPrivate === true)
  }
  for (const [name, value] of Object.entries(metadata)) {
    const base = name.split('#')[0] ?? ''
    if (!SUFFIX_CHECKED.includes(base)) continue
    if (typeof value === 'string' && isSuffix(value)) throw invalid(`${name} is not using a valid domain.`)
  }
  for (const uri of metadata.redirect_uris ?? [])
    if (/^https?:/.test(uri) && isSuffix(uri))
      throw new OAuthError('invalid_redirect_uri', {
        description: 'redirect_uris is not using a valid domain.',
      })
  for (const uri of metadata.post_logout_redirect_uris ?? [])
    if (/^https?:/.test(uri) && isSuffix(uri))
      throw invalid('post_logout_redirect_uris is not using a valid domain.')
}

/** What the operator's rules say of it (reference section 7.2, step 6). */
async function checkPolicy(
  deps: Pick<Deps, 'log' | 'policy'>,
  metadata: Registration,
  requester: Requester,
): Promise<void> {
  const client = {
    ...metadata,
    redirect_uris: metadata.redirect_uris ?? [],
    grant_types: metadata.grant_types ?? ['authorization_code'],
    token_endpoint_auth_method: metadata.token_endpoint_auth_method ?? 'client_secret_basic',
  }
  const violations = await deps.policy.clientRegistration(client, metadata, requester)
  if (violations.length === 0) return
  const description = violations.map(({ msg }) => msg).join('; ')
  deps.log.warn('client.registration_denied', { description, ip: requester.ip })
  const aboutRedirects = violations.some(isAboutRedirects)
  throw new OAuthError(aboutRedirects ? 'invalid_redirect_uri' : 'invalid_client_metadata', { description })
}

/** RFC 7591 section 3.2.2 has a code of its own for them. Modules that were made for MAS say it in the text alone. */
const isAboutRedirects = ({ redirect_uri, field, msg }: Violation): boolean =>
  redirect_uri !== undefined || field === 'redirect_uris' || /(?<!post_logout_)redirect_uri/.test(msg)

/**
 * Stores a registration. A client with a secret has a row of its own, and a token to manage it with; identical
 * registrations of the others share one (reference edge 28), which nobody may change then (decision 13).
 */
async function store(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'random' | 'secrets' | 'log'>,
  metadata: Registration,
): Promise<{ client: ClientRow; secret?: string | undefined; token?: string | undefined }> {
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const columns = columnsOf(deps, metadata)
  const secret = SECRET_METHODS.includes(columns.authMethod) ? newSecret(deps) : undefined
  const token = secret === undefined ? undefined : base64url(deps.random.bytes(32))
  const digest = secret === undefined ? metadataDigest(metadata) : null
  const [created] = await insertClient(deps.sql, {
    id,
    digest,
    registrationTokenHash: token === undefined ? null : sha256(token),
    ...columns,
    sealedSecret: secret === undefined ? null : await sealClientSecret(deps.secrets, id, secret),
    now,
  })
  if (created) {
    deps.log.info('client.registered', { client_id: ulidFromUuid(id), client_name: metadata.client_name })
    return { client: created, secret, token }
  }
  const same = digest === null ? undefined : await findSame(deps, digest, columns.grantTypes)
  if (!same) throw new OAuthError('server_error', { cause: 'a registration was neither stored nor found' })
  deps.log.debug('client.reused', { client_id: ulidFromUuid(same.id) })
  return { client: same }
}

/** The client of an identical registration, which from now on is as good as new (decision 13). */
async function findSame(
  deps: Pick<Deps, 'sql' | 'clock'>,
  digest: string,
  grantTypes: string[],
): Promise<ClientRow | undefined> {
  const now = deps.clock.now()
  const [noted] = await noteRegistration(deps.sql, digest, grantTypes, now, addSeconds(now, -DAY))
  if (noted) return noted
  const [found] = await findClientByDigest(deps.sql, digest)
  return found
}

/** A fresh client secret. */
export const newSecret = ({ random }: Pick<Deps, 'random'>): string => randomString(random, 32)

/** What the columns of a client hold besides its secret. */
export function columnsOf({ config }: Pick<Deps, 'config'>, metadata: Registration) {
  const grants = [
    ...GRANTS,
    ...(deviceGrantEnabled(config) ? [DEVICE_CODE_GRANT] : []),
    ...(config.oauth.implicit_flow ? ['implicit'] : []),
  ]
  return {
    // RFC 7591 section 2: absent means client_secret_basic; we make that true by giving out a secret (edge 27).
    authMethod: metadata.token_endpoint_auth_method ?? 'client_secret_basic',
    redirectUris: metadata.redirect_uris ?? [],
    grantTypes: (metadata.grant_types ?? ['authorization_code']).filter((grant) => grants.includes(grant)),
    metadata,
  }
}

/** The response types that are left of what a client registered, as its grants are. */
function responseTypesOf({ metadata, grant_types: grants }: ClientRow): { response_types?: string[] } {
  const { response_types: types } = metadata
  if (!Array.isArray(types)) return {}
  const grantOf = (type: unknown): string | undefined => {
    const known = readResponseType(String(type))
    return known === 'code' ? 'authorization_code' : known && 'implicit'
  }
  return { response_types: types.filter((type) => grants.includes(grantOf(type) ?? '')) }
}

/** The answer of RFC 7591 section 3.2.1; with a registration access token that of RFC 7592 section 3. */
export function describeClient(
  { urls }: Pick<Deps, 'urls'>,
  client: ClientRow,
  secret: string | undefined,
  token: string | undefined,
): Record<string, unknown> {
  const id = ulidFromUuid(client.id)
  return {
    client_id: id,
    ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
    client_id_issued_at: epochSeconds(client.created_at),
    ...(token !== undefined && {
      registration_access_token: token,
      registration_client_uri: urls.absolute(`/oauth2/registration/${id}`),
    }),
    ...client.metadata,
    ...responseTypesOf(client),
    redirect_uris: client.redirect_uris,
    grant_types: client.grant_types,
    token_endpoint_auth_method: client.auth_method,
  }
}

export const registrationRoutes = (deps: Deps): Route[] => [
  {
    method: 'POST',
    path: '/oauth2/registration',
    cors: apiCors,
    handle: (request) => register(deps, request),
  },
]

import { type ClientRow, findClientByDigest, insertClient } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { mediaType, readJson } from '../http/params.ts'
import { json } from '../http/reply.ts'
import { type Requester, requesterOf } from '../http/requester.ts'
import type { Route } from '../http/route.ts'
import { limitSubject, take } from '../identity/limits.ts'
import { epochSeconds } from '../lib/clock.ts'
import { randomString } from '../lib/random.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import { checkRegistrationPolicy } from '../policy/client-registration.ts'
import { metadataDigest, parseRegistration, type Registration } from './client-metadata.ts'
import { sealClientSecret } from './client-secret.ts'

const invalid = (description: string) => new OAuthError('invalid_client_metadata', { description })

/** Grants that a registered client may keep; the others are dropped, as clients rely on (reference 7.1). */
const GRANTS = ['authorization_code', 'refresh_token']
const SECRET_METHODS = ['client_secret_basic', 'client_secret_post']
const METHODS = ['none', ...SECRET_METHODS]

/** Registrations of one address: a person installs few apps, an office on a Monday hundreds, a script thousands. */
export const REGISTRATION_LIMIT = { burst: 300, per_second: 300 / 3600 }

/** POST /oauth2/registration (RFC 7591, reference 7). */
async function register(deps: Deps, request: Request): Promise<Response> {
  const requester = requesterOf(deps, request)
  await take(deps, 'client-registration.ip', limitSubject(requester.ip), REGISTRATION_LIMIT)
  if (mediaType(request) !== 'application/json')
    throw new OAuthError('invalid_request', { description: 'The body must be application/json.' })
  const metadata = parseRegistration(await readJson(request))
  checkStructure(metadata)
  checkAlgorithms(deps, metadata)
  await checkPublicSuffix(metadata)
  checkPolicy(deps, metadata, requester)
  const { client, secret } = await store(deps, metadata)
  return json(describeClient(client, secret), 201)
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
  if (metadata.token_endpoint_auth_signing_alg === 'none')
    throw invalid('token_endpoint_auth_signing_alg must not be none.')
}

/** What we could not sign would make every sign-in of this client fail, long after anybody looks at its registration. */
function checkAlgorithms({ keys }: Pick<Deps, 'keys'>, metadata: Registration): void {
  for (const name of ['id_token_signed_response_alg', 'userinfo_signed_response_alg'] as const) {
    const alg = metadata[name]
    if (alg !== undefined && !keys.algorithms.some((ours) => ours === alg))
      throw invalid(`${name} must be one of ${keys.algorithms.join(', ')}.`)
  }
}

/** A host that is a public suffix itself belongs to nobody (reference 7.2, step 5). */
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
    if (!['client_uri', 'logo_uri', 'policy_uri', 'tos_uri', 'initiate_login_uri'].includes(base)) continue
    if (typeof value === 'string' && isSuffix(value)) throw invalid(`${name} is not using a valid domain.`)
  }
  for (const uri of metadata.redirect_uris ?? [])
    if (/^https?:/.test(uri) && isSuffix(uri))
      throw new OAuthError('invalid_redirect_uri', {
        description: 'redirect_uris is not using a valid domain.',
      })
}

function checkPolicy(deps: Pick<Deps, 'config' | 'log'>, metadata: Registration, requester: Requester): void {
  const violations = checkRegistrationPolicy(
    deps.config,
    {
      ...metadata,
      redirect_uris: metadata.redirect_uris ?? [],
      grant_types: metadata.grant_types ?? ['authorization_code'],
      token_endpoint_auth_method: metadata.token_endpoint_auth_method ?? 'client_secret_basic',
    },
    requester,
  )
  const [first] = violations
  if (!first) return
  const code = violations.some((violation) => violation.code === 'invalid_redirect_uri')
    ? 'invalid_redirect_uri'
    : first.code
  const description = violations.map((violation) => violation.message).join('; ')
  deps.log.warn('client.registration_denied', { description, ip: requester.ip })
  throw new OAuthError(code, { description })
}

/**
 * Stores a registration. A client that authenticates gets a secret and a row of its own; identical registrations of
 * public clients share one (edge 28).
 */
async function store(
  deps: Pick<Deps, 'sql' | 'clock' | 'random' | 'secrets' | 'log'>,
  metadata: Registration,
): Promise<{ client: ClientRow; secret: string | undefined }> {
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  // RFC 7591 section 2: absent means client_secret_basic; we make that true by giving out a secret (edge 27).
  const method = metadata.token_endpoint_auth_method ?? 'client_secret_basic'
  const secret = SECRET_METHODS.includes(method) ? randomString(deps.random, 32) : undefined
  const digest = secret === undefined ? metadataDigest(metadata) : null
  const [created] = await insertClient(deps.sql, {
    id,
    digest,
    authMethod: method,
    sealedSecret: secret === undefined ? null : await sealClientSecret(deps.secrets, id, secret),
    redirectUris: metadata.redirect_uris ?? [],
    grantTypes: (metadata.grant_types ?? ['authorization_code']).filter((grant) => GRANTS.includes(grant)),
    metadata,
    now,
  })
  if (created) {
    deps.log.info('client.registered', { client_id: ulidFromUuid(id), client_name: metadata.client_name })
    return { client: created, secret }
  }
  const [same] = digest === null ? [] : await findClientByDigest(deps.sql, digest)
  if (!same) throw new OAuthError('server_error', { cause: 'a registration was neither stored nor found' })
  return { client: same, secret: undefined }
}

/** The answer of RFC 7591 section 3.2.1. */
function describeClient(client: ClientRow, secret: string | undefined): Record<string, unknown> {
  const { response_types: _, ...metadata } = client.metadata
  return {
    client_id: ulidFromUuid(client.id),
    ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
    client_id_issued_at: epochSeconds(client.created_at),
    ...metadata,
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

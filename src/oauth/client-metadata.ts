import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { ClientMetadata } from '../../sql/clients.ts'
import { OAuthError } from '../http/errors.ts'
import { sha256 } from '../lib/digest.ts'
import { parseScope } from '../lib/scope.ts'
import { checkServed } from './unserved-metadata.ts'

/** Client metadata as registered (RFC 7591 section 2, OpenID Connect Registration section 2, reference 7.1). */
const text = Type.Optional(Type.String())
const texts = Type.Optional(Type.Array(Type.String()))
const uri = Type.Optional(Type.String({ pattern: '^[a-zA-Z][a-zA-Z0-9+.-]*:' }))

const ClientMetadataSchema = Type.Object({
  redirect_uris: texts,
  response_types: texts,
  grant_types: texts,
  application_type: Type.Optional(Type.Union([Type.Literal('web'), Type.Literal('native')])),
  scope: text,
  contacts: texts,
  jwks_uri: uri,
  jwks: Type.Optional(Type.Object({ keys: Type.Array(Type.Object({}, { additionalProperties: true })) })),
  software_id: text,
  software_version: text,
  sector_identifier_uri: uri,
  subject_type: text,
  token_endpoint_auth_method: text,
  token_endpoint_auth_signing_alg: text,
  id_token_signed_response_alg: text,
  userinfo_signed_response_alg: text,
  request_object_signing_alg: text,
  require_signed_request_object: Type.Optional(Type.Boolean()),
  require_pushed_authorization_requests: Type.Optional(Type.Boolean()),
  dpop_bound_access_tokens: Type.Optional(Type.Boolean()),
  default_max_age: Type.Optional(Type.Integer({ minimum: 0 })),
  require_auth_time: Type.Optional(Type.Boolean()),
  default_acr_values: texts,
  initiate_login_uri: uri,
  request_uris: texts,
  post_logout_redirect_uris: texts,
  backchannel_logout_uri: uri,
  backchannel_logout_session_required: Type.Optional(Type.Boolean()),
  client_name: text,
  logo_uri: uri,
  client_uri: uri,
  policy_uri: uri,
  tos_uri: uri,
  organization_name: text,
  organization_uri: uri,
  description: text,
  information_uri: uri,
  keywords: texts,
})
const checker = TypeCompiler.Compile(ClientMetadataSchema)

/** Parsed, normalised metadata. */
export type Registration = Static<typeof ClientMetadataSchema> & ClientMetadata

/** Members that may carry a language tag (RFC 7591 section 2.2). */
const LOCALISED_TEXTS = ['client_name', 'organization_name', 'description']
const LOCALISED_URIS = [
  'logo_uri',
  'client_uri',
  'policy_uri',
  'tos_uri',
  'organization_uri',
  'information_uri',
]
const URI_MEMBERS = [
  'jwks_uri',
  'sector_identifier_uri',
  'initiate_login_uri',
  'backchannel_logout_uri',
  ...LOCALISED_URIS,
]
const GRANT_ORDER = [
  'authorization_code',
  'refresh_token',
  'implicit',
  'client_credentials',
  'password',
  'urn:ietf:params:oauth:grant-type:device_code',
]

/** NUL and lone surrogates in JSON text, neither of which PostgreSQL's jsonb can keep. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

/** Characters of all metadata together: real ones have under two thousand, and anybody may register. */
const METADATA_LIMIT = 32 * 1024
const NAME_LIMIT = 200
/**
 * Controls, line separators, and the marks that turn the direction of text: with them a name could rewrite the sentence
 * of the consent page that it stands in, the host in it too.
 */
const DECEPTIVE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u

/**
 * Hosts as they are in use. WHATWG's may also hold `;` and `,`, which would end a directive of our
 * Content-Security-Policy, `*`, and empty labels, which the list of public suffixes does not know.
 */
const HOST = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])$/

const invalid = (description: string) => new OAuthError('invalid_client_metadata', { description })

/**
 * Parses a registration: known members by their types, localised members by their base member, unknown ones left out,
 * those that ask for what is not served refused;
 * URIs in WHATWG-normal form, lists that are sets in a fixed order.
 *
 * @throws OAuthError invalid_request (no JSON object), invalid_client_metadata, invalid_redirect_uri
 */
export function parseRegistration(body: unknown): Registration {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new OAuthError('invalid_request', { description: 'The body must be a JSON object.' })
  checkServed(body)
  const known: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(body)) {
    const [base = '', tag] = name.split('#')
    if (tag === undefined && Object.hasOwn(ClientMetadataSchema.properties, base)) known[base] = value
    if (tag !== undefined) known[name] = checkLocalised(body, base, tag, value)
  }
  const text = JSON.stringify(known)
  if (text.length > METADATA_LIMIT) throw invalid('The metadata is too large.')
  if (UNSTORABLE.test(text)) throw invalid('A member has a NUL character, or half of a surrogate pair.')
  if (!checker.Check(known)) {
    const first = checker.Errors(known).First()
    throw invalid(`${first?.path.slice(1) || 'The body'} is not valid.`)
  }
  return normalise(known as Registration)
}

function checkLocalised(body: object, base: string, tag: string, value: unknown): unknown {
  if (!isLanguageTag(tag)) throw invalid(`${base}#${tag.slice(0, 40)} has no valid language tag.`)
  const isUri = LOCALISED_URIS.includes(base)
  if (!isUri && !LOCALISED_TEXTS.includes(base)) return undefined
  if (typeof value !== 'string') throw invalid(`${base}#${tag} must be a string.`)
  if (!Object.hasOwn(body, base)) throw invalid(`${base} is required beside ${base}#${tag}.`)
  if (isUri) return normalUri(`${base}#${tag}`, value)
  if (base === 'client_name') checkName(`${base}#${tag}`, value)
  return value
}

function checkName(member: string, name: string): void {
  if (name.length > NAME_LIMIT) throw invalid(`${member} has more than ${NAME_LIMIT} characters.`)
  if (DECEPTIVE.test(name)) throw invalid(`${member} has a character that is not for names.`)
}

function isLanguageTag(tag: string): boolean {
  // ICU takes seconds to refuse a tag of 200 kB.
  if (tag.length > 100) return false
  try {
    return Intl.getCanonicalLocales(tag).length === 1
  } catch {
    return false
  }
}

function normalise(metadata: Registration): Registration {
  if (metadata.client_name !== undefined) checkName('client_name', metadata.client_name)
  for (const name of URI_MEMBERS) {
    const value = metadata[name]
    if (typeof value === 'string') metadata[name] = normalUri(name, value)
  }
  // Some libraries send an empty one where there is none.
  if (metadata.scope === '') delete metadata.scope
  else if (metadata.scope !== undefined) metadata.scope = normalScope(metadata.scope)
  for (const name of Object.keys(metadata)) if (metadata[name] === undefined) delete metadata[name]
  if (metadata.redirect_uris) metadata.redirect_uris = metadata.redirect_uris.map(normalRedirect).sort()
  metadata.contacts?.sort()
  // As they are: they are compared as text later (OpenID Connect RP-Initiated Logout section 3).
  metadata.post_logout_redirect_uris?.sort()
  metadata.grant_types?.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
  metadata.response_types?.sort()
  return metadata
}

/** RFC 6749 section 3.3. */
function normalScope(text: string): string {
  const scope = parseScope(text)
  if (!scope) throw invalid('scope is not a list of scopes.')
  return scope.join(' ')
}

const rank = (grant: string): number =>
  (GRANT_ORDER.indexOf(grant) + GRANT_ORDER.length + 1) % (GRANT_ORDER.length + 1)

function normalUri(name: string, value: string): string {
  if (!URL.canParse(value)) throw invalid(`${name} is not a URI.`)
  const url = new URL(value)
  if (!hasUsualHost(url)) throw invalid(`${name} has a host that is not in use.`)
  return url.href
}

function normalRedirect(value: string): string {
  if (!URL.canParse(value))
    throw new OAuthError('invalid_redirect_uri', { description: 'A redirect URI is not a URI.' })
  const url = new URL(value)
  if (value.includes('#'))
    throw new OAuthError('invalid_redirect_uri', { description: 'A redirect URI must not have a fragment.' })
  if (!hasUsualHost(url))
    throw new OAuthError('invalid_redirect_uri', {
      description: 'A redirect URI has a host that is not in use.',
    })
  return url.href
}

const hasUsualHost = (url: URL): boolean =>
  (url.protocol !== 'https:' && url.protocol !== 'http:') || HOST.test(url.hostname)

/** The digest by which identical registrations share one client (reference 7.2, step 8). */
export const metadataDigest = (metadata: Registration): string =>
  sha256(
    JSON.stringify(Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)))),
  ).toHex()

import type { ClientMetadata, ClientRow } from '../../../sql/clients.ts'
import { type JwtClaims, peekJwt } from '../../crypto/jwt.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import type { Params } from '../../http/params.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import { CLIENT_ALGORITHMS, isForIssuer, verifyClientJwt } from '../client-jwt.ts'
import { algorithmsFor } from '../fapi2.ts'

/** `typ` of a request object (RFC 9101 section 10.8); one without says nothing, other kinds of JWT are refused. */
const TYPES = ['oauth-authz-req+jwt', 'application/oauth-authz-req+jwt', 'jwt']

/** Claims about the JWT itself; everything else is a parameter. */
const OWN_CLAIMS = ['iss', 'aud', 'exp', 'nbf', 'iat', 'jti', 'sub']

const invalid = (description: string, cause?: unknown) =>
  new OAuthError('invalid_request_object', { description, cause })

/**
 * The parameters in a request object (RFC 9101 section 6, OpenID Connect Core section 6.1). It must be signed with a
 * key of the client, in the algorithm that the client registered if it did, come from it and be meant for us.
 *
 * @throws OAuthError invalid_request_object; temporarily_unavailable while the client's keys cannot be fetched
 */
export async function readRequestObject(
  deps: Pick<Deps, 'clock' | 'urls' | 'clientKeys' | 'log'>,
  client: ClientRow,
  jwt: string,
): Promise<Params> {
  const peeked = peekJwt(jwt)
  if (!peeked) throw invalid('The request object is not a signed JWT.')
  checkHeader(client, peeked.header)
  const algorithms = algorithmsFor(client, CLIENT_ALGORITHMS).filter((alg) => alg === peeked.header.alg)
  const claims = await verifyClientJwt(deps, client, jwt, { algorithms })
  if (typeof claims === 'string')
    throw invalid('The signature of the request object does not hold, or its time is over.', claims)
  const facts = { clientId: ulidFromUuid(client.id), issuer: deps.urls.issuer }
  const [broken] = RULES.find(([, keeps]) => !keeps(claims, facts)) ?? []
  if (broken !== undefined) throw invalid(broken)
  return parametersOf(claims)
}

/**
 * What a client may register about its request objects: nothing that would make every request of it fail.
 *
 * @throws OAuthError invalid_client_metadata
 */
export function checkRequestObjectMetadata(metadata: ClientMetadata): void {
  const {
    request_object_signing_alg: alg,
    request_uris: uris,
    require_signed_request_object: required,
  } = metadata
  const refuse = (description: string) => new OAuthError('invalid_client_metadata', { description })
  if (alg !== undefined && !CLIENT_ALGORITHMS.some((supported) => supported === alg))
    throw refuse(`request_object_signing_alg must be one of ${CLIENT_ALGORITHMS.join(', ')}.`)
  if (Array.isArray(uris) && !uris.every((uri) => URL.canParse(uri) && new URL(uri).protocol === 'https:'))
    throw refuse('request_uris must be https.')
  if (required === true && metadata.jwks === undefined && metadata.jwks_uri === undefined)
    throw refuse('require_signed_request_object needs jwks or jwks_uri.')
}

function checkHeader(client: ClientRow, { alg, typ }: { alg?: unknown; typ?: unknown }): void {
  const registered = client.metadata.request_object_signing_alg
  if (registered !== undefined && alg !== registered)
    throw invalid('The request object is not signed with the algorithm that the client registered.')
  if (!CLIENT_ALGORITHMS.some((supported) => supported === alg))
    throw invalid(`A request object must be signed with one of ${CLIENT_ALGORITHMS.join(', ')}.`)
  if (typ !== undefined && !(typeof typ === 'string' && TYPES.includes(typ.toLowerCase())))
    throw invalid('The type of the JWT is not that of a request object.')
}

/** What a request object is held against. */
interface RequestObjectFacts {
  clientId: string
  issuer: string
}

type Rule = (claims: JwtClaims, facts: RequestObjectFacts) => boolean

/** RFC 9101 section 4: the client made it. */
const isFromClient: Rule = ({ iss }, { clientId }) => iss === clientId

/** RFC 9101 section 4: it is for us. */
const isForUs: Rule = ({ aud }, { issuer }) => isForIssuer(issuer, aud)

/** RFC 9101 section 5: the client that it names is the one that sends it. */
const namesClient: Rule = (claims, { clientId }) =>
  claims.client_id === undefined || claims.client_id === clientId

/** RFC 9101 section 4: it refers to no other request object. */
const refersToNone: Rule = (claims) => claims.request === undefined && claims.request_uri === undefined

/** Each rule, by what the client is told when it is broken. */
const RULES: readonly [reason: string, rule: Rule][] = [
  ['The iss of the request object is not the client.', isFromClient],
  ['The aud of the request object is not this server.', isForUs],
  ['The client_id of the request object is another one.', namesClient],
  ['A request object must not refer to another one.', refersToNone],
]

/**
 * Members of the JWT as the parameters that they stand for: numbers in digits, `claims` as JSON, several `resource` as
 * `readForm` gives them.
 */
function parametersOf(claims: JwtClaims): Params {
  const params: Params = Object.create(null)
  for (const [name, value] of Object.entries(claims)) {
    if (OWN_CLAIMS.includes(name)) continue
    const text = name === 'resource' && Array.isArray(value) ? value.join(' ') : parameterText(value)
    if (text === undefined || /\0/.test(name + text) || !(name + text).isWellFormed())
      throw invalid('A parameter in the request object has a form that it may not have.')
    if (text !== '') params[name] = text
  }
  return params
}

function parameterText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : undefined
}

import type { ClientRow } from '../../sql/clients.ts'
import { insertUsedJwt } from '../../sql/used-jwts.ts'
import { type ForeignKeys, type JwtClaims, peekJwt, verifyForeignJwt } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'
import { addSeconds, epochSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { ulidFromUuid } from '../lib/ulid.ts'

/** RFC 7521 section 4.2. */
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** What each method may be signed with. */
export const ASSERTION_ALGORITHMS = {
  client_secret_jwt: ['HS256', 'HS384', 'HS512'],
  private_key_jwt: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'],
} as const

/** Seconds that an assertion may live at the most, so that `jti` need not be kept for ever. */
const LONGEST_LIFE = 3600
/** Seconds that clocks may differ. */
const SKEW = 30

type Needs = Pick<Deps, 'sql' | 'clock' | 'urls' | 'clientKeys'>

/** The client that an assertion says it is from, before anything is verified. */
export function claimedClient(assertion: string): string | undefined {
  const sub: unknown = peekJwt(assertion)?.claims.sub
  return typeof sub === 'string' ? sub : undefined
}

/**
 * Verifies a client assertion (RFC 7523 section 3, OpenID Connect Core section 9). Undefined when it holds; otherwise
 * the rule that it breaks, for the log.
 */
export async function checkAssertion(
  deps: Needs,
  client: ClientRow,
  assertion: string,
  secret: string | undefined,
): Promise<string | undefined> {
  const method = client.auth_method
  if (method !== 'client_secret_jwt' && method !== 'private_key_jwt')
    return 'the client registered another method'
  const claims = await verifySignature(deps, client, method, assertion, secret)
  if (typeof claims === 'string') return claims
  return checkClaims(deps, client, claims) ?? (await checkOnce(deps, client, claims))
}

/** The signature, in the registered algorithm only; a key set that lacks the key is fetched once more. */
async function verifySignature(
  deps: Needs,
  client: ClientRow,
  method: keyof typeof ASSERTION_ALGORITHMS,
  assertion: string,
  secret: string | undefined,
): Promise<JwtClaims | string> {
  const registered = client.metadata.token_endpoint_auth_signing_alg
  const algorithms = ASSERTION_ALGORITHMS[method].filter(
    (alg) => registered === undefined || alg === registered,
  )
  const verify = (keys: ForeignKeys) =>
    verifyForeignJwt(assertion, keys, {
      algorithms,
      now: deps.clock.now(),
      requiredClaims: ['exp', 'sub', 'iss'],
    })
  if (method === 'client_secret_jwt') {
    if (secret === undefined) return 'the client has no secret'
    return (await verify({ secret })).claims ?? 'the signature does not hold'
  }
  try {
    const jwks = await deps.clientKeys.of(client)
    if (!jwks) return 'the client has no keys'
    const first = await verify({ jwks })
    if (first.claims) return first.claims
    const renewed = first.unknownKey ? await deps.clientKeys.of(client, true) : undefined
    const second = renewed && (await verify({ jwks: renewed }))
    return second?.claims ?? 'the signature does not hold under any key of the client'
  } catch (error) {
    // Their server, their outage: nothing of ours is broken, and nothing else would be an answer.
    return `the keys of the client could not be fetched: ${error instanceof Error ? error.message : error}`
  }
}

/** RFC 7523 section 3, points 1 to 7. */
function checkClaims(deps: Needs, client: ClientRow, claims: JwtClaims): string | undefined {
  const id = ulidFromUuid(client.id)
  if (claims.sub !== id) return 'sub is not the client'
  if (claims.iss !== id) return 'iss is not the client'
  if (!namesUs(deps, claims.aud)) return 'aud is not this server'
  const now = epochSeconds(deps.clock.now())
  const { exp, iat } = claims as { exp?: unknown; iat?: unknown }
  if (typeof exp !== 'number' || exp > now + LONGEST_LIFE + SKEW) return 'exp is missing or too far away'
  if (iat !== undefined && (typeof iat !== 'number' || iat > now + SKEW)) return 'iat lies in the future'
  return typeof claims.jti === 'string' && claims.jti !== '' ? undefined : 'jti is missing'
}

/** The issuer or the token endpoint, which clients use for every endpoint (OpenID Connect Core section 9). */
function namesUs({ urls }: Pick<Deps, 'urls'>, aud: unknown): boolean {
  const own = [urls.issuer, urls.issuer.replace(/\/$/, ''), urls.absolute('/oauth2/token')]
  const named = Array.isArray(aud) ? aud : [aud]
  return named.some((audience) => typeof audience === 'string' && own.includes(audience))
}

/** RFC 7523 section 3, point 7: an assertion is good once, whichever process sees it. */
async function checkOnce(deps: Needs, client: ClientRow, claims: JwtClaims): Promise<string | undefined> {
  const digest = sha256(`client-assertion\n${client.id}\n${String(claims.jti)}`)
  const expiresAt = addSeconds(new Date(Number(claims.exp) * 1000), SKEW)
  const [used] = await insertUsedJwt(deps.sql, digest, expiresAt)
  return used ? undefined : 'jti was used before'
}

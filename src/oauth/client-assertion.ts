import type { ClientRow } from '../../sql/clients.ts'
import { insertUsedJwt } from '../../sql/used-jwts.ts'
import { type JwtClaims, peekJwt, verifyForeignJwt } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'
import { addSeconds, epochSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { CLIENT_ALGORITHMS, verifyClientJwt } from './client-jwt.ts'
import { algorithmsFor, isFapi2, isIssuerAlone } from './fapi2.ts'

/** RFC 7521 section 4.2. */
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** What each method may be signed with. */
export const ASSERTION_ALGORITHMS: Record<'client_secret_jwt' | 'private_key_jwt', readonly string[]> = {
  client_secret_jwt: ['HS256', 'HS384', 'HS512'],
  private_key_jwt: CLIENT_ALGORITHMS,
}

/** Seconds that an assertion may live at the most, so that `jti` need not be kept for ever. */
const LONGEST_LIFE = 3600
/** Seconds that clocks may differ. */
const SKEW = 30

type Needs = Pick<Deps, 'sql' | 'clock' | 'urls' | 'clientKeys' | 'log'>

/** The client that an assertion says it is from, before anything is verified. */
export function claimedClient(assertion: string): string | undefined {
  const sub: unknown = peekJwt(assertion)?.claims.sub
  return typeof sub === 'string' ? sub : undefined
}

/**
 * Verifies a client assertion (RFC 7523 section 3, OpenID Connect Core section 9). Undefined when it holds; otherwise
 * the rule that it breaks, for the log.
 *
 * @throws OAuthError temporarily_unavailable while the client's keys cannot be fetched
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

/** The signature, in the registered algorithm only. */
async function verifySignature(
  deps: Needs,
  client: ClientRow,
  method: keyof typeof ASSERTION_ALGORITHMS,
  assertion: string,
  secret: string | undefined,
): Promise<JwtClaims | string> {
  const registered = client.metadata.token_endpoint_auth_signing_alg
  const rules = {
    algorithms: algorithmsFor(client, ASSERTION_ALGORITHMS[method]).filter(
      (alg) => registered === undefined || alg === registered,
    ),
    requiredClaims: ['exp', 'sub', 'iss'],
  }
  if (method === 'private_key_jwt') return verifyClientJwt(deps, client, assertion, rules)
  if (secret === undefined) return 'the client has no secret'
  const { claims } = await verifyForeignJwt(assertion, { secret }, { ...rules, now: deps.clock.now() })
  return claims ?? 'the signature does not hold'
}

/** RFC 7523 section 3, points 1 to 7. */
function checkClaims(deps: Needs, client: ClientRow, claims: JwtClaims): string | undefined {
  const id = ulidFromUuid(client.id)
  if (claims.sub !== id) return 'sub is not the client'
  if (claims.iss !== id) return 'iss is not the client'
  if (!namesUs(deps, client, claims.aud)) return 'aud is not this server'
  const now = epochSeconds(deps.clock.now())
  const { exp, iat } = claims as { exp?: unknown; iat?: unknown }
  if (typeof exp !== 'number' || exp > now + LONGEST_LIFE + SKEW) return 'exp is missing or too far away'
  if (iat !== undefined && (typeof iat !== 'number' || iat > now + SKEW)) return 'iat lies in the future'
  return typeof claims.jti === 'string' && claims.jti !== '' ? undefined : 'jti is missing'
}

/** The issuer or the token endpoint, which clients use for every endpoint (OpenID Connect Core section 9). */
function namesUs({ urls }: Pick<Deps, 'urls'>, client: ClientRow, aud: unknown): boolean {
  if (isFapi2(client)) return isIssuerAlone(urls.issuer, aud)
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

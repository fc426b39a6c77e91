import type { ClientRow } from '../../sql/clients.ts'
import { insertUsedJwt } from '../../sql/used-jwts.ts'
import { type JwtClaims, peekJwt, verifyForeignJwt } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'
import { addSeconds, epochSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { type AssertionFacts, brokenRule, SKEW } from './assertion-claims.ts'
import { CLIENT_ALGORITHMS, verifyClientJwt } from './client-jwt.ts'
import { algorithmsFor, isFapi2 } from './fapi2.ts'

/** RFC 7521 section 4.2. */
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** What each method may be signed with. */
export const ASSERTION_ALGORITHMS: Record<'client_secret_jwt' | 'private_key_jwt', readonly string[]> = {
  client_secret_jwt: ['HS256', 'HS384', 'HS512'],
  private_key_jwt: CLIENT_ALGORITHMS,
}

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
  return brokenRule(claims, factsOf(deps, client)) ?? (await checkOnce(deps, client, claims))
}

/**
 * What an assertion of a client may be signed with: what it registered (OpenID Connect Registration section 2,
 * `token_endpoint_auth_signing_alg`), else all that its method knows. Never more than its method, so that no key is taken
 * for a secret (RFC 8725 section 3.1).
 */
function assertionAlgorithms(
  client: ClientRow,
  method: keyof typeof ASSERTION_ALGORITHMS,
): readonly string[] {
  const registered = client.metadata.token_endpoint_auth_signing_alg
  const algorithms = algorithmsFor(client, ASSERTION_ALGORITHMS[method])
  return registered === undefined ? algorithms : algorithms.filter((alg) => alg === registered)
}

/** RFC 7523 section 3, points 4, 5 and 9: the signature holds, and neither is it over nor has it yet to begin. */
async function verifySignature(
  deps: Needs,
  client: ClientRow,
  method: keyof typeof ASSERTION_ALGORITHMS,
  assertion: string,
  secret: string | undefined,
): Promise<JwtClaims | string> {
  const rules = { algorithms: assertionAlgorithms(client, method) }
  if (method === 'private_key_jwt') return verifyClientJwt(deps, client, assertion, rules)
  if (secret === undefined) return 'the client has no secret'
  const { claims } = await verifyForeignJwt(assertion, { secret }, { ...rules, now: deps.clock.now() })
  return claims ?? 'the signature does not hold'
}

const factsOf = ({ clock, urls }: Pick<Deps, 'clock' | 'urls'>, client: ClientRow): AssertionFacts => ({
  clientId: ulidFromUuid(client.id),
  issuer: urls.issuer,
  tokenEndpoint: urls.absolute('/oauth2/token'),
  fapi2: isFapi2(client),
  now: epochSeconds(clock.now()),
})

/** RFC 7523 section 3, point 7: an assertion is good once, whichever process sees it. */
async function checkOnce(deps: Needs, client: ClientRow, claims: JwtClaims): Promise<string | undefined> {
  const digest = sha256(`client-assertion\n${client.id}\n${String(claims.jti)}`)
  const expiresAt = addSeconds(new Date(Number(claims.exp) * 1000), SKEW)
  const [used] = await insertUsedJwt(deps.sql, digest, expiresAt)
  return used ? undefined : 'jti was used before'
}

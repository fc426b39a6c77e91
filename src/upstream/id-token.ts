import { idTokenHash, type JwtClaims, peekJwt, verifyForeignJwt } from '../crypto/jwt.ts'
import type { Keystore } from '../crypto/keystore.ts'
import type { Deps } from '../deps.ts'
import type { Provider } from '../identity/providers.ts'
import { equalSecrets } from '../lib/digest.ts'
import { ProviderError } from './provider-error.ts'

/** Seconds that the clocks of a provider and of this server may differ. */
export const TOLERANCE = 300

export type TokenNeeds = Pick<Deps, 'clock' | 'upstream'> & { keys: Pick<Keystore, 'decrypt'> }

/** What an ID token of this sign-in says. @throws ProviderError when anything about it is not as it must be */
export async function verifyIdToken(
  deps: TokenNeeds,
  provider: Provider,
  jwt: string,
  expected: { nonce: string | undefined; code: string; accessToken: string },
): Promise<JwtClaims> {
  const alg = provider.id_token_signed_response_alg
  const claims = await verifyProviderJwt(deps, provider, jwt, alg, ['exp', 'iat', 'sub'])
  const { azp } = claims
  const isShared = Array.isArray(claims.aud) && claims.aud.length > 1
  if ((azp !== undefined || isShared) && azp !== provider.client_id) throw wrong('azp')
  // Without one somebody else's answer could be put in place of this one (OpenID Connect Core section 3.1.3.7, point 11).
  const { nonce } = claims
  if (expected.nonce !== undefined)
    if (typeof nonce !== 'string' || !equalSecrets(nonce, expected.nonce)) throw wrong('nonce')
  const hashes = [
    ['at_hash', expected.accessToken],
    ['c_hash', expected.code],
  ] as const
  for (const [name, value] of hashes)
    if (claims[name] !== undefined && claims[name] !== idTokenHash(alg, value)) throw wrong(name)
  return claims
}

/**
 * The claims of a JWT that a provider signed for us with one algorithm and no other: signature, time, issuer and audience.
 * Around it there may be encryption to one of our keys, which says nothing about who sent it.
 *
 * @throws ProviderError
 */
export async function verifyProviderJwt(
  deps: TokenNeeds,
  provider: Provider,
  token: string,
  alg: string,
  requiredClaims: string[],
): Promise<JwtClaims> {
  const jwt = isEncrypted(token) ? await deps.keys.decrypt(token) : token
  if (jwt === undefined)
    throw new ProviderError('failed', 'a token of the provider is encrypted, and not to us')
  const options = { algorithms: [alg], now: deps.clock.now(), requiredClaims, tolerance: TOLERANCE }
  const claims = alg.startsWith('HS')
    ? (await verifyForeignJwt(jwt, { secret: secretOf(provider) }, options)).claims
    : await verifyWithKeySet(deps, provider, jwt, options)
  if (!claims) throw new ProviderError('failed', describeRefusal(jwt, alg))
  if (provider.issuer !== undefined && claims.iss !== provider.issuer) throw wrong('iss')
  const audience = Array.isArray(claims.aud) ? claims.aud : [claims.aud]
  if (!audience.includes(provider.client_id)) throw wrong('aud')
  if (typeof claims.sub === 'string' && claims.sub.length > 255) throw wrong('sub')
  return claims
}

/** RFC 7516 section 7.1: five parts, where a signed one has three. */
const isEncrypted = (token: string): boolean => token.split('.').length === 5

const wrong = (claim: string): ProviderError =>
  new ProviderError('failed', `a token of the provider has a wrong ${claim}`)

/** An empty secret would verify what anybody signed with it. */
function secretOf({ client_secret: secret }: Provider): string {
  if (secret === undefined || secret === '')
    throw new ProviderError('failed', 'there is no secret to verify with')
  return secret
}

async function verifyWithKeySet(
  deps: TokenNeeds,
  provider: Provider,
  jwt: string,
  options: Parameters<typeof verifyForeignJwt>[2],
): Promise<JwtClaims | undefined> {
  const jwks = await deps.upstream.keys(provider)
  const first = await verifyForeignJwt(jwt, { jwks }, options)
  if (first.claims || !first.unknownKey) return first.claims
  // Signed with a key that was not there when the set was fetched.
  return (await verifyForeignJwt(jwt, { jwks: await deps.upstream.keys(provider, true) }, options)).claims
}

/** What the log says: of the token its header alone. */
function describeRefusal(jwt: string, alg: string): string {
  const header = peekJwt(jwt)?.header
  const said = typeof header?.alg === 'string' ? header.alg.slice(0, 20) : 'none'
  return `a token of the provider does not verify with ${alg} (its header says ${said}), or is out of its time`
}

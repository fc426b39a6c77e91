import type { JwtClaims } from '../crypto/jwt.ts'
import type { Provider } from '../identity/providers.ts'
import { isRecord } from '../lib/record.ts'
import { type TokenNeeds, verifyProviderJwt } from './id-token.ts'
import { ProviderError } from './provider-error.ts'

/** What the userinfo endpoint says of the person (OpenID Connect Core section 5.3). @throws ProviderError */
export async function fetchUserinfo(
  deps: TokenNeeds,
  provider: Provider,
  accessToken: string,
): Promise<JwtClaims> {
  const { userinfoEndpoint } = await deps.upstream.metadata.of(provider)
  if (!userinfoEndpoint) throw new ProviderError('failed', 'there is no userinfo endpoint')
  const alg = provider.userinfo_signed_response_alg
  const { status, body, type } = await deps.upstream.ask(provider, userinfoEndpoint, {
    method: 'GET',
    headers: {
      authorization: `Bearer ${accessToken}`,
      accept: alg === undefined ? 'application/json' : 'application/jwt',
      // Some refuse a client without a name.
      'user-agent': 'Latchkey',
    },
  })
  if (status !== 200)
    throw new ProviderError(status >= 500 ? 'unreachable' : 'failed', `userinfo answered ${status}`)
  if (alg !== undefined) {
    if (type !== 'application/jwt') throw new ProviderError('failed', `userinfo is ${type}, not a JWT`)
    return verifyProviderJwt(deps, provider, body.trim(), alg, [])
  }
  if (type !== 'application/json') throw new ProviderError('failed', `userinfo is ${type}, not JSON`)
  try {
    const claims: unknown = JSON.parse(body)
    if (isRecord(claims)) return claims
  } catch {
    // Said below.
  }
  throw new ProviderError('failed', 'userinfo is not an object')
}

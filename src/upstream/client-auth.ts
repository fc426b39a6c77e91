import { signJwtWithPem, signJwtWithSecret } from '../crypto/jwt.ts'
import type { Keystore } from '../crypto/keystore.ts'
import type { Deps } from '../deps.ts'
import type { Provider } from '../identity/providers.ts'
import { randomString } from '../lib/random.ts'

/** Seconds that an assertion is good for. */
const LIFETIME = 60
const APPLE = 'https://appleid.apple.com'
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** What proves who we are at a token endpoint: fields of the form, and headers. */
export interface ClientProof {
  fields: Record<string, string>
  headers: Record<string, string>
}

export type ProofNeeds = Pick<Deps, 'clock' | 'random'> & { keys: Pick<Keystore, 'sign'> }

/**
 * The proof for one request, by the method of the configuration (RFC 6749 section 2.3, RFC 7523, Apple's own).
 *
 * @throws KeyError, TypeError when no key can sign it
 */
export async function proveClient(
  deps: ProofNeeds,
  provider: Provider,
  tokenEndpoint: URL,
): Promise<ClientProof> {
  const { client_id, client_secret: secret = '', token_endpoint_auth_method: method } = provider
  const asForm = (fields: Record<string, string> = {}): ClientProof => ({
    fields: { client_id, ...fields },
    headers: {},
  })
  const iat = Math.floor(deps.clock.now().getTime() / 1000)
  const claims = {
    iss: client_id,
    sub: client_id,
    aud: tokenEndpoint.href,
    jti: randomString(deps.random, 22),
    iat,
    exp: iat + LIFETIME,
  }
  const alg = provider.token_endpoint_auth_signing_alg ?? 'RS256'
  const asserted = async (assertion: Promise<string>) =>
    asForm({ client_assertion_type: ASSERTION, client_assertion: await assertion })
  switch (method) {
    case 'none':
      return asForm()
    case 'client_secret_basic':
      return { fields: {}, headers: { authorization: `Basic ${basic(client_id, secret)}` } }
    case 'client_secret_post':
      return asForm({ client_secret: secret })
    case 'client_secret_jwt':
      return asserted(signJwtWithSecret(claims, alg, secret))
    case 'private_key_jwt':
      return asserted(deps.keys.sign(claims, { alg }))
    case 'sign_in_with_apple': {
      const { team_id = '', key_id = '', private_key = '' } = provider.sign_in_with_apple ?? {}
      const header = { alg: 'ES256', kid: key_id }
      const own = { iss: team_id, sub: client_id, aud: APPLE, iat, exp: iat + LIFETIME }
      return asForm({ client_secret: await signJwtWithPem(own, header, private_key) })
    }
  }
}

/** RFC 6749 section 2.3.1: both halves are form-encoded first. */
function basic(id: string, secret: string): string {
  const encoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
  return new TextEncoder().encode(`${encoded(id)}:${encoded(secret)}`).toBase64()
}

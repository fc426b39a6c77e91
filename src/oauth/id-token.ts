import type { ClientRow } from '../../sql/clients.ts'
import { idTokenHash } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'
import { epochSeconds } from '../lib/clock.ts'
import { ulidFromUuid } from '../lib/ulid.ts'

/** Seconds that an ID token holds. */
const LIFETIME = 3600

/** Signs an ID token (OpenID Connect Core section 2, reference 4.6) in the algorithm that the client registered. */
export function idToken(
  deps: Pick<Deps, 'urls' | 'clock' | 'keys'>,
  client: ClientRow,
  facts: { userId: string; nonce: string | null; authTime: Date; accessToken: string; code: string },
): Promise<string> {
  const alg = client.metadata.id_token_signed_response_alg ?? 'RS256'
  const now = epochSeconds(deps.clock.now())
  return deps.keys.sign(
    {
      iss: deps.urls.issuer,
      sub: ulidFromUuid(facts.userId),
      aud: ulidFromUuid(client.id),
      iat: now,
      exp: now + LIFETIME,
      auth_time: epochSeconds(facts.authTime),
      ...(facts.nonce !== null && { nonce: facts.nonce }),
      at_hash: idTokenHash(alg, facts.accessToken),
      c_hash: idTokenHash(alg, facts.code),
    },
    { alg },
  )
}

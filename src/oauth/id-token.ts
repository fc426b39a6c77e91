import type { AuthenticationMethod } from '../../sql/browser-sessions.ts'
import type { ClientRow } from '../../sql/clients.ts'
import { idTokenHash } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'
import { base64url } from '../lib/base64url.ts'
import { epochSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { acrOf, amrOf } from './acr.ts'
import { FAPI2_ALGORITHMS, isFapi2 } from './fapi2.ts'
import type { Keyring } from './keyring.ts'
import type { PersonClaims } from './person-claims.ts'

/** Seconds that an ID token holds. */
const LIFETIME = 3600

/**
 * The `sid` that a client knows a browser session by (OpenID Connect Back-Channel Logout section 2.1): another one at
 * each client, so that two of them cannot compare notes, and the same one for ever, whatever keys change. The id of a
 * session has 80 random bits that nobody else knows, so its digest needs no key.
 */
export const sessionIdFor = (clientId: string, browserSessionId: string): string =>
  base64url(sha256(`sid\n${clientId}\n${browserSessionId}`).subarray(0, 16))

/**
 * What the ID tokens of a client are signed with: what it registered, RS256 by default (OpenID Connect Registration
 * section 2), which a client of the FAPI 2.0 Security Profile may not have.
 */
export function idTokenAlgorithm({ algorithms }: Pick<Keyring, 'algorithms'>, client: ClientRow): string {
  const registered = client.metadata.id_token_signed_response_alg
  if (registered !== undefined || !isFapi2(client)) return registered ?? 'RS256'
  return FAPI2_ALGORITHMS.find((alg) => algorithms.includes(alg)) ?? 'PS256'
}

/** Signs an ID token (OpenID Connect Core section 2, reference section 4.6) in the algorithm that the client registered. */
export function idToken(
  deps: Pick<Deps, 'urls' | 'clock' | 'keys'>,
  client: ClientRow,
  facts: {
    userId: string
    /** The browser session that approved. */
    browserSessionId: string
    nonce: string | null
    authTime: Date
    /** How the person signed in then. */
    method: AuthenticationMethod | null
    accessToken: string
    code: string | undefined
    /** The client asked how the person signed in. */
    acrRequested: boolean
    person: PersonClaims
  },
): Promise<string> {
  const alg = idTokenAlgorithm(deps.keys, client)
  const now = epochSeconds(deps.clock.now())
  const amr = amrOf(facts.method)
  const acr = facts.acrRequested ? acrOf(facts.method) : undefined
  return deps.keys.sign(
    {
      iss: deps.urls.issuer,
      sub: ulidFromUuid(facts.userId),
      aud: ulidFromUuid(client.id),
      iat: now,
      exp: now + LIFETIME,
      auth_time: epochSeconds(facts.authTime),
      sid: sessionIdFor(client.id, facts.browserSessionId),
      ...(amr && { amr }),
      ...(acr !== undefined && { acr }),
      ...facts.person,
      ...(facts.nonce !== null && { nonce: facts.nonce }),
      at_hash: idTokenHash(alg, facts.accessToken),
      ...(facts.code !== undefined && { c_hash: idTokenHash(alg, facts.code) }),
    },
    { alg },
  )
}

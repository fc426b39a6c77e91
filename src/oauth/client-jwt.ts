import type { ClientRow } from '../../sql/clients.ts'
import { type JwtClaims, verifyForeignJwt } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'

/** What clients may sign with under keys of their own. `Ed25519` is the newer name of the `EdDSA` that is used (RFC 9864). */
export const CLIENT_ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

/**
 * The claims of a JWT that a client signed with one of its keys; a key set that lacks the key is fetched once more. When
 * it does not hold, the rule that it breaks, for the log.
 */
export async function verifyClientJwt(
  deps: Pick<Deps, 'clock' | 'clientKeys'>,
  client: ClientRow,
  jwt: string,
  rules: { algorithms: readonly string[]; requiredClaims?: string[] },
): Promise<JwtClaims | string> {
  const verify = (jwks: { keys: Record<string, unknown>[] }) =>
    verifyForeignJwt(jwt, { jwks }, { ...rules, now: deps.clock.now() })
  try {
    const jwks = await deps.clientKeys.of(client)
    if (!jwks) return 'the client has no keys'
    const first = await verify(jwks)
    if (first.claims) return first.claims
    const renewed = first.unknownKey ? await deps.clientKeys.of(client, true) : undefined
    const second = renewed && (await verify(renewed))
    return second?.claims ?? 'the signature does not hold under any key of the client, or its time is over'
  } catch (error) {
    // Their server, their outage.
    return `the keys of the client could not be fetched: ${error instanceof Error ? error.message : error}`
  }
}

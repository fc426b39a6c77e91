import type { ClientRow } from '../../sql/clients.ts'
import { type JwtClaims, verifyForeignJwt } from '../crypto/jwt.ts'
import type { Deps } from '../deps.ts'
import { OAuthError } from '../http/errors.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { type KeySet, REFETCH_AFTER } from './client-keys.ts'

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
 *
 * @throws OAuthError temporarily_unavailable while the keys cannot be fetched
 */
export async function verifyClientJwt(
  deps: Pick<Deps, 'clock' | 'clientKeys' | 'log'>,
  client: ClientRow,
  jwt: string,
  rules: { algorithms: readonly string[] },
): Promise<JwtClaims | string> {
  const verify = (jwks: KeySet) => verifyForeignJwt(jwt, { jwks }, { ...rules, now: deps.clock.now() })
  const jwks = await keysOf(deps, client)
  if (!jwks) return 'the client has no keys'
  const first = await verify(jwks)
  if (first.claims) return first.claims
  const renewed = first.unknownKey ? await keysOf(deps, client, true) : undefined
  const second = renewed && (await verify(renewed))
  return second?.claims ?? 'the signature does not hold under any key of the client, or its time is over'
}

/**
 * The keys of a client. That its server does not answer says nothing about who asks, so it is no refusal: apps take that
 * for the end of their session. It is one answer for every cause, which tells nobody what is reachable from here.
 */
async function keysOf(
  { clientKeys, log }: Pick<Deps, 'clientKeys' | 'log'>,
  client: ClientRow,
  fresh = false,
): Promise<KeySet | undefined> {
  try {
    return await clientKeys.of(client, fresh)
  } catch (cause) {
    log.warn('client.keys_unreachable', { client_id: ulidFromUuid(client.id), error: cause })
    throw new OAuthError('temporarily_unavailable', {
      description: 'The keys of the client cannot be fetched just now. Try again shortly.',
      retryAfter: REFETCH_AFTER,
      cause,
    })
  }
}

/**
 * Whether `aud` names us, alone or among others: by the issuer, which for a bare origin is written with and without its
 * slash, or by one of `others`.
 */
export function isForIssuer(issuer: string, aud: unknown, others: readonly string[] = []): boolean {
  const ours: unknown[] = [issuer, issuer.replace(/\/$/, ''), ...others]
  return Array.isArray(aud) ? aud.some((one) => ours.includes(one)) : ours.includes(aud)
}

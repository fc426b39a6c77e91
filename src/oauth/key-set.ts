import type { Config } from '../config/schema.ts'
import { encryptionKid, keyTypeOf } from '../crypto/jwt.ts'
import type { Keystore } from '../crypto/keystore.ts'
import { enabledProviders } from '../identity/providers.ts'

/** A key of the document at `jwks_uri`. */
export type PublishedKey = { kty: string; use: 'sig' | 'enc'; kid: string; alg?: string }

/**
 * The key set that we publish (RFC 7517): what we sign with and, where a provider of the configuration encrypts, the same
 * keys once more for that. Those come last and under kids of their own: whoever verifies our signatures by kid or by
 * `use` finds what was there before.
 */
export function publishedKeySet(
  config: Pick<Config, 'upstream_oauth2'>,
  { jwks }: Pick<Keystore, 'jwks'>,
): { keys: PublishedKey[] } {
  const wanted = enabledProviders(config).flatMap((one) => one.id_token_encrypted_response_alg ?? [])
  const encryption = [...new Set(wanted)].flatMap((alg) =>
    jwks.keys
      .filter(({ kty }) => kty === keyTypeOf(alg))
      .map((key): PublishedKey => ({ ...key, use: 'enc', alg, kid: encryptionKid(key.kid, alg) })),
  )
  return { keys: [...jwks.keys, ...encryption] }
}

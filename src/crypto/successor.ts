import { addSeconds } from '../lib/clock.ts'
import { deriveToken, tokenDigest } from './tokens.ts'

/** A pair of tokens that replaces another: for the client, and as its row holds it. */
export interface SuccessorPair {
  access: string
  refresh: string
  row: { id: string; accessHash: Uint8Array; refreshHash: Uint8Array; expiresAt: Date }
}

/**
 * The pair that follows a presented refresh token (decision 7), whose row is `id`: the same for everybody who presents
 * it, and nothing of it is stored in clear. `lifetime` of the access token in seconds.
 */
export function successorPair(
  key: Uint8Array,
  kinds: { access: 'mat' | 'mct'; refresh: 'mar' | 'mcr' },
  presented: string,
  id: string,
  now: Date,
  lifetime: number,
): SuccessorPair {
  // The id is random, and what shows it (`jti` of introspection) shows it to the homeserver alone: with the key and an
  // old token nobody gets at the tokens after it.
  const material = `${id}\n${presented}`
  const access = deriveToken(kinds.access, key, material)
  const refresh = deriveToken(kinds.refresh, key, material)
  return {
    access,
    refresh,
    row: {
      id,
      accessHash: tokenDigest(access),
      refreshHash: tokenDigest(refresh),
      expiresAt: addSeconds(now, lifetime),
    },
  }
}

// node:zlib and not Web Crypto: the web platform has no CRC-32.
import { crc32 } from 'node:zlib'
import { fromBase64url } from '../lib/base64url.ts'
import { hmacSha256, sha256 } from '../lib/digest.ts'
import { pickCharacters, type Random, randomString } from '../lib/random.ts'

/** OAuth access and refresh, compat access and refresh, personal access token: their prefix on the wire. */
export type TokenKind = 'mat' | 'mar' | 'mct' | 'mcr' | 'mpt'

/**
 * What a token can look like: one of ours, one with which we ask the homeserver ourselves (`internal-token.ts`), or one
 * that Synapse issued before a migration.
 */
export type TokenForm = TokenKind | 'lit' | 'syt' | 'syr' | 'macaroon'

const LENGTH = 30
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const OURS = /^(mat|mar|mct|mcr|mpt)_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}$/
// Longer than any token that was ever issued; a bearer header past it costs one comparison.
const LONGEST = 4096

/**
 * A new token, `<kind>_<30 alphanumerics>_<checksum>` (reference 5.1): 178 random bits, and a checksum
 * so that secret scanners and typos are told apart from real tokens without a look in the database.
 */
export const newToken = (kind: TokenKind, random: Random): string =>
  withChecksum(`${kind}_${randomString(random, LENGTH)}`)

/**
 * The token that `key` and `material` determine: the same call gives the same token, and without `key` it can't
 * be told from a random one. HMAC-SHA-256 in counter mode (NIST SP 800-108 section 4.1) over `kind:material`.
 * `key` must be kept for this purpose alone, `material` must name one token only (decision 7).
 */
export function deriveToken(kind: TokenKind, key: Uint8Array, material: string): string {
  let counter = 0
  // As text the counter has its four bytes as long as it stays below 128, and 128 blocks never lack 30 characters.
  const next = (): Uint8Array => hmacSha256(key, `\0\0\0${String.fromCharCode(++counter)}${kind}:${material}`)
  return withChecksum(`${kind}_${pickCharacters(next, LENGTH)}`)
}

/**
 * What a presented token claims to be, from its form alone; undefined when nobody can have issued it, so that no
 * query is spent on it. Tokens that Synapse issued before a migration (`syt_`, `syr_`, macaroons) carry no
 * checksum and pass by their form (edge 14). Never throws, looks at 4,096 characters at most.
 */
export function parseToken(text: string): TokenForm | undefined {
  if (text.length > LONGEST) return undefined
  const kind = OURS.exec(text)?.[1]
  // Not compared in constant time: a checksum is public, whoever has the token can compute it.
  if (kind) return withChecksum(text.slice(0, -7)) === text ? (kind as TokenKind) : undefined
  if (!/^[\x21-\x7e]+$/.test(text)) return undefined
  if (text.startsWith('lit_')) return 'lit'
  if (text.startsWith('syt_')) return 'syt'
  if (text.startsWith('syr_')) return 'syr'
  return isMacaroon(text) ? 'macaroon' : undefined
}

/** What a token is stored as and looked up by: its SHA-256. */
export const tokenDigest = (token: string): Uint8Array => sha256(token)

/** `body` with `_` and its CRC-32 in base 62, least significant digit first, padded with zeros on the left (edge 13). */
function withChecksum(body: string): string {
  let rest = crc32(body)
  let digits = ''
  while (rest > 0) {
    digits += DIGITS[rest % 62]
    rest = Math.floor(rest / 62)
  }
  return `${body}_${digits.padStart(6, '0')}`
}

/** A binary v1 macaroon in base64url without padding: a 4-character length, then the first packet, `location …`. */
function isMacaroon(text: string): boolean {
  if (!/^[A-Za-z0-9_-]{18,}$/.test(text) || text.length % 4 === 1) return false
  const start = fromBase64url(text.slice(0, 20).padEnd(20, 'A'))
  return start !== undefined && new TextDecoder().decode(start.subarray(4, 13)) === 'location '
}

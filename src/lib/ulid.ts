import type { Random } from './random.ts'

/**
 * ULIDs (48-bit milliseconds, 80 random bits), the id of every row. PostgreSQL keeps them as `uuid`, whose byte
 * order is their time order; people and the wire see 26 characters of Crockford base32.
 */
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const HEX = '0123456789abcdef'
const [ZERO, NINE, A] = [48, 57, 97]

/** A new id as PostgreSQL's `uuid` text, from the time and 80 random bits. */
export function newId(now: Date, random: Random): string {
  const bytes = new Uint8Array(16)
  let time = now.getTime()
  for (let i = 5; i >= 0; i--) {
    bytes[i] = time % 256
    time = Math.floor(time / 256)
  }
  bytes.set(random.bytes(10), 6)
  return uuidFromBytes(bytes)
}

const uuidFromBytes = (bytes: Uint8Array): string => withDashes(bytes.toHex())

const withDashes = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`

// Both ways go through the digits with a few bits in hand: with BigInt they were a tenth of an introspection.

/** The ULID text (26 characters, upper case) of a `uuid`. */
export function ulidFromUuid(uuid: string): string {
  let text = ''
  let bits = 0
  // 26 characters hold 130 bits: the first two are zero.
  let held = 2
  for (let at = 0; at < uuid.length; at++) {
    const code = uuid.charCodeAt(at)
    const digit = code <= NINE ? code - ZERO : (code | 32) - A + 10
    // A dash.
    if (digit < 0) continue
    bits = ((bits & 31) << 4) | digit
    held += 4
    if (held < 5) continue
    held -= 5
    text += CROCKFORD.charAt((bits >> held) & 31)
  }
  return text
}

/** The `uuid` of a ULID text, in either case; undefined when it is not a ULID. */
export function uuidFromUlid(ulid: string): string | undefined {
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i.test(ulid)) return undefined
  const upper = ulid.toUpperCase()
  let hex = ''
  let bits = 0
  let held = -2
  for (let at = 0; at < upper.length; at++) {
    bits = ((bits & 15) << 5) | CROCKFORD.indexOf(upper.charAt(at))
    held += 5
    while (held >= 4) {
      held -= 4
      hex += HEX.charAt((bits >> held) & 15)
    }
  }
  return withDashes(hex)
}

/** The smallest id of an instant: everything before it was made earlier. */
export const firstIdOf = (time: Date): string =>
  withDashes(time.getTime().toString(16).padStart(12, '0') + '0'.repeat(20))

/** The instant that an id was made at, read from its first 48 bits. */
export const timeOfId = (uuid: string): Date =>
  new Date(Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16))

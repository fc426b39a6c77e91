import type { Random } from './random.ts'

/**
 * ULIDs (48-bit milliseconds, 80 random bits), the id of every row. PostgreSQL keeps them as `uuid`, whose byte
 * order is their time order; people and the wire see 26 characters of Crockford base32.
 */
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

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

function uuidFromBytes(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The ULID text (26 characters, upper case) of a `uuid`. */
export function ulidFromUuid(uuid: string): string {
  let value = BigInt(`0x${uuid.replaceAll('-', '')}`)
  let text = ''
  for (let i = 0; i < 26; i++) {
    text = CROCKFORD[Number(value & 31n)] + text
    value >>= 5n
  }
  return text
}

/** The `uuid` of a ULID text, in either case; undefined when it is not a ULID. */
export function uuidFromUlid(ulid: string): string | undefined {
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i.test(ulid)) return undefined
  let value = 0n
  for (const character of ulid.toUpperCase()) value = (value << 5n) | BigInt(CROCKFORD.indexOf(character))
  const hex = value.toString(16).padStart(32, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The instant that an id was made at, read from its first 48 bits. */
export const timeOfId = (uuid: string): Date =>
  new Date(Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16))

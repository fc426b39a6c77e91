/** Where randomness comes from. One audited source in production, a seeded one in tests. */
export interface Random {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>
}

/** The operating system's CSPRNG, through Web Crypto. */
export const systemRandom: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
}

const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/**
 * Maps uniform bytes to characters of `alphabet` without bias: bytes above the largest multiple of its
 * length are rejected. `next` is asked for more bytes until `length` characters are found.
 */
export function pickCharacters(
  next: (count: number) => Uint8Array,
  length: number,
  alphabet = ALPHANUMERIC,
): string {
  const limit = 256 - (256 % alphabet.length)
  let text = ''
  while (text.length < length) {
    // Two spare bytes: few are rejected, and a token of 30 characters takes one HMAC.
    const bytes = next(length + 2)
    for (let at = 0; at < bytes.length && text.length < length; at++) {
      const byte = bytes[at] ?? limit
      if (byte < limit) text += alphabet.charAt(byte % alphabet.length)
    }
  }
  return text
}

/** A uniformly random string of `length` characters, `[0-9A-Za-z]` unless another alphabet is given. */
export const randomString = (random: Random, length: number, alphabet = ALPHANUMERIC): string =>
  pickCharacters((count) => random.bytes(count), length, alphabet)

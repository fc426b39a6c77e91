import { equalBytes } from '../lib/digest.ts'
import type { Random } from '../lib/random.ts'

/** One entry of `passwords.schemes` (reference operations 1.9). */
export type PasswordScheme = {
  readonly version: number
  readonly algorithm: 'argon2id' | 'bcrypt' | 'pbkdf2'
  /** The base-2 logarithm of bcrypt's rounds, 4 to 31; the other algorithms ignore it. */
  readonly cost?: number | undefined
  /** The pepper: Argon2's secret input; for the other two, appended to the password's bytes. */
  readonly secret?: Uint8Array | undefined
  /** NFKC before hashing, as Synapse does. */
  readonly unicode_normalization: boolean
}

/** What a scheme does with one password. Neither call has a queue or a length cap: those are the caller's. */
export type Hasher = {
  hash(password: string): Promise<string>
  /** Whether the password made `stored`; false also when `stored` is not of this algorithm. */
  verify(password: string, stored: string): Promise<boolean>
  /** Whether `stored` is weaker than what `hash` makes now. */
  outdated(stored: string): boolean
}

// MAS's defaults, which are also OWASP's minimum: hashes that it made and that we make cost the same.
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 }
const BCRYPT_COST = 12
const PBKDF2_ROUNDS = 600_000
// A stored row is trusted, but a damaged one must not occupy a core for minutes.
const PBKDF2_MOST_ROUNDS = 20_000_000

/** The hasher of one scheme. Native modules load on its first use: start-up does not pay for them. */
export function createHasher(scheme: PasswordScheme, random: Random): Hasher {
  const { algorithm, cost = BCRYPT_COST, secret = new Uint8Array(), unicode_normalization } = scheme
  const plain = (password: string): Uint8Array<ArrayBuffer> =>
    new TextEncoder().encode(unicode_normalization ? password.normalize('NFKC') : password)
  const peppered = (password: string): Uint8Array<ArrayBuffer> => concatenate(plain(password), secret)

  if (algorithm === 'argon2id') {
    const pepper = secret.length > 0 ? { secret } : {}
    return {
      async hash(password) {
        const { hash } = await import('@node-rs/argon2')
        // 2 is Algorithm.Argon2id, 1 is Version.V0x13: those are const enums, which exist for tsc alone.
        const options = { ...ARGON2, ...pepper, algorithm: 2, version: 1, salt: random.bytes(16) }
        return hash(plain(password), options)
      },
      async verify(password, stored) {
        const { verify } = await import('@node-rs/argon2')
        // It throws on text that is no Argon2 hash, and says false to a wrong password.
        if (!stored.startsWith('$argon2')) return false
        return verify(stored, plain(password), pepper).catch(() => false)
      },
      outdated: () => false,
    }
  }
  if (algorithm === 'bcrypt') {
    // bcrypt reads 72 bytes, pepper included, and takes NUL as any other byte; hashes from elsewhere rely on both.
    return {
      async hash(password) {
        const { hash } = await import('@node-rs/bcrypt')
        return hash(peppered(password), { cost, salt: random.bytes(16) })
      },
      async verify(password, stored) {
        const { verify } = await import('@node-rs/bcrypt')
        return verify(peppered(password), stored)
      },
      outdated: (stored) => Number(/^\$2[abxy]\$(\d\d)\$/.exec(stored)?.[1]) < cost,
    }
  }
  return {
    async hash(password) {
      const salt = random.bytes(16)
      const key = await pbkdf2(peppered(password), salt, 'SHA-256', PBKDF2_ROUNDS, 32)
      return `$pbkdf2-sha256$i=${PBKDF2_ROUNDS},l=32$${phc(salt)}$${phc(key)}`
    },
    async verify(password, stored) {
      const parsed = parsePbkdf2(stored)
      if (!parsed) return false
      const { hash, rounds, salt, key } = parsed
      return equalBytes(await pbkdf2(peppered(password), salt, hash, rounds, key.length), key)
    },
    outdated: (stored) => (parsePbkdf2(stored)?.rounds ?? PBKDF2_ROUNDS) < PBKDF2_ROUNDS,
  }
}

async function pbkdf2(
  password: Uint8Array<ArrayBuffer>,
  salt: Uint8Array<ArrayBuffer>,
  hash: string,
  iterations: number,
  length: number,
): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey('raw', password, 'PBKDF2', false, ['deriveBits'])
  const bits = await crypto.subtle.deriveBits({ name: 'PBKDF2', hash, salt, iterations }, key, length * 8)
  return new Uint8Array(bits)
}

/** `$pbkdf2-sha256$i=600000,l=32$salt$hash`, the PHC string format: base64 without padding. */
function parsePbkdf2(stored: string) {
  const form = /^\$pbkdf2-sha(256|512)\$i=(\d{1,8})(?:,l=(\d{1,3}))?\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/
  const [, bits, rounds, length, salt, hash] = form.exec(stored) ?? []
  if (salt === undefined || hash === undefined) return undefined
  try {
    const key = Uint8Array.fromBase64(hash)
    if (key.length < 16 || (length !== undefined && Number(length) !== key.length)) return undefined
    if (Number(rounds) < 1 || Number(rounds) > PBKDF2_MOST_ROUNDS) return undefined
    return { hash: `SHA-${bits}`, rounds: Number(rounds), salt: Uint8Array.fromBase64(salt), key }
  } catch {
    return undefined
  }
}

const phc = (bytes: Uint8Array): string => bytes.toBase64({ omitPadding: true })

function concatenate(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length)
  bytes.set(first)
  bytes.set(second, first.length)
  return bytes
}

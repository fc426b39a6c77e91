import { base64url, fromBase64url } from '../lib/base64url.ts'
import { sha256 } from '../lib/digest.ts'
import { type Random, systemRandom } from '../lib/random.ts'

/** Everything that is derived from `secrets.encryption`: a key for each purpose, and encryption at rest. */
export type Secrets = {
  /** Signs CSRF tokens. */
  csrf: Uint8Array
  /** Derives the successor pair of a refresh token (decision 7). */
  refresh: Uint8Array
  /** Blinds what rate limits are counted by. */
  limits: Uint8Array
  /** Digests of codes that people type: too short for a plain one. */
  codes: Uint8Array
  /** Signs what the check against robots hands out. */
  captcha: Uint8Array
  /** Derives the cookie of the session that a sign-up ends in. */
  signUp: Uint8Array
  /** Signs the tokens with which we ask the homeserver in the name of a person. */
  internal: Uint8Array
  /**
   * `plain` encrypted, as text for a column: `v1.<key id>.<base64url of nonce and ciphertext>`. `context` says
   * what the value is and whose (for example `client_secret:<id>`); it is authenticated, not stored.
   */
  seal(plain: string, context: string): Promise<string>
  /** What was sealed; undefined when it was changed, moved to another context, or sealed under a key that is gone. */
  open(sealed: string, context: string): Promise<string | undefined>
}

const NONCE = 12

/**
 * Derives the keys from 64 hexadecimal characters (HKDF-SHA-256, RFC 5869, one info label a purpose). `old` holds
 * earlier values: what was sealed under them still opens, everything new uses `current`.
 * Throws RangeError (without the value) when one is not 64 hexadecimal characters.
 */
export async function deriveSecrets(
  current: string,
  old: readonly string[] = [],
  random: Random = systemRandom,
): Promise<Secrets> {
  const master = await importMaster(current)
  const [csrf, refresh, limits, codes, captcha, signUp, internal, newest, ...older] = await Promise.all([
    subkey(master, 'csrf'),
    subkey(master, 'refresh'),
    subkey(master, 'limits'),
    subkey(master, 'codes'),
    subkey(master, 'captcha'),
    subkey(master, 'sign-up'),
    subkey(master, 'internal'),
    sealingKey(master),
    ...old.map(async (hex) => sealingKey(await importMaster(hex))),
  ])
  const keys = new Map([...older, newest].map(({ id, key }) => [id, key]))

  return {
    csrf,
    refresh,
    limits,
    codes,
    captcha,
    signUp,
    internal,
    async seal(plain, context) {
      const nonce = random.bytes(NONCE)
      const ciphertext = new Uint8Array(
        await crypto.subtle.encrypt(algorithm(nonce, context), newest.key, new TextEncoder().encode(plain)),
      )
      const bytes = new Uint8Array(NONCE + ciphertext.length)
      bytes.set(nonce)
      bytes.set(ciphertext, NONCE)
      return `v1.${newest.id}.${base64url(bytes)}`
    },
    async open(sealed, context) {
      const [version, id, body, extra] = sealed.split('.', 4)
      const key = id === undefined ? undefined : keys.get(id)
      const bytes = body === undefined ? undefined : fromBase64url(body)
      if (version !== 'v1' || extra !== undefined || !key || !bytes) return undefined
      try {
        const nonce = bytes.subarray(0, NONCE)
        const plain = await crypto.subtle.decrypt(algorithm(nonce, context), key, bytes.subarray(NONCE))
        return new TextDecoder('utf-8', { ignoreBOM: true }).decode(plain)
      } catch {
        return undefined
      }
    },
  }
}

const algorithm = (nonce: Uint8Array<ArrayBuffer>, context: string) => ({
  name: 'AES-GCM',
  iv: nonce,
  additionalData: new TextEncoder().encode(context),
})

async function importMaster(hex: string): Promise<CryptoKey> {
  if (!/^[0-9a-f]{64}$/i.test(hex)) {
    throw new RangeError('secrets.encryption must be exactly 64 hexadecimal characters (32 bytes).')
  }
  return crypto.subtle.importKey('raw', Uint8Array.fromHex(hex), 'HKDF', false, ['deriveBits'])
}

async function subkey(master: CryptoKey, purpose: string): Promise<Uint8Array<ArrayBuffer>> {
  // No salt: the secret is uniformly random already (RFC 5869 section 3.1).
  const info = new TextEncoder().encode(`latchkey ${purpose} v1`)
  const parameters = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info }
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, master, 256))
}

async function sealingKey(master: CryptoKey): Promise<{ id: string; key: CryptoKey }> {
  const bytes = await subkey(master, 'seal')
  const key = await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt'])
  return { id: base64url(sha256(bytes)).slice(0, 8), key }
}

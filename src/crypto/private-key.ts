// node:crypto and not Web Crypto: that reads only unencrypted PKCS#8 in DER, while configurations hold PKCS#1, SEC1,
// encrypted PKCS#8 and PEM. A parser of our own for those would be the riskier choice.
import { createPrivateKey, type KeyObject, type PrivateKeyInput } from 'node:crypto'
import { algorithmsOf } from './jwt.ts'

/** A signing key that can't be used. The message names the key and says what to do; it never holds key material. */
export class KeyError extends Error {
  override name = 'KeyError'
}

const MINIMUM_RSA_BITS = 2048
// 1.3.132.0.10 in DER. The curve is not in Web Crypto, nor in what Bun is built on, so it is told by its name.
const SECP256K1 = Uint8Array.of(0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a)

/**
 * The private JWK of one configured key, or why it is left out. `name` is how messages call it.
 * Throws KeyError. Causes are dropped on purpose: a parser's message may quote what it read.
 */
export function parsePrivateKey(
  { key, password }: { key: Uint8Array | string; password?: Uint8Array | string | undefined },
  name: string,
): { jwk: JsonWebKey } | { skip: string } {
  const text = typeof key === 'string' ? key : looksLikePem(key) ? new TextDecoder().decode(key) : undefined
  if (text !== undefined && !text.includes('-----BEGIN ')) {
    throw new KeyError(`${name} is not a key in PEM form: a line -----BEGIN … PRIVATE KEY----- is missing.`)
  }
  const encodings = text === undefined ? derEncodings(key) : [{ key: text, format: 'pem' as const }]
  if (encodings.some((encoding) => isSecp256k1(encoding.key))) {
    return {
      skip: `${name} is of type secp256k1 and was left out, so nothing can be signed with ES256K. No Matrix client asks for that; the key can be removed.`,
    }
  }

  const passphrase = typeof password === 'string' ? new TextEncoder().encode(password) : password
  let failure = ''
  for (const encoding of encodings) {
    try {
      const options: PrivateKeyInput = { ...encoding }
      if (passphrase !== undefined) options.passphrase = Buffer.from(passphrase)
      return { jwk: exportUsable(createPrivateKey(options), name) }
    } catch (error) {
      if (error instanceof KeyError) throw error
      // Only the first encoding that fits says anything: DER is tried in all of its three forms.
      failure ||= String(error)
    }
  }
  return explain(failure, name, passphrase !== undefined)
}

function explain(failure: string, name: string, hasPassword: boolean): { skip: string } {
  if (/passphrase/i.test(failure)) {
    throw new KeyError(`${name} is encrypted. Give its password, or store the key without one.`)
  }
  if (failure.includes('UNSUPPORTED_KEY_DERIVATION_FUNCTION') || failure.includes('UNSUPPORTED_CIPHER')) {
    throw new KeyError(
      `${name} is encrypted in a way that is not supported. Encrypt it with PBES2 (openssl pkcs8 -topk8 -v2 aes-256-cbc).`,
    )
  }
  if (failure.includes('BAD_DECRYPT')) {
    throw new KeyError(
      `${name} could not be decrypted: the password is wrong. In a password file, a line break at the end counts.`,
    )
  }
  if (failure.includes('UNSUPPORTED_ALGORITHM') && hasPassword) {
    // Decrypted, so the password was right, but the curve can't be read from outside: secp256k1 is the likely one.
    return { skip: `${name} was left out: it is of a type that is not supported (most likely secp256k1).` }
  }
  if (failure.includes('UNSUPPORTED_ALGORITHM')) throw new KeyError(`${name} ${UNSUPPORTED}`)
  // One wrong password in 256 decrypts to nonsense whose end looks right.
  if (hasPassword)
    throw new KeyError(
      `${name} could not be read as a private key: the password is wrong, or the key is damaged. In a password file, a line break at the end counts.`,
    )
  throw new KeyError(
    `${name} could not be read as a private key. It must be PKCS#8, PKCS#1 or SEC1, in PEM or DER form, and complete.`,
  )
}

const UNSUPPORTED = 'is of a type that cannot sign tokens. Use RSA, P-256, P-384, P-521 or Ed25519.'

function exportUsable(key: KeyObject, name: string): JsonWebKey {
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (key.asymmetricKeyType === 'rsa' && bits !== undefined && bits < MINIMUM_RSA_BITS) {
    throw new KeyError(`${name} is an RSA key of ${bits} bits. Use at least ${MINIMUM_RSA_BITS} bits.`)
  }
  let jwk: JsonWebKey
  try {
    jwk = key.export({ format: 'jwk' }) as JsonWebKey
  } catch {
    throw new KeyError(`${name} ${UNSUPPORTED}`)
  }
  if (algorithmsOf(jwk).length === 0) throw new KeyError(`${name} ${UNSUPPORTED}`)
  return jwk
}

const looksLikePem = (bytes: Uint8Array): boolean => bytes[0] !== 0x30

function derEncodings(
  key: Uint8Array | string,
): { key: Buffer; format: 'der'; type: 'pkcs8' | 'pkcs1' | 'sec1' }[] {
  const bytes = Buffer.from(key as Uint8Array)
  return (['pkcs8', 'pkcs1', 'sec1'] as const).map((type) => ({ key: bytes, format: 'der', type }))
}

/** Whether the curve's object identifier is in the key: in its DER, or in one of its PEM blocks. */
function isSecp256k1(key: string | Uint8Array): boolean {
  if (typeof key !== 'string') return Buffer.from(key).includes(SECP256K1)
  return [...key.matchAll(/-----BEGIN [A-Z0-9 ]+-----([A-Za-z0-9+/=\s]+)-----END /g)].some(([, body = '']) =>
    Buffer.from(body, 'base64').includes(SECP256K1),
  )
}

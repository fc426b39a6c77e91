import { createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { messageOf } from '../lib/thrown.ts'
import { KeyError } from './private-key.ts'

/** A certificate chain (PEM) and its key (PEM, or DER of PKCS#8, PKCS#1 or SEC1), as the configuration has them. */
export interface TlsSource {
  certificate: string
  key: Uint8Array
  password?: string
}

/** The same as a server takes it. */
export interface TlsMaterial {
  cert: string
  key: string
  passphrase?: string
}

/**
 * Makes sure that a server can use a certificate: that it is one, that the key is its own and the password the key's.
 * `name` is how the operator calls it.
 *
 * @throws KeyError one sentence
 */
export function tlsMaterial(source: TlsSource, name: string): TlsMaterial {
  const { certificate: cert, password } = source
  const key = pemOf(source.key)
  const material = { cert, key, ...(password !== undefined && { passphrase: password }) }
  try {
    createSecureContext(material)
    return material
  } catch (cause) {
    throw new KeyError(`${name}: ${reasonOf(messageOf(cause))}.`, { cause })
  }
}

function reasonOf(message: string): string {
  if (message.includes('KEY_VALUES_MISMATCH')) return 'the key does not belong to the certificate'
  if (message.includes('BAD_DECRYPT')) return 'the password does not open the key, or the key needs one'
  // The library's own words have no part of the key in them.
  return `the certificate or the key can't be used (${message.split(':').at(-1)})`
}

const LINE = /.{1,64}/g

/** Bun reads keys as PEM alone, MAS takes files in DER too. */
function pemOf(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes)
  if (text.includes('-----BEGIN ')) return text
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      const key = createPrivateKey({ key: Buffer.from(bytes), format: 'der', type })
      return key.export({ format: 'pem', type: 'pkcs8' }).toString()
    } catch {
      // Another form, then.
    }
  }
  // With a password DER cannot be told apart from rubbish: the server says whether it can be opened.
  return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${bytes.toBase64().match(LINE)?.join('\n') ?? ''}\n-----END ENCRYPTED PRIVATE KEY-----\n`
}

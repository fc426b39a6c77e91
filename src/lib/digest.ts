// node:crypto and not Web Crypto: these run several times a request on the hot path, and only node's are
// synchronous (a promise and a thread hop cost more than the hash).
import { createHmac, hash, timingSafeEqual } from 'node:crypto'

/** SHA-256 of text (UTF-8) or bytes. What a secret of 128 bits or more is stored as. */
export const sha256 = (data: string | Uint8Array): Uint8Array => hash('sha256', data, 'buffer')

/** HMAC-SHA-256 of `data` under `key`. */
export const hmacSha256 = (key: Uint8Array, data: string | Uint8Array): Uint8Array =>
  createHmac('sha256', key).update(data).digest()

/** Whether two byte strings are equal, in a time that depends on their lengths only. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b)

/** Whether two secrets are equal, in a time that does not depend on where they differ, or on their lengths. */
export const equalSecrets = (a: string, b: string): boolean => equalBytes(sha256(a), sha256(b))

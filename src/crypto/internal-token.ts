import { base64url, fromBase64url } from '../lib/base64url.ts'
import { equalBytes, hmacSha256 } from '../lib/digest.ts'

/** Seconds that a token of our own works: one call of the homeserver, and the answer to its question about it. */
const LIFETIME = 60

/** 16 bytes of the user id and 6 of the time, 22 in all: 30 characters. */
const FORM = /^lit_([0-9A-Za-z_-]{30})\.([0-9A-Za-z_-]{43})$/

/**
 * An access token with which we act for a person at the homeserver for a minute (decision 6). It says whose it is and
 * until when, and is signed: nothing is stored, so no list shows it and none has to be cleared.
 */
export function newInternalToken(key: Uint8Array, userId: string, now: Date): string {
  const expiresAt = Math.floor(now.getTime() / 1000) + LIFETIME
  const time = expiresAt.toString(16).padStart(12, '0')
  const body = base64url(Uint8Array.fromHex(userId.replaceAll('-', '') + time))
  return `lit_${body}.${base64url(hmacSha256(key, body))}`
}

/** Whose such a token is, and when it ends (seconds since 1970); undefined when we did not sign it or it ended. */
export function readInternalToken(
  key: Uint8Array,
  token: string,
  now: Date,
): { userId: string; expiresAt: number } | undefined {
  const [, body = '', signature = ''] = FORM.exec(token) ?? []
  const given = fromBase64url(signature)
  const bytes = fromBase64url(body)
  if (!given || !bytes || !equalBytes(given, hmacSha256(key, body))) return undefined
  const hex = bytes.toHex()
  const expiresAt = Number.parseInt(hex.slice(32), 16)
  if (expiresAt <= now.getTime() / 1000) return undefined
  const userId = hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return { userId, expiresAt }
}

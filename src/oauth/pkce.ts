import { base64url } from '../lib/base64url.ts'
import { equalSecrets, sha256 } from '../lib/digest.ts'

/** RFC 7636 section 4.1: 43 to 128 unreserved characters. */
const VERIFIER = /^[A-Za-z0-9\-._~]{43,128}$/

/** RFC 7636 section 4.2: what S256 makes, 32 bytes in base64url. */
export const isChallenge = (text: string): boolean => /^[A-Za-z0-9_-]{43}$/.test(text)

/** RFC 7636 section 4.6: whether a verifier is the one that an S256 challenge was made from. */
export const verifies = (verifier: string, challenge: string): boolean =>
  VERIFIER.test(verifier) && equalSecrets(base64url(sha256(verifier)), challenge)

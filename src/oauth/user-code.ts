import type { Secrets } from '../crypto/seal.ts'
import { hmacSha256 } from '../lib/digest.ts'
import { type Random, randomString } from '../lib/random.ts'

/**
 * The code that a person reads on a device and types into a browser (RFC 8628 section 6.1): eight characters of 23,
 * about 36 bits. No vowels, so that no words come out; of what looks alike (0 O, 1 I L, 2 Z, 5 S, 6 G, 8 B) at most one.
 */
const ALPHABET = '23456789CDFHJKMNPQRTVWX'
/** What is read or typed in place of a digit. */
const MISREAD: Record<string, string> = { Z: '2', S: '5', G: '6', B: '8' }
const LENGTH = 8
const USER_CODE = new RegExp(`^[${ALPHABET}]{${LENGTH}}$`)

/** A new code, without its dash. */
export const newUserCode = (random: Random): string => randomString(random, LENGTH, ALPHABET)

/** A code as people see it: XXXX-XXXX. */
export const formatUserCode = (code: string): string =>
  `${code.slice(0, LENGTH / 2)}-${code.slice(LENGTH / 2)}`

/**
 * What a person typed as a code: in any case, wide or narrow, with any spaces, dashes and dots, with letters for the
 * digits that they look like. Undefined when it cannot be one.
 */
export function readUserCode(typed: string): string | undefined {
  // Whatever is longer was pasted by mistake, and need not be looked at character by character.
  if (typed.length > 100) return undefined
  const code = typed
    .normalize('NFKC')
    .toUpperCase()
    .replace(/[\s\p{Pd}\p{Cf}._]/gu, '')
    .replace(/[ZSGB]/g, (letter) => MISREAD[letter] ?? letter)
  return USER_CODE.test(code) ? code : undefined
}

/** What the database knows a code by. An HMAC, since all the codes there are can be digested within minutes. */
export const userCodeHash = (secrets: Pick<Secrets, 'limits'>, code: string): Uint8Array =>
  hmacSha256(secrets.limits, `device user code\n${code}`)

import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { fold } from '../lib/fold.ts'
import type { FieldError } from '../render/contexts.ts'

/** Bytes that an address may have (RFC 5321 section 4.5.3.1.3, without the angle brackets). */
const LIMIT = 254

/**
 * One address as people have them: a dot-atom and a domain name (RFC 5322 section 3.4.1; letters of any script, as in
 * RFC 6531). No quoted local parts, comments, groups or lists: what passes names one mailbox to every mail program, and
 * is no option of a program either.
 */
const ADDRESS =
  /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~][\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~.-]*@([\p{L}\p{M}\p{N}]([\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?\.)*[\p{L}\p{M}\p{N}]([\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?$/u

/** The address that somebody typed, without spaces around it; undefined when it is none. */
export function parseEmail(input: string): string | undefined {
  const address = input.trim()
  // First of all: the pattern is never run over a text of any length.
  if (new TextEncoder().encode(address).length > LIMIT) return undefined
  const local = address.slice(0, address.lastIndexOf('@'))
  if (local.includes('..') || local.endsWith('.')) return undefined
  return ADDRESS.test(address) ? address : undefined
}

/** The form in which addresses are compared. Mail goes to the address as its owner wrote it, never to this. */
export const foldEmail = (address: string): string => fold(address)

/** Why an address is refused, as its field says it. */
const REASONS: Record<string, FieldError['code']> = {
  'email-invalid': 'invalid',
  'email-domain-not-allowed': 'not_allowed',
  'email-domain-banned': 'not_allowed',
  'email-not-allowed': 'not_allowed',
  'email-banned': 'not_allowed',
  'requester-banned': 'not_allowed',
}

/** An address that somebody wants to use, checked with the operator's rules; or what to say at its field. */
export async function checkEmail(
  deps: Pick<Deps, 'policy'>,
  typed: string,
  requester: Requester,
): Promise<{ email: string } | { error: FieldError }> {
  if (typed.trim() === '') return { error: { code: 'required' } }
  const email = parseEmail(typed)
  if (email === undefined) return { error: { code: 'invalid' } }
  const [violation] = await deps.policy.email(email, requester)
  if (!violation) return { email }
  const reason = REASONS[violation.code ?? '']
  return { error: reason ? { code: reason } : { code: 'not_allowed', message: violation.msg } }
}

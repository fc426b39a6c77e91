import type { Requester } from '../http/requester.ts'
import { fold } from '../lib/fold.ts'
import { type Constraints, isBannedRequester, matches, type PolicyRules } from './constraints.ts'
import { REQUESTER_BANNED, type Violation } from './violation.ts'

/** Characters of an address (RFC 5321 section 4.5.3.1.3, without the angle brackets). */
const ADDRESS_LIMIT = 254

/** The policy for an address that a person wants to add (reference operations 6.3, defect 15 mended). */
export function checkEmailPolicy(rules: PolicyRules, email: string, requester: Requester): Violation[] {
  const violations = emailViolations(rules, email)
  if (isBannedRequester(rules.data, requester)) violations.push(REQUESTER_BANNED)
  return violations
}

/**
 * What the operator's lists say of an address. Case makes no difference, and the domain is what follows the last `@`:
 * a quoted local part may hold others.
 */
export function emailViolations({ data }: PolicyRules, email: string): Violation[] {
  const violations: Violation[] = []
  const refuse = (code: Violation['code'], msg: string) =>
    violations.push({ field: 'email', ...(code && { code }), msg })
  const address = fold(email.trim())
  const at = address.lastIndexOf('@')
  if (at < 1 || at === address.length - 1 || address.length > ADDRESS_LIMIT) {
    // Nothing of any length reaches the operator's regular expressions, which may take for ever over it.
    refuse('email-invalid', 'This is not an email address.')
    return violations
  }
  const domain = asciiDomain(address.slice(at + 1))
  const { allowed_domains, banned_domains, emails } = data
  const canonical = `${address.slice(0, at)}@${domain}`
  const listed = (constraints: Constraints | undefined) =>
    constraints !== undefined &&
    (matches(folded(constraints), address) || matches(folded(constraints), canonical))
  if (allowed_domains && !allowed_domains.some((glob) => matchesDomain(glob, domain)))
    refuse('email-domain-not-allowed', 'Addresses of this domain are not accepted here.')
  if (banned_domains?.some((glob) => matchesDomain(glob, domain)))
    refuse('email-domain-banned', 'Addresses of this domain are not accepted here.')
  if (emails?.allowed_addresses && !listed(emails.allowed_addresses))
    refuse('email-not-allowed', 'This address is not accepted here.')
  if (listed(emails?.banned_addresses)) refuse('email-banned', 'This address is not accepted here.')
  return violations
}

/** The constraints as addresses are compared: folded, regular expressions without case. */
function folded({ literals, substrings, prefixes, suffixes, regexes }: Constraints): Constraints {
  return {
    literals: (literals ?? []).map(fold),
    substrings: (substrings ?? []).map(fold),
    prefixes: (prefixes ?? []).map(fold),
    suffixes: (suffixes ?? []).map(fold),
    regexes: (regexes ?? []).map((source) =>
      source.startsWith('(?') && /^\(\?[ims]+\)/.test(source) ? `(?i${source.slice(2)}` : `(?i)${source}`,
    ),
  }
}

/** A domain as the network knows it: in ASCII (RFC 5891), without the dot at the end. */
function asciiDomain(domain: string): string {
  const plain = domain.replace(/\.$/, '')
  const url = `http://${plain}`
  return /^[^/?#:@\\\s]+$/.test(plain) && URL.canParse(url) ? new URL(url).hostname : plain
}

/** Whether a domain matches a glob: `*` stands for one label or a part of one, `**` for any number of them. */
export function matchesDomain(glob: string, domain: string): boolean {
  const labels = fold(glob.trim()).replace(/\.$/, '').split('.')
  // Wildcards are no letters of a domain: only labels without one have another form in ASCII.
  const source = labels.map((label) => (/[*?]/.test(label) ? label : asciiDomain(label))).join('.')
  const pattern = source
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*|\*|\?/g, (wild) => (wild === '**' ? '.*' : wild === '*' ? '[^.]*' : '[^.]'))
  return new RegExp(`^${pattern}$`).test(domain)
}

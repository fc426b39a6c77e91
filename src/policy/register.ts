import type { Config } from '../config/schema.ts'
import type { Requester } from '../http/requester.ts'
import { isBannedRequester, matches, type PolicyRules } from './constraints.ts'
import { emailViolations } from './email.ts'
import { REQUESTER_BANNED, type Violation } from './violation.ts'

/** Somebody who wants an account. */
export interface RegisterInput {
  username: string
  /** Their address, once they gave one. */
  email?: string
  method: 'password' | 'upstream-oauth2'
}

/** Characters of a full Matrix id (Matrix specification, user identifiers). */
const MXID_LIMIT = 255

/** The registration policy (reference operations 6.3); the first violation of a field is the one to show. */
export function checkRegisterPolicy(
  rules: PolicyRules,
  { username, email }: RegisterInput,
  requester: Requester,
): Violation[] {
  const violations = matrixNameViolations(rules.serverName, username)
  // Nothing of any length reaches the operator's regular expressions, which may take for ever over it.
  if (!violations.some(({ code }) => code === 'username-too-long'))
    violations.push(...nameRules(rules, username))
  if (email !== undefined) violations.push(...emailViolations(rules, email))
  if (isBannedRequester(rules.data, requester)) violations.push(REQUESTER_BANNED)
  return violations
}

/** What the Matrix specification says of a name, whatever the operator's rules are. */
export function matrixNameViolations(serverName: string, username: string): Violation[] {
  const violations: Violation[] = []
  const refuse = (code: Violation['code'], msg: string) =>
    violations.push({ field: 'username', ...(code && { code }), msg })
  if (username === '') refuse('username-too-short', 'The username is empty.')
  else if (!/^[a-z0-9.=_/+-]+$/.test(username))
    refuse('username-invalid-chars', 'A username has only a to z, 0 to 9 and the signs . = _ / + -')
  if (`@${username}:${serverName}`.length > MXID_LIMIT)
    refuse('username-too-long', `A Matrix id has at most ${MXID_LIMIT} characters.`)
  return violations
}

function nameRules({ data }: PolicyRules, username: string): Violation[] {
  const violations: Violation[] = []
  const { allowed_usernames: allowed, banned_usernames: banned } = data.registration ?? {}
  const refuse = (code: Violation['code'], msg: string) =>
    violations.push({ field: 'username', ...(code && { code }), msg })
  if (/^[0-9]+$/.test(username)) refuse('username-all-numeric', 'A username needs something besides digits.')
  if (matches(banned, username)) refuse('username-banned', 'This username is reserved.')
  if (allowed && !matches(allowed, username))
    refuse('username-not-allowed', 'This username does not follow the rules of this server.')
  return violations
}

/** Whether people may create accounts here. An address that nobody can prove closes it: no mail leaves. */
export function registrationEnabled(config: Config): boolean {
  const { account, passwords, email } = config
  return (
    passwords.enabled &&
    account.password_registration_enabled &&
    !(account.password_registration_email_required && email.transport === 'blackhole')
  )
}

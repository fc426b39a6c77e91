import type { Config } from '../config/schema.ts'
import type { Requester } from '../http/requester.ts'
import { isBannedRequester, matches, type PolicyConfig } from './constraints.ts'

/** Codes of reference operations 6.1, without their `username-` prefix where the page's field says it. */
export type UsernameViolation =
  | 'too_short'
  | 'too_long'
  | 'invalid'
  | 'all_numeric'
  | 'banned'
  | 'not_allowed'
  | 'requester_banned'

/** Characters of a full Matrix id (Matrix specification, user identifiers). */
const MXID_LIMIT = 255

/** The registration policy for a name (reference operations 6.3); the first violation is the one to show. */
export function checkUsernamePolicy(
  config: PolicyConfig & { matrix: { homeserver: string } },
  username: string,
  requester: Requester,
): UsernameViolation[] {
  const { data } = config.policy
  const violations: UsernameViolation[] = []
  if (username === '') violations.push('too_short')
  else if (!/^[a-z0-9.=_/+-]+$/.test(username)) violations.push('invalid')
  if (`@${username}:${config.matrix.homeserver}`.length > MXID_LIMIT) {
    // Nothing of any length reaches the operator's regular expressions, which may take for ever over it.
    violations.push('too_long')
    return violations
  }
  if (/^[0-9]+$/.test(username)) violations.push('all_numeric')
  if (matches(data.registration?.banned_usernames, username)) violations.push('banned')
  if (data.registration?.allowed_usernames && !matches(data.registration.allowed_usernames, username))
    violations.push('not_allowed')
  if (isBannedRequester(data, requester)) violations.push('requester_banned')
  return violations
}

/**
 * Whether people may create accounts here. Sign-up steps that are not built yet (an email address, an invitation, a
 * CAPTCHA) close it: leaving a required step out would open the server to everybody.
 */
export function registrationEnabled(config: Config): boolean {
  const { account, passwords, captcha } = config
  return (
    passwords.enabled &&
    account.password_registration_enabled &&
    !account.password_registration_email_required &&
    !account.password_registration_token_required &&
    !account.registration_token_required &&
    !captcha?.service
  )
}

import type { Requester } from '../http/requester.ts'
import { isBannedRequester, type PolicyRules } from './constraints.ts'
import { type SessionCounts, sessionLimitViolations } from './session-limit.ts'
import { REQUESTER_BANNED, type Violation } from './violation.ts'

/** How an older client signs in: the type of its login, for `m.login.sso` with the address that the person goes to. */
export type LegacyLogin =
  | { type: 'm.login.sso'; redirect_uri: string }
  | { type: 'm.login.token' }
  | { type: 'm.login.password' }

/** The policy for a login of an older client (reference operations 6.3); empty means: allowed. */
export function checkLegacyLoginPolicy(
  rules: PolicyRules,
  asked: {
    login: LegacyLogin
    /** Whether the login takes the place of a session of the same device. */
    sessionReplaced: boolean
    sessions: SessionCounts | undefined
  },
  requester: Requester,
): Violation[] {
  const which = asked.login.type === 'm.login.sso' ? 'soft' : 'hard'
  const violations = asked.sessionReplaced ? [] : sessionLimitViolations(rules, asked.sessions, which)
  if (isBannedRequester(rules.data, requester)) violations.push(REQUESTER_BANNED)
  return violations
}

import type { PolicyRules } from './constraints.ts'
import type { Violation } from './violation.ts'

/** The violation of the limit. */
export const TOO_MANY_SESSIONS: Violation = {
  code: 'too-many-sessions',
  msg: 'The account is signed in on too many devices.',
}

/** How many sessions of apps a person has now; personal tokens only those that are their own. */
export interface SessionCounts {
  total: number
  oauth2: number
  compat: number
  personal: number
}

/**
 * The limit of sessions (reference operations 6.3): the soft one where somebody sits before a page and can end others
 * first, the hard one where only a password or token came. Accounts above the threshold are left alone.
 */
export function sessionLimitViolations(
  { sessionLimit }: PolicyRules,
  sessions: SessionCounts | undefined,
  which: 'soft' | 'hard',
): Violation[] {
  if (!sessionLimit || !sessions) return []
  const { max_session_threshold: threshold } = sessionLimit
  if (threshold !== undefined && sessions.total > threshold) return []
  const limit = which === 'soft' ? sessionLimit.soft_limit : sessionLimit.hard_limit
  if (sessions.total < limit) return []
  return [{ ...TOO_MANY_SESSIONS, need_to_remove: sessions.total - limit + 1 }]
}

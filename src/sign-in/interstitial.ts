import type { Deps } from '../deps.ts'
import type { Continuation } from '../identity/continuation.ts'
import { page, type Visit } from '../identity/visit.ts'

/**
 * The page that stands in for another one when the browser's session may not act: the account is locked or
 * deactivated, or the session was ended from elsewhere (reference flows 0.5). Undefined when nothing is in the way.
 */
export function interstitial(deps: Deps, visit: Visit, continuation: Continuation): Response | undefined {
  const { session } = visit
  if (session.state === 'none' || session.state === 'active') return undefined
  if (session.state === 'ended')
    return page(deps, visit, 'session_ended', { continuation: continuation.text })
  return stoppedPage(deps, visit, continuation, session.state, session.session.username)
}

/** The page for somebody whose account may not sign in. */
export const stoppedPage = (
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  reason: 'locked' | 'deactivated',
  username: string,
): Response =>
  page(deps, visit, `account_${reason}`, {
    mxid: deps.homeserver.mxid(username),
    continuation: continuation.text,
  })

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
  return page(deps, visit, session.state === 'locked' ? 'account_locked' : 'account_deactivated', {
    mxid: deps.homeserver.mxid(session.session.username),
    continuation: continuation.text,
  })
}

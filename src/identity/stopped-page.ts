import type { Deps } from '../deps.ts'
import type { Continuation } from './continuation.ts'
import { page, type Visit } from './visit.ts'

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

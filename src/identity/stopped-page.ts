import { findDeactivationDate } from '../../sql/pending-deactivations.ts'
import type { Deps } from '../deps.ts'
import type { Continuation } from './continuation.ts'
import { page, type Visit } from './visit.ts'

/** The page for somebody whose account may not sign in. */
export async function stoppedPage(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  reason: 'locked' | 'deactivated',
  username: string,
): Promise<Response> {
  const context = { mxid: deps.homeserver.mxid(username), continuation: continuation.text }
  if (reason === 'deactivated') return page(deps, visit, 'account_deactivated', context)
  const [pending] = await findDeactivationDate(deps.sql, username)
  return page(deps, visit, 'account_locked', {
    ...context,
    ...(pending && { deactivation_at: pending.due_at.toISOString() }),
  })
}

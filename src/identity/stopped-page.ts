import { findDeactivationDate } from '../../sql/pending-deactivations.ts'
import type { UserRow } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import type { Continuation } from './continuation.ts'
import { page, type Visit } from './visit.ts'

/** Why somebody may not sign in. `waiting`: an admin has to approve the account. */
export type StopReason = 'deactivated' | 'waiting' | 'locked'

/** Why an account may not sign in; undefined when it may. One that waits is locked too. */
export function stopReason(
  user: Pick<UserRow, 'deactivated_at' | 'approval_requested_at' | 'locked_at'>,
): StopReason | undefined {
  if (user.deactivated_at) return 'deactivated'
  if (user.approval_requested_at) return 'waiting'
  return user.locked_at ? 'locked' : undefined
}

/** The page for somebody whose account may not sign in. */
export async function stoppedPage(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  reason: StopReason,
  username: string,
): Promise<Response> {
  const context = { mxid: deps.homeserver.mxid(username), continuation: continuation.text }
  if (reason === 'waiting') return waitingPage(deps, visit, continuation, username, reason)
  if (reason === 'deactivated') return page(deps, visit, 'account_deactivated', context)
  const [pending] = await findDeactivationDate(deps.sql, username)
  return page(deps, visit, 'account_locked', {
    ...context,
    ...(pending && { deactivation_at: pending.due_at.toISOString() }),
  })
}

/** The page for somebody whose account waits for an admin, or whom an admin did not let in. */
export const waitingPage = (
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  username: string,
  state: 'waiting' | 'rejected',
): Response =>
  page(deps, visit, 'account_waiting', {
    mxid: deps.homeserver.mxid(username),
    state,
    mail: deps.config.account.password_registration_email_required,
    continuation: continuation.text,
  })

import type { Db } from '../../sql/connect.ts'
import { listLogoutNotices } from '../../sql/logout.ts'
import type { Deps } from '../deps.ts'

/**
 * Has the clients told that these browser sessions ended (OpenID Connect Back-Channel Logout 1.0): a job for each client
 * that registered for it and is signed in through one of them. Called in the transaction that ends them, and before app
 * sessions end there too, or nobody would be left to tell.
 */
export async function announceLogout(
  deps: Pick<Deps, 'jobs'>,
  tx: Db,
  browserSessionIds: string[],
): Promise<void> {
  if (browserSessionIds.length === 0) return
  for (const { client_id, browser_session_id, user_id } of await listLogoutNotices(tx, browserSessionIds))
    await deps.jobs.enqueue(tx, 'backchannel-logout', { client_id, browser_session_id, user_id })
}

import { deleteUser, insertDeletedUser, renameUser } from '../../sql/admin-users.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import { fold } from '../lib/fold.ts'
import { codeOf } from '../lib/thrown.ts'
import { transact } from '../lib/transact.ts'

/**
 * Deletes a deactivated account with all that is stored about it. Its id and name stay behind and are never given out
 * again (decision 28): another person would be taken for the first one. The homeserver hides what the person wrote, by a
 * job. False for an account that is not deactivated, or is deleted.
 */
export const deleteAccount = (
  deps: Pick<Deps, 'sql' | 'clock' | 'jobs' | 'log'>,
  userId: string,
): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    await lockSessionsOf(tx, userId)
    const [gone] = await deleteUser(tx, userId)
    if (!gone) return false
    await insertDeletedUser(tx, { ...gone, now: deps.clock.now() })
    await deps.jobs.enqueue(tx, 'deactivate-user', { user_id: userId, erase: true })
    deps.log.info('user.deleted', { user_id: userId })
    return true
  })

/**
 * Gives an account another name: where there is no homeserver, for which it would be another person (decision 28). False
 * when the name is taken, or was the name of somebody who is deleted.
 */
export async function renameAccount(
  deps: Pick<Deps, 'sql' | 'log'>,
  userId: string,
  username: string,
): Promise<boolean> {
  const [renamed] = await renameUser(deps.sql, userId, username, fold(username)).catch((error: unknown) => {
    if (codeOf(error) === '23505') return []
    throw error
  })
  if (renamed) deps.log.info('user.renamed', { user_id: userId, username })
  return renamed !== undefined
}

import type { FinishedRow } from '../../sql/admin-sessions.ts'
import type { Db } from '../../sql/connect.ts'
import type { Deps } from '../deps.ts'
import { transact } from '../lib/transact.ts'
import { announceLogout } from './logout-notices.ts'
import { recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'

/**
 * Ends the sessions that `finish` finds, of many people, for those who run the server; gives them. Each person has it in
 * the security log once, without a mail: a clean-up must not write to everybody. The homeserver learns of vanished
 * devices through a job for each person, and clients of a browser session that asked for it through others.
 */
export const endFound = (
  deps: Pick<Deps, 'sql'> & SecurityLogNeeds,
  kind: 'browser' | 'app',
  finish: (tx: Db, now: Date) => PromiseLike<readonly FinishedRow[]>,
): Promise<readonly FinishedRow[]> =>
  transact(deps.sql, async (tx) => {
    const ended = await finish(tx, deps.clock.now())
    if (kind === 'browser')
      await announceLogout(
        deps,
        tx,
        ended.map(({ id }) => id),
      )
    const people = new Map<string, boolean>()
    for (const { user_id, device_id } of ended)
      if (user_id !== null) people.set(user_id, device_id !== null || people.get(user_id) === true)
    for (const [userId, hadDevice] of people) {
      await recordSecurityEvent(deps, tx, { userId, kind: 'session_ended', actor: 'admin' })
      if (hadDevice) await deps.jobs.enqueue(tx, 'sync-devices', { user_id: userId })
    }
    if (ended.length > 0) deps.log.info('session.found_ended', { kind, sessions: ended.length })
    return ended
  })

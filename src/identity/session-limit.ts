import type { Db } from '../../sql/connect.ts'
import { countOtherAppSessions, finishIdlestCompatSessions } from '../../sql/session-limit.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'

/**
 * Sees to the hard limit of sessions (`experimental.session_limit`), in the transaction that begins one and before it
 * does. The policy was asked before, but sign-ins at the same time all saw the same number: here they follow one another.
 * A session on the same device is replaced and does not count. Where the operator wants it, sessions of legacy clients
 * make room, the idlest first, as only those come without a person who could choose; `need` is how many the policy asks
 * for. False when there is no room: the caller rolls back.
 */
export async function makeRoom(
  deps: Pick<Deps, 'config' | 'clock' | 'jobs' | 'log'>,
  tx: Db,
  session: { userId: string; deviceId: string | null },
  need = 0,
): Promise<boolean> {
  const limit = deps.config.experimental.session_limit
  if (!limit) return need === 0
  const { userId, deviceId } = session
  await lockSessionsOf(tx, userId)
  const [counted] = await countOtherAppSessions(tx, userId, deviceId)
  const total = counted?.total ?? 0
  const { hard_limit: most, max_session_threshold: threshold } = limit
  const isExempt = threshold !== undefined && total > threshold
  const surplus = Math.max(isExempt ? 0 : total - most + 1, need)
  if (surplus <= 0) return true
  if (!limit.dangerous_hard_limit_eviction) return false
  const evicted = await finishIdlestCompatSessions(tx, userId, deviceId, surplus, deps.clock.now())
  if (evicted.length < surplus) return false
  await deps.jobs.enqueue(tx, 'sync-devices', { user_id: userId })
  deps.log.info('session.evicted', { user_id: userId, session_ids: evicted.map(({ id }) => id) })
  return true
}

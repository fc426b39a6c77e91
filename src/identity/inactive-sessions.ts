import { finishInactiveSessions, type InactiveSessionRow } from '../../sql/inactive-sessions.ts'
import type { Deps } from '../deps.ts'
import { addSeconds } from '../lib/clock.ts'
import { transact } from '../lib/transact.ts'
import { announceLogout } from './logout-notices.ts'

type Needs = Pick<Deps, 'config' | 'sql' | 'clock' | 'jobs' | 'log'>
type Kind = Parameters<typeof finishInactiveSessions>[1]

/** Sessions that end in one transaction. */
const BATCH = 100
/** Sessions of a kind that end in one run: where the rule is new, the homeserver hears of them bit by bit. */
const MOST = 5_000
/** Before every id. */
const FIRST = '00000000-0000-0000-0000-000000000000'

/**
 * Ends the sessions that nobody used for as long as the operator says (`experimental.inactive_session_expiration`), each
 * kind where it is on. The homeserver learns of vanished devices through jobs; apps of an ended browser go on.
 */
export async function endInactiveSessions(deps: Needs): Promise<void> {
  const rule = deps.config.experimental.inactive_session_expiration
  if (!rule) return
  const before = addSeconds(deps.clock.now(), -rule.ttl)
  const ended = {
    // First: the clients that are told of it are found through their own sessions.
    browsers: rule.expire_user_sessions ? await endInactive(deps, 'browser', before) : 0,
    apps: rule.expire_oauth_sessions ? await endInactive(deps, 'oauth', before) : 0,
    legacy: rule.expire_compat_sessions ? await endInactive(deps, 'compat', before) : 0,
  }
  if (ended.browsers + ended.apps + ended.legacy > 0) deps.log.info('sessions.expired', ended)
}

async function endInactive(deps: Needs, kind: Kind, before: Date): Promise<number> {
  let after = FIRST
  for (let total = 0; ; ) {
    const ended = await endBatch(deps, kind, after, before)
    total += ended.length
    if (ended.length === 0 || total >= MOST) return total
    after =
      ended
        .map(({ id }) => id)
        .sort()
        .at(-1) ?? after
  }
}

const endBatch = (deps: Needs, kind: Kind, after: string, before: Date): Promise<InactiveSessionRow[]> =>
  transact(deps.sql, async (tx) => {
    const idle = { after, before, limit: BATCH, now: deps.clock.now() }
    const ended = await finishInactiveSessions(tx, kind, idle)
    if (kind === 'browser')
      await announceLogout(
        deps,
        tx,
        ended.map(({ id }) => id),
      )
    const users = new Set(ended.filter((row) => row.device_id !== null).map((row) => row.user_id))
    for (const id of users) await deps.jobs.enqueue(tx, 'sync-devices', { user_id: id })
    return ended
  })

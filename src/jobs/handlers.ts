import { listDevices } from '../../sql/devices.ts'
import { listPeopleToCheck } from '../../sql/provisioning.ts'
import { findUser, listUnprovisioned } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { deactivateDue } from '../identity/deactivation.ts'
import { isUnknownUser, provisionUser, syncDevices } from '../identity/devices.ts'
import { canBeRepaired, checkDrift } from '../identity/drift.ts'
import { endInactiveSessions } from '../identity/inactive-sessions.ts'
import { sendRecoveryMails } from '../identity/recovery.ts'
import { transact } from '../lib/transact.ts'
import { sendLogoutToken } from '../oauth/backchannel-logout.ts'
import { cleanUp } from './clean-up/clean-up.ts'
import type { JobHandlers } from './jobs.ts'

/** People of one step of `provision-everyone`. */
const PAGE = 100

/** What each job does. */
export const jobHandlers = (
  deps: Pick<
    Deps,
    | 'sql'
    | 'config'
    | 'clock'
    | 'random'
    | 'urls'
    | 'keys'
    | 'secrets'
    | 'clientFetch'
    | 'homeserver'
    | 'jobs'
    | 'mail'
    | 'translate'
    | 'log'
  >,
): JobHandlers => ({
  'backchannel-logout': (notice) => sendLogoutToken(deps, notice),
  'clean-up': (_, signal) => cleanUp(deps, signal),
  'recovery-mail': ({ recovery_id }) => sendRecoveryMails(deps, recovery_id),
  'deactivate-due': () => deactivateDue(deps),
  'end-inactive-sessions': () => endInactiveSessions(deps),
  'check-drift': async (progress) => {
    if (!canBeRepaired(deps.homeserver)) return
    const step = await checkDrift(deps, progress)
    if (!step.done) await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'check-drift', step.progress))
  },
  'send-mail': ({ mail_id }) => deps.mail.deliver(mail_id),
  'sync-devices': ({ user_id }) => syncDevices(deps, user_id),
  'provision-user': ({ user_id }) => provisionAndSync(deps, user_id),
  'provision-everyone': ({ after, all }) =>
    transact(deps.sql, async (tx) => {
      const users = await (all
        ? listPeopleToCheck(tx, after, deps.clock.now(), PAGE)
        : listUnprovisioned(tx, after, PAGE))
      for (const { id } of users) await deps.jobs.enqueue(tx, 'provision-user', { user_id: id })
      const last = users.length === PAGE ? users.at(-1) : undefined
      if (last) await deps.jobs.enqueue(tx, 'provision-everyone', { after: last.id, ...(all && { all }) })
    }),
  'deactivate-user': async ({ user_id, erase }) => {
    const [user] = await findUser(deps.sql, user_id)
    // Brought back meanwhile: a late run must not take the account away again.
    if (!user?.deactivated_at) return
    try {
      await deps.homeserver.deleteUser(user.username, erase)
    } catch (error) {
      // The homeserver never heard of this person: there is nothing to deactivate.
      if (!isUnknownUser(error)) throw error
    }
  },
})

/** The devices after the person (reference 10.1), unless they are new there and have none. */
async function provisionAndSync(
  deps: Pick<Deps, 'sql' | 'clock' | 'homeserver' | 'jobs' | 'log'>,
  userId: string,
): Promise<void> {
  const { created } = await provisionUser(deps, userId)
  if (created && (await listDevices(deps.sql, userId)).length === 0) return
  await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'sync-devices', { user_id: userId }))
}

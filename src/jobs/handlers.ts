import { findUser, listUnprovisioned } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { provisionUser, syncDevices } from '../identity/devices.ts'
import { transact } from '../lib/transact.ts'
import { HomeserverError } from '../matrix/homeserver/homeserver.ts'
import type { JobHandlers } from './jobs.ts'

/** People of one step of `provision-everyone`. */
const PAGE = 100

/** What each job does. */
export const jobHandlers = (
  deps: Pick<Deps, 'sql' | 'clock' | 'homeserver' | 'jobs' | 'log'>,
): JobHandlers => ({
  'sync-devices': ({ user_id }) => syncDevices(deps, user_id),
  'provision-user': ({ user_id }) => provisionUser(deps, user_id),
  'provision-everyone': ({ after }) =>
    transact(deps.sql, async (tx) => {
      const users = await listUnprovisioned(tx, after, PAGE)
      for (const { id } of users) {
        await deps.jobs.enqueue(tx, 'provision-user', { user_id: id })
        await deps.jobs.enqueue(tx, 'sync-devices', { user_id: id })
      }
      const last = users.length === PAGE ? users.at(-1) : undefined
      if (last) await deps.jobs.enqueue(tx, 'provision-everyone', { after: last.id })
    }),
  'deactivate-user': async ({ user_id, erase }) => {
    const [user] = await findUser(deps.sql, user_id)
    // Brought back meanwhile: a late run must not take the account away again.
    if (!user?.deactivated_at) return
    try {
      await deps.homeserver.deleteUser(user.username, erase)
    } catch (error) {
      // The homeserver never heard of this person: there is nothing to deactivate.
      if (error instanceof HomeserverError && error.kind === 'rejected' && error.status === 404) return
      throw error
    }
  },
})

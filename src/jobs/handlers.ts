import { findUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { provisionUser, syncDevices } from '../identity/devices.ts'
import { HomeserverError } from '../matrix/homeserver/homeserver.ts'
import type { JobHandlers } from './jobs.ts'

/** What each job does. */
export const jobHandlers = (deps: Pick<Deps, 'sql' | 'clock' | 'homeserver' | 'log'>): JobHandlers => ({
  'sync-devices': ({ user_id }) => syncDevices(deps, user_id),
  'provision-user': ({ user_id }) => provisionUser(deps, user_id),
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

import {
  withdrawFromApps,
  withdrawFromCompatSessions,
  withdrawFromGrants,
  withdrawFromTokens,
} from '../../sql/admin-rights.ts'
import type { Db } from '../../sql/connect.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import { findUser, setAdmin } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { ADMIN_SCOPES } from '../lib/admin-scope.ts'
import { SYNAPSE_ADMIN } from '../lib/scope.ts'
import { transact } from '../lib/transact.ts'
import { endPersonalSession } from './personal-tokens.ts'
import { recordSecurityEvent, type SecurityEvent, type SecurityLogNeeds } from './security-log.ts'
import { endAppSession } from './sessions.ts'

/** What only an admin may be granted. */
const ADMIN_ONLY = [...ADMIN_SCOPES, SYNAPSE_ADMIN]

type By = Pick<SecurityEvent, 'actor' | 'requester'>

/**
 * Makes somebody an admin, or takes that right away; false when there is no such account. With the right goes what came
 * of it: apps and tokens of the person, and tokens that the person made for others, lose the admin scopes at once and
 * go on with the rest; what had nothing else ends. So a device keeps its keys, and nobody has to remember to end
 * sessions. The homeserver may go on for as long as it remembers a token (two minutes).
 */
export const setAdminRight = (
  deps: Pick<Deps, 'sql'> & SecurityLogNeeds,
  userId: string,
  isAdmin: boolean,
  by: By = { actor: 'admin' },
): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    // Sign-ins at this moment come before all of this, or find the right gone.
    await lockSessionsOf(tx, userId)
    const [before] = await findUser(tx, userId)
    if (!before) return false
    await setAdmin(tx, userId, isAdmin)
    if (before.is_admin !== isAdmin)
      await recordSecurityEvent(deps, tx, { userId, kind: isAdmin ? 'admin_given' : 'admin_taken', ...by })
    const withdrawn = isAdmin ? 0 : await withdraw(deps, tx, userId)
    deps.log.info('user.admin_changed', { user_id: userId, is_admin: isAdmin, withdrawn })
    return true
  })

/** Also when the account was no admin: `policy.data.admin_users` may have made it one before. Gives from how many. */
async function withdraw(deps: Pick<Deps, 'clock' | 'jobs'>, tx: Db, userId: string): Promise<number> {
  await withdrawFromGrants(tx, userId, ADMIN_ONLY)
  const apps = await withdrawFromApps(tx, userId, ADMIN_ONLY)
  for (const { id, scope } of apps) if (scope.length === 0) await endAppSession(deps, tx, id)
  const tokens = await withdrawFromTokens(tx, userId, ADMIN_ONLY)
  for (const { id, scope } of tokens) if (scope.length === 0) await endPersonalSession(deps, tx, id)
  const legacy = await withdrawFromCompatSessions(tx, userId)
  return apps.length + tokens.length + legacy.length
}

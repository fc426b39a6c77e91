import type { AdminUserRow } from '../../sql/admin-users.ts'
import { AdminError } from '../http/errors.ts'
import { MAS_ADMIN } from '../lib/scope.ts'
import type { Caller } from './caller.ts'

/** Who may administer accounts only must not take over one that may do more. @throws AdminError 403 */
export function requireRightsOver(caller: Caller, user: AdminUserRow): void {
  if (!user.is_admin || caller.scope.includes(MAS_ADMIN)) return
  throw new AdminError(403, 'admin_account', `Changing the account of an admin needs the scope ${MAS_ADMIN}.`)
}

import type { AdminUserRow } from '../../sql/admin-users.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { MAS_ADMIN, SYNAPSE_ADMIN } from '../lib/scope.ts'
import type { Call } from './operation.ts'

/** How operations that change accounts refuse. */
export const ADMIN_ACCOUNT = {
  status: 403,
  code: 'admin_account',
  when: 'It is an admin, and the token is not good for everything.',
} as const

const refused = (): AdminError =>
  new AdminError(403, 'admin_account', `Changing the account of an admin needs the scope ${MAS_ADMIN}.`)

const mayDoEverything = ({ caller }: Pick<Call, 'caller'>): boolean => caller.scope.includes(MAS_ADMIN)

/**
 * Who may administer accounts only must not take over one that may do more, nor take it away from its owner.
 *
 * @throws AdminError 403
 */
export async function requireRightsOver(
  call: Pick<Call, 'deps' | 'caller' | 'requester'>,
  user: AdminUserRow,
): Promise<void> {
  if (mayDoEverything(call)) return
  if (user.is_admin || (await rulesMakeAdmin(call, user))) throw refused()
}

/** The same for an account that is to be made: its name may be one that the rules give more. @throws AdminError 403 */
export async function requireRightsOverName(
  call: Pick<Call, 'deps' | 'caller'>,
  username: string,
): Promise<void> {
  if (mayDoEverything(call)) return
  const { data } = await call.deps.policyData.current()
  if ((data.admin_users ?? []).includes(username)) throw refused()
}

/** Violations that say nothing about the scope. */
const PASSING = ['too-many-sessions', 'requester-banned']

/** Whether the operator's rules let somebody grant an admin scope who is not marked as admin (`policy.data.admin_users`). */
async function rulesMakeAdmin(
  { deps, requester }: { deps: Pick<Deps, 'policy'>; requester: Call['requester'] },
  user: AdminUserRow,
): Promise<boolean> {
  for (const scope of [MAS_ADMIN, SYNAPSE_ADMIN]) {
    const asked = { scope: [scope], user: { ...user, user_id: user.id } }
    const violations = await deps.policy.grant({ ...asked, grantType: 'authorization_code' }, requester)
    if (violations.every(({ code }) => code !== undefined && PASSING.includes(code))) return true
  }
  return false
}

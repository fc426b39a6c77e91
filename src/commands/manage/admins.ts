import { listAdmins } from '../../../sql/users.ts'
import { setAdminRight } from '../../identity/admin-right.ts'
import { type Context, note } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { answer, type ChangeFlags, changeAccount } from './answer.ts'
import { withLatchkey } from './with-latchkey.ts'

/** `latchkey manage promote-admin`. */
export function promoteAdmin(this: Context, flags: ChangeFlags, username: string): Promise<void> {
  return change(this, flags, username, true)
}

/** `latchkey manage demote-admin`. */
export function demoteAdmin(this: Context, flags: ChangeFlags, username: string): Promise<void> {
  return change(this, flags, username, false)
}

const change = (context: Context, flags: ChangeFlags, username: string, isAdmin: boolean): Promise<void> =>
  changeAccount(context, flags, username, (deps, user) => ({
    would: isAdmin ? `make ${user.username} an admin` : `take the admin right from ${user.username}`,
    async make() {
      await setAdminRight(deps, user.id, isAdmin)
      return isAdmin
        ? `${user.username} is an admin now.`
        : `${user.username} is not an admin any more. Apps and tokens lost their admin scopes.`
    },
  }))

/** `latchkey manage list-admin-users`. Those of `policy.data.admin_users` are admins too. */
export async function listAdminUsers(this: Context, flags: ConfigOnly & { json?: boolean }): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const rows = await listAdmins(deps.sql)
    const listed = rows.map(({ username, locked_at }) => ({
      username,
      locked_at: locked_at?.toISOString() ?? null,
      by_configuration: false,
    }))
    const flagged = new Set(rows.map(({ username }) => username))
    const { data } = await deps.policyData.current()
    const more = (data.admin_users ?? [])
      .filter((username) => !flagged.has(username))
      .map((username) => ({ username, locked_at: null, by_configuration: true }))
    const admins = [...listed, ...more]
    // Not on standard output: a script counts lines there.
    if (admins.length === 0 && !flags.json)
      note(this, 'There are no admins; make one with: latchkey manage promote-admin <username>')
    const lines = admins.map(({ username, locked_at, by_configuration: byConfiguration }) => {
      if (byConfiguration) return `${username} (by policy.data.admin_users)`
      return locked_at === null ? username : `${username} (locked)`
    })
    answer(this, flags, lines.join('\n'), admins)
  })
}

import { listAdmins, setAdmin } from '../../../sql/users.ts'
import { type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { requireUser, withLatchkey } from './with-latchkey.ts'

/** `latchkey manage promote-admin`. */
export async function promoteAdmin(this: Context, flags: ConfigOnly, username: string): Promise<void> {
  await change(this, flags, username, true)
}

/** `latchkey manage demote-admin`. */
export async function demoteAdmin(this: Context, flags: ConfigOnly, username: string): Promise<void> {
  await change(this, flags, username, false)
}

async function change(
  context: Context,
  flags: ConfigOnly,
  username: string,
  isAdmin: boolean,
): Promise<void> {
  await withLatchkey(context, flags, async (deps) => {
    const user = await requireUser(deps, username)
    await setAdmin(deps.sql, user.id, isAdmin)
    deps.log.info('user.admin_changed', { user_id: user.id, is_admin: isAdmin })
    say(context, `${user.username} is ${isAdmin ? 'an admin now' : 'not an admin any more'}.`)
  })
}

/** `latchkey manage list-admin-users`. */
export async function listAdminUsers(this: Context, flags: ConfigOnly): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const admins = await listAdmins(deps.sql)
    if (admins.length === 0) sayNone(this)
    for (const { username, locked_at } of admins) say(this, locked_at ? `${username} (locked)` : username)
  })
}

/** Not on standard output: a script counts lines there. */
const sayNone = (context: Context): void =>
  context.process.stderr.write(
    'There are no admins; make one with: latchkey manage promote-admin <username>\n',
  )

import { unlinkDirectory } from '../../identity/directory.ts'
import { CommandError, type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { requireUser, withLatchkey } from '../manage/with-latchkey.ts'

/** `latchkey ldap unlink`. */
export default async function unlink(this: Context, flags: ConfigOnly, username: string): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    if (!(await unlinkDirectory(deps, user.id)))
      throw new CommandError(`${user.username} is linked to no entry of the directory.`)
    say(
      this,
      `${user.username} has no entry of the directory any more. Give it a password: latchkey manage set-password ${user.username}`,
    )
  })
}

import { issueRecoveryLink } from '../../identity/recovery.ts'
import { CommandError, type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { requireOwnPassword, requireUser, runJobs, withLatchkey } from './with-latchkey.ts'

/** `latchkey manage issue-recovery-link`. */
export default async function recoveryLink(
  this: Context,
  flags: ConfigOnly,
  username: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    if (!deps.passwords.enabled)
      throw new CommandError(
        'Passwords are off on this server (passwords.enabled); there is no link to make.',
      )
    await requireOwnPassword(deps, user)
    if (user.deactivated_at)
      throw new CommandError(`${user.username} is deactivated; nobody can use it again.`)
    if (user.locked_at)
      throw new CommandError(
        `${user.username} is locked; unlock it first: latchkey manage unlock-user ${user.username}`,
      )
    say(this, await issueRecoveryLink(deps, user.id))
    await runJobs(deps)
  })
}

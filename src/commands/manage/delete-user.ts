import { deleteAccount } from '../../identity/delete-account.ts'
import { CommandError, type Context } from '../context.ts'
import { confirm } from './accounts.ts'
import { answer, type ChangeFlags, userRecord } from './answer.ts'
import { requireUser, runJobs, withLatchkey } from './with-latchkey.ts'

/** `latchkey manage delete-user`: what `DELETE /users/{id}` of the admin API does. */
export default async function deleteUser(
  this: Context,
  flags: ChangeFlags & { yes?: boolean },
  username: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const notYet = new CommandError(
      `${user.username} is not deactivated, so nothing was deleted. First: latchkey manage deactivate ${user.username}`,
    )
    if (!user.deactivated_at) throw notYet
    const would = `delete ${user.username} with all that is stored about the account`
    if (flags.dryRun)
      return answer(this, flags, `Would ${would}.`, { ...userRecord(user), dry_run: true, would })
    if (!flags.yes) await confirm(this, 'Deleting', user.username)
    if (!(await deleteAccount(deps, user.id))) throw notYet
    await runJobs(deps)
    answer(this, flags, `${user.username} is deleted. The name stays reserved for ever.`, {
      ...userRecord(user),
      deleted: true,
    })
  })
}

import { setPassword as storePassword } from '../../identity/lifecycle.ts'
import type { Context } from '../context.ts'
import { phrase } from './accounts.ts'
import { type ChangeFlags, changeAccount } from './answer.ts'
import { hashNewPassword, readNewPassword, refuseArgument } from './read-password.ts'
import { requireOwnPassword } from './with-latchkey.ts'

/** `latchkey manage set-password`. */
export default async function setPassword(
  this: Context,
  flags: ChangeFlags & { ignoreComplexity?: boolean; killSessions?: boolean },
  username: string,
  argument?: string,
): Promise<void> {
  if (argument !== undefined)
    throw refuseArgument(`printf '%s' "$PASSWORD" | latchkey manage set-password ${username}`)
  await changeAccount(this, flags, username, async (deps, user) => {
    await requireOwnPassword(deps, user)
    const password = await readNewPassword(this)
    const hash = await hashNewPassword(deps, password, {
      personal: [user.username, user.display_name ?? ''],
      ignoreComplexity: flags.ignoreComplexity ?? false,
      overrule: '--ignore-complexity',
    })
    const endSessions = flags.killSessions ?? false
    return {
      would: `give ${user.username} this password${endSessions ? ' and end all sessions' : ''}`,
      async make() {
        const ended = await storePassword(deps, user.id, hash, undefined, { endSessions })
        const sessions = endSessions
          ? `Ended ${phrase(ended)}.`
          : `Open sessions go on; end them with: latchkey manage kill-sessions ${user.username}`
        return `${user.username} has a new password. ${sessions}`
      },
    }
  })
}

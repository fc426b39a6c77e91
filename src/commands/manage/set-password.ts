import { setPassword as storePassword } from '../../identity/lifecycle.ts'
import { type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { phrase } from './accounts.ts'
import { hashNewPassword, readNewPassword, refuseArgument } from './read-password.ts'
import { requireUser, runJobs, withLatchkey } from './with-latchkey.ts'

/** `latchkey manage set-password`. */
export default async function setPassword(
  this: Context,
  flags: ConfigOnly & { ignoreComplexity?: boolean; killSessions?: boolean },
  username: string,
  argument?: string,
): Promise<void> {
  if (argument !== undefined)
    throw refuseArgument(`printf '%s' "$PASSWORD" | latchkey manage set-password ${username}`)
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const password = await readNewPassword(this)
    const hash = await hashNewPassword(deps, password, {
      personal: [user.username, user.display_name ?? ''],
      ignoreComplexity: flags.ignoreComplexity ?? false,
      overrule: '--ignore-complexity',
    })
    const endSessions = flags.killSessions ?? false
    const ended = await storePassword(deps, user.id, hash, undefined, { endSessions })
    if (endSessions) await runJobs(deps)
    const sessions = endSessions
      ? `Ended ${phrase(ended)}.`
      : `Open sessions go on; end them with: latchkey manage kill-sessions ${user.username}`
    say(this, `${user.username} has a new password. ${sessions}`)
  })
}

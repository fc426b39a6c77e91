import { countActiveSessions } from '../../../sql/sessions.ts'
import {
  deactivate,
  type EndedSessions,
  killSessions,
  lock,
  reactivate,
  unlock,
} from '../../identity/lifecycle.ts'
import { CommandError, type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { ask } from './read-password.ts'
import { requireUser, runJobs, withLatchkey } from './with-latchkey.ts'

/** `latchkey manage lock-user`. */
export async function lockUser(
  this: Context,
  flags: ConfigOnly & { deactivate?: boolean },
  username: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    await lock(deps, user.id)
    if (flags.deactivate) await deactivate(deps, user.id, false)
    await runJobs(deps)
    say(
      this,
      flags.deactivate
        ? `${user.username} is locked and deactivated.`
        : `${user.username} is locked. Unlock with: latchkey manage unlock-user ${user.username}`,
    )
  })
}

/** `latchkey manage unlock-user`. */
export async function unlockUser(
  this: Context,
  flags: ConfigOnly & { reactivate?: boolean },
  username: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    await unlock(deps, user.id)
    if (flags.reactivate) await reactivate(deps, user.id)
    await runJobs(deps)
    if (flags.reactivate)
      say(
        this,
        `${user.username} is unlocked and active. What went with the deactivation does not come back; for a password: latchkey manage set-password ${user.username}`,
      )
    else
      say(
        this,
        `${user.username} is unlocked.${user.deactivated_at ? ' The account stays deactivated; --reactivate brings it back.' : ''}`,
      )
  })
}

/** `latchkey manage deactivate`. */
export async function deactivateUser(
  this: Context,
  flags: ConfigOnly & { erase?: boolean; yes?: boolean },
  username: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    if (!flags.yes) await confirm(this, user.username)
    await deactivate(deps, user.id, flags.erase ?? false)
    await runJobs(deps)
    say(this, `${user.username} is deactivated: all sessions have ended, and the name stays taken.`)
  })
}

async function confirm(context: Context, username: string): Promise<void> {
  if (!context.stdin.isTTY)
    throw new CommandError(`Deactivating ${username} can't be undone; add --yes if that is what you want.`)
  const answer = await ask(context, `This can't be undone. Type ${username} to go on: `, { hidden: false })
  if (answer.trim() !== username) throw new CommandError('Nothing was changed.')
}

/** `latchkey manage kill-sessions`. */
export async function endSessions(
  this: Context,
  flags: ConfigOnly & { dryRun?: boolean },
  username: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    if (flags.dryRun) {
      const [counts] = await countActiveSessions(deps.sql, user.id)
      const { browser = 0, oauth = 0, compat = 0, personal = 0 } = counts ?? {}
      say(
        this,
        `Would end ${phrase({ browsers: browser, apps: oauth + compat, tokens: personal })} of ${user.username}.`,
      )
      return
    }
    const ended = await killSessions(deps, user.id)
    await runJobs(deps)
    say(this, `Ended ${phrase(ended)} of ${user.username}.`)
  })
}

/** What ended, for people. */
export const phrase = ({ browsers, apps, tokens }: EndedSessions): string =>
  new Intl.ListFormat('en-GB').format([
    counted(browsers, 'browser session'),
    counted(apps, 'app session'),
    ...(tokens > 0 ? [counted(tokens, 'personal token')] : []),
  ])

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

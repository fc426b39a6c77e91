import { countActiveSessions } from '../../../sql/sessions.ts'
import type { Deps } from '../../deps.ts'
import {
  deactivate,
  type EndedSessions,
  killSessions,
  lock,
  reactivate,
  unlock,
} from '../../identity/lifecycle.ts'
import { CommandError, type Context } from '../context.ts'
import { answer, type ChangeFlags, changeAccount, userRecord } from './answer.ts'
import { ask } from './read-password.ts'
import { requireUser, runJobs, withLatchkey } from './with-latchkey.ts'

/** `latchkey manage lock-user`. */
export function lockUser(
  this: Context,
  flags: ChangeFlags & { deactivate?: boolean },
  username: string,
): Promise<void> {
  return changeAccount(this, flags, username, (deps, user) => ({
    would: `${flags.deactivate ? 'lock and deactivate' : 'lock'} ${user.username}`,
    async make() {
      await lock(deps, user.id)
      if (!flags.deactivate)
        return `${user.username} is locked. Unlock with: latchkey manage unlock-user ${user.username}`
      await deactivate(deps, user.id, false)
      return `${user.username} is locked and deactivated.`
    },
  }))
}

/** `latchkey manage unlock-user`. */
export function unlockUser(
  this: Context,
  flags: ChangeFlags & { reactivate?: boolean },
  username: string,
): Promise<void> {
  return changeAccount(this, flags, username, (deps, user) => {
    if (user.approval_requested_at)
      throw new CommandError(
        `${user.username} waits for approval. Approve with: latchkey manage approve-user ${user.username}`,
      )
    return {
      would: `${flags.reactivate ? 'unlock and reactivate' : 'unlock'} ${user.username}`,
      async make() {
        await unlock(deps, user.id)
        if (!flags.reactivate)
          return `${user.username} is unlocked.${user.deactivated_at ? ' The account stays deactivated; --reactivate brings it back.' : ''}`
        await reactivate(deps, user.id)
        return `${user.username} is unlocked and active. What went with the deactivation does not come back; for a password: latchkey manage set-password ${user.username}`
      },
    }
  })
}

/** `latchkey manage deactivate`. */
export function deactivateUser(
  this: Context,
  flags: ChangeFlags & { erase?: boolean; yes?: boolean },
  username: string,
): Promise<void> {
  return changeAccount(this, flags, username, async (deps, user) => {
    if (!flags.yes && !flags.dryRun) await confirm(this, 'Deactivating', user.username)
    return {
      would: `deactivate ${user.username} for good${flags.erase ? ', and hide what the person wrote' : ''}`,
      async make() {
        await deactivate(deps, user.id, flags.erase ?? false)
        return `${user.username} is deactivated: all sessions have ended, and the name stays taken.`
      },
    }
  })
}

/** Asks whether somebody means it. @throws CommandError without `--yes` or the name, typed */
export async function confirm(context: Context, doing: string, username: string): Promise<void> {
  if (!context.stdin.isTTY)
    throw new CommandError(`${doing} ${username} can't be undone; add --yes if that is what you want.`)
  const typed = await ask(context, `This can't be undone. Type ${username} to go on: `, { hidden: false })
  if (typed.trim() !== username) throw new CommandError('Nothing was changed.')
}

/** `latchkey manage kill-sessions`. */
export async function endSessions(this: Context, flags: ChangeFlags, username: string): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const ended = flags.dryRun ? await countSessions(deps, user.id) : await killSessions(deps, user.id)
    if (!flags.dryRun) await runJobs(deps)
    answer(this, flags, `${flags.dryRun ? 'Would end' : 'Ended'} ${phrase(ended)} of ${user.username}.`, {
      ...userRecord(user),
      dry_run: flags.dryRun ?? false,
      ended,
    })
  })
}

async function countSessions({ sql }: Pick<Deps, 'sql'>, userId: string): Promise<EndedSessions> {
  const [counts] = await countActiveSessions(sql, userId)
  const { browser = 0, oauth = 0, compat = 0, personal = 0 } = counts ?? {}
  return { browsers: browser, apps: oauth + compat, tokens: personal }
}

/** What ended, for people. */
export const phrase = ({ browsers, apps, tokens }: EndedSessions): string =>
  new Intl.ListFormat('en-GB').format([
    counted(browsers, 'browser session'),
    counted(apps, 'app session'),
    ...(tokens > 0 ? [counted(tokens, 'personal token')] : []),
  ])

/** "1 session", "2 sessions". */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

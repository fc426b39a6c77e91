import { findUser, type UserRow } from '../../../sql/users.ts'
import type { Deps } from '../../deps.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import { type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { requireUser, runJobs, withLatchkey } from './with-latchkey.ts'

/** Flags of every command that changes something. */
export interface ChangeFlags extends ConfigOnly {
  dryRun?: boolean
  json?: boolean
}

/** What a command found or did: a sentence for people, or with `--json` a record for scripts. */
export const answer = (
  context: Context,
  flags: { json?: boolean },
  sentence: string,
  record: object,
): void => {
  // A list that is empty says nothing on standard output.
  if (flags.json) say(context, JSON.stringify(record))
  else if (sentence !== '') say(context, sentence)
}

/** An account as JSON: names as in the admin API (reference operations 2.2). */
export const userRecord = (user: Omit<UserRow, 'provisioned_at'>) => ({
  id: ulidFromUuid(user.id),
  username: user.username,
  display_name: user.display_name,
  admin: user.is_admin,
  created_at: user.created_at.toISOString(),
  locked_at: user.locked_at?.toISOString() ?? null,
  deactivated_at: user.deactivated_at?.toISOString() ?? null,
  approval_requested_at: user.approval_requested_at?.toISOString() ?? null,
})

/** What a command wants with an account. */
interface Change {
  /** What `--dry-run` says: "lock alice". */
  would: string
  /** Does it; gives the sentence that says so. */
  make(): Promise<string>
}

/**
 * Changes an account: finds it, does what `plan` says, and tells the homeserver. With `--dry-run` it says what would be
 * done, with `--json` the account as it is afterwards.
 */
export const changeAccount = (
  context: Context,
  flags: ChangeFlags,
  username: string,
  plan: (deps: Deps, user: UserRow) => Change | Promise<Change>,
): Promise<void> =>
  withLatchkey(context, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const { would, make } = await plan(deps, user)
    if (flags.dryRun)
      return answer(context, flags, `Would ${would}.`, { ...userRecord(user), dry_run: true, would })
    const sentence = await make()
    await runJobs(deps)
    const [after] = await findUser(deps.sql, user.id)
    answer(context, flags, sentence, userRecord(after ?? user))
  })

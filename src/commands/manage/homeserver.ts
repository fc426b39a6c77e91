import { countUsers } from '../../../sql/admin-users.ts'
import type { Deps } from '../../deps.ts'
import { canBeRepaired, checkDrift, type DriftProgress } from '../../identity/drift.ts'
import { jobHandlers } from '../../jobs/handlers.ts'
import { transact } from '../../lib/transact.ts'
import { CommandError, type Context, note } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { aborted } from '../stopping.ts'
import { counted } from './accounts.ts'
import { answer, type ChangeFlags } from './answer.ts'
import { EVERYBODY } from './users.ts'
import { runJobs, withLatchkey } from './with-latchkey.ts'

/** Milliseconds between two lines of progress. */
const PROGRESS = 5_000

/** `latchkey manage provision-all-users`. */
export async function provisionAllUsers(this: Context, flags: ChangeFlags): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const [row] = await countUsers(deps.sql, { ...EVERYBODY, status: 'active' }, 'all')
    const accounts = row?.count ?? 0
    const sentence = `tell the homeserver about ${counted(accounts, 'active account')} and all that are locked`
    if (flags.dryRun) return answer(this, flags, `Would ${sentence}.`, { accounts, dry_run: true })
    await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'provision-everyone', { after: null, all: true }))
    const told = await tellEverybody(this, deps)
    answer(
      this,
      flags,
      `The homeserver was told about ${counted(told.done, 'account')} from here${told.failed > 0 ? `, and did not take ${told.failed}` : ''}. What is left, a running server does.`,
      told,
    )
  })
}

/** Runs the jobs here, to their end or until it is interrupted, and says how far it is. */
async function tellEverybody(context: Context, deps: Deps): Promise<{ done: number; failed: number }> {
  const told = { done: 0, failed: 0 }
  const handlers = jobHandlers(deps)
  const progress = setInterval(() => note(context, `${counted(told.done, 'account')}…`), PROGRESS)
  const all = deps.jobs.runDue({
    ...handlers,
    'provision-user': async (data) => {
      // Between two people: a job that has begun is finished.
      context.signal.throwIfAborted()
      try {
        await handlers['provision-user'](data)
        told.done++
      } catch (error) {
        told.failed++
        throw error
      }
    },
  })
  await Promise.race([all, aborted(context.signal)]).finally(() => clearInterval(progress))
  return told
}

/** `latchkey manage check-homeserver`: the check of the night, now. */
export async function checkHomeserver(this: Context, flags: ConfigOnly & { json?: boolean }): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    if (!canBeRepaired(deps.homeserver))
      throw new CommandError(`With matrix.kind ${deps.homeserver.kind} there is nothing to compare with.`)
    let progress: DriftProgress = {}
    for (let done = false; !done; ) {
      this.signal.throwIfAborted()
      const step = await checkDrift(deps, progress)
      progress = step.progress
      done = step.done
      const people = progress.found?.people ?? 0
      if (!done && people > 0) note(this, `${counted(people, 'account')}…`)
    }
    await runJobs(deps)
    const found = progress.found ?? {}
    const lines = Object.entries(found).map(([what, count]) => `${what}: ${count}`)
    answer(this, flags, lines.join('\n'), found)
  })
}

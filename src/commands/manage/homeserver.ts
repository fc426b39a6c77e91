import { canBeRepaired, checkDrift, type DriftProgress } from '../../identity/drift.ts'
import { transact } from '../../lib/transact.ts'
import { CommandError, type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { runJobs, withLatchkey } from './with-latchkey.ts'

/** `latchkey manage provision-all-users`. */
export async function provisionAllUsers(this: Context, flags: ConfigOnly): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'provision-everyone', { after: null, all: true }))
    await runJobs(deps)
    say(this, 'The homeserver is told about every account. What is left, a running server does.')
  })
}

/** `latchkey manage check-homeserver`: the check of the night, now. */
export async function checkHomeserver(this: Context, flags: ConfigOnly): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    if (!canBeRepaired(deps.homeserver))
      throw new CommandError(`With matrix.kind ${deps.homeserver.kind} there is nothing to compare with.`)
    let progress: DriftProgress = {}
    for (let done = false; !done; ) {
      this.signal.throwIfAborted()
      const step = await checkDrift(deps, progress)
      progress = step.progress
      done = step.done
    }
    await runJobs(deps)
    for (const [what, count] of Object.entries(progress.found ?? {})) say(this, `${what}: ${count}`)
  })
}

import { countBlocks } from '../../../sql/clean-up-sessions.ts'
import type { Deps } from '../../deps.ts'
import { addSeconds } from '../../lib/clock.ts'
import { sleep } from '../../lib/waiting.ts'
import { type CleanUp, STEPS, type Step } from './steps.ts'

/** Rows that one statement deletes. */
const BATCH = 500
/** Blocks of 8 kB that one statement reads: some ten thousand tokens. */
const BLOCKS = 200
/** Milliseconds between two statements: requests come first. */
const PAUSE = 20

/**
 * Removes what nobody needs any more (`retention` in the configuration), and what strangers can make us store. In small
 * statements, one after the other; stops between two of them when `signal` aborts, and the next run goes on.
 *
 * @throws AggregateError what failed, after everything else was done
 */
export async function cleanUp(
  { sql, config, clock, log }: Pick<Deps, 'sql' | 'config' | 'clock' | 'log'>,
  signal?: AbortSignal,
): Promise<void> {
  const now = clock.now()
  const of: CleanUp = {
    sql,
    kept: config.retention,
    now,
    ago: (seconds) => addSeconds(now, -seconds),
  }
  const removed: Record<string, number> = {}
  const failures: Error[] = []
  for (const step of STEPS) {
    if (signal?.aborted) break
    try {
      const count = await run(step, of, signal)
      if (count > 0) removed[step.name] = count
    } catch (cause) {
      failures.push(new Error(`clean-up of ${step.name} failed`, { cause }))
    }
  }
  log.info('clean_up.done', { ...removed, complete: failures.length === 0 && !signal?.aborted })
  if (failures.length > 0)
    throw new AggregateError(failures, failures.map(({ message }) => message).join(', '))
}

/** Gives how many rows a step removed. */
async function run(step: Step, of: CleanUp, signal: AbortSignal | undefined): Promise<number> {
  if ('all' in step) return (await step.all(of)).length
  let total = 0
  if ('batch' in step)
    for (;;) {
      const { length } = await step.batch(of, BATCH)
      total += length
      if (length < BATCH || signal?.aborted) return total
      await sleep(PAUSE)
    }
  const [table] = await countBlocks(of.sql, step.walk)
  const blocks = table?.blocks ?? 0
  for (let from = 0; from < blocks && !signal?.aborted; from += BLOCKS) {
    if (from > 0) await sleep(PAUSE)
    total += (await step.part(of, { from, to: from + BLOCKS })).length
  }
  return total
}

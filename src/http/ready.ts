import { countJobs } from '../../sql/condition.ts'
import { pendingMigrations } from '../../sql/migrate.ts'
import { isOutage } from '../../sql/outage.ts'
import { pingDatabase } from '../../sql/ping.ts'
import type { Deps } from '../deps.ts'
import { monotonic } from '../lib/clock.ts'
import { codeOf } from '../lib/thrown.ts'
import { sleep } from '../lib/waiting.ts'

/** How one thing is. No names of machines and no messages of others: the address may be one that anybody can ask. */
interface Check {
  state: 'ok' | 'failed' | 'unknown'
  reason?: string
  ms?: number
}

/** Whether this process can do its work, and what it needs for that. */
export interface Readiness {
  ready: boolean
  checks: Record<'process' | 'database' | 'migrations' | 'keys' | 'homeserver' | 'queue', Check>
}

/** Milliseconds that everything may take together. */
const DEADLINE = 3_000
/** Milliseconds that an answer is good for: probes must not become a load, whoever sends them. */
const GOOD_FOR = 2_000
/** Seconds that a job may wait which is due. */
const LATE = 300

/** Without these nobody can be served. While the homeserver or the queue is away most things work: they only tell. */
const NEEDED = ['process', 'database', 'migrations', 'keys'] as const

type Needs = Pick<Deps, 'sql' | 'clock' | 'keys' | 'homeserver' | 'stopping'>

/** Gives how this process is; asked again within two seconds it gives the same. */
export function readiness(deps: Needs): () => Promise<Readiness> {
  let last: { at: number; answer: Promise<Readiness> } | undefined
  let migrated = false
  const checks = async (): Promise<Readiness> => {
    const database = await timed(async () => {
      await pingDatabase(deps.sql)
      return undefined
    })
    const alive = database.state === 'ok'
    const [migrations, queue, homeserver] = await Promise.all([
      alive
        ? timed(async () => {
            const pending = migrated ? [] : await pendingMigrations(deps.sql)
            migrated = pending.length === 0
            return migrated ? undefined : `${pending.length} to be done`
          })
        : UNKNOWN,
      alive ? timed(() => queueProblem(deps)) : UNKNOWN,
      timed(async () => {
        if (deps.homeserver.kind === 'standalone') return undefined
        // Nobody has this name; the answer says that it is there and takes our secret.
        await deps.homeserver.queryUser('latchkey-ready', { optional: true })
        return undefined
      }),
    ])
    const keys: Check = deps.keys.jwks.keys.length > 0 ? { state: 'ok' } : { state: 'failed', reason: 'none' }
    const process: Check = deps.stopping.aborted ? { state: 'failed', reason: 'stopping' } : { state: 'ok' }
    const all = { process, database, migrations, keys, homeserver, queue }
    return { ready: NEEDED.every((name) => all[name].state === 'ok'), checks: all }
  }
  return () => {
    const now = monotonic()
    if (!last || now - last.at > GOOD_FOR || deps.stopping.aborted) last = { at: now, answer: checks() }
    return last.answer
  }
}

const UNKNOWN: Check = { state: 'unknown', reason: 'the database is not reached' }

/** Runs a check; it gives what is wrong, or nothing. */
async function timed(check: () => Promise<string | undefined>): Promise<Check> {
  const begin = monotonic()
  let result: Omit<Check, 'ms'>
  try {
    const reason = await Promise.race([check(), sleep(DEADLINE).then(() => 'no answer in time')])
    result = reason === undefined ? { state: 'ok' } : { state: 'failed', reason }
  } catch (error) {
    result = { state: 'failed', reason: isOutage(error) ? 'not reached' : reasonOf(error) }
  }
  return { ...result, ms: Math.round(monotonic() - begin) }
}

/** Of errors of the homeserver the kind: `unreachable`, `unauthorized`. */
const reasonOf = (error: unknown): string =>
  error instanceof Error && 'kind' in error && typeof error.kind === 'string' ? error.kind : 'failed'

async function queueProblem({ sql, clock }: Needs): Promise<string | undefined> {
  try {
    const [jobs] = await countJobs(sql)
    const waits = jobs?.oldest ? Math.round((clock.now().getTime() - jobs.oldest.getTime()) / 1000) : 0
    return waits > LATE ? `${jobs?.due} jobs are due, the oldest since ${waits} s` : undefined
  } catch (error) {
    // No worker has run yet, so there is no queue.
    if (codeOf(error) === '42P01') return undefined
    throw error
  }
}

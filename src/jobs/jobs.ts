import type { PgBoss } from 'pg-boss'
import { createSql, type Db, type Sql } from '../../sql/connect.ts'
import { findRetry } from '../../sql/jobs.ts'
import type { DatabaseConfig } from '../../sql/location.ts'
import { isOutage } from '../../sql/outage.ts'
import type { DriftProgress } from '../identity/drift.ts'
import { monotonic } from '../lib/clock.ts'
import { withFacts } from '../lib/current-request.ts'
import type { Metrics } from '../telemetry/instruments.ts'
import type { Log } from '../telemetry/log.ts'
import type { Tracing } from '../telemetry/tracing.ts'

/** Every job and what it is given. Jobs are repeatable: running one twice does no harm. */
export interface JobData {
  'sync-devices': { user_id: string }
  'provision-user': { user_id: string }
  'deactivate-user': { user_id: string; erase: boolean }
  /**
   * Provisions everybody whom the homeserver does not know, with `all` everybody, a page at a time; `after` is the last
   * one that was done.
   */
  'provision-everyone': { after: string | null; all?: true }
  /** Compares people and devices with the homeserver, some at a time; by itself once a night. */
  'check-drift': DriftProgress
  /** Tells a client that a browser session ended. */
  'backchannel-logout': { client_id: string; browser_session_id: string; user_id: string }
  /** Writes the mails with which a lost password can be replaced. */
  'recovery-mail': { recovery_id: string }
  /** Sends a mail of the outbox. */
  'send-mail': { mail_id: string }
  /** Deactivates accounts whose time to take it back is over; by itself every quarter of an hour. */
  'deactivate-due': Record<string, never>
  /** Ends sessions that nobody uses, where the operator wants that; by itself every quarter of an hour. */
  'end-inactive-sessions': Record<string, never>
  /** Removes what nobody needs any more; by itself once a day. */
  'clean-up': Record<string, never>
}

export type JobName = keyof JobData

/**
 * What runs a job; throwing makes it run again later. `signal` aborts when this process stops or the job is not ours any
 * more: long jobs look at it.
 */
export type JobHandlers = {
  [Name in JobName]: (data: JobData[Name], signal?: AbortSignal) => Promise<void>
}

export interface Jobs {
  /** Makes the tables of the queue, if they are not there yet. */
  prepare(): Promise<void>
  /** Adds a job in the caller's transaction: it exists exactly if that commits. */
  enqueue<Name extends JobName>(tx: Db, name: Name, data: JobData[Name]): Promise<void>
  /** Begins to run jobs in this process. */
  work(handlers: JobHandlers): Promise<void>
  /** Runs what is due now and returns; for commands and tests. Failed jobs stay for later. */
  runDue(handlers: JobHandlers): Promise<void>
  /** Waits for running jobs (at most 10 seconds) and hands back the rest. */
  stop(): Promise<void>
}

export interface JobsOptions {
  /** Seconds that jobs are kept which are over. */
  kept?: { finished_jobs: number }
  /** Seconds between two looks for the jobs of processes that died; 60 unless given. */
  lookAfter?: number
  /** Milliseconds that running jobs have at a stop; 10,000 unless given. */
  stopWithin?: number
  metrics?: Pick<Metrics, 'jobs' | 'jobsUnderWay' | 'queueTicks' | 'queueWakeups'>
  tracing?: Pick<Tracing, 'job'> | undefined
}

/** In the order of `runDue`: jobs that add others stand before those. */
const NAMES = [
  'deactivate-due',
  'end-inactive-sessions',
  'check-drift',
  'provision-everyone',
  'provision-user',
  'sync-devices',
  'deactivate-user',
  'backchannel-logout',
  'recovery-mail',
  'send-mail',
  'clean-up',
] as const

/** Jobs that one process runs at once, where not one: other people's servers may be slow, and hold up only some. */
const AT_ONCE: Partial<Record<JobName, number>> = { 'backchannel-logout': 4, 'send-mail': 4 }

/** A logout token that a client did not take for an hour and a half says nothing that its session does not. */
const RETRIES: Partial<Record<JobName, { retryLimit: number; retryDelayMax: number }>> = {
  'backchannel-logout': { retryLimit: 10, retryDelayMax: 2560 },
}

/** What the homeserver is told by: not to wait for when it is there again. */
export const HOMESERVER_JOBS: readonly JobName[] = [
  'provision-user',
  'provision-everyone',
  'sync-devices',
  'deactivate-user',
]

/** Seconds that these may take: they work through everything there is. */
const EXPIRES: Partial<Record<JobName, number>> = { 'clean-up': 6 * 3600, 'check-drift': 900 }

/** When jobs begin by themselves, whichever process is awake then: cron, in UTC. */
const SCHEDULES: Partial<Record<JobName, string>> = {
  'check-drift': '41 1 * * *',
  'clean-up': '23 3 * * *',
  'deactivate-due': '3,18,33,48 * * * *',
  'end-inactive-sessions': '8,23,38,53 * * * *',
}

/** The queue's own tables live in a schema of their own, kept by pg-boss. */
const SCHEMA = 'latchkey_jobs'

/**
 * The job queue: pg-boss, loaded and started at the first use, since it costs a tenth of a second and 23 MB. Its own
 * statements have a connection to themselves (the driver lets no pool open transactions by text): on the pool of the
 * requests they could wait for transactions which wait, in `enqueue`, for the queue to start.
 */
export function createJobs(database: DatabaseConfig, log: Log, options: JobsOptions = {}): Jobs {
  const kept = options.kept?.finished_jobs ?? 30 * 24 * 3600
  const run = runner(log, options, async (name, data) => {
    const [other] = own ? await findRetry(own, name, { ...data }) : []
    return other !== undefined
  })
  const stopping = new AbortController()
  let starting: Promise<PgBoss> | undefined
  let own: Sql | undefined
  const boss = (): Promise<PgBoss> => {
    starting ??= start().catch((error: unknown) => {
      starting = undefined
      throw error
    })
    return starting
  }
  const start = async (): Promise<PgBoss> => {
    const { PgBoss } = await import('pg-boss')
    own ??= createSql(database, { max: 1, applicationName: 'latchkey jobs' })
    const lookAfter = options.lookAfter ?? 60
    const started = new PgBoss({
      schema: SCHEMA,
      db: timed(adapter(own), options.metrics),
      superviseIntervalSeconds: lookAfter,
      monitorIntervalSeconds: lookAfter,
    })
    started.on('error', (error) => log.warn('jobs.error', { error }))
    await startAnyway(started)
    for (const name of NAMES) {
      const options = { ...optionsOf(name), deleteAfterSeconds: kept }
      // One waiting and one running for each person: a burst of ended sessions is one call.
      await started.createQueue(name, { policy: 'stately', ...options })
      // That leaves a queue alone which an earlier release made.
      await started.updateQueue(name, options)
    }
    return started
  }
  return {
    prepare: async () => void (await boss()),
    async enqueue(tx, name, data) {
      const queue = await boss()
      const options = { db: adapter(tx), singletonKey: subjectOf(data) }
      if ((await queue.send(name, data, options)) !== null) return
      // One waits already. Writing to it keeps workers from it until this transaction is committed: begun earlier, it
      // would not see what this transaction did. If it has begun, the second send adds another.
      await queue.update(name, data, options)
      await queue.send(name, data, options)
    },
    async work(handlers) {
      const started = await boss()
      for (const [name, cron] of Object.entries(SCHEDULES))
        await started.schedule(name, cron, {}, { singletonKey: 'everyone' })
      for (const name of NAMES)
        await started.work<JobData[typeof name]>(
          name,
          { pollingIntervalSeconds: 1, batchSize: 1, localConcurrency: AT_ONCE[name] ?? 1 },
          async ([job]) => {
            if (job) await run(handlers, name, job, AbortSignal.any([job.signal, stopping.signal]))
          },
        )
    },
    async runDue(handlers) {
      const started = await boss()
      for (const name of NAMES) {
        for (;;) {
          const [job] = await started.fetch<JobData[typeof name]>(name)
          if (!job) break
          try {
            await run(handlers, name, job)
            await started.complete(name, job.id)
          } catch (error) {
            await started.fail(name, job.id, { message: String(error) })
          }
        }
      }
    },
    async stop() {
      stopping.abort()
      const started = await starting?.catch(() => undefined)
      await started?.stop({ graceful: true, timeout: options.stopWithin ?? 10_000, close: false })
      await own?.end({ timeout: 5 })
    },
  }
}

/**
 * How often and for how long a job is tried: after 5 seconds, then after pauses that double up to an hour, for most of a
 * day: other servers are down for a night. Mail gives up by itself (`mail/delivery.ts`). A process that dies gives no more heartbeats, and its jobs go to another one
 * within two minutes; one that nobody has worked at for a year was of a release that is gone.
 */
const optionsOf = (name: JobName) => ({
  retryLimit: 30,
  retryDelay: 5,
  retryBackoff: true,
  retryDelayMax: 3600,
  expireInSeconds: EXPIRES[name] ?? 120,
  heartbeatSeconds: 30,
  retentionSeconds: 365 * 24 * 3600,
  ...RETRIES[name],
})

/**
 * Runs jobs with their figures, and their traces where the configuration wants them. `isRepeated`: whether another job that
 * does the same waits for its next try. One that fails beside it is over: the queue has room for one such job, and would
 * give this one up at once, as if it had been tried for a day.
 */
function runner(
  log: Log,
  { metrics, tracing }: JobsOptions,
  isRepeated: (name: JobName, data: JobData[JobName]) => Promise<boolean>,
) {
  const attempt = async <Name extends JobName>(
    handlers: JobHandlers,
    name: Name,
    data: JobData[Name],
    tries: number,
    signal?: AbortSignal,
  ): Promise<void> => {
    const begin = monotonic()
    let result = 'failed'
    let decision = ''
    metrics?.jobsUnderWay.change(1, name)
    try {
      await handlers[name](data, signal)
      result = 'success'
    } catch (error) {
      log.warn('job.failed', { job: name, subject: subjectOf(data), error })
      decision = tries < optionsOf(name).retryLimit ? 'retry' : 'fail'
      if (!(await isRepeated(name, data).catch(() => false))) throw error
      decision = 'abandon'
    } finally {
      metrics?.jobsUnderWay.change(-1, name)
      metrics?.jobs.record(monotonic() - begin, name, result, decision)
    }
  }
  return <Name extends JobName>(
    handlers: JobHandlers,
    name: Name,
    { data, retryCount: tries }: { data: JobData[Name]; retryCount: number },
    signal?: AbortSignal,
  ): Promise<void> => {
    const work = () => attempt(handlers, name, data, tries, signal)
    if (!tracing) return work()
    const facts = { queries: 0 }
    return withFacts(facts, () => tracing.job(name, facts, work))
  }
}

/** What a job is about: of jobs about the same, one waits and one runs. */
function subjectOf(data: JobData[JobName]): string {
  if ('client_id' in data) return `${data.client_id} ${data.browser_session_id}`
  if ('mail_id' in data) return data.mail_id
  if ('recovery_id' in data) return data.recovery_id
  if ('erase' in data) return data.erase ? `${data.user_id} erase` : data.user_id
  return 'user_id' in data ? data.user_id : 'everyone'
}

/** Times that a start is tried at once: of several processes that make the tables at the same moment, all but one fail. */
const STARTS = 3

async function startAnyway(boss: PgBoss): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await boss.start()
      return
    } catch (error) {
      if (tries === STARTS || isOutage(error)) throw error
    }
  }
}

/** What pg-boss sends its statements through. */
const adapter = (db: Db) => ({
  executeSql: async (text: string, values?: unknown[]) => ({
    rows: rowsOf(await db.unsafe(text, values as never[])),
  }),
})

/** The statements of a queue that works, with what each look for jobs took. */
function timed(
  { executeSql }: ReturnType<typeof adapter>,
  metrics: Pick<Metrics, 'queueTicks' | 'queueWakeups'> | undefined,
): ReturnType<typeof adapter> {
  /** Texts of looks that found a job the last time. */
  const found = new Set<string>()
  return {
    async executeSql(text, values) {
      const begin = monotonic()
      const result = await executeSql(text, values).catch(async (error: unknown) => {
        // A text that begins a transaction and fails leaves it open, and this one connection of no use for ever.
        if (/^\s*begin\b/i.test(text)) await executeSql('rollback').catch(() => {})
        throw error
      })
      // Taking jobs is the one statement that steps over locked rows.
      if (!/for update of j skip locked/i.test(text)) return result
      metrics?.queueTicks.record(monotonic() - begin)
      metrics?.queueWakeups.add(found.has(text) ? 'task' : 'sleep')
      if (result.rows.length > 0) found.add(text)
      else found.delete(text)
      return result
    },
  }
}

/** A text with several statements answers a list of results: pg-boss looks through the rows of all of them. */
const rowsOf = (result: unknown): unknown[] => (result as unknown[]).flat()

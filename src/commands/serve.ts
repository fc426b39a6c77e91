import { deleteIdleLimits } from '../../sql/limits.ts'
import { lockStaticClients } from '../../sql/static-clients.ts'
import { anyUserExists } from '../../sql/users.ts'
import { warmStrength } from '../crypto/strength.ts'
import { createDeps, type Deps } from '../deps.ts'
import { createOutgoingFetch, createProxyOf, fetchLocal } from '../http/outgoing.ts'
import { PROVIDERS_FRESH } from '../identity/provider-source.ts'
import { jobHandlers } from '../jobs/handlers.ts'
import type { JobHandlers } from '../jobs/jobs.ts'
import { transact } from '../lib/transact.ts'
import { sleep } from '../lib/waiting.ts'
import { registrationEnabled } from '../policy/register.ts'
import { listen } from '../server.ts'
import type { Log } from '../telemetry/log.ts'
import { exportMetrics } from '../telemetry/metrics-export.ts'
import { syncProviders } from '../upstream/sync.ts'
import type { Loaded } from './load.ts'
import { migrateDatabase, openDatabase, requireMigrated } from './open-database.ts'
import { checkHomeserver } from './prepare.ts'
import { type Live, reload } from './reload.ts'
import { clientsThatLeft, syncClients } from './static-clients.ts'
import { aborted, expired, pause, within } from './stopping.ts'
import { addStrengthScript } from './strength-script.ts'
import { figuresOfAll } from './worker-figures.ts'

/** How a server runs. */
export interface ServeOptions {
  loaded: Loaded
  log: Log
  /** Takes progress lines of the embedded database and of migrations. */
  progress: (line: string) => void
  /** Stops the server when it aborts. */
  signal: AbortSignal
  /** Where SIGHUP is told: what was noted is written, and certificates and the configuration are read again. */
  onHangup?: (listener: () => void) => void
  /** Reads the configuration again. */
  load: () => Promise<Loaded>
  migrate: boolean
  /** Writes the clients of the configuration into the database. */
  sync: boolean
  /** Other processes listen on the same ports. */
  sharePorts?: boolean
  /** Runs jobs in this process too. */
  worker: boolean
  /** Called once the server answers, with whether there are accounts yet. */
  ready: (addresses: string[], accounts: boolean) => void
}

const MINUTE = 60_000
/** Milliseconds after ready before the word lists are loaded: the first visitors come first. */
const WARM_AFTER = 5_000
/** Milliseconds that telemetry may take to leave at the stop. */
const FLUSH = 1_500
/** Milliseconds that a stop may take at most, from its beginning: for requests, then jobs, then what was noted. */
const STOP = { requests: 10_000, jobs: 14_000, activity: 15_000 }

/**
 * Runs Latchkey until `signal` aborts, then stops it in order: listeners, jobs, what was noted, connections, the
 * embedded database. Everything that was started is stopped when the start fails too.
 *
 * @throws what `explain` makes sentences of
 */
export async function serve(options: ServeOptions): Promise<void> {
  const { loaded, progress, signal } = options
  await using started = new AsyncDisposableStack()
  const database = await openDatabase(loaded, { log: progress, own: true, signal })
  started.defer(database.close)
  if (options.migrate) await migrateDatabase(database, progress)
  else await requireMigrated(database)
  const { deps, warnings } = await createDeps({
    config: loaded.config,
    database: database.settings,
    log: options.log,
    stopping: signal,
  })
  const { log } = deps
  started.defer(() => deps.sql.end({ timeout: 2 }))
  // `--workers`: this process is one of several.
  if (options.sharePorts && process.send) deps.metrics.read = figuresOfAll(() => deps.metrics.registry.read())
  for (const warning of [...loaded.warnings, ...warnings]) log.warn('config.warning', { warning })
  const live: Live = { deps }
  started.defer(() => live.deps.policy.stop())
  await loadKeys(deps)
  await deps.providers.refresh()
  await deps.policy.check()
  await checkHomeserver(deps)
  if (options.sync) await syncAll(deps)
  // A pooler may have fewer connections than there are transactions: these must not wait, all of them, for a queue that
  // waits for a connection to start.
  const { pooler, direct_uri } = database.settings
  if (pooler !== undefined || direct_uri !== undefined) await deps.jobs.prepare()
  if (signal.aborted) return

  started.defer(await sendTelemetry(deps))
  const servers = await listen(deps, { sharePorts: options.sharePorts ?? false })
  started.defer(async () => {
    const jobsLimit = expired(STOP.jobs)
    const activityLimit = expired(STOP.activity)
    await servers.stop(STOP.requests)
    await Promise.race([deps.jobs.stop(), jobsLimit])
    await Promise.race([deps.activity.flush(), activityLimit])
  })
  const handlers = jobHandlers(deps)
  const replace = () =>
    reload(live, {
      load: options.load,
      database: database.settings,
      async check(next) {
        await loadKeys(next)
        await next.providers.refresh()
        await next.policy.check()
        await buildScript(next)
        if (options.sync) await syncAll(next)
      },
      use(next) {
        servers.use(next)
        Object.assign(handlers, jobHandlers(next))
      },
    })
  let reloading = Promise.resolve()
  options.onHangup?.(() => {
    void servers.renewCertificates()
    void deps.activity.flush()
    // One after the other: the last one read the newest file.
    reloading = reloading.then(replace)
  })
  await warm(servers.addresses)
  const [accounts] = await anyUserExists(deps.sql)
  options.ready(servers.addresses, accounts?.exists ?? false)

  void buildScript(deps)
  if (options.worker) void work(deps, handlers, signal)
  void followProviders(live, signal)
  const timers = [
    setInterval(() => void deps.activity.flush(), MINUTE),
    setInterval(() => void servers.renewCertificates(), MINUTE),
    setInterval(
      () => void loadKeys(live.deps).catch((error) => log.warn('keys.reload_failed', { error })),
      MINUTE,
    ),
    setInterval(() => void forgetLimits(deps), 60 * MINUTE),
    setTimeout(() => void warmWords(live.deps), WARM_AFTER),
  ]
  await aborted(signal)
  const delay = loaded.config.http.drain_delay
  log.info('server.stopping', delay === 0 ? {} : { answers_for_s: delay })
  // Not ready from now on (`deps.stopping`), and still there for who was sent here before that was noticed.
  await sleep(delay * 1000)
  for (const timer of timers) clearTimeout(timer)
}

/**
 * Writes the clients and providers of the configuration, all or none, and names clients that it does not have any more:
 * they still work.
 */
async function syncAll(deps: Deps): Promise<void> {
  const left = await transact(deps.sql, async (tx) => {
    await lockStaticClients(tx)
    await syncClients(deps, tx)
    await syncProviders(deps, tx)
    return clientsThatLeft(deps, tx)
  })
  if (left.length === 0) return
  const hint =
    'they are not in the configuration any more and still work; remove them: latchkey config sync --prune'
  deps.log.warn('clients.left', { clients: left.join(', '), hint })
}

/** Sends figures and traces where the configuration wants it; gives what sends the last of them. */
export async function sendTelemetry(deps: Deps): Promise<() => Promise<void>> {
  const { config, metrics, clock, log, tracing } = deps
  const stop = await exportMetrics(config.telemetry.metrics, {
    registry: metrics.registry,
    clock,
    log,
    fetch: createOutgoingFetch(createProxyOf(config.outgoing)),
  })
  return () => within(FLUSH, Promise.all([stop(), tracing?.stop()]))
}

/** Without it there is no meter, and nothing else changes. */
const buildScript = (deps: Deps): Promise<void> =>
  addStrengthScript(deps).catch((error: unknown) => deps.log.warn('strength_meter.not_built', { error }))

/** Runs jobs until the queue is stopped; a database that is away at the start is tried again. `handlers` may be changed. */
export async function work(deps: Deps, handlers: JobHandlers, signal: AbortSignal): Promise<void> {
  void checkMail(deps)
  while (!signal.aborted) {
    try {
      return await deps.jobs.work(handlers)
    } catch (error) {
      deps.log.warn('jobs.start_failed', { error })
      await pause(5_000, signal)
    }
  }
}

/** Says early that no mail will leave; a mail server that is down must not hold up the start. */
async function checkMail(deps: Deps): Promise<void> {
  try {
    await deps.mail.check()
  } catch (error) {
    deps.log.warn('mail.check_failed', { error })
  }
}

/** The keys that `keys rotate` made, in this process or another one. */
async function loadKeys(deps: Deps): Promise<void> {
  const { unreadable } = await deps.keys.reload()
  for (const kid of unreadable)
    deps.log.warn('keys.unreadable', {
      kid,
      hint: 'secrets.encryption is not the one that it was sealed under',
    })
}

/**
 * Reads what the admin API makes and changes in other processes, every two seconds until `signal` aborts. One after the
 * other, and said once: while the database is away nothing piles up, neither queries nor lines in the log.
 */
export async function followProviders(
  live: { deps: Pick<Deps, 'providers' | 'log'> },
  signal: AbortSignal,
  every = PROVIDERS_FRESH,
): Promise<void> {
  let failed = false
  while (!signal.aborted) {
    await pause(every, signal)
    const { providers, log } = live.deps
    try {
      if (!signal.aborted) await providers.refresh()
      failed = false
    } catch (error) {
      if (!failed) log.warn('upstream.providers_not_read', { error })
      failed = true
    }
  }
}

async function forgetLimits(deps: Deps): Promise<void> {
  try {
    await deleteIdleLimits(deps.sql, deps.clock.now())
  } catch (error) {
    deps.log.warn('limits.cleanup_failed', { error })
  }
}

async function warmWords(deps: Deps): Promise<void> {
  if (registrationEnabled(deps.config)) await warmStrength()
}

/** One page and one document: the router, the templates and the database connection are set up before anybody waits. */
async function warm(addresses: string[]): Promise<void> {
  const address = addresses.find((one) => one.startsWith('http:'))
  if (address === undefined) return
  const visit = async (path: string) => {
    const url = new URL(path, address.replace('[::]', '[::1]').replace('0.0.0.0', '127.0.0.1'))
    await (await fetchLocal(url, { signal: AbortSignal.timeout(2_000) })).arrayBuffer()
  }
  await within(
    2_000,
    Promise.allSettled([visit('/ready'), visit('/login'), visit('/.well-known/openid-configuration')]),
  )
}

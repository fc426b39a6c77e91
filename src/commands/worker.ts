import { createDeps, type Deps } from '../deps.ts'
import { jobHandlers } from '../jobs/handlers.ts'
import { listen } from '../server.ts'
import { createLog } from '../telemetry/log.ts'
import type { Context } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'
import { openDatabase, requireMigrated } from './open-database.ts'
import { type Live, reload } from './reload.ts'
import { followProviders, sendTelemetry, work } from './serve.ts'
import { aborted, within } from './stopping.ts'

interface WorkerFlags extends ConfigOnly {
  listen?: { host: string; port: number }
}

/** Milliseconds for who asks how it is when it stops. */
const LAST_ANSWERS = 1_000

/** `latchkey worker`: runs jobs until it is told to stop. */
export default async function worker(this: Context, flags: WorkerFlags): Promise<void> {
  const { signal } = this
  // A unit that reloads servers and workers alike must not end one that starts.
  this.onHangup(() => {})
  const loaded = await load(this, flags.config)
  const log = createLog({ json: !this.isTerminal, level: 'info' })
  await using started = new AsyncDisposableStack()
  const database = await openDatabase(loaded, { log: (line) => log.info('start.progress', { line }), signal })
  started.defer(database.close)
  await requireMigrated(database)
  const { deps, warnings } = await createDeps({
    config: loaded.config,
    database: database.settings,
    log,
    stopping: signal,
  })
  started.defer(() => deps.sql.end({ timeout: 2 }))
  for (const warning of [...loaded.warnings, ...warnings]) log.warn('config.warning', { warning })
  await deps.providers.refresh()
  const live: Live = { deps }
  started.defer(() => live.deps.policy.stop())
  started.defer(await sendTelemetry(deps))
  started.defer(() => within(14_000, deps.jobs.stop()))
  if (flags.listen) {
    const servers = await listen(onlyWatched(deps, flags.listen))
    started.defer(() => servers.stop(LAST_ANSWERS))
  }
  const handlers = jobHandlers(deps)
  let reloading = Promise.resolve()
  this.onHangup(() => {
    reloading = reloading.then(() =>
      reload(live, {
        load: () => load(this, flags.config),
        database: database.settings,
        async check(next) {
          await next.keys.reload()
          await next.providers.refresh()
        },
        use: (next) => void Object.assign(handlers, jobHandlers(next)),
      }),
    )
  })
  void followProviders(live, signal)
  await work(deps, handlers, signal)
  if (!signal.aborted) log.info('worker.ready')
  await aborted(signal)
  log.info('worker.stopping')
}

/** The same with one listener, for those who watch it: those of the configuration belong to servers. */
const onlyWatched = (deps: Deps, bind: { host: string; port: number }): Deps => ({
  ...deps,
  config: {
    ...deps.config,
    http: {
      ...deps.config.http,
      listeners: [
        {
          name: 'worker',
          resources: [{ name: 'health' }, { name: 'prometheus' }],
          binds: [bind],
        },
      ],
    },
  },
})

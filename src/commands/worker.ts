import { createDeps } from '../deps.ts'
import { createLog } from '../telemetry/log.ts'
import type { Context } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { load } from './load.ts'
import { openDatabase, requireMigrated } from './open-database.ts'
import { work } from './serve.ts'
import { aborted, within } from './stopping.ts'

/** `latchkey worker`: runs jobs until it is told to stop. */
export default async function worker(this: Context, flags: ConfigOnly): Promise<void> {
  const { signal } = this
  // A unit that reloads servers and workers alike must not end these.
  this.onHangup(() => {})
  const loaded = await load(this, flags.config)
  const log = createLog({ json: !this.isTerminal, level: 'info' })
  await using started = new AsyncDisposableStack()
  const database = await openDatabase(loaded, { log: (line) => log.info('start.progress', { line }), signal })
  started.defer(database.close)
  await requireMigrated(database)
  const { deps, warnings } = await createDeps({ config: loaded.config, database: database.settings, log })
  started.defer(() => deps.sql.end({ timeout: 2 }))
  for (const warning of [...loaded.warnings, ...warnings]) log.warn('config.warning', { warning })
  started.defer(() => within(14_000, deps.jobs.stop()))
  await work(deps, signal)
  if (!signal.aborted) log.info('worker.ready')
  await aborted(signal)
  log.info('worker.stopping')
}

// node:child_process: Bun.spawn has no standard input that ends with us.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { DatabaseConfig } from '../../sql/location.ts'
import { monotonic } from '../lib/clock.ts'
import { checkPorts } from '../server.ts'
import type { Log } from '../telemetry/log.ts'
import { CommandError } from './context.ts'
import type { Loaded } from './load.ts'
import { migrateDatabase, openDatabase, requireMigrated } from './open-database.ts'
import { aborted, pause, within } from './stopping.ts'
import { gatherFigures } from './worker-figures.ts'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

/** What a process says to its parent once it answers. */
export const READY = 'ready'

/** Milliseconds before a process that died is started again; doubled with every death that follows soon. */
const PAUSE = { first: 500, most: 30_000 }
/** Milliseconds after which a process counts as one that works. */
const WORKS = 60_000
/** Milliseconds that a process has to stop: a little more than its own deadlines. */
const STOP = 17_000
/** Connections that a process needs at least: one may wait for another. */
const LEAST = 2

export interface WorkersOptions {
  count: number
  loaded: Loaded
  log: Log
  progress: (line: string) => void
  signal: AbortSignal
  onHangup: (listener: () => void) => void
  env: Readonly<Record<string, string | undefined>>
  /** `--config` of this process. */
  config: readonly string[]
  migrate: boolean
  sync: boolean
  worker: boolean
}

/**
 * Runs several servers on the ports of the configuration, which share them (SO_REUSEPORT), and starts those that die
 * again. This process answers nothing itself: it holds the embedded database if there is one, migrates, and passes
 * signals on. The first server runs the jobs. They stop when this process ends, however it does: their standard input
 * ends with it.
 *
 * @throws CommandError when one can't be started; what `explain` makes sentences of
 */
export async function superviseWorkers(options: WorkersOptions): Promise<void> {
  const { count, loaded, log, progress, signal } = options
  await checkPorts(loaded.config)
  await using started = new AsyncDisposableStack()
  const database = await openDatabase(loaded, { log: progress, own: true, signal })
  started.defer(database.close)
  if (options.migrate) await migrateDatabase(database, progress)
  else await requireMigrated(database)
  const children = new Set<ChildProcess>()
  const figures = gatherFigures()
  const endAll = (kind: NodeJS.Signals) => {
    for (const child of children) child.kill(kind)
  }
  // A second signal ends this process at once, and must end them too.
  const killAll = () => endAll('SIGKILL')
  process.on('exit', killAll)
  started.defer(() => void process.off('exit', killAll))
  options.onHangup(() => endAll('SIGHUP'))

  const environment = { ...options.env, ...databaseOf(database.settings, database.embedded, count) }
  /** Starts one; gives whether it became ready, and settles `ended` when it is gone. */
  const start = (index: number, again: boolean) => {
    const flags = [
      '--share-ports',
      '--stop-with-stdin',
      '--no-migrate',
      ...(index === 0 && options.worker ? [] : ['--no-worker']),
      ...(index === 0 && options.sync && !again ? [] : ['--no-sync']),
      ...options.config.flatMap((file) => ['--config', file]),
    ]
    const child = spawn(process.execPath, [MAIN, 'server', ...flags], {
      env: environment,
      stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
    })
    children.add(child)
    figures.add(child)
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => {
        children.delete(child)
        resolve()
      })
      child.once('error', () => resolve())
    })
    const ready = new Promise<boolean>((resolve) => {
      child.on('message', (message) => {
        if (message === READY) resolve(true)
      })
      void ended.then(() => resolve(false))
    })
    return { ready, ended, pid: child.pid }
  }
  const supervise = async (index: number, first: ReturnType<typeof start>) => {
    let current = first
    for (let wait = PAUSE.first; ; ) {
      const begun = monotonic()
      await current.ended
      if (signal.aborted) return
      wait = monotonic() - begun > WORKS ? PAUSE.first : Math.min(wait * 2, PAUSE.most)
      log.error('worker.died', { worker: index, pid: current.pid, again_in_ms: wait })
      await pause(wait, signal)
      if (signal.aborted) return
      current = start(index, true)
    }
  }

  const supervised: Promise<void>[] = []
  for (let index = 0; index < count && !signal.aborted; index++) {
    const one = start(index, false)
    if (!(await Promise.race([one.ready, aborted(signal).then(() => true)]))) {
      await stopAll()
      throw new CommandError('A worker could not start; the log above says why.')
    }
    supervised.push(supervise(index, one))
  }
  if (!signal.aborted) {
    log.info('workers.ready', { workers: count })
  }
  await aborted(signal)
  await stopAll()

  async function stopAll(): Promise<void> {
    const gone = Promise.all(
      [...children].map((child) => new Promise((resolve) => child.once('exit', resolve))),
    )
    endAll('SIGTERM')
    await within(STOP + loaded.config.http.drain_delay * 1000, gone)
    killAll()
  }
}

/** Where the processes find the database, and how many connections each may have: together as many as configured. */
function databaseOf(settings: DatabaseConfig, embedded: boolean, count: number): Record<string, string> {
  const connections = Math.max(LEAST, Math.floor((settings.max_connections ?? 10) / count))
  return {
    LATCHKEY_DATABASE__MAX_CONNECTIONS: String(connections),
    ...(embedded && settings.uri !== undefined && { LATCHKEY_DATABASE__URI: settings.uri }),
  }
}

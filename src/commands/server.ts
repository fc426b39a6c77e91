import { createLog } from '../telemetry/log.ts'
import type { Context } from './context.ts'
import { load } from './load.ts'
import { serve } from './serve.ts'
import { READY, superviseWorkers } from './workers.ts'

export interface ServerFlags {
  config?: readonly string[]
  migrate: boolean
  worker: boolean
  sync: boolean
  stopWithStdin: boolean
  workers: number
  sharePorts: boolean
}

/** `latchkey server`. */
export default async function server(this: Context, flags: ServerFlags): Promise<void> {
  const loaded = await load(this, flags.config)
  this.stopTakes(loaded.config.http.drain_delay)
  const log = createLog({ json: !this.isTerminal, level: 'info' })
  const signal = flags.stopWithStdin ? AbortSignal.any([this.signal, endOf(this.stdin)]) : this.signal
  if (flags.workers > 1)
    return superviseWorkers({
      count: flags.workers,
      loaded,
      log,
      progress: (line) => log.info('start.progress', { line }),
      signal,
      onHangup: (listener) => this.onHangup(listener),
      env: this.env,
      config: flags.config ?? [],
      migrate: flags.migrate,
      sync: flags.sync,
      worker: flags.worker,
    })
  await serve({
    sharePorts: flags.sharePorts,
    loaded,
    log,
    progress: (line) => log.info('start.progress', { line }),
    signal,
    onHangup: (listener) => this.onHangup(listener),
    load: () => load(this, flags.config),
    migrate: flags.migrate,
    sync: flags.sync,
    worker: flags.worker,
    ready: (addresses) => {
      log.info('server.ready', {
        public_base: loaded.config.http.public_base,
        addresses: addresses.join(' '),
      })
      if (flags.sharePorts) process.send?.(READY)
    },
  })
}

/** Aborts when standard input ends, which happens however the process at its other end ends. */
function endOf(stdin: NodeJS.ReadStream): AbortSignal {
  const ended = new AbortController()
  const end = () => ended.abort()
  stdin.once('end', end).once('close', end).once('error', end).resume()
  return ended.signal
}

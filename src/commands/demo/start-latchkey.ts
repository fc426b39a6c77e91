import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../lib/thrown.ts'
import { lastLines, stopProcess, waitUntilUp } from './process.ts'
import type { Running } from './start-synapse.ts'

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url))

/** How a Latchkey is started for the demo: from a configuration file, to be reached at `url`. */
export type StartLatchkey = (options: {
  configPath: string
  url: string
  log: (line: string) => void
  signal?: AbortSignal | undefined
}) => Promise<Running>

/** Starts `latchkey server` in a process of its own, its log beside its configuration, and waits until it is ready. */
export const spawnLatchkey: StartLatchkey = async ({ configPath, url, log, signal }) => {
  const directory = dirname(configPath)
  const logPath = join(directory, 'latchkey.log')
  // As root others may pass through the folder.
  await writeFile(logPath, '', { mode: 0o600 })
  const output = Bun.file(logPath)
  const child = Bun.spawn([process.execPath, MAIN, 'server', '--stop-with-stdin', '-c', configPath], {
    // Closed when this process ends in whatever way: the server then stops too.
    stdin: 'pipe',
    stdout: output,
    stderr: output,
    detached: true,
  })
  // Whatever ends this process without stopping the demo must not leave a server behind.
  const end = () => child.kill('SIGTERM')
  process.once('exit', end)
  const stop = async () => {
    await stopProcess(child, 20_000)
    process.off('exit', end)
  }
  try {
    const ready = `${url}/.well-known/openid-configuration`
    await waitUntilUp({ name: 'Latchkey', url: ready, exited: child.exited, log, seconds: 120, signal })
  } catch (cause) {
    await stop()
    if (signal?.aborted) throw cause
    const text = lastLines(await readFile(logPath, 'utf8').catch(() => ''), 10)
    throw new Error(`${messageOf(cause)} The last lines of its log, ${logPath}:\n${text}`, { cause })
  }
  return { url, stop }
}

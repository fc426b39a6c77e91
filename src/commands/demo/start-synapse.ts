import { Database } from 'bun:sqlite'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../lib/thrown.ts'
import type { InstalledSynapse } from './install-synapse.ts'
import { lastLines, stopProcess, waitUntilUp } from './process.ts'
import { type SynapseSettings, writeSynapseConfig } from './synapse-config.ts'

/** A part of the stack that runs. */
export interface Running {
  url: string
  stop(): Promise<void>
}

/**
 * Runs Synapse and ends it when standard input closes, which happens however this process ends, also by SIGKILL. A
 * leftover Synapse would hold the port and the database.
 */
const SUPERVISED = `
import os, runpy, signal, threading
def watch():
    while os.read(0, 4096): pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module("synapse.app.homeserver", run_name="__main__", alter_sys=True)
`

/**
 * Writes the configuration, starts Synapse as the current user and waits until it answers. Throws an Error with the
 * last lines of its log when it does not come up. `stop` waits until the process is gone.
 */
export async function startSynapse(
  installed: InstalledSynapse,
  settings: SynapseSettings,
  options: { log: (line: string) => void; signal?: AbortSignal | undefined },
): Promise<Running> {
  const { directory } = settings
  const config = await writeSynapseConfig(installed, settings)
  const output = Bun.file(join(directory, 'output.log'))
  const child = Bun.spawn([installed.python, '-c', SUPERVISED, '--config-path', config], {
    cwd: directory,
    stdin: 'pipe',
    stdout: output,
    stderr: output,
    // A group of its own: Ctrl-C reaches only Latchkey, which stops the parts in their order.
    detached: true,
  })
  const url = `http://127.0.0.1:${settings.port}`
  try {
    await waitUntilUp({
      name: 'Synapse',
      url: `${url}/health`,
      exited: child.exited,
      seconds: 120,
      ...options,
    })
    await finishBackgroundWork(directory)
  } catch (cause) {
    await stopProcess(child)
    if (options.signal?.aborted) throw cause
    throw new Error(
      `${messageOf(cause)} The last lines of its log in ${directory}:\n${await whatItSaid(directory)}`,
      {
        cause,
      },
    )
  }
  return { url, stop: () => stopProcess(child) }
}

/**
 * Waits until a fresh database has its indexes, at most 30 seconds: without one of them Synapse answers
 * `reactivate_user` with 500, although it calls itself healthy.
 */
async function finishBackgroundWork(directory: string): Promise<void> {
  const database = new Database(join(directory, 'homeserver.db'), { readonly: true })
  try {
    database.run('pragma busy_timeout = 5000')
    for (let attempt = 0; attempt < 150; attempt++) {
      if (!database.query('select 1 from background_updates limit 1').get()) return
      await Bun.sleep(200)
    }
  } finally {
    database.close()
  }
}

async function whatItSaid(directory: string): Promise<string> {
  const texts = await Promise.all(
    ['synapse.log', 'output.log'].map((name) => readFile(join(directory, name), 'utf8').catch(() => '')),
  )
  return texts
    .map((text) => lastLines(text, 8))
    .filter(Boolean)
    .join('\n')
}

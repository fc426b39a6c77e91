import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  cacheDirectory,
  installSynapse,
  LEGACY_SYNAPSE_VERSION,
} from '../../src/commands/demo/install-synapse.ts'
import { startSynapse } from '../../src/commands/demo/start-synapse.ts'
import { reservePort } from './ports.ts'

/** How long `beforeAll` may take, in milliseconds: the first run on a machine installs Synapse. */
export const SYNAPSE_START_MS = 600_000

/** A Synapse of a test's own. */
export interface TestSynapse {
  url: string
  serverName: string
  secret: string
  directory: string
  /** Stops it for a while; `start` starts it again with everything that it has. */
  pause(): Promise<void>
  start(): Promise<void>
  /** Stops it and removes its directory. */
  stop(): Promise<void>
}

/**
 * Starts a fresh Synapse in a temporary directory, which asks `latchkeyUrl` about tokens. With `legacyClient` it is one
 * of the time before the API of `matrix.kind: synapse`.
 */
export async function startTestSynapse(options: {
  latchkeyUrl: string
  secret: string
  legacyClient?: { id: string; secret: string }
  forceHttp2?: boolean
  /** `localhost`, and a free port, unless given. */
  serverName?: string
  port?: number
}): Promise<TestSynapse> {
  const log = (line: string) => console.log(line)
  const installed = await installSynapse({
    cacheDir: cacheDirectory(process.env),
    log,
    ...(options.legacyClient && { version: LEGACY_SYNAPSE_VERSION }),
  })
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-synapse-'))
  const { serverName = 'localhost' } = options
  const settings = {
    directory,
    serverName,
    port: await reservePort(),
    publicBaseUrl: 'http://localhost/',
    macaroonSecret: 'macaroon-secret-of-a-test',
    formSecret: 'form-secret-of-a-test',
    ...options,
  }
  let running = await startSynapse(installed, settings, { log })
  return {
    url: running.url,
    serverName,
    secret: options.secret,
    directory,
    pause: () => running.stop(),
    async start() {
      running = await startSynapse(installed, settings, { log })
    },
    async stop() {
      await running.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConfigInput } from '../../config/schema.ts'
import { systemRandom } from '../../lib/random.ts'
import { loadDemoSecrets } from './demo-secrets.ts'
import { startFront } from './front.ts'
import { installSynapse } from './install-synapse.ts'
import { writeLatchkeyConfig } from './latchkey-config.ts'
import { findFreePort } from './ports.ts'
import { type StartLatchkey, spawnLatchkey } from './start-latchkey.ts'
import { startSynapse } from './start-synapse.ts'

/** The ports that are tried first. */
const PORTS = { latchkey: 8080, synapse: 8008, front: 8090 }

/**
 * The name after the colon. A server name is for ever (Synapse refuses another one on the same database), and ports
 * may change from start to start, so it has none; `localhost` can't be mistaken for somebody's server. Clients
 * never look it up: they are given the front's address, and there is no federation.
 */
const SERVER_NAME = 'localhost'

/** What `startStack` needs. Everything of the deployment goes below `directory`. */
export interface StackOptions {
  directory: string
  /** Where Synapse is installed: see `cacheDirectory`. */
  cacheDir: string
  log: (line: string) => void
  /** Gives a start up; what already runs is stopped. */
  signal?: AbortSignal
  /** The default runs `latchkey server` in its own process. */
  startLatchkey?: StartLatchkey
  /** The ports to begin the search at; 0 takes any. */
  ports?: { latchkey: number; synapse: number; front: number }
  /** Sections of Latchkey's configuration to replace, for tests. */
  config?: ConfigInput
  /** Paths of the registrations of application services, for tests. */
  appServices?: readonly string[]
}

/** A running deployment. URLs have no slash at their end. */
export interface Stack {
  /** What a Matrix client is given. */
  frontUrl: string
  /** The issuer, without its slash, and the account pages. */
  latchkeyUrl: string
  synapseUrl: string
  serverName: string
  /** The secret between Latchkey and Synapse. */
  secret: string
  /** Latchkey's configuration, for its other commands. */
  configPath: string
  /** Stops the front, Latchkey and Synapse, in this order. */
  stop(): Promise<void>
}

/**
 * Installs Synapse if need be and starts Synapse, Latchkey and the front, configured for each other. A second start
 * in the same directory keeps accounts and rooms. Throws an Error with a sentence for the person who started it.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { log, signal, ports = PORTS } = options
  const directory = resolve(options.directory)
  const limits = { log, ...(signal && { signal }) }
  const installed = await installSynapse({ cacheDir: options.cacheDir, ...limits })
  // As root the database runs under another account, which must be able to pass through; secrets are 0600 inside.
  await mkdir(directory, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 })
  const secrets = await loadDemoSecrets(directory, systemRandom)

  const latchkeyPort = await findFreePort(ports.latchkey)
  const synapsePort = await findFreePort(ports.synapse, new Set([latchkeyPort]))
  const frontPort = await findFreePort(ports.front, new Set([latchkeyPort, synapsePort]))
  const frontUrl = `http://localhost:${frontPort}`
  const latchkeyUrl = `http://localhost:${latchkeyPort}`
  // Between the parts the address and not the name: it has one meaning on every machine.
  const latchkeyAddress = `http://127.0.0.1:${latchkeyPort}/`
  const configPath = await writeLatchkeyConfig(
    { directory, serverName: SERVER_NAME, latchkeyPort, synapsePort },
    secrets,
    options.config,
  )

  await using running = new AsyncDisposableStack()
  log('Starting Synapse (the homeserver) …')
  const synapse = await startSynapse(
    installed,
    {
      directory: `${directory}/synapse`,
      serverName: SERVER_NAME,
      port: synapsePort,
      publicBaseUrl: `${frontUrl}/`,
      latchkeyUrl: latchkeyAddress,
      secret: secrets.matrix,
      macaroonSecret: secrets.macaroon,
      formSecret: secrets.form,
      ...(options.appServices && { appServices: options.appServices }),
    },
    limits,
  )
  running.defer(synapse.stop)

  log('Starting Latchkey …')
  const startLatchkey = options.startLatchkey ?? spawnLatchkey
  const latchkey = await startLatchkey({ configPath, url: latchkeyUrl, ...limits })
  running.defer(latchkey.stop)

  const front = startFront({
    port: frontPort,
    latchkey: latchkeyAddress,
    synapse: synapse.url,
    serverName: SERVER_NAME,
  })
  running.defer(front.stop)
  signal?.throwIfAborted()

  const started = running.move()
  return {
    frontUrl: front.url,
    latchkeyUrl,
    synapseUrl: synapse.url,
    serverName: SERVER_NAME,
    secret: secrets.matrix,
    configPath,
    stop: () => started.disposeAsync(),
  }
}

/** `latchkey demo`: starts everything, says what to do with it, and stops it when `signal` aborts. */
export async function runDemo(options: StackOptions & { signal: AbortSignal }): Promise<void> {
  const { log, signal } = options
  let stack: Stack
  try {
    stack = await startStack(options)
  } catch (error) {
    if (signal.aborted) return
    throw error
  }
  for (const line of instructions(stack, options.directory)) log(line)
  if (!signal.aborted) {
    await new Promise((done) => signal.addEventListener('abort', done, { once: true }))
  }
  log('Stopping …')
  await stack.stop()
  log('Stopped. Accounts and rooms are kept for the next time.')
}

function instructions(stack: Stack, directory: string): string[] {
  return [
    '',
    'The demo is running.',
    '',
    `  Homeserver for a Matrix client:  ${stack.frontUrl}`,
    `  Accounts (Latchkey):             ${stack.latchkeyUrl}/`,
    '',
    'In Element choose "Sign in" or "Create account", change the homeserver to the first address, and go on: the',
    `browser opens Latchkey. Your Matrix id will be @name:${stack.serverName}. Nothing here talks to other servers.`,
    '',
    `Everything is in ${directory}: remove it to begin anew. Ctrl-C stops the demo.`,
  ]
}

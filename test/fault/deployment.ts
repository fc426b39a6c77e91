import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { createSql, type Sql } from '../../sql/connect.ts'
import { migrate } from '../../sql/migrate.ts'
import { findFreePort } from '../../src/commands/demo/ports.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { seedClient } from '../bench/seed.ts'
import { createFakeHomeserver, type FakeHomeserver } from '../support/fake-homeserver.ts'
import { type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { WEB_CLIENT } from '../support/oauth.ts'
import { createFront, type Front } from './front.ts'

const CHECKOUT = join(import.meta.dirname, '..', '..')

export const SECRET = 'fault-suite-secret-of-matrix'

/** A `latchkey server`, as a process. */
export interface Latchkey {
  pid: number
  port: number
  /** What it has logged so far. */
  said(): string
  alive(): boolean
  kill(signal: NodeJS.Signals): void
  ended: Promise<void>
}

export interface BeginOptions {
  /** Its way to the database; the direct one without. */
  uri?: string
  /** Runs jobs too. */
  worker?: boolean
  /** Another checkout, whose version it is. */
  checkout?: string
  /** Arguments of Bun before the program. */
  bun?: readonly string[]
  env?: Record<string, string>
  config?: ConfigInput
  /** Connections to the database at most. */
  connections?: number
  /** Processes that share the port; one without. */
  workers?: number
}

/** A homeserver on a socket, so that processes meet it, and its outages. */
export interface Homeserver {
  fake: FakeHomeserver
  front: Front
  /** Told of the path of each request, which it has done, before that is answered. */
  met: ((path: string) => void) | undefined
  close(): Promise<void>
}

/** A mail server, and its outages. */
export interface Mail {
  server: MailServer
  front: Front
}

/** A database with an app, the servers around it, and the configuration that all processes share. */
export interface Deployment {
  uri: string
  sql: Sql
  client: { id: string; clientId: string }
  homeserver: Homeserver
  mail: Mail
  /** Starts a server and waits until it answers. */
  begin(options?: BeginOptions): Promise<Latchkey>
  /** Runs a command to its end; throws with what it said unless it ends with 0. */
  command(args: readonly string[], options?: BeginOptions): Promise<void>
  close(): Promise<void>
}

/** Processes that live; a suite that fails leaves none behind. */
const living = new Set<Latchkey>()
process.once('exit', () => {
  for (const one of living) one.kill('SIGKILL')
})

/** Takes an empty database; `migrated: false` leaves it as it is, and there is no app then. */
export async function createDeployment(
  uri: string,
  { migrated = true }: { migrated?: boolean } = {},
): Promise<Deployment> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-fault-config-'))
  const sql = createSql({ uri }, { max: 3, applicationName: 'fault suite' })
  if (migrated) await migrate(sql)
  const client = migrated
    ? await seedClient(sql, WEB_CLIENT.redirect_uris[0] ?? '')
    : { id: '', clientId: '' }
  const homeserver = await startHomeserver()
  const server = await startMailServer()
  const mail = { server, front: await createFront(server.port) }
  const base = baseConfig(homeserver.front.port, mail.front.port, await generateSigningKeys())
  const begun: Latchkey[] = []
  const write = async (options: BeginOptions, port: number) => {
    const path = join(folder, `${port}.yaml`)
    const config: ConfigInput = {
      ...base,
      ...options.config,
      database: { uri: options.uri ?? uri, max_connections: options.connections ?? 5, connect_timeout: 2 },
      http: { ...base.http, listeners: listeners(port) },
    }
    await writeFile(path, stringify(config), { mode: 0o600 })
    return path
  }
  const run = (args: readonly string[], options: BeginOptions) =>
    spawn(
      process.execPath,
      [...(options.bun ?? []), join(options.checkout ?? CHECKOUT, 'src', 'main.ts'), ...args],
      {
        cwd: folder,
        env: { PATH: process.env.PATH ?? '', HOME: tmpdir(), ...options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
  return {
    uri,
    sql,
    client,
    homeserver,
    mail,
    async begin(options = {}) {
      const port = await findFreePort(0)
      const file = await write(options, port)
      const workers = options.workers === undefined ? [] : ['--workers', String(options.workers)]
      const flags = ['--config', file, ...(options.worker ? [] : ['--no-worker']), '--no-migrate', ...workers]
      const one = watch(run(['server', ...flags], options), port)
      begun.push(one)
      const ready = options.workers === undefined ? '"server.ready"' : '"workers.ready"'
      while (!one.said().includes(ready)) {
        if (!one.alive()) throw new Error(`The server ended: ${one.said().slice(-2000)}`)
        await Bun.sleep(20)
      }
      return one
    },
    async command(args, options = {}) {
      const file = await write(options, 1)
      const child = run([...args, '--config', file], options)
      let said = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data))
      const code = await new Promise((resolve) => child.once('close', resolve))
      if (code !== 0) throw new Error(`latchkey ${args.join(' ')} ended with ${code}: ${said}`)
    },
    async close() {
      for (const one of begun) one.kill('SIGKILL')
      await Promise.all(begun.map(({ ended }) => ended))
      await sql.end({ timeout: 1 })
      await homeserver.close()
      await mail.front.close()
      await server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const listeners = (port: number) =>
  [
    {
      name: 'web',
      resources: ['discovery', 'human', 'oauth', 'compat', 'assets', 'health'].map((name) => ({ name })),
      binds: [{ host: '127.0.0.1', port }],
    },
  ] as NonNullable<ConfigInput['http']>['listeners']

const MANY = { burst: 1_000_000, per_second: 1000 }

function baseConfig(homeserver: number, mail: number, keys: { kid: string; pem: string }[]): ConfigInput {
  const endpoint = `http://127.0.0.1:${homeserver}/`
  return {
    http: { public_base: 'http://auth.test/' },
    matrix: { kind: 'synapse', homeserver: 'example.test', secret: SECRET, endpoint },
    secrets: {
      encryption: '0123456789abcdef'.repeat(4),
      keys: keys.map(({ kid, pem }) => ({ kid, key: pem })),
    },
    account: {
      password_registration_enabled: true,
      password_registration_email_required: false,
      password_recovery_enabled: true,
    },
    // Everybody comes from one address, and the suite is not about hashing.
    passwords: { schemes: [{ version: 1, algorithm: 'bcrypt', cost: 4 }] },
    rate_limiting: {
      login: { per_ip: MANY, per_account: MANY },
      registration: MANY,
      account_recovery: { per_ip: MANY, per_address: MANY },
    },
    email: mailConfig({ port: mail }),
  } as ConfigInput
}

function watch(child: ReturnType<typeof spawn>, port: number): Latchkey {
  let said = ''
  let alive = true
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (data) => {
      said += data
    })
  const ended = new Promise<void>((resolve) =>
    child.once('close', () => {
      alive = false
      living.delete(one)
      resolve()
    }),
  )
  const one: Latchkey = {
    pid: child.pid ?? 0,
    port,
    said: () => said,
    alive: () => alive,
    kill: (signal) => void child.kill(signal),
    ended,
  }
  living.add(one)
  return one
}

async function startHomeserver(): Promise<Homeserver> {
  const fake = createFakeHomeserver({ serverName: 'example.test', secret: SECRET })
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const answer = await fake.fetch(request)
      homeserver.met?.(new URL(request.url).pathname)
      return answer
    },
    error: () => new Response(null, { status: 500 }),
  })
  const front = await createFront(server.port ?? 0)
  const homeserver: Homeserver = {
    fake,
    front,
    met: undefined,
    async close() {
      await front.close()
      await server.stop(true)
    },
  }
  return homeserver
}

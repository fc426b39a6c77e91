import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { createSql, type Sql } from '../../sql/connect.ts'
import { migrate } from '../../sql/migrate.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { type Cluster, ensureDatabase, startCluster } from '../../src/embedded/cluster.ts'

const CHECKOUT = join(import.meta.dirname, '..', '..')
const DIRECTORY = join(CHECKOUT, '.cache', 'bench')
const DATABASE = 'latchkey_bench'

/** Latchkey with the baseline routes beside it. */
export const OWN = join(import.meta.dirname, 'server.ts')

export const HOMESERVER_SECRET = 'bench-shared-secret-of-matrix'

/** An empty, migrated database on the embedded PostgreSQL with its durable settings, and a configuration for it. */
export interface Bench {
  sql: Sql
  uri: string
  configPath: string
  /** The same with metrics and traces sent to a collector that is not there, and Sentry. */
  watchedConfigPath: string
  /** Ports of Latchkey and of the baseline routes. */
  port: number
  baselinePort: number
  /** The embedded server; its settings are those of every installation. */
  stop(): Promise<void>
}

export async function prepareBench(): Promise<Bench> {
  const cluster = await startCluster({
    directory: join(DIRECTORY, 'postgres'),
    log: () => {},
    exclusive: true,
  })
  try {
    await dropDatabase(cluster)
    await ensureDatabase(cluster, DATABASE)
    const uri = cluster.uri(DATABASE)
    const sql = createSql({ uri }, { max: 2, stallTimeout: null })
    await migrate(sql)
    await sql`create schema bench`
    await sql`create table bench.rows (id uuid primary key, created_at timestamptz not null)`
    const [port, baselinePort] = await freePorts()
    return {
      sql,
      uri,
      port,
      baselinePort,
      configPath: await writeConfig('config', uri, port),
      watchedConfigPath: await writeConfig('watched', uri, port, WATCHED),
      async stop() {
        await sql.end({ timeout: 1 })
        // A gigabyte with --large.
        await dropDatabase(cluster)
        await cluster.stop()
      },
    }
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

async function dropDatabase(cluster: Cluster): Promise<void> {
  const admin = createSql({ uri: cluster.uri('postgres') }, { max: 1 })
  await admin`drop database if exists ${admin(DATABASE)} with (force)`
  await admin.end()
}

/** Everything that watches: ports of 127.0.0.1 that refuse. */
const WATCHED: NonNullable<ConfigInput['telemetry']> = {
  metrics: { exporter: 'otlp', endpoint: 'http://127.0.0.1:9/' },
  tracing: { exporter: 'otlp', endpoint: 'http://127.0.0.1:9/' },
  sentry: { dsn: 'http://key@127.0.0.1:9/1' },
}

async function writeConfig(
  name: string,
  uri: string,
  port: number,
  telemetry?: ConfigInput['telemetry'],
): Promise<string> {
  const keys = await generateSigningKeys()
  const config: ConfigInput = {
    http: {
      public_base: `http://127.0.0.1:${port}/`,
      listeners: [
        {
          name: 'web',
          resources: ['discovery', 'human', 'oauth', 'compat', 'assets', 'health'].map((name) => ({ name })),
          binds: [{ host: '127.0.0.1', port }],
        },
      ] as NonNullable<ConfigInput['http']>['listeners'],
    },
    database: { uri },
    ...(telemetry && { telemetry }),
    matrix: { kind: 'standalone', homeserver: 'example.test', secret: HOMESERVER_SECRET },
    secrets: {
      encryption: '0123456789abcdef'.repeat(4),
      keys: keys.map(({ kid, pem }) => ({ kid, key: pem })),
    },
    // Limits are counted as always, but everybody of a bench comes from one address.
    rate_limiting: {
      login: {
        per_ip: { burst: 1_000_000, per_second: 1000 },
        per_account: { burst: 1_000_000, per_second: 1000 },
      },
    },
  }
  await mkdir(DIRECTORY, { recursive: true })
  const path = join(DIRECTORY, `${name}.yaml`)
  await writeFile(path, stringify(config), { mode: 0o600 })
  return path
}

/** Two TCP ports of 127.0.0.1 that nothing listens on now. Probed at once, or the second could be the first again. */
async function freePorts(): Promise<[number, number]> {
  const probes = [Bun.serve(PROBE), Bun.serve(PROBE)] as const
  const ports: [number, number] = [probes[0].port ?? 0, probes[1].port ?? 0]
  await Promise.all(probes.map((probe) => probe.stop(true)))
  return ports
}

const PROBE = { hostname: '127.0.0.1', port: 0, fetch: () => new Response() }

/** A Latchkey in a process of its own. */
export interface Process {
  pid: number
  /** Milliseconds from its start to its first answer. */
  ready: number
  stop(): Promise<void>
}

/** Starts a script under Bun that serves on `port`, and waits until /health answers. */
export async function startProcess(args: string[], port: number): Promise<Process> {
  const started = performance.now()
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: CHECKOUT,
    stdin: 'ignore',
    stdout: 'ignore',
    // Its log, except where it fails to start, is not what is asked for here.
    stderr: 'ignore',
  })
  // Whatever ends this process must not leave a server behind.
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(end, 10_000)
    await child.exited
    clearTimeout(timer)
    process.off('exit', end)
  }
  while (performance.now() - started < 20_000) {
    if (child.exitCode !== null) throw new Error(`bun ${args.join(' ')} ended with ${child.exitCode}.`)
    const up = await fetch(`http://127.0.0.1:${port}/health`).then(
      (response) => response.ok,
      () => false,
    )
    if (up) return { pid: child.pid, ready: performance.now() - started, stop }
    await Bun.sleep(2)
  }
  await stop()
  throw new Error(`bun ${args.join(' ')} did not answer within 20 seconds.`)
}

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSql, type Sql } from '../../sql/connect.ts'
import { migrate } from '../../sql/migrate.ts'
import { type Cluster, startCluster } from '../../src/embedded/cluster.ts'
import { ClusterError } from '../../src/embedded/cluster-error.ts'
import { startRelay } from './relay.ts'

const CHECKOUT = join(import.meta.dirname, '..', '..')
const MIGRATIONS = join(CHECKOUT, 'sql', 'migrations')

/** A database of its own for one test file. */
export interface TestDatabase {
  sql: Sql
  uri: string
  name: string
  /** Ends `sql` and removes the database. Not needed for the next run, which starts clean anyway. */
  drop(): Promise<void>
}

interface Prepared {
  cluster: Cluster
  admin: Sql
  template: string
}

let prepared: Promise<Prepared> | undefined
let count = 0

/**
 * A new database: a clone of the migrated template, or an empty one with `{ migrated: false }`. The first call starts
 * a PostgreSQL for this process, which ends with it.
 */
export async function createTestDatabase(
  options: { migrated?: boolean; max?: number } = {},
): Promise<TestDatabase> {
  const { cluster, admin, template } = await prepare()
  const name = `test_${++count}`
  await admin`create database ${admin(name)} template ${admin(options.migrated === false ? 'template0' : template)}`
  const uri = cluster.uri(name)
  const sql = createSql({ uri }, { max: options.max ?? 5 })
  return {
    sql,
    uri,
    name,
    drop: async () => {
      await sql.end({ timeout: 1 })
      await admin`drop database if exists ${admin(name)} with (force)`
    },
  }
}

/** Kills every connection to the database on the server's side, as a failover or a restart does; they are gone then. */
export async function terminateConnections(name: string): Promise<number> {
  const { admin } = await prepare()
  const rows =
    await admin`select pg_terminate_backend(pid, 30000) from pg_stat_activity where datname = ${name}`
  return rows.length
}

/** The PostgreSQL of this run. */
export const testCluster = async (): Promise<Cluster> => (await prepare()).cluster

function prepare(): Promise<Prepared> {
  prepared ??= start()
  return prepared
}

async function start(): Promise<Prepared> {
  const cluster = await startFreeSlot()
  const admin = createSql({ uri: cluster.uri('postgres') }, { max: 1, applicationName: 'test support' })
  const template = `template_${await digestOfMigrations()}`
  // What an earlier run left: its databases, and templates of other migrations.
  const leftovers = await admin<{ name: string }[]>`
    select datname as name from pg_database where datname ~ '^(test|template|draft)_' and datname <> ${template}`
  for (const { name } of leftovers) await admin`drop database ${admin(name)} with (force)`
  const [found] = await admin`select 1 from pg_database where datname = ${template}`
  if (!found) {
    // Renamed at the end, so that a run that is killed here leaves no half migrated template.
    await admin`create database draft_template template template0`
    const sql = createSql({ uri: cluster.uri('draft_template') }, { max: 2 })
    try {
      await migrate(sql, { directory: MIGRATIONS })
    } finally {
      await sql.end()
    }
    await admin`alter database draft_template rename to ${admin(template)}`
  }
  return { cluster, admin, template }
}

/** Several runs may go on at once; each takes the first cluster that no other uses, and leaves it for later ones. */
async function startFreeSlot(): Promise<Cluster> {
  const folder = await cacheFolder()
  for (let slot = 0; slot < 50; slot++) {
    try {
      return await startCluster({
        directory: join(folder, String(slot)),
        log: () => {},
        ephemeral: true,
        exclusive: true,
      })
    } catch (error) {
      if (!(error instanceof ClusterError && error.reason === 'in_use')) throw error
    }
  }
  throw new Error(`All clusters in ${folder} are in use.`)
}

async function cacheFolder(): Promise<string> {
  const inside = join(CHECKOUT, '.cache', 'test-postgres')
  try {
    await mkdir(inside, { recursive: true })
    return inside
  } catch {
    const outside = join(tmpdir(), `latchkey-test-postgres-${process.getuid?.() ?? 0}`)
    await mkdir(outside, { recursive: true })
    return outside
  }
}

async function digestOfMigrations(): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(MIGRATIONS)).sort())
    hash.update(`${name}\0${await readFile(join(MIGRATIONS, name))}\0`)
  // It makes a table too.
  hash.update(await readFile(join(CHECKOUT, 'sql', 'migrate.ts')))
  return hash.digest('hex').slice(0, 16)
}

/** A way to a database that a test can cut, so that it is down for one test and not for the others. */
export interface DatabaseProxy {
  uri: string
  /** Breaks every connection and refuses new ones, like a stopped server. */
  cut(): Promise<void>
  /** Keeps connections and takes new ones, but lets nothing through, like a lost network. */
  stall(): void
  /** Back to normal. */
  restore(): Promise<void>
  /** Sockets that are open, on both sides. */
  open(): number
  close(): Promise<void>
}

/** Puts a TCP proxy in front of the server of `uri`. */
export async function proxy(uri: string): Promise<DatabaseProxy> {
  let stalled = false
  const relay = await startRelay(uri, (client, server) => {
    client.on('data', (data) => {
      if (!stalled) server.write(data)
    })
    server.on('data', (data) => {
      if (!stalled) client.write(data)
    })
  })
  return {
    uri: relay.uri,
    cut: relay.close,
    open: relay.open,
    stall: () => {
      stalled = true
    },
    restore: async () => {
      if (stalled) relay.drop()
      stalled = false
      await relay.reopen()
    },
    close: relay.close,
  }
}

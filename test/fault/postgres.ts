// node:child_process: Bun.spawn takes no uid and gid.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, cp, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSql, type Sql } from '../../sql/connect.ts'
import { findFreePort } from '../../src/commands/demo/ports.ts'
import { chooseAccount } from '../../src/embedded/account.ts'
import { type Binaries, findBinaries, usableBinaries } from '../../src/embedded/binaries.ts'
import { initializeCluster, ROLE } from '../../src/embedded/initialize.ts'
import { makePrivate, shelterOf } from '../../src/embedded/place.ts'
import { type Account, environment } from '../../src/embedded/run.ts'

/** A PostgreSQL whose end, settings and place a fault chooses. It keeps its port over a restart, as one of a deployment does. */
export interface Postgres {
  port: number
  /** Its data directory. */
  cluster: string
  uri(database?: string): string
  /** Starts it, with more settings; throws with what it said when it does not come up. */
  start(settings?: readonly string[]): Promise<void>
  /** Whether its process lives. */
  runs(): boolean
  /** Its processes: the one that listens, and those that work for connections. */
  pids(): Promise<number[]>
  /** SIGINT: the fast shutdown; SIGKILL of every process: the machine is gone. */
  end(signal: 'SIGINT' | 'SIGKILL'): Promise<void>
  /** A copy of the stopped cluster that follows this one; the caller starts both. */
  standby(): Promise<Standby>
  /** What it wrote to its log. */
  said(): Promise<string>
  remove(): Promise<void>
}

export interface Standby extends Postgres {
  /** Makes it the one that takes writes. */
  promote(): Promise<void>
}

/** Seconds for PostgreSQL to be ready: a recovery on a busy machine takes some. */
const START_LIMIT = 60

/**
 * Sets a new cluster up below `directory`, or a folder of its own in the system's temporary one; one that is there already
 * is taken. It is not started. It is durable: what it has committed must be there after any fault.
 */
export async function createPostgres(directory?: string): Promise<Postgres> {
  const base = directory ?? (await mkdtemp(join(tmpdir(), 'latchkey-fault-')))
  await mkdir(base, { recursive: true })
  await chmod(base, 0o755)
  const account = await chooseAccount(join(base, 'cluster'))
  const place = { directory: base, base }
  const binaries = await usableBinaries(await findBinaries(), shelterOf(place, account), account)
  if (!existsSync(join(base, 'cluster', 'PG_VERSION')))
    await initializeCluster({ binaries, place, account, ephemeral: true })
  const password = (await readFile(join(base, 'password'), 'utf8')).trim()
  return describe({ binaries, account, base, cluster: join(base, 'cluster'), password })
}

interface Parts {
  binaries: Binaries
  account: Account
  base: string
  cluster: string
  password: string
}

async function describe(parts: Parts): Promise<Postgres> {
  const { binaries, account, base, cluster, password } = parts
  const port = await findFreePort(0)
  const logFile = `${cluster}.log`
  let child: ChildProcess | undefined
  let gone = Promise.resolve()
  const said = () => readFile(logFile, 'utf8').catch(() => '')
  const uri = (database = 'postgres') =>
    `postgresql://${ROLE}:${password}@127.0.0.1:${port}/${database}?sslmode=disable`
  const self: Postgres = {
    port,
    cluster,
    uri,
    said,
    async start(settings = []) {
      const log = await open(logFile, 'a', 0o600)
      const given = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', ...settings]
      const started = spawn(
        join(binaries.root, 'bin', 'postgres'),
        ['-D', cluster, ...given.flatMap((setting) => ['-c', setting])],
        { ...account, env: environment, cwd: '/', detached: true, stdio: ['ignore', log.fd, log.fd] },
      )
      await log.close()
      child = started
      gone = new Promise((resolve) => started.once('exit', () => resolve()))
      const end = () => started.kill('SIGQUIT')
      process.once('exit', end)
      void gone.then(() => {
        process.off('exit', end)
        if (child === started) child = undefined
      })
      for (let waited = 0; waited < START_LIMIT * 20; waited++) {
        if (!self.runs()) break
        const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
        if (Number(lines[0]) === started.pid && ['ready', 'standby'].includes(lines[7]?.trim() ?? '')) return
        await Bun.sleep(50)
      }
      throw new Error(`PostgreSQL did not start: ${(await said()).slice(-1000)}`)
    },
    runs: () => child !== undefined,
    pids: async () => (child?.pid === undefined ? [] : [child.pid, ...(await backendsOf(child.pid))]),
    async end(signal) {
      const pid = child?.pid
      if (pid === undefined) return
      const backends = signal === 'SIGKILL' ? await backendsOf(pid) : []
      kill(pid, signal)
      // They would notice the death of the postmaster only when they look.
      for (const one of backends) kill(one, signal)
      await gone
    },
    async standby() {
      const copy = await mkdtemp(join(tmpdir(), 'latchkey-fault-'))
      await chmod(copy, 0o755)
      const target = join(copy, 'cluster')
      await cp(cluster, target, { recursive: true })
      await giveTo(target, account)
      await makePrivate(target, account)
      await writeFile(join(target, 'standby.signal'), '')
      if (account) await chown(join(target, 'standby.signal'), account.uid, account.gid)
      const follower = await describe({ ...parts, base: copy, cluster: target })
      const primary = `host=127.0.0.1 port=${port} user=${ROLE} password=${password} application_name=standby`
      return {
        ...follower,
        start: (settings = []) => follower.start([`primary_conninfo=${primary}`, ...settings]),
        async promote() {
          const sql = createSql({ uri: follower.uri() }, { max: 1 })
          await sql`select pg_promote(wait => true)`
          await sql.end()
        },
      }
    },
    async remove() {
      await self.end('SIGKILL')
      await rm(logFile, { force: true })
      if (directory(base)) await rm(base, { recursive: true, force: true })
    },
  }
  return self
}

/** Only folders that `createPostgres` made itself are removed. */
const directory = (base: string): boolean => base.startsWith(join(tmpdir(), 'latchkey-fault-'))

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself.
  }
}

const backendsOf = async (pid: number): Promise<number[]> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => ''))
    .split(' ')
    .filter(Boolean)
    .map(Number)

async function giveTo(folder: string, account: Account): Promise<void> {
  if (!account) return
  await mkdir(folder, { recursive: true })
  await chown(folder, account.uid, account.gid)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    await chown(join(entry.parentPath, entry.name), account.uid, account.gid)
}

/** An empty database of this name, in place of any. */
export async function createDatabase(postgres: Postgres, name: string): Promise<string> {
  await asAdmin(postgres, async (sql) => {
    await sql`drop database if exists ${sql(name)} with (force)`
    await sql`create database ${sql(name)}`
  })
  return postgres.uri(name)
}

/** Runs `fn` as the superuser. */
export async function asAdmin<T>(postgres: Postgres, fn: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = createSql({ uri: postgres.uri() }, { max: 1, applicationName: 'fault suite' })
  try {
    return await fn(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

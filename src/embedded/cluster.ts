import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createSql } from '../../sql/connect.ts'
import { codeOf } from '../lib/thrown.ts'
import { chooseAccount } from './account.ts'
import { findBinaries, usableBinaries } from './binaries.ts'
import { ClusterError } from './cluster-error.ts'
import { checkVersion, initializeCluster, ROLE, readPassword } from './initialize.ts'
import { inUse, type Lock, ownerPath, PATIENCE, startingPath, tryLock, waitForLock } from './lock.ts'
import { chooseBase, clusterOf, type Place, prepareDirectory, recordedBase, shelterOf } from './place.ts'
import { type Postmaster, runningPostmaster } from './postmaster.ts'
import type { Account } from './run.ts'
import { type ServerOptions, startServer, stopServer } from './server.ts'
import { superviseServer } from './supervise.ts'
import { finishSwitch, noteProgramsOf } from './switch.ts'

/** A PostgreSQL that runs on this machine for us. */
export interface Cluster {
  host: string
  port: number
  user: string
  password: string
  /** A URI of one of its databases. */
  uri(database: string): string
  /** Stops the server, unless another living process owns it. */
  stop(): Promise<void>
  /** Whether the server was already running. */
  adopted: boolean
  /** The data directory. */
  location: string
  /** The process of the server: another one when it had to be started again. */
  readonly pid: number
}

export interface ClusterOptions {
  /** Where password, locks and log go, and the cluster itself where PostgreSQL's account can enter it. */
  directory: string
  /** Takes progress lines for the person who waits. */
  log: (line: string) => void
  /** For tests: no durability, and the server ends with this process in whatever way it ends. */
  ephemeral?: boolean
  /** Fail with reason `in_use` when another process owns the cluster, rather than share it. */
  exclusive?: boolean
  /** Start the server again when it ends by itself, as long as it is ours. */
  supervise?: boolean
}

/**
 * Starts the embedded PostgreSQL of `directory`, sets it up at the first start, or adopts the server that runs there:
 * one that a dead process left behind becomes ours, one of a living process stays that one's to stop. Throws
 * ClusterError.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  if (process.platform !== 'linux' && process.platform !== 'darwin') {
    throw new ClusterError(
      `There is no embedded PostgreSQL for ${process.platform}; install PostgreSQL 14 or later and set database.uri in the configuration.`,
    )
  }
  const directory = await prepareDirectory(options.directory)
  const starting = await waitForLock(startingPath(directory), PATIENCE)
  if (!starting)
    throw new ClusterError(
      `Another process has been starting the database in ${directory} for a minute; end it and try again.`,
    )
  try {
    return await startLocked(directory, options)
  } finally {
    starting.release()
  }
}

async function startLocked(directory: string, options: ClusterOptions): Promise<Cluster> {
  // One that was broken off while it put the new cluster in place of the old one.
  await finishSwitch(directory)
  const recorded = await recordedBase(directory)
  if (recorded !== undefined) {
    const place: Place = { directory, base: recorded }
    const running = await runningPostmaster(clusterOf(place))
    if (running?.ready) {
      const owner = tryLock(ownerPath(directory))
      if (!owner && options.exclusive) throw inUse(directory)
      // An ephemeral server without an owner is about to end.
      if (!owner || !options.ephemeral) {
        return describe(place, running, await readPassword(directory), { owner, adopted: true, options })
      }
      owner.release()
    }
  }
  const owner = tryLock(ownerPath(directory))
  if (!owner) throw inUse(directory)
  try {
    const place: Place = { directory, base: recorded ?? directory }
    const account = await chooseAccount(clusterOf(place))
    if (recorded === undefined) place.base = await chooseBase(directory, account)
    const server = await serverOptions(place, account, options)
    const { cluster, binaries, ephemeral } = server
    if (!(await stat(cluster).catch(() => undefined))) {
      options.log('Preparing the embedded PostgreSQL (first start, a few seconds)…')
      await initializeCluster({ binaries, place, account, ephemeral })
      if (place.base !== directory)
        options.log(`The database is in ${place.base}, since PostgreSQL can't enter ${directory}.`)
    }
    await noteProgramsOf(directory, binaries)
    const password = await readPassword(directory)
    const leftover = await runningPostmaster(cluster)
    if (leftover) await stopServer(cluster, leftover.pid)
    return describe(place, await startServer(server), password, { owner, adopted: false, options })
  } catch (error) {
    owner.release()
    throw error
  }
}

/** What a server is started with. Throws ClusterError when there are no programs for the cluster of this place. */
async function serverOptions(
  place: Place,
  account: Account,
  { ephemeral = false }: ClusterOptions,
): Promise<ServerOptions> {
  const cluster = clusterOf(place)
  const found = await findBinaries()
  if (await stat(cluster).catch(() => undefined)) await checkVersion(cluster, found)
  const binaries = await usableBinaries(found, shelterOf(place, account), account)
  return { binaries, cluster, logFile: join(place.directory, 'server.log'), account, ephemeral }
}

function describe(
  place: Place,
  server: Postmaster,
  password: string,
  { owner, adopted, options }: { owner: Lock | undefined; adopted: boolean; options: ClusterOptions },
): Cluster {
  const location = clusterOf(place)
  const supervised =
    options.supervise && owner
      ? superviseServer(server, { restart: () => restart(place, server.port, options), log: options.log })
      : undefined
  const pid = () => supervised?.current().pid ?? server.pid
  let stopping: Promise<void> | undefined
  const stop = async () => {
    await supervised?.release()
    if (owner) await stopOwned(place, pid(), owner)
  }
  return {
    host: '127.0.0.1',
    port: server.port,
    user: ROLE,
    password,
    uri: (database) =>
      `postgresql://${ROLE}:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}`,
    stop: () => {
      stopping ??= stop()
      return stopping
    },
    adopted,
    location,
    get pid() {
      return pid()
    },
  }
}

/** Starts a server that has ended on the port that it had, under the lock of starting: a command that begins now waits. */
async function restart(place: Place, port: number, options: ClusterOptions): Promise<Postmaster> {
  const starting = await waitForLock(startingPath(place.directory), PATIENCE)
  try {
    const account = await chooseAccount(clusterOf(place))
    return await startServer({ ...(await serverOptions(place, account, options)), port })
  } finally {
    starting?.release()
  }
}

/** Under the lock of starting, so that nobody adopts a server that is about to end. */
async function stopOwned(place: Place, pid: number, owner: Lock): Promise<void> {
  const starting = await waitForLock(startingPath(place.directory), PATIENCE)
  try {
    await stopServer(clusterOf(place), pid)
  } finally {
    owner.release()
    starting?.release()
  }
}

/** Creates the database in the cluster unless it exists. */
export async function ensureDatabase(cluster: Pick<Cluster, 'uri'>, name: string): Promise<void> {
  const sql = createSql({ uri: cluster.uri('postgres') }, { max: 1 })
  try {
    const [found] = await sql`select 1 from pg_database where datname = ${name}`
    if (!found) await sql`create database ${sql(name)}`
  } catch (error) {
    // Two starts at once: the other one was faster.
    if (!['42P04', '23505'].includes(codeOf(error) ?? '')) throw error
  } finally {
    await sql.end()
  }
}

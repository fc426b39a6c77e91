import { chown, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { base64url } from '../lib/base64url.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import type { Binaries } from './binaries.ts'
import { ClusterError } from './cluster-error.ts'
import { clusterOf, makePrivate, type Place } from './place.ts'
import { type Account, run } from './run.ts'

/** The superuser. Not `latchkey`: search_path begins with the user's name, and would hide a query without its schema. */
export const ROLE = 'postgres'

/** The password of the cluster in `directory`, made at the first start; readable by our account only. */
export async function readPassword(directory: string): Promise<string> {
  const path = join(directory, 'password')
  const text = (await readFile(path, 'utf8').catch(() => '')).trim()
  if (text === '') {
    throw new ClusterError(
      `The password of the embedded PostgreSQL is missing or can't be read: ${path}; bring that file back.`,
    )
  }
  return text
}

/**
 * Makes a new cluster below `place.base`: UTF-8, PostgreSQL's own C.UTF-8 locale (the same order and case rules on every
 * machine, whatever its libc), scram only. A draft is renamed at the end, so that a killed start leaves nothing half done.
 */
export async function initializeCluster(
  options: {
    binaries: Binaries
    place: Place
    account: Account
    ephemeral: boolean
    /** Beside the cluster that is there, with its password: for an upgrade. */
    beside?: { target: string; password: string }
  },
  random: Random = systemRandom,
): Promise<void> {
  const { binaries, place, account } = options
  const draft = join(place.base, 'cluster.new')
  const secret = join(place.base, 'cluster.password')
  const password = options.beside?.password ?? base64url(random.bytes(24))
  await rm(draft, { recursive: true, force: true })
  await rm(secret, { force: true })
  await makePrivate(draft, account)
  await writeFile(secret, password, { mode: 0o600, flag: 'wx' })
  if (account) await chown(secret, account.uid, account.gid)
  try {
    const { code, output } = await run(
      join(binaries.root, 'bin', 'initdb'),
      [
        `--pgdata=${draft}`,
        `--username=${ROLE}`,
        `--pwfile=${secret}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--set=max_connections=200',
        '--no-instructions',
        ...(options.ephemeral ? ['--no-sync'] : []),
      ],
      account,
    )
    if (code !== 0) {
      const reason = output.match(/(?:error|FATAL):\s*(.*)/)?.[1] ?? output.trim().split('\n').at(-1)
      throw new ClusterError(
        `The embedded PostgreSQL could not be set up in ${place.base}: ${reason || 'no reason given'}.`,
      )
    }
    if (!options.beside) await writeFile(join(place.directory, 'password'), `${password}\n`, { mode: 0o600 })
    await rename(draft, options.beside?.target ?? clusterOf(place))
  } finally {
    await rm(secret, { force: true })
    await rm(draft, { recursive: true, force: true })
  }
}

/** The major version that made a cluster; empty where nothing says it. */
export const versionOf = async (cluster: string): Promise<string> =>
  (await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => '')).trim()

/** Throws ClusterError when another major version made the cluster: PostgreSQL would not read it. */
export async function checkVersion(cluster: string, binaries: Binaries): Promise<void> {
  const found = await versionOf(cluster)
  if (found !== binaries.major) {
    throw new ClusterError(
      `The database in ${cluster} was made by PostgreSQL ${found || '(unknown)'}, and this Latchkey brings ${binaries.major}; run: latchkey database upgrade`,
    )
  }
}

import { chmod, chown, lstat, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { base64url } from '../lib/base64url.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import { messageOf } from '../lib/thrown.ts'
import { canWorkIn } from './account.ts'
import { ClusterError } from './cluster-error.ts'
import type { Account } from './run.ts'

/** Where everything of one cluster lies. */
export interface Place {
  /** The directory that the caller named: password, locks, log. */
  directory: string
  /** What PostgreSQL's account can enter: `directory`, or a folder elsewhere that `directory/location` names. */
  base: string
}

const SHELTER = '/var/lib/latchkey'

/** The folder for binaries that can't run from where they are installed. */
export const shelterOf = (place: Place, account: Account): string =>
  account ? SHELTER : join(place.directory, 'bin')

export const clusterOf = (place: Place): string => join(place.base, 'cluster')

/** Makes `directory` if it is missing; throws ClusterError when it can't be written. */
export async function prepareDirectory(directory: string): Promise<string> {
  const path = resolve(directory)
  const asRoot = process.getuid?.() === 0
  try {
    // Others may pass through as root, since PostgreSQL runs under another account; secrets are 0600 inside.
    await mkdir(path, { recursive: true, mode: asRoot ? 0o711 : 0o700 })
    const probe = join(path, `.probe-${process.pid}`)
    await writeFile(probe, '')
    await rm(probe)
  } catch (cause) {
    throw new ClusterError(
      `The embedded PostgreSQL can't write to ${path} (${messageOf(cause)}); give this user the folder, or set database.uri in the configuration.`,
      { cause },
    )
  }
  return path
}

/** Where an earlier start put the cluster of this directory; undefined before the first start. */
export async function recordedBase(directory: string): Promise<string | undefined> {
  const text = await readFile(join(directory, 'location'), 'utf8').catch(() => undefined)
  const elsewhere = text?.split('\n').find((line) => line.startsWith('/'))
  if (elsewhere) {
    if (await stat(join(elsewhere, 'cluster')).catch(() => undefined)) return elsewhere
    throw new ClusterError(
      `${join(directory, 'location')} says that the database is in ${elsewhere}, but it is not there; bring it back, or remove ${directory} to begin with an empty one.`,
    )
  }
  return (await stat(join(directory, 'cluster')).catch(() => undefined)) ? directory : undefined
}

/**
 * A folder that `account` can work in, for a new cluster: `directory`, or, when a folder above it is closed to that
 * account, one below /var/lib/latchkey, which `directory/location` then names.
 */
export async function chooseBase(
  directory: string,
  account: Account,
  random: Random = systemRandom,
): Promise<string> {
  if (await canHold(directory, account)) return directory
  const base = join(SHELTER, base64url(random.bytes(9)))
  try {
    await mkdir(base, { recursive: true, mode: 0o755 })
    await chmod(base, 0o755)
    const shelter = await lstat(SHELTER)
    if (shelter.isSymbolicLink() || shelter.uid !== 0 || (shelter.mode & 0o022) !== 0) {
      throw new Error(`${SHELTER} belongs to, or can be written by, another user`)
    }
    if (!(await canHold(base, account))) throw new Error(`the account of PostgreSQL can't enter ${base}`)
    await writeFile(
      join(directory, 'location'),
      `The database of this folder is in\n${base}\nbecause PostgreSQL does not run as root, and the account it runs under can't enter this folder.\nBack up both, and keep this file.\n`,
      { mode: 0o600 },
    )
  } catch (cause) {
    throw new ClusterError(
      `PostgreSQL does not run as root, its account can't enter ${directory}, and ${SHELTER} can't be used (${messageOf(cause)}); start Latchkey as an ordinary user or use another folder.`,
      { cause },
    )
  }
  return base
}

/** Makes `folder`, private to the account. */
export async function makePrivate(folder: string, account: Account): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (account) await chown(folder, account.uid, account.gid)
  await chmod(folder, 0o700)
}

async function canHold(base: string, account: Account): Promise<boolean> {
  const probe = join(base, `.entry-${process.pid}`)
  try {
    await makePrivate(probe, account)
    return await canWorkIn(probe, account)
  } catch {
    return false
  } finally {
    await rm(probe, { recursive: true, force: true })
  }
}

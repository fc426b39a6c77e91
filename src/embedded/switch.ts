import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Binaries } from './binaries.ts'
import { versionOf } from './initialize.ts'

/** What a new cluster is called until it takes the place of the old one. */
export const upgradedIn = (base: string): string => join(base, 'cluster.upgraded')

/** A switch that has been decided: the new cluster is whole. */
interface Switch {
  base: string
  /** The major version of the cluster that goes. */
  from: string
  /** Where it goes. */
  kept: string
}

const noteOf = (directory: string) => join(directory, 'switching')

/**
 * Puts the new cluster in place of the old one, which is kept. Broken off at any point, the next start goes on with it:
 * there is never a moment in which a start would find no cluster and begin with an empty one.
 */
export async function switchClusters(directory: string, decided: Switch): Promise<void> {
  await writeFile(noteOf(directory), JSON.stringify(decided), { mode: 0o600, flush: true })
  await finishSwitch(directory)
}

/** Ends a switch that was begun; does nothing where there is none. */
export async function finishSwitch(directory: string): Promise<void> {
  const text = await readFile(noteOf(directory), 'utf8').catch(() => undefined)
  if (text === undefined) return
  const { base, from, kept } = JSON.parse(text) as Switch
  const cluster = join(base, 'cluster')
  const upgraded = upgradedIn(base)
  if (await stat(upgraded).catch(() => undefined)) {
    if ((await versionOf(cluster)) === from) await rename(cluster, kept)
    await rename(upgraded, cluster)
  }
  await rm(noteOf(directory))
}

const PROGRAMS = 'programs'

/** Notes which package runs the cluster: an upgrade tells by that what it needs. */
export async function noteProgramsOf(directory: string, { version }: Binaries): Promise<void> {
  if (version !== undefined && (await programsOf(directory)) !== version)
    await writeFile(join(directory, PROGRAMS), `${version}\n`, { mode: 0o600 })
}

/** The version of the package that ran the cluster last; undefined where an earlier release did. */
export const programsOf = async (directory: string): Promise<string | undefined> =>
  (await readFile(join(directory, PROGRAMS), 'utf8').catch(() => '')).trim() || undefined

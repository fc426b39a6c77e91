// bun:sqlite for its file lock: the kernel frees it when the process dies in whatever way, which no pid file does.
// Neither Node nor Bun offers flock or fcntl.
import { Database } from 'bun:sqlite'
import { chmodSync, closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../lib/thrown.ts'
import { ClusterError } from './cluster-error.ts'

export interface Lock {
  release(): void
}

/** Takes the lock that `path` stands for; undefined when another process (or caller) has it. */
export function tryLock(path: string): Lock | undefined {
  makePrivateFile(path)
  const file = new Database(path)
  try {
    file.run('pragma busy_timeout = 0')
    file.run('begin exclusive')
  } catch (error) {
    file.close()
    if (codeOf(error) === 'SQLITE_BUSY') return undefined
    throw error
  }
  return { release: () => file.close() }
}

/**
 * Makes the file unless it is there; only we may read it, since whoever may read it may lock it too, and keep us from
 * starting. One that is there is not opened: closing it again would free a lock that this process has on it.
 */
function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    chmodSync(path, 0o600)
  }
}

/** Takes the lock, waiting up to `seconds`; undefined when it stays taken. */
export async function waitForLock(path: string, seconds: number): Promise<Lock | undefined> {
  for (let tries = seconds * 20; ; tries--) {
    const lock = tryLock(path)
    if (lock || tries <= 0) return lock
    await Bun.sleep(50)
  }
}

/** Seconds to wait for another start or stop of the same cluster. */
export const PATIENCE = 60

/** Held while a server of this directory starts or stops. */
export const startingPath = (directory: string): string => join(directory, 'starting.lock')

/** Held by the process whose server it is. */
export const ownerPath = (directory: string): string => join(directory, 'owner.lock')

export const inUse = (directory: string): ClusterError =>
  new ClusterError(`Another process uses the database in ${directory}; stop it first.`, { reason: 'in_use' })

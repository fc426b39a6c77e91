// bun:sqlite for its file lock: the kernel frees it when the process dies in whatever way, which no pid file does.
// Neither Node nor Bun offers flock or fcntl.
import { Database } from 'bun:sqlite'

export interface Lock {
  release(): void
}

/** Takes the lock that `path` stands for; undefined when another process (or caller) has it. */
export function tryLock(path: string): Lock | undefined {
  const file = new Database(path, { create: true })
  try {
    file.run('pragma busy_timeout = 0')
    file.run('begin exclusive')
  } catch (error) {
    file.close()
    if ((error as { code?: string }).code === 'SQLITE_BUSY') return undefined
    throw error
  }
  return { release: () => file.close() }
}

/** Takes the lock, waiting up to `seconds`; undefined when it stays taken. */
export async function waitForLock(path: string, seconds: number): Promise<Lock | undefined> {
  for (let tries = seconds * 20; ; tries--) {
    const lock = tryLock(path)
    if (lock || tries <= 0) return lock
    await Bun.sleep(50)
  }
}

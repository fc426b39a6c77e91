import { constants, open, readFile, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../lib/thrown.ts'
import { ClusterError } from './cluster-error.ts'
import { run } from './run.ts'

/** The lines of `postmaster.pid` that matter (PostgreSQL manual, section 66.1; src/include/utils/pidfile.h). */
export interface Postmaster {
  pid: number
  port: number
  ready: boolean
}

/** What `postmaster.pid` says; undefined when there is none, or when it is still being written. */
export async function readPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  return { pid, port: Number(lines[3] ?? 0), ready: lines[7]?.trim() === 'ready' }
}

/** Whether a process runs; one that ended and that nobody waited for does not. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
  }
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return !/^\d+ \(.*\) [ZX]/s.test(status)
}

/** Whether `pid` is PostgreSQL on this very cluster, and not another process that got the number later. */
export async function servesCluster(pid: number, cluster: string): Promise<boolean> {
  if (!(await isAlive(pid))) return false
  if (process.platform === 'linux') {
    // PostgreSQL works inside its data directory.
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
    return cwd === (await realpath(cluster))
  }
  const { output } = await run('/bin/ps', ['-p', String(pid), '-o', 'command='], undefined)
  return output.includes(cluster)
}

/** The server that runs on the cluster, if any. A pid file whose number went to another process is defused. */
export async function runningPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const found = await readPostmaster(cluster)
  if (!found) return undefined
  if (await servesCluster(found.pid, cluster)) return found
  if (await isAlive(found.pid)) {
    // PostgreSQL would refuse to start. It takes its parent's pid for a stale one, and still checks that no orphaned
    // backend uses the shared memory that the other lines name; removing the file would skip that check.
    await replaceFirstLine(join(cluster, 'postmaster.pid'), String(process.pid))
  }
  return undefined
}

/**
 * Rewrites a file of PostgreSQL's account, which we may meet as root: a link that this account put in its place is not
 * followed, or it could have us write to any file of the system.
 */
async function replaceFirstLine(path: string, line: string): Promise<void> {
  const foreign = () => new ClusterError(`${path} is not a file of PostgreSQL; remove it.`)
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW).catch((error: unknown) => {
    throw codeOf(error) === 'ELOOP' ? foreign() : error
  })
  try {
    const info = await file.stat()
    if (!info.isFile() || info.nlink !== 1) throw foreign()
    const [, ...rest] = (await file.readFile('utf8')).split('\n')
    await file.truncate(0)
    await file.write([line, ...rest].join('\n'), 0)
  } finally {
    await file.close()
  }
}

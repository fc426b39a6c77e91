import { readFile, stat } from 'node:fs/promises'
import { ClusterError } from './cluster-error.ts'
import { type Account, run } from './run.ts'

/** In this order: an account made for it, the distribution's for PostgreSQL, the one that every system has. */
const NAMES = ['latchkey', 'postgres', 'nobody']

/**
 * The account to run PostgreSQL under: our own, or, as root (which PostgreSQL refuses), the owner of the cluster that
 * exists, or an unprivileged account of this machine. initdb wants one that has a name.
 */
export async function chooseAccount(cluster: string): Promise<Account> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(cluster).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const users = (await readFile('/etc/passwd', 'utf8').catch(() => ''))
    .split('\n')
    .map((line) => line.split(':'))
  for (const name of NAMES) {
    const [, , uid, gid] = users.find(([user]) => user === name) ?? []
    if (Number(uid) > 0 && Number(gid) > 0) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new ClusterError(
    'PostgreSQL does not run as root, and this system has no user named latchkey, postgres or nobody; create one (useradd --system latchkey) or start Latchkey as an ordinary user.',
  )
}

/** Whether the account can work in a directory that is its own: every folder above must let it pass. */
export async function canWorkIn(directory: string, account: Account): Promise<boolean> {
  const { code } = await run('/bin/sh', ['-c', 'cd "$1" && [ -w . ]', 'sh', directory], account)
  return code === 0
}

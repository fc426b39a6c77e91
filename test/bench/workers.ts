/** `bun run bench:workers`: one process beside `--workers 2`, each held to a part of a core. See README.md. */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createDeployment, type Latchkey, SECRET } from '../fault/deployment.ts'
import { createDatabase, createPostgres } from '../fault/postgres.ts'
import { load } from './load.ts'
import { introspections, range, refreshChains } from './requests.ts'
import { seedSessions } from './seed.ts'
import { median, spread, table } from './stats.ts'

const { values: options } = parseArgs({
  options: {
    share: { type: 'string', default: '0.2' },
    rounds: { type: 'string', default: '7' },
    /** Of each process: the more ask at once, the less one of them costs (`src/lib/gather.ts`). */
    connections: { type: 'string', default: '24' },
  },
})
const SESSIONS = 5000
/** Microseconds in which a process gets its share: short, so that it is not seen in the answers. */
const PERIOD = 10_000
const CONTROL = '/sys/fs/cgroup'
const TO_REACH = 1.7

const groups: string[] = []

/** Holds a process to a share of one core (control groups of Linux, either version; root alone may). */
async function hold(pid: number, share: number): Promise<void> {
  const isSecond = (await readdir(CONTROL)).includes('cgroup.controllers')
  const group = join(CONTROL, isSecond ? '' : 'cpu', `latchkey-bench-${pid}`)
  await mkdir(group)
  groups.push(group)
  const quota = Math.round(share * PERIOD)
  if (isSecond) await writeFile(join(group, 'cpu.max'), `${quota} ${PERIOD}`)
  else {
    await writeFile(join(group, 'cpu.cfs_period_us'), String(PERIOD))
    await writeFile(join(group, 'cpu.cfs_quota_us'), String(quota))
  }
  await writeFile(join(group, 'cgroup.procs'), String(pid))
}

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`)
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')),
  )
  return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number))
}

const postgres = await createPostgres()
await postgres.start()
const deployment = await createDeployment(await createDatabase(postgres, 'workers'))
let reached = false
try {
  await seedSessions(deployment.sql, { clientId: deployment.client.id, from: 0, to: SESSIONS, used: true })
  const begin = (workers?: number) =>
    deployment.begin({
      connections: 10,
      ...(workers !== undefined && { workers }),
      config: { matrix: { kind: 'standalone', homeserver: 'example.test', secret: SECRET } },
    })
  const one = await begin()
  const two = await begin(2)
  const share = Number(options.share)
  const workers = await childrenOf(two.pid)
  for (const pid of [one.pid, ...workers]) await hold(pid, share)

  const asked = introspections(range(SESSIONS), SECRET)
  const kinds = [
    { name: 'introspection', requests: 3000, next: asked },
    { name: 'refresh', requests: 1500, ...refreshChains(deployment.client.clientId) },
  ]
  const speed = async (kind: (typeof kinds)[number], { port }: Latchkey) => {
    const connections = Number(options.connections) * (port === two.port ? workers.length : 1)
    const { requests, seconds } = await load({ ...kind, port, connections })
    return requests / seconds
  }
  const lines: string[][] = []
  for (const kind of kinds) {
    const found: [number, number][] = []
    for (const server of [one, two]) await speed(kind, server)
    for (let round = 0; round < Number(options.rounds); round++)
      found.push([await speed(kind, one), await speed(kind, two)])
    const ratios = found.map(([first, second]) => second / first)
    reached = (lines.length === 0 || reached) && median(ratios) >= TO_REACH
    const of = (at: 0 | 1) =>
      spread(
        found.map((pair) => pair[at]),
        0,
      )
    lines.push([kind.name, of(0), of(1), spread(ratios)])
  }
  console.log(`\neach process held to ${share} of a core\n`)
  console.log(table(['requests/s', 'one process', `--workers ${workers.length}`, 'ratio'], lines))
  console.log(`\nto reach ${TO_REACH}: ${reached ? 'reached' : 'not reached'}`)
} finally {
  await deployment.close()
  await postgres.end('SIGINT')
  await postgres.remove()
  for (const group of groups) await rmdir(group).catch(() => {})
}
process.exit(reached ? 0 : 1)

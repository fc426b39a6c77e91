/** `bun run races`: two processes race for everything that is good once. See README.md. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createSql, type Sql } from '../../sql/connect.ts'
import { migrate } from '../../sql/migrate.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { newId } from '../../src/lib/ulid.ts'
import { seededRandom } from '../bench/seed.ts'
import { table } from '../bench/stats.ts'
import { createDeployment } from './deployment.ts'
import { introspect, presentRefresh, seedApps } from './load.ts'
import { createDatabase, createPostgres, type Postgres } from './postgres.ts'
import { THINGS } from './race-things.ts'
import type { Order } from './racer.ts'

const { values: options } = parseArgs({
  options: {
    /** Races for each thing. */
    times: { type: 'string', default: '10000' },
  },
})
const times = Number(options.times)
/** Races between two meetings of the racers: none gets far ahead of the other. */
const STRETCH = 250

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** A racing process: what it is told to do, and its answer. */
interface Racer {
  run<T>(order: Order): Promise<T[]>
  stop(): void
}

async function beginRacer(uri: string, number: number): Promise<Racer> {
  let answer = Promise.withResolvers<unknown>()
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, 'racer.ts'), uri, String(number)], {
    stdio: ['ignore', 'inherit', 'inherit'],
    ipc: (message) => answer.resolve(message),
  })
  process.once('exit', () => child.kill('SIGKILL'))
  await answer.promise
  return {
    async run<T>(order: Order) {
      answer = Promise.withResolvers()
      child.send(order)
      return (await Promise.race([
        answer.promise,
        child.exited.then((code) => Promise.reject(new Error(`A racer ended with ${code}.`))),
      ])) as T[]
    },
    stop: () => child.kill('SIGTERM'),
  }
}

/** What the races for one thing came to. */
interface Result {
  name: string
  races: number
  wins: [number, number]
  /** Won by both, and by nobody. */
  doubled: number
  lost: number
  seconds: number
}

async function race(sql: Sql, racers: [Racer, Racer], at: number): Promise<Result> {
  const thing = THINGS[at]
  for (let from = 0; thing?.seed && from < times; from += STRETCH) {
    // What hangs on it is not there: a code without its session is a code.
    await sql.begin(async (tx) => {
      await tx`set local session_replication_role = replica`
      const indices = Array.from({ length: Math.min(STRETCH, times - from) }, (_, offset) => from + offset)
      await Promise.all(indices.map((index) => thing.seed?.(tx, index)))
    })
  }
  const begun = performance.now()
  const won: [Set<number>, Set<number>] = [new Set(), new Set()]
  for (let from = 0; from < times; from += STRETCH) {
    const order = { thing: at, from, to: Math.min(from + STRETCH, times) }
    const both = await Promise.all(racers.map((racer) => racer.run<number>(order)))
    for (const [racer, indices] of both.entries()) for (const index of indices) won[racer as 0 | 1].add(index)
  }
  return judge(thing?.name ?? '', won, times, begun)
}

function judge<T>(name: string, [first, second]: [Set<T>, Set<T>], races: number, begun: number): Result {
  const doubled = first.intersection(second).size
  return {
    name,
    races,
    wins: [first.size, second.size],
    doubled,
    lost: races - first.union(second).size,
    seconds: (performance.now() - begun) / 1000,
  }
}

/** Two processes work at the same queue: each job is run by one of them, and once. */
async function raceJobs(sql: Sql, uri: string, racers: [Racer, Racer]): Promise<Result> {
  const jobs = createJobs({ uri }, silent)
  await jobs.prepare()
  const ids = Array.from({ length: times }, (_, index) => newId(new Date(), seededRandom(`job ${index}`)))
  for (let from = 0; from < times; from += STRETCH)
    await sql.begin((tx) =>
      Promise.all(
        ids.slice(from, from + STRETCH).map((id) => jobs.enqueue(tx, 'provision-user', { user_id: id })),
      ),
    )
  await jobs.stop()
  const begun = performance.now()
  const [first = [], second = []] = await Promise.all(
    racers.map((racer) => racer.run<string>({ jobs: true })),
  )
  const result = judge('job', [new Set(first), new Set(second)], times, begun)
  // Twice by the same process is twice too.
  result.doubled += first.length + second.length - new Set(first).size - new Set(second).size
  return result
}

/** The same refresh token at two servers: both must give the same pair, one rotation, and the pair works (decision 7). */
async function raceRefresh(postgres: Postgres): Promise<Result & { different: number }> {
  const deployment = await createDeployment(await createDatabase(postgres, 'refresh'))
  try {
    const servers = [await deployment.begin(), await deployment.begin()]
    const { id, clientId } = deployment.client
    const apps = await seedApps(deployment.sql, id, times)
    const begun = performance.now()
    let [different, failed, next] = [0, 0, 0]
    const work = async () => {
      for (let app = apps[next++]; app; app = apps[next++]) {
        const { refresh } = app
        const both = await Promise.all(servers.map((server) => presentRefresh(server, clientId, refresh)))
        const [first, second] = both.map(({ body }) => `${body.access_token} ${body.refresh_token}`)
        if (both.some(({ status }) => status !== 200)) failed++
        else if (first !== second) different++
        else app.access = String(both[0]?.body.access_token)
      }
    }
    await Promise.all(Array.from({ length: 8 }, work))
    const [server] = servers
    for (const app of apps.slice(0, 100))
      if (server && (await introspect(server, app.access)).body.active !== true) different++
    const [row] = await deployment.sql<{ doubled: number; lost: number }[]>`
      select count(*) filter (where live > 1)::int as doubled, count(*) filter (where live = 0)::int as lost
      from (select session_id, count(*) filter (where consumed_at is null) as live from latchkey.tokens group by 1) s`
    return {
      name: 'refresh over HTTP: both get the same pair',
      races: times,
      wins: [times - failed, times - failed],
      doubled: row?.doubled ?? -1,
      lost: (row?.lost ?? -1) + failed,
      different,
      seconds: (performance.now() - begun) / 1000,
    }
  } finally {
    await deployment.close()
  }
}

const postgres = await createPostgres()
await postgres.start(['synchronous_commit=off', 'max_connections=60'])
let broken = 0
try {
  const uri = await createDatabase(postgres, 'races')
  const sql = createSql({ uri }, { max: 2, applicationName: 'races' })
  await migrate(sql)
  const plain = `${uri}&session_replication_role=replica`
  const racers: [Racer, Racer] = [await beginRacer(plain, 0), await beginRacer(plain, 1)]
  const results: Result[] = []
  const note = (result: Result, different = 0) => {
    results.push(result)
    const wrong = result.doubled + result.lost + different
    if (wrong > 0) broken++
    console.log(
      `${wrong > 0 ? 'BROKEN' : 'held  '}  ${result.name}: ${result.wins.join(' and ')} won, ${result.doubled} twice, ${result.lost} by nobody, ${result.seconds.toFixed(0)} s${different > 0 ? `, ${different} different pairs` : ''}`,
    )
  }
  for (const at of THINGS.keys()) note(await race(sql, racers, at))
  note(await raceJobs(sql, uri, racers))
  for (const racer of racers) racer.stop()
  await sql.end({ timeout: 1 })
  const refreshed = await raceRefresh(postgres)
  note(refreshed, refreshed.different)
  const rows = results.map(({ name, races, wins, doubled, lost }) =>
    [name, races, ...wins, doubled, lost].map(String),
  )
  console.log(
    `\n${table(['', 'races', 'first won', 'second won', 'twice', 'nobody'], rows)}\n\n${results.length} things, ${broken} broken`,
  )
} finally {
  await postgres.remove()
}
process.exit(broken === 0 ? 0 : 1)

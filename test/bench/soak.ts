/** `bun run soak`: a server with mixed traffic for a long time, and what it holds on to meanwhile. See README.md. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createDeployment } from '../fault/deployment.ts'
import { createDatabase, createPostgres } from '../fault/postgres.ts'
import { privateMemory, residentMemory } from './process-figures.ts'
import { createTraffic } from './soak-traffic.ts'
import { median, percentile, table } from './stats.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    /** Actions in a second. */
    rate: { type: 'string', default: '40' },
    /** Length of a sample in seconds. */
    sample: { type: 'string', default: '60' },
  },
})
const samples = Math.max(5, Math.round((Number(options.minutes) * 60) / Number(options.sample)))
const HEAP_REPORT = join(import.meta.dirname, 'heap-report.ts')

/** What one stretch of time found. */
interface Sample {
  resident: number
  own: number
  heap: number
  files: number
  connections: number
  requests: number
  failures: number
  introspection: number[]
  all: number[]
}

/** The slope of the line through the values, by least squares, for one step. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const [above, below] = values.reduce(
    ([a, b], value, at) => [a + (at - middle) * (value - mean), b + (at - middle) ** 2],
    [0, 0] as [number, number],
  )
  return above / below
}

/** Growth in an hour that counts as none, in MB: a day of it is a restart's worth at most. */
const FLAT = 6

const postgres = await createPostgres()
await postgres.start()
const deployment = await createDeployment(await createDatabase(postgres, 'soak'))
const server = await deployment.begin({
  worker: true,
  bun: ['--preload', HEAP_REPORT],
  // As it is by default, with the memory that it takes.
  config: { passwords: { schemes: [{ version: 1, algorithm: 'argon2id' }] } },
})
const traffic = await createTraffic(deployment, server, Number(options.rate))

async function heapOf(): Promise<number> {
  const reports = () => [...server.said().matchAll(/^heap (\d+)$/gm)].map(([, bytes]) => Number(bytes))
  const before = reports().length
  server.kill('SIGUSR2')
  while (reports().length === before) await Bun.sleep(50)
  return (reports().at(-1) ?? 0) / 1024 / 1024
}

async function connectionsOf(): Promise<number> {
  const [row] = await deployment.sql<{ count: number }[]>`
    select count(*)::int as count from pg_stat_activity where application_name like 'latchkey%'`
  return row?.count ?? 0
}

const found: Sample[] = []
const HEADINGS = [
  'minute',
  'RSS MB',
  'own MB',
  'heap MB',
  'files',
  'connections',
  'actions',
  'failed',
  'p50 ms',
  'p99 ms',
  'introspection p50',
  'p99',
]
const row = (one: Sample, at: number): string[] => [
  (((at + 1) * Number(options.sample)) / 60).toFixed(1),
  one.resident.toFixed(0),
  one.own.toFixed(0),
  one.heap.toFixed(1),
  String(one.files),
  String(one.connections),
  String(one.requests),
  String(one.failures),
  percentile(one.all, 0.5).toFixed(1),
  percentile(one.all, 0.99).toFixed(1),
  percentile(one.introspection, 0.5).toFixed(1),
  percentile(one.introspection, 0.99).toFixed(1),
]

try {
  console.log(`${samples} samples of ${options.sample} s, ${options.rate} actions/s\n${HEADINGS.join('  ')}`)
  for (let at = 0; at < samples; at++) {
    await Bun.sleep(Number(options.sample) * 1000)
    const times = traffic.take()
    const sample = {
      heap: await heapOf(),
      resident: (await residentMemory(server.pid)) ?? Number.NaN,
      own: (await privateMemory(server.pid)) ?? Number.NaN,
      files: (await readdir(`/proc/${server.pid}/fd`).catch(() => [])).length,
      connections: await connectionsOf(),
      requests: times.all.length,
      ...times,
    }
    found.push(sample)
    console.log(row(sample, at).join('  '))
  }
  await traffic.stop()
  console.log(`\n${table(HEADINGS, found.map(row))}\n`)
  console.log(`What was done: ${traffic.text()}`)
  const failed = report()
  if (traffic.failures.length > 0)
    console.log(`failures, such as: ${traffic.failures.slice(0, 3).join(' | ')}`)
  process.exitCode = failed ? 1 : 0
} finally {
  await deployment.close()
  await postgres.remove()
}
process.exit()

/** The verdicts, over what comes after the first third: until then caches fill and code is compiled. */
function report(): boolean {
  const settled = found.slice(Math.floor(found.length / 3))
  const perHour = 3600 / Number(options.sample)
  let failed = false
  const verdict = (name: string, ok: boolean, figures: string) => {
    failed ||= !ok
    console.log(`${ok ? 'flat    ' : 'NOT FLAT'}  ${name}: ${figures}`)
  }
  for (const [name, values] of [
    ['live heap', settled.map(({ heap }) => heap)],
    ['memory of its own', settled.map(({ own }) => own)],
  ] as const) {
    const growth = slope(values) * perHour
    verdict(
      name,
      growth < FLAT,
      `${growth.toFixed(1)} MB/hour, ${values[0]?.toFixed(1)} to ${values.at(-1)?.toFixed(1)} MB`,
    )
  }
  const half = Math.ceil(settled.length / 2)
  const halves = <T>(pick: (sample: Sample) => T): [T[], T[]] => [
    settled.slice(0, half).map(pick),
    settled.slice(half).map(pick),
  ]
  for (const [name, pick] of [
    ['connections to the database', (one: Sample) => one.connections],
    ['open files and sockets', (one: Sample) => one.files],
  ] as const) {
    const [first, last] = halves(pick)
    // Requests under way have sockets too; what is never given back raises the least that there is.
    const [before, after] = [Math.min(...first), Math.min(...last)]
    verdict(
      name,
      after <= before + 2,
      `at least ${before}, then ${after}; at most ${Math.max(...first, ...last)}`,
    )
  }
  const [first, last] = halves((one) => percentile(one.introspection, 0.5))
  verdict(
    'latency of introspection',
    median(last) < 1.25 * median(first),
    `p50 ${median(first).toFixed(1)} ms, then ${median(last).toFixed(1)} ms`,
  )
  verdict('failures', traffic.failures.length === 0, String(traffic.failures.length))
  return failed
}

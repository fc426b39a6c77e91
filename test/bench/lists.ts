/** `bun run bench:lists`: every list, filter, search and count of the admin API among a million people. See README.md. */
import { parseArgs } from 'node:util'
import { createApp } from '../../src/app.ts'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { createDeps } from '../../src/deps.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { testConfig } from '../support/config.ts'
import { pathsOf } from './lists-paths.ts'
import { seedPeople, timesOf } from './lists-seed.ts'
import { prepareBench } from './setup.ts'

const { values: options } = parseArgs({
  options: {
    users: { type: 'string', default: '1000000' },
    /** How often each page is asked for. */
    rounds: { type: 'string', default: '9' },
  },
})
const users = Number(options.users)
const rounds = Number(options.rounds)

/** Milliseconds that the median of a first page may take. */
const LIMIT = 50

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} }

const middle = (times: number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0
const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`

/** What is looked into of a list. */
interface List {
  meta?: { count?: number; count_estimated?: boolean }
  links: { next?: string; prev?: string }
}
type Get = (path: string) => Promise<{ body: List; took: number }>

async function measureFirstPages(get: Get, paths: string[]): Promise<void> {
  let over = 0
  for (const path of paths) {
    // The first one reads from the disk.
    const { body } = await get(path)
    const times: number[] = []
    for (let round = 0; round < rounds; round++) times.push((await get(path)).took)
    const median = middle(times)
    if (median > LIMIT) over++
    const about = body.meta?.count_estimated ? 'about ' : ''
    console.log(
      `${median.toFixed(1).padStart(8)} ms  ${median > LIMIT ? '!' : ' '} ${path}  (${about}${body.meta?.count ?? '-'})`,
    )
  }
  console.log(`\n${paths.length} lists, ${over} of them over ${LIMIT} ms\n`)
}

/** Pages of 1000 from a tenth to the next: the last ones must cost what the first ones do. */
async function measureWalk(get: Get, path: string): Promise<void> {
  const to = (parameters: string) => path + (path.includes('?') ? '&' : '?') + parameters
  const first: number[] = []
  const last: number[] = []
  let next: string | undefined = to('page[first]=1000&count=false')
  for (let page = 0; page < 20 && next !== undefined; page++) {
    const answer: Awaited<ReturnType<Get>> = await get(next.replace('/api/admin/v1', ''))
    first.push(answer.took)
    next = answer.body.links.next
  }
  let previous: string | undefined = to('page[last]=1000&count=false')
  for (let page = 0; page < 20 && previous !== undefined; page++) {
    const answer: Awaited<ReturnType<Get>> = await get(previous.replace('/api/admin/v1', ''))
    last.push(answer.took)
    previous = answer.body.links.prev
  }
  console.log(
    `${path}: a page of 1000 takes ${middle(first).toFixed(1)} ms at the beginning, ${middle(last).toFixed(1)} ms at the end`,
  )
}

const bench = await prepareBench()
try {
  const seeding = performance.now()
  const known = await seedPeople(bench.sql, users)
  console.log(`${users} users, ${3 * users} sessions: ${seconds(performance.now() - seeding)} to make them\n`)
  const config = await testConfig({
    http: { listeners: [{ resources: [{ name: 'adminapi' }], binds: [{ port: 8080 }] }] },
    secrets: { keys: (await generateSigningKeys()).map(({ kid, pem }) => ({ kid, key: pem })) },
  } as Parameters<typeof testConfig>[0])
  const { deps } = await createDeps({ config, database: { uri: bench.uri, max_connections: 5 }, log: SILENT })
  const app = createApp(deps, config.http.listeners[0] ?? { resources: [] })
  const get = async (path: string) => {
    const request = new Request(new URL(`/api/admin/v1${path}`, config.http.public_base), {
      headers: { authorization: `Bearer ${known.token}` },
    })
    const started = performance.now()
    const response = await app.handle(request)
    const body = (await response.json()) as List
    const took = performance.now() - started
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`)
    return { body, took }
  }
  await measureFirstPages(get, pathsOf(known, timesOf(users)))
  await measureWalk(get, '/users')
  await measureWalk(get, '/oauth2-sessions')
  await measureWalk(get, '/user-sessions?sort=-last_active_at')
  deps.policy.stop()
  await deps.jobs.stop()
  await deps.sql.end({ timeout: 1 })
} finally {
  await bench.stop()
}
process.exit()

import { afterEach, beforeEach, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { begin, beginReady, endAll, freeAddress, latchkey, newFolder, type Running } from './support.ts'

let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase
beforeEach(async () => {
  folder = await newFolder()
  address = await freeAddress()
  database = await createTestDatabase({ migrated: false })
  expect((await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })).code).toBe(0)
})
afterEach(async () => {
  await endAll()
  await database.drop()
  await folder.remove()
})

const options = () => ({
  cwd: folder.path,
  env: { ...address.env, LATCHKEY_DATABASE__URI: database.uri },
})
const health = async () => (await fetch(new URL('/health', address.url), { keepalive: false })).status

/** The processes that a process started. */
const childrenOf = async (pid: number): Promise<number[]> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => ''))
    .split(' ')
    .filter(Boolean)
    .map(Number)
const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const until = async (condition: () => Promise<boolean> | boolean): Promise<void> => {
  while (!(await condition())) await Bun.sleep(30)
}
const beginWorkers = async (): Promise<Running> => {
  const parent = await beginReady(['server', '--workers', '2'], options())
  await until(() => parent.said().includes('workers.ready'))
  return parent
}

test.skipIf(process.platform !== 'linux')(
  'server --workers 2: two processes answer on one port, and stop together with 0',
  async () => {
    const parent = await beginWorkers()
    const children = await childrenOf(parent.pid)
    expect(children).toHaveLength(2)
    for (let at = 0; at < 10; at++) expect(await health()).toBe(200)
    const pools = await database.sql`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and application_name = 'latchkey jobs'`
    expect(pools[0]?.count).toBeLessThanOrEqual(1)
    parent.kill('SIGTERM')
    const { code } = await parent.ended
    expect(code).toBe(0)
    expect(children.filter(lives)).toEqual([])
    expect(await health().catch(() => 'closed')).toBe('closed')
  },
  180_000,
)

test.skipIf(process.platform !== 'linux')(
  'server --workers 2: one that dies is started again, and the other one goes on answering',
  async () => {
    const parent = await beginWorkers()
    const [first = 0, second = 0] = await childrenOf(parent.pid)
    process.kill(second, 'SIGKILL')
    await until(() => !lives(second))
    for (let at = 0; at < 5; at++) expect(await health()).toBe(200)
    await until(async () => (await childrenOf(parent.pid)).length === 2)
    expect(parent.said()).toContain('"worker.died"')
    expect(await childrenOf(parent.pid)).toContain(first)
    await until(() => parent.said().split('"server.ready"').length === 4)
  },
  180_000,
)

test.skipIf(process.platform !== 'linux')(
  'server --workers 2: nothing is left behind when the parent is killed',
  async () => {
    const parent = await beginWorkers()
    const children = await childrenOf(parent.pid)
    parent.kill('SIGKILL')
    await parent.ended
    await until(() => !children.some(lives))
    expect(await health().catch(() => 'closed')).toBe('closed')
  },
  180_000,
)

test('server --workers: a port that another program uses, and a number that is none, end with a sentence', async () => {
  const taken = Bun.serve({
    hostname: '127.0.0.1',
    port: address.port,
    reusePort: true,
    fetch: () => new Response(),
  })
  const busy = await begin(['server', '--workers', '2'], options()).ended
  await taken.stop(true)
  expect([busy.code, busy.err]).toEqual([1, expect.stringContaining('another program uses this port')])
  expect((await latchkey(['server', '--workers', 'many'], options())).code).toBe(2)
}, 180_000)

test('server --workers 2: when one can not start, none is left, and the command ends with 1', async () => {
  const { env, ...rest } = options()
  const broken = {
    ...rest,
    env: { ...env, LATCHKEY_POLICY__WASM_MODULE: '/nowhere/own.wasm' },
  }
  const { code, err } = await latchkey(['server', '--workers', '2'], broken)
  expect([code, err]).toEqual([1, expect.stringContaining('A worker could not start')])
  expect(err).not.toContain('server.ready')
}, 180_000)

test.skipIf(process.platform !== 'linux')(
  'server --workers 2: /metrics has the sum of both, whichever answers, and what one counted before it died',
  async () => {
    const internal = await freeAddress(['prometheus'])
    const parent = await beginReady(['server', '--workers', '2'], {
      ...options(),
      env: { ...options().env, ...internal.env },
    })
    await until(() => parent.said().includes('workers.ready'))
    const figures = async () => (await fetch(new URL('/metrics', internal.url), { keepalive: false })).text()
    const discoveries = async () =>
      Number(
        /http_server_duration_milliseconds_count\{[^}]*http_route="\/\.well-known\/openid-configuration"[^}]*\} (\d+)/.exec(
          await figures(),
        )?.[1],
      )
    const ask = async () =>
      (await fetch(new URL('/.well-known/openid-configuration', internal.url), { keepalive: false })).status
    // Each process asks itself once before it is ready.
    const before = await discoveries()
    for (let at = 0; at < 20; at++) expect(await ask()).toBe(200)
    // Whichever process answers; one that is busy may be a second late with its part.
    for (let at = 0; at < 8; at++) await until(async () => (await discoveries()) >= before + 20)
    // What is the same for both is not added up.
    expect(await figures()).toMatch(/^latchkey_queue_jobs\{state="waiting"\} 0$/m)
    const [, second = 0] = await childrenOf(parent.pid)
    process.kill(second, 'SIGKILL')
    await until(() => parent.said().split('"server.ready"').length === 4)
    await until(async () => (await discoveries()) >= before + 20)
  },
  180_000,
)

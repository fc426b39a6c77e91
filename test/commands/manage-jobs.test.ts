import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createJobs } from '../../src/jobs/jobs.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { endAll, latchkey, newFolder } from './support.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }
const NOBODY = '01930000-0000-7000-8000-000000000001'

let folder: Awaited<ReturnType<typeof newFolder>>
let database: TestDatabase
beforeAll(async () => {
  folder = await newFolder()
  database = await createTestDatabase()
  await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })
}, 120_000)
afterAll(async () => {
  await endAll()
  await database.drop()
  await folder.remove()
})

const manage = (...args: string[]) =>
  latchkey(['manage', ...args], {
    cwd: folder.path,
    env: { LATCHKEY_DATABASE__URI: database.uri, LATCHKEY_MATRIX__KIND: 'standalone' },
  })

test('latchkey manage list-jobs, retry-job: shows what was given up and why, and tries it anew', async () => {
  const none = await manage('list-jobs')
  expect(none).toMatchObject({ code: 0, out: '', err: 'No job was given up.\n' })
  const { sql } = database
  const jobs = createJobs({ uri: database.uri }, SILENT)
  await jobs.enqueue(sql, 'sync-devices', { user_id: NOBODY })
  await jobs.enqueue(sql, 'provision-user', { user_id: NOBODY })
  await jobs.stop()
  await sql`
    update latchkey_jobs.job set state = 'failed', retry_count = 10, completed_on = now(),
      output = ${sql.json({ message: 'refused\u001b[31m\nFAKE LINE' })} where name = 'sync-devices'`
  await sql`update latchkey_jobs.job set start_after = now() + interval '1 hour' where name = 'provision-user'`

  const list = await manage('list-jobs')
  // A line each, and nothing in it that moves a terminal.
  expect(list.out).toMatch(
    /^[0-9A-Z]{26} sync-devices \{"user_id":"[0-9A-Z]{26}"\}: dead, tried again 10 times: refused \[31m FAKE LINE\n$/,
  )
  const all = await manage('list-jobs', '--all', '--json')
  expect(JSON.parse(all.out)).toEqual([
    expect.objectContaining({ name: 'provision-user', state: 'waiting', tries: 0 }),
    expect.objectContaining({ name: 'sync-devices', state: 'dead', tries: 10 }),
  ])
  const waiting = JSON.parse(all.out)[0].id

  expect(await manage('retry-job', 'not-an-id')).toMatchObject({
    code: 1,
    err: 'not-an-id is not the id of a job.\n',
  })
  const other = await manage('retry-job', waiting)
  expect([other.code, other.err]).toEqual([1, expect.stringContaining('no such job that was given up')])
  const one = await manage('retry-job', list.out.slice(0, 26))
  expect(one).toMatchObject({ code: 0, out: '1 job is tried again.\n' })
  expect((await manage('list-jobs')).out).toBe('')
  const [row] = await sql`select state::text, retry_count from latchkey_jobs.job where name = 'sync-devices'`
  // Nobody has this id: there is nothing to tell, so it is done at once.
  expect(row).toEqual({ state: 'completed', retry_count: 0 })
  expect(await manage('retry-job')).toMatchObject({ code: 1 })
}, 120_000)

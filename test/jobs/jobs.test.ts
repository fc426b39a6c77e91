import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { createSql, type Sql } from '../../sql/connect.ts'
import { createJobs, type JobData, type JobHandlers } from '../../src/jobs/jobs.ts'
import { transact } from '../../src/lib/transact.ts'
import type { LogFields } from '../../src/telemetry/log.ts'
import { createTestDatabase, type DatabaseProxy, proxy, type TestDatabase } from '../support/database.ts'

const ALICE = '019aaaaa-0000-7000-8000-000000000001'
const BOB = '019aaaaa-0000-7000-8000-000000000002'

let database: TestDatabase
let jobs: ReturnType<typeof createJobs>
let warnings: { event: string; fields: LogFields }[] = []
const log = {
  debug: () => {},
  info: () => {},
  warn: (event: string, fields: LogFields = {}) => void warnings.push({ event, fields }),
  error: () => {},
}

beforeAll(async () => {
  database = await createTestDatabase({ max: 10 })
})
afterAll(() => database.drop())
beforeEach(() => {
  warnings = []
  jobs = createJobs({ uri: database.uri, connect_timeout: 20 }, log)
})
afterEach(async () => {
  await jobs.stop()
  await database.sql`delete from latchkey_jobs.job`
})

/** Handlers that note what ran. */
function recorder(fail: (data: JobData['sync-devices']) => boolean = () => false) {
  const ran: string[] = []
  const handler =
    (name: string) =>
    async (data: { user_id: string }): Promise<void> => {
      ran.push(`${name} ${data.user_id === ALICE ? 'alice' : 'bob'}`)
      if (fail(data)) throw new Error('the homeserver is down')
    }
  const handlers: JobHandlers = {
    'sync-devices': handler('sync'),
    'provision-user': handler('provision'),
    'deactivate-user': handler('deactivate'),
    'check-drift': async () => {},
    'provision-everyone': async () => {},
    'backchannel-logout': async () => {},
    'recovery-mail': async () => {},
    'send-mail': async () => {},
    'deactivate-due': async () => {},
    'end-inactive-sessions': async () => {},
    'clean-up': async () => {},
  }
  return { ran, handlers }
}

const enqueue = (name: 'sync-devices' | 'provision-user', userId: string) =>
  transact(database.sql, (tx) => jobs.enqueue(tx, name, { user_id: userId }))

/** Makes jobs that wait for their retry due now. */
const skipDelay = () => database.sql`update latchkey_jobs.job set start_after = now() where state = 'retry'`

const eventually = async (holds: () => boolean | Promise<boolean>) => {
  for (let tries = 0; tries < 1000; tries++) {
    if (await holds()) return
    await Bun.sleep(25)
  }
  throw new Error('It did not happen.')
}

describe('enqueue', () => {
  test('a job of a transaction that rolls back does not exist', async () => {
    const attempt = transact(database.sql, async (tx) => {
      await jobs.enqueue(tx, 'sync-devices', { user_id: ALICE })
      throw new TypeError('no')
    })
    await expect(attempt).rejects.toThrow(TypeError)
    const { ran, handlers } = recorder()
    await jobs.runDue(handlers)
    expect(ran).toEqual([])
  })

  test('a job cannot run before its transaction commits', async () => {
    const { ran, handlers } = recorder()
    await transact(database.sql, async (tx) => {
      await jobs.enqueue(tx, 'sync-devices', { user_id: ALICE })
      await jobs.runDue(handlers)
      expect(ran).toEqual([])
    })
    await jobs.runDue(handlers)
    expect(ran).toEqual(['sync alice'])
  })

  test('many jobs of one kind for one person are one; other people and kinds have theirs', async () => {
    for (let times = 0; times < 3; times++) {
      await enqueue('sync-devices', ALICE)
      await enqueue('provision-user', ALICE)
      await enqueue('sync-devices', BOB)
    }
    const { ran, handlers } = recorder()
    await jobs.runDue(handlers)
    expect(ran.toSorted()).toEqual(['provision alice', 'sync alice', 'sync bob'])
  })

  test('a job that was left out for a waiting one holds that up: it sees what the transaction did', async () => {
    await enqueue('sync-devices', ALICE)
    const { ran, handlers } = recorder()
    await transact(database.sql, async (tx) => {
      await jobs.enqueue(tx, 'sync-devices', { user_id: ALICE })
      await jobs.runDue(handlers)
      expect(ran).toEqual([])
    })
    await jobs.runDue(handlers)
    expect(ran).toEqual(['sync alice'])
  })

  test('while a job runs, another of the same person waits for its end, and then runs', async () => {
    await enqueue('sync-devices', ALICE)
    const ran: number[] = []
    let count = 0
    let underWay = 0
    const handlers = {
      ...recorder().handlers,
      'sync-devices': async () => {
        expect(++underWay).toBe(1)
        if (++count === 1) {
          await enqueue('sync-devices', ALICE)
          await jobs.runDue(handlers)
        }
        ran.push(count)
        underWay--
      },
    }
    await jobs.runDue(handlers)
    expect(ran).toEqual([1, 2])
  })

  test('two transactions at once are one job, and neither fails', async () => {
    await Promise.all(Array.from({ length: 8 }, () => enqueue('sync-devices', ALICE)))
    const { ran, handlers } = recorder()
    await jobs.runDue(handlers)
    expect(ran).toEqual(['sync alice'])
  })

  test('a queue that starts within transactions that hold every connection does not wait for them', async () => {
    const pool: Sql = createSql({ uri: database.uri }, { max: 2 })
    await Promise.all(
      [ALICE, BOB].map((userId) =>
        transact(pool, (tx) => jobs.enqueue(tx, 'sync-devices', { user_id: userId })),
      ),
    )
    await pool.end()
    const { ran, handlers } = recorder()
    await jobs.runDue(handlers)
    expect(ran.toSorted()).toEqual(['sync alice', 'sync bob'])
  })
})

describe('running', () => {
  test('a failed job runs again later, and others are not held up', async () => {
    await enqueue('sync-devices', ALICE)
    await enqueue('sync-devices', BOB)
    let down = true
    const { ran, handlers } = recorder((data) => down && data.user_id === ALICE)
    await jobs.runDue(handlers)
    expect(ran.toSorted()).toEqual(['sync alice', 'sync bob'])
    expect(warnings.map(({ event }) => event)).toEqual(['job.failed'])
    await jobs.runDue(handlers)
    expect(ran).toHaveLength(2)
    down = false
    await skipDelay()
    await jobs.runDue(handlers)
    expect(ran.slice(2)).toEqual(['sync alice'])
    await skipDelay()
    await jobs.runDue(handlers)
    expect(ran).toHaveLength(3)
  })

  test('what is asked for while a failed job waits for its retry does not wait with it', async () => {
    await enqueue('sync-devices', ALICE)
    let down = true
    const { ran, handlers } = recorder(() => down)
    await jobs.runDue(handlers)
    await enqueue('sync-devices', ALICE)
    await jobs.runDue(handlers)
    expect(ran).toHaveLength(2)
    down = false
    await skipDelay()
    await jobs.runDue(handlers)
    expect(ran).toHaveLength(3)
  })

  test('a job that fails while one for the same waits for its retry is no dead letter: that one does its work', async () => {
    const { ran, handlers } = recorder(() => true)
    for (let times = 0; times < 3; times++) {
      await enqueue('sync-devices', ALICE)
      await jobs.runDue(handlers)
    }
    const states = () => database.sql<{ state: string; count: number }[]>`
      select state::text as state, count(*)::int as count from latchkey_jobs.job
      where name = 'sync-devices' group by 1 order by 1`
    expect([...(await states())]).toEqual([
      { state: 'completed', count: 2 },
      { state: 'retry', count: 1 },
    ])
    await skipDelay()
    await jobs.runDue(recorder().handlers)
    expect([...(await states())]).toEqual([{ state: 'completed', count: 3 }])
    expect(ran).toEqual(['sync alice', 'sync alice', 'sync alice'])
  })

  test('a deactivation that erases is not left to one that does not', async () => {
    const { handlers } = recorder(() => true)
    for (const erase of [false, true]) {
      await transact(database.sql, (tx) => jobs.enqueue(tx, 'deactivate-user', { user_id: ALICE, erase }))
      await jobs.runDue(handlers)
    }
    await skipDelay()
    const erased: boolean[] = []
    await jobs.runDue({ ...handlers, 'deactivate-user': async ({ erase }) => void erased.push(erase) })
    expect(erased.toSorted()).toEqual([false, true])
  })

  test('workers run jobs by themselves, and a stopped one leaves the rest to the others', async () => {
    const { ran, handlers } = recorder()
    await jobs.work(handlers)
    await enqueue('sync-devices', ALICE)
    await eventually(() => ran.length === 1)
    await jobs.stop()
    const other = createJobs({ uri: database.uri }, log)
    await transact(database.sql, (tx) => other.enqueue(tx, 'sync-devices', { user_id: BOB }))
    await Bun.sleep(1100)
    expect(ran).toEqual(['sync alice'])
    await other.runDue(handlers)
    expect(ran).toEqual(['sync alice', 'sync bob'])
    await other.stop()
  })

  test('workers check the homeserver and clean up once a day, and end inactive sessions every quarter of an hour by themselves, however many there are', async () => {
    const other = createJobs({ uri: database.uri }, log)
    const { handlers } = recorder()
    await jobs.work(handlers)
    await other.work(handlers)
    await other.stop()
    const rows = await database.sql`select name, cron, timezone from latchkey_jobs.schedule order by name`
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { name: 'check-drift', cron: '41 1 * * *', timezone: 'UTC' },
      { name: 'clean-up', cron: '23 3 * * *', timezone: 'UTC' },
      { name: 'deactivate-due', cron: '3,18,33,48 * * * *', timezone: 'UTC' },
      { name: 'end-inactive-sessions', cron: '8,23,38,53 * * * *', timezone: 'UTC' },
    ])
    // As the schedule sends it.
    const [row] = await database.sql`select data, options from latchkey_jobs.schedule`
    expect({ ...row }).toMatchObject({ data: {}, options: { singletonKey: 'everyone' } })
  })

  test('a client that does not answer does not hold up the others', async () => {
    let release = (): void => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const ran: string[] = []
    await jobs.work({
      ...recorder().handlers,
      'backchannel-logout': async ({ client_id }) => {
        if (client_id === ALICE) await released
        ran.push(client_id)
      },
    })
    for (const client_id of [ALICE, BOB])
      await transact(database.sql, (tx) =>
        jobs.enqueue(tx, 'backchannel-logout', { client_id, browser_session_id: ALICE, user_id: ALICE }),
      )
    await eventually(() => ran.includes(BOB))
    expect(ran).toEqual([BOB])
    release()
    await eventually(() => ran.includes(ALICE))
  })

  test('no more than four mails are sent at once by one process, however many wait (defect 7)', async () => {
    let release = (): void => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    let running = 0
    let most = 0
    let sent = 0
    for (let mail = 0; mail < 12; mail++)
      await transact(database.sql, (tx) => jobs.enqueue(tx, 'send-mail', { mail_id: `mail ${mail}` }))
    await jobs.work({
      ...recorder().handlers,
      'send-mail': async () => {
        most = Math.max(most, ++running)
        await released
        running--
        sent++
      },
    })
    await eventually(() => running === 4)
    // Whoever takes more than that has looked for some again by now.
    await Bun.sleep(1500)
    expect([running, most]).toEqual([4, 4])
    release()
    await eventually(() => sent === 12)
    expect(most).toBe(4)
  }, 60_000)

  test('a job whose process died is taken over by another one, once its heartbeats are missing (defect 8)', async () => {
    await enqueue('sync-devices', ALICE)
    // As a killed process leaves it behind.
    await database.sql`
      update latchkey_jobs.job set state = 'active', started_on = now() - interval '1 hour',
        heartbeat_on = now() - interval '1 hour' where name = 'sync-devices'`
    const other = createJobs({ uri: database.uri }, log, { lookAfter: 1 })
    const { ran, handlers } = recorder()
    await other.work(handlers)
    await eventually(async () => {
      const [job] =
        await database.sql`select state::text as state from latchkey_jobs.job where name = 'sync-devices'`
      return job?.state !== 'active'
    })
    await skipDelay()
    await eventually(() => ran.length > 0)
    expect(ran).toEqual(['sync alice'])
    await other.stop()
  }, 120_000)

  test('a stop waits for the job that runs', async () => {
    let ended = false
    let begun = false
    await jobs.work({
      ...recorder().handlers,
      'sync-devices': async () => {
        begun = true
        await Bun.sleep(300)
        ended = true
      },
    })
    await enqueue('sync-devices', ALICE)
    await eventually(() => begun)
    await jobs.stop()
    expect(ended).toBe(true)
    const [row] = await database.sql`select state::text from latchkey_jobs.job`
    expect(row?.state).toBe('completed')
  })

  test('a stop does not wait for ever: a job that hangs is handed back, and another process does it', async () => {
    const hurried = createJobs({ uri: database.uri }, log, { stopWithin: 500 })
    const { ran, handlers } = recorder()
    let release = (): void => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    let begun = false
    await hurried.work({
      ...handlers,
      'sync-devices': async () => {
        begun = true
        await hanging
      },
    })
    await enqueue('sync-devices', ALICE)
    await eventually(() => begun)
    await hurried.stop()
    const [row] =
      await database.sql`select state::text as state from latchkey_jobs.job where name = 'sync-devices'`
    expect(row?.state).toBe('retry')
    await skipDelay()
    await jobs.runDue(handlers)
    expect(ran).toEqual(['sync alice'])
    release()
  })
})

test('a job that is over is kept as long as retention.finished_jobs says, also in queues of before, and then removed', async () => {
  const periods = () =>
    database.sql`select distinct deletion_seconds as kept from latchkey_jobs.queue where name in ${database.sql(['clean-up', 'sync-devices'])}`
  await jobs.prepare()
  expect((await periods()).map(({ kept }) => kept)).toEqual([30 * 24 * 3600])
  const other = createJobs({ uri: database.uri }, log, { kept: { finished_jobs: 7200 }, lookAfter: 1 })
  try {
    await other.prepare()
    expect((await periods()).map(({ kept }) => kept)).toEqual([7200])
    const { handlers } = recorder()
    for (const userId of [ALICE, BOB]) {
      await transact(database.sql, (tx) => other.enqueue(tx, 'sync-devices', { user_id: userId }))
      await other.runDue(handlers)
    }
    const subjects = () =>
      database.sql`select data->>'user_id' as id from latchkey_jobs.job where state = 'completed' order by 1`
    expect(await subjects()).toHaveLength(2)
    await database.sql`
      update latchkey_jobs.job set completed_on = now() - case data->>'user_id' when ${ALICE} then interval '3 hours' else interval '1 hour' end
      where state = 'completed'`
    // The queue looks for them once a day.
    await database.sql`update latchkey_jobs.queue set maintain_on = null`
    await eventually(async () => (await subjects()).length < 2)
    expect((await subjects()).map(({ id }) => id)).toEqual([BOB])
  } finally {
    await other.stop()
    const again = createJobs({ uri: database.uri }, log)
    await again.prepare()
    await again.stop()
  }
}, 120_000)

describe('an outage of the database', () => {
  let way: DatabaseProxy
  let behind: ReturnType<typeof createJobs>
  let sql: Sql
  beforeEach(async () => {
    way = await proxy(database.uri)
    behind = createJobs({ uri: way.uri, connect_timeout: 20 }, log)
    sql = createSql({ uri: way.uri, connect_timeout: 20 }, { max: 2 })
  })
  afterEach(async () => {
    await way.restore()
    await behind.stop()
    await sql.end({ timeout: 1 })
    await way.close()
  })

  test('at the first start of the queue is not remembered: the next one works', async () => {
    const { ran, handlers } = recorder()
    await way.cut()
    await expect(behind.runDue(handlers)).rejects.toThrow()
    await expect(behind.work(handlers)).rejects.toThrow()
    await way.restore()
    await transact(sql, (tx) => behind.enqueue(tx, 'sync-devices', { user_id: ALICE }))
    await behind.runDue(handlers)
    expect(ran).toEqual(['sync alice'])
  })

  test('while workers poll is survived', async () => {
    const { ran, handlers } = recorder()
    await behind.work(handlers)
    await way.cut()
    await Bun.sleep(1100)
    await way.restore()
    await enqueue('sync-devices', ALICE)
    await eventually(() => ran.length === 1)
    expect(ran).toEqual(['sync alice'])
  })
})

test('processes that make the tables of the queue at the same moment all can use it', async () => {
  await jobs.prepare()
  const fresh = await createTestDatabase()
  const processes = Array.from({ length: 4 }, () => createJobs({ uri: fresh.uri }, log))
  const ids = [ALICE, BOB, '019aaaaa-0000-7000-8000-000000000003', '019aaaaa-0000-7000-8000-000000000004']
  await Promise.all(
    processes.map((process, index) =>
      process.enqueue(fresh.sql, 'sync-devices', { user_id: ids[index] ?? '' }),
    ),
  )
  const rows = await fresh.sql`select 1 from latchkey_jobs.job where name = 'sync-devices'`
  expect(rows).toHaveLength(4)
  await Promise.all(processes.map((process) => process.stop()))
  await fresh.drop()
})

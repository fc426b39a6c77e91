import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createServer } from 'node:net'
import { createSql, type Sql } from '../../sql/connect.ts'
import { isOutage } from '../../sql/outage.ts'
import { transact } from '../../src/lib/transact.ts'
import {
  createTestDatabase,
  type DatabaseProxy,
  proxy,
  type TestDatabase,
  terminateConnections,
} from '../support/database.ts'

let database: TestDatabase
let way: DatabaseProxy
const pools: Sql[] = []

beforeAll(async () => {
  database = await createTestDatabase({ migrated: false })
  way = await proxy(database.uri)
  await database.sql`create table note (id integer primary key)`
})

afterAll(async () => {
  await Promise.all(pools.map((sql) => sql.end({ timeout: 1 })))
  await way.close()
  await database.drop()
})

/** `patience` is in seconds: much, but where a test is about its end. */
function pool({ max = 2, uri = way.uri, patience = 20 } = {}): Sql {
  const sql = createSql({ uri, connect_timeout: patience }, { max, stallTimeout: patience })
  pools.push(sql)
  return sql
}

const outage = async (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(
    () => false,
    (error) => isOutage(error),
  )

describe('createSql: values', () => {
  test('lists go in and come back without a query for their types', async () => {
    const words = ['a', 'b"\\,{}', '', 'NULL', 'ü']
    const [row] = await database.sql`
      select ${words}::text[] as words, 'a' = any(${words}) as found, ${[]}::text[] as none, array[1, null] as numbers,
        array[[1, 2], [3, 4]] as nested, array['2026-01-01T00:00:00Z'::timestamptz] as times,
        array['{"a": [1]}'::jsonb] as documents, array['\\x0aff'::bytea] as bytes, array[true, false] as truths,
        ${['018f0000-0000-7000-8000-000000000000']}::uuid[] as ids`
    expect({ ...row }).toEqual({
      words,
      found: true,
      none: [],
      numbers: [1, null],
      nested: [
        [1, 2],
        [3, 4],
      ],
      times: [new Date('2026-01-01T00:00:00Z')],
      documents: [{ a: [1] }],
      bytes: [Buffer.from([10, 255])],
      truths: [true, false],
      ids: ['018f0000-0000-7000-8000-000000000000'],
    })
  })

  test('times are Date, int8 is text', async () => {
    const [row] =
      await database.sql`select '2026-01-01T00:00:00Z'::timestamptz as time, 9007199254740993::int8 as big`
    expect({ ...row }).toEqual({ time: new Date('2026-01-01T00:00:00Z'), big: '9007199254740993' })
  })

  test('pooler: transaction prepares nothing on the server', async () => {
    const named = async (sql: Sql) => {
      await sql`select ${1}::int as one`
      await sql`select ${1}::int as one`
      return sql`select name from pg_prepared_statements where statement like 'select $1::int%'`
    }
    expect((await named(pool({ max: 1 }))).length).toBe(1)
    const sql = createSql({ uri: way.uri, pooler: 'transaction' }, { max: 1 })
    pools.push(sql)
    expect((await named(sql)).length).toBe(0)
  })
})

describe('createSql: outages', () => {
  test('a connection that the server ends fails its query as an outage, and the next query succeeds', async () => {
    const sql = pool({ max: 1 })
    const query = outage(sql`select pg_sleep(50)`.execute())
    const sleeping = () =>
      database.sql`select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`
    while ((await sleeping()).length === 0) await Bun.sleep(20)
    await terminateConnections(database.name)
    expect(await query).toBe(true)
    expect([...(await sql`select 1 as one`)]).toEqual([{ one: 1 }])
  })

  test('idle connections that the server ended are replaced unseen', async () => {
    const sql = pool()
    await Promise.all([sql`select pg_sleep(0.05)`, sql`select pg_sleep(0.05)`])
    await terminateConnections(database.name)
    while (way.open() > 0) await Bun.sleep(20)
    // The end has arrived, and is seen in the next turns.
    for (let turn = 0; turn < 10; turn++) await Bun.sleep(5)
    const answers = await Promise.all([sql`select 1 as one`, sql`select 1 as one`, sql`select 1 as one`])
    expect(answers.map(([row]) => row?.one)).toEqual([1, 1, 1])
  })

  test('while the server is down every query fails as an outage, and after it they succeed', async () => {
    const sql = pool()
    await sql`select 1`
    await way.cut()
    const queries = Array.from({ length: 20 }, () => outage(sql`select 1`.execute()))
    expect(await Promise.all(queries)).toEqual(queries.map(() => true))
    expect(await outage(transact(sql, async (tx) => tx`select 1`))).toBe(true)
    await way.restore()
    expect([...(await sql`select 1 as one`)]).toEqual([{ one: 1 }])
  })

  test('a network that swallows everything fails queries in flight and new ones as outages', async () => {
    const sql = pool({ max: 1, patience: 1 })
    await sql`select 1`
    way.stall()
    expect(await outage(sql`select 1`.execute())).toBe(true)
    const queries = Array.from({ length: 5 }, () => outage(sql`select 1`.execute()))
    expect(await Promise.all(queries)).toEqual(queries.map(() => true))
    await way.restore()
    expect([...(await sql`select 1 as one`)]).toEqual([{ one: 1 }])
  })

  test('a balancer without servers, which takes connections and closes them, is an outage', async () => {
    const balancer = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve))
    const { port } = balancer.address() as { port: number }
    expect(await outage(pool({ uri: `postgresql://postgres@127.0.0.1:${port}/x` })`select 1`.execute())).toBe(
      true,
    )
    balancer.close()
  })

  test('of two hosts, the one that answers serves', async () => {
    const dead = createServer()
    await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve))
    const { port } = dead.address() as { port: number }
    await new Promise((resolve) => dead.close(resolve))
    const uri = database.uri.replace('@', `@127.0.0.1:${port},`)
    expect([...(await pool({ uri })`select 1 as one`)]).toEqual([{ one: 1 }])
  })
})

describe('isOutage', () => {
  const ours = Object.assign(new Error('x'), { code: '23505' })
  test('mistakes of ours and of the caller are none', () => {
    for (const error of [
      ours,
      new Error('x'),
      Object.assign(new Error('x'), { code: '42501' }),
      'ECONNREFUSED',
      undefined,
    ]) {
      expect(isOutage(error)).toBe(false)
    }
  })
  test('full disks, too many connections, shutdown, failover, deadlock, refused certificates and lost connections are, wrapped or not', () => {
    for (const code of [
      '53100',
      '53300',
      '57P01',
      '57P03',
      '25006',
      '40P01',
      '40001',
      '08006',
      '58030',
      'CONNECTION_CLOSED',
      'ECONNREFUSED',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'CERT_HAS_EXPIRED',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ]) {
      const error = Object.assign(new Error('x'), { code })
      expect(isOutage(error)).toBe(true)
      expect(isOutage(new Error('y', { cause: error }))).toBe(true)
      expect(isOutage(new AggregateError([ours, error]))).toBe(true)
    }
  })
})

describe('transact', () => {
  const ids = async () => (await database.sql`select id from note order by id`).map(({ id }) => id)

  test('gives what the function gives, and commits', async () => {
    const list = await transact(database.sql, async (tx) => {
      await tx`insert into note values (1)`
      return [1, 2]
    })
    expect(list).toEqual([1, 2])
    expect(await ids()).toEqual([1])
  })

  test('a thrown error rolls back', async () => {
    const attempt = transact(database.sql, async (tx) => {
      await tx`insert into note values (2)`
      throw new TypeError('no')
    })
    await expect(attempt).rejects.toThrow(TypeError)
    expect(await ids()).toEqual([1])
  })

  test('a returned error commits, and is thrown', async () => {
    const attempt = transact(database.sql, async (tx) => {
      await tx`insert into note values (3)`
      return new TypeError('committed')
    })
    await expect(attempt).rejects.toThrow(TypeError)
    expect(await ids()).toEqual([1, 3])
  })

  test('a transaction whose connection was lost writes nothing more, not even on the connection that replaces it', async () => {
    const sql = pool({ max: 1 })
    const { promise: late, resolve: goOn } = Promise.withResolvers<void>()
    const lateEnd = outage(late)
    const attempt = transact(sql, async (tx) => {
      await tx`insert into note values (4)`
      await terminateConnections(database.name)
      await Bun.sleep(50)
      const writing = (async () => {
        await sql`select 1`
        await tx`insert into note values (5)`
      })()
      goOn(writing)
      await writing
    })
    expect(await outage(attempt)).toBe(true)
    // The callback goes on alone; its statements are refused.
    expect(await lateEnd).toBe(true)
    expect(await ids()).toEqual([1, 3])
    expect([...(await sql`select 1 as one`)]).toEqual([{ one: 1 }])
  })
})

test('for a pooler one statement is sent at a time; transactions and many queries at once work as ever', async () => {
  const sql = createSql({ uri: database.uri, pooler: 'transaction' }, { max: 2 })
  pools.push(sql)
  const numbers = Array.from({ length: 12 }, (_, index) => index)
  const one = async (db: Pick<Sql, 'unsafe'>, number: number) =>
    (await db.unsafe<{ number: number }[]>('select $1::int as number', [number]))[0]?.number
  const [plain, inOne, inAnother] = await Promise.all([
    Promise.all(numbers.map((number) => one(sql, number))),
    transact(sql, (tx) => Promise.all(numbers.map((number) => one(tx, number)))),
    transact(sql, (tx) => Promise.all(numbers.map((number) => one(tx, number)))),
  ])
  expect([plain, inOne, inAnother]).toEqual([numbers, numbers, numbers])
})

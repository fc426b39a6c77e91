import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { createSql, type Sql } from '../../sql/connect.ts'
import { type Activity, createActivity } from '../../src/identity/activity.ts'
import { newId } from '../../src/lib/ulid.ts'
import { createMetrics } from '../../src/telemetry/instruments.ts'
import { type DatabaseProxy, proxy } from '../support/database.ts'
import { createWorld, seedSession, type World } from '../support/world.ts'

let world: World
let way: DatabaseProxy
let sql: Sql
let activity: Activity
let warnings: string[]

beforeAll(async () => {
  world = await createWorld()
  way = await proxy(world.harness.database.uri)
  sql = createSql({ uri: way.uri, connect_timeout: 20 }, { max: 2 })
})
afterAll(async () => {
  await sql.end({ timeout: 1 })
  await way.close()
  await world.close()
})
beforeEach(() => {
  warnings = []
  const ignore = () => {}
  activity = createActivity(
    sql,
    {
      debug: ignore,
      info: ignore,
      error: ignore,
      warn: (event) => void warnings.push(event),
    },
    createMetrics(),
  )
})

const session = async (): Promise<string> => (await seedSession(world)).sessionId
const minute = (count: number) => new Date(world.harness.clock.now().getTime() + count * 60_000)
const seen = async (id: string) => {
  const [row] = await world.harness.database.sql`
    select last_active_at as at, host(last_active_ip) as ip from latchkey.oauth_sessions where id = ${id}`
  return { at: row?.at, ip: row?.ip }
}

test('nothing is written before a flush, and then the latest time with its address', async () => {
  const id = await session()
  const before = await seen(id)
  activity.record('oauth', id, minute(1), '192.0.2.1')
  activity.record('oauth', id, minute(2), '192.0.2.2')
  expect(await seen(id)).toEqual(before)
  await activity.flush()
  expect(await seen(id)).toEqual({ at: minute(2), ip: '192.0.2.2' })
})

test('a use without an address (the homeserver asked) keeps the address that is known', async () => {
  const id = await session()
  activity.record('oauth', id, minute(1), '2001:db8::1')
  activity.record('oauth', id, minute(2))
  await activity.flush()
  expect(await seen(id)).toEqual({ at: minute(2), ip: '2001:db8::1' })
  activity.record('oauth', id, minute(3))
  await activity.flush()
  expect(await seen(id)).toEqual({ at: minute(3), ip: '2001:db8::1' })
})

test('an earlier time never replaces a later one, be it noted late or flushed late by another process', async () => {
  const id = await session()
  activity.record('oauth', id, minute(5), '192.0.2.1')
  activity.record('oauth', id, minute(4), '192.0.2.2')
  await activity.flush()
  activity.record('oauth', id, minute(3))
  await activity.flush()
  expect(await seen(id)).toEqual({ at: minute(5), ip: '192.0.2.1' })
})

test('a session that vanished does not keep the others from being written', async () => {
  const id = await session()
  activity.record('oauth', newId(minute(0), world.harness.deps.random), minute(1))
  activity.record('oauth', id, minute(1), '192.0.2.1')
  activity.record('browser', id, minute(9))
  await activity.flush()
  expect(await seen(id)).toEqual({ at: minute(1), ip: '192.0.2.1' })
  expect(warnings).toEqual([])
})

test('notes outlast an outage of the database, together with what came meanwhile', async () => {
  const [one, two] = [await session(), await session()]
  activity.record('oauth', one, minute(1), '192.0.2.1')
  activity.record('oauth', two, minute(1), '192.0.2.2')
  await way.cut()
  const flushing = activity.flush()
  activity.record('oauth', one, minute(2))
  await flushing
  expect(warnings).toEqual(['activity.flush_failed'])
  await way.restore()
  await activity.flush()
  expect(await seen(one)).toEqual({ at: minute(2), ip: '192.0.2.1' })
  expect(await seen(two)).toEqual({ at: minute(1), ip: '192.0.2.2' })
})

test('a note that cannot be written at all does not come back with every flush', async () => {
  const id = await session()
  activity.record('oauth', 'no-uuid', minute(1))
  await activity.flush()
  activity.record('oauth', id, minute(1))
  await activity.flush()
  expect(warnings).toEqual(['activity.flush_failed'])
  expect((await seen(id)).at).toEqual(minute(1))
})

test('more than a thousand sessions are written in one flush', async () => {
  const id = await session()
  for (let count = 0; count < 2500; count++)
    activity.record('oauth', newId(minute(0), world.harness.deps.random), minute(1))
  activity.record('oauth', id, minute(1))
  await activity.flush()
  expect((await seen(id)).at).toEqual(minute(1))
})

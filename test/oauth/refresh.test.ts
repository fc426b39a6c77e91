import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { provisionUser } from '../../src/identity/devices.ts'
import { deactivate, lock, unlock } from '../../src/identity/lifecycle.ts'
import { transact } from '../../src/lib/transact.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { terminateConnections } from '../support/database.ts'
import { basic, staticClient } from '../support/oauth.ts'
import {
  changeKey,
  createWorld,
  type Pair,
  type Process,
  present,
  readStored,
  recover,
  type Seed,
  seedSession,
  use,
  type World,
} from '../support/world.ts'

let world: World
let one: Process
let other: Process
let session: Seed
beforeAll(async () => {
  world = await createWorld()
  ;[one, other] = world.processes
})
afterAll(() => world.close())
beforeEach(async () => {
  session = await seedSession(world)
  world.harness.logged.length = 0
})

const INVALID = { status: 400, error: 'invalid_grant' }
const UNAVAILABLE = { status: 503, error: 'temporarily_unavailable', retryAfter: '5' }

async function refreshed(token: string, process = one): Promise<Pair> {
  const answer = await present(world, process, token)
  if (!answer.pair) throw new Error(`refresh: ${answer.status} ${answer.error}`)
  return answer.pair
}

describe('POST /oauth2/token, refresh_token: rotation', () => {
  test('the old access token is refused at once, the new one works (edge 17)', async () => {
    expect(await use(one, session.pair.access)).toBe(true)
    const next = await refreshed(session.pair.refresh)
    expect(await use(one, session.pair.access)).toBe(false)
    expect(await use(one, next.access)).toBe(true)
    expect(next).not.toEqual(session.pair)
  })

  test('the first use of the successor ends the life of the old token: by refresh, introspection or userinfo', async () => {
    const uses: ((next: Pair) => Promise<unknown>)[] = [
      (next) => refreshed(next.refresh),
      (next) => use(other, next.access),
      (next) => one.form('/oauth2/userinfo', {}, { authorization: `Bearer ${next.access}` }),
    ]
    for (const useOf of uses) {
      const { pair } = await seedSession(world)
      const next = await refreshed(pair.refresh)
      expect(await refreshed(pair.refresh)).toEqual(next)
      await useOf(next)
      expect(await present(world, other, pair.refresh)).toMatchObject(INVALID)
    }
  })

  test('asking about a refresh token is no use of it', async () => {
    const next = await refreshed(session.pair.refresh)
    expect(await use(one, next.refresh)).toBe(true)
    expect(await refreshed(session.pair.refresh)).toEqual(next)
  })

  test('six requests at once in two processes: one successor, which all get', async () => {
    for (let round = 0; round < 10; round++) {
      const { pair, sessionId } = await seedSession(world)
      const answers = await Promise.all(
        [one, other, one, other, one, other].map((process) => refreshed(pair.refresh, process)),
      )
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
      expect(await readStored(world, sessionId)).toEqual({
        finished: false,
        refresh: 2,
        liveRefresh: 1,
        liveAccess: 1,
      })
      expect(await use(other, answers[0]?.access ?? '')).toBe(true)
    }
  })

  test('a retry a month later gets the same pair, with an access token that lives from now', async () => {
    const lost = await refreshed(session.pair.refresh)
    world.harness.clock.advance(30 * 86_400)
    expect(await use(one, lost.access)).toBe(false)
    expect(await refreshed(session.pair.refresh, other)).toEqual(lost)
    expect(await use(one, lost.access)).toBe(true)
  })

  test('a successor that waits for a month works', async () => {
    const next = await refreshed(session.pair.refresh)
    world.harness.clock.advance(30 * 86_400)
    expect(await use(one, (await refreshed(next.refresh)).access)).toBe(true)
  })

  test('a client with a secret has the same rules', async () => {
    const { client_id, client_secret } = await staticClient(world.harness, ['https://static.example.com/cb'])
    await world.harness.database.sql`
      update latchkey.oauth_sessions set client_id = ${uuidFromUlid(client_id) ?? ''} where id = ${session.sessionId}`
    const send = async (process: Process, token: string): Promise<Pair | undefined> => {
      const form = { grant_type: 'refresh_token', refresh_token: token }
      const response = await process.form('/oauth2/token', form, basic(client_id, client_secret))
      const body = (await response.json()) as Record<string, string>
      return response.ok ? { access: body.access_token ?? '', refresh: body.refresh_token ?? '' } : undefined
    }
    // The secret was sealed by the harness; both processes derive the same key.
    const [first, second] = await Promise.all([
      send(one, session.pair.refresh),
      send(other, session.pair.refresh),
    ])
    expect(first).toBeDefined()
    expect(second).toEqual(first)
    // Without its secret the client is nobody.
    expect(await present({ ...world, clientId: client_id }, one, first?.refresh ?? '')).toMatchObject({
      status: 401,
      error: 'invalid_client',
    })
    expect(await send(one, first?.refresh ?? '')).toBeDefined()
    expect(await send(one, session.pair.refresh)).toBeUndefined()
  })

  test('a public client’s refresh is one exchange with the database', async () => {
    let pair = session.pair
    // Connections are opened, and the statement is prepared, once.
    for (let times = 0; times < 8; times++) pair = await refreshed(pair.refresh)
    const before = one.way.answers()
    await refreshed(pair.refresh)
    expect(one.way.answers() - before).toBe(1)
  })

  test('the refresh counts as activity of the session', async () => {
    world.harness.clock.advance(3600)
    await refreshed(session.pair.refresh)
    await one.deps.activity.flush()
    const [row] = await world.harness.database.sql`
      select last_active_at from latchkey.oauth_sessions where id = ${session.sessionId}`
    expect(row?.last_active_at).toEqual(world.harness.clock.now())
  })
})

describe('POST /oauth2/token, refresh_token: accounts', () => {
  test('a locked person is answered 503, which no app takes for a sign-out, nothing is consumed, and unlocking resumes it (decision 7)', async () => {
    await lock(world.harness.deps, session.userId)
    expect(await present(world, one, session.pair.refresh)).toMatchObject({
      status: 503,
      error: 'temporarily_unavailable',
      retryAfter: '60',
    })
    expect(await readStored(world, session.sessionId)).toMatchObject({ finished: false, refresh: 1 })
    await unlock(world.harness.deps, session.userId)
    expect(await use(one, (await refreshed(session.pair.refresh)).access)).toBe(true)
  })

  test('an answer that was lost before the lock comes again after it', async () => {
    const lost = await refreshed(session.pair.refresh)
    await lock(world.harness.deps, session.userId)
    expect(await use(one, lost.access)).toBe(false)
    expect((await present(world, one, session.pair.refresh)).status).toBe(503)
    await unlock(world.harness.deps, session.userId)
    expect(await refreshed(session.pair.refresh)).toEqual(lost)
  })

  test('a deactivated person is answered invalid_grant, locked or not', async () => {
    await lock(world.harness.deps, session.userId)
    await deactivate(world.harness.deps, session.userId, false)
    expect(await present(world, one, session.pair.refresh)).toMatchObject(INVALID)
  })
})

describe('POST /oauth2/token, refresh_token: reuse after the successor was used', () => {
  test('reject: invalid_grant and a warning, and the session goes on', async () => {
    const next = await refreshed(session.pair.refresh)
    await use(one, next.access)
    expect(await present(world, one, session.pair.refresh)).toMatchObject(INVALID)
    expect(world.harness.logged).toContainEqual({
      level: 'warn',
      event: 'security.refresh_token_reused',
      fields: { session_id: session.sessionId, user_id: session.userId, session_ended: false },
    })
    const text = JSON.stringify(world.harness.logged)
    for (const secret of [session.pair.refresh, next.refresh, next.access]) expect(text).not.toContain(secret)
    expect(await use(one, next.access)).toBe(true)
    await refreshed(next.refresh)
  })

  test('end_session: the session ends, and the homeserver is told once', async () => {
    const strict = await createWorld({ oauth: { refresh_token_reuse: 'end_session' } })
    const { deps, homeserver, runJobs } = strict.harness
    const seed = await seedSession(strict)
    await provisionUser(deps, seed.userId)
    const [at] = strict.processes
    const next = (await present(strict, at, seed.pair.refresh)).pair
    await use(at, next?.access ?? '')
    const replays = await Promise.all(
      strict.processes.map((process) => present(strict, process, seed.pair.refresh)),
    )
    expect(replays).toMatchObject([INVALID, INVALID])
    expect(await use(at, next?.access ?? '')).toBe(false)
    expect(await present(strict, at, next?.refresh ?? '')).toMatchObject(INVALID)
    await runJobs()
    expect(homeserver.callsOf('sync_devices').map(({ parameters }) => parameters.devices)).toEqual([[]])
    await strict.close()
  })

  test('end_session: a retry of an answer that was lost ends nothing', async () => {
    const strict = await createWorld({ oauth: { refresh_token_reuse: 'end_session' } })
    const seed = await seedSession(strict)
    const [at] = strict.processes
    const lost = (await present(strict, at, seed.pair.refresh)).pair
    expect((await present(strict, at, seed.pair.refresh)).pair).toEqual(lost)
    expect((await readStored(strict, seed.sessionId)).finished).toBe(false)
    await strict.close()
  })
})

describe('POST /oauth2/token, refresh_token: an outage of the database', () => {
  test('is 503 with Retry-After at any point of the request, and the retry gets one and the same chain', async () => {
    for (let answers = 0; answers < 6; answers++) {
      const seed = await seedSession(world)
      one.way.breakAfter(answers)
      const answer = await present(world, one, seed.pair.refresh)
      await recover(one)
      if (!answer.pair) expect(answer).toMatchObject(UNAVAILABLE)
      const retried = await refreshed(seed.pair.refresh, other)
      if (answer.pair) expect(retried).toEqual(answer.pair)
      expect(await readStored(world, seed.sessionId)).toMatchObject({ refresh: 2, liveRefresh: 1 })
      expect(await use(one, retried.access)).toBe(true)
    }
  })

  test('a failover, which ends every connection while requests are under way, signs nobody out', async () => {
    const people = await Promise.all(Array.from({ length: 12 }, () => seedSession(world)))
    const answers = Promise.all(
      people.map(({ pair }, at) => present(world, at % 2 ? one : other, pair.refresh)),
    )
    await terminateConnections(world.harness.database.name)
    for (const answer of await answers) {
      expect([200, 503]).toContain(answer.status)
    }
    await Promise.all(world.processes.map(recover))
    for (const { pair, sessionId } of people) {
      const next = await refreshed(pair.refresh)
      expect(await use(one, next.access)).toBe(true)
      expect(await readStored(world, sessionId)).toMatchObject({ refresh: 2, liveRefresh: 1 })
    }
  })

  test('introspection is 503 too, never a token that is said to be inactive', async () => {
    one.way.breakAfter(0)
    expect(await use(one, session.pair.access)).toBe('outage')
    await recover(one)
    expect(await use(one, session.pair.access)).toBe(true)
  })
})

describe('POST /oauth2/token, refresh_token: another secrets.encryption', () => {
  test('tokens that were given out before work on', async () => {
    const next = await refreshed(session.pair.refresh)
    await changeKey(world, 'a')
    expect(await use(one, next.access)).toBe(true)
    await refreshed(next.refresh)
  })

  test('a retry across the change gets a pair that works, the only one', async () => {
    const lost = await refreshed(session.pair.refresh)
    await changeKey(world, 'b')
    const again = await refreshed(session.pair.refresh)
    expect(again).not.toEqual(lost)
    expect(await present(world, one, lost.refresh)).toMatchObject(INVALID)
    expect(await use(one, lost.access)).toBe(false)
    expect(await use(one, again.access)).toBe(true)
    await refreshed(again.refresh)
    expect(await readStored(world, session.sessionId)).toMatchObject({ refresh: 3, liveRefresh: 1 })
  })

  test('a retry that meets the first use of the successor leaves the successor as it is', async () => {
    const next = await refreshed(session.pair.refresh)
    await changeKey(world, 'c')
    let retry: ReturnType<typeof present> | undefined
    await transact(world.harness.database.sql, async (tx) => {
      await tx`update latchkey.tokens set first_used_at = ${world.harness.clock.now()}
        where session_id = ${session.sessionId} and consumed_at is null`
      retry = present(world, one, session.pair.refresh)
      await waitUntilBlocked()
    })
    expect(await retry).toMatchObject(INVALID)
    expect(await use(one, next.access)).toBe(true)
    await refreshed(next.refresh)
  })
})

/** Until another connection waits for a row that this test holds. */
async function waitUntilBlocked(): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    const rows = await world.harness.database.sql`
      select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    if (rows.length > 0) return
    await Bun.sleep(10)
  }
  throw new Error('Nothing waits.')
}

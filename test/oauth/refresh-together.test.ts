import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { tokenDigest } from '../../src/crypto/tokens.ts'
import {
  createWorld,
  type Process,
  present,
  readStored,
  type Seed,
  seedSession,
  use,
  type World,
} from '../support/world.ts'

let world: World
let one: Process
beforeAll(async () => {
  world = await createWorld()
  one = world.processes[0]
})
afterAll(() => world.close())

const seedMany = (count: number): Promise<Seed[]> =>
  Promise.all(Array.from({ length: count }, () => seedSession(world)))

const presentAll = (seeds: readonly Seed[]) =>
  Promise.all(seeds.map(({ pair }) => present(world, one, pair.refresh)))

/** Every answer is the pair of its own session, which has that one and no other. */
async function expectOwnPairs(seeds: readonly Seed[], answers: Awaited<ReturnType<typeof presentAll>>) {
  for (const [at, { sessionId, pair }] of seeds.entries()) {
    const next = answers[at]?.pair
    expect(next).toBeDefined()
    expect(await readStored(world, sessionId)).toMatchObject({ refresh: 2, liveRefresh: 1, liveAccess: 1 })
    expect(await use(one, next?.access ?? '')).toBe(true)
    expect(await use(one, pair.access)).toBe(false)
    const [row] = await world.harness.database.sql`
      select session_id from latchkey.tokens where access_hash = ${tokenDigest(next?.access ?? '')}`
    expect(row?.session_id).toBe(sessionId)
  }
}

describe('POST /oauth2/token, refresh_token: many at the same time', () => {
  test('go together in few statements, and each gets the pair of its own session', async () => {
    const seeds = await seedMany(30)
    const before = one.way.answers()
    const answers = await presentAll(seeds)
    expect(one.way.answers() - before).toBeLessThan(seeds.length)
    await expectOwnPairs(seeds, answers)
  })

  test('one that is not good does not touch the others: of another client, unknown, ended', async () => {
    const seeds = await seedMany(12)
    const [foreign, ended] = seeds.splice(0, 2) as [Seed, Seed]
    await world.harness.database.sql`
      update latchkey.oauth_sessions set finished_at = ${world.harness.clock.now()} where id = ${ended.sessionId}`
    const stranger = { ...world, clientId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }
    const [answers, refused] = await Promise.all([
      presentAll(seeds),
      Promise.all([
        present(stranger, one, foreign.pair.refresh),
        present(world, one, ended.pair.refresh),
        present(world, one, `${foreign.pair.refresh.slice(0, 4)}${ended.pair.refresh.slice(4)}`),
      ]),
    ])
    await expectOwnPairs(seeds, answers)
    expect(refused.map(({ pair }) => pair)).toEqual([undefined, undefined, undefined])
    expect(await readStored(world, foreign.sessionId)).toMatchObject({ refresh: 1, liveRefresh: 1 })
    expect(await readStored(world, ended.sessionId)).toMatchObject({ refresh: 1 })
  })

  test('a token that is presented three times among others: one successor, which all three get', async () => {
    const seeds = await seedMany(8)
    const [first] = seeds as [Seed]
    const answers = await presentAll([...seeds, first, first])
    await expectOwnPairs(seeds, answers)
    expect(answers[8]).toEqual(answers[0])
    expect(answers[9]).toEqual(answers[0])
  })

  test('one that another transaction holds keeps nobody waiting but itself', async () => {
    const seeds = await seedMany(10)
    const [held, ...others] = seeds as [Seed, ...Seed[]]
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const { promise: holds, resolve: hold } = Promise.withResolvers<void>()
    const holder = world.harness.database.sql.begin(async (tx) => {
      await tx`select 1 from latchkey.tokens where session_id = ${held.sessionId} for update`
      hold()
      await released
    })
    await holds
    let answered = false
    const waiting = present(world, one, held.pair.refresh).then((answer) => {
      answered = true
      return answer
    })
    await expectOwnPairs(others, await presentAll(others))
    expect(answered).toBe(false)
    release()
    await holder
    await expectOwnPairs([held], [await waiting])
  })

  test('one whose successor the database refuses fails alone', async () => {
    const seeds = await seedMany(10)
    const [broken, ...others] = seeds as [Seed, ...Seed[]]
    const { sql } = world.harness.database
    await sql.unsafe(`
      create function latchkey.refuse() returns trigger language plpgsql as $$
        begin raise exception 'refused' using errcode = '40P01'; end $$;
      create trigger refuse before insert on latchkey.tokens for each row
        when (new.session_id = '${broken.sessionId}') execute function latchkey.refuse()`)
    try {
      const [answer, ...answers] = await presentAll([broken, ...others])
      await expectOwnPairs(others, answers)
      expect(answer?.status).toBe(503)
      expect(await readStored(world, broken.sessionId)).toMatchObject({ refresh: 1, liveRefresh: 1 })
    } finally {
      await sql.unsafe('drop trigger refuse on latchkey.tokens; drop function latchkey.refuse()')
    }
    await expectOwnPairs([broken], await presentAll([broken]))
  })
})

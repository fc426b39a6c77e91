import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createSql, type Sql } from '../../sql/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { THINGS } from './race-things.ts'

/** Races for each thing; `bun run races` has 10,000, between two processes. */
const TIMES = 20

let database: TestDatabase
let racers: Sql[]
beforeAll(async () => {
  database = await createTestDatabase()
  const uri = new URL(database.uri)
  // What hangs on a thing is not there.
  uri.searchParams.set('session_replication_role', 'replica')
  racers = [0, 1].map(() => createSql({ uri: uri.href }, { max: 4 }))
})
afterAll(async () => {
  await Promise.all(racers.map((racer) => racer.end({ timeout: 1 })))
  await database.drop()
})

test.each(THINGS.map((thing) => [thing.name, thing] as const))(
  'of two that use it up at once, one is first: %s',
  async (_, thing) => {
    const indices = Array.from({ length: TIMES }, (_, index) => index)
    const [seeder] = racers
    if (seeder && thing.seed) for (const index of indices) await thing.seed(seeder, index)
    const winners = await Promise.all(
      indices.map(async (index) => {
        const claims = racers.map((racer, number) => thing.claim(racer, index, number))
        return (await Promise.all(claims)).filter((rows) => rows.length > 0).length
      }),
    )
    expect(winners).toEqual(indices.map(() => 1))
  },
)

import { afterAll, beforeAll, expect, test } from 'bun:test'
import { findUserByName } from '../../../sql/users.ts'
import { lock } from '../../../src/identity/lifecycle.ts'
import { createHarness, type Harness } from '../../support/harness.ts'
import { signUp } from '../../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

/** Jobs that wait for another try, and how many of them only later. */
const waiting = async () => {
  const [row] = await harness.deps.sql<{ all: number; later: number }[]>`
    select count(*)::int as all, (count(*) filter (where start_after > now()))::int as later
    from latchkey_jobs.job where state = 'retry'`
  return row
}

test('when the homeserver answers again, what it has to be told waits no longer', async () => {
  const { deps, homeserver, clock } = harness
  await signUp(harness.browser(), 'ada')
  const [user] = await findUserByName(deps.sql, 'ada', 'ada')
  await harness.runJobs()
  homeserver.down = true
  await lock(deps, user?.id ?? '')
  await harness.runJobs()
  await deps.sql`update latchkey_jobs.job set start_after = now() + interval '1 hour' where state = 'retry'`
  const before = await waiting()
  expect(before?.all).toBeGreaterThan(0)
  expect(before?.later).toBe(before?.all)
  for (let call = 0; call < 3; call++) await deps.homeserver.queryUser('ada').catch(() => {})
  homeserver.down = false
  clock.advance(5)
  await deps.homeserver.queryUser('ada')
  for (let tries = 0; tries < 200 && (await waiting())?.later !== 0; tries++) await Bun.sleep(10)
  expect(await waiting()).toEqual({ all: before?.all ?? 0, later: 0 })
  await harness.runJobs()
  expect(await waiting()).toEqual({ all: 0, later: 0 })
})

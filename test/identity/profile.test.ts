import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { Unavailable } from '../../src/http/errors.ts'
import { provisionUser } from '../../src/identity/devices.ts'
import { deactivate } from '../../src/identity/lifecycle.ts'
import { allowCrossSigningReset, setDisplayName } from '../../src/identity/profile.ts'
import { createWorld, type Seed, seedSession, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

let person: Seed
let username: string
beforeEach(async () => {
  person = await seedSession(world)
  const [row] = await sql()`select username from latchkey.users where id = ${person.userId}`
  username = String(row?.username)
  await provisionUser(deps(), person.userId)
  homeserver().calls.length = 0
})

const sql = () => world.harness.database.sql
const deps = () => world.harness.deps
const homeserver = () => world.harness.homeserver
const nameHere = async () => {
  const [row] = await sql()`select display_name from latchkey.users where id = ${person.userId}`
  return row?.display_name
}
const NOBODY = '018f0000-0000-7000-8000-00000000ffff'

describe('setDisplayName', () => {
  test('the name is the same here and at the homeserver; null takes it away', async () => {
    expect(await setDisplayName(deps(), person.userId, 'Ada <b>')).toBe(true)
    expect(await nameHere()).toBe('Ada <b>')
    expect(homeserver().users.get(username)?.displayName).toBe('Ada <b>')
    expect(await setDisplayName(deps(), person.userId, null)).toBe(true)
    expect(await nameHere()).toBeNull()
    expect(homeserver().users.get(username)?.displayName).toBeUndefined()
  })

  test('the homeserver is down: an outage, and nothing was changed', async () => {
    homeserver().failOnce('set_displayname')
    await expect(setDisplayName(deps(), person.userId, 'Ada')).rejects.toThrow(Unavailable)
    expect(await nameHere()).toBeNull()
  })

  test('somebody whom the homeserver never heard of is announced first', async () => {
    await sql()`update latchkey.users set provisioned_at = null where id = ${person.userId}`
    homeserver().users.delete(username)
    await setDisplayName(deps(), person.userId, 'Ada')
    expect(homeserver().users.get(username)?.displayName).toBe('Ada')
  })

  test('a deactivated account and one that does not exist are left alone', async () => {
    await deactivate(deps(), person.userId, false)
    for (const id of [person.userId, NOBODY]) expect(await setDisplayName(deps(), id, 'Ada')).toBe(false)
    expect(await nameHere()).toBeNull()
    expect(homeserver().callsOf('set_displayname')).toEqual([])
  })
})

describe('allowCrossSigningReset', () => {
  test('the homeserver allows it for ten minutes, and the security log says so', async () => {
    const until = await allowCrossSigningReset(deps(), person.userId, { actor: 'self' })
    expect(until).toEqual(new Date(world.harness.clock.now().getTime() + 600_000))
    expect(homeserver().users.get(username)?.crossSigningResets).toBe(1)
    const events =
      await sql()`select kind, actor from latchkey.security_events where user_id = ${person.userId}`
    expect(events.map((event) => ({ ...event }))).toEqual([{ kind: 'keys_reset_allowed', actor: 'self' }])
  })

  test('the homeserver is down: an outage, and nothing is in the log', async () => {
    homeserver().failOnce('allow_cross_signing_reset')
    const call = allowCrossSigningReset(deps(), person.userId, { actor: 'self' })
    await expect(call).rejects.toThrow(Unavailable)
    const events = await sql()`select kind from latchkey.security_events where user_id = ${person.userId}`
    expect([...events]).toEqual([])
  })

  test('a deactivated account and one that does not exist get nothing', async () => {
    await deactivate(deps(), person.userId, false)
    for (const id of [person.userId, NOBODY])
      expect(await allowCrossSigningReset(deps(), id, { actor: 'admin' })).toBeUndefined()
    expect(homeserver().callsOf('allow_cross_signing_reset')).toEqual([])
  })
})

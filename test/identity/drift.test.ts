import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { provisionUser, syncDevices } from '../../src/identity/devices.ts'
import { canBeRepaired, checkDrift, type DriftFound, type DriftProgress } from '../../src/identity/drift.ts'
import { deactivate, lock } from '../../src/identity/lifecycle.ts'
import { transact } from '../../src/lib/transact.ts'
import { HomeserverError } from '../../src/matrix/homeserver/homeserver.ts'
import { createHarness } from '../support/harness.ts'
import {
  createWorld,
  type Process,
  present,
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

let person: Seed
let username: string
beforeEach(async () => {
  await world.harness.database.sql`delete from latchkey.user_leases`
  await world.harness.runJobs()
  await world.harness.database.sql`delete from latchkey.users where username like 'padding%'`
  person = await seedSession(world)
  const [row] = await sql()`select username from latchkey.users where id = ${person.userId}`
  username = String(row?.username)
  // Everybody of the tests before is as the homeserver has them.
  for (const { id } of await sql()`select id from latchkey.users where deactivated_at is null`) {
    await provisionUser(deps(), String(id))
    await syncDevices(deps(), String(id))
  }
  const before = new Date(world.harness.clock.now().getTime() - 3_600_000)
  await sql()`update latchkey.oauth_sessions set created_at = ${before}`
  homeserver().calls.length = 0
  world.harness.logged.length = 0
})

const sql = () => world.harness.database.sql
const deps = () => world.harness.deps
const homeserver = () => world.harness.homeserver
const there = () => {
  const user = homeserver().users.get(username)
  if (!user) throw new Error('the homeserver does not have the person')
  return user
}

async function allSteps(begin: DriftProgress): Promise<void> {
  for (let step = { done: false, progress: begin }; !step.done; )
    step = await checkDrift(deps(), step.progress)
}

/** The whole night, then the jobs that it made; gives what was found. */
async function night(): Promise<DriftFound> {
  await allSteps({})
  const entry = world.harness.logged.find(({ event }) => event === 'drift.checked')
  await world.harness.runJobs()
  return entry?.fields as unknown as DriftFound
}

const nothing = {
  unknown_there: 0,
  deactivated_there: 0,
  active_there: 0,
  devices_gone: 0,
  devices_restored: 0,
  failed: 0,
}

describe('the nightly check of the homeserver', () => {
  test('where nothing differs, nothing changes, and the log has the counts', async () => {
    const found = await night()
    expect(found).toMatchObject(nothing)
    expect(found.people).toBeGreaterThan(0)
    expect(homeserver().devicesOf(username)).toEqual(['AAAAAAAAAA'])
    expect(await use(one, person.pair.access)).toBe(true)
    expect(homeserver().callsOf('provision_user')).toEqual([])
  })

  test('a device that only the homeserver has goes', async () => {
    there().devices.set('GHOST', undefined)
    await night()
    expect(homeserver().devicesOf(username)).toEqual(['AAAAAAAAAA'])
  })

  test('a device that was deleted at the homeserver is gone here too: its session ends', async () => {
    there().devices.delete('AAAAAAAAAA')
    expect(await night()).toMatchObject({ ...nothing, devices_gone: 1 })
    expect(homeserver().devicesOf(username)).toEqual([])
    expect(await use(one, person.pair.access)).toBe(false)
    expect((await present(world, one, person.pair.refresh)).error).toBe('invalid_grant')
    const events = await sql()`
      select kind, actor, details from latchkey.security_events where user_id = ${person.userId}`
    expect(events.map((event) => ({ ...event }))).toEqual([
      { kind: 'session_ended', actor: 'system', details: { device_id: 'AAAAAAAAAA' } },
    ])
  })

  test('the device of a sign-in that is under way is not missed', async () => {
    await sql()`update latchkey.oauth_sessions set created_at = ${world.harness.clock.now()}
      where id = ${person.sessionId}`
    there().devices.delete('AAAAAAAAAA')
    expect(await night()).toMatchObject(nothing)
    expect(await use(one, person.pair.access)).toBe(true)
    expect(homeserver().devicesOf(username)).toEqual(['AAAAAAAAAA'])
  })

  test('when a homeserver lost its devices, only the first 50 sessions end; the other devices are made again', async () => {
    there().devices.delete('AAAAAAAAAA')
    const before = { ...nothing, people: 0, devices_gone: 50 }
    await allSteps({ found: before })
    expect(world.harness.logged.at(-1)?.fields).toMatchObject({ devices_gone: 50, devices_restored: 1 })
    expect(homeserver().devicesOf(username)).toEqual(['AAAAAAAAAA'])
    expect(await use(one, person.pair.access)).toBe(true)
  })

  test('somebody whom the homeserver lost is there again, with name and devices, and stays signed in', async () => {
    await sql()`update latchkey.users set display_name = 'Ada' where id = ${person.userId}`
    homeserver().users.delete(username)
    expect(await night()).toMatchObject({ ...nothing, unknown_there: 1 })
    expect(there()).toMatchObject({ displayName: 'Ada', deactivated: false })
    expect(homeserver().devicesOf(username)).toEqual(['AAAAAAAAAA'])
    expect(await use(one, person.pair.access)).toBe(true)
  })

  test('a lock is told again, since it cannot be asked', async () => {
    await lock(deps(), person.userId)
    await world.harness.runJobs()
    there().locked = false
    await night()
    expect(there().locked).toBe(true)
    await sql()`update latchkey.users set locked_at = null where id = ${person.userId}`
  })

  test('a deactivation that never reached the homeserver is made up for, with its erasure', async () => {
    await deactivate(deps(), person.userId, true)
    await sql()`delete from latchkey_jobs.job where name = 'deactivate-user'`
    expect(await night()).toMatchObject({ ...nothing, active_there: 1 })
    expect(there()).toMatchObject({ deactivated: true, erased: true })
  })

  test('an old deactivation is not looked after any more', async () => {
    await deactivate(deps(), person.userId, false)
    await world.harness.runJobs()
    there().deactivated = false
    world.harness.clock.advance(31 * 24 * 3600)
    expect(await night()).toMatchObject(nothing)
    expect(there().deactivated).toBe(false)
  })

  test('who was deactivated at the homeserver alone stays so: an operator is told', async () => {
    there().deactivated = true
    expect(await night()).toMatchObject({ ...nothing, deactivated_there: 1 })
    expect(there().deactivated).toBe(true)
    expect(await use(one, person.pair.access)).toBe(true)
    const warning = world.harness.logged.find(({ event }) => event === 'drift.deactivated_there')
    expect(warning).toMatchObject({ level: 'warn', fields: { user_id: person.userId } })
    there().deactivated = false
  })

  test('the homeserver is away: the step fails, ends nobody’s session, and is done again later', async () => {
    homeserver().down = true
    await expect(checkDrift(deps(), {})).rejects.toThrow(HomeserverError)
    homeserver().down = false
    expect(await use(one, person.pair.access)).toBe(true)
    world.harness.clock.advance(10)
    expect(await night()).toMatchObject(nothing)
  })

  test('one person who cannot be checked does not stop the others', async () => {
    // Somebody else holds the lease, and does not finish in time.
    const soon = new Date(world.harness.clock.now().getTime() + 3_600_000)
    await sql()`insert into latchkey.user_leases (user_id, generation, expires_at)
      values (${person.userId}, 1, ${soon}) on conflict (user_id) do update set expires_at = ${soon}`
    expect(await night()).toMatchObject({ ...nothing, failed: 1 })
  }, 180_000)

  test('goes on in steps of 100 people, by job, and counts over all of them', async () => {
    await sql()`
      insert into latchkey.users (id, username, username_folded, created_at, provisioned_at)
      select gen_random_uuid(), 'padding' || n, 'padding' || n, now(), now() from generate_series(1, 120) n`
    const monthAgo = new Date(world.harness.clock.now().getTime() - 30 * 24 * 3_600_000)
    const [count] = await sql()`select count(*)::int as people from latchkey.users
      where deactivated_at is null or deactivated_at > ${monthAgo}`
    const first = await checkDrift(deps(), {})
    expect(first).toMatchObject({
      done: false,
      progress: { after: expect.any(String), found: { people: 100 } },
    })
    world.harness.logged.length = 0
    await transact(deps().sql, (tx) => deps().jobs.enqueue(tx, 'check-drift', {}))
    await world.harness.runJobs()
    const entry = world.harness.logged.find(({ event }) => event === 'drift.checked')
    expect(entry?.fields).toMatchObject({ people: count?.people })
  }, 180_000)

  test('a step ends early when the homeserver is slow', async () => {
    const slow = {
      ...deps(),
      clock: {
        now: () => {
          world.harness.clock.advance(61)
          return world.harness.clock.now()
        },
      },
    }
    expect(await checkDrift(slow, {})).toMatchObject({ done: false, progress: { found: { people: 1 } } })
  })

  test('standalone and read-only: there is nothing to repair, and the job asks nothing', async () => {
    const alone = await createHarness({ config: { matrix: { kind: 'synapse_read_only' } } })
    expect(canBeRepaired(alone.deps.homeserver)).toBe(false)
    expect(canBeRepaired({ kind: 'standalone' })).toBe(false)
    await transact(alone.deps.sql, (tx) => alone.deps.jobs.enqueue(tx, 'check-drift', {}))
    await alone.runJobs()
    expect(alone.homeserver.calls).toEqual([])
    expect(alone.logged.filter(({ event }) => event.startsWith('drift'))).toEqual([])
    await alone.close()
  })
})

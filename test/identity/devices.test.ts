import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { insertOAuthSession } from '../../sql/oauth-sessions.ts'
import { insertEmail } from '../../sql/users.ts'
import { Unavailable } from '../../src/http/errors.ts'
import { addDevice, provisionUser, syncDevices, withUserLease } from '../../src/identity/devices.ts'
import { deactivate, lock } from '../../src/identity/lifecycle.ts'
import { endSession } from '../../src/identity/sessions.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { newId, uuidFromUlid } from '../../src/lib/ulid.ts'
import type { FakeHomeserver } from '../support/fake-homeserver.ts'
import { createGate, type Gate } from '../support/gate.ts'
import {
  createWorld,
  type Process,
  type Seed,
  seedSession,
  startProcess,
  stopProcess,
  type World,
} from '../support/world.ts'

let world: World
let homeserver: FakeHomeserver
let here: Process['deps']
/** Another process, whose calls to the homeserver can be held back. */
let there: Process
let upserts: Gate
let syncs: Gate
beforeAll(async () => {
  world = await createWorld()
  homeserver = world.harness.homeserver
  here = world.processes[0].deps
  upserts = createGate(homeserver.fetch, 'upsert_device')
  syncs = createGate(upserts.fetch, 'sync_devices')
  there = await startProcess(world.harness, syncs.fetch)
})
afterAll(async () => {
  await stopProcess(there)
  await world.close()
})

let person: Seed
let username: string
beforeEach(async () => {
  person = await seedSession(world)
  const [row] = await world.harness.database
    .sql`select username from latchkey.users where id = ${person.userId}`
  username = String(row?.username)
  await provisionUser(here, person.userId)
  homeserver.calls.length = 0
})

/** One more session of the person, with a device. */
async function addSession(deviceId: string | null): Promise<string> {
  const { clock, random, sql } = world.harness.deps
  const id = newId(clock.now(), random)
  await insertOAuthSession(sql, {
    id,
    clientId: uuidFromUlid(world.clientId) ?? '',
    userId: person.userId,
    browserSessionId: null,
    scope: ['openid'],
    deviceId,
    humanName: null,
    userAgent: null,
    ip: null,
    now: clock.now(),
  })
  return id
}

const sets = () => homeserver.callsOf('sync_devices').map(({ parameters }) => parameters.devices)
const user = () => ({ id: person.userId, username })

describe('syncDevices', () => {
  test('the homeserver is told the devices of every active session, once each, and no others (edge 38)', async () => {
    await addSession('BBBBBBBBBB')
    await addSession('BBBBBBBBBB')
    await addSession(null)
    await endSession(here, person.userId, await addSession('CCCCCCCCCC'))
    await syncDevices(here, person.userId)
    expect(sets()).toEqual([['AAAAAAAAAA', 'BBBBBBBBBB']])
  })

  test('nothing is sent for a deactivated person', async () => {
    await deactivate(here, person.userId, false)
    await syncDevices(here, person.userId)
    expect(sets()).toEqual([])
  })

  test('a device that is being made is in the set: its session is committed first, and the sync waits', async () => {
    await addSession('NEWDEVICE1')
    upserts.close()
    const adding = addDevice(there.deps, user(), { id: 'NEWDEVICE1', name: 'New' })
    await upserts.reached()
    const syncing = syncDevices(here, person.userId)
    await Bun.sleep(60)
    expect(sets()).toEqual([])
    upserts.open()
    await Promise.all([adding, syncing])
    expect(sets()).toEqual([['AAAAAAAAAA', 'NEWDEVICE1']])
    expect(homeserver.devicesOf(username)).toEqual(['AAAAAAAAAA', 'NEWDEVICE1'])
  })

  test('a device is not made while a set without it is on its way, but after it', async () => {
    syncs.close()
    const syncing = syncDevices(there.deps, person.userId)
    await syncs.reached()
    await addSession('NEWDEVICE2')
    const adding = addDevice(here, user(), { id: 'NEWDEVICE2', name: 'New' })
    await Bun.sleep(60)
    expect(homeserver.callsOf('upsert_device')).toEqual([])
    syncs.open()
    await Promise.all([syncing, adding])
    expect(sets()).toEqual([['AAAAAAAAAA']])
    expect(homeserver.devicesOf(username)).toEqual(['AAAAAAAAAA', 'NEWDEVICE2'])
  })

  test('many syncs and new devices at once, in two processes, end with every device there', async () => {
    const ids = Array.from({ length: 6 }, (_, index) => `MANYDEVICE${index}`)
    await Promise.all(
      ids.map(async (id, index) => {
        await addSession(id)
        const deps = index % 2 ? here : there.deps
        await Promise.all([addDevice(deps, user(), { id, name: id }), syncDevices(deps, person.userId)])
      }),
    )
    expect(homeserver.devicesOf(username)).toEqual(['AAAAAAAAAA', ...ids])
  })

  test('a failure of the homeserver is thrown, for the job to try again, and frees the lease', async () => {
    homeserver.failOnce('sync_devices')
    await expect(syncDevices(here, person.userId)).rejects.toThrow()
    await syncDevices(here, person.userId)
    expect(sets()).toHaveLength(2)
  })
})

describe('the lease of a user', () => {
  test('one holder at a time, in all processes', async () => {
    let holders = 0
    let most = 0
    await Promise.all(
      [here, there.deps, here, there.deps].map((deps) =>
        withUserLease(deps, person.userId, async () => {
          most = Math.max(most, ++holders)
          await Bun.sleep(15)
          holders--
        }),
      ),
    )
    expect(most).toBe(1)
  })

  test('a holder that died is followed after its lease ran out', async () => {
    const { promise: never } = Promise.withResolvers<void>()
    const { promise: held, resolve } = Promise.withResolvers<void>()
    void withUserLease(there.deps, person.userId, () => {
      resolve()
      return never
    })
    await held
    let taken = false
    const next = withUserLease(here, person.userId, async () => {
      taken = true
    })
    await Bun.sleep(50)
    expect(taken).toBe(false)
    world.harness.clock.advance(30)
    await next
    expect(taken).toBe(true)
  })

  test('a stale holder is told, and its late release leaves the next holder alone (decision 9)', async () => {
    const { promise: wait, resolve: goOn } = Promise.withResolvers<void>()
    const { promise: held, resolve } = Promise.withResolvers<void>()
    const stale = withUserLease(there.deps, person.userId, async (lease) => {
      resolve()
      await wait
      await lease.assertHeld()
    })
    await held
    world.harness.clock.advance(30)
    await withUserLease(here, person.userId, async (lease) => {
      goOn()
      await expect(stale).rejects.toThrow(Unavailable)
      await lease.assertHeld()
    })
  })

  test('a sync whose process slept through its lease sends nothing', async () => {
    let reads = 0
    // Wakes up with 9 seconds left, which is less than a call may take.
    const sleepy: Clock = {
      now: () => new Date(world.harness.clock.now().getTime() + (reads++ === 0 ? 0 : 21_000)),
    }
    await expect(syncDevices({ ...here, clock: sleepy }, person.userId)).rejects.toThrow(Unavailable)
    expect(sets()).toEqual([])
  })

  test('no transaction is open while the homeserver is asked', async () => {
    upserts.close()
    const adding = addDevice(there.deps, user(), { id: 'SLOWDEVICE', name: 'Slow' })
    await upserts.reached()
    const open = await world.harness.database.sql`
      select query from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`
    expect([...open]).toEqual([])
    upserts.open()
    await adding
  })

  test('people do not wait for each other', async () => {
    const other = await seedSession(world)
    await withUserLease(here, person.userId, () => withUserLease(here, other.userId, async () => {}))
  })
})

describe('provisionUser', () => {
  const provisions = () => homeserver.callsOf('provision_user').map(({ parameters }) => parameters)

  test('the complete list of addresses and the lock are always sent, an empty list too (edge 39)', async () => {
    await provisionUser(here, person.userId)
    const { clock, random, sql } = world.harness.deps
    for (const name of ['zoe', 'amy']) {
      const email = `${name}@${username}.example`
      await insertEmail(sql, {
        id: newId(clock.now(), random),
        userId: person.userId,
        email,
        folded: email,
        now: clock.now(),
      })
    }
    await lock(here, person.userId)
    await provisionUser(here, person.userId)
    expect(provisions()).toMatchObject([
      { localpart: username, set_emails: [], locked: false },
      { localpart: username, locked: true },
    ])
    const emails = provisions()[1]?.set_emails
    expect(Array.isArray(emails) && emails.toSorted()).toEqual([
      `amy@${username}.example`,
      `zoe@${username}.example`,
    ])
  })

  test('the display name is sent the first time only: people change it in their apps', async () => {
    const fresh = await seedSession(world)
    const { sql } = world.harness.database
    await sql`update latchkey.users set display_name = 'Zoë' where id = ${fresh.userId}`
    await provisionUser(here, fresh.userId)
    await provisionUser(here, fresh.userId)
    expect(provisions().map((sent) => sent.set_displayname)).toEqual(['Zoë', undefined])
  })

  test('a deactivated person is not provisioned again', async () => {
    await deactivate(here, person.userId, false)
    await provisionUser(here, person.userId)
    expect(provisions()).toEqual([])
  })

  test('a failure leaves the person unprovisioned', async () => {
    const fresh = await seedSession(world)
    homeserver.failOnce('provision_user')
    await expect(provisionUser(here, fresh.userId)).rejects.toThrow()
    const [row] = await world.harness.database
      .sql`select provisioned_at from latchkey.users where id = ${fresh.userId}`
    expect(row?.provisioned_at).toBeNull()
  })
})

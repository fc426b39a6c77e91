import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { markProvisioned } from '../../sql/provisioning.ts'
import { insertEmail, insertPassword } from '../../sql/users.ts'
import { Unavailable } from '../../src/http/errors.ts'
import { ensureProvisioned, provisionUser, syncDevices } from '../../src/identity/devices.ts'
import {
  createUser,
  deactivate,
  killSessions,
  lock,
  reactivate,
  unlock,
} from '../../src/identity/lifecycle.ts'
import { endSession, loadSession, startSession } from '../../src/identity/sessions.ts'
import { fold } from '../../src/lib/fold.ts'
import { transact } from '../../src/lib/transact.ts'
import { newId } from '../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../support/harness.ts'
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
let harness: Harness
let one: Process
beforeAll(async () => {
  world = await createWorld()
  harness = world.harness
  one = world.processes[0]
})
afterAll(() => world.close())

let person: Seed
let username: string
beforeEach(async () => {
  // What the test before left.
  await harness.runJobs()
  person = await seedSession(world)
  const [row] = await harness.database.sql`select username from latchkey.users where id = ${person.userId}`
  username = String(row?.username)
  await provisionUser(harness.deps, person.userId)
  await syncDevices(harness.deps, person.userId)
  homeserver().calls.length = 0
})

const homeserver = () => harness.homeserver
const account = (name: string) => ({ username: name, displayName: null, password: undefined, isAdmin: false })

async function signIn(): Promise<string> {
  const { secret } = await transact(harness.deps.sql, (tx) =>
    startSession(harness.deps, tx, person.userId, { ip: '192.0.2.1', userAgent: 'Test' }, 'password'),
  )
  return secret
}

const stateOf = async (sessionSecret: string): Promise<string> =>
  (
    await loadSession(
      harness.deps,
      { id: 'x', sessionSecret, knownSecret: undefined, cookies: [] },
      { ip: undefined, userAgent: undefined },
    )
  ).state

describe('createUser', () => {
  test('the homeserver hears of a new person', async () => {
    const user = await transact(harness.deps.sql, (tx) => createUser(harness.deps, tx, account('Newcomer')))
    expect(user).toMatchObject({ isAdmin: false })
    await harness.runJobs()
    expect(homeserver().users.has('Newcomer')).toBe(true)
  })

  test('a name that differs in case only is taken', async () => {
    await transact(harness.deps.sql, (tx) => createUser(harness.deps, tx, account('casey')))
    expect(
      await transact(harness.deps.sql, (tx) => createUser(harness.deps, tx, account('CASEY'))),
    ).toBeUndefined()
  })

  test('of several at once with one name, one is created', async () => {
    const users = await Promise.all(
      ['racer', 'Racer', 'RACER'].map((name) =>
        transact(harness.deps.sql, (tx) => createUser(harness.deps, tx, account(name))),
      ),
    )
    expect(users.filter((user) => user !== undefined)).toHaveLength(1)
  })

  test('what rolls back tells the homeserver nothing', async () => {
    const attempt = transact(harness.deps.sql, async (tx) => {
      await createUser(harness.deps, tx, account('ghost'))
      throw new TypeError('no')
    })
    await expect(attempt).rejects.toThrow(TypeError)
    await harness.runJobs()
    expect(homeserver().users.has('ghost')).toBe(false)
  })

  test('standalone: the first account is an admin, the second is not (decision 25)', async () => {
    const alone = await createHarness({ config: { matrix: { kind: 'standalone' } } })
    const create = (name: string) =>
      transact(alone.deps.sql, (tx) => createUser(alone.deps, tx, account(name)))
    expect(await create('first')).toMatchObject({ isAdmin: true })
    expect(await create('second')).toMatchObject({ isAdmin: false })
    await alone.close()
  })
})

describe('lock and unlock', () => {
  test('a locked person’s sessions rest, here and at the homeserver, and go on when unlocked', async () => {
    const secret = await signIn()
    await lock(harness.deps, person.userId)
    expect(await use(one, person.pair.access)).toBe(false)
    expect(await stateOf(secret)).toBe('locked')
    await harness.runJobs()
    expect(homeserver().users.get(username)?.locked).toBe(true)
    expect(homeserver().devicesOf(username)).toEqual(['AAAAAAAAAA'])
    // The devices after the person (reference 10.1).
    expect(homeserver().calls.map(({ name }) => name)).toEqual(['provision_user', 'sync_devices'])
    await unlock(harness.deps, person.userId)
    expect(await use(one, person.pair.access)).toBe(true)
    expect(await stateOf(secret)).toBe('active')
    await harness.runJobs()
    expect(homeserver().users.get(username)?.locked).toBe(false)
  })

  test('locking twice keeps the first time', async () => {
    const lockedAt = async () => {
      const [row] = await harness.database
        .sql`select locked_at from latchkey.users where id = ${person.userId}`
      return row?.locked_at
    }
    await lock(harness.deps, person.userId)
    const first = await lockedAt()
    harness.clock.advance(60)
    await lock(harness.deps, person.userId)
    expect(await lockedAt()).toEqual(first)
  })

  test('a lock and an unlock in quick succession end as the last one said, whatever failed between', async () => {
    await lock(harness.deps, person.userId)
    homeserver().failOnce('provision_user')
    await harness.runJobs()
    await unlock(harness.deps, person.userId)
    await harness.runJobs()
    await harness.database.sql`update latchkey_jobs.job set start_after = now() where state = 'retry'`
    await harness.runJobs()
    expect(homeserver().users.get(username)?.locked).toBe(false)
  })
})

describe('endSession and killSessions', () => {
  test('an ended app is refused and its device goes; a second end does nothing', async () => {
    expect(await endSession(harness.deps, person.userId, person.sessionId)).toBe(true)
    expect((await present(world, one, person.pair.refresh)).error).toBe('invalid_grant')
    await harness.runJobs()
    expect(homeserver().devicesOf(username)).toEqual([])
    expect(await endSession(harness.deps, person.userId, person.sessionId)).toBe(false)
  })

  test('nobody ends the session of somebody else', async () => {
    const stranger = await seedSession(world)
    expect(await endSession(harness.deps, stranger.userId, person.sessionId)).toBe(false)
    expect(await use(one, person.pair.access)).toBe(true)
  })

  test('killSessions ends browsers and apps, and tells the homeserver an empty set', async () => {
    const secret = await signIn()
    expect(await killSessions(harness.deps, person.userId)).toEqual({ browsers: 1, apps: 1, tokens: 0 })
    expect(await stateOf(secret)).toBe('ended')
    expect(await use(one, person.pair.access)).toBe(false)
    await harness.runJobs()
    expect(
      homeserver()
        .callsOf('sync_devices')
        .map(({ parameters }) => parameters.devices),
    ).toEqual([[]])
  })
})

describe('deactivate', () => {
  test('sessions end, password and addresses go, the homeserver erases if asked', async () => {
    const { clock, random, sql } = harness.deps
    const now = clock.now()
    const email = `${username}@example.org`
    await insertPassword(sql, { id: newId(now, random), userId: person.userId, version: 1, hash: 'x', now })
    await insertEmail(sql, { id: newId(now, random), userId: person.userId, email, folded: fold(email), now })
    const secret = await signIn()
    await deactivate(harness.deps, person.userId, true)
    expect(await stateOf(secret)).toBe('deactivated')
    expect((await present(world, one, person.pair.refresh)).error).toBe('invalid_grant')
    expect(await use(one, person.pair.access)).toBe(false)
    const [left] = await sql`
      select (select count(*)::int from latchkey.user_passwords where user_id = ${person.userId}) as passwords,
        (select count(*)::int from latchkey.user_emails where user_id = ${person.userId}) as emails`
    expect({ ...left }).toEqual({ passwords: 0, emails: 0 })
    await harness.runJobs()
    expect(
      homeserver()
        .callsOf('delete_user')
        .map(({ parameters }) => parameters),
    ).toEqual([{ localpart: username, erase: true }])
  })

  test('the name stays taken', async () => {
    await deactivate(harness.deps, person.userId, false)
    expect(
      await transact(harness.deps.sql, (tx) => createUser(harness.deps, tx, account(username))),
    ).toBeUndefined()
  })

  test('a homeserver that is down is asked again; one that never heard of the person is content', async () => {
    homeserver().failOnce('delete_user')
    await deactivate(harness.deps, person.userId, false)
    await harness.runJobs()
    expect(homeserver().users.get(username)?.deactivated).toBe(false)
    homeserver().users.delete(username)
    await harness.database.sql`update latchkey_jobs.job set start_after = now() where state = 'retry'`
    await harness.runJobs()
    const [job] = await harness.database.sql`
      select state::text from latchkey_jobs.job where name = 'deactivate-user' order by created_on desc limit 1`
    expect(job?.state).toBe('completed')
  })

  test('a job that comes late does not take away an account that was brought back', async () => {
    await deactivate(harness.deps, person.userId, false)
    await harness.database.sql`update latchkey.users set deactivated_at = null where id = ${person.userId}`
    await harness.runJobs()
    expect(homeserver().callsOf('delete_user')).toEqual([])
  })
})

describe('reactivate', () => {
  const deactivated = async () => {
    await deactivate(harness.deps, person.userId, true)
    await harness.runJobs()
    expect(homeserver().users.get(username)?.deactivated).toBe(true)
    homeserver().calls.length = 0
  }
  const row = async () => {
    const [found] = await harness.database
      .sql`select deactivated_at, erased_at, reactivated_at, provisioned_at, locked_at
        from latchkey.users where id = ${person.userId}`
    return found
  }

  test('the account is active again here and at the homeserver, by its name; sessions stay ended', async () => {
    await harness.database.sql`update latchkey.users set display_name = 'Ada' where id = ${person.userId}`
    await deactivated()
    expect(await reactivate(harness.deps, person.userId)).toBe(true)
    await harness.runJobs()
    expect(homeserver().users.get(username)).toMatchObject({ deactivated: false, displayName: 'Ada' })
    expect(homeserver().calls.map(({ name }) => name)).toEqual([
      'reactivate_user',
      'provision_user',
      'sync_devices',
    ])
    expect(homeserver().devicesOf(username)).toEqual([])
    expect(await use(one, person.pair.access)).toBe(false)
    expect(await row()).toMatchObject({ deactivated_at: null, erased_at: null, reactivated_at: null })
  })

  test('a lock stays', async () => {
    await lock(harness.deps, person.userId)
    await deactivated()
    await reactivate(harness.deps, person.userId)
    await harness.runJobs()
    expect(homeserver().users.get(username)).toMatchObject({ deactivated: false, locked: true })
    expect((await row())?.locked_at).not.toBeNull()
  })

  test('the homeserver is down: it is told later, and nobody gets a code before', async () => {
    await deactivated()
    await reactivate(harness.deps, person.userId)
    homeserver().failOnce('reactivate_user')
    await expect(ensureProvisioned(harness.deps, person.userId)).rejects.toThrow(Unavailable)
    expect(homeserver().users.get(username)?.deactivated).toBe(true)
    await harness.runJobs()
    expect(homeserver().users.get(username)?.deactivated).toBe(false)
  })

  test('deactivated again before the homeserver heard of it: the account stays deactivated everywhere', async () => {
    await deactivated()
    await reactivate(harness.deps, person.userId)
    await deactivate(harness.deps, person.userId, false)
    await harness.runJobs()
    expect(homeserver().callsOf('reactivate_user')).toEqual([])
    expect(homeserver().users.get(username)?.deactivated).toBe(true)
    expect(await row()).toMatchObject({ reactivated_at: null })
  })

  test('brought back before the homeserver heard of the deactivation: nothing is taken away there', async () => {
    await deactivate(harness.deps, person.userId, true)
    await reactivate(harness.deps, person.userId)
    await harness.runJobs()
    expect(homeserver().callsOf('delete_user')).toEqual([])
  })

  test('brought back a second time while the homeserver is told: it is told again', async () => {
    await deactivated()
    await reactivate(harness.deps, person.userId)
    const first = harness.clock.now()
    harness.clock.advance(1)
    await reactivate(harness.deps, person.userId)
    await markProvisioned(harness.deps.sql, person.userId, harness.clock.now(), first)
    expect((await row())?.reactivated_at).not.toBeNull()
    await harness.runJobs()
    expect(homeserver().callsOf('reactivate_user')).toHaveLength(1)
    expect((await row())?.reactivated_at).toBeNull()
  })

  test('an account that only the homeserver deactivated is repaired; an unknown one is told apart', async () => {
    Object.assign(homeserver().users.get(username) ?? {}, { deactivated: true })
    expect(await reactivate(harness.deps, person.userId)).toBe(true)
    await harness.runJobs()
    expect(homeserver().users.get(username)?.deactivated).toBe(false)
    expect(await reactivate(harness.deps, '018f0000-0000-7000-8000-00000000ffff')).toBe(false)
  })

  test('one that the homeserver never heard of is made', async () => {
    await deactivated()
    homeserver().users.delete(username)
    await reactivate(harness.deps, person.userId)
    await harness.runJobs()
    expect(homeserver().users.get(username)).toMatchObject({ deactivated: false })
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { insertEmail, insertPassword } from '../../sql/users.ts'
import { provisionUser, syncDevices } from '../../src/identity/devices.ts'
import { createUser, deactivate, killSessions, lock, unlock } from '../../src/identity/lifecycle.ts'
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
    startSession(harness.deps, tx, person.userId, { ip: '192.0.2.1', userAgent: 'Test' }),
  )
  return secret
}

const stateOf = async (sessionSecret: string): Promise<string> =>
  (
    await loadSession(
      harness.deps,
      { id: 'x', sessionSecret, cookies: [] },
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

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { listPersonalSessions } from '../../sql/personal-sessions.ts'
import { parseToken, tokenDigest } from '../../src/crypto/tokens.ts'
import { provisionUser, syncDevices } from '../../src/identity/devices.ts'
import { deactivate, killSessions, lock, unlock } from '../../src/identity/lifecycle.ts'
import { regeneratePersonalToken, revokePersonalSession } from '../../src/identity/personal-tokens.ts'
import { ulidFromUuid, uuidFromUlid } from '../../src/lib/ulid.ts'
import { createGate } from '../support/gate.ts'
import type { Harness } from '../support/harness.ts'
import { API_SCOPE, deviceScope, introspect } from '../support/oauth.ts'
import { makePersonalToken, PERSONAL_DEVICE, personalToken } from '../support/personal.ts'
import {
  createWorld,
  type Seed,
  seedSession,
  startProcess,
  stopProcess,
  type World,
} from '../support/world.ts'

let world: World
let harness: Harness
beforeAll(async () => {
  world = await createWorld()
  harness = world.harness
})
afterAll(() => world.close())

let person: Seed
let username: string
beforeEach(async () => {
  await harness.runJobs()
  ;({ person, username } = await somebody())
  harness.homeserver.calls.length = 0
})

async function somebody(): Promise<{ person: Seed; username: string }> {
  const seed = await seedSession(world)
  const [row] = await harness.database.sql`select username from latchkey.users where id = ${seed.userId}`
  await provisionUser(harness.deps, seed.userId)
  await syncDevices(harness.deps, seed.userId)
  return { person: seed, username: String(row?.username) }
}

const isActive = async (token: string): Promise<unknown> => (await introspect(harness, token)).active
const devices = () => harness.homeserver.devicesOf(username)

describe('createPersonalToken', () => {
  test('the device is at the homeserver before the token is given out; the token is stored as a digest', async () => {
    const { token, session } = await personalToken(harness, person.userId)
    expect(parseToken(token)).toBe('mpt')
    expect(session).toMatchObject({
      human_name: 'A script',
      device_id: PERSONAL_DEVICE,
      username,
      expires_at: null,
    })
    expect(harness.homeserver.callsOf('upsert_device')).toMatchObject([
      {
        parameters: { localpart: username, device_id: PERSONAL_DEVICE, display_name: 'A script' },
        status: 201,
      },
    ])
    const [row] = await harness.database.sql`
      select token_hash, t::text as text from latchkey.personal_tokens t where session_id = ${session.id}`
    expect(Buffer.from(row?.token_hash)).toEqual(Buffer.from(tokenDigest(token)))
    expect(row?.text).not.toContain(token)
    expect(JSON.stringify(harness.logged)).not.toContain(token)
  })

  test('a person grants no more than an app of theirs could get', async () => {
    const refused = [
      ['urn:synapse:admin:*', API_SCOPE],
      ['urn:mas:admin'],
      ['urn:example:unknown'],
      [API_SCOPE, deviceScope('SHORT')],
      [deviceScope('ABCDEFGHIJ')],
      [API_SCOPE, deviceScope('ABCDEFGHIJ'), deviceScope('BBCDEFGHIJ')],
    ]
    for (const scope of refused)
      expect((await makePersonalToken(harness, person.userId, { scope })).result).toBe('refused')
    expect(await listPersonalSessions(harness.deps.sql, person.userId, 10)).toHaveLength(0)
    await harness.database.sql`update latchkey.users set is_admin = true where id = ${person.userId}`
    const scope = ['urn:mas:admin', 'urn:synapse:admin:*', API_SCOPE]
    expect((await makePersonalToken(harness, person.userId, { scope })).result).toBe('issued')
  })

  test('an administrator decides about scopes alone, but not for two devices (reference section 6)', async () => {
    const given = (...scope: string[]) =>
      makePersonalToken(harness, person.userId, { maker: 'admin', scope }).then(({ result }) => result)
    expect(await given('urn:synapse:admin:*', API_SCOPE, deviceScope('BOT'))).toBe('issued')
    expect(await given(API_SCOPE, deviceScope('BOT1'), deviceScope('BOT2'))).toBe('refused')
    expect(await given(API_SCOPE, deviceScope(''))).toBe('refused')
    expect(await given(deviceScope('BOT'))).toBe('refused')
  })

  test('a homeserver that is down: 503, nothing usable is left, and the next try works', async () => {
    harness.homeserver.failOnce('upsert_device')
    await expect(makePersonalToken(harness, person.userId)).rejects.toThrow('homeserver')
    expect(await listPersonalSessions(harness.deps.sql, person.userId, 10)).toHaveLength(0)
    await harness.runJobs()
    expect(devices()).toEqual(['AAAAAAAAAA'])
    const { token } = await personalToken(harness, person.userId)
    expect(await isActive(token)).toBe(true)
  })

  test('a deactivated account gets none', async () => {
    await deactivate(harness.deps, person.userId, false)
    expect(await makePersonalToken(harness, person.userId, { maker: 'admin' })).toEqual({
      result: 'deactivated',
    })
  })

  test('all sessions end while a token is made: there is no token, and its device goes', async () => {
    const upserts = createGate(harness.homeserver.fetch, 'upsert_device')
    const there = await startProcess(harness, upserts.fetch)
    try {
      upserts.close()
      const making = makePersonalToken(there, person.userId)
      await upserts.reached()
      await killSessions(harness.deps, person.userId)
      upserts.open()
      expect(await making).toEqual({ result: 'ended' })
      await harness.runJobs()
      expect(devices()).toEqual([])
    } finally {
      await stopProcess(there)
    }
  })
})

describe('POST /oauth2/introspect of a personal token (reference 5.3)', () => {
  test('a token without an end: the scope in both spellings, no client_id, no exp, no device_id', async () => {
    const { token, session } = await personalToken(harness, person.userId)
    const issued = Math.round(harness.clock.now().getTime() / 1000)
    const [row] = await harness.database.sql`
      select id::text as id from latchkey.personal_tokens where session_id = ${session.id}`
    expect(await introspect(harness, token)).toEqual({
      active: true,
      scope: [
        'urn:matrix:client:api:*',
        `urn:matrix:client:device:${PERSONAL_DEVICE}`,
        'urn:matrix:org.matrix.msc2967.client:api:*',
        `urn:matrix:org.matrix.msc2967.client:device:${PERSONAL_DEVICE}`,
      ].join(' '),
      username,
      sub: ulidFromUuid(person.userId),
      token_type: 'access_token',
      iat: issued,
      nbf: issued,
      jti: ulidFromUuid(String(row?.id)),
    })
  })

  test('a token with an end tells it, and stops there', async () => {
    const { token } = await personalToken(harness, person.userId, { expiresIn: 600 })
    const answer = await introspect(harness, token)
    expect(answer.expires_in).toBe(600)
    expect(answer.exp).toBe(Math.round(harness.clock.now().getTime() / 1000) + 600)
    harness.clock.advance(599)
    expect(await isActive(token)).toBe(true)
    harness.clock.advance(1)
    expect(await introspect(harness, token)).toEqual({ active: false })
  })

  test('a client that made it is its client_id; the actor is its username and sub', async () => {
    const clientId = uuidFromUlid(world.clientId) ?? ''
    const { token } = await personalToken(harness, person.userId, { maker: 'admin', owner: { clientId } })
    expect(await introspect(harness, token)).toMatchObject({ client_id: world.clientId, username })
  })

  test('a hint of another kind is answered as inactive', async () => {
    const { token } = await personalToken(harness, person.userId)
    const response = await harness.form(
      '/oauth2/introspect',
      { token, token_type_hint: 'refresh_token' },
      { authorization: 'Bearer test-shared-secret-of-matrix' },
    )
    expect(await response.json()).toEqual({ active: false })
  })

  test('a locked actor or owner switches it off; unlocked it works again', async () => {
    const { person: owner } = await somebody()
    const { token } = await personalToken(harness, person.userId, {
      maker: 'admin',
      owner: { userId: owner.userId },
    })
    for (const userId of [person.userId, owner.userId]) {
      await lock(harness.deps, userId)
      expect(await isActive(token)).toBe(false)
      await unlock(harness.deps, userId)
      expect(await isActive(token)).toBe(true)
    }
  })

  test('being introspected counts as a use of the session', async () => {
    const { token, session } = await personalToken(harness, person.userId)
    expect(session.last_active_at).toBeNull()
    await introspect(harness, token)
    await harness.deps.activity.flush()
    const [after] = await listPersonalSessions(harness.deps.sql, person.userId, 1)
    expect(after?.last_active_at).toEqual(harness.clock.now())
    expect(after?.last_active_ip).toBeNull()
  })

  test('userinfo and revocation do not take it (reference 1.2)', async () => {
    const { token } = await personalToken(harness, person.userId, { scope: ['openid', API_SCOPE] })
    const userinfo = await harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${token}` },
    })
    expect(userinfo.status).toBe(401)
    const revoked = await harness.form('/oauth2/revoke', { client_id: world.clientId, token })
    expect(revoked.status).toBe(200)
    expect(await isActive(token)).toBe(true)
  })
})

describe('regenerate and revoke', () => {
  test('a new token replaces the old one at once; the device stays', async () => {
    const { token, session } = await personalToken(harness, person.userId, { expiresIn: 60 })
    const next = await regeneratePersonalToken(harness.deps, session.id, 3600)
    expect(await isActive(token)).toBe(false)
    expect(await introspect(harness, next?.token ?? '')).toMatchObject({ active: true, expires_in: 3600 })
    await harness.runJobs()
    expect(devices()).toEqual(['AAAAAAAAAA', PERSONAL_DEVICE])
  })

  test('many at once leave one token that works', async () => {
    const { session } = await personalToken(harness, person.userId)
    const issued = await Promise.all(
      Array.from({ length: 8 }, () => regeneratePersonalToken(harness.deps, session.id, undefined)),
    )
    const active = await Promise.all(issued.map((one) => isActive(one?.token ?? '')))
    expect(active.filter(Boolean)).toHaveLength(1)
  })

  test('a revoked one is off with its device, once, and gets no other token', async () => {
    const { token, session } = await personalToken(harness, person.userId)
    expect(devices()).toContain(PERSONAL_DEVICE)
    expect(await revokePersonalSession(harness.deps, session.id)).toBe(true)
    expect(await isActive(token)).toBe(false)
    await harness.runJobs()
    expect(devices()).toEqual(['AAAAAAAAAA'])
    expect(await revokePersonalSession(harness.deps, session.id)).toBe(false)
    expect(await regeneratePersonalToken(harness.deps, session.id, undefined)).toBeUndefined()
  })

  test('revoked and regenerated at the same instant: no token works', async () => {
    for (let round = 0; round < 5; round++) {
      const { session } = await personalToken(harness, person.userId)
      const [next] = await Promise.all([
        regeneratePersonalToken(harness.deps, session.id, undefined),
        revokePersonalSession(harness.deps, session.id),
      ])
      expect(await isActive(next?.token ?? 'none')).toBe(false)
    }
  })
})

describe('the set of devices and the life of an account', () => {
  test('a full sync keeps the device of a personal token', async () => {
    await personalToken(harness, person.userId)
    await syncDevices(harness.deps, person.userId)
    expect(devices()).toEqual(['AAAAAAAAAA', PERSONAL_DEVICE])
  })

  test('killSessions ends tokens that act as the person, not those made for others', async () => {
    const { person: bot } = await somebody()
    const own = await personalToken(harness, person.userId)
    const forBot = await personalToken(harness, bot.userId, {
      maker: 'admin',
      owner: { userId: person.userId },
    })
    expect(await killSessions(harness.deps, person.userId)).toEqual({ browsers: 0, apps: 1, tokens: 1 })
    expect(await isActive(own.token)).toBe(false)
    expect(await isActive(forBot.token)).toBe(true)
    await harness.runJobs()
    expect(devices()).toEqual([])
  })

  test('deactivating the owner ends them too, with their devices', async () => {
    const { person: bot, username: botName } = await somebody()
    const { token } = await personalToken(harness, bot.userId, {
      maker: 'admin',
      owner: { userId: person.userId },
    })
    await deactivate(harness.deps, person.userId, false)
    expect(await isActive(token)).toBe(false)
    await harness.runJobs()
    expect(harness.homeserver.devicesOf(botName)).toEqual(['AAAAAAAAAA'])
    // Also when the account comes back.
    await harness.database.sql`update latchkey.users set deactivated_at = null where id = ${person.userId}`
    expect(await isActive(token)).toBe(false)
  })
})

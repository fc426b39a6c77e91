import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { insertCompatSession } from '../../../sql/compat-sessions.ts'
import { insertCompatTokens } from '../../../sql/compat-tokens.ts'
import { newToken, tokenDigest } from '../../../src/crypto/tokens.ts'
import { deactivate, killSessions, lock, unlock } from '../../../src/identity/lifecycle.ts'
import { base64url } from '../../../src/lib/base64url.ts'
import { newId, ulidFromUuid } from '../../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../../support/harness.ts'
import {
  createPerson,
  introspectLegacy,
  type LegacyTokens,
  legacyLogin,
  logoutLegacy,
  postMatrix,
  refreshLegacy,
} from '../../support/legacy.ts'
import { introspect, registerClient, signedInApp } from '../../support/oauth.ts'

let harness: Harness
let alice: string
beforeAll(async () => {
  harness = await createHarness()
  alice = await createPerson(harness, 'alice')
})
afterAll(() => harness.close())

const API = 'urn:matrix:client:api:* urn:matrix:org.matrix.msc2967.client:api:*'
const UNKNOWN = { errcode: 'M_UNKNOWN_TOKEN', error: 'The access token is not valid.' }
const INVALID = { errcode: 'M_UNKNOWN_TOKEN', error: 'Invalid refresh token' }
const INACTIVE = { active: false }

/** A session as an import makes it: any device or none, any form of token. */
async function imported(
  fields: { deviceId?: string | null; admin?: boolean; access?: string; refresh?: string } = {},
): Promise<{ id: string; access: string; refresh: string }> {
  const { clock, random, sql } = harness.deps
  const now = clock.now()
  const id = newId(now, random)
  const tokens = {
    access: fields.access ?? newToken('mct', random),
    refresh: fields.refresh ?? newToken('mcr', random),
  }
  const { deviceId = null } = fields
  const nothing = { humanName: null, browserSessionId: null, synapseAdmin: false, userAgent: null, ip: null }
  await insertCompatSession(sql, { id, userId: alice, deviceId, ...nothing, now })
  if (fields.admin) await sql`update latchkey.compat_sessions set synapse_admin = true where id = ${id}`
  await insertCompatTokens(sql, {
    sessionId: id,
    id: newId(now, random),
    accessHash: tokenDigest(tokens.access),
    refreshHash: tokenDigest(tokens.refresh),
    expiresAt: null,
  })
  return { id, ...tokens }
}

/** A macaroon as Synapse made them: a packet of 4 length characters and its text. */
const macaroon = (seed: string): string => {
  const packet = `location example.test${seed}\n`
  return base64url(
    new TextEncoder().encode((packet.length + 4).toString(16).padStart(4, '0') + packet + 'x'.repeat(40)),
  )
}

describe('POST /oauth2/introspect with a token of a legacy client (reference 5.3)', () => {
  test('tells Synapse the device in a member of its own', async () => {
    const { access_token: token } = await legacyLogin(harness, 'alice', { device_id: 'ABCDEFGHIJ' })
    const issued = Math.round(harness.clock.now().getTime() / 1000)
    expect(await introspectLegacy(harness, token)).toEqual({
      active: true,
      scope: API,
      client_id: 'legacy',
      username: 'alice',
      sub: ulidFromUuid(alice),
      token_type: 'access_token',
      iat: issued,
      nbf: issued,
      device_id: 'ABCDEFGHIJ',
    })
  })

  test('tells others the device in the scope too, in both spellings', async () => {
    const { access_token: token } = await legacyLogin(harness, 'alice', { device_id: 'SHORT' })
    const answer = await introspectLegacy(harness, token, { deviceHeader: false })
    expect(answer).toMatchObject({ active: true, device_id: 'SHORT' })
    expect(String(answer.scope).split(' ')).toEqual([
      'urn:matrix:client:api:*',
      'urn:matrix:client:device:SHORT',
      'urn:matrix:org.matrix.msc2967.client:api:*',
      'urn:matrix:org.matrix.msc2967.client:device:SHORT',
    ])
  })

  test('answers inactive for a device that is no scope, unless the caller reads the member (edge 49)', async () => {
    const { access_token: token } = await legacyLogin(harness, 'alice', { device_id: 'Küche 1' })
    expect(await introspectLegacy(harness, token, { deviceHeader: false })).toEqual(INACTIVE)
    expect(await introspectLegacy(harness, token)).toMatchObject({ active: true, device_id: 'Küche 1' })
  })

  test('an expiring token tells when, in whole numbers (edge 34); a refresh token does not', async () => {
    const tokens = await legacyLogin(harness, 'alice', { refresh_token: true })
    harness.clock.advance(10)
    const access = await introspectLegacy(harness, tokens.access_token)
    expect(access.expires_in).toBe(290)
    expect(access.exp).toBe(Math.round(harness.clock.now().getTime() / 1000) + 290)
    const refresh = await introspectLegacy(harness, tokens.refresh_token ?? '', { hint: 'refresh_token' })
    expect(refresh).toMatchObject({ active: true, token_type: 'refresh_token', client_id: 'legacy' })
    expect(Object.keys(refresh)).not.toContain('expires_in')
    expect(Object.keys(refresh)).not.toContain('jti')
  })

  test('a hint that names the other kind, or none that there is, makes it inactive', async () => {
    const tokens = await legacyLogin(harness, 'alice', { refresh_token: true })
    expect(await introspectLegacy(harness, tokens.access_token, { hint: 'refresh_token' })).toEqual(INACTIVE)
    expect(await introspectLegacy(harness, tokens.refresh_token ?? '')).toEqual(INACTIVE)
    expect(await introspectLegacy(harness, tokens.access_token, { hint: 'pat' })).toEqual(INACTIVE)
  })

  test.each([
    ['syt_', 'syt_YWxpY2U_abcdefghijklmnopqrst_1a2b3c', 'access_token'],
    ['a macaroon', macaroon('1'), 'access_token'],
  ] as const)('takes what Synapse issued before a migration: %s (edge 14)', async (_what, access, hint) => {
    await imported({ access })
    expect(await introspectLegacy(harness, access, { hint })).toMatchObject({
      active: true,
      username: 'alice',
    })
    expect(await introspectLegacy(harness, `${access}x`, { hint })).toEqual(INACTIVE)
  })

  test('takes syr_ as a refresh token', async () => {
    await imported({ refresh: 'syr_YWxpY2U_abcdefghijklmnopqrst_1a2b3c' })
    const token = 'syr_YWxpY2U_abcdefghijklmnopqrst_1a2b3c'
    expect((await introspectLegacy(harness, token, { hint: 'refresh_token' })).active).toBe(true)
    const { status, body } = await refreshLegacy(harness, token)
    expect([status, String(body.access_token).slice(0, 4)]).toEqual([200, 'mct_'])
  })

  test('a session without a device has no device_id; that of an administrator has the admin scope', async () => {
    const { access } = await imported({ admin: true })
    const answer = await introspectLegacy(harness, access, { deviceHeader: false })
    expect(answer.scope).toBe(
      `urn:matrix:client:api:* urn:matrix:org.matrix.msc2967.client:api:* urn:synapse:admin:*`,
    )
    expect(Object.keys(answer)).not.toContain('device_id')
  })

  test('is inactive while the person is locked and for good when they are deactivated', async () => {
    const id = await createPerson(harness, 'brief')
    const { access_token: token } = await legacyLogin(harness, 'brief')
    await lock(harness.deps, id)
    expect(await introspectLegacy(harness, token)).toEqual(INACTIVE)
    await unlock(harness.deps, id)
    expect((await introspectLegacy(harness, token)).active).toBe(true)
    await deactivate(harness.deps, id, false)
    expect(await introspectLegacy(harness, token)).toEqual(INACTIVE)
  })
})

describe('POST /_matrix/client/{version}/refresh', () => {
  const begin = () => legacyLogin(harness, 'alice', { refresh_token: true })
  const refreshed = async (token: string): Promise<LegacyTokens> => {
    const { status, body } = await refreshLegacy(harness, token)
    if (status !== 200) throw new Error(`refresh: ${status}`)
    return body as unknown as LegacyTokens
  }

  test('gives a new pair and ends the old access token (reference 9.4)', async () => {
    const old = await begin()
    const { status, body, headers } = await refreshLegacy(harness, old.refresh_token ?? '')
    expect(status).toBe(200)
    expect(Object.keys(body).sort()).toEqual(['access_token', 'expires_in_ms', 'refresh_token'])
    expect(body.expires_in_ms).toBe(300_000)
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(await introspectLegacy(harness, old.access_token)).toEqual(INACTIVE)
    expect(await introspectLegacy(harness, String(body.access_token))).toMatchObject({
      active: true,
      device_id: old.device_id,
    })
  })

  test('gives the same pair again until it is used, so that a lost answer signs nobody out (decision 8)', async () => {
    const old = await begin()
    const first = await refreshed(old.refresh_token ?? '')
    harness.clock.advance(3600)
    const second = await refreshed(old.refresh_token ?? '')
    expect(second).toEqual(first)
    expect((await introspectLegacy(harness, second.access_token)).active).toBe(true)
    const third = await refreshLegacy(harness, old.refresh_token ?? '')
    expect([third.status, third.body]).toEqual([401, INVALID])
    // The warning is the operator's; the session goes on.
    expect(harness.logged.some(({ event }) => event === 'security.refresh_token_reused')).toBe(true)
    expect((await introspectLegacy(harness, second.access_token)).active).toBe(true)
  })

  test('gives two requests at once the same pair', async () => {
    const old = await begin()
    const [one, two] = await Promise.all([
      refreshed(old.refresh_token ?? ''),
      refreshed(old.refresh_token ?? ''),
    ])
    expect(one).toEqual(two)
  })

  test('ends the session of a token that comes back, where the operator wants that', async () => {
    const strict = await createHarness({
      beside: harness,
      config: { oauth: { refresh_token_reuse: 'end_session' } },
    })
    const old = await begin()
    const next = await refreshed(old.refresh_token ?? '')
    await introspectLegacy(harness, next.access_token)
    expect((await refreshLegacy(strict, old.refresh_token ?? '')).status).toBe(401)
    expect(await introspectLegacy(harness, next.access_token)).toEqual(INACTIVE)
    await strict.close()
  })

  test.each<[string, () => Promise<string>]>([
    ['nonsense', async () => 'nonsense'],
    ['an unknown token', async () => newToken('mcr', harness.deps.random)],
    ['an access token', async () => (await begin()).access_token],
    ['a refresh token of OAuth', async () => (await signedInApp(harness, 'oauther')).tokens.refresh_token],
    [
      'the token of an ended session',
      async () => {
        const tokens = await begin()
        await logoutLegacy(harness, tokens.access_token)
        return tokens.refresh_token ?? ''
      },
    ],
  ])('refuses %s with 401 M_UNKNOWN_TOKEN', async (_what, tokenOf) => {
    const { status, body } = await refreshLegacy(harness, await tokenOf())
    expect([status, body]).toEqual([401, INVALID])
  })

  test.each<[string, unknown, number, string]>([
    ['no token', {}, 400, 'M_BAD_JSON'],
    ['a token that is no text', { refresh_token: 5 }, 400, 'M_BAD_JSON'],
    ['no JSON', 'refresh_token=x', 400, 'M_NOT_JSON'],
    ['too large a body', { refresh_token: 'x'.repeat(300_000) }, 413, 'M_TOO_LARGE'],
  ])('refuses %s in JSON too', async (_what, body, status, errcode) => {
    const answer = await postMatrix(harness, 'refresh', body)
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
  })

  test('refuses somebody who is locked without ending anything (edge 21, decision 7)', async () => {
    const id = await createPerson(harness, 'rests')
    const tokens = await legacyLogin(harness, 'rests', { refresh_token: true })
    await lock(harness.deps, id)
    const { status, body } = await refreshLegacy(harness, tokens.refresh_token ?? '')
    expect([status, body]).toEqual([
      401,
      { errcode: 'M_USER_LOCKED', error: 'This account is locked.', soft_logout: true },
    ])
    await unlock(harness.deps, id)
    expect((await refreshLegacy(harness, tokens.refresh_token ?? '')).status).toBe(200)
    await deactivate(harness.deps, id, false)
    expect((await refreshLegacy(harness, tokens.refresh_token ?? '')).body).toEqual(INVALID)
  })

  test('the first refresh of a token that never expired ends it', async () => {
    const { access, refresh } = await imported()
    const next = await refreshed(refresh)
    expect(await introspectLegacy(harness, access)).toEqual(INACTIVE)
    expect((await introspectLegacy(harness, next.access_token)).expires_in).toBe(300)
  })
})

describe('POST /_matrix/client/{version}/logout (reference 9.5)', () => {
  test('ends the session, and the homeserver forgets the device', async () => {
    const tokens = await legacyLogin(harness, 'alice', { device_id: 'LEAVING' })
    const { status, body } = await logoutLegacy(harness, tokens.access_token)
    expect([status, body]).toEqual([200, {}])
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('alice')).not.toContain('LEAVING')
    expect(await introspectLegacy(harness, tokens.access_token)).toEqual(INACTIVE)
    const again = await logoutLegacy(harness, tokens.access_token)
    expect([again.status, again.body]).toEqual([401, UNKNOWN])
  })

  test('needs a token', async () => {
    const { status, body } = await postMatrix(harness, 'logout')
    expect([status, body.errcode]).toEqual([401, 'M_MISSING_TOKEN'])
    const other = await postMatrix(harness, 'logout', {}, { authorization: 'Basic YTpi' })
    expect([other.status, other.body.errcode]).toEqual([401, 'M_MISSING_TOKEN'])
  })

  test('takes the token from the query, as the oldest clients send it', async () => {
    const tokens = await legacyLogin(harness, 'alice')
    const { status } = await postMatrix(harness, `logout?access_token=${tokens.access_token}`)
    expect(status).toBe(200)
    expect(await introspectLegacy(harness, tokens.access_token)).toEqual(INACTIVE)
  })

  test('takes no body, or any', async () => {
    const tokens = await legacyLogin(harness, 'alice')
    const response = await harness.request('/_matrix/client/r0/logout', {
      method: 'POST',
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    expect(response.status).toBe(200)
  })

  test.each<[string, () => Promise<string>]>([
    ['an unknown token', async () => newToken('mct', harness.deps.random)],
    [
      'a refresh token',
      async () => (await legacyLogin(harness, 'alice', { refresh_token: true })).refresh_token ?? '',
    ],
    [
      'an expired token',
      async () => {
        const tokens = await legacyLogin(harness, 'alice', { refresh_token: true })
        harness.clock.advance(301)
        return tokens.access_token
      },
    ],
  ])('refuses %s', async (_what, tokenOf) => {
    const { status, body } = await logoutLegacy(harness, await tokenOf())
    expect([status, body]).toEqual([401, UNKNOWN])
  })

  test('is not for OAuth tokens, which are revoked', async () => {
    const { tokens } = await signedInApp(harness, 'modern')
    const { status, body } = await logoutLegacy(harness, tokens.access_token)
    expect([status, body]).toEqual([401, UNKNOWN])
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
  })

  test('lets somebody who is locked sign out', async () => {
    const id = await createPerson(harness, 'leaves')
    const tokens = await legacyLogin(harness, 'leaves')
    await lock(harness.deps, id)
    expect((await logoutLegacy(harness, tokens.access_token)).status).toBe(200)
    await unlock(harness.deps, id)
    expect(await introspectLegacy(harness, tokens.access_token)).toEqual(INACTIVE)
  })
})

describe('POST /_matrix/client/{version}/logout/all (edge 51)', () => {
  const FLAG = { 'io.element.only_compat_is_fine': true }

  test('is unknown without the flag, and ends nothing', async () => {
    const tokens = await legacyLogin(harness, 'alice')
    for (const body of [{}, '', '{', { 'io.element.only_compat_is_fine': 'true' }, 'null']) {
      const answer = await logoutLegacy(harness, tokens.access_token, 'logout/all', body)
      expect([answer.status, answer.body]).toEqual([
        404,
        { errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' },
      ])
    }
    expect((await introspectLegacy(harness, tokens.access_token)).active).toBe(true)
  })

  test('with it ends every session of legacy clients, and none of OAuth', async () => {
    const { tokens: app } = await signedInApp(harness, 'both')
    const one = await legacyLogin(harness, 'both')
    const two = await legacyLogin(harness, 'both')
    const { status, body } = await logoutLegacy(harness, one.access_token, 'logout/all', FLAG)
    expect([status, body]).toEqual([200, {}])
    for (const { access_token: token } of [one, two])
      expect(await introspectLegacy(harness, token)).toEqual(INACTIVE)
    expect((await introspect(harness, app.access_token)).active).toBe(true)
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('both')).toEqual(['AAAAAAAAAA'])
  })

  test('says what is wrong with the token before anything else', async () => {
    const missing = await postMatrix(harness, 'logout/all', FLAG)
    expect([missing.status, missing.body.errcode]).toEqual([401, 'M_MISSING_TOKEN'])
    const unknown = await logoutLegacy(harness, newToken('mct', harness.deps.random), 'logout/all')
    expect([unknown.status, unknown.body]).toEqual([401, UNKNOWN])
    const id = await createPerson(harness, 'held')
    const tokens = await legacyLogin(harness, 'held')
    await lock(harness.deps, id)
    const locked = await logoutLegacy(harness, tokens.access_token, 'logout/all', FLAG)
    expect([locked.status, locked.body.errcode]).toEqual([401, 'M_USER_LOCKED'])
  })
})

describe('sessions of legacy clients elsewhere', () => {
  test('POST /oauth2/revoke has no effect on their tokens, as in MAS: no OAuth client owns them', async () => {
    const { client_id: clientId } = await registerClient(harness)
    const tokens = await legacyLogin(harness, 'alice', { refresh_token: true })
    for (const token of [tokens.access_token, tokens.refresh_token ?? '']) {
      const response = await harness.form('/oauth2/revoke', { client_id: clientId, token })
      expect([response.status, await response.text()]).toEqual([200, ''])
    }
    expect((await introspectLegacy(harness, tokens.access_token)).active).toBe(true)
  })

  test('their tokens are no OAuth tokens: userinfo takes none', async () => {
    const { access_token: token } = await legacyLogin(harness, 'alice')
    const response = await harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${token}` },
    })
    expect(response.status).toBe(401)
  })

  test('killing all sessions of a person ends and counts them', async () => {
    const id = await createPerson(harness, 'killed')
    const tokens = await legacyLogin(harness, 'killed')
    expect(await killSessions(harness.deps, id)).toEqual({ browsers: 0, apps: 1, tokens: 0 })
    expect(await introspectLegacy(harness, tokens.access_token)).toEqual(INACTIVE)
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('killed')).toEqual([])
  })

  test('the account page lists and ends them', async () => {
    const { browser } = await signedInApp(harness, 'lists')
    const tokens = await legacyLogin(harness, 'lists', {
      device_id: 'OLDPHONE',
      initial_device_display_name: 'Old phone',
    })
    expect((await browser.open('/account/')).text).toContain('1 browser and 2 apps')
    const page = await browser.open('/account/?action=org.matrix.device_delete&device_id=OLDPHONE')
    expect(page.text).toContain('Old phone')
    const done = await page.submit({}, { action: '/end', button: ['confirm', 'yes'] })
    expect(done.url.pathname).toBe('/account/sessions')
    expect(done.text).not.toContain('Old phone')
    expect(await introspectLegacy(harness, tokens.access_token)).toEqual(INACTIVE)
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('lists')).toEqual(['AAAAAAAAAA'])
  })

  test('when and from where they were seen is written by the minute', async () => {
    const tokens = await legacyLogin(harness, 'alice', { device_id: 'SEEN' })
    harness.clock.advance(120)
    await introspectLegacy(harness, tokens.access_token)
    await harness.deps.activity.flush()
    const [row] = await harness.database.sql<{ last_active_at: Date }[]>`
      select last_active_at from latchkey.compat_sessions where user_id = ${alice} and device_id = 'SEEN'`
    expect(row?.last_active_at).toEqual(harness.clock.now())
  })
})

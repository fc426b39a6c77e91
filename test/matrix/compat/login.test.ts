import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { insertEmail } from '../../../sql/users.ts'
import { createApp } from '../../../src/app.ts'
import { parseToken } from '../../../src/crypto/tokens.ts'
import { deactivate, lock, setPassword, unlock } from '../../../src/identity/lifecycle.ts'
import { newId } from '../../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../../support/harness.ts'
import {
  createPerson,
  introspectLegacy,
  legacyLogin,
  passwordLogin,
  postMatrix,
} from '../../support/legacy.ts'
import { deviceScope, introspect, MATRIX_SCOPE, PASSWORD, signedInApp } from '../../support/oauth.ts'

let harness: Harness
let alice: string
beforeAll(async () => {
  harness = await createHarness({ config: { account: { login_with_email_allowed: true } } })
  alice = await createPerson(harness, 'alice')
  await insertEmail(harness.deps.sql, {
    id: newId(harness.clock.now(), harness.deps.random),
    userId: alice,
    email: 'Alice@Mail.example',
    folded: 'alice@mail.example',
    now: harness.clock.now(),
  })
})
afterAll(() => harness.close())
beforeEach(() => {
  harness.logged.length = 0
})

const FORBIDDEN = { errcode: 'M_FORBIDDEN', error: 'Invalid username/password' }
const login = (body: unknown, headers: Record<string, string> = {}) =>
  postMatrix(harness, 'login', body, headers)
const withPassword = (fields: object) => ({ type: 'm.login.password', password: PASSWORD, ...fields })

describe('GET /_matrix/client/{version}/login', () => {
  test.each(['v3', 'r0', 'v1', 'unstable'])('offers passwords under %s (reference 9.1)', async (version) => {
    const response = await harness.request(`/_matrix/client/${version}/login`)
    expect(response.status).toBe(200)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    const { flows } = (await response.json()) as { flows: { type: string }[] }
    expect(flows[0]).toEqual({ type: 'm.login.password' })
  })

  test('offers no password where passwords are off, and takes none', async () => {
    const off = await createHarness({ beside: harness, config: { passwords: { enabled: false } } })
    const response = await off.request('/_matrix/client/v3/login')
    expect(await response.text()).not.toContain('m.login.password')
    const answer = await postMatrix(off, 'login', passwordLogin('alice'))
    expect([answer.status, answer.body]).toEqual([400, { errcode: 'M_UNKNOWN', error: 'Invalid login type' }])
    await off.close()
  })
})

describe('POST /_matrix/client/{version}/login with a password', () => {
  test('gives a token that never expires, and a device of ten characters (reference 9.2)', async () => {
    const { status, body, headers } = await login(passwordLogin('alice'))
    expect(status).toBe(200)
    expect(Object.keys(body).sort()).toEqual(['access_token', 'device_id', 'user_id'])
    expect(body.user_id).toBe('@alice:example.test')
    expect(body.device_id).toMatch(/^[0-9A-Za-z]{10}$/)
    expect(parseToken(String(body.access_token))).toBe('mct')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(harness.homeserver.devicesOf('alice')).toContain(String(body.device_id))
    harness.clock.advance(365 * 24 * 3600)
    expect((await introspectLegacy(harness, String(body.access_token))).active).toBe(true)
  })

  test('gives an expiring token and a refresh token to who asks for one', async () => {
    const tokens = await legacyLogin(harness, 'alice', { refresh_token: true })
    expect(tokens.expires_in_ms).toBe(300_000)
    expect(parseToken(tokens.refresh_token ?? '')).toBe('mcr')
    harness.clock.advance(299)
    expect((await introspectLegacy(harness, tokens.access_token)).active).toBe(true)
    harness.clock.advance(2)
    expect(await introspectLegacy(harness, tokens.access_token)).toEqual({ active: false })
  })

  test('keeps the device id and the name that the client wants, and tells the homeserver both', async () => {
    const wanted = { device_id: 'Küchen gerät/1', initial_device_display_name: 'Kitchen' }
    const tokens = await legacyLogin(harness, 'alice', wanted)
    expect(tokens.device_id).toBe('Küchen gerät/1')
    expect(harness.homeserver.users.get('alice')?.devices.get('Küchen gerät/1')).toBe('Kitchen')
  })

  test('cuts a name that Synapse would refuse', async () => {
    const { device_id } = await legacyLogin(harness, 'alice', {
      initial_device_display_name: '🦊'.repeat(200),
    })
    expect(harness.homeserver.users.get('alice')?.devices.get(device_id)).toBe('🦊'.repeat(100))
  })

  test.each([
    ['the localpart', { identifier: { type: 'm.id.user', user: 'alice' } }],
    ['the localpart in capitals', { identifier: { type: 'm.id.user', user: 'ALICE' } }],
    ['the full id', { identifier: { type: 'm.id.user', user: '@alice:example.test' } }],
    ['a top-level user', { user: 'alice' }],
    [
      'a top-level user beside an identifier',
      { user: 'alice', identifier: { type: 'm.id.user', user: 'x' } },
    ],
    ['an address as the user', { identifier: { type: 'm.id.user', user: 'alice@mail.example' } }],
    [
      'an address as third-party identifier',
      { identifier: { type: 'm.id.thirdparty', medium: 'email', address: 'ALICE@mail.example' } },
    ],
    ['a top-level address', { medium: 'email', address: 'alice@mail.example' }],
    ['members that are null', { user: 'alice', identifier: null, device_id: null, refresh_token: null }],
    ['an empty device id', { user: 'alice', device_id: '' }],
  ])('takes %s', async (_what, fields) => {
    const { status, body } = await login(withPassword(fields))
    expect([status, body.user_id]).toEqual([200, '@alice:example.test'])
    expect(String(body.device_id).length).toBeGreaterThan(0)
  })

  test.each([
    ['no content type', undefined],
    ['JSON with a charset', 'application/json; charset=utf-8'],
    ['a JSON type of another name', 'application/vnd.example+json'],
  ])('takes a body with %s', async (_what, type) => {
    const response = await harness.request('/_matrix/client/r0/login', {
      method: 'POST',
      headers: type === undefined ? {} : { 'content-type': type },
      body: new TextEncoder().encode(JSON.stringify(passwordLogin('alice'))),
    })
    expect(response.status).toBe(200)
  })
})

const thirdParty = (medium: string, address: string) => ({
  identifier: { type: 'm.id.thirdparty', medium, address },
})

describe('POST /_matrix/client/{version}/login refuses (reference 9.2)', () => {
  const BAD = (what: string) => ({ errcode: 'M_BAD_JSON', error: what })
  const NOT_JSON = { errcode: 'M_NOT_JSON', error: 'The body is not valid JSON.' }
  const UNKNOWN_TYPE = { errcode: 'M_UNKNOWN', error: 'Invalid login type' }
  const IDENTIFIER = { errcode: 'M_UNKNOWN', error: 'Unsupported login identifier' }
  const NOBODY = BAD('The login names nobody: it needs an identifier.')

  test.each<[string, unknown, number, object]>([
    ['an unknown type', { type: 'm.login.magic' }, 400, UNKNOWN_TYPE],
    ['a type that is no text', { type: 5 }, 400, BAD('The member type is missing or not valid.')],
    ['no type', {}, 400, BAD('The member type is missing or not valid.')],
    ['an unknown kind of identifier', withPassword({ identifier: { type: 'm.id.phone' } }), 400, IDENTIFIER],
    ['a telephone number', withPassword(thirdParty('msisdn', '491234')), 400, IDENTIFIER],
    ['no identifier', withPassword({}), 400, NOBODY],
    ['an identifier without a user', withPassword({ identifier: { type: 'm.id.user' } }), 400, NOBODY],
    [
      'no password',
      { type: 'm.login.password', user: 'alice' },
      400,
      BAD('The member password is missing or not valid.'),
    ],
    [
      'a password that is no text',
      { type: 'm.login.password', user: 'alice', password: 5 },
      400,
      BAD('The member password is missing or not valid.'),
    ],
    ['an unknown user', passwordLogin('nobody'), 403, FORBIDDEN],
    ['a user of another server', passwordLogin('@alice:elsewhere.test'), 403, FORBIDDEN],
    ['an unknown address', withPassword(thirdParty('email', 'no@mail.example')), 403, FORBIDDEN],
    ['a wrong password', passwordLogin('alice', { password: 'wrong' }), 403, FORBIDDEN],
    ['an empty password', passwordLogin('alice', { password: '' }), 403, FORBIDDEN],
    ['a name that no database holds', passwordLogin('ali\0ce\ud800'), 403, FORBIDDEN],
    [
      'a device id with a control character',
      passwordLogin('alice', { device_id: 'A\nB' }),
      400,
      { errcode: 'M_INVALID_PARAM', error: 'The device_id is not valid.' },
    ],
    [
      'a device id that Synapse would refuse',
      passwordLogin('alice', { device_id: 'x'.repeat(256) }),
      400,
      { errcode: 'M_INVALID_PARAM', error: 'The device_id is not valid.' },
    ],
    ['an empty body', '', 400, NOT_JSON],
    ['half a body', '{"type":', 400, NOT_JSON],
    ['a list', '[]', 400, BAD('The body is missing or not valid.')],
    ['null', 'null', 400, BAD('The body is missing or not valid.')],
  ])('%s', async (_what, body, status, error) => {
    const answer = await login(body)
    expect([answer.status, answer.body]).toEqual([status, error as Record<string, unknown>])
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(harness.logged.filter(({ event }) => event === 'request.failed')).toEqual([])
  })

  test('application services, with the code that tells them why (MSC4190)', async () => {
    const { status, body } = await login({ type: 'm.login.application_service', user: 'bridge' })
    expect([status, body.errcode]).toEqual([400, 'M_APPSERVICE_LOGIN_UNSUPPORTED'])
  })

  test('a form', async () => {
    const { status, body } = await login('user=alice', {
      'content-type': 'application/x-www-form-urlencoded',
    })
    expect([status, body.errcode]).toEqual([400, 'M_NOT_JSON'])
  })

  test('a body that is too large', async () => {
    const { status, body } = await login(passwordLogin('alice', { padding: 'x'.repeat(300_000) }))
    expect([status, body.errcode]).toEqual([413, 'M_TOO_LARGE'])
  })

  test('addresses where nobody may sign in with them', async () => {
    const strict = await createHarness({ beside: harness })
    const asUser = await postMatrix(strict, 'login', passwordLogin('alice@mail.example'))
    expect([asUser.status, asUser.body]).toEqual([403, FORBIDDEN])
    const body = withPassword(thirdParty('email', 'alice@mail.example'))
    const asThirdParty = await postMatrix(strict, 'login', body)
    expect([asThirdParty.status, asThirdParty.body]).toEqual([400, IDENTIFIER])
    await strict.close()
  })

  test('a deactivated account as one that was never there', async () => {
    const id = await createPerson(harness, 'gone')
    await deactivate(harness.deps, id, false)
    const { status, body } = await login(passwordLogin('gone'))
    expect([status, body]).toEqual([403, FORBIDDEN])
  })

  test('a locked account: told to its owner alone, who keeps the keys (edge 45, decision 8)', async () => {
    const id = await createPerson(harness, 'locked')
    await lock(harness.deps, id)
    const wrong = await login(passwordLogin('locked', { password: 'wrong' }))
    expect([wrong.status, wrong.body]).toEqual([403, FORBIDDEN])
    const right = await login(passwordLogin('locked'))
    expect([right.status, right.body]).toEqual([
      401,
      { errcode: 'M_USER_LOCKED', error: 'This account is locked.', soft_logout: true },
    ])
    await unlock(harness.deps, id)
    expect((await login(passwordLogin('locked'))).status).toBe(200)
  })

  test('who the operator banned, after the password, and says so', async () => {
    const banned = await createHarness({
      beside: harness,
      config: { policy: { data: { requester: { banned_user_agents: { substrings: ['Evil'] } } } } },
    })
    const agent = { 'user-agent': 'EvilClient/1.0' }
    const wrong = await postMatrix(banned, 'login', passwordLogin('alice', { password: 'x' }), agent)
    expect([wrong.status, wrong.body]).toEqual([403, FORBIDDEN])
    const before = harness.homeserver.devicesOf('alice').length
    const { status, body } = await postMatrix(banned, 'login', passwordLogin('alice'), agent)
    expect([status, body]).toEqual([
      403,
      { errcode: 'M_FORBIDDEN', error: 'The login was refused: Requests from here are not accepted.' },
    ])
    expect(harness.homeserver.devicesOf('alice').length).toBe(before)
    expect((await postMatrix(banned, 'login', passwordLogin('alice'))).status).toBe(200)
    await banned.close()
  })

  test('one session more than the hard limit, unless it takes the place of another (reference operations 6.3)', async () => {
    const limited = await createHarness({
      beside: harness,
      config: { experimental: { session_limit: { soft_limit: 1, hard_limit: 2 } } },
    })
    await createPerson(harness, 'many')
    for (const device_id of ['ONE', 'TWO'])
      expect((await postMatrix(limited, 'login', passwordLogin('many', { device_id }))).status).toBe(200)
    const { status, body } = await postMatrix(limited, 'login', passwordLogin('many'))
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    expect(String(body.error)).toContain('too many devices')
    const replaced = await postMatrix(limited, 'login', passwordLogin('many', { device_id: 'TWO' }))
    expect(replaced.status).toBe(200)
    await limited.close()
  })

  test('too many tries from one address, unknown names among them, with the time to wait (429)', async () => {
    const limited = await createHarness({
      config: { rate_limiting: { login: { per_ip: { burst: 2, per_second: 1 / 30 } } } },
    })
    await createPerson(limited, 'alice')
    for (const user of ['nobody', 'alice'])
      expect((await postMatrix(limited, 'login', passwordLogin(user, { password: 'x' }))).status).toBe(403)
    for (const user of ['nobody', 'alice']) {
      const { status, body, headers } = await postMatrix(limited, 'login', passwordLogin(user))
      expect([status, body]).toEqual([
        429,
        { errcode: 'M_LIMIT_EXCEEDED', error: 'Too many requests', retry_after_ms: 30_000 },
      ])
      expect(headers.get('retry-after')).toBe('30')
      expect(headers.get('access-control-expose-headers')).toContain('retry-after')
    }
    limited.clock.advance(31)
    expect((await postMatrix(limited, 'login', passwordLogin('alice'))).status).toBe(200)
    await limited.close()
  })
})

describe('the device of a login', () => {
  test('replaces earlier sessions of the same id, those of OAuth too, and keeps the device (edge 50)', async () => {
    const { tokens } = await signedInApp(harness, 'robin', {
      scope: MATRIX_SCOPE.replace('AAAAAAAAAA', 'SAMEDEVICE'),
    })
    const first = await legacyLogin(harness, 'robin', { device_id: 'SAMEDEVICE' })
    expect((await introspect(harness, tokens.access_token)).active).toBe(false)
    const second = await legacyLogin(harness, 'robin', { device_id: 'SAMEDEVICE' })
    expect(await introspectLegacy(harness, first.access_token)).toEqual({ active: false })
    expect((await introspectLegacy(harness, second.access_token)).active).toBe(true)
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('robin')).toEqual(['SAMEDEVICE'])
  })

  test('of another person with the same id stays', async () => {
    await createPerson(harness, 'sam')
    const mine = await legacyLogin(harness, 'alice', { device_id: 'SHARED' })
    await legacyLogin(harness, 'sam', { device_id: 'SHARED' })
    expect((await introspectLegacy(harness, mine.access_token)).active).toBe(true)
  })

  test('one of many logins at once with the same id is left', async () => {
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => login(passwordLogin('alice', { device_id: 'RACE' }))),
    )
    const tokens = answers.filter(({ status }) => status === 200).map(({ body }) => String(body.access_token))
    expect(tokens.length).toBeGreaterThan(0)
    for (const { status } of answers) expect([200, 503]).toContain(status)
    const active = []
    for (const token of tokens) active.push((await introspectLegacy(harness, token)).active)
    expect(active.filter(Boolean)).toEqual([true])
  })

  test('cannot be made while the homeserver is down: 503, and what was there before goes on', async () => {
    const before = await legacyLogin(harness, 'alice', { device_id: 'STAYS' })
    harness.homeserver.down = true
    const { status, body, headers } = await login(passwordLogin('alice', { device_id: 'STAYS' }))
    expect([status, body.errcode]).toEqual([503, 'M_UNKNOWN'])
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    harness.homeserver.down = false
    expect((await introspectLegacy(harness, before.access_token)).active).toBe(true)
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('alice')).toContain('STAYS')
    expect((await login(passwordLogin('alice', { device_id: 'STAYS' }))).status).toBe(200)
  })

  test('exists at the homeserver before the token is given out, for a person whom it never heard of (edges 36, 37)', async () => {
    await createPerson(harness, 'newcomer')
    expect(harness.homeserver.users.has('newcomer')).toBe(false)
    const { device_id } = await legacyLogin(harness, 'newcomer')
    expect(harness.homeserver.devicesOf('newcomer')).toEqual([device_id])
  })

  test('is in the set that the homeserver is told, beside those of OAuth', async () => {
    const { tokens } = await signedInApp(harness, 'union', {
      scope: `openid urn:matrix:client:api:* ${deviceScope('OAUTHDEVICE')}`,
    })
    expect(tokens.token_type).toBe('Bearer')
    await legacyLogin(harness, 'union', { device_id: 'LEGACY' })
    const extra = await legacyLogin(harness, 'union', { device_id: 'LEAVES' })
    await postMatrix(harness, 'logout', {}, { authorization: `Bearer ${extra.access_token}` })
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('union')).toEqual(['LEGACY', 'OAUTHDEVICE'])
  })
})

test('the owner hears of a login on a new device, and not of one on a device that is there (security log)', async () => {
  const id = await createPerson(harness, 'watched')
  const events = async () =>
    await harness.database.sql<{ kind: string; name: string }[]>`
      select kind, details->>'name' as name from latchkey.security_events where user_id = ${id} order by id`
  await login(passwordLogin('watched', { password: 'wrong' }))
  await legacyLogin(harness, 'watched', { device_id: 'HALL', initial_device_display_name: 'In the hall' })
  harness.clock.advance(1)
  await legacyLogin(harness, 'watched', { device_id: 'HALL' })
  harness.clock.advance(1)
  await legacyLogin(harness, 'watched', { device_id: 'ATTIC' })
  expect([...(await events())]).toEqual([
    { kind: 'signed_in_legacy', name: 'In the hall' },
    { kind: 'signed_in', name: 'HALL' },
    { kind: 'signed_in_legacy', name: 'ATTIC' },
  ])
})

test('an unknown user, a wrong password and a locked user with a wrong password: the same answer for the same work (edge 45)', async () => {
  const id = await createPerson(harness, 'stuck')
  await lock(harness.deps, id)
  const { deps } = harness
  let checks = 0
  const passwords = {
    ...deps.passwords,
    verify: (...args: Parameters<typeof deps.passwords.verify>) => {
      checks++
      return deps.passwords.verify(...args)
    },
  }
  const app = createApp({ ...deps, passwords }, { resources: [{ name: 'compat' }] })
  const seen: unknown[] = []
  for (const user of ['never-was', 'alice', 'stuck']) {
    checks = 0
    const body = JSON.stringify(passwordLogin(user, { password: 'wrong' }))
    const url = `${harness.origin}/_matrix/client/v3/login`
    const response = await app.handle(new Request(url, { method: 'POST', body }))
    seen.push([response.status, [...response.headers], await response.json(), checks])
  }
  expect(seen).toEqual([seen[0], seen[0], seen[0]])
  expect(seen[0]).toMatchObject([403, expect.anything(), FORBIDDEN, 1])
})

test('no log line has a password or a token of a login', async () => {
  const tokens = await legacyLogin(harness, 'alice', { refresh_token: true })
  const text = JSON.stringify(harness.logged)
  for (const secret of [PASSWORD, tokens.access_token, tokens.refresh_token]) {
    expect(secret).toBeTruthy()
    expect(text).not.toContain(String(secret))
  }
})

test('POST /login: a password that is replaced while it is checked begins nothing (the end of all sessions holds)', async () => {
  const id = await createPerson(harness, 'changer')
  const { passwords } = harness.deps
  const { verify } = passwords
  passwords.verify = async (...asked) => {
    const verdict = await verify(...asked)
    const other = await passwords.hash('correct horse battery staple 43')
    await setPassword(harness.deps, id, other, {}, { endSessions: true })
    return verdict
  }
  try {
    const { status, body } = await login(passwordLogin('changer'))
    expect([status, body]).toEqual([403, FORBIDDEN])
  } finally {
    passwords.verify = verify
  }
  const sessions = await harness.database
    .sql`select from latchkey.compat_sessions where user_id = ${id} and finished_at is null`
  expect(sessions).toHaveLength(0)
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startSession } from '../../src/identity/sessions.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminCaller, adminOf, makeUser, personalToken } from '../support/admin.ts'
import { newUser } from '../support/fake-users.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, signedInApp } from '../support/oauth.ts'

const NOBODY = '01HZX1V2E3Q4R5S6T7V8W9XAYB'

let harness: Harness
let api: AdminCall
let admin: { uuid: string; id: string }
let alice: string
let clientId: string
let accessToken: string
beforeAll(async () => {
  harness = await createHarness()
  ;({ api, ...admin } = await adminOf(harness))
  const app = await signedInApp(harness, 'alice')
  clientId = app.clientId
  accessToken = app.tokens.access_token
  alice = (await api('GET', '/users/by-username/alice')).body.data.id
})
afterAll(() => harness.close())

const codeOf = ({ status, body }: { status: number; body: { errors: { code: string }[] } }) => [
  status,
  body.errors[0]?.code,
]

describe('GET /oauth2-sessions', () => {
  test('tells of each session what MAS tells', async () => {
    const { body } = await api('GET', `/oauth2-sessions?filter[user]=${alice}`)
    expect(body.data).toHaveLength(1)
    expect(body.data[0]).toMatchObject({
      type: 'oauth2-session',
      attributes: {
        user_id: alice,
        client_id: clientId,
        finished_at: null,
        scope: expect.stringContaining('urn:matrix:client:api:*'),
        user_session_id: expect.any(String),
      },
    })
  })

  test.each([
    ['filter[status]=active', 1],
    ['filter[status]=finished', 0],
    ['filter[client-kind]=dynamic', 1],
    ['filter[client-kind]=static', 0],
    ['filter[scope]=openid', 1],
    ['filter[scope]=openid&filter[scope]=urn:mas:admin', 0],
    ['filter[scope]=openid%20urn:matrix:client:api:*', 1],
    ['filter[created-after]=2020-01-01T00:00:00Z', 1],
    ['filter[created-before]=2020-01-01T00:00:00%2B02:00', 0],
    ['filter[last-active-after]=2020-01-01T00:00:00Z', 1],
    ['filter[last-active-before]=2020-01-01T00:00:00Z', 0],
  ])('%s finds %d', async (query, count) => {
    expect(
      (await api('GET', `/oauth2-sessions?count=only&filter[user]=${alice}&${query}`)).body.meta.count,
    ).toBe(count)
  })

  test('by client, by several, and by the browser that they were begun from', async () => {
    const { body } = await api('GET', `/oauth2-sessions?filter[client]=${clientId}`)
    expect(body.meta.count).toBe(1)
    const browser = body.data[0].attributes.user_session_id
    expect((await api('GET', `/oauth2-sessions?filter[user-session]=${browser}`)).body.meta.count).toBe(1)
    expect((await api('GET', `/user-sessions/${browser}`)).body.data.attributes.user_id).toBe(alice)
  })

  test.each([
    [`filter[user]=${NOBODY}`, 404, 'not_found'],
    [`filter[client]=${NOBODY}`, 404, 'not_found'],
    [`filter[user-session]=${NOBODY}`, 404, 'not_found'],
    ['filter[scope]=%22', 400, 'invalid_scope'],
    ['filter[created-after]=yesterday', 400, 'invalid_parameter'],
    ['filter[created-after]=2026-02-30T25:00:00Z', 400, 'invalid_parameter'],
    ['filter[status]=open', 400, 'invalid_parameter'],
    ['sort=name', 400, 'invalid_parameter'],
  ])('%s is refused', async (query, status, code) => {
    expect(codeOf(await api('GET', `/oauth2-sessions?${query}`))).toEqual([status, code])
  })
})

describe('sorting by last activity', () => {
  test('goes from what was active last to what was active first, with cursors that are ids', async () => {
    const bob = await makeUser(harness, 'bob')
    const ids: string[] = []
    for (const name of ['a', 'b', 'c']) {
      harness.clock.advance(60)
      const { id } = await harness.deps.sql.begin((tx) =>
        startSession(harness.deps, tx, bob.uuid, { ip: '192.0.2.7', userAgent: name }, 'password'),
      )
      ids.push(ulidFromUuid(id))
    }
    const [a = '', b = '', c = ''] = ids
    await harness.deps.sql`update latchkey.browser_sessions set last_active_at = now() + interval '1 day'
      where user_id = ${bob.uuid} and user_agent = 'a'`
    const order = async (query: string) => {
      const { body } = await api('GET', `/user-sessions?filter[user]=${bob.id}&sort=-last_active_at&${query}`)
      return body.data.map(({ id }: { id: string }) => id)
    }
    expect(await order('')).toEqual([a, c, b])
    expect(await order(`page[first]=1&page[after]=${a}`)).toEqual([c])
    expect(await order(`page[last]=1&page[before]=${b}`)).toEqual([c])
    expect(await order('page[last]=2')).toEqual([c, b])
    expect(
      (await api('GET', `/user-sessions?filter[user]=${bob.id}`)).body.data.map(
        (row: { id: string }) => row.id,
      ),
    ).toEqual([a, b, c])
  })
})

describe('POST …/finish', () => {
  test('of an app: its token stops, the homeserver forgets the device; a second time is 400', async () => {
    const { body } = await api('GET', `/oauth2-sessions?filter[user]=${alice}`)
    const { id } = body.data[0]
    const finished = await api('POST', `/oauth2-sessions/${id}/finish`)
    expect(finished.body.data.attributes.finished_at).toBeString()
    expect(await introspect(harness, accessToken)).toEqual({ active: false })
    await harness.runJobs()
    expect(harness.homeserver.users.get('alice')?.devices.size).toBe(0)
    expect(codeOf(await api('POST', `/oauth2-sessions/${id}/finish`))).toEqual([400, 'already_finished'])
  })

  test('of a browser: it is signed out', async () => {
    const { body } = await api('GET', `/user-sessions?filter[user]=${alice}&filter[status]=active`)
    const { id } = body.data[0]
    expect((await api('POST', `/user-sessions/${id}/finish`)).body.data.attributes.finished_at).toBeString()
    expect(codeOf(await api('POST', `/user-sessions/${id}/finish`))).toEqual([400, 'already_finished'])
  })

  test('of an older client', async () => {
    const carol = await makeUser(harness, 'carol')
    await api('POST', `/users/${carol.id}/set-password`, {
      password: 'quite a long password 7',
      skip_password_check: true,
    })
    const login = await harness.request('/_matrix/client/v3/login', {
      method: 'POST',
      body: JSON.stringify({
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: 'carol' },
        password: 'quite a long password 7',
        device_id: 'OLD',
      }),
    })
    expect(login.status).toBe(200)
    const { body } = await api('GET', `/compat-sessions?filter[user]=${carol.id}`)
    expect(body.data[0].attributes).toMatchObject({ user_id: carol.id, device_id: 'OLD', redirect_uri: null })
    expect((await api('GET', '/users?filter[has-active-compat-session]=true')).body.data[0].id).toBe(carol.id)
    const { id } = body.data[0]
    expect((await api('POST', `/compat-sessions/${id}/finish`)).status).toBe(200)
    expect(codeOf(await api('POST', `/compat-sessions/${id}/finish`))).toEqual([400, 'already_finished'])
    expect((await api('GET', `/compat-sessions/${id}`)).body.data.attributes.finished_at).toBeString()
  })

  test.each(['user-sessions', 'compat-sessions', 'oauth2-sessions', 'personal-sessions'])(
    '/%s of an id that nobody has',
    async (kind) => {
      expect(codeOf(await api('GET', `/${kind}/${NOBODY}`))).toEqual([404, 'not_found'])
    },
  )
})

describe('/personal-sessions', () => {
  const create = (more: Record<string, unknown> = {}) =>
    api('POST', '/personal-sessions', {
      actor_user_id: alice,
      human_name: 'Backup',
      scope: 'urn:matrix:client:api:* urn:matrix:client:device:BACKUP1234',
      ...more,
    })

  test('makes a token that is shown once and works, with its device', async () => {
    const made = await create({ expires_in: 3600 })
    expect(made.status).toBe(201)
    const { id, attributes, links } = made.body.data
    expect(attributes.access_token).toStartWith('mpt_')
    expect(attributes).toMatchObject({ owner_user_id: admin.id, actor_user_id: alice, owner_client_id: null })
    expect(made.body.links.self).toBe(links.self)
    expect(await introspect(harness, attributes.access_token)).toMatchObject({
      active: true,
      username: 'alice',
    })
    expect(harness.homeserver.users.get('alice')?.devices.has('BACKUP1234')).toBe(true)
    const again = await api('GET', `/personal-sessions/${id}`)
    expect('access_token' in again.body.data.attributes).toBe(false)
    expect(again.body.data.attributes.expires_at).toBeString()
    const listed = await api('GET', `/personal-sessions?filter[actor_user]=${alice}&filter[expires]=true`)
    expect(listed.body.meta.count).toBe(1)
  })

  test('regenerate: another token, the one before stops; only for the owner', async () => {
    const { id, attributes } = (await create({ scope: 'openid' })).body.data
    const again = await api('POST', `/personal-sessions/${id}/regenerate`, {})
    expect(again.status).toBe(201)
    expect(again.body.data.attributes.expires_at).toBeNull()
    expect(await introspect(harness, attributes.access_token)).toEqual({ active: false })
    expect(await introspect(harness, again.body.data.attributes.access_token)).toMatchObject({ active: true })
    const other = await makeUser(harness, 'other-admin', { isAdmin: true })
    const theirs = adminCaller(harness, await personalToken(harness, other.uuid, ['urn:mas:admin']))
    expect(codeOf(await theirs('POST', `/personal-sessions/${id}/regenerate`))).toEqual([
      403,
      'not_the_owner',
    ])
  })

  test('revoke, once', async () => {
    const { id, attributes } = (await create({ scope: 'openid' })).body.data
    expect(
      (await api('POST', `/personal-sessions/${id}/revoke`)).body.data.attributes.revoked_at,
    ).toBeString()
    expect(await introspect(harness, attributes.access_token)).toEqual({ active: false })
    expect(codeOf(await api('POST', `/personal-sessions/${id}/revoke`))).toEqual([409, 'already_revoked'])
    expect(codeOf(await api('POST', `/personal-sessions/${id}/regenerate`))).toEqual([422, 'already_revoked'])
  })

  test.each([
    [{ scope: 'a"b' }, 400, 'invalid_scope'],
    [{ scope: 'urn:matrix:client:device:AAAAAAAAAA' }, 400, 'invalid_scope'],
    [{ actor_user_id: NOBODY }, 404, 'not_found'],
    [{ expires_in: 0 }, 400, 'invalid_body'],
    [{ expires_in: 1e12 }, 400, 'invalid_body'],
    [{ human_name: '' }, 400, 'invalid_body'],
    [{ name: 'x' }, 400, 'unknown_member'],
  ])('%j is refused', async (more, status, code) => {
    expect(codeOf(await create(more))).toEqual([status, code])
  })

  test('of a deactivated user: 410', async () => {
    const gone = await makeUser(harness, 'gone')
    await api('POST', `/users/${gone.id}/deactivate`)
    expect(codeOf(await create({ actor_user_id: gone.id }))).toEqual([410, 'user_deactivated'])
  })
})

describe('a token for a part cannot become one for everything', () => {
  const holding = async (scope: string) =>
    adminCaller(harness, await personalToken(harness, admin.uuid, [scope]))

  test('who may see sessions makes no tokens', async () => {
    const sessions = await holding('urn:latchkey:admin:sessions')
    const asked = { actor_user_id: admin.id, human_name: 'x', scope: 'urn:mas:admin' }
    expect(codeOf(await sessions('POST', '/personal-sessions', asked))).toEqual([403, 'scope_missing'])
    expect((await sessions('GET', '/personal-sessions')).status).toBe(200)
  })

  test('who may administer users makes no admins, and takes over none', async () => {
    const users = await holding('urn:latchkey:admin:users')
    expect(codeOf(await users('POST', `/users/${alice}/set-admin`, { admin: true }))).toEqual([
      403,
      'scope_missing',
    ])
    const password = { password: 'correct horse battery staple 42' }
    expect(codeOf(await users('POST', `/users/${admin.id}/set-password`, password))).toEqual([
      403,
      'admin_account',
    ])
    expect((await users('POST', `/users/${alice}/set-password`, password)).status).toBe(204)
  })

  test('who may administer users leaves the accounts of admins as they are', async () => {
    const users = await holding('urn:latchkey:admin:users')
    const other = await makeUser(harness, 'otheradmin', { isAdmin: true })
    const asked: [string, unknown?][] = [
      ['lock'],
      ['unlock'],
      ['deactivate', {}],
      ['reactivate'],
      ['set-displayname', { displayname: 'x' }],
    ]
    for (const [verb, body] of asked)
      expect([verb, ...codeOf(await users('POST', `/users/${other.id}/${verb}`, body))]).toEqual([
        verb,
        403,
        'admin_account',
      ])
    const { attributes } = (await api('GET', `/users/${other.id}`)).body.data
    expect(attributes).toMatchObject({ locked_at: null, deactivated_at: null, display_name: null })
    expect((await users('POST', `/users/${alice}/lock`)).status).toBe(200)
    expect((await users('POST', `/users/${alice}/unlock`)).status).toBe(200)
  })

  test('an admin is also who the rules say is one (policy.data.admin_users), before there is such an account too', async () => {
    const named = await createHarness({
      beside: harness,
      config: { policy: { data: { admin_users: ['named', 'future'] } } },
    })
    const users = adminCaller(named, await personalToken(harness, admin.uuid, ['urn:latchkey:admin:users']))
    const { id } = await makeUser(harness, 'named')
    const password = { password: 'correct horse battery staple 42' }
    expect(codeOf(await users('POST', `/users/${id}/set-password`, password))).toEqual([403, 'admin_account'])
    const address = { user_id: id, email: 'attacker@example.com' }
    expect(codeOf(await users('POST', '/user-emails', address))).toEqual([403, 'admin_account'])
    const made = await users('POST', '/users', { username: 'future', ...password })
    expect(codeOf(made)).toEqual([403, 'admin_account'])
    expect((await users('GET', '/users/by-username/future')).status).toBe(404)
    expect((await users('POST', '/users', { username: 'plain', ...password })).status).toBe(201)
    await named.close()
  })

  test('who may administer users takes over nobody at the homeserver', async () => {
    const users = await holding('urn:latchkey:admin:users')
    harness.homeserver.users.set('bridgebot', newUser('bridgebot'))
    const asked = { username: 'bridgebot', skip_homeserver_check: true }
    expect(codeOf(await users('POST', '/users', { username: 'bridgebot' }))).toEqual([
      409,
      'username_reserved',
    ])
    expect(codeOf(await users('POST', '/users', asked))).toEqual([403, 'scope_missing'])
    expect((await api('POST', '/users', asked)).status).toBe(201)
  })

  test('who may read the rules does not write them', async () => {
    const server = await holding('urn:latchkey:admin:server')
    expect(codeOf(await server('POST', '/policy-data', { data: { admin_users: ['alice'] } }))).toEqual([
      403,
      'scope_missing',
    ])
  })
})

describe('/oauth2-clients', () => {
  test('lists clients, by name, address, kind, grant and use', async () => {
    const { body } = await api('GET', `/oauth2-clients/${clientId}`)
    const { client_name: name } = body.data.attributes
    expect(body.data).toMatchObject({
      type: 'oauth2-client',
      id: clientId,
      attributes: { client_id: clientId, is_static: false },
    })
    const count = async (query: string) =>
      (await api('GET', `/oauth2-clients?count=only&${query}`)).body.meta.count
    expect(await count(`filter[client-name]=${encodeURIComponent(name.slice(1, 5).toUpperCase())}`)).toBe(1)
    expect(await count('filter[client-name]=%25')).toBe(0)
    expect(await count('filter[client-kind]=static')).toBe(0)
    expect(await count('filter[grant-type]=authorization_code')).toBe(1)
    expect(await count('filter[grant-type]=client_credentials')).toBe(0)
    expect(await count('filter[has-active-sessions]=true')).toBe(0)
  })
})

describe('/policy-data', () => {
  test('none, then what was set', async () => {
    expect(codeOf(await api('GET', '/policy-data/latest'))).toEqual([404, 'not_found'])
    const data = { registration: { banned_usernames: { literals: ['root'] } } }
    const made = await api('POST', '/policy-data', { data })
    expect(made.status).toBe(201)
    expect((await api('GET', '/policy-data/latest')).body.data).toEqual(made.body.data)
    expect((await api('GET', `/policy-data/${made.body.data.id}`)).body.data.attributes.data).toEqual(data)
  })

  test('what the rules cannot work with is refused, and nothing changes', async () => {
    const answer = await api('POST', '/policy-data', { data: { registration: { banned_usernames: 7 } } })
    expect(codeOf(answer)).toEqual([400, 'invalid_policy_data'])
    expect(answer.body.errors[0].source).toEqual({ pointer: '/data' })
  })
})

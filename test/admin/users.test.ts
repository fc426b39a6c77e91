import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { countUsers } from '../../sql/admin-users.ts'
import { killSessions } from '../../src/identity/lifecycle.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminCaller, adminOf, makeUser, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'

const NOBODY = '01HZX1V2E3Q4R5S6T7V8W9XAYB'

let harness: Harness
let api: AdminCall
let admin: { uuid: string; id: string }
beforeAll(async () => {
  harness = await createHarness()
  ;({ api, ...admin } = await adminOf(harness))
})
afterAll(() => harness.close())

const codeOf = ({ status, body }: { status: number; body: { errors: { code: string }[] } }) => [
  status,
  body.errors[0]?.code,
]

describe('who may call', () => {
  const call = (headers: Record<string, string>) =>
    harness.request('/api/admin/v1/users', { headers }).then(async (response) => ({
      status: response.status,
      challenge: response.headers.get('www-authenticate'),
      body: await response.json(),
    }))

  test('no token: 401 with WWW-Authenticate, and not MAS’s 400', async () => {
    const answer = await call({})
    expect(codeOf(answer)).toEqual([401, 'token_missing'])
    expect(answer.challenge).toStartWith('Bearer ')
    expect(answer.challenge).not.toContain('error=')
  })

  test('an unknown token: 401 invalid_token (RFC 6750 section 3.1)', async () => {
    const answer = await call({ authorization: 'Bearer mpt_nonsense' })
    expect(codeOf(answer)).toEqual([401, 'token_invalid'])
    expect(answer.challenge).toContain('error="invalid_token"')
  })

  test('a token that has run out: 401 invalid_token, and it was good before', async () => {
    const asked = { actor_user_id: admin.id, human_name: 'short', scope: 'urn:mas:admin', expires_in: 60 }
    const { body } = await api('POST', '/personal-sessions', asked)
    const authorization = `Bearer ${body.data.attributes.access_token}`
    expect((await call({ authorization })).status).toBe(200)
    harness.clock.advance(61)
    const { status, challenge } = await call({ authorization })
    expect([status, challenge]).toEqual([401, expect.stringContaining('error="invalid_token"')])
  })

  test('the id of something else: 404 in every kind of thing', async () => {
    const { body } = await api('POST', '/user-registration-tokens', {})
    for (const path of ['users', 'user-emails', 'user-sessions', 'oauth2-sessions', 'compat-sessions'])
      expect([path, ...codeOf(await api('GET', `/${path}/${body.data.id}`))]).toEqual([
        path,
        404,
        'not_found',
      ])
    expect(codeOf(await api('GET', `/user-registration-tokens/${admin.id}`))).toEqual([404, 'not_found'])
  })

  test('a token in the query is none: it would be in the logs', async () => {
    const response = await harness.request('/api/admin/v1/users?access_token=x')
    expect(response.status).toBe(401)
  })

  test('a token without the scope: 403 that names the scopes', async () => {
    const token = await personalToken(harness, admin.uuid, ['openid'])
    const answer = await call({ authorization: `Bearer ${token}` })
    expect(codeOf(answer)).toEqual([403, 'scope_missing'])
    expect(answer.challenge).toContain('error="insufficient_scope", scope="urn:mas:admin"')
  })

  test('the token of a locked admin: 401', async () => {
    const locked = await makeUser(harness, 'locked-admin', { isAdmin: true })
    const token = await personalToken(harness, locked.uuid, ['urn:mas:admin'])
    await api('POST', `/users/${locked.id}/lock`)
    expect((await adminCaller(harness, token)('GET', '/version')).status).toBe(401)
  })

  test('scopes finer than urn:mas:admin: read only, one area', async () => {
    const reader = adminCaller(harness, await personalToken(harness, admin.uuid, ['urn:latchkey:admin:read']))
    expect((await reader('GET', '/users')).status).toBe(200)
    expect(codeOf(await reader('POST', '/users', { username: 'x' }))).toEqual([403, 'scope_missing'])
    const users = adminCaller(harness, await personalToken(harness, admin.uuid, ['urn:latchkey:admin:users']))
    expect((await users('GET', '/users')).status).toBe(200)
    expect(codeOf(await users('GET', '/site-config'))).toEqual([403, 'scope_missing'])
  })

  test('who asks comes before what is asked: a stranger with a bad body gets 401', async () => {
    const response = await harness.request('/api/admin/v1/users', { method: 'POST', body: '{' })
    expect(response.status).toBe(401)
  })
})

describe('bad input, in the envelope with a code', () => {
  test.each([
    ['an id that is no ULID', 'GET', '/users/nope', undefined, 400, 'invalid_id'],
    ['an id that nobody has', 'GET', `/users/${NOBODY}`, undefined, 404, 'not_found'],
    ['an unknown filter', 'GET', '/users?filter[serach]=x', undefined, 400, 'unknown_parameter'],
    ['a boolean that is none', 'GET', '/users?filter[admin]=yes', undefined, 400, 'invalid_parameter'],
    [
      'a repeated filter',
      'GET',
      '/users?filter[search]=a&filter[search]=b',
      undefined,
      400,
      'invalid_parameter',
    ],
    ['both directions', 'GET', '/users?page[first]=1&page[last]=1', undefined, 400, 'page_direction'],
    ['an empty page', 'GET', '/users?page[first]=0', undefined, 400, 'invalid_parameter'],
    ['a cursor that is none', 'GET', '/users?page[after]=xyz', undefined, 400, 'invalid_parameter'],
    [
      'a client that does not exist',
      'GET',
      `/users?filter[active-oauth2-client]=${NOBODY}`,
      undefined,
      404,
      'not_found',
    ],
    ['no JSON', 'POST', '/users', '{', 400, 'invalid_json'],
    ['another type', 'POST', '/users', { username: 7 }, 400, 'invalid_body'],
    ['a member that is missing', 'POST', '/users', {}, 400, 'invalid_body'],
    [
      'a member that does not exist',
      'POST',
      '/users',
      { username: 'x', dsplayname: 'X' },
      400,
      'unknown_member',
    ],
    ['a name with a capital', 'POST', '/users', { username: 'Alice' }, 400, 'invalid_body'],
    ['a name of a bridge', 'POST', '/users', { username: '_bridge_x' }, 400, 'invalid_body'],
  ] as const)('%s', async (_, method, path, body, status, code) => {
    const answer = await api(method, path, body)
    expect(codeOf(answer)).toEqual([status, code])
    expect(answer.body.errors[0].title).toBeString()
  })

  test('an unknown filter names the nearest one', async () => {
    const { body } = await api('GET', '/users?filter[serach]=x')
    expect(body.errors[0].detail).toContain('filter[search]')
  })

  test('an error in the body says where', async () => {
    const { body } = await api('POST', '/users', { username: 'Alice' })
    expect(body.errors[0].source).toEqual({ pointer: '/username' })
  })

  test('no body type, and an address that is not there', async () => {
    const response = await harness.request('/api/admin/v1/users', {
      method: 'POST',
      headers: { authorization: `Bearer ${await personalToken(harness, admin.uuid, ['urn:mas:admin'])}` },
      body: '{"username":"x"}',
    })
    expect(response.status).toBe(415)
    expect(codeOf(await api('GET', '/nothing'))).toEqual([404, 'not_found'])
    expect(codeOf(await api('DELETE', '/users'))).toEqual([405, 'method_not_allowed'])
  })
})

describe('GET /users', () => {
  beforeAll(async () => {
    for (const name of ['list-a', 'list-b', 'list-c', 'list-d', 'list-%']) {
      await makeUser(harness, name)
      // Ids of the same millisecond are in no order.
      harness.clock.advance(1)
    }
  })
  const names = (body: { data: { attributes: { username: string } }[] }) =>
    body.data.map(({ attributes }) => attributes.username)

  test('gives each account in MAS’s envelope, with its cursor', async () => {
    const { body } = await api('GET', '/users?filter[search]=list-a')
    expect(body.meta).toEqual({ count: 1 })
    const [user] = body.data
    expect(user).toEqual({
      type: 'user',
      id: user.id,
      attributes: {
        username: 'list-a',
        display_name: null,
        created_at: expect.any(String),
        locked_at: null,
        deactivated_at: null,
        approval_requested_at: null,
        admin: false,
        legacy_guest: false,
      },
      links: { self: `/api/admin/v1/users/${user.id}` },
      meta: { page: { cursor: user.id } },
    })
  })

  test('links lead to the end and back, percent-encoded, keeping filters', async () => {
    const seen: string[] = []
    let path: string | undefined = '/users?filter[search]=LIST-&page[first]=2'
    const pages = []
    while (path !== undefined) {
      const { body } = await api('GET', path)
      seen.push(...names(body))
      pages.push(body.links)
      path = body.links.next
    }
    expect(seen).toEqual(['list-a', 'list-b', 'list-c', 'list-d', 'list-%'])
    const back = await api('GET', pages.at(-1)?.prev)
    expect(names(back.body)).toEqual(['list-c', 'list-d'])
    expect(names((await api('GET', back.body.links.prev)).body)).toEqual(['list-a', 'list-b'])
    expect(names((await api('GET', back.body.links.next)).body)).toEqual(['list-%'])
    expect(names((await api('GET', back.body.links.last)).body)).toEqual(['list-d', 'list-%'])
    expect(pages[0]?.prev).toBeUndefined()
  })

  test('a percent sign in a search is a percent sign', async () => {
    const { body } = await api('GET', `/users?filter[search]=${encodeURIComponent('list-%')}`)
    expect(names(body)).toEqual(['list-%'])
  })

  test('a part of a name is found anywhere; one or two letters, or signs between them, at its beginning', async () => {
    const search = async (text: string) =>
      names((await api('GET', `/users?filter[search]=${encodeURIComponent(text)}`)).body)
    const all = ['list-a', 'list-b', 'list-c', 'list-d', 'list-%']
    for (const text of ['list', 'IST', 'ist-', 'Li', 'lis'])
      expect([text, await search(text)]).toEqual([text, all])
    for (const text of ['ist-a', 'list-a']) expect(await search(text)).toEqual(['list-a'])
    // Signs mean themselves here too.
    for (const text of ['st', '-', 't-a', '%', '_', '__', '\\', 'zz'])
      expect([text, await search(text)]).toEqual([text, []])
  })

  test.each([
    ['zz', 'users_name_beginning'],
    ['zzz', 'users_name_parts'],
  ])('a search for %s has an index to use, %s', async (search, index) => {
    const plan = await harness.database.sql.begin(async (tx) => {
      // There are too few people here for an index to be worth it.
      await tx`set local enable_seqscan = off`
      const nothing = {
        admin: undefined,
        guest: undefined,
        status: undefined,
        clientIds: undefined,
        hasOAuthSession: undefined,
        hasCompatSession: undefined,
      }
      return JSON.stringify(await countUsers(tx, { ...nothing, search }, 'estimate'))
    })
    expect(plan).toContain(`"${index}"`)
  })

  test('count: only, and without', async () => {
    expect((await api('GET', '/users?count=only&filter[search]=list-')).body).toEqual({
      meta: { count: 5 },
      links: { self: expect.stringContaining('/api/admin/v1/users?') },
    })
    expect((await api('GET', '/users?count=false')).body.meta).toBeUndefined()
  })

  test('a page has 1000 items at most, however many are asked for', async () => {
    const { body } = await api('GET', '/users?page[first]=100000')
    expect(body.links.first).toContain('1000')
  })

  test('filters by state and right', async () => {
    expect(names((await api('GET', '/users?filter[status]=locked')).body)).toEqual(['locked-admin'])
    expect(names((await api('GET', '/users?filter[admin]=true')).body).sort()).toEqual([
      'admin',
      'locked-admin',
    ])
    expect((await api('GET', '/users?filter[status]=deactivated')).body.meta.count).toBe(0)
    const both = await makeUser(harness, 'locked-and-gone')
    await api('POST', `/users/${both.id}/lock`)
    await api('POST', `/users/${both.id}/deactivate`)
    // As MAS's documentation promises and MAS does not do.
    for (const status of ['locked', 'deactivated'])
      expect(names((await api('GET', `/users?filter[status]=${status}`)).body)).toContain('locked-and-gone')
    expect(names((await api('GET', '/users?filter[status]=active')).body)).not.toContain('locked-and-gone')
    await api('DELETE', `/users/${both.id}`)
    expect((await api('GET', '/users?filter[has-active-oauth2-session]=true')).body.meta.count).toBe(0)
    expect(
      (await api('GET', '/users?filter[has-active-compat-session]=false&count=only')).body.meta.count,
    ).toBeGreaterThan(5)
  })
})

describe('POST /users', () => {
  test('makes an account, and tells the homeserver at once', async () => {
    const { status, body } = await api('POST', '/users', { username: 'new', displayname: 'New' })
    expect(status).toBe(201)
    expect(body.data.attributes).toMatchObject({ username: 'new', display_name: 'New', admin: false })
    expect(body.links.self).toBe(`/api/admin/v1/users/${body.data.id}`)
    expect(harness.homeserver.users.get('new')?.displayName).toBe('New')
    expect((await api('GET', '/users/by-username/NEW')).body.data.id).toBe(body.data.id)
  })

  test('a homeserver that is down: 503, and no account', async () => {
    harness.homeserver.down = true
    const answer = await api('POST', '/users', { username: 'later' })
    harness.homeserver.down = false
    expect(codeOf(answer)).toEqual([503, 'unavailable'])
    expect(answer.headers.get('retry-after')).toBe('5')
    expect((await api('GET', '/users/by-username/later')).status).toBe(404)
  })

  test('a homeserver that fails once the account is made: the account stands, a job tells it', async () => {
    harness.homeserver.failOnce('provision_user')
    expect((await api('POST', '/users', { username: 'stands' })).status).toBe(201)
    expect(harness.homeserver.users.has('stands')).toBe(false)
    await harness.runJobs()
    expect(harness.homeserver.users.has('stands')).toBe(true)
  })

  test('a name that is taken, whatever its case elsewhere', async () => {
    expect(codeOf(await api('POST', '/users', { username: 'new' }))).toEqual([409, 'username_taken'])
  })
})

describe('POST /users/{id}/…', () => {
  test('lock and unlock say the state, and tell the homeserver', async () => {
    const { id } = await makeUser(harness, 'lockable')
    const locked = await api('POST', `/users/${id}/lock`)
    expect(locked.body.data.attributes.locked_at).toBeString()
    expect(locked.body.links.self).toBe(`/api/admin/v1/users/${id}/lock`)
    expect(locked.body.data.links.self).toBe(`/api/admin/v1/users/${id}`)
    await harness.runJobs()
    expect(harness.homeserver.users.get('lockable')?.locked).toBe(true)
    expect((await api('POST', `/users/${id}/unlock`)).body.data.attributes.locked_at).toBeNull()
  })

  test('deactivate takes no body, or skip_erase', async () => {
    const { id } = await makeUser(harness, 'leaver')
    const { status, body } = await api('POST', `/users/${id}/deactivate`)
    expect([status, typeof body.data.attributes.deactivated_at]).toEqual([200, 'string'])
    const other = await makeUser(harness, 'leaver2')
    expect((await api('POST', `/users/${other.id}/deactivate`, { skip_erase: true })).status).toBe(200)
    expect(codeOf(await api('POST', `/users/${other.id}/deactivate`, { skip_erases: true }))).toEqual([
      400,
      'unknown_member',
    ])
  })

  test('set-admin', async () => {
    const { id } = await makeUser(harness, 'chosen')
    expect((await api('POST', `/users/${id}/set-admin`, { admin: true })).body.data.attributes.admin).toBe(
      true,
    )
    expect(codeOf(await api('POST', `/users/${NOBODY}/set-admin`, { admin: true }))).toEqual([
      404,
      'not_found',
    ])
  })

  test('set-password: weak ones only on demand; never in the log', async () => {
    const { id } = await makeUser(harness, 'secretive')
    expect(codeOf(await api('POST', `/users/${id}/set-password`, { password: 'password1' }))).toEqual([
      400,
      'password_weak',
    ])
    const forced = await api('POST', `/users/${id}/set-password`, {
      password: 'password1',
      skip_password_check: true,
    })
    expect([forced.status, forced.body]).toEqual([204, undefined])
    expect(JSON.stringify(harness.logged)).not.toContain('password1')
  })

  test('each change is in the audit log: who, what, to whom, from where', async () => {
    const { id, uuid } = await makeUser(harness, 'audited')
    await api('POST', `/users/${id}/lock`)
    const [entry] = await harness.deps.sql`
      select id, action, actor_user_id, target_type, target_id from latchkey.audit_log where target_id = ${uuid}`
    expect(entry).toEqual({
      id: entry?.id,
      action: 'lockUser',
      actor_user_id: admin.uuid,
      target_type: 'user',
      target_id: uuid,
    })
    expect(ulidFromUuid(entry?.id)).toHaveLength(26)
  })
})

test('GET /site-config and /version answer without an envelope', async () => {
  const { body } = await api('GET', '/site-config')
  expect(body).toMatchObject({
    server_name: 'example.test',
    password_login_enabled: true,
    captcha_enabled: false,
  })
  expect((await api('GET', '/version')).body).toEqual({ version: expect.stringMatching(/^\d/) })
})

test('a token that is revoked while the body is on its way does nothing any more', async () => {
  const { uuid } = await makeUser(harness, 'slow-leaver', { isAdmin: true })
  const token = await personalToken(harness, uuid, ['urn:mas:admin'])
  // Nothing is prepared: this is called when the server asks for the body, and so knows who sends it.
  const body = new ReadableStream(
    {
      async pull(controller) {
        await killSessions(harness.deps, uuid)
        controller.enqueue(new TextEncoder().encode('{"username":"late"}'))
        controller.close()
      },
    },
    { highWaterMark: 0 },
  )
  const answer = await harness.request('/api/admin/v1/users', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body,
    ...({ duplex: 'half' } as object),
  })
  expect(answer.status).toBe(401)
  expect((await api('GET', '/users/by-username/late')).status).toBe(404)
})

describe('text that the database cannot hold is refused in words', () => {
  test.each([
    '/users?filter[search]=%00',
    '/user-emails?filter[email]=a%00',
    '/oauth2-clients?filter[client-name]=a%00',
    '/audit-log?filter[action]=%00',
  ])('GET %s', async (path) => {
    expect(codeOf(await api('GET', path))).toEqual([400, 'invalid_parameter'])
  })

  test('in an address, and in bodies', async () => {
    expect(codeOf(await api('GET', '/users/by-username/a%00'))).toEqual([404, 'not_found'])
    const { id } = await makeUser(harness, 'nul')
    for (const displayname of ['a\0b', '\ud800']) {
      const answer = await api('POST', `/users/${id}/set-displayname`, { displayname })
      expect(codeOf(answer)).toEqual([400, 'invalid_body'])
      expect(answer.body.errors[0].source).toEqual({ pointer: '/displayname' })
    }
    expect(harness.homeserver.users.get('nul')?.displayName).toBeUndefined()
  })
})

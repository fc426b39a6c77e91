import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findUser } from '../../sql/users.ts'
import { createPersonalToken } from '../../src/identity/personal-tokens.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminCaller, adminOf, makeUser, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  exchange,
  introspect,
  obtainCode,
  PASSWORD,
  registerClient,
  signedInApp,
  signUp,
} from '../support/oauth.ts'

let harness: Harness
let api: AdminCall
beforeAll(async () => {
  harness = await createHarness()
  ;({ api } = await adminOf(harness))
})
afterAll(() => harness.close())

const codeOf = ({ status, body }: { status: number; body: { errors: { code: string }[] } }) => [
  status,
  body.errors[0]?.code,
]

describe('POST /users/{id}/set-admin: false', () => {
  test('takes the admin scopes from tokens of the person, of any kind, and leaves the rest', async () => {
    const bob = await makeUser(harness, 'bob', { isAdmin: true })
    const alone = await personalToken(harness, bob.uuid, ['urn:mas:admin'])
    const among = await personalToken(harness, bob.uuid, [
      'openid',
      'urn:latchkey:admin:users',
      'urn:synapse:admin:*',
    ])
    expect((await adminCaller(harness, alone)('GET', '/version')).status).toBe(200)
    expect(
      (await api('POST', `/users/${bob.id}/set-admin`, { admin: false })).body.data.attributes.admin,
    ).toBe(false)
    expect((await adminCaller(harness, alone)('GET', '/version')).status).toBe(401)
    expect(codeOf(await adminCaller(harness, among)('GET', '/users'))).toEqual([403, 'scope_missing'])
    expect(await introspect(harness, among)).toMatchObject({ active: true, scope: 'openid' })
    await api('POST', `/users/${bob.id}/set-admin`, { admin: true })
    expect(await introspect(harness, among)).toMatchObject({ scope: 'openid' })
  })

  test('also from a token that the person made for somebody else', async () => {
    const carol = await makeUser(harness, 'carol', { isAdmin: true })
    const bot = await makeUser(harness, 'bot')
    const [actor] = await findUser(harness.deps.sql, bot.uuid)
    if (!actor) throw new Error('no bot')
    const made = await createPersonalToken(harness.deps, {
      actor,
      owner: { userId: carol.uuid },
      maker: 'admin',
      name: 'bot',
      scope: ['openid', 'urn:mas:admin'],
      expiresIn: undefined,
      requester: { ip: undefined, userAgent: undefined },
    })
    if (made.result !== 'issued') throw new Error(made.result)
    expect((await adminCaller(harness, made.token)('GET', '/version')).status).toBe(200)
    await api('POST', `/users/${carol.id}/set-admin`, { admin: false })
    expect((await adminCaller(harness, made.token)('GET', '/version')).status).toBe(403)
  })

  test('also from what the person agreed to and the app has not fetched yet', async () => {
    const browser = harness.browser()
    await signUp(browser, 'nina')
    const { id } = (await api('GET', '/users/by-username/nina')).body.data
    await api('POST', `/users/${id}/set-admin`, { admin: true })
    const { client_id: clientId } = await registerClient(harness)
    const scope = 'openid urn:mas:admin'
    const before = await exchange(harness, clientId, await obtainCode(browser, clientId, { scope }))
    expect(before.scope).toBe(scope)
    const code = await obtainCode(browser, clientId, { scope })
    await api('POST', `/users/${id}/set-admin`, { admin: false })
    expect((await exchange(harness, clientId, code)).scope).toBe('openid')
    expect(await introspect(harness, before.access_token)).toMatchObject({ active: true, scope: 'openid' })
  })

  test('apps of others, and what no admin scope was in, stay as they are', async () => {
    const app = await signedInApp(harness, 'dave')
    const { id } = (await api('GET', '/users/by-username/dave')).body.data
    const { scope } = await introspect(harness, app.tokens.access_token)
    await api('POST', `/users/${id}/set-admin`, { admin: true })
    await api('POST', `/users/${id}/set-admin`, { admin: false })
    expect(await introspect(harness, app.tokens.access_token)).toMatchObject({ active: true, scope })
    const { body } = await api('GET', `/events?filter[user]=${id}&filter[source]=account`)
    const kinds = body.data.map(({ attributes }: { attributes: { kind: string } }) => attributes.kind)
    expect(kinds).toContain('admin_given')
    expect(kinds).toContain('admin_taken')
  })
})

describe('DELETE /users/{id}', () => {
  test('only of a deactivated user', async () => {
    const { id } = await makeUser(harness, 'erin')
    expect(codeOf(await api('DELETE', `/users/${id}`))).toEqual([409, 'not_deactivated'])
    expect((await api('GET', `/users/${id}`)).status).toBe(200)
  })

  test('the user is in no answer any more, the name stays taken for ever, the homeserver erases', async () => {
    await signedInApp(harness, 'frank')
    const { id } = (await api('GET', '/users/by-username/frank')).body.data
    await api('POST', `/users/${id}/deactivate`, { skip_erase: true })
    await harness.runJobs()
    const count = async () => (await api('GET', '/users?count=only')).body.meta.count
    const before = await count()
    expect((await api('DELETE', `/users/${id}`)).status).toBe(204)
    expect(await count()).toBe(before - 1)
    expect(codeOf(await api('GET', `/users/${id}`))).toEqual([404, 'not_found'])
    expect(codeOf(await api('DELETE', `/users/${id}`))).toEqual([404, 'not_found'])
    expect((await api('GET', '/users/by-username/frank')).status).toBe(404)
    expect((await api('GET', '/users?filter[search]=frank')).body.data).toEqual([])
    expect(codeOf(await api('POST', `/users/${id}/reactivate`))).toEqual([404, 'not_found'])
    const left = await harness.deps
      .sql`select from latchkey.oauth_sessions where user_id = ${uuidFromUlid(id) ?? ''}`
    expect(left.count).toBe(0)
    const again = { username: 'frank', skip_homeserver_check: true }
    expect(codeOf(await api('POST', '/users', again))).toEqual([409, 'username_taken'])
    await harness.runJobs()
    expect(harness.homeserver.users.get('frank')).toMatchObject({ deactivated: true, erased: true })
    const { body } = await api('GET', `/audit-log?filter[target]=${id}&filter[action]=deleteUser`)
    expect(body.data).toHaveLength(1)
    const [row] = await harness.deps.sql`select * from latchkey.users where username = 'frank'`
    expect(row).toMatchObject({ display_name: null, is_admin: false })
  })

  test('an admin only with a token for everything', async () => {
    const grace = await makeUser(harness, 'grace', { isAdmin: true })
    await api('POST', `/users/${grace.id}/deactivate`)
    const { uuid } = await makeUser(harness, 'helper', { isAdmin: true })
    const users = adminCaller(harness, await personalToken(harness, uuid, ['urn:latchkey:admin:users']))
    expect(codeOf(await users('DELETE', `/users/${grace.id}`))).toEqual([403, 'admin_account'])
  })
})

describe('POST /users/{id}/set-username', () => {
  test('not where there is a homeserver', async () => {
    const { id } = await makeUser(harness, 'heidi')
    expect(codeOf(await api('POST', `/users/${id}/set-username`, { username: 'heidi2' }))).toEqual([
      409,
      'homeserver_connected',
    ])
  })

  test('without one: the name changes, with which the person signs in; taken and deleted names do not go', async () => {
    const alone = await createHarness({ config: { matrix: { kind: 'standalone' } } })
    try {
      const admin = await adminOf(alone)
      const ivan = await makeUser(alone, 'ivan')
      const judy = await makeUser(alone, 'judy')
      const rename = (username: string) => admin.api('POST', `/users/${ivan.id}/set-username`, { username })
      await admin.api('POST', `/users/${judy.id}/deactivate`)
      await admin.api('DELETE', `/users/${judy.id}`)
      expect(codeOf(await rename('admin'))).toEqual([409, 'username_taken'])
      expect(codeOf(await rename('judy'))).toEqual([409, 'username_taken'])
      expect(codeOf(await rename('_bridge'))).toEqual([400, 'invalid_body'])
      expect((await rename('ivan.the.first')).body.data.attributes.username).toBe('ivan.the.first')
      expect((await rename('ivan.the.first')).status).toBe(200)
      expect((await admin.api('GET', '/users/by-username/ivan')).status).toBe(404)
      await admin.api('POST', `/users/${ivan.id}/set-password`, { password: PASSWORD })
      const signIn = async (username: string) => {
        const form = await alone.browser().open('/login')
        return (await form.submit({ username, password: PASSWORD })).url.pathname
      }
      expect(await signIn('ivan')).toBe('/login')
      expect(await signIn('ivan.the.first')).not.toBe('/login')
    } finally {
      await alone.close()
    }
  })
})

test('GET /users: by an address, in any case', async () => {
  const { id } = await makeUser(harness, 'mia')
  await api('POST', '/user-emails', { user_id: id, email: 'Mia@Example.com' })
  const found = await api('GET', '/users?filter[email]=mia@example.COM')
  expect(found.body.data.map((user: { id: string }) => user.id)).toEqual([id])
  expect(found.body.meta).toEqual({ count: 1 })
  expect((await api('GET', '/users?filter[email]=mia@example')).body.data).toEqual([])
})

test('POST /users: a picture that the homeserver has', async () => {
  const { status } = await api('POST', '/users', {
    username: 'ken',
    avatar_url: 'mxc://example.test/abcDEF',
    displayname: null,
    password: PASSWORD,
  })
  expect(status).toBe(201)
  expect(harness.homeserver.users.get('ken')).toMatchObject({ avatarUrl: 'mxc://example.test/abcDEF' })
  expect(
    codeOf(await api('POST', '/users', { username: 'lea', avatar_url: 'https://x.test/a.png' })),
  ).toEqual([400, 'invalid_body'])
})

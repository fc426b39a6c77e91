import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
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

describe('/user-emails', () => {
  test('POST gives a user an address, which the homeserver hears of; DELETE takes it away', async () => {
    const { id } = await makeUser(harness, 'alice')
    const made = await api('POST', '/user-emails', { user_id: id, email: ' Alice@Example.com ' })
    expect(made.status).toBe(201)
    expect(made.body.data).toMatchObject({
      type: 'user-email',
      attributes: { user_id: id, email: 'Alice@Example.com' },
    })
    await harness.runJobs()
    expect(harness.homeserver.users.get('alice')?.emails).toEqual(['Alice@Example.com'])
    const { id: emailId } = made.body.data
    expect((await api('GET', `/user-emails/${emailId}`)).body.data.id).toBe(emailId)
    expect((await api('GET', '/user-emails?filter[email]=alice@EXAMPLE.com')).body.meta.count).toBe(1)
    expect((await api('GET', `/user-emails?filter[user]=${id}`)).body.meta.count).toBe(1)
    expect((await api('DELETE', `/user-emails/${emailId}`)).status).toBe(204)
    expect(codeOf(await api('GET', `/user-emails/${emailId}`))).toEqual([404, 'not_found'])
    expect(codeOf(await api('DELETE', `/user-emails/${emailId}`))).toEqual([404, 'not_found'])
    await harness.runJobs()
    expect(harness.homeserver.users.get('alice')?.emails).toEqual([])
  })

  test('an address belongs to one account, in whichever case', async () => {
    const { id } = await makeUser(harness, 'bob')
    const other = await makeUser(harness, 'carol')
    await api('POST', '/user-emails', { user_id: id, email: 'bob@example.com' })
    expect(
      codeOf(await api('POST', '/user-emails', { user_id: other.id, email: 'BOB@example.com' })),
    ).toEqual([409, 'email_taken'])
  })

  test.each([
    [{ user_id: NOBODY, email: 'x@example.com' }, 404, 'not_found'],
    [{ user_id: 'x', email: 'x@example.com' }, 400, 'invalid_body'],
    [{ user_id: NOBODY, email: 'two@a.test, b@c.test' }, 400, 'invalid_email'],
    [{ user_id: NOBODY }, 400, 'invalid_body'],
  ])('%j is refused', async (body, status, code) => {
    expect(codeOf(await api('POST', '/user-emails', body))).toEqual([status, code])
  })

  test('who may administer users only gives no address to an admin: a lost password would be theirs', async () => {
    const users = adminCaller(harness, await personalToken(harness, admin.uuid, ['urn:latchkey:admin:users']))
    const asked = { user_id: admin.id, email: 'attacker@example.com' }
    expect(codeOf(await users('POST', '/user-emails', asked))).toEqual([403, 'admin_account'])
    const { id } = (await api('POST', '/user-emails', { ...asked, email: 'admin@example.com' })).body.data
    expect(codeOf(await users('DELETE', `/user-emails/${id}`))).toEqual([403, 'admin_account'])
  })
})

describe('POST /users with everything at once', () => {
  test('makes account, password and addresses in one transaction', async () => {
    const made = await api('POST', '/users', {
      username: 'erin',
      password: 'correct horse battery staple 42',
      emails: ['erin@example.com', 'e@example.org'],
    })
    expect(made.status).toBe(201)
    const { id } = made.body.data
    expect((await api('GET', `/user-emails?filter[user]=${id}`)).body.meta.count).toBe(2)
    const login = await harness.request('/_matrix/client/v3/login', {
      method: 'POST',
      body: JSON.stringify({
        type: 'm.login.password',
        user: 'erin',
        password: 'correct horse battery staple 42',
      }),
    })
    expect(login.status).toBe(200)
  })

  test('an address that is taken, a weak password: nothing is made', async () => {
    const asked = { username: 'frank', emails: ['new@example.com', 'ERIN@example.com'] }
    const answer = await api('POST', '/users', asked)
    expect(codeOf(answer)).toEqual([409, 'email_taken'])
    expect(answer.body.errors[0].source).toEqual({ pointer: '/emails/1' })
    expect(codeOf(await api('POST', '/users', { username: 'frank', password: 'frank1' }))).toEqual([
      400,
      'password_weak',
    ])
    expect((await api('GET', '/users/by-username/frank')).status).toBe(404)
    expect((await api('GET', '/user-emails?filter[email]=new@example.com')).body.meta.count).toBe(0)
  })
})

test('POST /users/{id}/set-displayname: here and at the homeserver; null takes it away', async () => {
  const { id } = await makeUser(harness, 'gwen')
  const set = await api('POST', `/users/${id}/set-displayname`, { displayname: 'Gwen' })
  expect(set.body.data.attributes.display_name).toBe('Gwen')
  expect(harness.homeserver.users.get('gwen')?.displayName).toBe('Gwen')
  const unset = await api('POST', `/users/${id}/set-displayname`, { displayname: null })
  expect(unset.body.data.attributes.display_name).toBeNull()
})

test('POST /users/{id}/kill-sessions: everything ends, and says how much', async () => {
  const { id, uuid } = await makeUser(harness, 'hal')
  const token = await personalToken(harness, uuid, ['openid'])
  const { body } = await api('POST', `/users/${id}/kill-sessions`)
  expect(body).toEqual({ ended: { browsers: 0, apps: 0, tokens: 1 } })
  expect((await adminCaller(harness, token)('GET', '/version')).status).toBe(401)
})

test('POST /users/{id}/reactivate: the account is back, its password is not', async () => {
  const { id } = await makeUser(harness, 'ida')
  await api('POST', `/users/${id}/deactivate`)
  await harness.runJobs()
  expect((await api('POST', `/users/${id}/reactivate`)).body.data.attributes.deactivated_at).toBeNull()
  await harness.runJobs()
  expect(harness.homeserver.users.get('ida')?.deactivated).toBe(false)
})

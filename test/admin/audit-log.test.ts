import { afterAll, beforeAll, expect, test } from 'bun:test'
import { syncClients } from '../../src/commands/static-clients.ts'
import { type AdminCall, adminOf, makeUser, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'

const CLIENT = '01J44Q10GR4AMTFZEEF936DTCM'

let harness: Harness
let api: AdminCall
let admin: { uuid: string; id: string }
beforeAll(async () => {
  harness = await createHarness({
    config: {
      clients: [
        {
          client_id: CLIENT,
          client_auth_method: 'client_secret_post',
          client_secret: 'a-secret-of-a-client',
        },
      ],
      policy: { data: { admin_clients: [CLIENT] } },
    },
  })
  await syncClients(harness.deps)
  ;({ api, ...admin } = await adminOf(harness))
})
afterAll(() => harness.close())

test('GET /audit-log: who did what to whom, and when; reading leaves no trace', async () => {
  const { id } = await makeUser(harness, 'bob')
  await api('POST', `/users/${id}/lock`)
  harness.clock.advance(1)
  await api('POST', `/users/${id}/unlock`)
  await api('GET', `/users/${id}`)
  const { body } = await api('GET', `/audit-log?filter[target]=${id}`)
  expect(body.data.map((entry: { attributes: unknown }) => entry.attributes)).toEqual([
    {
      at: expect.any(String),
      action: 'lockUser',
      actor_user_id: admin.id,
      actor_username: 'admin',
      actor_client_id: null,
      target_type: 'user',
      target_id: id,
      ip: null,
    },
    expect.objectContaining({ action: 'unlockUser' }),
  ])
  expect((await api('GET', '/audit-log?filter[action]=lockUser&count=only')).body.meta.count).toBe(1)
})

test('from which address, by a person or by an app of its own', async () => {
  const { id } = await makeUser(harness, 'erin')
  const lock = async (token: string, verb: string) => {
    const { status } = await harness.request(`/api/admin/v1/users/${id}/${verb}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': '2001:db8::7' },
    })
    expect(status).toBe(200)
  }
  await lock(await personalToken(harness, admin.uuid, ['urn:mas:admin']), 'lock')
  const asked = await harness.form('/oauth2/token', {
    grant_type: 'client_credentials',
    client_id: CLIENT,
    client_secret: 'a-secret-of-a-client',
    scope: 'urn:mas:admin',
  })
  const { access_token } = (await asked.json()) as { access_token: string }
  harness.clock.advance(1)
  await lock(access_token, 'unlock')
  const { body } = await api('GET', `/audit-log?filter[target]=${id}`)
  expect(body.data.map((entry: { attributes: unknown }) => entry.attributes)).toEqual([
    expect.objectContaining({ ip: '2001:db8::7', actor_user_id: admin.id, actor_client_id: null }),
    expect.objectContaining({ ip: '2001:db8::7', actor_user_id: null, actor_client_id: CLIENT }),
  ])
  const { body: events } = await api('GET', `/events?filter[user]=${id}&filter[source]=admin`)
  expect(events.data.map(({ attributes }: { attributes: { ip: string } }) => attributes.ip)).toEqual([
    '2001:db8::7',
    '2001:db8::7',
  ])
})

test('what was refused is not in it', async () => {
  const { id } = await makeUser(harness, 'carol')
  await api('POST', `/users/${id}/set-password`, { password: 'a' })
  expect((await api('GET', `/audit-log?filter[target]=${id}`)).body.data).toEqual([])
})

test('a follower waits for the next entry, and gets it once', async () => {
  const { body } = await api('GET', '/audit-log?page[last]=1')
  const cursor = body.data[0].id
  const { id } = await makeUser(harness, 'dave')
  harness.clock.advance(1)
  const following = api('GET', `/audit-log?page[after]=${cursor}&wait=20`)
  await api('POST', `/users/${id}/lock`)
  harness.clock.advance(5)
  const { body: news } = await following
  expect(news.data.map((entry: { attributes: { action: string } }) => entry.attributes.action)).toEqual([
    'lockUser',
  ])
  const next = await api('GET', `/audit-log?page[after]=${news.data[0].id}&wait=0`)
  expect(next.body.data).toEqual([])
})

test.each(['wait=31', 'wait=-1', 'wait=x', 'filter[actor]=x'])('%s is refused', async (query) => {
  expect((await api('GET', `/audit-log?${query}`)).status).toBe(400)
})

import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type AdminCall, adminOf, makeUser } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'

let harness: Harness
let api: AdminCall
let admin: { uuid: string; id: string }
beforeAll(async () => {
  harness = await createHarness()
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

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

/** The part of a list of events that says what happened. */
interface Events {
  data: { attributes: { source: string; kind: string } }[]
}
const kinds = ({ data }: Events): string[] =>
  data.map(({ attributes: { source, kind } }) => `${source} ${kind}`)

test('GET /events: both logs in one list, in the order in which things happened', async () => {
  const { id } = await makeUser(harness, 'bob')
  await api('POST', `/users/${id}/lock`)
  harness.clock.advance(1)
  await api('POST', `/users/${id}/unlock`)
  const { body } = await api('GET', `/events?filter[user]=${id}`)
  expect(kinds(body).sort()).toEqual([
    'account locked',
    'account unlocked',
    'admin lockUser',
    'admin unlockUser',
  ])
  expect(kinds(body).slice(0, 2).sort()).toEqual(['account locked', 'admin lockUser'])
  const byAdmin = await api('GET', `/events?filter[user]=${id}&filter[source]=admin&filter[kind]=lockUser`)
  expect(byAdmin.body.data[0].attributes).toMatchObject({
    actor: 'admin',
    actor_user_id: admin.id,
    target_type: 'user',
    target_id: id,
    details: {},
  })
  const [first] = byAdmin.body.data
  const alone = await api('GET', first.links.self)
  expect(alone.body.data.attributes).toEqual(first.attributes)
  expect((await api('GET', first.links.self.replace('events', 'audit-log'))).status).toBe(200)
})

test('after and wait follow it: every event once', async () => {
  const { id } = await makeUser(harness, 'carol')
  harness.clock.advance(5)
  const last = (await api('GET', '/events?page[last]=1')).body.data[0]?.id
  const following = api('GET', `/events?after=${last}&wait=20`)
  await api('POST', `/users/${id}/lock`)
  harness.clock.advance(5)
  const { body } = await following
  expect(kinds(body).sort()).toEqual(['account locked', 'admin lockUser'])
  const next = await api('GET', `/events?after=${body.data.at(-1).id}&wait=0`)
  expect(next.body.data).toEqual([])
  expect(next.body.links.first).not.toContain('after')
})

test.each(['wait=31', 'after=x', 'filter[source]=other', 'filter[user]=x', 'filter[what]=x'])(
  '%s is refused',
  async (query) => {
    expect((await api('GET', `/events?${query}`)).status).toBe(400)
  },
)

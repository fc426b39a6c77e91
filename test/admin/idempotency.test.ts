import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { adminOf, makeUser, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'

let harness: Harness
let token: string
let admin: { uuid: string; id: string }
beforeAll(async () => {
  harness = await createHarness()
  admin = await adminOf(harness)
  token = await personalToken(harness, admin.uuid, ['urn:mas:admin'])
})
afterAll(() => harness.close())

async function create(body: unknown, key: string | undefined, bearer = token) {
  const response = await harness.request('/api/admin/v1/personal-sessions', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${bearer}`,
      'content-type': 'application/json',
      ...(key !== undefined && { 'idempotency-key': key }),
    },
    body: JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}
const wanted = (name: string) => ({ actor_user_id: admin.id, human_name: name, scope: 'openid' })
const made = async (name: string) =>
  (await harness.deps.sql`select id from latchkey.personal_sessions where human_name = ${name}`).length

describe('Idempotency-Key', () => {
  test('asked twice, a creation is made once and answers the same, token included', async () => {
    const first = await create(wanted('twice'), 'key-1')
    const second = await create(wanted('twice'), 'key-1')
    expect(first.status).toBe(201)
    expect(second).toMatchObject({ status: 201, body: first.body })
    expect(await made('twice')).toBe(1)
  })

  test('five at once make one; the others get its answer, or 409 with Retry-After', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => create(wanted('at once'), 'key-2')))
    expect(await made('at once')).toBe(1)
    for (const { status, headers } of answers) {
      expect([201, 409]).toContain(status)
      if (status === 409) expect(headers.get('retry-after')).toBe('1')
    }
    expect((await create(wanted('at once'), 'key-2')).status).toBe(201)
  })

  test('the same key for another body is 422', async () => {
    await create(wanted('one'), 'key-3')
    const { status, body } = await create(wanted('other'), 'key-3')
    expect([status, body.errors[0].code]).toEqual([422, 'idempotency_key_reused'])
  })

  test('what was refused may be tried again under its key', async () => {
    expect((await create({ ...wanted('later'), scope: '"' }, 'key-4')).status).toBe(400)
    expect((await create(wanted('later'), 'key-4')).status).toBe(201)
  })

  test('a key belongs to who uses it', async () => {
    const mine = await create(wanted('mine'), 'key-5')
    const other = await makeUser(harness, 'other', { isAdmin: true })
    const theirs = await create(
      wanted('mine'),
      'key-5',
      await personalToken(harness, other.uuid, ['urn:mas:admin']),
    )
    expect(theirs.status).toBe(201)
    expect(theirs.body.data.id).not.toBe(mine.body.data.id)
  })

  test('a request that died with its process is made again after two minutes', async () => {
    await create(wanted('dead'), 'key-6')
    await harness.deps.sql`delete from latchkey.personal_sessions where human_name = 'dead'`
    await harness.deps.sql`update latchkey.idempotency_keys set status = null, sealed_answer = null
      where created_at = (select max(created_at) from latchkey.idempotency_keys)`
    expect((await create(wanted('dead'), 'key-6')).status).toBe(409)
    harness.clock.advance(121)
    expect((await create(wanted('dead'), 'key-6')).status).toBe(201)
    expect(await made('dead')).toBe(1)
  })

  test('a key that is none: 400; a token is nowhere in clear', async () => {
    expect((await create(wanted('x'), 'a b')).status).toBe(400)
    const { body } = await create(wanted('secret'), 'key-7')
    const rows = await harness.deps.sql`select * from latchkey.idempotency_keys`
    expect(JSON.stringify(rows)).not.toContain(body.data.attributes.access_token)
    expect(JSON.stringify(harness.logged)).not.toContain(body.data.attributes.access_token)
  })
})

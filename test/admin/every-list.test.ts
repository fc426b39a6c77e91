import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { insertMail } from '../../sql/mails.ts'
import type { Operation } from '../../src/admin/operation.ts'
import { OPERATIONS } from '../../src/admin/operations.ts'
import { transact } from '../../src/lib/transact.ts'
import { newId } from '../../src/lib/ulid.ts'
import { type AdminAnswer, type AdminCall, adminOf, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { legacyLogin } from '../support/legacy.ts'
import { signedInApp } from '../support/oauth.ts'

const LISTS = OPERATIONS.filter(({ query }) => query?.properties['page[first]'] !== undefined)
const isSortable = ({ query }: Operation): boolean => query?.properties.sort !== undefined
const NOBODY = '01J00000000000000000000000'
/** How many of everything there are, at least. */
const MANY = 3

let harness: Harness
let api: AdminCall
let token: string
beforeAll(async () => {
  harness = await createHarness({ config: { matrix: { kind: 'synapse' } } })
  const { deps } = harness
  const admin = await adminOf(harness)
  api = admin.api
  token = await personalToken(harness, admin.uuid, ['urn:mas:admin'])
  const made = async (path: string, body: object): Promise<string> => {
    const answer = await api('POST', path, body)
    expect([path, answer.status]).toEqual([path, 201])
    return answer.body.data.id
  }
  for (let index = 0; index < MANY; index++) {
    const name = `person${index}`
    await signedInApp(harness, name)
    await legacyLogin(harness, name)
    const { id } = (await api('GET', `/users/by-username/${name}`)).body.data
    await made('/user-emails', { user_id: id, email: `${name}@example.com` })
    await made('/personal-sessions', { actor_user_id: id, human_name: 'x', scope: 'openid' })
    await made('/user-registration-tokens', {})
    const provider_id = await made('/upstream-oauth-providers', {
      issuer: 'https://id.example.com/',
      client_id: 'latchkey',
      token_endpoint_auth_method: 'none',
    })
    await made('/upstream-oauth-links', { user_id: id, provider_id, subject: name })
    await made('/oauth2-clients', { redirect_uris: ['https://app.example.com/back'] })
    const now = deps.clock.now()
    const mail = { id: newId(now, deps.random), kind: 'test', sealedContent: 'x', expiresAt: null, now }
    await insertMail(deps.sql, mail)
    await deps.sql`update latchkey.mails set given_up_at = ${now}, failure = 'no' where id = ${mail.id}`
    await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'sync-devices', { user_id: admin.uuid }))
  }
})
afterAll(() => harness.close())

const errorOf = ({ status, body }: AdminAnswer) => [status, body.errors[0]?.code, body.errors[0]?.source]
const idsOf = ({ body }: AdminAnswer): string[] => body.data.map(({ id }: { id: string }) => id)

/** Follows links from a page to where there are none any more. */
async function follow(start: string, rel: 'next' | 'prev'): Promise<AdminAnswer[]> {
  const pages: AdminAnswer[] = []
  for (let at: string | undefined = start; at !== undefined; at = pages.at(-1)?.body.links[rel]) {
    pages.push(await api('GET', at))
    expect(pages.at(-1)?.status).toBe(200)
  }
  return pages
}

test('every list is looked at here', () => {
  expect(LISTS.map(({ path }) => path).sort()).toEqual([
    '/audit-log',
    '/compat-sessions',
    '/events',
    '/jobs',
    '/oauth2-clients',
    '/oauth2-sessions',
    '/personal-sessions',
    '/undelivered-mails',
    '/upstream-oauth-links',
    '/upstream-oauth-providers',
    '/user-emails',
    '/user-registration-tokens',
    '/user-sessions',
    '/users',
  ])
})

describe.each(LISTS.map((operation) => [operation.path, operation] as const))('GET %s', (path, operation) => {
  const sorts: { const: string }[] = operation.query?.properties.sort?.anyOf ?? []
  const orders = ['', ...sorts.map(({ const: sort }) => `&sort=${sort}`)]

  test('next leads over everything to the end, prev back to the beginning, in the same order; links are percent-encoded', async () => {
    for (const order of orders) {
      const everything = idsOf(await api('GET', `${path}?page[first]=1000${order}`))
      expect(everything.length).toBeGreaterThanOrEqual(MANY)
      expect(new Set(everything).size).toBe(everything.length)
      const forward = await follow(`${path}?page[first]=2${order}`, 'next')
      expect(forward.flatMap(idsOf)).toEqual(everything)
      expect(forward[0]?.body.links.prev).toBeUndefined()
      const last = forward.at(-1)
      expect(last?.body.links.next).toBeUndefined()
      const backward = await follow(last?.body.links.self, 'prev')
      expect(backward.reverse().flatMap(idsOf)).toEqual(everything)
      const links = forward.flatMap(({ body }) => Object.values<string>(body.links))
      for (const link of links) {
        expect(link).toMatch(/^\/api\/admin\/v1\/[\w-]+\?[\w%=&.~-]+$/)
        expect(link.includes('sort=')).toBe(order !== '')
      }
      expect(links.some((link) => link.includes('page%5Bfirst%5D=2'))).toBe(true)
      expect(idsOf(await api('GET', `${path}?page[last]=2${order}`))).toEqual(everything.slice(-2))
    }
  })

  test('a filter, an order and a cursor that there are not are refused by name', async () => {
    const unknown = await api('GET', `${path}?filter[stauts]=x`)
    expect(errorOf(unknown)).toEqual([400, 'unknown_parameter', { parameter: 'filter[stauts]' }])
    expect(unknown.body.errors[0].title).toContain('filter[stauts]')
    const sort = await api('GET', `${path}?sort=magic`)
    expect(errorOf(sort)).toEqual([
      400,
      isSortable(operation) ? 'invalid_parameter' : 'unknown_parameter',
      { parameter: 'sort' },
    ])
    for (const [name, value] of [
      ['page[after]', 'x'],
      ['page[before]', `${NOBODY}0`],
      ['page[first]', '0'],
      ['page[last]', '-1'],
      ['count', 'perhaps'],
    ])
      expect(errorOf(await api('GET', `${path}?${name}=${value}`))).toEqual([
        400,
        'invalid_parameter',
        { parameter: name },
      ])
  })

  test('each filter takes no value of another kind, and says which one it was', async () => {
    for (const [name, schema] of Object.entries(operation.query?.properties ?? {})) {
      if (!name.startsWith('filter[') || (schema.type === 'string' && schema.pattern === undefined)) continue
      if (schema.type === 'array' && schema.items.pattern === undefined) continue
      const answer = await api('GET', `${path}?${name}=${encodeURIComponent('?')}`)
      expect([name, answer.status, answer.body.errors[0].code]).toEqual([name, 400, 'invalid_parameter'])
      expect(answer.body.errors[0].source.parameter).toStartWith(name)
    }
  })

  test('count: only leaves the items out, false the number, exact counts', async () => {
    const counted = await api('GET', `${path}?count=exact&page[first]=1000`)
    expect(counted.body.meta).toEqual({ count: counted.body.data.length })
    const only = await api('GET', `${path}?count=only`)
    expect([only.body.meta.count, only.body.data]).toEqual([counted.body.meta.count, undefined])
    expect((await api('GET', `${path}?count=false`)).body.meta).toBeUndefined()
  })
})

describe.each(
  OPERATIONS.filter(({ body }) => body !== undefined).map((operation) => [
    `${operation.method} ${operation.path}`,
    operation,
  ]),
)('%s', (_, { method, path }) => {
  const at = path.replace('{id}', NOBODY)

  test('a body that is none, is no JSON or has a member that there is not: each with a code', async () => {
    expect(errorOf(await api(method as 'POST', at, '{"a": '))).toEqual([400, 'invalid_json', undefined])
    expect(errorOf(await api(method as 'POST', at, '[]'))).toEqual([400, 'invalid_body', { pointer: '' }])
    const unknown = await api(method as 'POST', at, { stauts: 1 })
    expect(unknown.status).toBe(400)
    expect(['unknown_member', 'invalid_body']).toContain(unknown.body.errors[0].code)
    const plain = await harness.request(`/api/admin/v1${at}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'text/plain' },
      body: '{}',
    })
    const { errors } = (await plain.json()) as { errors: { code: string }[] }
    expect([plain.status, errors[0]?.code]).toEqual([415, 'not_json'])
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { checkRegistrationToken, claimRegistrationToken } from '../../src/identity/registration-tokens.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminOf } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'

let harness: Harness
let api: AdminCall
beforeAll(async () => {
  harness = await createHarness()
  ;({ api } = await adminOf(harness))
})
afterAll(() => harness.close())

const PATH = '/user-registration-tokens'
const codeOf = ({ status, body }: { status: number; body: { errors: { code: string }[] } }) => [
  status,
  body.errors[0]?.code,
]
const check = (typed: string) =>
  checkRegistrationToken(harness.deps, typed, { ip: '192.0.2.1', userAgent: undefined })
const claim = (id: string) =>
  harness.deps.sql.begin((tx) => claimRegistrationToken(harness.deps, tx, uuidFromUlid(id) ?? ''))

test('POST makes a random token without limits, that works and is listed with its text', async () => {
  const made = await api('POST', PATH, {})
  expect(made.status).toBe(201)
  expect(made.body.data).toMatchObject({
    type: 'user-registration_token',
    attributes: { valid: true, usage_limit: null, times_used: 0, expires_at: null, revoked_at: null },
  })
  const { token } = made.body.data.attributes
  expect(token).toMatch(/^[A-Za-z0-9]{12}$/)
  expect((await api('GET', `${PATH}/${made.body.data.id}`)).body.data).toEqual(made.body.data)
  expect(await check(` ${token} `)).toBe(uuidFromUlid(made.body.data.id))
  expect(JSON.stringify(harness.logged)).not.toContain(token)
  const [row] = await harness.deps.sql`select * from latchkey.registration_tokens`
  expect(JSON.stringify(row)).not.toContain(token)
})

test('a text of one’s own, once', async () => {
  expect((await api('POST', PATH, { token: 'welcome-2026' })).body.data.attributes.token).toBe('welcome-2026')
  expect(codeOf(await api('POST', PATH, { token: 'welcome-2026' }))).toEqual([409, 'token_taken'])
  expect(codeOf(await api('POST', PATH, { token: 'with space' }))).toEqual([400, 'invalid_body'])
})

test('a limit is never passed, however many claim at once', async () => {
  const { id, attributes } = (await api('POST', PATH, { usage_limit: 3 })).body.data
  const claims = await Promise.all(Array.from({ length: 8 }, () => claim(id)))
  expect(claims.filter((claimed) => claimed)).toHaveLength(3)
  expect((await api('GET', `${PATH}/${id}`)).body.data.attributes).toMatchObject({
    times_used: 3,
    valid: false,
  })
  expect(await check(attributes.token)).toBeUndefined()
})

test('PUT keeps what is absent, and takes away what is null', async () => {
  const { id } = (await api('POST', PATH, { usage_limit: 1, expires_at: '2030-01-01T00:00:00Z' })).body.data
  const kept = await api('PUT', `${PATH}/${id}`, { usage_limit: 5 })
  expect(kept.body.data.attributes).toMatchObject({ usage_limit: 5, expires_at: '2030-01-01T00:00:00.000Z' })
  const taken = await api('PUT', `${PATH}/${id}`, { expires_at: null })
  expect(taken.body.data.attributes).toMatchObject({ usage_limit: 5, expires_at: null })
})

test('an expired one and a revoked one do not work; revocation can be taken back', async () => {
  const expired = (await api('POST', PATH, { expires_at: '2020-01-01T00:00:00Z' })).body.data
  expect(await check(expired.attributes.token)).toBeUndefined()
  const { id, attributes } = (await api('POST', PATH, {})).body.data
  expect((await api('POST', `${PATH}/${id}/revoke`)).body.data.attributes).toMatchObject({ valid: false })
  expect(await claim(id)).toBe(false)
  expect(codeOf(await api('POST', `${PATH}/${id}/revoke`))).toEqual([400, 'already_revoked'])
  expect((await api('POST', `${PATH}/${id}/unrevoke`)).body.data.attributes.valid).toBe(true)
  expect(await check(attributes.token)).toBeString()
  expect(codeOf(await api('POST', `${PATH}/${id}/unrevoke`))).toEqual([400, 'not_revoked'])
})

describe('GET', () => {
  test.each([
    ['used', 1],
    ['revoked', 0],
    ['expired', 1],
    ['valid', 4],
  ])('filter[%s]', async (name, count) => {
    const total = (await api('GET', `${PATH}?count=only`)).body.meta.count
    expect((await api('GET', `${PATH}?count=only&filter[${name}]=true`)).body.meta.count).toBe(count)
    expect((await api('GET', `${PATH}?count=only&filter[${name}]=false`)).body.meta.count).toBe(total - count)
  })
})

test('guesses are limited', async () => {
  const guess = (typed: string) =>
    checkRegistrationToken(harness.deps, typed, { ip: '192.0.2.99', userAgent: undefined })
  for (let i = 0; i < 20; i++) expect(await guess(`guess${i}`)).toBeUndefined()
  expect(guess('one more')).rejects.toThrow('rate limited')
})

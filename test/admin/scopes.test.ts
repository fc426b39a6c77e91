import { afterAll, beforeAll, expect, test } from 'bun:test'
import { OPERATIONS } from '../../src/admin/operations.ts'
import { adminCaller, adminOf, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'

const NOBODY = '01J00000000000000000000000'

/** What each part of the API is called below `/api/admin/v1`. */
const AREAS: Record<string, string[]> = {
  users: [
    'upstream-oauth-links',
    'upstream-oauth-providers',
    'user-emails',
    'user-registration-tokens',
    'users',
  ],
  sessions: ['compat-sessions', 'oauth2-sessions', 'personal-sessions', 'user-sessions'],
  clients: ['oauth2-clients'],
  server: ['audit-log', 'events', 'jobs', 'policy-data', 'site-config', 'undelivered-mails', 'version'],
}
/** Whoever may do these could give themselves every other right: they need `urn:mas:admin`. */
const EVERYTHING_ONLY = [
  'DELETE /upstream-oauth-providers/{id}',
  'POST /oauth2-clients',
  'POST /oauth2-clients/{id}/regenerate-secret',
  'POST /personal-sessions',
  'POST /personal-sessions/{id}/regenerate',
  'POST /policy-data',
  'POST /upstream-oauth-providers',
  'POST /upstream-oauth-providers/{id}/disable',
  'POST /upstream-oauth-providers/{id}/enable',
  'POST /users/{id}/set-admin',
  'PUT /oauth2-clients/{id}',
  'PUT /upstream-oauth-providers/{id}',
]

let harness: Harness
let admin: { uuid: string }
beforeAll(async () => {
  harness = await createHarness()
  admin = await adminOf(harness)
})
afterAll(() => harness.close())

/** The operations that a token with the scope gets at, each asked with the id of nothing and, where it takes one, no use of a body. */
async function opened(scope: string): Promise<string[]> {
  const api = adminCaller(harness, await personalToken(harness, admin.uuid, [scope]))
  const open: string[] = []
  for (const { method, path, body } of OPERATIONS) {
    const at = path.replace(/\{\w+\}/, NOBODY)
    const answer = await api(method as 'POST', at, body && { stauts: 1 })
    if (answer.status !== 403) open.push(`${method} ${path}`)
    else expect([path, answer.body.errors[0].code]).toEqual([path, 'scope_missing'])
  }
  return open.sort()
}
const all = () => OPERATIONS.map(({ method, path }) => `${method} ${path}`).sort()
/** What ends sessions is of their part, wherever it is. */
const areaOf = (operation: string) =>
  operation.endsWith('/kill-sessions') ? 'user-sessions' : (operation.split('/')[1] ?? '')

test('urn:mas:admin opens every operation', async () => {
  expect(await opened('urn:mas:admin')).toEqual(all())
})

test('urn:latchkey:admin:read opens everything that reads, and nothing that changes', async () => {
  expect(await opened('urn:latchkey:admin:read')).toEqual(all().filter((line) => line.startsWith('GET ')))
})

test.each(Object.keys(AREAS))('urn:latchkey:admin:%s opens its part, and nothing else', async (area) => {
  expect(await opened(`urn:latchkey:admin:${area}`)).toEqual(
    all().filter((line) => AREAS[area]?.includes(areaOf(line)) && !EVERYTHING_ONLY.includes(line)),
  )
})

test('every operation is in one part', () => {
  expect([...new Set(all().map(areaOf))].sort()).toEqual(Object.values(AREAS).flat().sort())
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { OPERATIONS } from '../../src/admin/operations.ts'
import { startSession } from '../../src/identity/sessions.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { type AdminCall, adminCaller, adminOf, makeUser, personalToken } from '../support/admin.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { passwordLogin, postMatrix } from '../support/legacy.ts'
import { PASSWORD, signedInApp } from '../support/oauth.ts'

/**
 * What the consoles that people have call, and what they read of the answers, taken from their sources: Element Admin
 * (October 2025) and Ketesa (August 2026), and from what they called as they ran (`bun run consoles`). They must work as they
 * are.
 */

interface Row {
  call: string
  query?: Record<string, string>
  body?: unknown
  status?: number
  /** Of each item: attributes that are read. */
  reads?: string[]
}

const LINKS = { 'page[first]': '10', count: 'false' }
const SESSION = ['user_id', 'created_at', 'finished_at', 'user_agent', 'last_active_at', 'last_active_ip']
const TOKEN = [
  'token',
  'valid',
  'usage_limit',
  'times_used',
  'created_at',
  'last_used_at',
  'expires_at',
  'revoked_at',
]
const USER = ['username', 'created_at', 'locked_at', 'deactivated_at', 'admin', 'legacy_guest']
const PERSONAL = [
  'owner_user_id',
  'human_name',
  'scope',
  'created_at',
  'revoked_at',
  'last_active_at',
  'last_active_ip',
  'expires_at',
]
const LINK = ['created_at', 'provider_id', 'subject', 'user_id', 'human_account_name']
const PROVIDER = ['issuer', 'human_name', 'brand_name', 'created_at', 'disabled_at']

const ELEMENT_ADMIN: Row[] = [
  { call: 'GET /site-config' },
  { call: 'GET /users', query: { 'page[first]': '100', count: 'false' }, reads: USER },
  {
    call: 'GET /users',
    query: {
      'page[last]': '100',
      count: 'false',
      'filter[admin]': 'false',
      'filter[legacy-guest]': 'false',
      'filter[status]': 'active',
      'filter[search]': 'ali',
    },
    reads: USER,
  },
  { call: 'GET /users', query: { count: 'only' } },
  { call: 'GET /users', query: { count: 'only', 'filter[status]': 'locked' } },
  // While somebody types.
  {
    call: 'GET /users',
    query: { 'page[first]': '200', count: 'false', 'filter[search]': 'al' },
    reads: USER,
  },
  { call: 'GET /users/{user}', reads: USER },
  { call: 'POST /users', body: { username: 'made-by-element-admin' }, status: 201, reads: USER },
  { call: 'POST /users/{user}/lock', reads: USER },
  { call: 'POST /users/{user}/unlock', reads: USER },
  {
    call: 'POST /users/{user}/set-password',
    body: { password: PASSWORD, skip_password_check: false },
    status: 204,
  },
  { call: 'POST /users/{user}/set-admin', body: { admin: true }, reads: USER },
  { call: 'POST /users/{user}/set-admin', body: { admin: false }, reads: USER },
  { call: 'GET /user-emails', query: { 'filter[user]': '{user}', ...LINKS }, reads: ['email', 'user_id'] },
  {
    call: 'POST /user-emails',
    body: { email: 'second@example.com', user_id: '{user}' },
    status: 201,
    reads: ['email'],
  },
  {
    call: 'GET /user-registration-tokens',
    query: {
      'page[first]': '100',
      count: 'false',
      'filter[used]': 'false',
      'filter[revoked]': 'false',
      'filter[expired]': 'false',
      'filter[valid]': 'true',
    },
    reads: TOKEN,
  },
  { call: 'GET /user-registration-tokens', query: { count: 'only' } },
  { call: 'GET /user-registration-tokens/{token}', reads: TOKEN },
  { call: 'POST /user-registration-tokens', body: {}, status: 201, reads: TOKEN },
  {
    call: 'POST /user-registration-tokens',
    body: { token: 'element-admin', usage_limit: 3, expires_at: '2030-01-01T00:00:00.000Z' },
    status: 201,
    reads: TOKEN,
  },
  { call: 'PUT /user-registration-tokens/{token}', body: { usage_limit: 5 }, reads: TOKEN },
  {
    call: 'PUT /user-registration-tokens/{token}',
    body: { usage_limit: null, expires_at: null },
    reads: TOKEN,
  },
  { call: 'POST /user-registration-tokens/{token}/revoke', reads: TOKEN },
  { call: 'POST /user-registration-tokens/{token}/unrevoke', reads: TOKEN },
  { call: 'DELETE /user-emails/{email}', status: 204 },
  { call: 'POST /users/{user}/deactivate', reads: USER },
  { call: 'POST /users/{user}/reactivate', reads: USER },
]

const COUNTED = { 'page[first]': '25', count: 'true' }
const OF_USER = { ...COUNTED, 'filter[user]': '{user}' }

const KETESA: Row[] = [
  { call: 'GET /site-config' },
  { call: 'GET /version' },
  { call: 'GET /users', query: { 'page[first]': '100', count: 'true' }, reads: USER },
  {
    call: 'GET /users',
    query: { 'filter[search]': 'alice', 'page[first]': '50', count: 'true' },
    reads: USER,
  },
  {
    call: 'GET /users',
    query: { ...COUNTED, 'filter[status]': 'active', 'filter[admin]': 'true' },
    reads: USER,
  },
  { call: 'GET /users/{user}', reads: USER },
  { call: 'POST /users', body: { username: 'made-by-ketesa' }, status: 201, reads: USER },
  { call: 'POST /users/{user}/lock' },
  { call: 'POST /users/{user}/unlock' },
  { call: 'POST /users/{user}/set-admin', body: { admin: false } },
  { call: 'POST /users/{user}/set-password', body: { password: PASSWORD }, status: 204 },
  {
    call: 'GET /user-emails',
    query: { ...OF_USER, 'filter[email]': 'alice@example.com' },
    reads: ['email', 'user_id', 'created_at'],
  },
  {
    call: 'POST /user-emails',
    body: { user_id: '{user}', email: 'third@example.com' },
    status: 201,
    reads: ['email', 'user_id', 'created_at'],
  },
  {
    call: 'GET /compat-sessions',
    query: { ...OF_USER, 'filter[status]': 'active' },
    reads: [...SESSION, 'device_id', 'human_name'],
  },
  {
    call: 'GET /oauth2-sessions',
    query: { ...OF_USER, 'filter[status]': 'active' },
    reads: [...SESSION, 'client_id', 'scope', 'human_name'],
  },
  { call: 'GET /user-sessions', query: { ...OF_USER, 'filter[status]': 'active' }, reads: SESSION },
  {
    call: 'GET /personal-sessions',
    query: { ...OF_USER, 'filter[status]': 'revoked' },
    reads: PERSONAL,
  },
  { call: 'GET /personal-sessions', query: OF_USER, reads: PERSONAL },
  {
    call: 'POST /personal-sessions',
    body: { actor_user_id: '{user}', scope: 'openid', human_name: 'Ketesa', expires_in: 3600 },
    status: 201,
    reads: [...PERSONAL, 'access_token'],
  },
  { call: 'POST /personal-sessions/{personal}/regenerate', status: 201, reads: PERSONAL },
  { call: 'POST /personal-sessions/{personal}/revoke', reads: PERSONAL },
  { call: 'POST /oauth2-sessions/{app}/finish' },
  { call: 'POST /compat-sessions/{older}/finish' },
  { call: 'POST /user-sessions/{browser}/finish' },
  { call: 'POST /policy-data', body: { data: { registration: {} } }, status: 201, reads: ['data'] },
  { call: 'GET /policy-data/latest', reads: ['data', 'created_at'] },
  {
    call: 'GET /user-registration-tokens',
    query: { ...COUNTED, 'filter[valid]': 'true' },
    reads: TOKEN,
  },
  {
    call: 'POST /user-registration-tokens',
    body: { usage_limit: 1, expires_at: '2030-01-01T00:00:00.000Z' },
    status: 201,
    reads: TOKEN,
  },
  { call: 'PUT /user-registration-tokens/{token}', body: { usage_limit: 2 }, reads: TOKEN },
  { call: 'POST /user-registration-tokens/{token}/revoke', reads: TOKEN },
  { call: 'POST /user-registration-tokens/{token}/unrevoke', reads: TOKEN },
  { call: 'DELETE /user-emails/{email}', status: 204 },
  { call: 'POST /users/{user}/deactivate' },
  { call: 'POST /users/{user}/reactivate' },
]

/** Both; the account of another provider is made with other ids than these tests have. */
const UPSTREAM: Row[] = [
  { call: 'GET /upstream-oauth-links', query: { 'filter[user]': '{user}', ...LINKS }, reads: LINK },
  { call: 'GET /upstream-oauth-links', query: OF_USER, reads: LINK },
  {
    call: 'GET /upstream-oauth-providers',
    query: { 'page[first]': '1000', count: 'false' },
    reads: PROVIDER,
  },
  {
    call: 'GET /upstream-oauth-providers',
    query: { ...COUNTED, 'filter[enabled]': 'true' },
    reads: PROVIDER,
  },
]

let harness: Harness
let api: AdminCall
/** What `{name}` in a row stands for. */
const known: Record<string, string> = {}

async function prepare(): Promise<void> {
  harness = await createHarness()
  const admin = await adminOf(harness)
  ;({ api } = admin)
  await signedInApp(harness, 'alice')
  const user = (await api('GET', '/users/by-username/alice')).body.data.id
  const { uuid } = await makeUser(harness, 'bob')
  const browser = await harness.deps.sql.begin((tx) =>
    startSession(harness.deps, tx, uuid, { ip: undefined, userAgent: undefined }, 'password'),
  )
  const email = await api('POST', '/user-emails', { user_id: user, email: 'alice@example.com' })
  const token = await api('POST', '/user-registration-tokens', {})
  const asked = { actor_user_id: user, human_name: 'script', scope: 'openid' }
  const personal = await api('POST', '/personal-sessions', asked)
  const app = await api('GET', `/oauth2-sessions?filter[user]=${user}`)
  await postMatrix(harness, 'login', passwordLogin('alice'))
  const older = await api('GET', `/compat-sessions?filter[user]=${user}`)
  Object.assign(known, {
    user,
    browser: ulidFromUuid(browser.id),
    email: email.body.data.id,
    token: token.body.data.id,
    personal: personal.body.data.id,
    app: app.body.data[0].id,
    older: older.body.data[0].id,
  })
}

const filled = (text: string): string => text.replace(/\{(\w+)\}/g, (_, name: string) => known[name] ?? name)

async function check({ call, query, body, status = 200, reads = [] }: Row): Promise<void> {
  const [method = '', path = ''] = call.split(' ')
  const search = new URLSearchParams(
    Object.entries(query ?? {}).map(([name, value]): [string, string] => [name, filled(value)]),
  )
  const answer = await api(
    method as Parameters<AdminCall>[0],
    filled(path) + (query ? `?${search}` : ''),
    body === undefined ? undefined : filled(JSON.stringify(body)),
  )
  expect([call, answer.status, answer.body?.errors]).toEqual([call, status, undefined])
  if (query?.count === 'only' || query?.count === 'true') expect(answer.body.meta.count).toBeNumber()
  const items = Array.isArray(answer.body?.data) ? answer.body.data : [answer.body?.data]
  for (const item of items.filter((one: unknown) => one !== undefined && reads.length > 0)) {
    expect([item.id, item.links.self]).toEqual([expect.any(String), expect.any(String)])
    expect(Object.keys(item.attributes)).toEqual(expect.arrayContaining(reads))
  }
  if (Array.isArray(answer.body?.data)) for (const item of items) expect(item.meta.page.cursor).toBe(item.id)
}

describe.each([
  ['Element Admin', ELEMENT_ADMIN],
  ['Ketesa', KETESA],
] as const)('%s works as it is', (_, rows) => {
  beforeAll(prepare)
  afterAll(() => harness.close())

  test.each(
    rows.map((row): [string, Row] => [`${row.call} ${JSON.stringify(row.query ?? row.body ?? '')}`, row]),
  )('%s', (_name, row) => check(row))

  test.skipIf(!OPERATIONS.some(({ path }) => path === '/upstream-oauth-links'))(
    'accounts of other providers are listed',
    async () => {
      for (const row of UPSTREAM) await check(row)
    },
  )

  test('they page by the cursors of links, or of items', async () => {
    const first = await api('GET', '/users?page[first]=1&count=false')
    const cursor = new URL(first.body.links.next, 'https://example.invalid').searchParams.get('page[after]')
    expect(cursor).toBe(first.body.data[0].meta.page.cursor)
    const second = await api('GET', `/users?page[first]=1&count=false&page[after]=${cursor}`)
    expect(second.body.links.prev).toBeString()
    const last = await api('GET', '/users?page[last]=1&count=false')
    expect(last.body.links.next).toBeUndefined()
  })

  test('an unknown user is 404, which is shown as "not found"', async () => {
    expect((await api('GET', '/users/01HZX1V2E3Q4R5S6T7V8W9XAYB')).status).toBe(404)
  })

  test('who may not is told in errors[].title, from a page of any other origin', async () => {
    const { uuid } = await makeUser(harness, `reader-${harness.clock.now().getTime()}`, { isAdmin: true })
    const reader = adminCaller(harness, await personalToken(harness, uuid, ['openid']))
    expect((await reader('GET', '/users')).body.errors[0].title).toBeString()
    const preflight = await harness.request('/api/admin/v1/users', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://console.example.org',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    })
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('authorization')
  })
})

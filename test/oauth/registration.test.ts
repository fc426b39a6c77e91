import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { REGISTRATION_LIMIT } from '../../src/oauth/registration.ts'
import { DEVICE_GRANT } from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { basic, WEB_CLIENT } from '../support/oauth.ts'

let harness: Harness
let other: Harness
beforeAll(async () => {
  harness = await createHarness()
  other = await createHarness({ beside: harness })
})
afterAll(async () => {
  await other.close()
  await harness.close()
})

let address = 0
/** Every call comes from another address, but where the limit is tested. */
const post = (body: unknown, headers: Record<string, string> = {}, process = harness): Promise<Response> =>
  process.request('/oauth2/registration', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': `192.0.2.${++address % 250}`,
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

async function register(body: unknown, process = harness): Promise<Record<string, unknown>> {
  const response = await post(body, {}, process)
  const answer = (await response.json()) as Record<string, unknown>
  expect([response.status, answer.error_description]).toEqual([201, undefined])
  return answer
}

async function refused(body: unknown, headers: Record<string, string> = {}): Promise<[number, unknown]> {
  const response = await post(body, headers)
  const answer = (await response.json()) as { error?: string; error_description?: string }
  expect(answer.error_description).toBeString()
  return [response.status, answer.error]
}

const METADATA = 'invalid_client_metadata'
const REDIRECT = 'invalid_redirect_uri'

describe('POST /oauth2/registration: the answer (RFC 7591 3.2.1, reference 7.3)', () => {
  test('a public client: 201, never kept, no secret', async () => {
    const response = await post(WEB_CLIENT)
    expect([response.status, response.headers.get('cache-control')]).toEqual([201, 'no-store'])
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    const answer = (await response.json()) as Record<string, unknown>
    expect(answer).toEqual({
      ...WEB_CLIENT,
      client_id: expect.stringMatching(/^[0-9A-Z]{26}$/),
      client_id_issued_at: Math.floor(harness.clock.now().getTime() / 1000),
    })
  })

  test('the implicit default method, client_secret_basic, gets a secret that works (our deviation from edge 27)', async () => {
    const { token_endpoint_auth_method: _, ...implicit } = WEB_CLIENT
    const answer = await register(implicit)
    expect(answer.token_endpoint_auth_method).toBe('client_secret_basic')
    expect(answer.client_secret).toMatch(/^[0-9A-Za-z]{32}$/)
    expect(answer.client_secret_expires_at).toBe(0)
    const response = await harness.form(
      '/oauth2/token',
      { grant_type: 'refresh_token', refresh_token: 'x' },
      basic(String(answer.client_id), String(answer.client_secret)),
    )
    expect(await response.json()).toMatchObject({ error: 'invalid_grant' })
    const stored = await harness.database.sql`select * from latchkey.clients`
    expect(JSON.stringify(stored)).not.toContain(String(answer.client_secret))
  })

  test('unknown members are left out, whatever they are called', async () => {
    const odd =
      '{"foo":1,"constructor":"x","toString":1,"__proto__":{"client_name":"y"},"hasOwnProperty":true,'
    const answer = await register(odd + JSON.stringify({ ...WEB_CLIENT, client_name: 'Odd' }).slice(1))
    for (const name of ['foo', 'constructor', 'toString', '__proto__', 'hasOwnProperty'])
      expect([name, Object.hasOwn(answer, name)]).toEqual([name, false])
  })

  test('grants that are not served are dropped', async () => {
    const answer = await register({
      ...WEB_CLIENT,
      grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:token-exchange', 'foo'],
    })
    expect(answer.grant_types).toEqual(['authorization_code'])
  })
})

describe('identical registrations share one client (edge 28)', () => {
  test('in any order of members, redirect URIs, grants and contacts', async () => {
    const redirect_uris = ['https://app.example.com/a', 'https://app.example.com/b']
    const first = await register({ ...WEB_CLIENT, redirect_uris, contacts: ['a@x.test', 'b@x.test'] })
    const again = await register({
      contacts: ['b@x.test', 'a@x.test'],
      ...Object.fromEntries(Object.entries(WEB_CLIENT).reverse()),
      grant_types: [...WEB_CLIENT.grant_types].reverse(),
      redirect_uris: [...redirect_uris].reverse(),
      unknown: 'member',
    })
    expect(again).toEqual(first)
    const different = await register({
      ...WEB_CLIENT,
      redirect_uris: redirect_uris.slice(0, 1),
      contacts: ['a@x.test'],
    })
    expect(different.client_id).not.toBe(first.client_id)
  })

  test('a grant that the operator switches on later is there for those who ask once more', async () => {
    const withoutDevices = await createHarness({
      beside: harness,
      config: { oauth: { device_code_grant_enabled: false } },
    })
    const metadata = {
      ...WEB_CLIENT,
      client_name: 'Early',
      grant_types: [...WEB_CLIENT.grant_types, DEVICE_GRANT],
    }
    const before = await register(metadata, withoutDevices)
    expect(before.grant_types).toEqual(WEB_CLIENT.grant_types)
    const after = await register(metadata)
    expect([after.client_id, after.grant_types]).toEqual([before.client_id, metadata.grant_types])
    const asked = await harness.form('/oauth2/device', {
      client_id: String(after.client_id),
      scope: 'openid',
    })
    expect(asked.status).toBe(200)
    await withoutDevices.close()
  })

  test('at the same instant in two processes', async () => {
    for (let round = 0; round < 5; round++) {
      const metadata = { ...WEB_CLIENT, client_name: `Twin ${round}` }
      const answers = await Promise.all(
        [harness, other, harness, other].map((process) => register(metadata, process)),
      )
      expect(new Set(answers.map(({ client_id }) => client_id)).size).toBe(1)
    }
  })

  test('but not those that get a secret', async () => {
    const confidential = { ...WEB_CLIENT, token_endpoint_auth_method: 'client_secret_post' }
    const [a, b] = [await register(confidential), await register(confidential)]
    expect(a.client_id).not.toBe(b.client_id)
    expect(a.client_secret).not.toBe(b.client_secret)
  })
})

const native = (uri: string, more: object = {}) => ({
  ...WEB_CLIENT,
  application_type: 'native',
  redirect_uris: [uri],
  ...more,
})

describe('what may be registered (reference 7.2)', () => {
  test.each<[string, object]>([
    ['https on the host', { redirect_uris: ['https://app.example.com/x?y=1'] }],
    ['https below the host, any port', { redirect_uris: ['https://sub.app.example.com:8443/'] }],
    ['native loopback address', native('http://127.0.0.1:1234/cb')],
    ['native loopback IPv6', native('http://[::1]/cb')],
    ['native loopback name', native('http://localhost/')],
    ['native private scheme', native('com.example.app:/cb')],
    ['native private scheme below it', native('com.example.app.debug:/cb')],
    ['logo below the host', { logo_uri: 'https://cdn.app.example.com/x.png' }],
    ['a localised name', { client_name: 'App', 'client_name#fr': 'Appli', 'client_name#zh-Hans': '应用' }],
    [
      'no redirect URI without a redirecting grant',
      { redirect_uris: undefined, grant_types: ['refresh_token'], response_types: [] },
    ],
    ['a signing algorithm that we have', { id_token_signed_response_alg: 'ES256' }],
  ])('accepted: %s', async (_name, metadata) => {
    await register({ ...WEB_CLIENT, ...metadata })
  })

  test.each<[string, object, string]>([
    ['no client_uri', { client_uri: undefined }, METADATA],
    ['http client_uri', { client_uri: 'http://app.example.com/' }, METADATA],
    [
      'local client_uri',
      { client_uri: 'https://localhost/', redirect_uris: ['https://localhost/cb'] },
      REDIRECT,
    ],
    ['no redirect URIs', { redirect_uris: undefined }, REDIRECT],
    ['empty redirect URIs', { redirect_uris: [] }, REDIRECT],
    ['redirect with a fragment', { redirect_uris: ['https://app.example.com/cb#x'] }, REDIRECT],
    ['redirect with an empty fragment', { redirect_uris: ['https://app.example.com/cb#'] }, REDIRECT],
    [
      'redirect with a query that is no text',
      { redirect_uris: ['https://app.example.com/cb?%ff'] },
      REDIRECT,
    ],
    ['redirect with half an escape', { redirect_uris: ['https://app.example.com/cb?100%'] }, REDIRECT],
    ['redirect elsewhere', { redirect_uris: ['https://evil.test/cb'] }, REDIRECT],
    ['redirect to a longer host', { redirect_uris: ['https://evilapp.example.com/'] }, REDIRECT],
    ['redirect over http', { redirect_uris: ['http://app.example.com/cb'] }, REDIRECT],
    ['redirect with a password', { redirect_uris: ['https://a:b@app.example.com/cb'] }, REDIRECT],
    ['redirect that is no URI', { redirect_uris: ['callback'] }, REDIRECT],
    [
      'one good redirect, one bad',
      { redirect_uris: ['https://app.example.com/', 'https://evil.test/'] },
      REDIRECT,
    ],
    ['web loopback', { redirect_uris: ['http://127.0.0.1/cb'] }, REDIRECT],
    ['web private scheme', { redirect_uris: ['com.example.app:/cb'] }, REDIRECT],
    ['native foreign private scheme', native('org.evil.app:/cb'), REDIRECT],
    ['native scheme that only begins alike', native('com.example.application:/cb'), REDIRECT],
    ['native private scheme with an authority', native('com.example.app://cb'), REDIRECT],
    ['native scheme without a dot', native('myapp:/cb'), REDIRECT],
    ['native javascript', native('javascript:alert(1)'), REDIRECT],
    ['native data', native('data:text/html,x'), REDIRECT],
    ['native host that begins like loopback', native('http://127.0.0.1.evil.test/cb'), REDIRECT],
    ['logo elsewhere', { logo_uri: 'https://evil.test/x.png' }, METADATA],
    ['policy over http', { policy_uri: 'http://app.example.com/p' }, METADATA],
    ['terms of another host', { tos_uri: 'https://example.org/' }, METADATA],
    [
      'a client_uri that is a public suffix',
      { client_uri: 'https://co.uk/', redirect_uris: ['https://x.co.uk/'] },
      METADATA,
    ],
    [
      'a private public suffix',
      { client_uri: 'https://github.io/', redirect_uris: ['https://x.github.io/'] },
      METADATA,
    ],
    [
      'a localised URI on a public suffix',
      { tos_uri: 'https://app.example.com/t', 'tos_uri#fr': 'https://com/' },
      METADATA,
    ],
    ['response_type without its grant', { response_types: ['id_token'] }, METADATA],
    ['response_type code without its grant', { grant_types: ['refresh_token'] }, METADATA],
    ['jwks and jwks_uri', { jwks: { keys: [] }, jwks_uri: 'https://app.example.com/jwks' }, METADATA],
    ['sector_identifier_uri over http', { sector_identifier_uri: 'http://app.example.com/' }, METADATA],
    ['initiate_login_uri over http', { initiate_login_uri: 'http://app.example.com/' }, METADATA],
    ['an unknown method', { token_endpoint_auth_method: 'magic' }, METADATA],
    ['assertions signed with none', { token_endpoint_auth_signing_alg: 'none' }, METADATA],
    ['an ID token signed with none', { id_token_signed_response_alg: 'none' }, METADATA],
    ['an ID token signed with a secret', { id_token_signed_response_alg: 'HS256' }, METADATA],
    ['userinfo signed with what we cannot', { userinfo_signed_response_alg: 'ES512' }, METADATA],
    [
      'client credentials without credentials',
      { grant_types: ['authorization_code', 'client_credentials'] },
      METADATA,
    ],
    ['a localised member without its base', { 'tos_uri#fr': 'https://app.example.com/t' }, METADATA],
    ['a member that is null', { client_name: null }, METADATA],
    ['a localised member that is null', { 'client_name#fr': null }, METADATA],
    ['a broken language tag', { 'client_name#!': 'x' }, METADATA],
    ['a broken language tag of an unknown member', { 'foo#': 'x' }, METADATA],
    ['a NUL', { client_name: 'a\0b' }, METADATA],
    ['half a character', { client_name: 'a\ud800b' }, METADATA],
    ['half a character in a name of a member', { 'client_name#fr': '\udfff' }, METADATA],
    ['a name that is no string', { client_name: 7 }, METADATA],
    ['redirect URIs that are no list', { redirect_uris: 'https://app.example.com/' }, METADATA],
    ['a list with null', { grant_types: [null] }, METADATA],
    ['a name that turns the direction of the sentence it stands in', { client_name: 'App\u202e' }, METADATA],
    ['a name that closes an isolate', { client_name: 'App\u2069' }, METADATA],
    ['a localised name that does', { client_name: 'App', 'client_name#fr': 'App\u2067' }, METADATA],
    ['a name with a line break', { client_name: 'App\nmore' }, METADATA],
    ['a name with an escape sequence', { client_name: 'App\u001b[2J' }, METADATA],
    ['a name that fills the page', { client_name: 'x'.repeat(201) }, METADATA],
    ['metadata of more than 32 kB', { contacts: Array(400).fill('x'.repeat(100)) }, METADATA],
    [
      'a language tag of more than 100 characters',
      { [`client_name#fr-x${'-private'.repeat(13)}`]: 'x' },
      METADATA,
    ],
    [
      'a host that would begin another directive of the Content-Security-Policy',
      { client_uri: 'https://x;frame-ancestors/', redirect_uris: ['https://x;frame-ancestors/cb'] },
      METADATA,
    ],
    ['a logo on such a host', { logo_uri: 'https://a;sandbox.app.example.com/x.png' }, METADATA],
    ['a logo on a host with a comma', { logo_uri: 'https://a%2Cb.app.example.com/x.png' }, METADATA],
    ['a redirect to a host with an asterisk', { redirect_uris: ['https://*.app.example.com/'] }, REDIRECT],
    [
      'a public suffix with empty labels',
      { client_uri: 'https://co.uk../', redirect_uris: ['https://x.co.uk../'] },
      METADATA,
    ],
    ['a host with a dot at its end', { redirect_uris: ['https://app.example.com./'] }, REDIRECT],
  ])('refused: %s', async (_name, metadata, code) => {
    expect(await refused({ ...WEB_CLIENT, ...metadata })).toEqual([400, code])
  })

  test('a body that is no JSON object, another media type, and 1 MB', async () => {
    for (const body of ['', '{', '[]', 'null', '"x"', '7'])
      expect([body, ...(await refused(body))]).toEqual([body, 400, 'invalid_request'])
    expect(await refused(WEB_CLIENT, { 'content-type': 'text/plain' })).toEqual([400, 'invalid_request'])
    expect(await refused({ ...WEB_CLIENT, client_name: 'x'.repeat(1024 * 1024) })).toEqual([
      413,
      'invalid_request',
    ])
  })
})

test('the limit is by address and shared by processes: then 429 with Retry-After', async () => {
  const headers = { 'x-forwarded-for': '203.0.113.5' }
  const statuses = new Set<number>()
  for (let i = 0; i < REGISTRATION_LIMIT.burst; i++)
    statuses.add((await post('{}', headers, i % 2 ? harness : other)).status)
  expect(statuses).toEqual(new Set([400]))
  const limited = await post(WEB_CLIENT, headers)
  const wait = String(Math.ceil(1 / REGISTRATION_LIMIT.per_second))
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, wait])
  expect(await limited.json()).toMatchObject({ error: 'temporarily_unavailable' })
  expect((await post(WEB_CLIENT, { 'x-forwarded-for': '203.0.113.6' })).status).toBe(201)
})

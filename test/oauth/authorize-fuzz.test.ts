import { afterAll, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import { clientKey } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, obtainCode, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

const CALLBACK = 'https://app.example.com/callback'
const MARK = '"><script>alert(1)</script>'

let harness: Harness
let clientId: string
let cookie: string
let hint: string
let object: string
beforeAll(async () => {
  harness = await createHarness()
  const key = await clientKey()
  clientId = (await registerClient(harness, { ...WEB_CLIENT, jwks: { keys: [key.jwk] } })).client_id
  const browser = harness.browser()
  await signUp(browser, 'alice')
  await obtainCode(browser, clientId, { scope: 'openid' })
  cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  hint = await harness.deps.keys.sign(
    { iss: 'http://auth.test/', aud: clientId, sub: 'x', exp: 1 },
    { alg: 'ES256' },
  )
  object = await key.sign({ iss: clientId, aud: 'http://auth.test/', prompt: 'none', max_age: [1] } as never)
})
afterAll(() => harness.close())

/** Anything that somebody might send: nonsense, markup, what is valid elsewhere, what is nearly right. */
const nonsense = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ maxLength: 20 }),
  fc.json({ maxDepth: 3 }),
  fc.webUrl(),
  fc.constantFrom(
    MARK,
    '',
    ' ',
    '\0',
    '\r\nset-cookie: a=b',
    '%',
    '{{1234567*7}}',
    '__proto__',
    'x'.repeat(5000),
  ),
)
const near = (...values: string[]) => fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, nonsense)
const words = (...values: string[]) => fc.subarray(values).map((list) => list.join(' '))

const PARAMETERS: Record<string, fc.Arbitrary<string>> = {
  client_id: near('01J00000000000000000000000'),
  redirect_uri: near(
    CALLBACK,
    `${CALLBACK}#`,
    `${CALLBACK}?${MARK}`,
    'javascript:alert(1)',
    'https://evil.example/',
  ),
  response_type: near('code', 'token', 'code id_token', 'none'),
  response_mode: near('query', 'fragment', 'form_post', 'web_message'),
  scope: fc.oneof(words('openid', 'email', 'profile', 'urn:mas:admin', 'urn:matrix:client:api:*'), nonsense),
  state: nonsense,
  nonce: nonsense,
  prompt: fc.oneof(words('none', 'login', 'consent', 'select_account', 'create'), nonsense),
  max_age: near('0', '10', '-1', '1e9', '99999999999999999999'),
  display: near('page', 'wap'),
  ui_locales: near('de', 'xx', '*'),
  acr_values: nonsense,
  login_hint: near('mxid:@alice:example.test', 'mxid:@bob:example.test', `mxid:@${MARK}:example.test`),
  id_token_hint: fc.oneof(fc.constant('HINT'), nonsense),
  claims: near(
    '{"id_token":{"sub":{"value":"x"},"acr":{"essential":true,"value":null}}}',
    '{"userinfo":{"email":null},"id_token":{"__proto__":{"value":1}}}',
    '{"id_token":[]}',
    '[]',
    'null',
    '{"id_token":{"sub":{"value":{"a":[]}}}}',
  ),
  request: fc.oneof(fc.constant('OBJECT'), near('a.b.c', 'e30.e30.', 'a.b.c.d.e')),
  request_uri: near('urn:ietf:params:oauth:request_uri:x', 'https://169.254.169.254/', 'file:///etc/passwd'),
  registration: nonsense,
  code_challenge: near('A'.repeat(43), 'short'),
  code_challenge_method: near('S256', 'plain'),
  [MARK]: nonsense,
}

/** One to four parameters of a good request changed, added or, with undefined, left out. */
const changes = fc
  .uniqueArray(fc.constantFrom(...Object.keys(PARAMETERS)), { minLength: 1, maxLength: 4 })
  .chain((names) =>
    fc.record(
      Object.fromEntries(
        names.map((name) => [name, fc.option(PARAMETERS[name] ?? nonsense, { nil: undefined })]),
      ),
    ),
  )

function goodRequest(changed: Record<string, string | undefined>): URLSearchParams {
  const { searchParams } = new URL(authorizeUrl(clientId, { scope: 'openid' }), harness.origin)
  for (const [name, value] of Object.entries(changed)) {
    if (value === undefined) searchParams.delete(name)
    else searchParams.set(name, value === 'HINT' ? hint : value === 'OBJECT' ? object : value)
  }
  return searchParams
}

/** What an answer may be: a page of ours, a way on within us, or the client’s own address with a code or one error. */
async function checkAnswer(response: Response, params: URLSearchParams): Promise<void> {
  expect(response.status).toBeLessThan(500)
  expect(response.headers.get('set-cookie') ?? '').not.toContain('a=b')
  const text = await response.text()
  expect(text).not.toContain('<script>alert')
  expect(text).not.toContain('8641969')
  if (response.status !== 303) {
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect([200, 400, 429]).toContain(response.status)
    if (response.status === 200) expect(text).toContain(`action="${CALLBACK}"`)
    return
  }
  const location = response.headers.get('location') ?? ''
  const url = new URL(location, harness.origin)
  if (url.origin === harness.origin) {
    expect(url.pathname).toMatch(/^\/(login|register|consent\/[0-9A-Z]{26})$/)
    return
  }
  expect(url.origin + url.pathname).toBe(CALLBACK)
  const answer = url.hash === '' ? url.searchParams : new URLSearchParams(url.hash.slice(1))
  expect(answer.getAll('iss')).toEqual(['http://auth.test/'])
  expect(answer.getAll('code').length + answer.getAll('error').length).toBe(1)
  const error = answer.get('error')
  if (error !== null) {
    expect(error).toMatch(/^[a-z_]+$/)
    expect(answer.get('error_description')).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  }
  if (!params.has('request') && !params.has('request_uri'))
    expect(answer.get('state') ?? '').toBe(params.get('state') ?? '')
}

test('GET and POST /authorize: whatever is sent, signed in or not, is answered in its form (RFC 6749 4.1.2.1)', async () => {
  await fc.assert(
    fc.asyncProperty(changes, fc.boolean(), fc.boolean(), async (changed, signedIn, post) => {
      const params = goodRequest(changed)
      const headers = { ...(signedIn && { cookie }), 'accept-language': 'en' }
      const response = post
        ? await harness.form('/authorize', Object.fromEntries(params), headers)
        : await harness.request(`/authorize?${params}`, { headers })
      await checkAnswer(response, params)
    }),
    { numRuns: 1000 },
  )
})

test('POST /oauth2/par: whatever is pushed is a reference or an error in JSON', async () => {
  await fc.assert(
    fc.asyncProperty(changes, async (changed) => {
      const response = await harness.form('/oauth2/par', Object.fromEntries(goodRequest(changed)))
      expect(response.status).toBeLessThan(500)
      expect(response.headers.get('content-type')).toBe('application/json')
      const body = (await response.json()) as Record<string, string>
      if (response.status === 201) expect(body.request_uri).toStartWith('urn:ietf:params:oauth:request_uri:')
      else expect(body.error).toMatch(/^[a-z_]+$/)
    }),
    { numRuns: 400 },
  )
})

test('every request object that the client signs is answered, whatever is in it', async () => {
  const key = await clientKey()
  const { client_id } = await registerClient(harness, {
    ...WEB_CLIENT,
    client_name: 'Signer',
    jwks: { keys: [key.jwk] },
  })
  const member = fc.dictionary(fc.constantFrom(...Object.keys(PARAMETERS)), fc.jsonValue(), { maxKeys: 4 })
  await fc.assert(
    fc.asyncProperty(member, async (members) => {
      const base = Object.fromEntries(
        new URL(authorizeUrl(client_id, { scope: 'openid' }), harness.origin).searchParams,
      )
      const claims = { ...base, ...members, iss: client_id, aud: 'http://auth.test/' }
      const request = await key.sign(claims as never)
      const response = await harness.request(`/authorize?${new URLSearchParams({ client_id, request })}`)
      expect(response.status).toBeLessThan(500)
      expect(await response.text()).not.toContain('<script>alert')
    }),
    { numRuns: 300 },
  )
})

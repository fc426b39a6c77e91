import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, registerClient, signUp, staticClient, WEB_CLIENT } from '../support/oauth.ts'

const CALLBACK = 'https://app.example.com/callback'
let harness: Harness
let browser: Browser
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  browser = harness.browser()
  await signUp(browser, 'alice')
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => harness.close())

const ask = (params: Record<string, string> = {}, drop: string[] = []): Promise<Response> => {
  const url = new URL(authorizeUrl(clientId, params), harness.origin)
  for (const name of drop) url.searchParams.delete(name)
  return harness.request(url.pathname + url.search)
}
const location = (response: Response): URL =>
  new URL(response.headers.get('location') ?? 'about:blank', harness.origin)

/** A page that sends nobody anywhere. */
async function expectPage(response: Response, status: number, words: string): Promise<void> {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toStartWith('text/html')
  expect(response.headers.get('location')).toBeNull()
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  const text = await response.text()
  expect(text).toContain(words)
  expect(text).not.toContain('evil.example')
}

describe('GET /authorize: what is wrong before the redirect URI is known is a page (reference 3.2)', () => {
  test.each(['01J00000000000000000000000', 'x', '', '💥', "'; drop table clients"])(
    'unknown client %s',
    async (client_id) => expectPage(await ask({ client_id }), 400, 'We do not know this app'),
  )

  test('no client_id', async () => expectPage(await ask({}, ['client_id']), 400, 'We do not know this app'))

  test.each([
    'https://evil.example/callback',
    'https://app.example.com/callback/',
    'https://app.example.com/callback?x=1',
    'https://app.example.com/Callback',
    'https://app.example.com:444/callback',
    'http://app.example.com/callback',
    'https://app.example.com@evil.example/callback',
    'https://app.example.com/callback#',
    'https://app.example.com/callback#x',
    'javascript:alert(1)//evil.example',
    'not a uri',
    '//app.example.com/callback',
  ])('foreign redirect URI %s', async (redirect_uri) =>
    expectPage(await ask({ redirect_uri }), 400, 'in the wrong place'),
  )

  test.each(['client_id', 'state', 'redirect_uri', 'scope'])('repeated parameter %s', async (name) => {
    const response = await harness.request(`${authorizeUrl(clientId)}&${name}=again`)
    await expectPage(response, 400, 'does not look right')
  })

  test('a NUL byte, and an unknown response_mode', async () => {
    await expectPage(await ask({ state: 'a\0b' }), 400, 'does not look right')
    await expectPage(await ask({ response_mode: 'web_message' }), 400, 'does not look right')
  })

  test('no redirect URI where several are registered', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      redirect_uris: [CALLBACK, 'https://app.example.com/other'],
    })
    await expectPage(await ask({ client_id }, ['redirect_uri']), 400, 'in the wrong place')
  })

  test.each([[['redirect_uri']], [[]]])(
    'a client that registered no redirect URI, without %j',
    async (drop) => {
      const { client_id } = await staticClient(harness, [])
      await expectPage(await ask({ client_id }, drop), 400, 'in the wrong place')
    },
  )

  test.each(['id_token', 'id_token token', 'token', 'code id_token', 'token nonsense'])(
    'response_mode=query for response_type=%s, whose answer has tokens',
    async (response_type) => {
      const params = { response_type, response_mode: 'query', nonce: 'a-nonce' }
      await expectPage(await ask(params), 400, 'does not look right')
      const pushed = await harness.form('/oauth2/par', {
        ...Object.fromEntries(new URL(authorizeUrl(clientId, params), harness.origin).searchParams),
      })
      expect([pushed.status, (await pushed.json()).error]).toEqual([400, 'invalid_request'])
    },
  )

  // Registration takes none of these; a database that was imported may hold them.
  test.each([
    'https://app.example.com/cb?x=%ff',
    'https://app.example.com/cb?100%',
    'https://app.example.com/cb#x',
  ])('a redirect URI that is registered and cannot carry an answer: %s', async (uri) => {
    const { client_id } = await staticClient(harness, [uri])
    await expectPage(await ask({ client_id, redirect_uri: uri }), 400, 'in the wrong place')
    await expectPage(await ask({ client_id }, ['redirect_uri']), 400, 'in the wrong place')
  })
})

describe('GET /authorize: what is wrong after it goes back to the client', () => {
  test.each<[string, Record<string, string>, string[], string]>([
    ['a request that is no JWT', { request: 'x' }, [], 'invalid_request_object'],
    ['a request_uri that nobody registered', { request_uri: 'x' }, [], 'invalid_request_uri'],
    ['request and request_uri', { request: 'x', request_uri: 'y' }, [], 'invalid_request'],
    ['registration', { registration: '{}' }, [], 'registration_not_supported'],
    ['no response_type', {}, ['response_type'], 'invalid_request'],
    ['response_type none', { response_type: 'none' }, [], 'unsupported_response_type'],
    ['response_type foo', { response_type: 'foo' }, [], 'unsupported_response_type'],
    ['prompt none', { prompt: 'none' }, [], 'login_required'],
    ['prompt none with another', { prompt: 'none login' }, [], 'invalid_request'],
    ['prompt of an unknown value', { prompt: 'magic' }, [], 'invalid_request'],
    ['max_age that is no number', { max_age: '-1' }, [], 'invalid_request'],
    ['max_age with a fraction', { max_age: '1.5' }, [], 'invalid_request'],
    ['claims that are no JSON', { claims: '{' }, [], 'invalid_request'],
    ['claims that are no object', { claims: '[]' }, [], 'invalid_request'],
    ['claims with members that are none', { claims: '{"id_token":{"sub":1}}' }, [], 'invalid_request'],
    ['an id_token_hint that is none', { id_token_hint: 'x.y.z' }, [], 'invalid_request'],
    ['no PKCE', {}, ['code_challenge', 'code_challenge_method'], 'invalid_request'],
    ['a challenge without method (edge 4)', {}, ['code_challenge_method'], 'invalid_request'],
    ['a method without challenge', {}, ['code_challenge'], 'invalid_request'],
    ['PKCE plain', { code_challenge_method: 'plain' }, [], 'invalid_request'],
    ['a challenge that is no SHA-256', { code_challenge: 'abc' }, [], 'invalid_request'],
    ['no scope', {}, ['scope'], 'invalid_scope'],
    ['a scope with two spaces', { scope: 'openid  email' }, [], 'invalid_scope'],
    ['a scope with a quote', { scope: 'openid "' }, [], 'invalid_scope'],
    ['5 kB of nonce', { nonce: 'x'.repeat(5000) }, [], 'invalid_request'],
  ])('%s', async (_name, params, drop, error) => {
    const response = await ask(params, drop)
    expect(response.status).toBe(303)
    const target = location(response)
    expect(target.origin + target.pathname).toBe(CALLBACK)
    expect(target.searchParams.get('error')).toBe(error)
    expect(target.searchParams.get('error_description')).toBeString()
    expect(target.searchParams.get('state')).toBe('a-state')
    expect(target.searchParams.get('iss')).toBe(harness.deps.urls.issuer)
    expect(response.headers.get('location')).toEndWith('#')
    expect(response.headers.get('cache-control')).toBe('no-store')
  })

  test.each(['id_token', 'token', 'code token', 'id_token token'])(
    'response_type %s: in the fragment, where its answer would be (Multiple Response Types section 5)',
    async (response_type) => {
      const target = location(await ask({ response_type }, []))
      expect(new URLSearchParams(target.hash.slice(1)).get('error')).toBe('unsupported_response_type')
      expect(target.search).toBe('')
    },
  )

  describe('a failure of ours', () => {
    /** While the table is another one than the program knows: a mistake, not an outage. */
    const broken = async (headers: Record<string, string>) => {
      const { sql } = harness.database
      await sql`alter table latchkey.authorization_grants rename column nonce to nonce_before`
      harness.logged.length = 0
      try {
        return await harness.request(authorizeUrl(clientId), { headers })
      } finally {
        await sql`alter table latchkey.authorization_grants rename column nonce_before to nonce`
      }
    }
    const reference = () =>
      harness.logged.find(({ event }) => event === 'request.failed')?.fields.reference as string

    test('goes back as server_error, with a reference of the log and nothing else of it', async () => {
      const target = location(await broken({ referer: CALLBACK }))
      expect(target.origin + target.pathname).toBe(CALLBACK)
      expect(target.searchParams.get('error')).toBe('server_error')
      expect(reference()).toMatch(/^[0-9A-Z]{8}$/)
      expect(target.searchParams.get('error_description')).toBe(
        `Something went wrong on this server. Reference: ${reference()}`,
      )
    })

    test('is a 500 with the way back where the address is a stranger’s', async () => {
      const response = await broken({ referer: 'https://elsewhere.example/' })
      expect(response.status).toBe(500)
      const text = await response.text()
      expect(text).toContain(reference())
      expect(text).toContain(`${CALLBACK}?state=a-state&amp;error=server_error`)
      expect(text).not.toContain('nonce')
    })
  })

  test('state is left out when none was sent', async () => {
    expect(location(await ask({ prompt: 'none' }, ['state'])).searchParams.has('state')).toBe(false)
  })

  test('response_mode fragment and form_post carry errors too', async () => {
    const fragment = location(await ask({ prompt: 'none', response_mode: 'fragment' }))
    expect(fragment.search).toBe('')
    expect(new URLSearchParams(fragment.hash.slice(1)).get('error')).toBe('login_required')

    const post = await ask({ prompt: 'none', response_mode: 'form_post', state: '"><script>' })
    expect(post.status).toBe(200)
    expect(post.headers.get('content-security-policy')).not.toContain('form-action')
    const text = await post.text()
    expect(text).toContain(`action="${CALLBACK}"`)
    expect(text).toContain('value="login_required"')
    expect(text).not.toContain('"><script>')
  })

  test('parameters of the registered URI stay as they are spelt (edge 6)', async () => {
    const uri = 'https://app.example.com/cb?b=%20x&a=1'
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, redirect_uris: [uri] })
    const response = await ask({ client_id, redirect_uri: uri, prompt: 'none' })
    expect(response.headers.get('location')).toStartWith(`${uri}&state=a-state&error=login_required`)
  })
})

describe('GET and POST /authorize: where it goes', () => {
  test('sign-in, sign-up or consent', async () => {
    const id = /^id=[0-9A-Z]{26}$/
    const login = location(await ask())
    expect(login.pathname).toBe('/login')
    expect(login.search.slice(1).split('&')).toEqual([
      'kind=continue_authorization_grant',
      expect.stringMatching(id),
    ])
    expect(location(await ask({ prompt: 'create' })).pathname).toBe('/register')
    expect(location(await ask({ login_hint: 'a&b=c' })).searchParams.get('login_hint')).toBe('a&b=c')
    expect((await browser.open(authorizeUrl(clientId))).url.pathname).toStartWith('/consent/')
    expect((await browser.open(authorizeUrl(clientId, { prompt: 'create' }))).url.pathname).toStartWith(
      '/consent/',
    )
  })

  test('POST does the same, and a body that is no form is a page', async () => {
    const { searchParams } = new URL(authorizeUrl(clientId), harness.origin)
    const response = await harness.form('/authorize', Object.fromEntries(searchParams))
    expect([response.status, location(response).pathname]).toEqual([303, '/login'])
    const json = await harness.request('/authorize', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    await expectPage(json, 400, 'does not look right')
  })

  test('a client without the grant authorization_code is unauthorized_client', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      grant_types: ['refresh_token'],
      response_types: [],
    })
    expect(location(await ask({ client_id })).searchParams.get('error')).toBe('unauthorized_client')
  })

  test('a redirect URI may be left out when one is registered', async () => {
    expect(location(await ask({}, ['redirect_uri'])).pathname).toBe('/login')
  })

  test('what anybody can make a row of is bounded: a long scope is refused, other long parameters are not kept', async () => {
    const tooLong = location(await ask({ scope: `openid ${'x'.repeat(4096)}` }))
    expect(tooLong.searchParams.get('error')).toBe('invalid_request')
    expect((await ask({ ui_locales: 'x'.repeat(9000), nonce: 'bounded' })).status).toBe(303)
    const [row] = await harness.database.sql`
      select raw_parameters from latchkey.authorization_grants where nonce = 'bounded'`
    expect(row?.raw_parameters).toMatchObject({ client_id: clientId, state: 'a-state' })
    expect(row?.raw_parameters).not.toHaveProperty('ui_locales')
  })

  test('ui_locales and Accept-Language of any form are taken or ignored, never an error', async () => {
    for (const ui_locales of ['de', 'xx-', '*', 'a_b c', '\u{1f4a5}', 'x'.repeat(3000), '-'])
      expect((await ask({ ui_locales })).status).toBe(303)
    for (const language of [
      '',
      '*',
      'de;q=x',
      ',,,',
      'zz-ZZ-xxxxxxxxxxxxx;q=1.000',
      ';q=0',
      '-',
      'i-klingon',
    ])
      expect((await harness.request('/login', { headers: { 'accept-language': language } })).status).toBe(200)
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from '../support/browser.ts'
import { clientKey } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  authorizeUrl,
  basic,
  exchange,
  pkce,
  registerClient,
  signUp,
  staticClient,
  WEB_CLIENT,
} from '../support/oauth.ts'

const CALLBACK = 'https://app.example.com/callback'
let harness: Harness
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => harness.close())

const requestOf = (id: string, params: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(
    new URL(authorizeUrl(id, { scope: 'openid', ...params }), harness.origin).searchParams.entries(),
  )
const push = (form: Record<string, string>, headers: Record<string, string> = {}) =>
  harness.form('/oauth2/par', form, headers)
async function pushed(form: Record<string, string>, headers: Record<string, string> = {}): Promise<string> {
  const response = await push(form, headers)
  expect([response.status, response.headers.get('cache-control')]).toEqual([201, 'no-store'])
  const body = (await response.json()) as { request_uri: string; expires_in: number }
  expect(Object.keys(body).sort()).toEqual(['expires_in', 'request_uri'])
  expect(body.expires_in).toBe(60)
  return body.request_uri
}
const start = (params: Record<string, string>) => harness.request(`/authorize?${new URLSearchParams(params)}`)
const location = (response: Response): URL =>
  new URL(response.headers.get('location') ?? 'about:blank', harness.origin)
async function errorOf(response: Response): Promise<unknown[]> {
  const { error } = (await response.json()) as { error: string }
  return [response.status, error]
}

describe('POST /oauth2/par (RFC 9126)', () => {
  test('a public client pushes, the browser brings the reference, the code is exchanged', async () => {
    const request_uri = await pushed(requestOf(clientId, { state: 'pushed-state' }))
    expect(request_uri).toMatch(/^urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{43}$/)
    const browser = harness.browser()
    await signUp(browser, 'alice')
    const page = await browser.open(`/authorize?${new URLSearchParams({ client_id: clientId, request_uri })}`)
    const done = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    expect(done.url.searchParams.get('state')).toBe('pushed-state')
    const tokens = await exchange(harness, clientId, done.url.searchParams.get('code') ?? '')
    expect(tokens.scope).toBe('openid')
  })

  test('client_secret_basic, and its credentials are not kept', async () => {
    const { client_id, client_secret } = await staticClient(harness, [CALLBACK])
    await pushed(requestOf(client_id), basic(client_id, client_secret))
    const rows = await harness.deps.sql<{ parameters: Record<string, string> }[]>`
      select parameters from latchkey.pushed_requests`
    for (const { parameters } of rows)
      for (const name of Object.keys(parameters)) expect(name).not.toMatch(/secret|assertion/)
  })

  test('client_secret_post and private_key_jwt authenticate as at the token endpoint', async () => {
    const post = await registerClient(harness, {
      ...WEB_CLIENT,
      token_endpoint_auth_method: 'client_secret_post',
    })
    await pushed({ ...requestOf(post.client_id), client_secret: post.client_secret ?? '' })
    const key = await clientKey()
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [key.jwk] },
    })
    const now = Math.floor(harness.clock.now().getTime() / 1000)
    const claims = { iss: client_id, sub: client_id, aud: 'http://auth.test/', exp: now + 60, jti: 'par-1' }
    await pushed({
      ...requestOf(client_id),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await key.sign(claims),
    })
  })

  test('wrong or missing credentials', async () => {
    const { client_id } = await staticClient(harness, [CALLBACK])
    expect(await errorOf(await push(requestOf(client_id)))).toEqual([401, 'invalid_client'])
    expect(await errorOf(await push(requestOf(client_id), basic(client_id, 'wrong')))).toEqual([
      401,
      'invalid_client',
    ])
    expect(await errorOf(await push({}))).toEqual([400, 'invalid_request'])
    const { client_id: _, ...rest } = requestOf(clientId)
    expect(await errorOf(await push(rest))).toEqual([400, 'invalid_request'])
    expect(await errorOf(await harness.request('/oauth2/par', { method: 'POST', body: '{}' }))).toEqual([
      400,
      'invalid_request',
    ])
  })

  test.each<[string, Record<string, string>, string, number]>([
    ['a request_uri', { request_uri: 'urn:x' }, 'invalid_request', 400],
    ['a foreign redirect URI', { redirect_uri: 'https://evil.example/' }, 'invalid_request', 400],
    ['an unknown response_mode', { response_mode: 'x' }, 'invalid_request', 400],
    ['another response_type', { response_type: 'token' }, 'unsupported_response_type', 400],
    ['a broken scope', { scope: 'a  b' }, 'invalid_scope', 400],
    ['PKCE plain', { code_challenge_method: 'plain' }, 'invalid_request', 400],
    ['an unknown prompt', { prompt: 'x' }, 'invalid_request', 400],
    ['a request that is no JWT', { request: 'x' }, 'invalid_request_object', 400],
  ])('what /authorize would refuse is refused: %s', async (_name, params, error, status) => {
    expect(await errorOf(await push(requestOf(clientId, params)))).toEqual([status, error])
  })

  test('GET is 405, other origins may call it', async () => {
    expect((await harness.request('/oauth2/par')).status).toBe(405)
    expect((await push(requestOf(clientId))).headers.get('access-control-allow-origin')).toBe('*')
  })
})

describe('GET /authorize with a pushed request', () => {
  const loginOrError = async (params: Record<string, string>): Promise<string> => {
    const response = await start(params)
    if (response.status !== 303) return `page ${response.status}`
    const url = location(response)
    return url.origin === harness.origin ? url.pathname : (url.searchParams.get('error') ?? '')
  }

  /** Opens a reference in a browser with a session, and agrees. */
  const openIn = (browser: Browser, request_uri: string): Promise<Page> =>
    browser.open(`/authorize?${new URLSearchParams({ client_id: clientId, request_uri })}`)
  const agreeOn = (page: Page): Promise<Page> =>
    page.submit({}, { action: 'consent/', button: ['action', 'consent'] })

  test('is good for one answer: its page may be opened again before, and is no good after', async () => {
    const browser = harness.browser()
    await signUp(browser, 'once')
    const request_uri = await pushed(requestOf(clientId))
    expect(await loginOrError({ client_id: clientId, request_uri })).toBe('/login')
    await openIn(browser, request_uri)
    const done = await agreeOn(await openIn(browser, request_uri))
    expect(done.url.searchParams.get('code')).toBeString()
    expect(await loginOrError({ client_id: clientId, request_uri })).toBe('invalid_request_uri')
  })

  test('is good for one answer, in two browsers at the same time too; a refusal is one', async () => {
    const [one, two] = [harness.browser(), harness.browser()]
    await Promise.all([signUp(one, 'first'), signUp(two, 'second')])
    for (const action of ['consent', 'cancel']) {
      const request_uri = await pushed(requestOf(clientId, { prompt: 'consent' }))
      const pages = await Promise.all([openIn(one, request_uri), openIn(two, request_uri)])
      const ends = await Promise.all(
        pages.map((page) => page.submit({}, { action: 'consent/', button: ['action', action] })),
      )
      const outcomes = ends.map(({ url, status }) => (url.origin === harness.origin ? status : 'answered'))
      expect(outcomes.map(String).sort()).toEqual(['409', 'answered'])
      expect(await loginOrError({ client_id: clientId, request_uri })).toBe('invalid_request_uri')
    }
  })

  test('an answer may take longer than the reference lasts', async () => {
    const browser = harness.browser()
    await signUp(browser, 'slow')
    const page = await openIn(browser, await pushed(requestOf(clientId)))
    harness.clock.advance(3000)
    await pushed(requestOf(clientId))
    expect((await agreeOn(page)).url.searchParams.get('code')).toBeString()
  })

  test('is good for 60 seconds', async () => {
    const [first, second] = [await pushed(requestOf(clientId)), await pushed(requestOf(clientId))]
    harness.clock.advance(59)
    expect(await loginOrError({ client_id: clientId, request_uri: first })).toBe('/login')
    harness.clock.advance(1)
    expect(await loginOrError({ client_id: clientId, request_uri: second })).toBe('invalid_request_uri')
  })

  test('is good for the client that pushed it, and another one does not spend it', async () => {
    const { client_id: other } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Other' })
    const request_uri = await pushed(requestOf(clientId))
    expect(await loginOrError({ client_id: other, request_uri })).toBe('invalid_request_uri')
    expect(await loginOrError({ client_id: clientId, request_uri })).toBe('/login')
  })

  test('nothing beside it counts', async () => {
    const request_uri = await pushed(requestOf(clientId, { state: 'inside' }))
    const response = await start({
      client_id: clientId,
      request_uri,
      state: 'outside',
      prompt: 'none',
      redirect_uri: 'https://evil.example/',
    })
    expect(location(response).pathname).toBe('/login')
  })

  test('an unknown one is a page where nobody knows where the client waits', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      redirect_uris: [CALLBACK, 'https://app.example.com/other'],
    })
    const request_uri = 'urn:ietf:params:oauth:request_uri:unknown'
    expect(await loginOrError({ client_id, request_uri })).toBe('page 400')
    expect(await loginOrError({ client_id, request_uri, redirect_uri: CALLBACK })).toBe('invalid_request_uri')
    expect(await loginOrError({ client_id, request_uri, redirect_uri: 'https://evil.example/' })).toBe(
      'page 400',
    )
    expect(await loginOrError({ client_id, request_uri, request: 'x' })).toBe('page 400')
  })

  test('require_pushed_authorization_requests: nothing else is taken (section 6)', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      require_pushed_authorization_requests: true,
    })
    expect(await loginOrError(requestOf(client_id))).toBe('invalid_request')
    const request_uri = await pushed(requestOf(client_id))
    expect(await loginOrError({ client_id, request_uri })).toBe('/login')
  })

  test('prompt=none pushed is silent as well', async () => {
    const request_uri = await pushed(requestOf(clientId, { prompt: 'none' }))
    expect(await loginOrError({ client_id: clientId, request_uri })).toBe('login_required')
  })

  test('expired pushes are cleared away by later ones', async () => {
    await pushed(requestOf(clientId))
    // Its page may be open for an hour.
    harness.clock.advance(3661)
    for (let times = 0; times < 5; times++) await pushed(requestOf(clientId))
    const [row] = await harness.deps.sql<{ left: number }[]>`
      select count(*)::int as left from latchkey.pushed_requests where expires_at <= ${harness.clock.now()}`
    expect(row?.left).toBe(0)
  })

  test('PKCE of the pushed request binds the code', async () => {
    const request_uri = await pushed(requestOf(clientId, { code_challenge: pkce('w'.repeat(43)).challenge }))
    const browser = harness.browser()
    await signUp(browser, 'bob')
    const page = await browser.open(`/authorize?${new URLSearchParams({ client_id: clientId, request_uri })}`)
    const done = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    const response = await harness.form('/oauth2/token', {
      grant_type: 'authorization_code',
      client_id: clientId,
      code: done.url.searchParams.get('code') ?? '',
      code_verifier: pkce().verifier,
    })
    expect(await errorOf(response)).toEqual([400, 'invalid_grant'])
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createApp, type Resource } from '../../src/app.ts'
import { surfaceOf } from '../../src/http/boundary.ts'
import { type Browser, readForms } from '../support/browser.ts'
import { DEVICE_GRANT, enterCode, registerDeviceClient, requestDevice } from '../support/device.ts'
import {
  type FuzzedRequest,
  fuzzedRequests,
  type GoodRequest,
  MARKUP,
  parameterNames,
} from '../support/fuzz.ts'
import { createHarness } from '../support/harness.ts'
import {
  authorizeUrl,
  basic,
  exchange,
  obtainCode,
  PASSWORD,
  pkce,
  registerClient,
  signUp,
  WEB_CLIENT,
} from '../support/oauth.ts'

/**
 * Every route of the table, with whatever somebody might send to it. A new route is tried without being named here.
 * `LATCHKEY_RUNS=5000 bun test test/app/fuzz.test.ts` is a long search, and `LATCHKEY_SEED=…` repeats one that failed.
 */
const { LATCHKEY_RUNS: runs = '60', LATCHKEY_SEED: seed } = process.env
const RUNS = Number(runs)
const OPTIONS = { numRuns: RUNS, ...(seed !== undefined && { seed: Number(seed) }) }
const LIMIT = 30_000 + RUNS * 500

const RESOURCES = [
  'discovery',
  'human',
  'oauth',
  'compat',
  'adminapi',
  'graphql',
  'assets',
  'health',
  'prometheus',
  'connection-info',
  'well-known',
].map((name) => ({ name }) as Resource)
const CALLBACK = WEB_CLIENT.redirect_uris[0] ?? ''
const SIGNED_OUT = 'https://app.example.com/signed-out'

// Here and not in `beforeAll`: the tests are made from the table.
const harness = await createHarness()
const app = createApp(harness.deps, { resources: RESOURCES })
const names = await parameterNames()
const browser = harness.browser()

const cookieOf = ({ cookies }: Browser): string =>
  [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')

let values: string[]
let credentials: string[]
/** Requests of apps that are good, by the path of the route. */
let api: Record<string, GoodRequest[]>
/** Where a walk through the pages begins, besides the routes themselves. */
let entrances: string[]
/** Somebody in the middle of a sign-up. */
let newcomer: Browser

beforeAll(() => signUp(browser, 'alice'))
afterAll(() => harness.close())
/** What one route uses up or ends is fresh for the next. */
beforeEach(async () => {
  // The limits of an address are full again.
  harness.clock.advance(2 * 3600)
  await signedIn()
  const { client_id: clientId } = await registerClient(harness, {
    ...WEB_CLIENT,
    post_logout_redirect_uris: [SIGNED_OUT],
  })
  const secret = (await registerClient(harness, {
    ...WEB_CLIENT,
    client_name: 'With a secret',
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_method: 'client_secret_basic',
  })) as { client_id: string; client_secret: string; registration_access_token: string }
  const device = await requestDevice(harness, await registerDeviceClient(harness))
  const deviceClient = await registerDeviceClient(harness)
  const shown = await enterCode(browser, device.user_code)
  const tokens = await exchange(harness, clientId, await obtainCode(browser, clientId))
  const request = Object.fromEntries(new URL(authorizeUrl(clientId), harness.origin).searchParams)
  const consent = await browser.open(authorizeUrl(clientId))
  const pushed = await harness.form('/oauth2/par', request)
  const { request_uri } = (await pushed.json()) as { request_uri: string }
  const code = await obtainCode(browser, clientId)
  newcomer = harness.browser()
  const step = await newcomer.open('/register')
  const steps = await step.submit(
    { username: 'carol', password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
  const own = { client_id: secret.client_id, client_secret: secret.client_secret }
  const registered = { authorization: `Bearer ${secret.registration_access_token}` }
  const homeserver = { authorization: 'Bearer test-shared-secret-of-matrix' }
  const bearer = { authorization: `Bearer ${tokens.access_token}` }
  const known = basic(secret.client_id, secret.client_secret)
  entrances = [consent.url.pathname, shown.url.pathname, steps.url.pathname]
  api = {
    '/authorize': [{ fields: request }, { fields: { client_id: clientId, request_uri } }],
    '/oauth2/par': [{ fields: request }],
    '/oauth2/token': [
      {
        fields: {
          grant_type: 'authorization_code',
          client_id: clientId,
          code,
          code_verifier: pkce().verifier,
        },
      },
      { fields: { grant_type: 'refresh_token', client_id: clientId, refresh_token: tokens.refresh_token } },
      { fields: { grant_type: 'client_credentials', scope: 'openid' }, headers: known },
      { fields: { grant_type: DEVICE_GRANT, client_id: deviceClient, device_code: device.device_code } },
    ],
    '/oauth2/introspect': [{ fields: { token: tokens.access_token }, headers: homeserver }],
    '/oauth2/revoke': [{ fields: { token: tokens.access_token, token_type_hint: 'x', client_id: clientId } }],
    '/oauth2/userinfo': [{ fields: {}, headers: bearer }, { fields: { access_token: tokens.access_token } }],
    '/oauth2/device': [{ fields: { client_id: deviceClient, scope: 'openid' } }],
    '/oauth2/registration': [
      { json: true, fields: WEB_CLIENT },
      { json: true, fields: EVERYTHING },
    ],
    '/oauth2/registration/{id}': [
      { json: true, segment: secret.client_id, headers: registered, fields: { ...EVERYTHING, ...own } },
    ],
    '/end-session': [
      {
        fields: {
          id_token_hint: tokens.id_token,
          client_id: clientId,
          post_logout_redirect_uri: SIGNED_OUT,
          state: 'x',
          ui_locales: 'de',
        },
      },
    ],
    '/assets/{file}': [{ segment: 'style.css', fields: {} }],
  }
  values = [
    ...[clientId, clientId, secret.client_id, secret.client_secret, '01J00000000000000000000000'],
    ...[tokens.access_token, tokens.refresh_token, tokens.id_token ?? '', request_uri, device.device_code],
    ...[device.user_code, consent.url.pathname.split('/')[2] ?? '', shown.url.pathname.split('/')[2] ?? ''],
    ...[
      code,
      pkce().verifier,
      pkce().challenge,
      'S256',
      CALLBACK,
      SIGNED_OUT,
      '1',
      'yes',
      'consent',
      'cancel',
    ],
    ...[
      'alice',
      'bob',
      PASSWORD,
      'reject',
      'set',
      'skip',
      'acct:a@b.test',
      '@alice:example.test',
      'style.css',
    ],
    ...[
      'code',
      'query',
      'fragment',
      'form_post',
      'openid',
      'openid email urn:matrix:client:api:*',
      'none',
      'login',
    ],
    ...[
      'authorization_code',
      'refresh_token',
      'client_credentials',
      'access_token',
      'de',
      'en',
      'RS256',
      'web',
    ],
    ...[
      DEVICE_GRANT,
      'continue_authorization_grant',
      'manage_account',
      'continue_device_code_grant',
      'native',
    ],
    ...[
      'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      'private_key_jwt',
      'none',
      'client_secret_post',
    ],
    ...['org.matrix.session_end', 'm.login.password', 'm.id.user', 'https://app.example.com/x', '0', '3600'],
  ]
  credentials = [
    ...[bearer, homeserver, registered, known].map(({ authorization }) => authorization),
    basic(secret.client_id, 'wrong').authorization,
  ]
})

/** Registration metadata with every member that has rules of its own. */
const EVERYTHING = {
  ...WEB_CLIENT,
  'client_name#de': 'Eine App',
  token_endpoint_auth_method: 'client_secret_post',
  logo_uri: 'https://app.example.com/logo.png',
  policy_uri: 'https://app.example.com/privacy',
  tos_uri: 'https://app.example.com/terms',
  request_uris: ['https://app.example.com/request'],
  post_logout_redirect_uris: ['https://app.example.com/out'],
  backchannel_logout_uri: 'https://app.example.com/logout',
  contacts: ['admin@example.com'],
  default_max_age: 3600,
  require_auth_time: true,
  id_token_signed_response_alg: 'ES256',
  userinfo_signed_response_alg: 'RS256',
  application_type: 'web',
}

/** A fresh session, when a route has ended the one that there was. */
async function signedIn(): Promise<void> {
  for (const name of browser.cookies.keys()) if (/session/.test(name)) browser.cookies.delete(name)
  const page = await browser.open('/login')
  if (page.url.pathname === '/login')
    await page.submit({ username: 'alice', password: PASSWORD }, { action: 'login' })
}

const TYPED: Record<string, string> = { username: 'alice', password: PASSWORD, password_confirm: PASSWORD }
const PAGES = 40

/**
 * Walks through the pages as a person who is signed in, one who is signing up and one who is neither: what links and
 * forms lead to, by path, with everything that they would send.
 */
async function walk(): Promise<Map<string, GoodRequest[]>> {
  const found = new Map<string, GoodRequest[]>()
  const starts = app.routes.flatMap(({ method, path }) =>
    method === 'GET' && surfaceOf(path) === 'page' && !path.includes('{') ? [path] : [],
  )
  for (const by of [browser, newcomer, harness.browser()]) {
    const queue = [...starts, ...entrances]
    const done = new Set<string>()
    for (let address = queue.shift(); address !== undefined && done.size < PAGES; address = queue.shift()) {
      if (done.has(address)) continue
      done.add(address)
      const page = await by.open(address)
      const add = (target: string, fields: Record<string, string>) => {
        const url = new URL(target || page.url.href, page.url)
        const query = Object.fromEntries(url.searchParams)
        const good = {
          fields: { ...query, ...fields },
          headers: { cookie: cookieOf(by) },
          segment: url.pathname,
        }
        found.set(url.pathname, [...(found.get(url.pathname) ?? []), good])
      }
      add(page.url.href, {})
      for (const { action, hidden, names: others } of readForms(page.text))
        add(action, { ...Object.fromEntries(others.map((name) => [name, TYPED[name] ?? '1'])), ...hidden })
      for (const [, href = ''] of page.text.matchAll(/<a\b[^>]*\bhref="(\/[^"/][^"]*)"/g))
        queue.push(href.replaceAll('&amp;', '&'))
    }
  }
  return found
}

/** The requests that are known to be good for a route; the segments of its path are taken out of their addresses. */
async function goodRequests(path: string): Promise<GoodRequest[]> {
  const own = api[path] ?? []
  if (surfaceOf(path) !== 'page') return own
  const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, '([^/]+)')}$`)
  const walked = [...(await walk())].flatMap(([pathname, requests]) => {
    const match = pattern.exec(pathname)
    return match ? requests.map((request) => ({ ...request, segment: match[1] ?? '' })) : []
  })
  const cookie = cookieOf(browser)
  return [...own.map((request) => ({ ...request, headers: { ...request.headers, cookie } })), ...walked]
}

const send = (path: string, { method, segment, query, headers, body }: FuzzedRequest): Promise<Response> => {
  const address = path.replace(/\{\w+\}/g, () => segment.slice(0, 2000) || 'x')
  const url = `${harness.origin}${address}${query === '' ? '' : `?${query}`}`
  return app.handle(new Request(url, { method, headers, ...(body !== undefined && { body }) }))
}

/** Whether an address may be named in an answer: ours, or one that a client registered. */
function mayGoTo(location: string): boolean {
  const url = new URL(location, harness.origin)
  if (url.origin === harness.origin) return !location.includes('\\') && !location.startsWith('//')
  return [CALLBACK, SIGNED_OUT].includes(url.origin + url.pathname)
}

async function checkAnswer(path: string, request: FuzzedRequest, response: Response): Promise<void> {
  const { status, headers } = response
  const text = await response.text()
  const type = headers.get('content-type') ?? ''
  expect(status).toBeLessThan(500)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('set-cookie') ?? '').not.toContain('injected')
  const location = headers.get('location')
  if (location !== null && status !== 201) expect([location, mayGoTo(location)]).toEqual([location, true])
  for (const cookie of headers.getSetCookie()) expect(cookie).toMatch(/; HttpOnly/)
  if (type.startsWith('text/html')) {
    expect(MARKUP.exec(text)?.[0]).toBeUndefined()
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    if (status >= 400 && request.method !== 'HEAD') expect(text).toContain('<h1>')
  }
  if (status >= 400) checkError(path, request, status, type, text, headers)
}

/** An error has the form of its surface: JSON of OAuth, of Matrix or of the admin API, a page, a sentence. */
function checkError(
  path: string,
  { method }: FuzzedRequest,
  status: number,
  type: string,
  text: string,
  headers: Headers,
): void {
  const surface = surfaceOf(path)
  if (status === 405) expect(headers.get('allow')).toMatch(/^[A-Z, ]+$/)
  else expect(headers.get('cache-control')).toBe('no-store')
  if (status === 429 || status === 503) expect(headers.get('retry-after')).toMatch(/^\d+$/)
  if (method === 'HEAD') return
  if (surface === 'page') {
    // A page that asks by script is answered in its own form.
    expect(type).toMatch(/^(?:text\/html; charset=utf-8|application\/json|text\/plain; charset=utf-8)$/)
    return
  }
  if (surface === 'probe') return
  if (text === '') {
    expect([400, 401, 403]).toContain(status)
    return
  }
  expect(type).toBe('application/json')
  const body = JSON.parse(text) as Record<string, unknown>
  if (surface === 'matrix') {
    expect(body.errcode).toMatch(/^M_[A-Z_]+$/)
    expect(body.error).toBeString()
  } else if (Array.isArray(body.errors)) {
    for (const { title } of body.errors as { title: unknown }[]) expect(title).toBeString()
  } else {
    expect(body.error).toMatch(/^[a-z_]+$/)
    // RFC 6749 section 5.2.
    expect(body.error_description ?? 'x').toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  }
}

describe('whatever is sent, every route answers in the form of its surface, and nothing goes wrong inside', () => {
  for (const { method, path } of app.routes)
    test(
      `${method} ${path}`,
      async () => {
        const good = await goodRequests(path)
        const requests = fuzzedRequests(method, {
          names: { own: names.of(path), all: names.all },
          values,
          credentials,
          cookies: [cookieOf(browser), 'a=b'],
          good,
        })
        await fc.assert(
          fc.asyncProperty(requests, async (request) => {
            const before = harness.logged.length
            const response = await send(path, request)
            await checkAnswer(path, request, response)
            const errors = harness.logged.slice(before).filter(({ level }) => level === 'error')
            expect(errors.map(({ event, fields }) => `${event} ${fields.error}`)).toEqual([])
          }),
          OPTIONS,
        )
      },
      LIMIT,
    )
})

test('parameters are found where they are read', () => {
  expect(names.of('/oauth2/token')).toContain('grant_type')
  expect(names.of('/login')).toContain('username')
  for (const name of ['client_id', 'redirect_uri', 'code_verifier', 'csrf', 'login_hint', 'request_uri'])
    expect(names.all).toContain(name)
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { signJwtWithSecret } from '../../src/crypto/jwt.ts'
import { newToken } from '../../src/crypto/tokens.ts'
import { systemRandom } from '../../src/lib/random.ts'
import type { Browser } from '../support/browser.ts'
import { type DatabaseProxy, proxy } from '../support/database.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  authorizeUrl,
  exchange,
  introspect,
  obtainCode,
  PASSWORD,
  pkce,
  registerClient,
  signedInApp,
  type TokenBody,
  WEB_CLIENT,
} from '../support/oauth.ts'

/** Answers that need no database, by design: they must stay up when it is down. */
const WITHOUT_DATABASE = [
  'GET /.well-known/openid-configuration',
  'GET /.well-known/oauth-authorization-server',
  'GET /.well-known/webfinger',
  'GET /.well-known/change-password',
  'GET /oauth2/keys.json',
  'GET /assets/{file}',
  'GET /health',
  'GET /api/spec.json',
  'GET /api/doc/',
  'GET /api/doc/oauth2-callback',
  'GET /api/doc/{file}',
  'GET /_matrix/client/{version}/login',
  'GET /account',
  'GET /account/sessions/end',
  'GET /account/sessions/browsers',
  'GET /account/devices/{id}',
  'GET /account/clients/{id}',
  'GET /account/emails/{id}/in-use',
  'GET /account/password/change/success',
  // Only goes on to GET.
  'POST /end-session',
]

const PROVIDER = '01J00000000000000000000000'
const PROVIDER_SECRET = 'a secret that both of them know well'

/** A logout token of the provider, which is good. */
const logoutToken = (): Promise<string> => {
  const iat = Math.floor(harness.clock.now().getTime() / 1000)
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
  const claims = { aud: 'latchkey', sub: 'somebody', iat, exp: iat + 60, jti: 'one', events }
  return signJwtWithSecret(claims, 'HS256', PROVIDER_SECRET)
}
const SSO = '/_matrix/client/v3/login/sso/redirect'

let way: DatabaseProxy
let direct: Harness
let harness: Harness
let browser: Browser
let clientId: string
let tokens: TokenBody
let code: string
let csrf: string
let steps: string

beforeAll(async () => {
  direct = await createHarness()
  way = await proxy(direct.database.uri)
  harness = await createHarness({
    beside: direct,
    databaseUri: () => way.uri,
    config: {
      upstream_oauth2: {
        providers: [
          {
            id: PROVIDER,
            discovery_mode: 'disabled',
            authorization_endpoint: 'https://harbour.example/authorize',
            token_endpoint: 'https://harbour.example/token',
            client_id: 'latchkey',
            client_secret: PROVIDER_SECRET,
            token_endpoint_auth_method: 'client_secret_basic',
            id_token_signed_response_alg: 'HS256',
          },
        ],
      },
    },
  })
  ;({ browser, clientId, tokens } = await signedInApp(direct, 'alice'))
  code = await obtainCode(browser, clientId)
  const page = await browser.open('/account/')
  csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const form = await direct.browser().open('/register')
  steps = (
    await form.submit(
      { username: 'bob', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
  ).url.pathname
  await harness.deps.jobs.stop()
  await way.cut()
})
afterAll(async () => {
  await harness.close()
  await way.close()
  await direct.close()
})

const grant = async (): Promise<string> => {
  const page = await browser.open(authorizeUrl(clientId))
  return page.url.pathname
}

/** A request that each route would have answered well. */
const requests: Record<string, () => Promise<[path: string, form?: Record<string, string>]>> = {
  'GET /.well-known/webfinger': async () => ['/.well-known/webfinger?resource=acct%3Aa%40example.test'],
  'GET /assets/{file}': async () => ['/assets/style.css'],
  'GET /api/doc/{file}': async () => ['/api/doc/api-doc.js'],
  'POST /oauth2/token': async () => [
    '/oauth2/token',
    { grant_type: 'authorization_code', client_id: clientId, code, code_verifier: pkce().verifier },
  ],
  'POST /oauth2/introspect': async () => ['/oauth2/introspect', { token: tokens.access_token }],
  'POST /oauth2/revoke': async () => ['/oauth2/revoke', { token: tokens.access_token, client_id: clientId }],
  'POST /oauth2/par': async () => [
    '/oauth2/par',
    Object.fromEntries(new URL(authorizeUrl(clientId), harness.origin).searchParams),
  ],
  'POST /oauth2/device': async () => ['/oauth2/device', { client_id: clientId }],
  'GET /authorize': async () => [authorizeUrl(clientId)],
  'POST /authorize': async () => [
    '/authorize',
    Object.fromEntries(new URL(authorizeUrl(clientId), 'http://x').searchParams),
  ],
  'GET /consent/{id}': async () => [await grant()],
  'POST /consent/{id}': async () => [await grant(), { csrf, action: 'consent' }],
  'POST /login': async () => ['/login', { csrf, username: 'alice', password: PASSWORD }],
  'POST /language': async () => ['/language', { csrf, locale: 'de' }],
  'GET /_matrix/client/{version}/login/sso/redirect': async () => [`${SSO}?redirectUrl=https://a.example/`],
  'GET /_matrix/client/{version}/login/sso/redirect/': async () => [`${SSO}/?redirectUrl=https://a.example/`],
  'GET /_matrix/client/{version}/login/sso/redirect/{idp}': async () => [
    `${SSO}/x?redirectUrl=https://a.example/`,
  ],
  'GET /complete-compat-sso/{id}': async () => ['/complete-compat-sso/01J00000000000000000000000'],
  'POST /complete-compat-sso/{id}': async () => ['/complete-compat-sso/01J00000000000000000000000', { csrf }],
  'GET /_matrix/client/{version}/login': async () => ['/_matrix/client/v3/login'],
  'POST /logout': async () => ['/logout', { csrf }],
  'POST /end-session': async () => ['/end-session', { client_id: clientId }],
  'POST /end-session/confirm': async () => ['/end-session/confirm', { csrf }],
  'GET /oauth2/registration/{id}': async () => [`/oauth2/registration/${clientId}`],
  'PUT /oauth2/registration/{id}': async () => [`/oauth2/registration/${clientId}`],
  'DELETE /oauth2/registration/{id}': async () => [`/oauth2/registration/${clientId}`],
  'POST /register/password': async () => [
    '/register/password',
    { csrf, username: 'carol', password: PASSWORD, password_confirm: PASSWORD },
  ],
  'GET /register/check': async () => ['/register/check?username=carol'],
  'GET /register/steps/{id}/verify-email': async () => [steps.replace('display-name', 'verify-email')],
  'POST /register/steps/{id}/verify-email': async () => [
    steps.replace('display-name', 'verify-email'),
    { csrf, code: '123456' },
  ],
  'GET /register/steps/{id}/display-name': async () => [steps],
  'GET /register/steps/{id}/token': async () => [steps.replace('display-name', 'token')],
  'POST /register/steps/{id}/token': async () => [
    steps.replace('display-name', 'token'),
    { csrf, token: 'x' },
  ],
  'GET /register/steps/{id}/finish': async () => [steps.replace('display-name', 'finish')],
  'POST /register/steps/{id}/display-name': async () => [steps, { csrf, display_name: 'Bob' }],
  'POST /account/confirm': async () => ['/account/confirm', { csrf, password: PASSWORD }],
  'POST /account/tokens/new': async () => [
    '/account/tokens/new',
    { csrf, token_name: 'A script', scope_matrix_api: '1', expires: '7' },
  ],
  'GET /account/tokens/{id}/replace': async () => ['/account/tokens/01J00000000000000000000000/replace'],
  'POST /account/tokens/{id}/replace': async () => [
    '/account/tokens/01J00000000000000000000000/replace',
    { csrf, expires: '7' },
  ],
  'GET /account/tokens/{id}/revoke': async () => ['/account/tokens/01J00000000000000000000000/revoke'],
  'POST /account/tokens/{id}/revoke': async () => [
    '/account/tokens/01J00000000000000000000000/revoke',
    { csrf },
  ],
  'POST /account/data/export': async () => ['/account/data/export', { csrf }],
  'POST /account/deactivate': async () => ['/account/deactivate', { csrf, confirm: 'alice' }],
  'POST /account/profile': async () => ['/account/profile', { csrf, display_name: 'Alice' }],
  'POST /account/profile/picture/remove': async () => ['/account/profile/picture/remove', { csrf }],
  'POST /account/profile/preferences': async () => ['/account/profile/preferences', { csrf, locale: 'de' }],
  'POST /account/password/change': async () => [
    '/account/password/change',
    {
      csrf,
      current_password: PASSWORD,
      password: `${PASSWORD}!`,
      password_confirm: `${PASSWORD}!`,
    },
  ],
  'POST /account/reset-cross-signing': async () => ['/account/reset-cross-signing', { csrf }],
  'POST /account/sessions/{id}': async () => [
    '/account/sessions/01J00000000000000000000000',
    { csrf, name: 'Phone' },
  ],
  'POST /account/sessions/end': async () => [
    '/account/sessions/end',
    { csrf, confirm: '1', end_01J00000000000000000000000: '1' },
  ],
  'POST /account/sessions/end-others': async () => ['/account/sessions/end-others', { csrf, apps: '1' }],
  'POST /account/apps/{id}/revoke': async () => ['/account/apps/01J00000000000000000000000/revoke', { csrf }],
  'POST /account/emails/add': async () => ['/account/emails/add', { csrf, email: 'a@example.test' }],
  'GET /account/emails/{id}/verify': async () => ['/account/emails/01J00000000000000000000000/verify'],
  'POST /account/emails/{id}/verify': async () => [
    '/account/emails/01J00000000000000000000000/verify',
    { csrf, code: '123456' },
  ],
  'POST /account/emails/{id}/primary': async () => [
    '/account/emails/01J00000000000000000000000/primary',
    { csrf },
  ],
  'GET /account/emails/{id}/remove': async () => ['/account/emails/01J00000000000000000000000/remove'],
  'POST /account/emails/{id}/remove': async () => [
    '/account/emails/01J00000000000000000000000/remove',
    { csrf },
  ],
  'POST /account/emails/{id}/cancel': async () => [
    '/account/emails/01J00000000000000000000000/cancel',
    { csrf },
  ],
  'GET /upstream/authorize/{id}': async () => [`/upstream/authorize/${PROVIDER}`],
  'GET /upstream/callback/{id}': async () => [`/upstream/callback/${PROVIDER}?state=s&code=c`],
  'POST /upstream/callback/{id}': async () => [`/upstream/callback/${PROVIDER}`, { state: 's', code: 'c' }],
  'GET /upstream/link/{id}': async () => [`/upstream/link/${PROVIDER}`],
  'POST /upstream/link/{id}': async () => [`/upstream/link/${PROVIDER}`, { csrf, action: 'register' }],
  'POST /upstream/backchannel-logout/{id}': async () => [
    `/upstream/backchannel-logout/${PROVIDER}`,
    { logout_token: await logoutToken() },
  ],
  'GET /account/linked/{id}/unlink': async () => [`/account/linked/${PROVIDER}/unlink`],
  'POST /account/linked/{id}/unlink': async () => [`/account/linked/${PROVIDER}/unlink`, { csrf }],
  'POST /recover': async () => ['/recover', { csrf, email: 'alice@example.test' }],
  'GET /recover/progress/{id}': async () => ['/recover/progress/01J00000000000000000000000'],
  'POST /recover/progress/{id}': async () => ['/recover/progress/01J00000000000000000000000', { csrf }],
  'GET /account/password/recovery': async () => [`/account/password/recovery?ticket=${'a'.repeat(32)}`],
  'POST /account/password/recovery': async () => [
    '/account/password/recovery',
    { csrf, ticket: 'a'.repeat(32), password: PASSWORD, password_confirm: PASSWORD },
  ],
  'GET /account/sessions/{id}/end': async () => ['/account/sessions/01J00000000000000000000000/end'],
  'POST /account/sessions/{id}/end': async () => [
    '/account/sessions/01J00000000000000000000000/end',
    { csrf, confirm: 'yes' },
  ],
}

async function answer(name: string): Promise<Response> {
  const [method = '', route = ''] = name.split(' ')
  const [path, form] = (await requests[name]?.()) ?? [route]
  const headers: Record<string, string> = {
    cookie: [...browser.cookies].map(([key, value]) => `${key}=${value}`).join('; '),
  }
  if (route === '/oauth2/introspect') headers.authorization = 'Bearer test-shared-secret-of-matrix'
  if (route === '/oauth2/userinfo') headers.authorization = `Bearer ${tokens.access_token}`
  // Nobody can tell whose it is.
  if (route === '/oauth2/registration/{id}') headers.authorization = 'Bearer registration-access-token'
  // Whose token it is comes before all else.
  if (route.startsWith('/api/admin/')) headers.authorization = `Bearer ${tokens.access_token}`
  if (route === '/oauth2/registration')
    return harness.request(path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(WEB_CLIENT),
    })
  if (route.startsWith('/_matrix/') && !route.includes('/sso/')) return askMatrix(method, route, headers)
  if (form) headers['content-type'] = 'application/x-www-form-urlencoded'
  return harness.request(path, {
    method,
    headers,
    ...(form && { body: new URLSearchParams(form).toString() }),
  })
}

/** What the API of older Matrix clients is asked. */
function askMatrix(method: string, route: string, headers: Record<string, string>): Promise<Response> {
  const token = (kind: 'mct' | 'mcr') => newToken(kind, systemRandom)
  const login = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'alice' },
    password: PASSWORD,
  }
  return harness.request(route.replace('{version}', 'v3'), {
    method,
    headers: { ...headers, authorization: `Bearer ${token('mct')}` },
    ...(method === 'POST' && {
      body: JSON.stringify(route.endsWith('/login') ? login : { refresh_token: token('mcr') }),
    }),
  })
}

const names = (): string[] => harness.app.routes.map(({ method, path }) => `${method} ${path}`)

describe('with the database down', () => {
  test('every route answers 503 with Retry-After in the form of its surface, never a 4xx (decision 7)', async () => {
    const wrong: string[] = []
    for (const name of names()) {
      if (WITHOUT_DATABASE.includes(name)) continue
      const response = await answer(name)
      const body = await response.text()
      const json = /application\/json/.test(response.headers.get('content-type') ?? '')
      if (response.status !== 503 || !response.headers.get('retry-after'))
        wrong.push(`${name}: ${response.status} ${body.slice(0, 200)}`)
      if (
        json !==
        (/ \/((oauth2|_matrix|api|upstream\/backchannel-logout)\/|ready$)/.test(name) &&
          !name.includes('/sso/'))
      )
        wrong.push(`${name}: ${response.headers.get('content-type')}`)
      if (/CONNECTION|ECONN|postgres|127\.0\.0\.1/i.test(body)) wrong.push(`${name}: ${body.slice(0, 300)}`)
      if (response.headers.has('set-cookie')) wrong.push(`${name}: ${response.headers.get('set-cookie')}`)
    }
    expect(wrong).toEqual([])
  })

  test('what needs no database stays up', async () => {
    for (const name of WITHOUT_DATABASE) {
      const response = await answer(name)
      expect([name, response.status]).toEqual([
        name,
        / \/account$|sessions\/(end|browsers)$|devices|clients|emails|plan$|success$|change-password|end-session/.test(
          name,
        )
          ? 303
          : 200,
      ])
    }
  })

  test('an outage page says that nothing is lost and names a reference that the log has', async () => {
    const page = await answer('GET /account/')
    const text = await page.text()
    expect(text).toContain('nothing is lost')
    const reference = harness.logged.findLast(({ event }) => event === 'outage')?.fields.reference
    expect(text).toContain(String(reference))
  })

  test('after it, everything goes on where it was: the code, the token and the sign-up still work', async () => {
    await way.restore()
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
    expect((await exchange(harness, clientId, code)).token_type).toBe('Bearer')
    expect((await harness.request('/health')).status).toBe(200)
    await registerClient(harness)
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type App, createApp } from '../../src/app.ts'
import type { Deps } from '../../src/deps.ts'
import { createHarness, type Harness } from '../support/harness.ts'

type Auth = 'none' | 'browser' | 'form' | 'client' | 'homeserver' | 'token'

/**
 * Every route: who may call it, which form its errors take, and whether web clients of other origins call it. `browser`
 * routes act for the session cookie, `form` routes also need the CSRF token.
 */
const ROUTES: Record<
  string,
  [auth: Auth, surface: 'page' | 'oauth' | 'matrix' | 'admin' | 'probe', cors: boolean]
> = {
  'GET /.well-known/openid-configuration': ['none', 'oauth', true],
  'GET /.well-known/oauth-authorization-server': ['none', 'oauth', true],
  'GET /.well-known/webfinger': ['none', 'oauth', true],
  'GET /.well-known/matrix/client': ['none', 'oauth', true],
  'GET /.well-known/change-password': ['none', 'page', false],
  'GET /oauth2/keys.json': ['none', 'oauth', true],
  'POST /oauth2/par': ['client', 'oauth', true],
  'POST /oauth2/token': ['client', 'oauth', true],
  'POST /oauth2/introspect': ['homeserver', 'oauth', true],
  'POST /oauth2/revoke': ['client', 'oauth', true],
  'GET /oauth2/userinfo': ['token', 'oauth', true],
  'POST /oauth2/userinfo': ['token', 'oauth', true],
  'POST /oauth2/registration': ['none', 'oauth', true],
  'GET /oauth2/registration/{id}': ['token', 'oauth', true],
  'PUT /oauth2/registration/{id}': ['token', 'oauth', true],
  'DELETE /oauth2/registration/{id}': ['token', 'oauth', true],
  'POST /oauth2/device': ['client', 'oauth', true],
  'GET /': ['browser', 'page', false],
  'GET /authorize': ['browser', 'page', false],
  'POST /authorize': ['browser', 'page', false],
  'POST /language': ['form', 'page', false],
  'GET /login': ['browser', 'page', false],
  'POST /login': ['form', 'page', false],
  'POST /logout': ['form', 'page', false],
  'GET /end-session': ['browser', 'page', false],
  'POST /end-session': ['none', 'page', false],
  'POST /end-session/confirm': ['form', 'page', false],
  'GET /register': ['browser', 'page', false],
  'GET /register/check': ['browser', 'page', false],
  'GET /register/password': ['browser', 'page', false],
  'POST /register/password': ['form', 'page', false],
  'GET /register/steps/{id}/waiting': ['browser', 'page', false],
  'POST /register/resume': ['form', 'page', false],
  'POST /terms': ['form', 'page', false],
  'GET /register/steps/{id}/verify-email': ['browser', 'page', false],
  'POST /register/steps/{id}/verify-email': ['form', 'page', false],
  'GET /register/steps/{id}/display-name': ['browser', 'page', false],
  'POST /register/steps/{id}/display-name': ['form', 'page', false],
  'GET /register/steps/{id}/token': ['browser', 'page', false],
  'POST /register/steps/{id}/token': ['form', 'page', false],
  'GET /register/steps/{id}/finish': ['browser', 'page', false],
  'GET /upstream/authorize/{id}': ['browser', 'page', false],
  'GET /upstream/callback/{id}': ['browser', 'page', false],
  'POST /upstream/callback/{id}': ['none', 'page', false],
  'GET /upstream/link/{id}': ['browser', 'page', false],
  'POST /upstream/link/{id}': ['form', 'page', false],
  'POST /upstream/backchannel-logout/{id}': ['none', 'oauth', false],
  'GET /account/linked': ['browser', 'page', false],
  'GET /account/linked/{id}/unlink': ['browser', 'page', false],
  'POST /account/linked/{id}/unlink': ['form', 'page', false],
  'GET /recover': ['browser', 'page', false],
  'POST /recover': ['form', 'page', false],
  'GET /recover/progress/{id}': ['browser', 'page', false],
  'POST /recover/progress/{id}': ['form', 'page', false],
  'GET /account/password/recovery': ['browser', 'page', false],
  'POST /account/password/recovery': ['form', 'page', false],
  'GET /consent/{id}': ['browser', 'page', false],
  'POST /consent/{id}': ['form', 'page', false],
  'GET /link': ['browser', 'page', false],
  'POST /link': ['form', 'page', false],
  'GET /device/{id}': ['browser', 'page', false],
  'POST /device/{id}': ['form', 'page', false],
  'GET /account': ['browser', 'page', false],
  'GET /account/': ['browser', 'page', false],
  'GET /account/confirm': ['browser', 'page', false],
  'POST /account/confirm': ['form', 'page', false],
  'GET /account/emails': ['browser', 'page', false],
  'GET /account/emails/add': ['browser', 'page', false],
  'POST /account/emails/add': ['form', 'page', false],
  'GET /account/emails/{id}/verify': ['browser', 'page', false],
  'POST /account/emails/{id}/verify': ['form', 'page', false],
  'POST /account/emails/{id}/primary': ['form', 'page', false],
  'GET /account/emails/{id}/remove': ['browser', 'page', false],
  'POST /account/emails/{id}/remove': ['form', 'page', false],
  'POST /account/emails/{id}/cancel': ['form', 'page', false],
  'GET /account/emails/{id}/in-use': ['none', 'page', false],
  'GET /account/sessions': ['browser', 'page', false],
  'GET /account/tokens': ['browser', 'page', false],
  'GET /account/tokens/new': ['browser', 'page', false],
  'POST /account/tokens/new': ['form', 'page', false],
  'GET /account/tokens/{id}/replace': ['browser', 'page', false],
  'POST /account/tokens/{id}/replace': ['form', 'page', false],
  'GET /account/tokens/{id}/revoke': ['browser', 'page', false],
  'POST /account/tokens/{id}/revoke': ['form', 'page', false],
  'GET /account/sessions/{id}': ['browser', 'page', false],
  'POST /account/sessions/{id}': ['form', 'page', false],
  'GET /account/sessions/end': ['none', 'page', false],
  'POST /account/sessions/end': ['form', 'page', false],
  'GET /account/sessions/end-others': ['browser', 'page', false],
  'POST /account/sessions/end-others': ['form', 'page', false],
  'GET /account/sessions/browsers': ['none', 'page', false],
  'GET /account/devices/{id}': ['none', 'page', false],
  'GET /account/clients/{id}': ['none', 'page', false],
  'GET /account/plan': ['browser', 'page', false],
  'GET /account/profile': ['browser', 'page', false],
  'POST /account/profile': ['form', 'page', false],
  'GET /account/picture': ['browser', 'page', false],
  'POST /account/profile/picture': ['form', 'page', false],
  'POST /account/profile/picture/remove': ['form', 'page', false],
  'POST /account/profile/preferences': ['form', 'page', false],
  'GET /account/password/change': ['browser', 'page', false],
  'POST /account/password/change': ['form', 'page', false],
  'GET /account/password/change/success': ['none', 'page', false],
  'GET /account/reset-cross-signing': ['browser', 'page', false],
  'POST /account/reset-cross-signing': ['form', 'page', false],
  'GET /account/reset-cross-signing/success': ['browser', 'page', false],
  'GET /account/reset-cross-signing/cancelled': ['browser', 'page', false],
  'GET /account/security': ['browser', 'page', false],
  'GET /account/data': ['browser', 'page', false],
  'POST /account/data/export': ['form', 'page', false],
  'GET /account/deactivate': ['browser', 'page', false],
  'POST /account/deactivate': ['form', 'page', false],
  'GET /account/deactivate/undo': ['none', 'page', false],
  'POST /account/deactivate/undo': ['form', 'page', false],
  'GET /account/apps': ['browser', 'page', false],
  'GET /account/apps/{id}/revoke': ['browser', 'page', false],
  'POST /account/apps/{id}/revoke': ['form', 'page', false],
  'GET /account/sessions/{id}/end': ['browser', 'page', false],
  'POST /account/sessions/{id}/end': ['form', 'page', false],
  'GET /_matrix/client/{version}/login': ['none', 'matrix', true],
  'POST /_matrix/client/{version}/login': ['none', 'matrix', true],
  'GET /_matrix/client/{version}/login/sso/redirect': ['none', 'page', false],
  'GET /_matrix/client/{version}/login/sso/redirect/': ['none', 'page', false],
  'GET /_matrix/client/{version}/login/sso/redirect/{idp}': ['none', 'page', false],
  'GET /complete-compat-sso/{id}': ['browser', 'page', false],
  'POST /complete-compat-sso/{id}': ['form', 'page', false],
  'POST /_matrix/client/{version}/refresh': ['none', 'matrix', true],
  'POST /_matrix/client/{version}/logout': ['token', 'matrix', true],
  'POST /_matrix/client/{version}/logout/all': ['token', 'matrix', true],
  'GET /api/admin/v1/users': ['token', 'admin', true],
  'POST /api/admin/v1/users': ['token', 'admin', true],
  'GET /api/admin/v1/users/{id}': ['token', 'admin', true],
  'GET /api/admin/v1/users/by-username/{username}': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/set-password': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/set-admin': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/set-displayname': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/kill-sessions': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/lock': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/reactivate': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/unlock': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/approve': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/reject': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/deactivate': ['token', 'admin', true],
  'POST /api/admin/v1/users/{id}/set-username': ['token', 'admin', true],
  'DELETE /api/admin/v1/users/{id}': ['token', 'admin', true],
  'GET /api/admin/v1/upstream-oauth-links': ['token', 'admin', true],
  'POST /api/admin/v1/upstream-oauth-links': ['token', 'admin', true],
  'GET /api/admin/v1/upstream-oauth-links/{id}': ['token', 'admin', true],
  'DELETE /api/admin/v1/upstream-oauth-links/{id}': ['token', 'admin', true],
  'GET /api/admin/v1/upstream-oauth-providers': ['token', 'admin', true],
  'GET /api/admin/v1/upstream-oauth-providers/{id}': ['token', 'admin', true],
  'GET /api/admin/v1/user-emails': ['token', 'admin', true],
  'POST /api/admin/v1/user-emails': ['token', 'admin', true],
  'GET /api/admin/v1/user-emails/{id}': ['token', 'admin', true],
  'DELETE /api/admin/v1/user-emails/{id}': ['token', 'admin', true],
  'GET /api/admin/v1/user-sessions': ['token', 'admin', true],
  'GET /api/admin/v1/user-sessions/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/user-sessions/{id}/finish': ['token', 'admin', true],
  'POST /api/admin/v1/user-sessions/finish': ['token', 'admin', true],
  'GET /api/admin/v1/compat-sessions': ['token', 'admin', true],
  'GET /api/admin/v1/compat-sessions/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/compat-sessions/{id}/finish': ['token', 'admin', true],
  'POST /api/admin/v1/compat-sessions/finish': ['token', 'admin', true],
  'GET /api/admin/v1/oauth2-sessions': ['token', 'admin', true],
  'GET /api/admin/v1/oauth2-sessions/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/oauth2-sessions/{id}/finish': ['token', 'admin', true],
  'POST /api/admin/v1/oauth2-sessions/finish': ['token', 'admin', true],
  'GET /api/admin/v1/personal-sessions': ['token', 'admin', true],
  'POST /api/admin/v1/personal-sessions': ['token', 'admin', true],
  'GET /api/admin/v1/personal-sessions/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/personal-sessions/{id}/revoke': ['token', 'admin', true],
  'POST /api/admin/v1/personal-sessions/{id}/regenerate': ['token', 'admin', true],
  'GET /api/admin/v1/user-registration-tokens': ['token', 'admin', true],
  'POST /api/admin/v1/user-registration-tokens': ['token', 'admin', true],
  'GET /api/admin/v1/user-registration-tokens/{id}': ['token', 'admin', true],
  'PUT /api/admin/v1/user-registration-tokens/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/user-registration-tokens/{id}/revoke': ['token', 'admin', true],
  'POST /api/admin/v1/user-registration-tokens/{id}/unrevoke': ['token', 'admin', true],
  'POST /api/admin/v1/upstream-oauth-providers': ['token', 'admin', true],
  'PUT /api/admin/v1/upstream-oauth-providers/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/upstream-oauth-providers/{id}/enable': ['token', 'admin', true],
  'POST /api/admin/v1/upstream-oauth-providers/{id}/disable': ['token', 'admin', true],
  'DELETE /api/admin/v1/upstream-oauth-providers/{id}': ['token', 'admin', true],
  'GET /api/admin/v1/oauth2-clients': ['token', 'admin', true],
  'GET /api/admin/v1/oauth2-clients/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/oauth2-clients': ['token', 'admin', true],
  'PUT /api/admin/v1/oauth2-clients/{id}': ['token', 'admin', true],
  'DELETE /api/admin/v1/oauth2-clients/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/oauth2-clients/{id}/regenerate-secret': ['token', 'admin', true],
  'GET /api/admin/v1/site-config': ['token', 'admin', true],
  'GET /api/admin/v1/version': ['token', 'admin', true],
  'POST /api/admin/v1/policy-data': ['token', 'admin', true],
  'GET /api/admin/v1/policy-data/latest': ['token', 'admin', true],
  'GET /api/admin/v1/policy-data/{id}': ['token', 'admin', true],
  'GET /api/admin/v1/audit-log': ['token', 'admin', true],
  'GET /api/admin/v1/audit-log/{id}': ['token', 'admin', true],
  'GET /api/admin/v1/undelivered-mails': ['token', 'admin', true],
  'POST /api/admin/v1/undelivered-mails/{id}/retry': ['token', 'admin', true],
  'GET /api/admin/v1/jobs': ['token', 'admin', true],
  'GET /api/admin/v1/jobs/{id}': ['token', 'admin', true],
  'POST /api/admin/v1/jobs/{id}/retry': ['token', 'admin', true],
  'GET /api/admin/v1/events': ['token', 'admin', true],
  'GET /api/admin/v1/events/{id}': ['token', 'admin', true],
  'GET /api/spec.json': ['none', 'admin', true],
  'GET /api/doc/': ['none', 'admin', false],
  'GET /api/doc/oauth2-callback': ['none', 'admin', false],
  'GET /api/doc/{file}': ['none', 'admin', false],
  'GET /assets/{file}': ['none', 'page', false],
  'GET /health': ['none', 'probe', false],
  'GET /ready': ['none', 'probe', false],
  'GET /metrics': ['none', 'probe', false],
}

const SECRET = 'select secret from vault'
const RESOURCES = (
  [
    'discovery',
    'human',
    'oauth',
    'compat',
    'adminapi',
    'assets',
    'health',
    'prometheus',
    'well-known',
  ] as const
).map((name) => ({ name }))

let harness: Harness
let app: App
beforeAll(async () => {
  harness = await createHarness()
  app = createApp(harness.deps, { resources: RESOURCES })
})
afterAll(() => harness.close())

const ask = (path: string, init?: RequestInit) => app.handle(new Request(`http://auth.test${path}`, init))
const names = () => app.routes.map(({ method, path }) => `${method} ${path}`)
const addressOf = (path: string) =>
  path
    .replace('{id}', '01J00000000000000000000000')
    .replace('{file}', 'x')
    .replace('{version}', 'v3')
    .replace('{idp}', 'x')

/** A Deps of which every part throws something that nobody expected. */
function broken(deps: Deps): Deps {
  const keep = new Set([
    'config',
    'urls',
    'translate',
    'views',
    'assets',
    'log',
    'random',
    'secrets',
    'keys',
    'metrics',
    'tracing',
    'stopping',
  ])
  return new Proxy(deps, {
    get(target, name) {
      if (keep.has(String(name))) return Reflect.get(target, name)
      if (name === 'clock') return { now: () => new Date('2026-11-24T12:00:00Z') }
      if (name === 'homeserver') return { kind: 'synapse', serverName: 'example.test' }
      throw new TypeError(SECRET)
    },
  })
}

test('the list of routes is complete', () => {
  expect(names().sort()).toEqual(Object.keys(ROUTES).sort())
})

describe('the boundary', () => {
  test('covers every route: an unknown error is a 500 without its message, with a reference that the log has', async () => {
    const failing = createApp(harness.deps, { resources: RESOURCES })
    for (const route of failing.routes) route.handle = explode
    const covered: string[] = []
    for (const { method, path } of failing.routes) {
      const name = `${method} ${path}`
      const logged = harness.logged.length
      const response = await failing.handle(new Request(`http://auth.test${addressOf(path)}`, { method }))
      const text = await response.text()
      expect([name, response.status]).toEqual([name, 500])
      expect([name, text.includes(SECRET)]).toEqual([name, false])
      const entry = harness.logged.slice(logged).find(({ event }) => event === 'request.failed')
      expect([name, text.includes(String(entry?.fields.reference))]).toEqual([name, true])
      const html = (response.headers.get('content-type') ?? '').startsWith('text/html')
      expect([name, html]).toEqual([name, ROUTES[name]?.[1] === 'page'])
      expect([name, response.headers.get('access-control-allow-origin')]).toEqual([
        name,
        ROUTES[name]?.[2] ? '*' : null,
      ])
      expect([name, response.headers.get('cache-control')]).toEqual([name, 'no-store'])
      covered.push(name)
    }
    expect(covered.sort()).toEqual(Object.keys(ROUTES).sort())
  })

  test('a route that throws where nobody expected it says nothing of why either', async () => {
    const failing = createApp(broken(harness.deps), { resources: RESOURCES })
    for (const { method, path } of failing.routes) {
      const response = await failing.handle(new Request(`http://auth.test${addressOf(path)}`, { method }))
      expect([path, (await response.text()).includes(SECRET)]).toEqual([path, false])
    }
  })

  test('an error page that cannot be rendered (an operator’s template) is a sentence, not the error', async () => {
    const views = {
      ...harness.deps.views,
      page: () => {
        throw new Error(SECRET)
      },
    }
    const failing = createApp({ ...harness.deps, views }, { resources: RESOURCES })
    for (const path of ['/login', '/nothing', '/consent/x']) {
      const response = await failing.handle(new Request(`http://auth.test${path}`))
      expect(response.status).toBe(500)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(await response.text()).toMatch(
        /^Something went wrong on this server\. Reference: [2-9A-HJKMNP-Z]{8}\n$/,
      )
    }
  })
})

const explode = (): never => {
  throw new Error(SECRET)
}

describe('methods', () => {
  test('every other method is 405 with Allow, and a preflight is answered where the route is for web clients', async () => {
    for (const [path, routes] of Map.groupBy(app.routes, (route) => route.path)) {
      const own = routes.map(({ method }) => method as string)
      const allow = own.includes('GET') ? [...own, 'HEAD'] : own
      const [, declared, cors] = ROUTES[`${own[0]} ${path}`] ?? []
      const surface = path.startsWith('/_matrix/') ? 'matrix' : declared
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
        if (own.includes(method)) continue
        const response = await ask(addressOf(path), { method })
        expect([path, method, response.status]).toEqual([path, method, 405])
        expect(response.headers.get('allow')).toBe(allow.join(', '))
        expect(response.headers.get('access-control-allow-origin')).toBe(cors ? '*' : null)
        expect(response.headers.get('content-type')).toBe(
          surface === 'oauth' || surface === 'matrix' || surface === 'admin'
            ? 'application/json'
            : 'text/plain; charset=utf-8',
        )
        if (surface === 'matrix')
          expect(await response.json()).toEqual({ errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' })
      }
      const preflight = await ask(addressOf(path), {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example.com', 'access-control-request-method': own[0] ?? '' },
      })
      expect(preflight.status).toBe(204)
      expect(preflight.headers.get('access-control-allow-origin')).toBe(cors ? '*' : null)
      if (!cors) continue
      expect(preflight.headers.get('access-control-allow-methods')).toBe(allow.join(', '))
      expect(preflight.headers.get('access-control-max-age')).toBe('3600')
      expect(preflight.headers.has('access-control-allow-credentials')).toBe(false)
      const allowed = preflight.headers.get('access-control-allow-headers') ?? ''
      for (const header of ['authorization', 'accept', 'accept-language', 'content-language', 'content-type'])
        expect(allowed).toContain(header)
      const discovery = path.startsWith('/.well-known/') || path === '/oauth2/keys.json'
      expect(allowed.includes('x-requested-with')).toBe(!discovery)
    }
  })

  test('HEAD answers as GET does, without a body', async () => {
    for (const path of ['/login', '/.well-known/openid-configuration', '/health', '/nothing']) {
      const get = await ask(path)
      const head = await ask(path, { method: 'HEAD' })
      expect([path, head.status, head.headers.get('content-type')]).toEqual([
        path,
        get.status,
        get.headers.get('content-type'),
      ])
      if (path !== '/nothing') expect(await head.text()).toBe('')
    }
  })
})

describe('unknown addresses', () => {
  test.each([
    ['/oauth2/nothing', 'application/json'],
    ['/oauth2/token/', 'application/json'],
    ['/api/admin/v1/nothing', 'application/json'],
    ['/api/nothing', 'application/json'],
    ['/.well-known/nothing', 'application/json'],
    ['/_matrix/client/v3/nothing', 'application/json'],
    ['/nothing', 'text/html; charset=utf-8'],
    ['/login/', 'text/html; charset=utf-8'],
    ['/Login', 'text/html; charset=utf-8'],
    ['//login', 'text/html; charset=utf-8'],
    ['/consent/%ff', 'text/html; charset=utf-8'],
    ['/consent/%00', 'text/html; charset=utf-8'],
    ['/consent/x/y', 'text/html; charset=utf-8'],
    ['/register/steps/%F0%9F%92%A5/finish', 'text/html; charset=utf-8'],
    ['/assets/..%2f..%2fpackage.json', 'text/html; charset=utf-8'],
  ])('%s is 404 in the form of its surface', async (path, type) => {
    const response = await ask(path)
    expect([response.status, response.headers.get('content-type')]).toEqual([404, type])
    const matrix = path.startsWith('/_matrix/')
    expect(response.headers.get('access-control-allow-origin')).toBe(matrix ? '*' : null)
    if (matrix)
      expect(await response.json()).toEqual({ errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' })
  })

  test('under /_matrix a preflight is answered all the same, so that a web client can read the 404', async () => {
    const response = await ask('/_matrix/client/v3/nothing', { method: 'OPTIONS' })
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-allow-methods')).toContain('PUT')
  })
})

test('every answer forbids sniffing', async () => {
  for (const path of ['/', '/nothing', '/oauth2/keys.json', '/assets/style.css', '/health', '/_matrix/x'])
    expect((await ask(path)).headers.get('x-content-type-options')).toBe('nosniff')
})

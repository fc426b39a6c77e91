import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createApp } from '../../src/app.ts'
import { formActionSource, pageHeaders } from '../../src/http/headers.ts'
import { createUrls } from '../../src/http/urls.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, PASSWORD, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

let harness: Harness
let browser: Browser
beforeAll(async () => {
  harness = await createHarness()
  browser = harness.browser()
  await signUp(browser, 'alice')
})
afterAll(() => harness.close())

const directives = (headers: Headers): Map<string, string> =>
  new Map(
    (headers.get('content-security-policy') ?? '').split('; ').map((directive) => {
      const [name = '', ...sources] = directive.split(' ')
      return [name, sources.join(' ')]
    }),
  )
const csrfOf = (text: string): string => /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? ''

describe('headers of pages', () => {
  test('every page: a CSP without inline code, no-store, no frames, no sniffing, Referrer-Policy (decisions 1, 2)', async () => {
    const { client_id } = await registerClient(harness)
    const paths = [
      '/',
      '/login',
      '/register',
      '/account/',
      '/nothing',
      '/consent/x',
      '/authorize',
      authorizeUrl(client_id),
    ]
    for (const path of paths) {
      const { headers, text } = await browser.open(path)
      const policy = directives(headers)
      expect(policy.get('default-src')).toBe("'none'")
      expect(policy.get('script-src')).toBe("'self'")
      expect(policy.get('style-src')).toBe("'self'")
      expect(policy.get('base-uri')).toBe("'none'")
      expect(policy.get('frame-ancestors')).toBe("'none'")
      expect(headers.get('content-security-policy')).not.toMatch(/unsafe|\*|data:/)
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('referrer-policy')).toBe('same-origin')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('strict-transport-security')).toBeNull()
      expect(text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle="|\son[a-z]+="|javascript:/i)
    }
  })

  test.each([
    ['https://app.example.com/callback', 'https://app.example.com', {}],
    ['http://127.0.0.1:4711/cb', 'http://127.0.0.1:4711', { redirect_uris: ['http://127.0.0.1/cb'] }],
    ['http://[::1]:4711/cb', 'http:', { redirect_uris: ['http://[::1]/cb'] }],
    ['com.example.app:/cb', 'com.example.app:', { redirect_uris: ['com.example.app:/cb'] }],
  ])(
    'sign-in, sign-up and consent towards %s let the form end at %s (decision 1)',
    async (redirect_uri, source, metadata) => {
      const { client_id } = await registerClient(harness, {
        ...WEB_CLIENT,
        application_type: source.startsWith('https') ? 'web' : 'native',
        ...metadata,
      })
      const anonymous = harness.browser()
      const pages = [
        await anonymous.open(authorizeUrl(client_id, { redirect_uri })),
        await anonymous.open(authorizeUrl(client_id, { redirect_uri, prompt: 'create' })),
        await browser.open(authorizeUrl(client_id, { redirect_uri })),
      ]
      expect(pages.map((page) => page.url.pathname.split('/')[1])).toEqual(['login', 'register', 'consent'])
      const form = await (pages[1] as (typeof pages)[0]).submit(
        { username: `user-${source.length}`, password: PASSWORD, password_confirm: PASSWORD },
        { action: 'register/password' },
      )
      expect(form.url.pathname).toContain('/display-name')
      for (const page of [...pages, form])
        expect(directives(page.headers).get('form-action')).toBe(`'self' ${source}`)
      const wrong = await (pages[0] as (typeof pages)[0]).submit(
        { username: 'alice', password: 'no' },
        { action: 'login' },
      )
      expect(directives(wrong.headers).get('form-action')).toBe(`'self' ${source}`)
    },
  )

  test('a request of another browser tells nothing about its client', async () => {
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Secret Project' })
    const mine = await harness.browser().open(authorizeUrl(client_id))
    expect(mine.text).toContain('Secret Project')
    const theirs = await harness.browser().open(mine.url.pathname + mine.url.search)
    expect(theirs.text).not.toContain('Secret Project')
    expect(directives(theirs.headers).get('form-action')).toBe("'self'")
  })

  test('a logo may be shown from its own origin and no other', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      logo_uri: 'https://cdn.app.example.com/logo.png',
    })
    const { headers } = await browser.open(authorizeUrl(client_id))
    expect(directives(headers).get('img-src')).toBe("'self' https://cdn.app.example.com")
  })

  test('assets are kept for ever under their content hash, and for a while otherwise', async () => {
    const style = /href="([^"]*style[^"]*\.css)"/.exec((await browser.open('/login')).text)?.[1] ?? ''
    const hashed = await harness.request(style)
    expect(hashed.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(hashed.headers.get('content-type')).toStartWith('text/css')
    expect((await harness.request('/assets/style.css')).headers.get('cache-control')).toBe(
      'public, max-age=300',
    )
  })
})

describe('cookies (decision 3)', () => {
  test.each([
    [
      'http://auth.test/',
      /^(browser|session|known)=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/,
    ],
    [
      'https://auth.test/',
      /^__Host-(browser|session|known)=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/,
    ],
    [
      'https://auth.test/a/b/',
      /^__Secure-(browser|session|known)=[\w-]{43}; Path=\/a\/b; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/,
    ],
  ])('below %s', async (public_base, pattern) => {
    const own = await createHarness({ beside: harness, config: { http: { public_base } } })
    const { pathname } = new URL(public_base)
    const page = await own.request(`${pathname}login`)
    const [cookie = ''] = page.headers.getSetCookie()
    expect(cookie).toMatch(pattern)
    const form = await own.form(
      `${pathname}login`,
      { csrf: csrfOf(await page.text()), username: 'alice', password: PASSWORD },
      { cookie: cookie.split(';')[0] ?? '' },
    )
    expect(form.status).toBe(303)
    expect(form.headers.getSetCookie()).toHaveLength(3)
    for (const set of form.headers.getSetCookie()) expect(set).toMatch(pattern)
    if (own.deps.urls.secure) expect(page.headers.get('strict-transport-security')).toBe('max-age=31536000')
    await own.close()
  })

  test('on https a cookie without the prefix is nobody’s: a neighbour domain could have set it', async () => {
    const own = await createHarness({
      beside: harness,
      config: { http: { public_base: 'https://auth.test/' } },
    })
    const session = browser.cookies.get('session') ?? ''
    const ask = (name: string) => own.request('/account/', { headers: { cookie: `${name}=${session}` } })
    expect((await ask('session')).status).toBe(303)
    expect((await ask('__Host-session')).status).toBe(200)
    await own.close()
  })

  test('malformed Cookie headers are as good as none', async () => {
    for (const cookie of [
      'session',
      'session=',
      ';;;=',
      'session="x"',
      'session=[1]',
      `session=${'A'.repeat(43)}`,
    ])
      expect((await harness.request('/account/', { headers: { cookie } })).status).toBe(303)
  })
})

describe('forms of other sites (decision 2)', () => {
  const post = async (headers: Record<string, string>, fields: Record<string, string> = {}) => {
    const own = harness.browser()
    const csrf = csrfOf((await own.open('/login')).text)
    return own.post('/login', { csrf, username: 'alice', password: PASSWORD, ...fields }, headers)
  }

  test('a stale token shows the form again with what was typed, never the password', async () => {
    const page = await post({}, { csrf: 'A'.repeat(43) })
    expect([page.status, page.url.pathname]).toEqual([422, '/login'])
    expect(page.text).toContain('open for too long')
    expect(page.text).toContain('value="alice"')
    expect(page.text).not.toContain(PASSWORD)
    expect(
      (await page.submit({ username: 'alice', password: PASSWORD }, { action: 'login' })).url.pathname,
    ).toBe('/')
  })

  test('the same for the sign-up', async () => {
    const own = harness.browser()
    await own.open('/register')
    const page = await own.post('/register/password', {
      username: 'newcomer',
      password: PASSWORD,
      password_confirm: PASSWORD,
    })
    expect(page.status).toBe(422)
    expect(page.text).toContain('value="newcomer"')
    expect(page.text).not.toContain(PASSWORD)
  })

  test.each([
    [{ 'sec-fetch-site': 'cross-site' }, 422],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
    [{ origin: 'null' }, 200],
    [{ origin: 'null', 'sec-fetch-site': 'cross-site' }, 422],
  ])('%j with the right token: %i', async (headers, status) => {
    expect((await post(headers as Record<string, string>)).status).toBe(status)
  })

  test.each([
    ['missing', {}],
    ['empty', { csrf: '' }],
    ['no base64', { csrf: '%%%' }],
    ['short', { csrf: 'AAAA' }],
  ])('a %s token ends no session', async (_name, fields) => {
    const page = await browser.post('/logout', fields as Record<string, string>)
    expect(page.status).toBe(422)
    expect((await browser.open('/account/')).url.pathname).toBe('/account/')
  })

  test('the token changes when somebody signs in, and again when they sign out', async () => {
    const own = harness.browser()
    const login = await own.open('/login')
    const before = csrfOf(login.text)
    await login.submit({ username: 'alice', password: PASSWORD }, { action: 'login' })
    const account = await own.open('/account/')
    const during = csrfOf(account.text)
    expect(during).not.toBe(before)
    expect((await own.post('/logout', { csrf: before })).status).toBe(422)
    await account.submit({}, { action: 'logout' })
    expect((await own.post('/login', { csrf: during, username: 'alice', password: PASSWORD })).status).toBe(
      422,
    )
  })

  test('the token of one browser is worth nothing in another', async () => {
    const csrf = csrfOf((await harness.browser().open('/login')).text)
    const other = harness.browser()
    await other.open('/login')
    expect((await other.post('/login', { csrf, username: 'alice', password: PASSWORD })).status).toBe(422)
  })
})

describe('bodies of pages', () => {
  test('no form, and 1 MB of form: a page, never a 500', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const send = (init: RequestInit) => harness.request('/login', { method: 'POST', ...init })
    for (const [response, status] of [
      [await send({ body: '{}', headers: { 'content-type': 'application/json' } }), 400],
      [await send({}), 400],
      [await send({ body: new FormData() }), 400],
      [await send({ body: `username=${'x'.repeat(1024 * 1024)}`, headers }), 413],
      [await send({ body: new Uint8Array([0xff, 0x00, 0xfe]), headers }), 422],
    ] as const) {
      expect(response.status).toBe(status)
      expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    }
  })

  test('the first of repeated fields counts', async () => {
    const own = harness.browser()
    const csrf = csrfOf((await own.open('/login')).text)
    const body = `csrf=${csrf}&username=alice&username=mallory&password=${encodeURIComponent(PASSWORD)}&password=x`
    const cookie = [...own.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await harness.request('/login', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded', cookie },
    })
    expect(response.status).toBe(303)
  })
})

test.each(['/assets/%E0%A4%A', '/assets/%zz', '/consent/%ff', '/register/steps/%C3%28/display-name'])(
  'GET %s: a path that is not percent-encoded UTF-8 is not there',
  async (path) => {
    expect((await harness.request(path)).status).toBe(404)
  },
)

test.each(['%0d%0aset-cookie:x=1', '%E4%B8%AD', '..%2f..%2f%2fevil.example', 'x'])(
  'POST /account/sessions/%s/end: what is no id is not there, and goes into no header',
  async (id) => {
    const own = harness.browser()
    await own.open('/login')
    await signUp(own, `ender${id.length}`)
    const answer = await own.post(`/account/sessions/${id}/end`, {})
    // The list of what is there.
    expect([answer.status, answer.url.pathname, answer.url.search]).toEqual([200, '/account/sessions', ''])
  },
)

describe('the Content-Security-Policy (decision 1)', () => {
  const urls = createUrls({ public_base: 'https://auth.test/', issuer: 'https://auth.test/' })

  test('no host of an app or of the operator can begin another directive', () => {
    for (const host of ['a;script-src-elem', 'a,b', '*', "a'b", '[::1]']) {
      const images = [`https://${host}/logo.png`, 'https://cdn.example.org/logo.png', 'http://plain.example/']
      expect(directives(pageHeaders(urls, { images })).get('img-src')).toBe("'self' https://cdn.example.org")
      expect(formActionSource(`https://${host}/cb`)).toBe('https:')
    }
    expect(formActionSource('https://app.example.org:8443/cb')).toBe('https://app.example.org:8443')
  })
})

test('a resource that is not mounted is not there', async () => {
  const app = createApp(harness.deps, { resources: [{ name: 'health' }] })
  expect((await app.handle(new Request('http://auth.test/health'))).status).toBe(200)
  expect((await app.handle(new Request('http://auth.test/login'))).status).toBe(404)
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createBrowser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { createPerson, passwordLogin } from '../support/legacy.ts'
import {
  authorizeUrl,
  introspect,
  MATRIX_SCOPE,
  PASSWORD,
  pkce,
  registerClient,
  signUp,
  type TokenBody,
} from '../support/oauth.ts'

const BASE = 'https://matrix.example.com/auth/'
let harness: Harness
beforeAll(async () => {
  harness = await createHarness({ config: { http: { public_base: BASE } } })
})
afterAll(() => harness.close())

const keeping = (request: Request): Promise<Response> => harness.app.handle(request)
const stripping = (request: Request): Promise<Response> => {
  const url = new URL(request.url)
  if (!url.pathname.startsWith('/auth/'))
    return Promise.resolve(new Response('the proxy has nothing here', { status: 502 }))
  url.pathname = url.pathname.slice('/auth'.length)
  return harness.app.handle(new Request(url, request))
}

describe.each([
  ['a proxy that strips the prefix', stripping, 'bob'],
  ['a proxy that keeps the prefix', keeping, 'carol'],
] as const)('%s', (_name, handle, username) => {
  test('the whole flow stays below the prefix, by the addresses of discovery alone (decision 4)', async () => {
    const visited: string[] = []
    const seen = (request: Request) => {
      visited.push(new URL(request.url).pathname)
      return handle(request)
    }
    const browser = createBrowser(seen, { origin: 'https://matrix.example.com' })
    const document = (await (
      await handle(new Request(`${BASE}.well-known/openid-configuration`))
    ).json()) as Record<string, string>
    for (const [name, value] of Object.entries(document))
      if (/_(endpoint|uri)$/.test(name) || name === 'issuer') expect(value).toStartWith(BASE)

    const { client_id } = await registerClient(harness)
    const start = authorizeUrl(client_id).replace('/authorize', document.authorization_endpoint ?? '')
    const login = await browser.open(start)
    expect(login.url.pathname).toBe('/auth/login')
    const link = /href="([^"]*register[^"]*)"/.exec(login.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
    await signUp(browser, username, link)
    const consent = await browser.open(start)
    expect(consent.url.pathname).toStartWith('/auth/consent/')
    const done = await consent.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    expect(done.url.searchParams.get('iss')).toBe(BASE)

    const answer = await handle(
      new Request(document.token_endpoint ?? '', {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          client_id,
          code: done.url.searchParams.get('code') ?? '',
          code_verifier: pkce().verifier,
        }),
      }),
    )
    const tokens = (await answer.json()) as TokenBody
    expect(tokens.scope).toBe(MATRIX_SCOPE)
    expect(await introspect(harness, tokens.access_token)).toMatchObject({ active: true, username })

    const account = await browser.open(document.account_management_uri ?? '')
    expect(account.status).toBe(200)
    const out = await account.submit({}, { action: 'logout' })
    expect(out.text).not.toContain(`@${username}`)
    const back = await (await browser.open('/auth/login')).submit(
      { username, password: PASSWORD },
      { action: 'login' },
    )
    expect(back.url.pathname).toBe('/auth/')
    const stranger = createBrowser(seen, { origin: 'https://matrix.example.com' })
    const devices = await (await stranger.open('/auth/account/sessions')).submit(
      { username, password: PASSWORD },
      { action: 'login' },
    )
    expect(devices.url.pathname).toBe('/auth/account/sessions')
    expect(visited.filter((path) => !path.startsWith('/auth/'))).toEqual([])
  })

  test('every address on every page, styles included, is below the prefix', async () => {
    const browser = createBrowser(handle, { origin: 'https://matrix.example.com' })
    for (const path of ['login', 'register', '', 'nothing-here']) {
      const page = await browser.open(`/auth/${path}`)
      for (const [, address = ''] of page.text.matchAll(/(?:href|src|action)="([^"#][^"]*)"/g))
        expect(new URL(address, page.url).pathname).toStartWith('/auth/')
    }
    const style = /href="([^"]*style[^"]*\.css[^"]*)"/.exec((await browser.open('/auth/login')).text)?.[1]
    expect((await browser.open(style ?? '/missing')).status).toBe(200)
  })

  test('cookies are __Secure- with the prefix as their Path (decision 3)', async () => {
    const response = await handle(new Request(`${BASE}login`))
    const cookies = response.headers.getSetCookie()
    expect(cookies.length).toBeGreaterThan(0)
    for (const cookie of cookies)
      expect(cookie).toMatch(
        /^__Secure-\w+=[\w-]*; Path=\/auth; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/,
      )
  })

  test('errors take the form of their surface', async () => {
    const json = await handle(new Request(`${BASE}oauth2/nothing`))
    expect([json.status, json.headers.get('content-type')]).toEqual([404, 'application/json'])
    const page = await handle(new Request(`${BASE}nothing`))
    expect([page.status, page.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8'])
  })
})

test('the RFC 8414 document also stands before the path of the issuer (RFC 8414 section 3.1)', async () => {
  const response = await harness.request('/.well-known/oauth-authorization-server/auth')
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({ issuer: BASE })
})

test('a listener with a prefix of its own serves there, and its errors take the form of their surface', async () => {
  const listener = { resources: [{ name: 'oauth' as const }, { name: 'human' as const }], prefix: '/behind/' }
  const { createApp } = await import('../../src/app.ts')
  const app = createApp(harness.deps, listener)
  const ask = (path: string, init?: RequestInit) => app.handle(new Request(`http://10.0.0.1${path}`, init))
  expect((await ask('/behind/oauth2/keys.json')).status).toBe(200)
  for (const [path, method, status] of [
    ['/behind/oauth2/token', 'POST', 400],
    ['/behind/oauth2/nothing', 'GET', 404],
    ['/behind/oauth2/token', 'GET', 405],
    ['/behind/_matrix/client/v3/login', 'GET', 404],
  ] as const) {
    const response = await ask(path, { method })
    expect([path, response.status, response.headers.get('content-type')]).toEqual([
      path,
      status,
      'application/json',
    ])
  }
})

test('the login API of older clients stands at the root too, and its SSO leads to the pages below the prefix (decision 4)', async () => {
  await createPerson(harness, 'legacy')
  for (const path of ['', '/auth']) {
    const response = await keeping(
      new Request(`https://matrix.example.com${path}/_matrix/client/v3/login`, {
        method: 'POST',
        body: JSON.stringify(passwordLogin('legacy')),
      }),
    )
    expect([path, response.status]).toEqual([path, 200])
  }
  const browser = createBrowser(keeping, { origin: 'https://matrix.example.com' })
  const target = encodeURIComponent('https://chat.example.com/')
  const login = await browser.open(`/_matrix/client/v3/login/sso/redirect?redirectUrl=${target}`)
  expect(login.url.pathname).toBe('/auth/login')
  const page = await login.submit({ username: 'legacy', password: PASSWORD }, { action: '/login' })
  expect(page.url.pathname).toStartWith('/auth/complete-compat-sso/')
  const done = await page.submit({}, { action: 'complete-compat-sso/', button: ['action', 'continue'] })
  expect(done.url.href).toStartWith('https://chat.example.com/?loginToken=')
})

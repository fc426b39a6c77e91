import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  API_SCOPE,
  authorizeUrl,
  deviceScope,
  MATRIX_SCOPE,
  obtainCode,
  registerClient,
  signedInApp,
  signUp,
  staticClient,
  WEB_CLIENT,
} from '../support/oauth.ts'

const PLAIN = `openid ${API_SCOPE}`
const UNSTABLE_API = 'urn:matrix:org.matrix.msc2967.client:api:*'
const unstableDevice = (id: string) => `urn:matrix:org.matrix.msc2967.client:device:${id}`

let harness: Harness
let browser: Browser
let clientId: string
beforeAll(async () => {
  harness = await createHarness({
    config: {
      policy: {
        data: { admin_users: ['boss'], requester: { banned_user_agents: { substrings: ['BadBot'] } } },
      },
    },
  })
  browser = harness.browser()
  await signUp(browser, 'alice')
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => harness.close())

const answer = (page: Page, action = 'consent'): Promise<Page> =>
  page.submit({}, { action: 'consent/', button: ['action', action] })

const isConsent = (page: Page): boolean =>
  page.url.origin === harness.origin && page.url.pathname.startsWith('/consent/')

/** Agrees once, then asks the same again: is the page shown the second time? */
async function shownAgain(client: string, params: Record<string, string>): Promise<boolean> {
  const first = await browser.open(authorizeUrl(client, params))
  expect(isConsent(first)).toBe(true)
  expect((await answer(first)).url.searchParams.has('code')).toBe(true)
  const second = await browser.open(authorizeUrl(client, params))
  if (!isConsent(second)) expect(second.url.searchParams.get('code')).toMatch(/^[0-9A-Za-z]{32}$/)
  return isConsent(second)
}

describe('when a remembered answer is enough (decision 10)', () => {
  test('a redirect that the client_uri proves', async () => {
    expect(await shownAgain(clientId, { scope: PLAIN })).toBe(false)
  })

  test('a client of the configuration with an https redirect', async () => {
    const uri = 'https://static.example.com/cb'
    const { client_id } = await staticClient(harness, [uri])
    expect(await shownAgain(client_id, { scope: PLAIN, redirect_uri: uri })).toBe(false)
  })

  test('other scopes, and another person, are asked', async () => {
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Scopes' })
    await answer(await browser.open(authorizeUrl(client_id, { scope: 'openid' })))
    expect(isConsent(await browser.open(authorizeUrl(client_id, { scope: PLAIN })))).toBe(true)
    expect(isConsent(await browser.open(authorizeUrl(client_id, { scope: 'openid' })))).toBe(false)
    const bob = harness.browser()
    await signUp(bob, 'bob')
    expect(isConsent(await bob.open(authorizeUrl(client_id, { scope: 'openid' })))).toBe(true)
  })

  test.each<[string, object, string]>([
    ['private scheme', { redirect_uris: ['com.example.app:/cb'] }, 'com.example.app:/cb'],
    ['loopback address', { redirect_uris: ['http://127.0.0.1/cb'] }, 'http://127.0.0.1:4711/cb'],
    ['loopback IPv6 address', { redirect_uris: ['http://[::1]/cb'] }, 'http://[::1]:4711/cb'],
    ['loopback name', { redirect_uris: ['http://localhost/cb'] }, 'http://localhost:4711/cb'],
  ])('always shown: %s (RFC 8252 section 8.6)', async (_name, metadata, redirect_uri) => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      application_type: 'native',
      ...metadata,
    })
    expect(await shownAgain(client_id, { scope: PLAIN, redirect_uri })).toBe(true)
  })

  test('always shown: a device scope, in both spellings', async () => {
    expect(await shownAgain(clientId, { scope: MATRIX_SCOPE })).toBe(true)
    const scope = `${UNSTABLE_API} ${unstableDevice('BBBBBBBBBB')}`
    expect(await shownAgain(clientId, { scope })).toBe(true)
  })

  test('always shown: admin scopes', async () => {
    const boss = harness.browser()
    await signUp(boss, 'boss')
    for (const scope of [`${API_SCOPE} urn:synapse:admin:*`, 'urn:mas:admin']) {
      for (let i = 0; i < 2; i++) {
        const page = await boss.open(authorizeUrl(clientId, { scope }))
        expect(isConsent(page)).toBe(true)
        expect(page.text).toContain('scope-danger')
        expect((await answer(page)).url.searchParams.has('code')).toBe(true)
      }
    }
  })
})

describe('the limit of sessions (experimental.session_limit)', () => {
  test('at the soft limit consent is refused with what to do, and goes on when a session has ended', async () => {
    const limited = await createHarness({
      config: { experimental: { session_limit: { soft_limit: 1, hard_limit: 2 } } },
    })
    const { browser: carol, clientId: app, tokens } = await signedInApp(limited, 'carol')
    const refused = await carol.open(authorizeUrl(app))
    expect(refused.text).toContain('Too many devices')
    await limited.form('/oauth2/revoke', { token: tokens.access_token, client_id: app })
    expect((await carol.open(refused.url.pathname)).text).not.toContain('Too many devices')
    await limited.close()
  })
})

describe('the answer', () => {
  test('cancel goes back with access_denied, state and iss, and the request is over', async () => {
    const page = await browser.open(authorizeUrl(clientId))
    const { url } = await answer(page, 'cancel')
    expect(url.origin + url.pathname).toBe('https://app.example.com/callback')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      error: 'access_denied',
      error_description: expect.any(String),
      state: 'a-state',
      iss: 'http://auth.test/',
    })
    expect((await browser.open(page.url.pathname)).status).toBe(409)
    expect((await answer(page)).status).toBe(409)
  })

  test('a second click gives no second code', async () => {
    const page = await browser.open(authorizeUrl(clientId))
    const both = await Promise.all([answer(page), answer(page)])
    expect(both.filter((done) => done.url.searchParams.has('code'))).toHaveLength(1)
    expect(both.filter((done) => done.status === 409)).toHaveLength(1)
  })

  test('fragment and form_post carry the code, state and iss', async () => {
    const fragment = await answer(await browser.open(authorizeUrl(clientId, { response_mode: 'fragment' })))
    const values = new URLSearchParams(fragment.url.hash.slice(1))
    expect([values.get('state'), values.get('iss'), values.get('code')?.length]).toEqual([
      'a-state',
      'http://auth.test/',
      32,
    ])
    expect(fragment.url.search).toBe('')
    const post = await answer(await browser.open(authorizeUrl(clientId, { response_mode: 'form_post' })))
    expect(post.status).toBe(200)
    expect(post.text).toMatch(/name="code" value="[0-9A-Za-z]{32}"/)
    expect(post.text).not.toContain('name="csrf"')
    expect(post.headers.get('content-security-policy')).not.toContain('form-action')
    expect(post.headers.get('content-language')).toBe('en')
    const german = { response_mode: 'form_post', ui_locales: 'de' }
    const asked = await answer(await browser.open(authorizeUrl(clientId, german)))
    expect(asked.text).toContain('name="code"')
    expect([asked.headers.get('content-language'), asked.text.includes('<html lang="de"')]).toEqual([
      'de',
      true,
    ])
  })

  test('a private scheme and a loopback address with a port are where the code goes', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      application_type: 'native',
      redirect_uris: ['com.example.app:/cb', 'http://127.0.0.1/cb'],
    })
    for (const redirect_uri of ['com.example.app:/cb', 'http://127.0.0.1:9999/cb']) {
      const done = await answer(await browser.open(authorizeUrl(client_id, { redirect_uri })))
      expect(done.url.href).toStartWith(`${redirect_uri}?state=a-state&code=`)
    }
  })

  test('no code before the homeserver knows the person (edge 37)', async () => {
    harness.homeserver.failOnce('provision_user')
    const fresh = harness.browser()
    await signUp(fresh, 'fresh')
    expect(harness.homeserver.users.has('fresh')).toBe(false)
    harness.homeserver.failOnce('provision_user')
    const page = await fresh.open(authorizeUrl(clientId))
    const failed = await answer(page)
    expect([failed.status, failed.headers.get('retry-after')]).toEqual([503, '5'])
    expect(failed.text).toContain('nothing is lost')
    expect((await answer(page)).url.searchParams.has('code')).toBe(true)
    expect(harness.homeserver.users.has('fresh')).toBe(true)
  })

  test('the page is shown even when the homeserver does not say the person’s name', async () => {
    harness.homeserver.down = true
    const page = await browser.open(authorizeUrl(clientId))
    harness.homeserver.down = false
    expect([page.status, page.text.includes('@alice:example.test')]).toEqual([200, true])
  })
})

describe('who may answer', () => {
  test('the browser that began it, and no other (edge 8)', async () => {
    const page = await browser.open(authorizeUrl(clientId))
    const other = harness.browser()
    await signUp(other, 'carol')
    const shown = await other.open(page.url.pathname)
    expect([shown.status, shown.text.includes('belongs to another browser')]).toEqual([403, true])
    const csrf = /name="csrf" value="([^"]+)"/.exec((await other.open('/account/')).text)?.[1] ?? ''
    const posted = await other.post(page.url.pathname, { csrf, action: 'consent' })
    expect([posted.status, posted.url.searchParams.has('code')]).toEqual([403, false])
    expect((await answer(page)).url.searchParams.has('code')).toBe(true)
  })

  test('within an hour', async () => {
    const page = await browser.open(authorizeUrl(clientId))
    harness.clock.advance(3599)
    expect((await browser.open(page.url.pathname)).status).toBe(200)
    harness.clock.advance(1)
    expect((await browser.open(page.url.pathname)).status).toBe(404)
    expect((await answer(page)).status).toBe(404)
  })

  test('somebody who is signed in', async () => {
    const anonymous = harness.browser()
    const login = await anonymous.open(authorizeUrl(clientId))
    const id = login.url.searchParams.get('id')
    expect((await anonymous.open(`/consent/${id}`)).url.pathname).toBe('/login')
    expect((await anonymous.post(`/consent/${id}`, { action: 'consent' })).url.pathname).toBe('/login')
  })

  test('unknown and malformed requests are 404', async () => {
    for (const id of ['01J00000000000000000000000', 'x', '%00', "'"])
      expect((await browser.open(`/consent/${id}`)).status).toBe(404)
  })

  test('with the right token: a stale one shows the page again and gives nothing', async () => {
    const page = await browser.open(authorizeUrl(clientId))
    const stale = await browser.post(page.url.pathname, { csrf: 'A'.repeat(43), action: 'consent' })
    expect([stale.status, stale.url.origin]).toEqual([422, 'http://auth.test'])
    expect((await answer(stale)).url.searchParams.has('code')).toBe(true)
  })
})

describe('what may be granted (reference 6)', () => {
  const outcome = async (scope: string): Promise<string> => {
    const page = await browser.open(authorizeUrl(clientId, { scope }))
    if (page.text.includes('name="action" value="consent"')) return 'asked'
    if (!isConsent(page)) return page.url.searchParams.get('error') ?? 'given'
    expect(page.status).toBe(200)
    expect(page.headers.get('content-security-policy')).toContain(
      "form-action 'self' https://app.example.com",
    )
    return 'refused'
  }

  test.each([
    ['email', 'asked'],
    [`${API_SCOPE} ${deviceScope('abc._~!$&-x')}`, 'asked'],
    [`${UNSTABLE_API} ${unstableDevice('CCCCCCCCCC')}`, 'asked'],
    ['urn:mas:graphql:*', 'asked'],
    [`${API_SCOPE} ${deviceScope('SHORT')}`, 'refused'],
    [`${API_SCOPE} ${deviceScope('123456789')}`, 'refused'],
    [`${API_SCOPE} ${deviceScope('1234567890%')}`, 'refused'],
    [deviceScope('DDDDDDDDDD'), 'refused'],
    [`${API_SCOPE} ${deviceScope('DDDDDDDDDD')} ${deviceScope('EEEEEEEEEE')}`, 'refused'],
    [`${API_SCOPE} ${unstableDevice('DDDDDDDDDD')}`, 'refused'],
    [`${API_SCOPE} ${UNSTABLE_API}`, 'refused'],
    [`${API_SCOPE} ${UNSTABLE_API} ${deviceScope('DDDDDDDDDD')} ${unstableDevice('EEEEEEEEEE')}`, 'refused'],
    ['urn:synapse:admin:*', 'invalid_scope'],
    ['urn:mas:admin', 'invalid_scope'],
    [`${API_SCOPE} urn:synapse:admin:*`, 'refused'],
    ['profile', 'asked'],
    ['openid offline_access', 'asked'],
    ['phone', 'invalid_scope'],
    ['urn:matrix:client:api:read', 'invalid_scope'],
    ['openid anything', 'invalid_scope'],
  ])('%s: %s', async (scope, expected) => {
    expect(await outcome(scope)).toBe(expected)
  })

  test('a refusal is a page with status 200 that offers the way back, and POST cannot pass it (edge 1, decision 11)', async () => {
    const page = await browser.open(authorizeUrl(clientId, { scope: `${API_SCOPE} phone` }))
    expect([page.status, isConsent(page)]).toEqual([200, true])
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const forced = await browser.post(page.url.pathname, { csrf, action: 'consent' })
    expect([forced.status, isConsent(forced)]).toEqual([200, true])
    const back = await browser.post(page.url.pathname, { csrf, action: 'cancel' })
    expect(back.url.searchParams.get('error')).toBe('access_denied')
  })

  test('a request without Matrix scopes is refused at the client: invalid_scope (decision 11)', async () => {
    const page = await browser.open(authorizeUrl(clientId, { scope: 'openid phone' }))
    expect(page.url.origin).toBe('https://app.example.com')
    expect(page.url.searchParams.get('error')).toBe('invalid_scope')
    expect(page.url.searchParams.get('state')).toBe('a-state')
  })

  test('a banned requester is refused', async () => {
    const bot = harness.browser({ 'user-agent': 'Mozilla/5.0 BadBot/1.0' })
    for (const [name, value] of browser.cookies) bot.cookies.set(name, value)
    const page = await bot.open(authorizeUrl(clientId))
    expect(page.text).not.toContain('name="action" value="consent"')
  })

  test('the page escapes what a client says about itself', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      client_name: '<script>alert(1)</script>"\'',
    })
    const page = await browser.open(authorizeUrl(client_id))
    expect(page.text).not.toContain('<script>alert')
    expect(await obtainCode(browser, client_id)).toHaveLength(32)
  })
})

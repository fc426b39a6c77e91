import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { createApp } from '../../src/app.ts'
import { lock } from '../../src/identity/lifecycle.ts'
import { type Browser, copyCookies, createBrowser, type Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, PASSWORD, registerClient, signUp, staticClient, WEB_CLIENT } from '../support/oauth.ts'

let harness: Harness
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => harness.close())

/** The link of a page that leads back to an app, as the person reads it and where it goes. */
const backOf = ({ text }: Page): { name: string; url: URL } | undefined => {
  const [, href = '', name = ''] =
    /<a class="button[^"]*" href="([^"]+)">Go back to ([^<]+)<\/a>/.exec(text) ?? []
  return href === '' ? undefined : { name, url: new URL(href.replaceAll('&amp;', '&')) }
}
const answerOf = (page: Page): Record<string, string> => {
  const { url } = backOf(page) ?? {}
  return url ? { to: url.origin + url.pathname, ...Object.fromEntries(url.searchParams) } : {}
}
const DENIED = {
  to: 'https://app.example.com/callback',
  state: 'a-state',
  error: 'access_denied',
  error_description: 'The person went back to the app.',
  iss: 'http://auth.test/',
}

let people = 0
/** A person on the consent page of an app. */
async function atConsent(params: Record<string, string> = {}): Promise<{ browser: Browser; page: Page }> {
  const browser = harness.browser()
  await signUp(browser, `walker${++people}`)
  return { browser, page: await browser.open(authorizeUrl(clientId, params)) }
}
const consent = (page: Page) => page.submit({}, { action: 'consent/', button: ['action', 'consent'] })

/** Makes a page of a request fail in a way that is neither the request's nor the person's: the form is none. */
const fail = (browser: Browser, address: string) =>
  browser.post(address, {}, { 'content-type': 'text/plain' })

describe('a page that stops a person leads back to the app that waits for an answer', () => {
  test('with the error, the state and our name (RFC 6749 section 4.1.2.1, RFC 9207)', async () => {
    const { browser, page } = await atConsent()
    const stopped = await fail(browser, page.url.pathname)
    expect(stopped.status).toBe(400)
    expect(backOf(stopped)?.name).toBe('Test App')
    expect(answerOf(stopped)).toEqual(DENIED)
    // Looking changed nothing: the request can still be answered.
    expect((await consent(page)).url.searchParams.has('code')).toBe(true)
  })

  test('from sign-in and sign-up too, and when the request has expired', async () => {
    const browser = harness.browser()
    const login = await browser.open(authorizeUrl(clientId))
    expect(login.url.pathname).toBe('/login')
    expect(answerOf(await fail(browser, login.url.pathname + login.url.search))).toEqual(DENIED)
    const register = `/register/password${login.url.search}`
    expect(answerOf(await fail(browser, register))).toEqual(DENIED)
    const step = await (await browser.open(`/register${login.url.search}`)).submit(
      { username: 'stepper', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    expect(step.url.pathname).toEndWith('/display-name')
    expect(answerOf(await fail(browser, step.url.pathname))).toEqual(DENIED)
    const { browser: other, page } = await atConsent()
    harness.clock.advance(3601)
    expect(answerOf(await browser.open(step.url.pathname))).toEqual(DENIED)
    const late = await other.open(page.url.pathname)
    expect(late.status).toBe(404)
    expect(answerOf(late)).toEqual(DENIED)
  })

  test('an outage is told as temporarily_unavailable, a mistake of ours as server_error; both with a reference', async () => {
    harness.homeserver.failOnce('provision_user')
    const { browser, page } = await atConsent()
    harness.homeserver.failOnce('provision_user')
    const away = await consent(page)
    expect(away.status).toBe(503)
    expect(answerOf(away)).toEqual({ ...DENIED, error: 'temporarily_unavailable' })
    const broken = createApp(
      {
        ...harness.deps,
        policy: { ...harness.deps.policy, grant: () => Promise.reject(new Error('broken')) },
      },
      { resources: [{ name: 'human' }] },
    )
    const there = copyCookies(browser, createBrowser(broken.handle))
    const failed = await there.open(page.url.pathname)
    expect(failed.status).toBe(500)
    expect(answerOf(failed)).toEqual({ ...DENIED, error: 'server_error' })
    const reference = harness.logged.findLast(({ event }) => event === 'request.failed')?.fields.reference
    expect(failed.text).toContain(String(reference))
  })

  test('somebody whose account is locked', async () => {
    const { browser, page } = await atConsent()
    const [user] = await findUserByName(harness.deps.sql, `walker${people}`, `walker${people}`)
    await lock(harness.deps, user?.id ?? '')
    const locked = await browser.open(page.url.pathname)
    expect(locked.text).toContain('locked')
    expect(answerOf(locked)).toEqual(DENIED)
  })

  test.each([
    ['fragment', 'https://app.example.com/callback#state=a-state&error=access_denied'],
    // A link cannot bring an answer that is a form.
    ['form_post', 'https://app.example.com/'],
  ])('in the way that the app asked for: %s', async (response_mode, start) => {
    const { browser, page } = await atConsent({ response_mode })
    const { url } = backOf(await fail(browser, page.url.pathname)) ?? {}
    expect(url?.href).toStartWith(start)
  })

  test('an app on the device, by its private scheme', async () => {
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      application_type: 'native',
      redirect_uris: ['com.example.app:/callback'],
    })
    const browser = harness.browser()
    const login = await browser.open(authorizeUrl(client_id, { redirect_uri: 'com.example.app:/callback' }))
    const { url } = backOf(await fail(browser, login.url.pathname + login.url.search)) ?? {}
    expect(url?.href).toStartWith('com.example.app:/callback?state=a-state&error=access_denied')
  })
})

describe('never more than the rules allow', () => {
  test('a request that has its answer gets no second one: the way leads to the page of the app', async () => {
    const { browser, page } = await atConsent()
    await consent(page)
    const again = await consent(page)
    expect(again.status).toBe(409)
    const { fields } = harness.logged.findLast(({ event }) => event === 'page.problem') ?? {}
    expect(fields).toMatchObject({ problem: 'grant_not_pending', path: page.url.pathname })
    expect(again.text).toContain(`>${fields?.reference}</code>`)
    expect(backOf(again)).toEqual({ name: 'Test App', url: new URL('https://app.example.com/') })
    expect(again.text).not.toContain('a-state')
    expect(backOf(await browser.open(page.url.pathname))?.url.href).toBe('https://app.example.com/')
  })

  test('an app without a page: the start page', async () => {
    const redirect_uri = 'https://bare.example.com/callback'
    const { client_id } = await staticClient(harness, [redirect_uri])
    const browser = harness.browser()
    await signUp(browser, `walker${++people}`)
    const page = await browser.open(authorizeUrl(client_id, { redirect_uri }))
    await consent(page)
    const again = await consent(page)
    expect(again.status).toBe(409)
    expect(backOf(again)).toBeUndefined()
    expect(again.text).toContain('<a class="button" href="/">Go to the start page</a>')
  })

  test('another browser learns nothing of the request, and is not led anywhere (edge 8)', async () => {
    const { page } = await atConsent()
    const other = harness.browser()
    await signUp(other, `walker${++people}`)
    const id = page.url.pathname.split('/')[2]
    for (const address of [
      page.url.pathname,
      `/login?kind=continue_authorization_grant&id=${id}`,
      `/register/password?kind=continue_authorization_grant&id=${id}`,
    ]) {
      const stopped = await fail(other, address)
      expect(stopped.status).toBeGreaterThanOrEqual(400)
      expect(backOf(stopped)).toBeUndefined()
      expect(stopped.text).not.toContain('a-state')
    }
  })

  test('nothing comes from the address: no open redirect', async () => {
    const browser = harness.browser()
    const login = await browser.open(authorizeUrl(clientId))
    const asked =
      'redirect_uri=https%3A%2F%2Fevil.test%2F&client_uri=https%3A%2F%2Fevil.test&state=evil&url=//evil.test'
    const stopped = await fail(browser, `${login.url.pathname}${login.url.search}&${asked}`)
    expect(answerOf(stopped)).toEqual(DENIED)
    for (const address of [
      `/login?${asked}`,
      `/authorize?client_id=${clientId}&${asked}`,
      `/nowhere?${asked}`,
      `/register/steps/01J00000000000000000000000/finish?${asked}`,
    ]) {
      const page = await fail(harness.browser(), address)
      expect(page.status).toBeGreaterThanOrEqual(400)
      expect(backOf(page)).toBeUndefined()
      expect(page.text).not.toContain('evil')
    }
  })
})

describe('a window that an app opened stays connected with it on the way there and back, and on no other page', () => {
  const openerOf = ({ headers }: { headers: Headers }) => headers.get('cross-origin-opener-policy')
  const KEPT = 'unsafe-none'
  const PARTED = 'same-origin-allow-popups'

  test('sign-in, sign-up, consent, and a page that stops', async () => {
    const browser = harness.browser()
    const login = await browser.open(authorizeUrl(clientId))
    const wrong = await login.submit({ username: 'nobody', password: 'x' }, { action: '/login' })
    const register = await browser.open(`/register${login.url.search}`)
    const step = await register.submit(
      { username: `walker${++people}`, password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    const asked = await step.submit(
      { display_name: 'W' },
      { action: 'display-name', button: ['action', 'set'] },
    )
    const stopped = await fail(browser, asked.url.pathname)
    const way = [login, wrong, register, step, asked, stopped]
    expect(way.map(({ url }) => url.pathname.split('/')[1])).toEqual([
      'login',
      'login',
      'register',
      'register',
      'consent',
      'consent',
    ])
    expect(way.map(openerOf)).toEqual(way.map(() => KEPT))
    for (const address of ['/account/', '/account/sessions', '/', '/login', '/nowhere', '/register'])
      expect([address, openerOf(await browser.open(address))]).toEqual([address, PARTED])
  })

  test('an answer by form, an error on its way to a stranger, signing out for an app', async () => {
    const { page } = await atConsent({ response_mode: 'form_post' })
    const form = await consent(page)
    expect(form.text).toContain('name="code"')
    const elsewhere = { headers: { referer: 'https://elsewhere.example/' } }
    const stranger = await harness.request(authorizeUrl(clientId, { scope: '' }), elsewhere)
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      post_logout_redirect_uris: ['https://app.example.com/bye'],
    })
    const query = new URLSearchParams({ client_id, post_logout_redirect_uri: 'https://app.example.com/bye' })
    const asked = await harness.request(`/end-session?${query}`)
    expect([form.status, stranger.status, asked.status]).toEqual([200, 400, 200])
    expect([form, stranger, asked].map(openerOf)).toEqual([KEPT, KEPT, KEPT])
    expect(openerOf(await harness.request('/end-session'))).toBe(PARTED)
  })
})

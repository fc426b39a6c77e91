import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, PASSWORD, registerClient, signUp } from '../support/oauth.ts'

const FIRST = 'https://example.test/terms'
const SECOND = 'https://example.test/terms-2027'

let none: Harness
let harness: Harness
let versioned: Harness
let moved: Harness
beforeAll(async () => {
  none = await createHarness()
  const beside = (tos_uri: string, tos_version?: string) =>
    createHarness({ beside: none, config: { branding: { tos_uri, ...(tos_version && { tos_version }) } } })
  harness = await beside(FIRST)
  versioned = await beside(FIRST, '2')
  moved = await beside(SECOND, '2')
})
afterAll(async () => {
  for (const one of [moved, versioned, harness, none]) await one.close()
})

/** The same browser at another process, with other terms. */
function at(other: Harness, browser: Browser): Browser {
  const moved = other.browser()
  for (const [name, value] of browser.cookies) moved.cookies.set(name, value)
  return moved
}
const signIn = async (browser: Browser, username: string, start = '/login'): Promise<Page> =>
  (await browser.open(start)).submit({ username, password: PASSWORD }, { action: 'login' })
const isTerms = (page: Page): boolean => page.text.includes('<h1>Terms of use</h1>')
const accept = (page: Page, fields: Record<string, string> = {}): Promise<Page> =>
  page.submit(fields, { action: '/terms' })

describe('terms', () => {
  test('are asked for after the sign-in of somebody who never accepted any, once', async () => {
    await signUp(none.browser(), 'anna')
    const browser = harness.browser()
    const page = await signIn(browser, 'anna')
    expect([page.status, isTerms(page), page.text.includes(FIRST)]).toEqual([200, true, true])
    expect(page.text).toContain('that you have not accepted yet')
    const done = await accept(page)
    expect([done.url.pathname, isTerms(done)]).toEqual(['/', false])
    expect(isTerms(await signIn(harness.browser(), 'anna'))).toBe(false)
    expect(
      await none.deps.sql`select t.terms_uri, t.version from latchkey.user_terms t
        join latchkey.users u on u.id = t.user_id where u.username = 'anna'`.then((rows) => [...rows]),
    ).toEqual([{ terms_uri: FIRST, version: '' }])
  })

  test('stand before the account area and the consent, and lead on there', async () => {
    const { client_id } = await registerClient(none)
    await signUp(none.browser(), 'ben')
    const browser = harness.browser()
    const page = await signIn(browser, 'ben', '/login')
    expect(isTerms(page)).toBe(true)
    const account = await browser.open('/account/sessions')
    expect([isTerms(account), account.text.includes('Where you are signed in')]).toEqual([true, false])
    const app = await browser.open(authorizeUrl(client_id))
    expect(isTerms(app)).toBe(true)
    expect(app.headers.get('content-security-policy')).toContain('https://app.example.com')
    const consent = await accept(app)
    expect(consent.url.pathname).toStartWith('/consent/')
    expect(isTerms(await browser.open('/account/sessions'))).toBe(false)
  })

  test('who refuses reads what happens, and finds the way back to the app, which hears access_denied', async () => {
    const { client_id } = await registerClient(none)
    await signUp(none.browser(), 'berta')
    const browser = harness.browser()
    await signIn(browser, 'berta')
    const page = await browser.open(authorizeUrl(client_id))
    expect(isTerms(page)).toBe(true)
    expect(page.text).toContain('apps that are signed in go on working')
    expect(page.text).toContain('Test App only hears that you did not go on.')
    const back =
      /<a class="button button-quiet" href="([^"]+)">Go back to Test App/.exec(page.text)?.[1] ?? ''
    const answer = new URL(back.replaceAll('&amp;', '&'))
    expect(answer.origin + answer.pathname).toBe('https://app.example.com/callback')
    expect([answer.searchParams.get('error'), answer.searchParams.get('state')]).toEqual([
      'access_denied',
      'a-state',
    ])
    // Nothing was decided by that: the terms can still be accepted.
    expect((await accept(page)).url.pathname).toStartWith('/consent/')
  })

  test('prompt=none answers login_required while they are due', async () => {
    const { client_id } = await registerClient(none)
    await signUp(none.browser(), 'carla')
    const browser = harness.browser()
    await signIn(browser, 'carla')
    const { url } = await browser.open(authorizeUrl(client_id, { prompt: 'none' }))
    expect(url.searchParams.get('error')).toBe('login_required')
  })

  test('nothing of the account works before: forms of its pages change nothing', async () => {
    await signUp(none.browser(), 'dora')
    const browser = none.browser()
    await signIn(browser, 'dora')
    const profile = await browser.open('/account/profile')
    const csrf = /name="csrf" value="([^"]+)"/.exec(profile.text)?.[1] ?? ''
    const page = await at(harness, browser).post('/account/profile', { csrf, display_name: 'Somebody' })
    expect(isTerms(page)).toBe(true)
    expect((await browser.open('/account/profile')).text).not.toContain('Somebody')
  })

  test('are accepted with the sign-up; a new version is asked for, a moved one with the same version is not', async () => {
    const browser = harness.browser()
    const form = await browser.open('/register')
    const refused = await form.submit(
      { username: 'emil', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    expect([refused.status, refused.text.includes('Please accept the terms')]).toEqual([422, true])
    const step = await form.submit(
      { username: 'emil', password: PASSWORD, password_confirm: PASSWORD, accept_terms: 'on' },
      { action: 'register/password' },
    )
    const done = await step.submit({ display_name: 'Emil', action: 'set' })
    expect(isTerms(done)).toBe(false)
    const later = at(versioned, browser)
    const asked = await later.open('/account/')
    expect([isTerms(asked), asked.text.includes('have changed'), asked.text.includes('Version 2')]).toEqual([
      true,
      true,
      true,
    ])
    expect((await accept(asked)).url.pathname).toBe('/account/')
    expect(isTerms(await at(moved, later).open('/account/'))).toBe(false)
    expect(isTerms(await at(harness, later).open('/account/'))).toBe(false)
  })

  test('POST /terms: only what the page showed, from our page, by whom it asks', async () => {
    await signUp(none.browser(), 'frieda')
    const browser = harness.browser()
    const page = await signIn(browser, 'frieda')
    for (const wrong of [{ terms_uri: SECOND }, { terms_version: '2' }, { csrf: 'x' }])
      expect(isTerms(await accept(page, wrong))).toBe(true)
    expect((await harness.browser().post('/terms', { terms_uri: FIRST })).url.pathname).toBe('/login')
    expect(isTerms(await browser.open('/account/'))).toBe(true)
  })

  test('signing out is the way out, and the app that signed the person in may ask for it too', async () => {
    await signUp(none.browser(), 'greta')
    const browser = harness.browser()
    const page = await signIn(browser, 'greta')
    const out = await page.submit({}, { action: 'logout' })
    expect(out.status).toBe(200)
    expect((await browser.open('/account/')).url.pathname).toBe('/login')
    const again = harness.browser()
    await signIn(again, 'greta')
    expect((await again.open('/end-session')).text).toContain('@greta:example.test')
  })

  test('a legacy login does not ask: such a client shows no pages', async () => {
    await signUp(none.browser(), 'hanna')
    const response = await harness.request('/_matrix/client/v3/login', {
      method: 'POST',
      body: JSON.stringify({
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: 'hanna' },
        password: PASSWORD,
      }),
    })
    expect(response.status).toBe(200)
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD, signUp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const RESET = '/account/reset-cross-signing'
const LINK = '/account/?action=org.matrix.cross_signing_reset'
let people = 0
let username: string
let browser: Browser
beforeEach(async () => {
  username = `person${++people}`
  browser = harness.browser()
  await signUp(browser, username)
  await harness.runJobs()
})
const calls = () => harness.homeserver.callsOf('allow_cross_signing_reset').length

describe('/account/reset-cross-signing', () => {
  test('asks first, then the homeserver allows it, and a script tells the app that waits', async () => {
    const before = calls()
    const asked = await browser.open(LINK)
    expect(asked.url.pathname).toBe(RESET)
    expect(calls()).toBe(before)
    const done = await asked.submit({}, { action: RESET })
    expect(done.url.pathname).toBe(`${RESET}/success`)
    expect(calls()).toBe(before + 1)
    const script = /src="(\/assets\/[^"]*auth-done\.js)"/.exec(done.text)?.[1] ?? ''
    const source = await (await harness.request(script)).text()
    expect(source).toContain('window.onAuthDone()')
    expect(source).toContain("postMessage('authDone', '*')")
    expect(done.text).toContain('Go back to your app')
    expect(done.headers.get('content-security-policy')).toContain("script-src 'self';")
  })

  test('needs a fresh sign-in, also between the page and its form', async () => {
    const asked = await browser.open(RESET)
    harness.clock.advance(601)
    const before = calls()
    const confirm = await asked.submit({}, { action: RESET })
    expect([confirm.url.pathname, calls()]).toEqual(['/account/confirm', before])
    const back = await confirm.submit({ password: PASSWORD }, { action: 'confirm' })
    expect(back.url.pathname).toBe(RESET)
  })

  test('the app that opened it stays connected on the whole way, and on no other page', async () => {
    const openerOf = (page: { headers: Headers }) => page.headers.get('cross-origin-opener-policy')
    const stranger = harness.browser()
    const login = await stranger.open(LINK)
    expect([login.url.pathname, openerOf(login)]).toEqual(['/login', 'unsafe-none'])
    const asked = await login.submit({ username, password: PASSWORD }, { action: 'login' })
    expect([asked.url.pathname, openerOf(asked)]).toEqual([RESET, 'unsafe-none'])
    harness.clock.advance(601)
    expect(openerOf(await stranger.open(RESET))).toBe('unsafe-none')
    expect(openerOf(await stranger.open('/account/'))).toBe('same-origin-allow-popups')
    expect(openerOf(await harness.browser().open('/login'))).toBe('same-origin-allow-popups')
  })

  test('the homeserver is down: 503 and a sentence; nothing is allowed', async () => {
    const asked = await browser.open(RESET)
    harness.homeserver.down = true
    const failed = await asked.submit({}, { action: RESET })
    harness.homeserver.down = false
    expect([failed.status, failed.headers.get('retry-after')]).toEqual([503, '5'])
    expect(failed.text).toContain('The homeserver does not answer right now.')
    expect(failed.text).not.toContain('auth-done.js')
  })

  test('a form of another site allows nothing; giving up leads to a page that says so', async () => {
    const before = calls()
    const foreign = await browser.post(RESET, { csrf: 'A'.repeat(43) })
    expect([foreign.status, calls()]).toEqual([422, before])
    const cancelled = await browser.open(`${RESET}/cancelled`)
    expect(cancelled.text).toContain('Nothing was changed')
    expect(cancelled.text).not.toContain('auth-done.js')
  })
})

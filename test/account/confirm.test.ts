import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { openFresh } from '../../src/account/area.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD, signedInApp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

let people = 0
let username: string
let browser: Browser
beforeEach(async () => {
  username = `person${++people}`
  ;({ browser } = await signedInApp(harness, username))
})

const PAGE = '/account/confirm?kind=manage_account&page=sessions'
const wait = (seconds: number) => harness.clock.advance(seconds)

/** Whether the browser passes the check that risky pages make. */
async function isFresh(): Promise<boolean> {
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const request = new Request('http://auth.test/account/data/export', { headers: { cookie } })
  return !((await openFresh(harness.deps, request)) instanceof Response)
}

describe('a fresh sign-in', () => {
  test('holds for ten minutes', async () => {
    expect(await isFresh()).toBe(true)
    wait(599)
    expect(await isFresh()).toBe(true)
    wait(1)
    expect(await isFresh()).toBe(false)
  })

  test('GET /account/confirm: goes on at once when it is fresh', async () => {
    expect((await browser.open(PAGE)).url.pathname).toBe('/account/sessions')
  })

  test('POST /account/confirm: the password makes it fresh, changes the cookie, and leads on', async () => {
    wait(601)
    const before = browser.cookies.get('session')
    const page = await browser.open(PAGE)
    expect(page.text).toContain(`value="${username}"`)
    const on = await page.submit({ password: PASSWORD }, { action: 'confirm' })
    expect(on.url.pathname).toBe('/account/sessions')
    expect(await isFresh()).toBe(true)
    expect(browser.cookies.get('session')).not.toBe(before)
  })

  test('POST /account/confirm: a wrong password, none, or a form of another site changes nothing', async () => {
    wait(601)
    const page = await browser.open(PAGE)
    const wrong = await page.submit({ password: 'wrong' }, { action: 'confirm' })
    expect([wrong.status, wrong.text.includes('The password is not right')]).toEqual([422, true])
    const none = await page.submit({}, { action: 'confirm' })
    expect([none.status, none.text.includes('Enter a password.')]).toEqual([422, true])
    const foreign = await browser.post(PAGE, { password: PASSWORD, csrf: 'A'.repeat(43) })
    expect([foreign.status, foreign.text.includes('open for too long')]).toEqual([422, true])
    expect(await isFresh()).toBe(false)
  })

  test.each(['https://evil.test/', '//evil.test', '../login', 'confirm', 'a/../../x', ''])(
    'GET /account/confirm: a page of %j leads no further than the account area',
    async (goal) => {
      const page = await browser.open(`/account/confirm?page=${encodeURIComponent(goal)}`)
      expect([page.url.origin, page.url.pathname]).toEqual(['http://auth.test', '/account/'])
    },
  )
})

test('a page of the area without a session: sign-in comes back to it, not to the start', async () => {
  const stranger = harness.browser()
  const login = await stranger.open('/account/sessions')
  expect(login.url.pathname).toBe('/login')
  const back = await login.submit({ username, password: PASSWORD }, { action: 'login' })
  expect(back.url.pathname).toBe('/account/sessions')
})

test('POST /account/confirm: guesses are limited as those of a sign-in are', async () => {
  const strict = await createHarness({
    beside: harness,
    config: {
      rate_limiting: {
        login: { per_account: { burst: 2, per_second: 0.01 } },
        registration: { burst: 100, per_second: 1 },
      },
    } as never,
  })
  const { browser: other } = await signedInApp(strict, `${username}-x`)
  wait(601)
  const page = await other.open(PAGE)
  await page.submit({ password: 'wrong' }, { action: 'confirm' })
  await page.submit({ password: 'wrong' }, { action: 'confirm' })
  const limited = await page.submit({ password: PASSWORD }, { action: 'confirm' })
  expect(limited.status).toBe(429)
  expect(limited.headers.get('retry-after')).toMatch(/^\d+$/)
  await strict.close()
})

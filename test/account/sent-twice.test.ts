import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import { csrfOf } from '../support/account.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD, signUp } from '../support/oauth.ts'

const CHANGE = '/account/password/change'
const RESET = '/account/password/recovery'
const NEW = 'another quite long sentence 77'

let harness: Harness
let people = 0
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const newPerson = async () => {
  const username = `twice${++people}`
  const browser = harness.browser()
  await signUp(browser, username)
  return { username, browser }
}
/** A browser that never saw the answer to what another one sent: a second click breaks the first request off. */
const asBefore = (browser: Browser): Browser => {
  const copy = harness.browser()
  for (const [name, value] of browser.cookies) copy.cookies.set(name, value)
  return copy
}
const signsIn = async (username: string, password: string) =>
  (await (await harness.browser().open('/login')).submit({ username, password }, { action: 'login' })).url
    .pathname === '/'

describe('a form that is sent twice (double click without script)', () => {
  test('POST /account/password/change: the second is told that it worked, and stays signed in', async () => {
    const { browser, username } = await newPerson()
    const csrf = csrfOf(await browser.open(CHANGE))
    const second = asBefore(browser)
    const form = { csrf, current_password: PASSWORD, password: NEW, password_confirm: NEW, end_browsers: '1' }
    expect((await browser.post(CHANGE, form)).text).toContain('Your password is changed.')
    const again = await second.post(CHANGE, form)
    expect([again.url.pathname, again.text.includes('Your password is changed.')]).toEqual([CHANGE, true])
    expect((await second.open('/account/')).url.pathname).toBe('/account/')
    expect(await signsIn(username, NEW)).toBe(true)
  })

  test('POST /account/password/change: two at the same moment both say that it worked', async () => {
    const { browser, username } = await newPerson()
    const csrf = csrfOf(await browser.open(CHANGE))
    const form = { csrf, current_password: PASSWORD, password: NEW, password_confirm: NEW }
    const both = await Promise.all([browser, asBefore(browser)].map((one) => one.post(CHANGE, form)))
    for (const { text } of both) expect(text).toContain('Your password is changed.')
    expect(await signsIn(username, NEW)).toBe(true)
  })

  test('the cookie of before is good for ten seconds only, and never as a fresh sign-in', async () => {
    const { browser } = await newPerson()
    const csrf = csrfOf(await browser.open(CHANGE))
    harness.clock.advance(601)
    const second = asBefore(browser)
    const thief = asBefore(browser)
    const form = { csrf, current_password: PASSWORD, password: NEW, password_confirm: NEW }
    await browser.post(CHANGE, form)
    expect((await browser.open('/account/deactivate')).url.pathname).toBe('/account/deactivate')
    expect((await thief.open('/account/deactivate')).url.pathname).toBe('/account/confirm')
    harness.clock.advance(10)
    expect((await second.post(CHANGE, form)).url.pathname).toBe('/login')
    expect((await thief.open('/account/')).url.pathname).toBe('/login')
  })

  test('another new password, or half a minute later: the wrong current password is told', async () => {
    const { browser } = await newPerson()
    const form = { current_password: PASSWORD, password: NEW, password_confirm: NEW }
    await browser.post(CHANGE, { csrf: csrfOf(await browser.open(CHANGE)), ...form })
    const csrf = csrfOf(await browser.open(CHANGE))
    const other = `${NEW} and more`
    const wrong = await browser.post(CHANGE, { csrf, ...form, password: other, password_confirm: other })
    expect(wrong.status).toBe(422)
    harness.clock.advance(30)
    expect((await browser.post(CHANGE, { csrf, ...form })).status).toBe(422)
  })

  test('POST /account/password/recovery: the second is signed in too; with another password or later it is not', async () => {
    const { username } = await newPerson()
    const [user] = await harness.deps.sql<{ id: string }[]>`
      select id from latchkey.users where username = ${username}`
    const ticket =
      new URL(await issueRecoveryLink(harness.deps, user?.id ?? '')).searchParams.get('ticket') ?? ''
    const browser = harness.browser()
    const csrf = csrfOf(await browser.open(`${RESET}?ticket=${ticket}`))
    const second = asBefore(browser)
    const third = asBefore(browser)
    const form = { csrf, ticket, password: NEW, password_confirm: NEW }
    expect((await browser.post(RESET, form)).url.pathname).toBe('/account/')
    expect((await third.post(RESET, { ...form, password: PASSWORD })).status).toBe(410)
    expect((await second.post(RESET, form)).url.pathname).toBe('/account/')
    harness.clock.advance(30)
    expect((await third.post(RESET, form)).status).toBe(410)
    expect(third.cookies.has('session')).toBe(false)
  })

  test('POST /account/confirm: the second is confirmed too', async () => {
    const { browser } = await newPerson()
    harness.clock.advance(601)
    const second = asBefore(browser)
    const pages = [await browser.open('/account/deactivate'), await second.open('/account/deactivate')]
    for (const page of pages) {
      expect(page.url.pathname).toBe('/account/confirm')
      const done = await page.submit({ password: PASSWORD }, { action: 'account/confirm' })
      expect(done.url.pathname).toBe('/account/deactivate')
    }
  })
})

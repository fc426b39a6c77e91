import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { deletePasswords, findUserByName } from '../../sql/users.ts'
import { signInElsewhere } from '../support/account.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, PASSWORD, signedInApp, type TokenBody } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const CHANGE = '/account/password/change'
const NEW = 'another quite long sentence 77'
let people = 0
let username: string
let browser: Browser
let tokens: TokenBody
beforeEach(async () => {
  username = `person${++people}`
  ;({ browser, tokens } = await signedInApp(harness, username))
})

const change = async (fields: Record<string, string>) =>
  (await browser.open(CHANGE)).submit(
    { current_password: PASSWORD, password: NEW, password_confirm: NEW, ...fields },
    { action: CHANGE },
  )
const signsIn = async (password: string) => {
  const login = await harness.browser().open('/login')
  return (await login.submit({ username, password }, { action: 'login' })).url.pathname === '/'
}

describe('POST /account/password/change', () => {
  test('the new password counts, the old one no more; the cookie changes and this browser stays', async () => {
    const cookie = browser.cookies.get('session')
    const done = await change({})
    expect([done.url.pathname, done.text.includes('Your password is changed.')]).toEqual([CHANGE, true])
    expect(browser.cookies.get('session')).not.toBe(cookie)
    expect([await signsIn(PASSWORD), await signsIn(NEW)]).toEqual([false, true])
  })

  test('ends the other browsers or the apps only where it is ticked', async () => {
    const elsewhere = await signInElsewhere(harness, username)
    expect((await browser.open(CHANGE)).text).toMatch(/name="end_browsers" value="1" checked/)
    await change({ end_browsers: '1' })
    expect((await elsewhere.open('/account/')).url.pathname).toBe('/login')
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
    await change({
      current_password: NEW,
      password: PASSWORD,
      password_confirm: PASSWORD,
      end_apps: '1',
    })
    expect((await introspect(harness, tokens.access_token)).active).toBe(false)
  })

  test.each<[string, Record<string, string>, string]>([
    ['a wrong current password', { current_password: 'wrong' }, 'This is not your current password.'],
    ['no current password', { current_password: '' }, 'Enter your current password.'],
    ['no new one', { password: '', password_confirm: '' }, 'Enter a password.'],
    ['two that differ', { password_confirm: `${NEW}x` }, 'The two passwords differ.'],
    ['a weak one', { password: 'password', password_confirm: 'password' }, 'too easy to guess'],
    ['the same as before', { password: PASSWORD, password_confirm: PASSWORD }, 'your password already'],
    [
      'one longer than can be hashed',
      { password: 'x'.repeat(5000), password_confirm: 'x'.repeat(5000) },
      'too long',
    ],
  ])('%s changes nothing and says so', async (_what, fields, message) => {
    const refused = await change(fields)
    expect(refused.status).toBe(422)
    expect(refused.text).toContain(message)
    for (const value of Object.values(fields))
      if (value) expect(refused.text).not.toContain(`value="${value}"`)
    expect(await signsIn(PASSWORD)).toBe(true)
  })

  test('a form of another site changes nothing', async () => {
    const fields = { current_password: PASSWORD, password: NEW, password_confirm: NEW }
    expect((await browser.post(CHANGE, { ...fields, csrf: 'A'.repeat(43) })).status).toBe(422)
    expect(await signsIn(PASSWORD)).toBe(true)
  })

  test('an account without a password has nothing to change', async () => {
    const [user] = await findUserByName(harness.deps.sql, username, username)
    await deletePasswords(harness.deps.sql, user?.id ?? '')
    const page = await browser.open(CHANGE)
    expect(page.text).toContain('This account has no password')
    expect(page.text).not.toContain('name="password"')
  })

  test('an operator who does not allow it: no entry in the navigation, no form, and a post changes nothing', async () => {
    const strict = await createHarness({
      beside: harness,
      config: { account: { password_change_allowed: false } } as never,
    })
    const other = strict.browser()
    for (const [name, value] of browser.cookies) other.cookies.set(name, value)
    const page = await other.open(CHANGE)
    expect(page.text).not.toContain(`href="${CHANGE}"`)
    expect(page.text).not.toContain('name="password"')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const fields = { csrf, current_password: PASSWORD, password: NEW, password_confirm: NEW }
    expect((await other.post(CHANGE, fields)).status).toBe(422)
    expect(await signsIn(PASSWORD)).toBe(true)
    await strict.close()
  })
})

test('GET /.well-known/change-password leads to the page, through sign-in where needed', async () => {
  expect((await browser.open('/.well-known/change-password')).url.pathname).toBe(CHANGE)
  const login = await harness.browser().open('/.well-known/change-password')
  const back = await login.submit({ username, password: PASSWORD }, { action: 'login' })
  expect(back.url.pathname).toBe(CHANGE)
})

// Last: it uses up the limit, which is shared.
test('POST /account/password/change: guesses at the current password are limited as those of a sign-in are', async () => {
  const strict = await createHarness({
    beside: harness,
    config: { rate_limiting: { login: { per_account: { burst: 2, per_second: 0.01 } } } } as never,
  })
  const other = strict.browser()
  for (const [name, value] of browser.cookies) other.cookies.set(name, value)
  const page = await other.open(CHANGE)
  const fields = { current_password: 'wrong', password: NEW, password_confirm: NEW }
  await page.submit(fields, { action: CHANGE })
  await page.submit(fields, { action: CHANGE })
  const limited = await page.submit({ ...fields, current_password: PASSWORD }, { action: CHANGE })
  expect(limited.status).toBe(429)
  expect(limited.headers.get('retry-after')).toMatch(/^\d+$/)
  await strict.close()
})

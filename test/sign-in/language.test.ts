import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, registerClient, signUp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const langOf = (page: Page): string | undefined => /<html lang="([^"]+)"/.exec(page.text)?.[1]
const choose = async (browser: Browser, locale: string, from = '/login') => {
  const page = await browser.open(from)
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  return browser.post('/language', { csrf, locale }, { referer: page.url.href })
}

describe('POST /language', () => {
  test('shows the page that it was chosen on in the new language, which this browser keeps', async () => {
    const browser = harness.browser()
    const page = await choose(browser, 'de', '/login?kind=manage_account')
    expect([page.url.pathname + page.url.search, langOf(page)]).toEqual(['/login?kind=manage_account', 'de'])
    expect(langOf(await browser.open('/nothing-here'))).toBe('de')
    expect(page.text).toContain('<option value="de" lang="de" selected>Deutsch</option>')
  })

  test('goes before what an app asks for (ui_locales) and what the browser prefers', async () => {
    const browser = harness.browser({ 'accept-language': 'en' })
    const { client_id: clientId } = await registerClient(harness)
    expect(langOf(await browser.open(authorizeUrl(clientId, { ui_locales: 'de' })))).toBe('de')
    await choose(browser, 'en')
    expect(langOf(await browser.open(authorizeUrl(clientId, { ui_locales: 'de' })))).toBe('en')
  })

  test('of somebody who is signed in becomes the account’s, in every browser', async () => {
    const browser = harness.browser()
    await signUp(browser, 'lena')
    await choose(browser, 'de', '/account/')
    browser.cookies.delete('language')
    expect(langOf(await browser.open('/account/'))).toBe('de')
  })

  test('an unknown language, a form of another site, and an address elsewhere do nothing', async () => {
    const browser = harness.browser()
    await browser.open('/login')
    expect(langOf(await choose(browser, 'xx'))).toBe('en')
    const headers = { referer: 'https://evil.test/login', 'sec-fetch-site': 'cross-site' }
    const foreign = await browser.post('/language', { csrf: 'A'.repeat(43), locale: 'de' }, headers)
    expect([foreign.url.href, langOf(foreign)]).toEqual([`${harness.origin}/`, 'en'])
    const climbing = await browser.post(
      '/language',
      { locale: 'de' },
      { referer: `${harness.origin}//evil.test` },
    )
    expect(climbing.url.href).toBe(`${harness.origin}/`)
  })

  test('works on an error page, which sets no cookies of its own', async () => {
    const browser = harness.browser()
    const headers = { 'sec-fetch-site': 'same-origin', referer: `${harness.origin}/nothing-here` }
    const page = await browser.post('/language', { csrf: 'x', locale: 'de' }, headers)
    expect([page.url.pathname, langOf(page)]).toEqual(['/nothing-here', 'de'])
  })
})

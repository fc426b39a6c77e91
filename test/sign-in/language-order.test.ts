import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { setLocale } from '../../sql/preferences.ts'
import { insertEmail } from '../../sql/users.ts'
import { newId } from '../../src/lib/ulid.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { NO_LIMITS } from '../support/limits.ts'
import { type MailServer, mailConfig, type ReceivedMail, startMailServer } from '../support/mail-server.ts'
import { authorizeUrl, createSignedUp, PASSWORD, registerClient } from '../support/oauth.ts'

let server: MailServer
let harness: Harness
let clientId: string
beforeAll(async () => {
  server = await startMailServer()
  harness = await createHarness({
    config: {
      email: mailConfig(server),
      account: { password_recovery_enabled: true },
      rate_limiting: NO_LIMITS,
    },
  })
  clientId = (await registerClient(harness)).client_id
})
afterAll(async () => {
  await harness.close()
  await server.close()
})
beforeEach(() => {
  server.mails.length = 0
})

const langOf = (page: Page): string | undefined => /<html lang="([^"]+)"/.exec(page.text)?.[1]
const mailLang = ({ html }: ReceivedMail): string | undefined => /<html lang="([^"]+)"/.exec(html)?.[1]

let people = 0
/** Somebody with an address, and with a language if one is given. */
async function person(locale?: string): Promise<{ username: string; address: string }> {
  const { sql, clock, random } = harness.deps
  const { username, userId } = await createSignedUp(harness, `speaker${++people}`)
  const address = `${username}@example.org`
  await insertEmail(sql, {
    id: newId(clock.now(), random),
    userId,
    email: address,
    folded: address,
    now: clock.now(),
  })
  if (locale !== undefined) await setLocale(sql, userId, locale)
  return { username, address }
}

/** A browser that was never here, with what it prefers and what was chosen in it. */
async function browserWith(header: string, cookie?: string): Promise<Browser> {
  const browser = harness.browser({ 'accept-language': header })
  if (cookie === undefined) return browser
  const page = await browser.open('/login')
  await page.submit({ locale: cookie }, { action: 'language' })
  return browser
}

interface Wishes {
  account?: string
  cookie?: string
  ui?: string
  header: string
}
/** Each pair that follow one another, alone and with all that come after. */
const ORDER: [what: string, wishes: Wishes, before: string, lang: string][] = [
  ['the account goes before the cookie', { account: 'pl', cookie: 'fr', header: 'en' }, 'fr', 'pl'],
  ['the account goes before ui_locales', { account: 'pl', ui: 'de', header: 'en' }, 'de', 'pl'],
  ['the account goes before all', { account: 'pl', cookie: 'fr', ui: 'de', header: 'nl' }, 'fr', 'pl'],
  ['the cookie goes before ui_locales', { cookie: 'fr', ui: 'de', header: 'en' }, 'fr', 'fr'],
  ['the cookie goes before the browser', { cookie: 'fr', header: 'nl' }, 'fr', 'fr'],
  ['ui_locales goes before the browser', { ui: 'de', header: 'nl' }, 'de', 'de'],
  ['the browser goes before English', { header: 'nl' }, 'nl', 'nl'],
  ['what we do not speak is passed over', { account: 'xx', ui: 'tlh', header: 'eo, sv;q=0.5' }, 'sv', 'sv'],
  ['English is what is left', { header: 'eo' }, 'en', 'en'],
]

describe('the language: account, cookie, ui_locales, browser', () => {
  test.each(ORDER)('%s, on pages and in the mail about the sign-in', async (_, wishes, before, lang) => {
    const { username, address } = await person(wishes.account)
    const browser = await browserWith(wishes.header, wishes.cookie)
    const login = await browser.open(authorizeUrl(clientId, { ...(wishes.ui && { ui_locales: wishes.ui }) }))
    expect(login.url.pathname).toBe('/login')
    // Before the sign-in nobody knows whose account it is.
    expect(langOf(login)).toBe(before)
    const consent = await login.submit({ username, password: PASSWORD }, { action: 'login' })
    expect([consent.url.pathname.split('/')[1], langOf(consent)]).toEqual(['consent', lang])
    await harness.runJobs()
    expect(mailLang(server.last(address))).toBe(lang)
  })

  test('a mail of recovery, from the page of an app that asked for a language: that of the page, unless the account says another', async () => {
    const known = await person('pl')
    const unknown = await person()
    for (const [{ address }, lang] of [
      [unknown, 'de'],
      [known, 'pl'],
    ] as const) {
      const browser = await browserWith('nl')
      const login = await browser.open(authorizeUrl(clientId, { ui_locales: 'de' }))
      const link = /href="(\/recover[^"]*)"/.exec(login.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
      const recover = await browser.open(link)
      expect(langOf(recover)).toBe('de')
      expect(langOf(await recover.submit({ email: address }, { action: 'recover' }))).toBe('de')
      await harness.runJobs()
      expect(mailLang(server.last(address))).toBe(lang)
    }
  })

  test('the code of a sign-up comes in the language of the pages that it is typed into', async () => {
    for (const [wishes, lang] of [
      [{ cookie: 'fr', ui: 'de', header: 'nl' }, 'fr'],
      [{ ui: 'de', header: 'nl' }, 'de'],
      [{ header: 'nl' }, 'nl'],
    ] as [Wishes, string][]) {
      const withCodes = await createHarness({
        beside: harness,
        config: {
          email: mailConfig(server),
          rate_limiting: NO_LIMITS,
          account: { password_registration_email_required: true },
        },
      })
      const username = `new${++people}`
      const email = `${username}@example.org`
      const browser = withCodes.browser({ 'accept-language': wishes.header })
      if (wishes.cookie)
        await (await browser.open('/login')).submit({ locale: wishes.cookie }, { action: 'language' })
      const query = { prompt: 'create', ...(wishes.ui && { ui_locales: wishes.ui }) }
      const form = await browser.open(authorizeUrl(clientId, query))
      expect([form.url.pathname, langOf(form)]).toEqual(['/register', lang])
      const code = await form.submit(
        { username, email, password: PASSWORD, password_confirm: PASSWORD },
        { action: 'register/password' },
      )
      expect([code.url.pathname.includes('verify-email'), langOf(code)]).toEqual([true, lang])
      await withCodes.runJobs()
      expect(mailLang(server.last(email))).toBe(lang)
      await withCodes.close()
    }
  })
})

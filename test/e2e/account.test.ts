import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { CHROMIUM_START_MS, type TestChromium, type Visitor } from '../support/chromium.ts'
import type { Harness } from '../support/harness.ts'
import { introspect, PASSWORD, signedInApp, type TokenBody } from '../support/oauth.ts'
import { APPLICATION, type BrowserService, SERVICE, startService } from './service.ts'

const LONG = 240_000
/** Bytes that a page may have with its styles and scripts, uncompressed. */
const WEIGHT = 60_000

/** Every page of the area that needs no id. */
const PAGES = [
  'account/',
  'account/profile',
  'account/emails',
  'account/password/change',
  'account/sessions',
  'account/sessions?q=nothing-fits',
  'account/sessions/end-others',
  'account/apps',
  'account/emails/add',
  'account/tokens',
  'account/tokens/new',
  'account/security',
  'account/data',
  'account/deactivate',
  'account/reset-cross-signing',
  'account/reset-cross-signing/cancelled',
]

let harness: Harness
let chromium: TestChromium
let service: BrowserService
beforeAll(async () => {
  // The application opens the page and waits for its message.
  service = await startService(
    () =>
      new Response('<!doctype html><title>App</title><h1>App</h1>', {
        headers: { 'content-type': 'text/html' },
      }),
  )
  ;({ harness, chromium } = service)
}, CHROMIUM_START_MS)
afterAll(() => service?.stop(), LONG)

let people = 0
let username: string
let tokens: TokenBody
let cookies: { name: string; value: string; url: string }[]
beforeEach(async () => {
  username = `person${++people}`
  const signedIn = await signedInApp(harness, username)
  tokens = signedIn.tokens
  cookies = [...signedIn.browser.cookies].map(([name, value]) => ({ name, value, url: SERVICE }))
})

/** A visit of the person, signed in unless `stranger`. */
async function visit(
  options: Parameters<TestChromium['visitor']>[0] & { stranger?: boolean },
  act: (visitor: Visitor) => Promise<void>,
): Promise<void> {
  const { stranger, ...context } = options
  await chromium.visit(context, async (visitor) => {
    if (!stranger) await visitor.page.context().addCookies(cookies)
    await act(visitor)
  })
}

const heading = (page: Page, name: string) =>
  page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
const isActive = async () => (await introspect(harness, tokens.access_token)).active

/** The pages of the person's own app, with their ids. */
async function pagesOf(page: Page): Promise<string[]> {
  await page.goto(`${SERVICE}/account/sessions?kind=apps`)
  const session = await page
    .getByRole('link', { name: /on|Web App/ })
    .nth(0)
    .getAttribute('href')
  const own = (
    await page.locator('.session h2 a').evaluateAll((links) => links.map((link) => link.getAttribute('href')))
  ).at(-1)
  await page.goto(`${SERVICE}/account/apps`)
  const revoke = await page.getByRole('link', { name: /Remove access/ }).getAttribute('href')
  expect(session).toBeTruthy()
  return [`${own}`, `${own}/end`, `${revoke}`].map((path) => path.slice(1))
}

describe.each([
  ['desktop, light', { width: 1280, height: 800 }, 'light'],
  ['desktop, dark', { width: 1280, height: 800 }, 'dark'],
  ['phone, light', { width: 360, height: 740 }, 'light'],
  ['320 px, dark', { width: 320, height: 640 }, 'dark'],
] as const)('every page (%s)', (_label, viewport, colorScheme) => {
  test(
    'is accessible, fits, breaks no policy, asks nobody else, and weighs little',
    () =>
      visit({ viewport, colorScheme }, async ({ page, problems, requests, accessibilityProblems }) => {
        const found: string[] = []
        for (const path of [...PAGES, ...(await pagesOf(page))]) {
          let weight = 0
          const weigh = async (response: { body(): Promise<Buffer> }) => {
            weight += (await response.body().catch(() => Buffer.alloc(0))).length
          }
          page.on('response', weigh)
          await page.goto(`${SERVICE}/${path}`)
          page.off('response', weigh)
          if (weight > WEIGHT) found.push(`${path}: ${weight} bytes`)
          const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
          if (wide) found.push(`${path}: wider than the screen`)
          found.push(...(await accessibilityProblems()))
        }
        expect(found).toEqual([])
        expect(problems).toEqual([])
        expect(requests.filter((request) => !request.startsWith(SERVICE))).toEqual([])
      }),
    LONG,
  )
})

describe('with JavaScript off', () => {
  test(
    'a person finds a device, signs it out, changes the name and the password, and looks into the log',
    () =>
      visit(
        { javaScriptEnabled: false, viewport: { width: 390, height: 844 } },
        async ({ page, problems }) => {
          await page.goto(`${SERVICE}/account/`)
          await page.getByText('Menu', { exact: true }).click()
          await page.getByRole('navigation').getByRole('link', { name: 'Devices' }).click()
          await heading(page, 'Where you are signed in')
          const item = page.getByRole('listitem').filter({ hasText: 'AAAAAAAAAA' })
          await item.getByRole('checkbox').check()
          await page.getByRole('button', { name: 'Sign out the ticked ones' }).click()
          await heading(page, 'Sign out of this device?')
          await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
          await page.getByText('That device is signed out.').waitFor()
          expect(await isActive()).toBe(false)

          await page.goto(`${SERVICE}/account/profile`)
          await page.getByLabel('Display name').fill('Without Script')
          await page.getByRole('button', { name: 'Save name' }).click()
          await page.getByText('Your display name is saved.').waitFor()

          await page.goto(`${SERVICE}/account/password/change`)
          await page.getByLabel('Current password').fill(PASSWORD)
          await page.getByLabel('New password', { exact: true }).fill('another quite long sentence 77')
          await page.getByLabel('New password again').fill('another quite long sentence 77')
          await page.getByRole('button', { name: 'Change password' }).click()
          await page.getByText('Your password is changed.').waitFor()

          await page.goto(`${SERVICE}/account/security`)
          await page.getByText('Password changed').waitFor()
          expect(problems).toEqual([])
        },
      ),
    LONG,
  )

  test(
    'the reset of keys ends with a sentence that says what to do',
    () =>
      visit({ javaScriptEnabled: false }, async ({ page }) => {
        await page.goto(`${SERVICE}/account/?action=org.matrix.cross_signing_reset`)
        await page.getByRole('button', { name: 'Allow new keys' }).click()
        await page.getByText('Go back to your app and go on there.').waitFor()
      }),
    LONG,
  )
})

/** The next element by the tab key, which shows that it has the focus and is within the window (WCAG 2.4.7, 2.4.11). */
async function tab(page: Page): Promise<void> {
  await page.keyboard.press('Tab')
  await expectFocusShown(page)
}

async function expectFocusShown(page: Page): Promise<void> {
  const focus = await page.evaluate(() => {
    const element = document.activeElement as HTMLElement
    const { outlineStyle, outlineWidth } = getComputedStyle(element)
    const { top, bottom, left, right } = element.getBoundingClientRect()
    return {
      on: element.id || element.textContent?.trim(),
      hasOutline: outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2,
      isInWindow: bottom > 0 && top < innerHeight && right > 0 && left < innerWidth,
    }
  })
  expect(focus).toEqual({ on: focus.on, hasOutline: true, isInWindow: true })
}

test(
  'with the keyboard alone, whose focus shows: sign out of a session',
  () =>
    visit({}, async ({ page, problems }) => {
      await page.goto(`${SERVICE}/account/sessions?kind=apps`)
      const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')
      /** Tabs on until the element with this text has the focus, and presses Enter. */
      const press = async (text: RegExp) => {
        for (let step = 0; step < 60 && !text.test(await focused()); step++) await tab(page)
        expect(await focused()).toMatch(text)
        await expectFocusShown(page)
        await page.keyboard.press('Enter')
      }
      await press(/^Sign out of (?!this)/)
      await heading(page, 'Sign out of this device?')
      await tab(page)
      await press(/^Skip to content$/)
      await press(/^Sign out$/)
      await page.getByText('That device is signed out.').waitFor()
      expect(await isActive()).toBe(false)
      expect(problems).toEqual([])
    }),
  LONG,
)

test(
  'with the keyboard alone, whose focus shows: sign up, sign out, and sign in again',
  () =>
    visit({ stranger: true }, async ({ page, problems }) => {
      const focused = () =>
        page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim())
      /** Tabs on until the element with this id or text has the focus. */
      const tabTo = async (what: string) => {
        for (let step = 0; step < 60 && (await focused()) !== what; step++) await tab(page)
        expect(await focused()).toBe(what)
        await expectFocusShown(page)
      }
      const type = async (field: string, text: string) => {
        await tabTo(field)
        await page.keyboard.type(text)
      }
      const name = `${username}-keys`
      await page.goto(`${SERVICE}/register`)
      await type('username', name)
      await type('password', PASSWORD)
      await type('password_confirm', PASSWORD)
      await page.keyboard.press('Enter')
      await heading(page, 'What should we call you?')
      await type('display_name', 'Keys')
      await page.keyboard.press('Enter')
      await page.getByText(`@${name}:`).first().waitFor()
      await tabTo('Sign out')
      await page.keyboard.press('Enter')
      await heading(page, 'You are signed out')
      await page.goto(`${SERVICE}/login`)
      await type('username', name)
      await type('password', PASSWORD)
      await page.keyboard.press('Enter')
      await page.getByText(`@${name}:`).first().waitFor()
      expect(problems).toEqual([])
    }),
  LONG,
)

test(
  'two clicks send a form once, and going back leads to nothing bad',
  () =>
    visit({}, async ({ page, problems }) => {
      await page.goto(`${SERVICE}/account/apps`)
      await page.getByRole('link', { name: /Remove access/ }).click()
      await page.getByRole('main').getByRole('button', { name: 'Remove access' }).dblclick()
      await page.getByText('The app no longer has access to your account.').waitFor()
      await page.goBack()
      await page.getByText('That app had no access to your account.').waitFor()
      expect(problems).toEqual([])
    }),
  LONG,
)

describe('the reset of cross-signing keys tells the app that waits (onAuthDone)', () => {
  test(
    'an app of another origin that opened the page gets “authDone”, through a sign-in in between',
    () =>
      visit({ stranger: true }, async ({ page, problems }) => {
        await page.goto(APPLICATION)
        const popupOpens = page.waitForEvent('popup')
        await page.evaluate((url) => {
          const global = globalThis as unknown as { heard: Promise<unknown> }
          global.heard = new Promise((resolve) => {
            addEventListener('message', ({ data, origin }) => resolve({ data, origin }))
          })
          open(url, '_blank')
        }, `${SERVICE}/account/?action=org.matrix.cross_signing_reset`)
        const popup = await popupOpens
        await popup.getByLabel('Username').fill(username)
        await popup.getByLabel('Password', { exact: true }).fill(PASSWORD)
        await popup.getByRole('button', { name: 'Sign in' }).click()
        await popup.getByRole('button', { name: 'Allow new keys' }).click()
        const heard = await page.evaluate(() => (globalThis as unknown as { heard: Promise<unknown> }).heard)
        expect(heard).toEqual({ data: 'authDone', origin: SERVICE })
        expect(harness.homeserver.callsOf('allow_cross_signing_reset').at(-1)?.parameters).toMatchObject({
          localpart: username,
        })
        expect(problems).toEqual([])
      }),
    LONG,
  )

  test(
    'an app that shows the page itself gets its function called',
    () =>
      visit({}, async ({ page, problems }) => {
        await page.addInitScript(() => {
          const global = globalThis as unknown as { onAuthDone(): void; done: number }
          global.done = 0
          global.onAuthDone = () => {
            global.done++
          }
        })
        await page.goto(`${SERVICE}/account/reset-cross-signing`)
        await page.getByRole('button', { name: 'Allow new keys' }).click()
        await heading(page, 'New keys are allowed')
        await page.waitForFunction(() => (globalThis as unknown as { done: number }).done === 1)
        expect(problems).toEqual([])
      }),
    LONG,
  )
})

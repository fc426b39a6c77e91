import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Stack } from '../../src/commands/demo/demo.ts'
import {
  CHROMIUM_START_MS,
  consent,
  findChromium,
  PASSWORD,
  signIn,
  signUp,
  startChromium,
  type TestChromium,
  type Visitor,
} from '../support/chromium.ts'
import {
  hasIpv6Loopback,
  type RedirectTarget,
  startHttpsClient,
  startLoopbackClient,
} from '../support/loopback-client.ts'
import { type App, beginSignIn, type Discovered, discover, registerApp } from '../support/matrix-client.ts'
import { SYNAPSE_START_MS } from '../support/synapse.ts'
import { isProvoked, walk } from './pages.ts'
import { startTestStack } from './stack.ts'

const LONG = 240_000

let stack: Stack
let chromium: TestChromium
let web: RedirectTarget
let server: Discovered
let webApp: App

beforeAll(async () => {
  web = await startHttpsClient('app.example.com')
  chromium = await startChromium({ 'app.example.com:443': web.port })
  stack = await startTestStack()
  server = await discover(stack.frontUrl)
  webApp = await registerApp(server, {
    name: 'Web App',
    redirectUri: 'https://app.example.com/callback',
    type: 'web',
  })
  await chromium.visit({}, async ({ page }) => {
    await page.goto(`${stack.latchkeyUrl}/register`)
    await signUp(page, 'ada', 'Ada Lovelace')
    await page.getByText('@ada:localhost').waitFor()
  })
}, SYNAPSE_START_MS + CHROMIUM_START_MS)

afterAll(async () => {
  await chromium?.stop()
  await stack?.stop()
  await web?.stop()
}, LONG)

/** Waits for the browser to set out for a private-scheme address, which it hands to the system. */
async function setsOutFor({ page, requests }: Visitor, prefix: string): Promise<URL> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const found = requests.find((request) => request.startsWith(prefix))
    if (found) return new URL(found)
    await page.waitForTimeout(200)
  }
  throw new Error(`The browser never went to ${prefix}. It went to: ${requests.join(', ')}`)
}

describe('the redirect back to the application, through sign-in and consent in one chain (decision 1)', () => {
  /** Signs in and consents, gives the answer that reaches the application, and sees that its code is good. */
  async function chain(app: App, redirectUri: string, answer: (visitor: Visitor) => Promise<URL>) {
    await chromium.visit({}, async (visitor) => {
      const signingIn = await beginSignIn(app, { redirectUri })
      await visitor.page.goto(signingIn.url)
      await signIn(visitor.page, 'ada')
      await consent(visitor.page, app.name)
      const callback = await answer(visitor)
      expect(callback.searchParams.get('iss')).toBe(server.metadata.issuer)
      const device = await signingIn.finish(callback)
      expect(await device.client.whoami()).toMatchObject({ user_id: '@ada:localhost', device_id: device.id })
      expect(visitor.problems).toEqual([])
    })
  }

  test('https: a web application', () => chain(webApp, webApp.redirectUri, () => web.callback()), LONG)

  test(
    'com.example.app: a native application with a private scheme (RFC 8252 section 7.1)',
    async () => {
      const redirectUri = 'com.example.app:/callback'
      const app = await registerApp(server, { name: 'Scheme App', redirectUri, type: 'native' })
      await chain(app, redirectUri, (visitor) => setsOutFor(visitor, redirectUri))
    },
    LONG,
  )

  const loopback = async (hostname: '127.0.0.1' | '::1', host: string) => {
    const native = startLoopbackClient(hostname)
    try {
      const app = await registerApp(server, {
        name: 'Loopback App',
        redirectUri: `http://${host}/callback`,
        type: 'native',
      })
      await chain(app, `http://${host}:${native.port}/callback`, () => native.callback())
    } finally {
      await native.stop()
    }
  }

  test(
    'http://127.0.0.1:port, registered without a port (RFC 8252 section 7.3)',
    () => loopback('127.0.0.1', '127.0.0.1'),
    LONG,
  )

  // A machine without IPv6 has no [::1] to come back to.
  test.skipIf(!hasIpv6Loopback())(
    'http://[::1]:port, an address that CSP cannot name',
    () => loopback('::1', '[::1]'),
    LONG,
  )

  test(
    'https: with a remembered consent, so that the sign-in form itself ends at the application',
    async () => {
      const answerOf = async (act: (visitor: Visitor) => Promise<void>) => {
        const signingIn = await beginSignIn(webApp, { scope: 'openid' })
        await chromium.visit({}, async (visitor) => {
          await visitor.page.goto(signingIn.url)
          await act(visitor)
          expect((await web.callback()).searchParams.get('state')).toBe(signingIn.state)
          expect(visitor.problems).toEqual([])
        })
      }
      await answerOf(async ({ page }) => {
        await signIn(page, 'ada')
        await consent(page, webApp.name)
      })
      await answerOf(({ page }) => signIn(page, 'ada'))
    },
    LONG,
  )

  test(
    'https: declining goes back with access_denied (RFC 6749 section 4.1.2.1)',
    () =>
      chromium.visit({}, async ({ page, problems }) => {
        const signingIn = await beginSignIn(webApp)
        await page.goto(signingIn.url)
        await signIn(page, 'ada')
        await page.getByRole('button', { name: 'Cancel' }).click()
        const { searchParams } = await web.callback()
        expect(searchParams.get('error')).toBe('access_denied')
        expect(searchParams.get('state')).toBe(signingIn.state)
        expect(problems).toEqual([])
      }),
    LONG,
  )

  test(
    'https: response_mode=form_post, whose page sends itself to the application',
    () =>
      chromium.visit({}, async ({ page, problems }) => {
        const signingIn = await beginSignIn(webApp)
        const url = new URL(signingIn.url)
        url.searchParams.set('response_mode', 'form_post')
        await page.goto(url.href)
        await signIn(page, 'ada')
        await consent(page, webApp.name)
        const device = await signingIn.finish(await web.callback())
        expect(await device.client.whoami()).toMatchObject({ user_id: '@ada:localhost' })
        expect(problems).toEqual([])
      }),
    LONG,
  )

  test(
    'Chromium stops the chain when form-action lacks the application (what the tests above stand on)',
    () =>
      chromium.visit({}, async ({ page, problems }) => {
        let wasThere = false
        await page.route(/\/consent\//, async (route) => {
          if (route.request().method() !== 'GET') return route.continue()
          const response = await route.fetch()
          const policy = response.headers()['content-security-policy'] ?? ''
          const shorter = policy.replace(' https://app.example.com', '')
          wasThere = shorter !== policy
          await route.fulfill({
            response,
            headers: { ...response.headers(), 'content-security-policy': shorter },
          })
        })
        await page.goto((await beginSignIn(webApp)).url)
        await signIn(page, 'ada')
        await page.getByRole('heading', { name: `Continue to ${webApp.name}?` }).waitFor()
        await page.reload()
        await consent(page, webApp.name)
        for (let attempt = 0; attempt < 150 && problems.length === 0; attempt++)
          await page.waitForTimeout(200)
        expect(wasThere).toBe(true)
        expect(problems.join('\n')).toContain('form-action')
        expect(web.unread).toBe(0)
      }),
    LONG,
  )

  test(
    'a double click on the consent button gives the application one code',
    () =>
      chromium.visit({}, async ({ page, problems }) => {
        const signingIn = await beginSignIn(webApp)
        await page.goto(signingIn.url)
        await signIn(page, 'ada')
        await page.getByRole('button', { name: 'Continue' }).dblclick()
        await page.getByRole('heading', { name: 'Back in the app' }).waitFor()
        const device = await signingIn.finish(await web.callback())
        expect(await device.client.whoami()).toMatchObject({ user_id: '@ada:localhost' })
        expect(web.unread).toBe(0)
        expect(problems).toEqual([])
      }),
    LONG,
  )
})

describe('the pages in Chromium', () => {
  test(
    'without JavaScript: sign up with a mistake on the way, consent, and the application gets its code',
    () =>
      chromium.visit({ javaScriptEnabled: false }, async ({ page, problems }) => {
        const signingIn = await beginSignIn(webApp, { prompt: 'create' })
        await page.goto(signingIn.url)
        await page.getByLabel('Username', { exact: true }).fill('noscript')
        await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
        await page.getByLabel('Password again', { exact: true }).fill('another one')
        await page.getByRole('button', { name: 'Create account' }).click()
        expect(await page.getByRole('alert').textContent()).toContain('The two passwords differ')
        expect(await page.getByLabel('Username', { exact: true }).inputValue()).toBe('noscript')
        await signUp(page, 'noscript', 'Nora Script')
        await consent(page, webApp.name)
        const device = await signingIn.finish(await web.callback())
        expect(await device.client.whoami()).toMatchObject({ user_id: '@noscript:localhost' })
        expect(problems.filter((problem) => !isProvoked(problem))).toEqual([])
      }),
    LONG,
  )

  test(
    'with the keyboard alone: sign in and consent',
    () =>
      chromium.visit({}, async ({ page, problems }) => {
        const signingIn = await beginSignIn(webApp)
        await page.goto(signingIn.url)
        const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')
        await page.waitForFunction(() => document.activeElement?.id === 'username')
        await page.keyboard.type('ada')
        await page.keyboard.press('Tab')
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press('Enter')
        await page.getByRole('heading', { name: `Continue to ${webApp.name}?` }).waitFor()
        for (let step = 0; step < 12 && (await focused()) !== 'Continue'; step++)
          await page.keyboard.press('Tab')
        expect(await focused()).toBe('Continue')
        await page.keyboard.press('Enter')
        await signingIn.finish(await web.callback())
        expect(problems).toEqual([])
      }),
    LONG,
  )

  test(
    'the sign-up page says while typing whether a username is free',
    () =>
      chromium.visit({}, async ({ page, problems }) => {
        await page.goto(`${stack.latchkeyUrl}/register`)
        const name = page.getByLabel('Username', { exact: true })
        await name.pressSequentially('Ada')
        await page.getByText('This username is taken.').waitFor()
        expect(await name.inputValue()).toBe('ada')
        await name.fill('somebody')
        await page.getByText('This username is free.').waitFor()
        expect(await page.locator('#username-hint').textContent()).toContain('@somebody:localhost')
        await name.fill('some body')
        await page.getByText('A username can have small letters').waitFor()
        expect(problems).toEqual([])
      }),
    LONG,
  )

  test(
    'the sign-up page measures a password while it is typed, and can show it',
    () =>
      chromium.visit({}, async ({ page, problems }) => {
        // The estimator is built after the start.
        for (let attempt = 0; attempt < 240; attempt++) {
          await page.goto(`${stack.latchkeyUrl}/register`)
          if (await page.locator('[data-strength]:not([data-strength=""])').count()) break
          await page.waitForTimeout(500)
        }
        const password = page.getByLabel('Password', { exact: true })
        const meter = page.getByRole('meter', { name: 'Password strength' })
        const value = () => meter.evaluate((element) => (element as HTMLMeterElement).value)
        await password.fill('password1')
        await meter.waitFor()
        expect(await value()).toBeLessThan(1)
        expect(await page.locator('[data-advice] li').count()).toBeGreaterThan(0)
        await password.fill(PASSWORD)
        await page.waitForFunction(() => document.querySelector('meter')?.value === 4)
        await page.getByRole('button', { name: 'Show (Password)' }).click()
        expect(await password.getAttribute('type')).toBe('text')
        expect(problems).toEqual([])
      }),
    LONG,
  )

  const LOOKS = [
    { name: 'light, desktop', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
    { name: 'dark, 320 pixels wide', colorScheme: 'dark', viewport: { width: 320, height: 640 } },
  ] as const
  for (const [index, { name, ...look }] of LOOKS.entries())
    test(
      `every page is accessible, fits its window and causes no error (${name}; WCAG 2.2 AA with axe)`,
      () =>
        chromium.visit(look, async (visitor) => {
          const found: string[] = []
          const seen: string[] = []
          await walk(visitor, webApp, web, `grace${index}`, async (pageName) => {
            seen.push(pageName)
            found.push(...(await visitor.accessibilityProblems()).map((line) => `${pageName}: ${line}`))
            const tooWide = await visitor.page.evaluate(
              () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
            )
            if (tooWide > 0) found.push(`${pageName}: ${tooWide} pixels wider than the window`)
          })
          expect(found).toEqual([])
          expect(seen.length).toBe(18)
          expect(visitor.problems.filter((problem) => !isProvoked(problem))).toEqual([])
        }),
      LONG,
    )
})

test('without Chromium the tests say what to install', () => {
  expect(() => findChromium({ PATH: '/nowhere' })).toThrow('apt install chromium')
})

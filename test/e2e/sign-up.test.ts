import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BrowserContextOptions } from 'playwright-core'
import { findUserByName } from '../../sql/users.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { approve } from '../../src/identity/approvals.ts'
import { type CaptchaService, startCaptchaService } from '../support/captcha-service.ts'
import { CHROMIUM_START_MS, PASSWORD, startChromium, type TestChromium } from '../support/chromium.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { serveHttps } from '../support/https.ts'
import { LOOKS, looksOf, MOST_LOOKS, SOME_LOOKS, type Walker, walkAs } from './looks.ts'

const LONG = 240_000
const SECRET = 'the-secret-of-the-service'

/** Each check against robots, with the host that its script comes from here, and the field that it fills in. */
const VENDORS = {
  recaptcha_v2: ['www.recaptcha.net', 'g-recaptcha-response', '.g-recaptcha'],
  hcaptcha: ['js.hcaptcha.com', 'h-captcha-response', '.h-captcha'],
  cloudflare_turnstile: ['challenges.cloudflare.com', 'cf-turnstile-response', '.cf-turnstile'],
} as const
type Vendor = keyof typeof VENDORS

const account = { password_registration_enabled: true, password_registration_email_required: false }
const branding = { tos_uri: 'https://www.example.com/terms', tos_version: '2026-11' }

let verifier: CaptchaService
let chromium: TestChromium
let first: Harness
const services = new Map<string, Harness>()
const stops: (() => Promise<void>)[] = []

/** Latchkey at `https://<name>.example.com/`, all with one database. */
async function start(name: string, config: ConfigInput): Promise<[string, number]> {
  const host = `${name}.example.com`
  const harness = await createHarness({
    start: new Date().toISOString(),
    ...(first && { beside: first }),
    outgoingFetch: verifier.fetch,
    config: { account, ...config, http: { public_base: `https://${host}/` } },
  })
  first ??= harness
  services.set(name, harness)
  const server = await serveHttps(host, harness.app.handle)
  stops.push(server.stop)
  return [`${host}:443`, server.port]
}

/** What a widget of a vendor does, as far as our page has to let it: a script, a frame of its own, a field. */
async function startVendor(name: Vendor): Promise<[string, number]> {
  const [host, field, element] = VENDORS[name]
  const script = `
    const box = document.querySelector('${element}')
    const frame = document.createElement('iframe')
    frame.src = 'https://${host}/${name === 'recaptcha_v2' ? 'recaptcha/' : ''}frame'
    frame.title = 'Check'
    frame.width = box.dataset.size === 'compact' ? 160 : 300
    const input = document.createElement('input')
    input.type = 'hidden'
    input.name = '${field}'
    input.value = 'good-' + crypto.randomUUID()
    box.append(frame, input)
    box.dataset.ready = box.dataset.theme`
  const server = await serveHttps(host, (request) =>
    request.url.endsWith('frame')
      ? new Response('<!doctype html><title>Check</title><html lang="en"><p>You are no robot.', {
          headers: { 'content-type': 'text/html' },
        })
      : new Response(script, { headers: { 'content-type': 'text/javascript' } }),
  )
  stops.push(server.stop)
  return [`${host}:443`, server.port]
}

beforeAll(async () => {
  verifier = startCaptchaService({
    secret: SECRET,
    hostOf: (service) =>
      service.includes('recaptcha')
        ? 'recaptcha-v2.example.com'
        : service.includes('hcaptcha')
          ? 'hcaptcha.example.com'
          : 'cloudflare-turnstile.example.com',
  })
  const hosts = [
    await start('altcha', { captcha: { service: 'altcha' }, branding }),
    await start('approval', { account: { ...account, registration_requires_approval: true } }),
    await start('terms', { branding }),
  ]
  for (const name of Object.keys(VENDORS) as Vendor[]) {
    hosts.push(await startVendor(name))
    hosts.push(
      await start(name.replaceAll('_', '-'), {
        captcha: { service: name, site_key: 'public', secret_key: SECRET },
      }),
    )
  }
  chromium = await startChromium(Object.fromEntries(hosts))
}, CHROMIUM_START_MS)
afterAll(async () => {
  await chromium?.stop()
  for (const stop of stops) await stop()
  for (const harness of [...services.values()].reverse()) await harness.close()
  await verifier?.stop()
}, LONG)

const at = (name: string, path: string): string => `https://${name}.example.com${path}`
const serviceOf = (name: string): Harness => {
  const harness = services.get(name)
  if (!harness) throw new Error(`There is no ${name}.`)
  return harness
}

let people = 0
const newName = (): string => `person${++people}`

async function fillForm(walker: Walker, username: string): Promise<void> {
  await walker.fill('Username', username)
  await walker.fill('Password', PASSWORD)
  await walker.fill('Password again', PASSWORD)
}
const acceptTerms = ({ page }: Walker): Promise<void> => page.getByLabel('I accept the terms of use').check()

test(
  'an answer that arrives while a button is pressed moves the button after the click, which counts',
  () =>
    walkAs(chromium, 'pressed', LOOKS['phone, light, with JavaScript'], async (walker) => {
      const { page } = walker
      let answer = (): void => {}
      const asked = new Promise<void>((isAsked) =>
        page.route('**/register/check?*', async (route) => {
          await new Promise<void>((resolve) => {
            answer = resolve
            isAsked()
          })
          await route.continue()
        }),
      )
      await page.goto(at('approval', '/register'))
      await fillForm(walker, newName())
      await asked
      const button = page.getByRole('button', { name: 'Create account' })
      await button.hover()
      await page.mouse.down()
      const before = await button.boundingBox()
      const answered = page.waitForResponse('**/register/check?*')
      answer()
      await (await answered).finished()
      // Time for the page to do what it must not.
      await page.evaluate(
        () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
      )
      expect(await button.boundingBox()).toEqual(before)
      await page.mouse.up()
      await walker.sees('What should we call you?')
    }),
  LONG,
)

const walkIn =
  (name: string, look: BrowserContextOptions) =>
  (what: string, act: (walker: Walker) => Promise<void>): Promise<void> =>
    walkAs(chromium, `${what}, ${name}`, look, act)

// The pages that only a sign-up has, in every look.
describe.each(looksOf(MOST_LOOKS))('%s', (name, look) => {
  const walk = walkIn(name, look)

  test(
    'a sign-up that was left: offered again, gone on with, finished; back and double click do no harm',
    () =>
      walk('left', async (walker) => {
        const { page } = walker
        const username = newName()
        await page.goto(at('terms', '/register'))
        await fillForm(walker, username)
        await acceptTerms(walker)
        await page.getByRole('button', { name: 'Create account' }).dblclick()
        await walker.sees('What should we call you?')
        await page.goto(at('terms', '/register'))
        await walker.sees('You have begun already')
        await walker.press('Go on with it')
        await walker.sees('What should we call you?')
        await page.goBack()
        await walker.sees('You have begun already')
        await walker.press('Start over')
        await walker.sees('Create account')
        await fillForm(walker, username)
        await acceptTerms(walker)
        await walker.press('Create account')
        await walker.fill('Display name', 'Somebody')
        await walker.press('Continue')
        await page.getByText(`@${username}:example.test`).first().waitFor()
      }),
    LONG,
  )

  test(
    'an account that waits, and terms that it never accepted',
    () =>
      walk('waits', async (walker) => {
        const { page } = walker
        const username = newName()
        await page.goto(at('approval', '/register'))
        await fillForm(walker, username)
        await walker.press('Create account')
        await walker.fill('Display name', 'Somebody')
        await walker.press('Continue')
        await walker.sees('Your account waits for approval')
        await page.getByRole('link', { name: 'Sign in' }).click()
        await walker.fill('Username', username)
        await walker.fill('Password', PASSWORD)
        await walker.press('Sign in')
        await walker.sees('Your account waits for approval')
        const { deps } = serviceOf('approval')
        const [user] = await findUserByName(deps.sql, username, username)
        await approve(deps, user?.id ?? '')
        await page.goto(at('terms', '/login'))
        await walker.fill('Username', username)
        await walker.fill('Password', PASSWORD)
        await walker.press('Sign in')
        await walker.sees('Terms of use')
        await page.goto(at('terms', '/account/'))
        await walker.sees('Terms of use')
        await walker.press('Accept and continue')
        await walker.sees('Your account')
      }),
    LONG,
  )
})

// What happens on the page with the form, which those above have seen in every look.
describe.each(looksOf(SOME_LOOKS))('%s', (name, look) => {
  const walk = walkIn(name, look)

  test(
    'sign-up with the proof of work: calculated, or waited for',
    () =>
      walk('calculated', async (walker) => {
        const { page, hasScript } = walker
        await page.goto(at('altcha', '/register'))
        await walker.sees('Create account')
        await fillForm(walker, newName())
        await acceptTerms(walker)
        if (hasScript) {
          await page.getByText('You are no robot: that is settled.').waitFor()
          await walker.sees('Create account')
        } else {
          await walker.press('Create account')
          await page.getByText('That was fast.').first().waitFor()
          await walker.sees('Create account')
          serviceOf('altcha').clock.advance(20)
          await walker.fill('Password', PASSWORD)
          await walker.fill('Password again', PASSWORD)
        }
        await walker.press('Create account')
        await walker.sees('What should we call you?')
        expect(walker.requests.filter((url) => !url.startsWith(at('altcha', '/')))).toEqual([])
      }),
    LONG,
  )

  test(
    'a form that is sent at once waits for the calculation; one with a mistake does not ask again',
    () =>
      walk('mistake', async (walker) => {
        if (!walker.hasScript) return
        const { page } = walker
        await page.goto(at('altcha', '/register'))
        await fillForm(walker, newName())
        await walker.fill('Password again', 'something else entirely 7')
        await acceptTerms(walker)
        await walker.press('Create account')
        await page.getByText('The two passwords differ').first().waitFor()
        await page.getByText('You are no robot: that is settled.').waitFor()
        await walker.sees('Create account')
        await walker.fill('Password', PASSWORD)
        await walker.fill('Password again', PASSWORD)
        await walker.press('Create account')
        await walker.sees('What should we call you?')
      }),
    LONG,
  )

  test(
    'a name that is taken: free ones like it, in the live check and after the form',
    () =>
      walk('taken', async (walker) => {
        const { page, hasScript } = walker
        const harness = serviceOf('terms')
        const taken = newName()
        await harness.deps.sql`insert into latchkey.users (id, username, username_folded, created_at)
        values (gen_random_uuid(), ${taken}, ${taken}, now())`
        await page.goto(at('terms', '/register'))
        await walker.fill('Username', taken)
        if (!hasScript) await fillForm(walker, taken)
        if (!hasScript) await acceptTerms(walker)
        if (!hasScript) await walker.press('Create account')
        await page.getByText('Free names like it:').waitFor()
        await walker.sees('Create account')
        if (!hasScript) return
        await page.getByRole('button', { name: `${taken}2`, exact: true }).click()
        await page.getByText('This username is free.').waitFor()
        expect(await page.getByLabel('Username', { exact: true }).inputValue()).toBe(`${taken}2`)
      }),
    LONG,
  )

  test.each(Object.entries(VENDORS))(
    'sign-up with %s: its widget in its frame, and nothing of it elsewhere',
    (vendor, [host, , element]) =>
      walk(vendor, async (walker) => {
        const { page, hasScript } = walker
        const name = vendor.replaceAll('_', '-')
        await page.goto(at(name, '/login'))
        await page.getByRole('link', { name: 'Create account' }).click()
        await walker.sees('Create account')
        if (!hasScript) {
          await page.locator('noscript p').waitFor()
          expect(walker.requests.filter((url) => url.includes(host))).toEqual([])
          return
        }
        await page.locator(`${element}[data-ready]`).waitFor()
        expect(await page.locator(element).getAttribute('data-ready')).toBe(look.colorScheme ?? '')
        await page.frameLocator('iframe').getByText('You are no robot.').waitFor()
        await fillForm(walker, newName())
        await walker.press('Create account')
        await walker.sees('What should we call you?')
        const seen = walker.requests.length
        expect(walker.requests.some((url) => url.includes(host))).toBe(true)
        await page.goto(at(name, '/login'))
        expect(walker.requests.slice(seen).filter((url) => url.includes(host))).toEqual([])
      }),
    LONG,
  )
})

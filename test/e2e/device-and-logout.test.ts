import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BrowserContextOptions } from 'playwright-core'
import { CHROMIUM_START_MS, signIn, type Visitor } from '../support/chromium.ts'
import { poll, registerDeviceClient, requestDevice } from '../support/device.ts'
import { exchange, obtainCode, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'
import { looksOf, WAYS, type Walker, walkAs } from './looks.ts'
import { APPLICATION, type BrowserService, SERVICE, startService } from './service.ts'

const LONG = 240_000
const RETURN = `${APPLICATION}/signed-out`

let service: BrowserService
let deviceClient: string
let webClient: string
beforeAll(async () => {
  service = await startService(
    () =>
      new Response(
        '<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><h1>Back in the app</h1>',
        {
          headers: { 'content-type': 'text/html; charset=utf-8' },
        },
      ),
    { oauth: { device_code_user_code_auto_fill_enabled: true } },
  )
  const { harness } = service
  await signUp(harness.browser(), 'ada')
  deviceClient = await registerDeviceClient(harness)
  webClient = (await registerClient(harness, { ...WEB_CLIENT, post_logout_redirect_uris: [RETURN] }))
    .client_id
}, CHROMIUM_START_MS)
afterAll(() => service?.stop(), LONG)

const visit = (
  name: string,
  look: BrowserContextOptions,
  act: (walker: Walker) => Promise<void>,
): Promise<void> => walkAs(service.chromium, name, look, act)

const button = ({ page }: Visitor, name: string) => page.getByRole('button', { name, exact: true })
const outcome = async (deviceCode: string): Promise<string> => {
  service.harness.clock.advance(10)
  const { status, body } = await poll(service.harness, deviceClient, deviceCode)
  return status === 200 ? 'tokens' : String(body.error)
}

/** An ID token of the session that the browser of the walker has now. */
async function idTokenHere({ page }: Visitor): Promise<string> {
  const { harness } = service
  const browser = harness.browser()
  for (const { name, value } of await page.context().cookies()) browser.cookies.set(name, value)
  const tokens = await exchange(harness, webClient, await obtainCode(browser, webClient, { scope: 'openid' }))
  return tokens.id_token ?? ''
}

for (const [name, look] of looksOf(WAYS))
  describe(name, () => {
    test(
      'a device is let in: the code, the sign-in, the question, the answer (RFC 8628 section 3.3)',
      () =>
        visit(`let in, ${name}`, look, async (walker) => {
          const { page, sees } = walker
          const { device_code, user_code, verification_uri } = await requestDevice(
            service.harness,
            deviceClient,
          )
          await page.goto(verification_uri)
          await sees('Connect a device')
          await page.getByLabel('Code').fill('WRONG-CODE')
          await button(walker, 'Continue').click()
          await page.getByRole('alert').waitFor()
          await sees('Connect a device')
          await page.getByLabel('Code').fill(user_code.toLowerCase())
          await button(walker, 'Continue').click()
          await sees('Sign in')
          await page.getByText('Test Television').waitFor()
          await signIn(page, 'ada')
          await sees('Let a device into your account?')
          expect(await page.getByText(user_code).count()).toBeGreaterThan(0)
          // Without the tick the browser does not even send the form.
          await button(walker, 'Let it in').click()
          expect(await outcome(device_code)).toBe('authorization_pending')
          await page.getByRole('checkbox').check()
          await button(walker, 'Let it in').click()
          await sees('The device is let in')
          expect(await outcome(device_code)).toBe('tokens')
          await page.reload()
          await sees('The device is let in')
        }),
      LONG,
    )

    test(
      'a device is kept out; verification_uri_complete fills the code in and no more',
      () =>
        visit(`kept out, ${name}`, look, async (walker) => {
          const { page, sees } = walker
          const asked = await requestDevice(service.harness, deviceClient)
          await page.goto(asked.verification_uri_complete ?? '')
          await sees('Connect a device')
          expect(await page.getByLabel('Code').inputValue()).toBe(asked.user_code)
          expect(await outcome(asked.device_code)).toBe('authorization_pending')
          await button(walker, 'Continue').click()
          await signIn(page, 'ada')
          await sees('Let a device into your account?')
          await button(walker, 'No, keep it out').click()
          await sees('The device stays out')
          expect(await outcome(asked.device_code)).toBe('access_denied')
        }),
      LONG,
    )

    test(
      'signing out for an app: asked without a proof, told of an address that is not its own, at once with a proof',
      () =>
        visit(`signing out, ${name}`, look, async (walker) => {
          const { page, sees } = walker
          const leave = (params: Record<string, string>) =>
            page.goto(`${SERVICE}/end-session?${new URLSearchParams(params)}`)
          await page.goto(`${SERVICE}/login`)
          await signIn(page, 'ada')
          await page.getByText('@ada:example.test').first().waitFor()
          const hint = await idTokenHere(walker)

          await leave({ id_token_hint: hint, post_logout_redirect_uri: 'https://evil.example/' })
          await sees('Sign out of your account?')
          await page.getByText('did not register').waitFor()
          await page.getByRole('link', { name: 'Stay signed in' }).click()
          await page.getByText('@ada:example.test').first().waitFor()

          await leave({ client_id: webClient, post_logout_redirect_uri: RETURN, state: 'x' })
          await sees('Sign out of your account?')
          await button(walker, 'Sign out').click()
          await page.waitForURL(`${RETURN}?state=x`)

          // Nobody is signed in any more, so nobody is sent on without a click.
          await leave({ id_token_hint: hint, post_logout_redirect_uri: RETURN })
          await sees('You are signed out')
          await button(walker, 'Go back to Test App').click()
          await page.waitForURL(RETURN)

          await page.goto(`${SERVICE}/login`)
          await signIn(page, 'ada')
          await page.getByText('@ada:example.test').first().waitFor()
          await leave({ id_token_hint: await idTokenHere(walker), post_logout_redirect_uri: RETURN })
          await page.waitForURL(RETURN)
          await leave({})
          await sees('You are signed out')
        }),
      LONG,
    )
  })

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { syncProviders } from '../../src/upstream/sync.ts'
import { CHROMIUM_START_MS, PASSWORD, type Visitor } from '../support/chromium.ts'
import { type FakeProvider, startFakeProvider } from '../support/fake-provider.ts'
import { authorizeUrl, registerClient, signUp } from '../support/oauth.ts'
import { SUGGEST } from '../support/upstream.ts'
import { APPLICATION, type BrowserService, SERVICE, startService } from './service.ts'

const LONG = 240_000
const [QUERY, FORM] = ['01JDFX2V9S6QK3W4Z5Y7T8R9PA', '01JDFX2V9S6QK3W4Z5Y7T8R9PB']

let fake: FakeProvider
let service: BrowserService
beforeAll(async () => {
  fake = await startFakeProvider({ clock: { now: () => new Date() } })
  const provider = {
    issuer: fake.issuer,
    client_id: 'latchkey',
    token_endpoint_auth_method: 'none' as const,
    claims_imports: { ...SUGGEST, account_name: { template: '{{ user.email }}' } },
  }
  service = await startService(() => new Response('the app'), {
    upstream_oauth2: {
      providers: [
        { ...provider, id: QUERY, human_name: 'Harbour' },
        { ...provider, id: FORM, human_name: 'Quay', response_mode: 'form_post' },
      ],
    },
  })
  await syncProviders(service.harness.deps)
}, CHROMIUM_START_MS)
afterAll(async () => {
  await service?.stop()
  fake?.stop()
})

let people = 0
async function visiting(
  options: { javaScriptEnabled?: boolean },
  run: (visitor: Visitor, name: string) => Promise<void>,
): Promise<void> {
  const name = `visitor${++people}`
  fake.claims = {
    sub: name,
    preferred_username: name,
    name: `${name} Example`,
    email: `${name}@harbour.example`,
  }
  await service.chromium.visit({ ...options, viewport: { width: 360, height: 740 } }, async (visitor) => {
    await run(visitor, name)
    // What the pages of the provider have is its own.
    expect(visitor.problems.filter((problem) => problem.startsWith(SERVICE))).toEqual([])
  })
}

describe.each([true, false])('in Chromium, with script: %p', (javaScriptEnabled) => {
  test(
    'a new person comes from an app, signs up through a provider, and is back in the app (CSP form-action over the whole way)',
    () =>
      visiting({ javaScriptEnabled }, async ({ page, accessibilityProblems }, name) => {
        const { client_id } = await registerClient(service.harness)
        await page.goto(SERVICE + authorizeUrl(client_id))
        await page.getByRole('link', { name: 'Continue with Harbour' }).click()
        await page.getByRole('heading', { name: 'Create your account' }).waitFor()
        expect(await page.getByLabel('Username').inputValue()).toBe(name)
        if (javaScriptEnabled) expect(await accessibilityProblems()).toEqual([])
        await page.getByRole('button', { name: 'Create account' }).click()
        await page.getByRole('button', { name: /^(Continue|Allow)/ }).click()
        await page.waitForURL(`${APPLICATION}/callback**`)
        expect(new URL(page.url()).searchParams.has('code')).toBe(true)
      }),
    LONG,
  )

  test(
    'a provider that posts its answer: the form goes on from a page of ours, with our cookies (SameSite=Lax)',
    () =>
      visiting({ javaScriptEnabled }, async ({ page, problems }, name) => {
        await page.goto(`${SERVICE}/login?kind=manage_account&page=linked`)
        await page.getByRole('link', { name: 'Continue with Quay' }).click()
        await page.getByRole('button', { name: 'Back' }).click()
        if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click()
        await page.getByRole('button', { name: 'Create account' }).click()
        await page.getByRole('heading', { name: 'Linked identities' }).waitFor()
        await page.getByText(`${name}@harbour.example`).waitFor()
        await page.goBack()
        await page.getByRole('heading', { name: 'This sign-in is over' }).waitFor()
        // Chromium tells its console of every page with an error status.
        problems.length = 0
        await page.goto(`${SERVICE}/account/`)
        await page.getByText(`@${name}:example.test`).first().waitFor()
      }),
    LONG,
  )

  test(
    'who has an account signs in, links the identity, and signs in with it',
    () =>
      visiting({ javaScriptEnabled }, async ({ page, accessibilityProblems }, name) => {
        await signUp(service.harness.browser(), name)
        await page.goto(`${SERVICE}/login?kind=manage_account&page=linked`)
        await page.getByRole('link', { name: 'Continue with Harbour' }).click()
        await page.getByRole('link', { name: 'Sign in and link it' }).click()
        await page.getByLabel('Username').fill(name)
        await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
        await page.getByRole('button', { name: 'Sign in' }).click()
        await page.getByRole('heading', { name: 'Link Harbour to your account?' }).waitFor()
        if (javaScriptEnabled) expect(await accessibilityProblems()).toEqual([])
        await page.getByRole('button', { name: 'Link', exact: true }).click()
        await page.getByRole('heading', { name: 'Linked identities' }).waitFor()
        if (javaScriptEnabled) expect(await accessibilityProblems()).toEqual([])
        await page.context().clearCookies()
        await page.goto(`${SERVICE}/login?kind=manage_account&page=linked`)
        await page.getByRole('link', { name: 'Continue with Harbour' }).click()
        await page.getByRole('heading', { name: 'Linked identities' }).waitFor()
      }),
    LONG,
  )

  test(
    'a cookie that was lost on the way: the page says to start again',
    () =>
      visiting({ javaScriptEnabled }, async ({ page, problems }) => {
        await page.goto(`${SERVICE}/login`)
        await page.getByRole('link', { name: 'Continue with Quay' }).click()
        await page.context().clearCookies()
        await page.getByRole('button', { name: 'Back' }).click()
        if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click()
        await page.getByRole('heading', { name: 'This sign-in is over' }).waitFor()
        // Chromium tells its console of every page with an error status.
        problems.length = 0
      }),
    LONG,
  )
})

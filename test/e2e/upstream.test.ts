import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { syncProviders } from '../../src/upstream/sync.ts'
import { CHROMIUM_START_MS, PASSWORD, type Visitor } from '../support/chromium.ts'
import { type FakeProvider, startFakeProvider } from '../support/fake-provider.ts'
import { authorizeUrl, registerClient, signUp } from '../support/oauth.ts'
import { SUGGEST } from '../support/upstream.ts'
import { APPLICATION, type BrowserService, SERVICE, startService } from './service.ts'

const LONG = 240_000
const [QUERY, FORM, APPLE, CLOSED] = [
  '01JDFX2V9S6QK3W4Z5Y7T8R9PA',
  '01JDFX2V9S6QK3W4Z5Y7T8R9PB',
  '01JDFX2V9S6QK3W4Z5Y7T8R9PC',
  '01JDFX2V9S6QK3W4Z5Y7T8R9PD',
]

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
        {
          ...provider,
          id: APPLE,
          human_name: 'Orchard',
          response_mode: 'form_post',
          claims_imports: {
            localpart: { action: 'suggest' },
            displayname: {
              action: 'suggest',
              template:
                '{%- set u = extra_callback_parameters["user"] | from_json -%}{{- [u.name.firstName, u.name.lastName] | join(" ") -}}',
            },
          },
        },
        {
          ...provider,
          id: CLOSED,
          human_name: 'Castle',
          allow_if: '{{ "keepers" in (user.groups | default([])) }}',
        },
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
    'two tabs at once: the second finds that it is done',
    () =>
      visiting({ javaScriptEnabled }, async ({ page }, name) => {
        const other = await page.context().newPage()
        for (const tab of [page, other]) {
          await tab.goto(`${SERVICE}/login?kind=manage_account&page=linked`)
          await tab.getByRole('link', { name: 'Continue with Harbour' }).click()
          await tab.getByRole('heading', { name: 'Create your account' }).waitFor()
        }
        await page.getByRole('button', { name: 'Create account' }).click()
        await page.getByRole('heading', { name: 'Linked identities' }).waitFor()
        await other.getByLabel('Username').fill(`${name}too`)
        await other.getByRole('button', { name: 'Create account' }).click()
        await other.getByRole('heading', { name: 'Linked identities' }).waitFor()
        await other.goto(`${SERVICE}/account/`)
        await other.getByText(`@${name}:example.test`).first().waitFor()
      }),
    LONG,
  )

  test(
    'an identity of another account, and a name that is taken',
    () =>
      visiting({ javaScriptEnabled }, async ({ page, problems, accessibilityProblems }, name) => {
        await signUp(service.harness.browser(), name)
        await page.goto(`${SERVICE}/login?kind=manage_account&page=linked`)
        await page.getByRole('link', { name: 'Continue with Harbour' }).click()
        await page.getByRole('heading', { name: 'Create your account' }).waitFor()
        await page.getByLabel('Username').fill(name)
        await page.getByRole('button', { name: 'Create account' }).click()
        await page.getByText('This username is taken.').first().waitFor()
        await page.getByLabel('Username').fill(`${name}too`)
        await page.getByRole('button', { name: 'Create account' }).click()
        await page.getByRole('heading', { name: 'Linked identities' }).waitFor()
        await page.context().clearCookies()
        await page.goto(`${SERVICE}/login`)
        await page.getByLabel('Username').fill(name)
        await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
        await page.getByRole('button', { name: 'Sign in', exact: true }).click()
        await page.getByRole('heading', { name: 'You are signed in' }).waitFor()
        await page.goto(`${SERVICE}/upstream/authorize/${QUERY}?kind=manage_account&page=linked`)
        await page.getByRole('heading', { name: 'This belongs to another account' }).waitFor()
        if (javaScriptEnabled) expect(await accessibilityProblems()).toEqual([])
        await page.getByRole('button', { name: 'Switch to the other account' }).click()
        await page.getByRole('heading', { name: 'Linked identities' }).waitFor()
        await page.goto(`${SERVICE}/account/`)
        await page.getByText(`@${name}too:example.test`).first().waitFor()
        // Chromium tells its console of every page with an error status.
        problems.length = 0
      }),
    LONG,
  )

  test(
    'a name that the provider tells once, with its form (Apple): it is offered, and stays',
    () =>
      visiting({ javaScriptEnabled }, async ({ page }, name) => {
        const arrive = async () => {
          await page.goto(`${SERVICE}/login?kind=manage_account&page=profile`)
          await page.getByRole('link', { name: 'Continue with Orchard' }).click()
          await page.getByRole('button', { name: 'Back' }).click()
          if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click()
        }
        fake.posted = { user: JSON.stringify({ name: { firstName: 'Ada', lastName: 'Byron' } }) }
        await arrive()
        fake.posted = {}
        await page.getByText('Ada Byron').first().waitFor()
        await page.getByLabel('Username').fill(name)
        await page.getByRole('button', { name: 'Create account' }).click()
        await page.getByRole('heading', { name: 'Profile' }).first().waitFor()
        await page.context().clearCookies()
        await arrive()
        await page.getByRole('heading', { name: 'Profile' }).first().waitFor()
        expect(await page.getByLabel('Display name').inputValue()).toBe('Ada Byron')
      }),
    LONG,
  )

  test(
    'somebody whom the operator does not let in reads so, and can sign in another way',
    () =>
      visiting({ javaScriptEnabled }, async ({ page, problems }) => {
        await page.goto(`${SERVICE}/login`)
        await page.getByRole('link', { name: 'Continue with Castle' }).click()
        await page.getByText('The people who run this server do not let you in with Castle.').waitFor()
        await page.getByRole('link', { name: 'Sign in another way' }).click()
        await page.getByRole('heading', { name: 'Sign in' }).first().waitFor()
        problems.length = 0
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

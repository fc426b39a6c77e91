import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import {
  CHROMIUM_START_MS,
  PASSWORD,
  startChromium,
  type TestChromium,
  type Visitor,
} from '../support/chromium.ts'
import { type FakeProvider, startFakeProvider } from '../support/fake-provider.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { serveHttps } from '../support/https.ts'
import { authorizeUrl, registerClient, signUp } from '../support/oauth.ts'
import { SUGGEST } from '../support/upstream.ts'

// The rest of the cases that `test/upstream/link-cases.test.ts` lists, beside `upstream.test.ts`: each walk goes through
// several.

const LONG = 240_000
const SERVICE = 'https://auth.example.com'
/** The same deployment with terms of use. */
const WITH_TERMS = 'https://terms.example.com'
const TERMS = 'https://example.test/terms'

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]
type Claims = NonNullable<ProviderInput['claims_imports']>

const forced = (on_conflict: 'fail' | 'add' | 'set' | 'replace'): { claims_imports: Claims } => ({
  claims_imports: { localpart: { action: 'force', on_conflict }, displayname: { action: 'force' } },
})
const required: Claims = {
  localpart: { action: 'require' },
  displayname: { action: 'require' },
  email: { action: 'require' },
}

/** What the operator says of each provider. */
const PROVIDERS = {
  Harbour: { claims_imports: SUGGEST },
  Fail: forced('fail'),
  Add: forced('add'),
  Set: forced('set'),
  Replace: forced('replace'),
  Closed: { claims_imports: SUGGEST, allow_registration: false },
  Strict: { claims_imports: required },
  Skip: { claims_imports: { ...required, skip_confirmation: true } },
  Invited: {
    claims_imports: { ...required, skip_confirmation: true },
    registration_token_required: true,
  },
} satisfies Record<string, ProviderInput>
type Name = keyof typeof PROVIDERS

const idOf = (name: Name): string => `01JDFX2V9S6QK3W4Z5Y7T8R9Q${Object.keys(PROVIDERS).indexOf(name)}`
/** Where a person sets out to a provider, who wants to see what is linked to them. */
const away = (name: Name, base = SERVICE): string =>
  `${base}/upstream/authorize/${idOf(name)}?kind=manage_account&page=linked`

let fake: FakeProvider
let harness: Harness
let terms: Harness
let chromium: TestChromium
const servers: { stop(): Promise<void> }[] = []
beforeAll(async () => {
  let now = () => new Date()
  fake = await startFakeProvider({ clock: { now: () => now() } })
  const providers = Object.entries(PROVIDERS).map(([name, settings]) => ({
    id: idOf(name as Name),
    issuer: fake.issuer,
    human_name: name,
    client_id: 'latchkey',
    token_endpoint_auth_method: 'none' as const,
    ...settings,
  }))
  const config = { upstream_oauth2: { providers } }
  harness = await createHarness({ config: { ...config, http: { public_base: `${SERVICE}/` } } })
  now = harness.clock.now
  terms = await createHarness({
    beside: harness,
    config: { ...config, http: { public_base: `${WITH_TERMS}/` }, branding: { tos_uri: TERMS } },
  })
  await syncProviders(harness.deps)
  const service = await serveHttps('auth.example.com', harness.app.handle)
  const other = await serveHttps('terms.example.com', terms.app.handle)
  servers.push(service, other)
  chromium = await startChromium({
    'auth.example.com:443': service.port,
    'terms.example.com:443': other.port,
  })
}, CHROMIUM_START_MS)
afterAll(async () => {
  await chromium?.stop()
  for (const server of servers) await server.stop()
  fake?.stop()
  await terms?.close()
  await harness?.close()
})

interface Walk extends Visitor {
  /** A name that nobody has. */
  name: string
  /** Waits for the page of a title. */
  heading(title: string): Promise<void>
  press(button: string): Promise<void>
  follow(link: string): Promise<void>
  /** Sends the sign-in page. */
  signIn(username: string): Promise<void>
  /** Comes back from a provider as `sub`, with more claims or others. */
  arrive(name: Name, sub: string, claims?: Record<string, unknown>, base?: string): Promise<void>
  /** The same, in a browser that nobody signed in with. */
  afresh(name: Name, sub: string, claims?: Record<string, unknown>): Promise<void>
  /** That the account of a name is the one that is signed in. */
  isSignedInAs(username: string): Promise<void>
  /** That the page is one that everybody can use. */
  isAccessible(): Promise<void>
}

let people = 0
/** Walks as a person with a browser of their own, who comes back from providers under `name` unless told otherwise. */
const walking = (javaScriptEnabled: boolean, walk: (on: Walk) => Promise<void>) =>
  chromium.visit({ javaScriptEnabled, viewport: { width: 360, height: 740 } }, async (visitor) => {
    const { page } = visitor
    const name = `walker${++people}`
    const on: Walk = {
      ...visitor,
      name,
      heading: (title) => page.getByRole('heading', { name: title, exact: true }).first().waitFor(),
      press: (button) => page.getByRole('button', { name: button, exact: true }).click(),
      follow: (link) => page.getByRole('link', { name: link, exact: true }).click(),
      async signIn(username) {
        await page.getByLabel('Username').fill(username)
        await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
        await on.press('Sign in')
      },
      async arrive(provider, sub, claims = {}, base = SERVICE) {
        // Of two ways in one millisecond neither is the newer one.
        harness.clock.advance(1)
        fake.claims = { sub, preferred_username: name, name: `${name} Example`, ...claims }
        await page.goto(away(provider, base))
      },
      async afresh(provider, sub, claims) {
        await page.context().clearCookies()
        await on.arrive(provider, sub, claims)
      },
      async isSignedInAs(username) {
        await page.goto(`${SERVICE}/account/`)
        await page.getByText(`@${username}:example.test`).first().waitFor()
      },
      async isAccessible() {
        if (javaScriptEnabled) expect(await visitor.accessibilityProblems()).toEqual([])
      },
    }
    await walk(on)
    // Chromium tells its console of every page with an error status, of which there are many here, and must be.
    expect(visitor.problems.filter((problem) => !problem.includes('Failed to load resource'))).toEqual([])
  })

const NOBODY_IN = 'You cannot get in this way'

describe.each([true, false])('in Chromium, with script: %p', (script) => {
  test(
    'somebody who is signed in: not now, a sign-in that is a while ago, a link, the same identity again, and unlinking',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        await signUp(harness.browser(), name)
        await page.goto(`${SERVICE}/login`)
        await on.signIn(name)
        await on.heading('You are signed in')
        await on.arrive('Harbour', name)
        await on.heading('Link Harbour to your account?')
        await on.follow('Cancel')
        await on.heading('You are signed in')
        harness.clock.advance(600)
        await on.arrive('Harbour', name)
        await page.getByText('You signed in a while ago.').waitFor()
        expect(await page.getByRole('button', { name: 'Link', exact: true }).count()).toBe(0)
        await on.isAccessible()
        await on.follow('Confirm that it is me')
        await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
        await on.press('Confirm')
        await on.heading('Link Harbour to your account?')
        await on.press('Link')
        await on.heading('Linked identities')
        // The owner, who is signed in: nothing is asked.
        await on.arrive('Harbour', name)
        await on.heading('Linked identities')
        await on.follow('Unlink Harbour')
        await on.heading('Unlink Harbour?')
        await on.isAccessible()
        await on.press('Unlink')
        await page.getByText('It is unlinked.').waitFor()
        await on.isSignedInAs(name)
      }),
    LONG,
  )

  test(
    'somebody else’s browser: “This is not my account” goes on as a new person, whose last way in is not unlinked; the identity of another account, and staying',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        const [first, other] = [`${name}a`, `${name}b`]
        await signUp(harness.browser(), first)
        await page.goto(`${SERVICE}/login`)
        await on.signIn(first)
        await on.heading('You are signed in')
        await on.arrive('Harbour', other, { preferred_username: other })
        await on.press('This is not my account')
        await on.heading('Create your account')
        expect(await page.getByLabel('Username').inputValue()).toBe(other)
        await on.press('Create account')
        await on.heading('Linked identities')
        await on.isSignedInAs(other)
        await page.goto(`${SERVICE}/account/linked`)
        await on.follow('Unlink Harbour')
        await on.press('Unlink')
        await page.getByText('Nothing else lets you into your account').waitFor()
        await on.follow('Unlink Harbour')
        await on.follow('Keep it')
        await on.heading('Linked identities')

        await page.context().clearCookies()
        await page.goto(`${SERVICE}/login`)
        await on.signIn(first)
        await on.heading('You are signed in')
        await on.arrive('Harbour', other, { preferred_username: other })
        await on.heading('This belongs to another account')
        await on.follow('Stay with this account')
        await on.heading('Linked identities')
        await page.getByText('Nothing is linked to your account.').waitFor()
        await on.isSignedInAs(first)
      }),
    LONG,
  )

  test(
    'a page that was left open for too long says so, as does its address in another browser, and the next way works',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        await on.arrive('Harbour', name)
        await on.heading('Create your account')
        const address = page.url()
        await page.context().clearCookies()
        await page.goto(address)
        await on.heading('This sign-in is over')
        await on.arrive('Harbour', name)
        await on.heading('Create your account')
        harness.clock.advance(3601)
        await on.press('Create account')
        await on.heading('This sign-in is over')
        await on.isAccessible()
        const [nobody] = await findUserByName(harness.deps.sql, name, name)
        expect(nobody).toBeUndefined()
        await on.arrive('Harbour', name)
        await on.press('Create account')
        await on.heading('Linked identities')
        await on.isSignedInAs(name)
      }),
    LONG,
  )

  test(
    'an account that may not be used: locked, waiting, deactivated; another one can be used instead',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        await on.arrive('Harbour', name)
        await on.press('Create account')
        await on.heading('Linked identities')
        const { sql } = harness.deps
        const states = [
          [
            sql`update latchkey.users set locked_at = now() where username = ${name}`,
            'This account is locked',
          ],
          [
            sql`update latchkey.users set approval_requested_at = now() where username = ${name}`,
            'Your account waits for approval',
          ],
          [
            sql`update latchkey.users set approval_requested_at = null, deactivated_at = now() where username = ${name}`,
            'This account is gone',
          ],
        ] as const
        for (const [change, title] of states) {
          await change
          await on.afresh('Harbour', name)
          await on.heading(title)
          await page.getByText(`@${name}:example.test`).first().waitFor()
          expect((await page.context().cookies()).map((cookie) => cookie.name)).not.toContain(
            '__Host-session',
          )
        }
        await on.isAccessible()
        await on.press('Sign out and use another account')
        await on.heading('Sign in')
      }),
    LONG,
  )

  test(
    'a name that an account has, and the provider decides: fail says how to link, add, set and replace give it, or not',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        await signUp(harness.browser(), name)
        const subjects = async () => {
          const rows = await harness.deps.sql`
            select l.subject from latchkey.upstream_links l join latchkey.users u on u.id = l.user_id
            where u.username = ${name} order by l.subject`
          return rows.map(({ subject }) => String(subject).replace(`${name}-`, ''))
        }
        await on.arrive('Fail', `${name}-fail`)
        await on.heading(NOBODY_IN)
        await page.getByText(`Fail says that you are ${name}, and there is an account`).waitFor()
        await on.isAccessible()
        await on.follow('Sign in and link it')
        await on.signIn(name)
        await on.heading('Link Fail to your account?')
        await on.press('Link')
        await on.heading('Linked identities')

        await on.afresh('Set', `${name}-set-1`)
        await on.heading('Linked identities')
        await on.afresh('Set', `${name}-set-2`)
        await page.getByText(`The account ${name} is linked to another identity at Set.`).waitFor()
        expect(await page.getByRole('link', { name: 'Sign in and link it' }).count()).toBe(0)
        await on.follow('Sign in another way')
        await on.heading('Sign in')
        expect(await subjects()).toEqual(['fail', 'set-1'])

        for (const [provider, sub] of [
          ['Add', 'add-1'],
          ['Add', 'add-2'],
          ['Replace', 'replace-1'],
          ['Replace', 'replace-2'],
        ] as const) {
          await on.afresh(provider, `${name}-${sub}`)
          await on.heading('Linked identities')
        }
        await on.isSignedInAs(name)
        expect(await subjects()).toEqual(['add-1', 'add-2', 'fail', 'replace-2', 'set-1'])

        await harness.deps.sql`update latchkey.users set locked_at = now() where username = ${name}`
        await on.afresh('Add', `${name}-add-3`)
        await on.heading('This account is locked')
        expect(await subjects()).not.toContain('add-3')
      }),
    LONG,
  )

  test(
    'what a provider has to say: it is missing, the name cannot be had, the address is somebody’s, no account is made through it; else it is shown, and taken',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        const email = `${name}@harbour.example`
        for (const [claims, sentence] of [
          [{ preferred_username: undefined }, 'did not tell us your username'],
          [{ name: undefined }, 'did not tell us your name'],
          [{ email: undefined }, 'did not tell us an email address'],
          [
            { preferred_username: 'no name!' },
            'Strict says that you are no name!, and there can be no account',
          ],
        ] as const) {
          await on.arrive('Strict', name, { email, ...claims })
          await on.heading(NOBODY_IN)
          await page.getByText(sentence).waitFor()
        }
        await on.isAccessible()

        await on.arrive('Strict', name, { email })
        await on.heading('Create your account')
        expect(await page.getByLabel('Username').count()).toBe(0)
        for (const shown of [`@${name}:example.test`, email, `${name} Example`])
          await page.getByText(shown, { exact: true }).first().waitFor()
        await on.press('Create account')
        await on.heading('Linked identities')

        await on.afresh('Strict', `${name}-2`, { email, preferred_username: `${name}-2` })
        await page.getByText('There is an account with your email address here already.').waitFor()
        await on.isAccessible()
        await on.follow('Sign in another way')
        await on.heading('Sign in')

        const owner = `${name}-3`
        await signUp(harness.browser(), owner)
        await on.arrive('Closed', owner, { preferred_username: owner })
        await page.getByText('Closed cannot be used to create one').waitFor()
        expect(await page.getByRole('button', { name: 'Create account' }).count()).toBe(0)
        await on.follow('Sign in and link it')
        await on.signIn(owner)
        await on.press('Link')
        await on.heading('Linked identities')
        await on.afresh('Closed', owner)
        await on.heading('Linked identities')
        await on.isSignedInAs(owner)
      }),
    LONG,
  )

  test(
    'without a page to confirm: the account is there at once, or after the invitation that it needs, or after the terms',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        await on.arrive('Skip', name, { email: `${name}@harbour.example` })
        await on.heading('Linked identities')
        await on.isSignedInAs(name)

        const invited = { preferred_username: `${name}i`, email: `${name}i@harbour.example` }
        await on.afresh('Invited', `${name}i`, invited)
        await page.getByLabel('Invitation').fill('nobody gave me one')
        await on.press('Continue')
        await page.locator('.field-error').first().waitFor()
        const [nobody] = await findUserByName(harness.deps.sql, `${name}i`, `${name}i`)
        expect(nobody).toBeUndefined()
        const invitation = await createRegistrationToken(harness.deps, { usageLimit: 1, expiresAt: null })
        await page.getByLabel('Invitation').fill(invitation?.token ?? '')
        await on.press('Continue')
        await on.heading('Linked identities')
        await on.isSignedInAs(`${name}i`)

        const late = { preferred_username: `${name}t`, email: `${name}t@harbour.example` }
        await on.arrive('Skip', `${name}t`, late, WITH_TERMS)
        await on.heading('Terms of use')
        await on.press('Accept and continue')
        await on.heading('Linked identities')
      }),
    LONG,
  )

  test(
    'terms of use: no account without them',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        await on.arrive('Harbour', name, {}, WITH_TERMS)
        await on.heading('Create your account')
        expect(await page.getByRole('link', { name: 'Read the terms' }).getAttribute('href')).toBe(TERMS)
        // As a browser that does not know `required`.
        await page.locator('form[action*="/upstream/link/"]').evaluate((form) => {
          form.setAttribute('novalidate', '')
        })
        await on.press('Create account')
        await page.locator('#accept_terms-error').waitFor()
        await on.isAccessible()
        const [nobody] = await findUserByName(harness.deps.sql, name, name)
        expect(nobody).toBeUndefined()
        await page.getByLabel('I accept').check()
        await on.press('Create account')
        await on.heading('Linked identities')
        const [accepted] = await harness.deps.sql`
          select t.terms_uri from latchkey.user_terms t join latchkey.users u on u.id = t.user_id
          where u.username = ${name}`
        expect(accepted?.terms_uri).toBe(TERMS)
      }),
    LONG,
  )

  test(
    'a provider that sends nobody back: cancelled, or away; the sentence stands at sign-in, and the app that waits gets its answer in the end',
    () =>
      walking(script, async (on) => {
        const { page, name } = on
        await signUp(harness.browser(), name)
        const { client_id } = await registerClient(harness)
        await page.goto(SERVICE + authorizeUrl(client_id))
        const cancel = (request: Request) => {
          const back = fake.answer(new URL(request.url), { code: undefined, error: 'access_denied' })
          return new Response(null, { status: 302, headers: { location: back.href } })
        }
        fake.answers.set('/authorize', cancel)
        await on.follow('Continue with Harbour')
        await page.getByText('You did not sign in with Harbour. Nothing was changed.').waitFor()
        fake.answers.delete('/authorize')
        fake.answers.set('/token', () => new Response(null, { status: 503 }))
        await on.follow('Continue with Harbour')
        await page.getByText('Harbour does not answer just now.').waitFor()
        fake.answers.delete('/token')
        await on.isAccessible()
        await on.signIn(name)
        await page.getByRole('button', { name: /^(Continue|Allow)/ }).waitFor()
        expect(new URL(page.url()).pathname).toStartWith('/consent/')
      }),
    LONG,
  )
})

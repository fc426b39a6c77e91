import { afterEach, describe, expect, test } from 'bun:test'
import { syncProviders } from '../../src/upstream/sync.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { exchange, obtainCode, registerClient, WEB_CLIENT } from '../support/oauth.ts'
import { startProvider, type TestProvider } from '../support/provider.ts'
import { PROVIDER, SUGGEST, signUpThere } from '../support/upstream.ts'

const BACK = 'https://app.example.com/signed-out'
const NATIVE = 'com.example.app:/out'

let harness: Harness
let provider: TestProvider
let clientId: string
afterEach(async () => {
  await harness.close()
  await provider.close()
})

/** Somebody who signed up through the provider and is signed in at both, and an app that they use. */
interface Person {
  browser: Browser
  /** Cookies of the same browser at the provider. */
  there: Map<string, string>
  /** The ID token of the app. */
  hint: string
}

/** Starts a certified provider, and a Latchkey that signs out there too. */
async function start({ config = {}, features = {} }: { config?: object; features?: object } = {}) {
  provider = await startProvider({
    clients: [
      {
        client_id: 'latchkey',
        redirect_uris: [`http://auth.test/upstream/callback/${PROVIDER}`],
        // As the docs say: one address, whoever wants the sign-out.
        post_logout_redirect_uris: ['http://auth.test/'],
        token_endpoint_auth_method: 'none',
      },
    ],
    features,
  })
  // The provider has the clock of this machine.
  harness = await createHarness({
    start: new Date().toISOString(),
    config: {
      upstream_oauth2: {
        providers: [
          {
            id: PROVIDER,
            issuer: provider.issuer,
            human_name: 'Harbour',
            client_id: 'latchkey',
            token_endpoint_auth_method: 'none',
            scope: 'openid profile',
            claims_imports: SUGGEST,
            rp_initiated_logout: true,
            ...config,
          },
        ],
      },
    },
  })
  await syncProviders(harness.deps)
  const metadata = {
    ...WEB_CLIENT,
    application_type: 'native',
    post_logout_redirect_uris: [BACK, NATIVE],
  }
  clientId = (await registerClient(harness, metadata)).client_id
}

async function person(name = 'alice'): Promise<Person> {
  const browser = harness.browser()
  const there = new Map<string, string>()
  provider.account = { sub: name, preferred_username: name, name }
  const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
  const { url } = await provider.visit(away.url, there)
  const form = await browser.open(url.href)
  await signUpThere(form, { username: name, import_display_name: 'on' })
  const issued = await exchange(harness, clientId, await obtainCode(browser, clientId, { scope: 'openid' }))
  return { browser, there, hint: issued.id_token ?? '' }
}

const address = (params: Record<string, string>): string => `/end-session?${new URLSearchParams(params)}`
const signedInHere = async ({ browser }: Person) =>
  (await browser.open('/account/')).url.pathname === '/account/'
/** Whether the provider still knows who it is: nobody signs in there while this looks. */
async function signedInThere({ there }: Person): Promise<boolean> {
  provider.account = undefined
  const url = new URL(`${provider.issuer}/auth`)
  const asked = { client_id: 'latchkey', response_type: 'code', scope: 'openid', prompt: 'none', state: 's' }
  const pkce = { code_challenge: 'a'.repeat(43), code_challenge_method: 'S256' }
  for (const [name, value] of Object.entries({ ...asked, ...pkce })) url.searchParams.set(name, value)
  return (await provider.visit(url, there)).url.searchParams.has('code')
}
/** Where a page that says “signed out” leads the browser. */
const onward = (page: Page): URL => {
  expect([page.status, page.url.origin]).toEqual([200, 'http://auth.test'])
  return new URL(/^0; url=(.*)$/.exec(page.headers.get('refresh') ?? '')?.[1] ?? 'about:nothing')
}
const returns = async () => await harness.database.sql`select browser_hash from latchkey.logout_returns`

describe('an app signs out somebody who came through a provider (rp_initiated_logout)', () => {
  test('with its ID token: at the provider too, and back to the app with its state; once', async () => {
    await start()
    const who = await person()
    expect([await signedInHere(who), await signedInThere(who)]).toEqual([true, true])
    const wanted = { id_token_hint: who.hint, post_logout_redirect_uri: BACK, state: 'of the app' }
    const left = await who.browser.open(address(wanted))
    const url = onward(left)
    expect(url.origin).toBe(provider.issuer)
    expect(left.text).toContain('You are being signed out at Harbour too.')
    // A window that the app opened for it comes back to the app, and stays connected with it until then.
    expect(left.headers.get('cross-origin-opener-policy')).toBe('unsafe-none')
    // Without the header too, and of the app nothing but a state of ours.
    expect(left.text).toContain(`href="${url.href.replaceAll('&', '&amp;')}"`)
    expect(url.searchParams.get('post_logout_redirect_uri')).toBe('http://auth.test/')
    expect(url.searchParams.get('state')).not.toContain('of the app')
    expect(await signedInHere(who)).toBe(false)
    const back = await provider.visit(url, who.there)
    expect(back.url.href).toStartWith('http://auth.test/?state=')
    expect((await who.browser.open(back.url.href)).url.href).toBe(`${BACK}?state=of+the+app`)
    expect(await signedInThere(who)).toBe(false)
    // The back button, or the address once more.
    const again = await who.browser.open(back.url.href)
    expect([again.status, again.url.pathname]).toEqual([200, '/'])
    // And back to where it began: nobody is there to sign out, so nobody goes to the provider.
    const begun = await who.browser.open(address(wanted))
    expect(begun.headers.has('refresh')).toBe(false)
    expect(begun.text).toContain('Nobody is signed in to an account in this browser.')
    expect(await returns()).toHaveLength(0)
  })

  test('to an app on this device, and HEAD does not use the way up', async () => {
    await start()
    const who = await person()
    const left = await who.browser.open(
      address({ id_token_hint: who.hint, post_logout_redirect_uri: NATIVE }),
    )
    const back = await provider.visit(onward(left), who.there)
    const cookie = [...who.browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const looked = await harness.request(back.url.href, { method: 'HEAD', headers: { cookie } })
    expect(looked.status).toBe(200)
    expect((await who.browser.open(back.url.href)).url.href).toBe(NATIVE)
  })

  test('without an ID token: after the click', async () => {
    await start()
    const who = await person()
    const asked = await who.browser.open(
      address({ client_id: clientId, post_logout_redirect_uri: BACK, state: 'x' }),
    )
    expect(asked.text).toContain('Sign out of your account?')
    expect(asked.headers.has('refresh')).toBe(false)
    expect([await signedInHere(who), await signedInThere(who)]).toEqual([true, true])
    const left = await asked.submit({}, { action: 'end-session/confirm' })
    const back = await provider.visit(onward(left), who.there)
    expect((await who.browser.open(back.url.href)).url.href).toBe(`${BACK}?state=x`)
    expect([await signedInHere(who), await signedInThere(who)]).toEqual([false, false])
  })

  test.each([
    ['an address that the app did not register', { post_logout_redirect_uri: 'https://evil.test/' }],
    ['no address', {}],
  ])('with %s: at the provider too, and the person stays here', async (_, params) => {
    await start()
    const who = await person()
    const asked = await who.browser.open(address({ client_id: clientId, state: 'x', ...params }))
    const left = await asked.submit({}, { action: 'end-session/confirm' })
    const url = onward(left)
    expect(url.searchParams.has('state')).toBe(false)
    expect(left.headers.get('cross-origin-opener-policy')).toBe('same-origin-allow-popups')
    const back = await provider.visit(url, who.there)
    expect(back.url.href).toBe('http://auth.test/')
    const home = await who.browser.open(back.url.href)
    expect([home.status, home.url.pathname]).toEqual([200, '/'])
    expect(await signedInThere(who)).toBe(false)
    expect(await returns()).toHaveLength(0)
  })

  test('only the browser that set out comes back, and only within an hour', async () => {
    await start()
    const who = await person()
    const leave = async () => {
      const left = await who.browser.open(
        address({ id_token_hint: who.hint, post_logout_redirect_uri: BACK }),
      )
      return (await provider.visit(onward(left), who.there)).url.href
    }
    const back = await leave()
    const stranger = await harness.browser().open(back)
    expect([stranger.status, stranger.url.pathname]).toEqual([200, '/'])
    expect(await returns()).toHaveLength(1)
    const guessed = await who.browser.open(`/?state=${'a'.repeat(32)}`)
    expect(guessed.url.pathname).toBe('/')
    harness.clock.advance(3601)
    expect((await who.browser.open(back)).url.pathname).toBe('/')
  })

  test('a provider that does not answer, whose metadata is known, holds nobody', async () => {
    await start()
    const who = await person()
    await provider.close()
    const params = { id_token_hint: who.hint, post_logout_redirect_uri: BACK, state: 'x' }
    expect((await who.browser.open(address(params))).url.href).toBe(`${BACK}?state=x`)
    expect(await signedInHere(who)).toBe(false)
    expect(harness.logged.filter(({ event }) => event === 'upstream.failed')).toHaveLength(1)
  })

  test.each<[string, Parameters<typeof start>[0]]>([
    ['that has no such endpoint', { features: { rpInitiatedLogout: { enabled: false } } }],
    ['that the operator does not want to be told', { config: { rp_initiated_logout: false } }],
  ])('a provider %s is left out', async (_, options) => {
    await start(options)
    const who = await person()
    const params = { id_token_hint: who.hint, post_logout_redirect_uri: BACK, state: 'x' }
    expect((await who.browser.open(address(params))).url.href).toBe(`${BACK}?state=x`)
    expect(await signedInHere(who)).toBe(false)
  })
})

describe('POST /logout', () => {
  test('signs out at the provider too, and the person comes back here', async () => {
    await start()
    const who = await person()
    const account = await who.browser.open('/account/')
    const left = await account.submit({}, { action: '/logout' })
    expect(left.headers.get('cross-origin-opener-policy')).toBe('same-origin-allow-popups')
    const back = await provider.visit(onward(left), who.there)
    expect(back.url.href).toBe('http://auth.test/')
    expect([await signedInHere(who), await signedInThere(who)]).toEqual([false, false])
  })

  test('a provider that is gone holds nobody', async () => {
    await start()
    const who = await person()
    const account = await who.browser.open('/account/')
    await provider.close()
    const left = await account.submit({}, { action: '/logout' })
    expect(left.text).toContain('You are signed out')
    expect(left.headers.has('refresh')).toBe(false)
    expect(await signedInHere(who)).toBe(false)
  })
})

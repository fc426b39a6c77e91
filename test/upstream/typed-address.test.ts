import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { syncProviders } from '../../src/upstream/sync.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness } from '../support/harness.ts'
import { authorizeUrl, createSignedUp, registerClient } from '../support/oauth.ts'
import { PROVIDER, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

const WAY = `/upstream/authorize/${PROVIDER}`

let world: UpstreamWorld
beforeAll(async () => {
  world = await upstreamWorld({ email_domains: ['harbour.example'] })
})
afterAll(() => world.close())
beforeEach(() => {
  world.fake.asked.length = 0
  world.harness.logged.length = 0
})

/** Another one, for one test. */
async function inAnother(
  provider: Parameters<typeof upstreamWorld>[0],
  run: (other: UpstreamWorld) => Promise<void>,
): Promise<void> {
  const other = await upstreamWorld({ email_domains: ['harbour.example'], ...provider })
  await run(other).finally(() => other.close())
}
/** Fills in the form of a sign-in page, and sends it as Enter does. */
const enter = (page: Page, username: string, password = '') =>
  page.submit({ username, password }, { action: '/login' })
/** Where a page leads without a click. */
const onward = (page: Page): string | undefined =>
  /^0; url=(.*)$/.exec(page.headers.get('refresh') ?? '')?.[1]
const passwordField = (page: Page): string => /<input type="password"[^>]*>/.exec(page.text)?.[0] ?? ''

describe('the sign-in page, where a provider has email_domains', () => {
  test('an address alone leads to its provider, which is told the address', async () => {
    const browser = world.harness.browser()
    const page = await browser.open('/login')
    expect(passwordField(page)).not.toContain('required')
    expect(page.text).toContain('An address of your organisation is enough')
    const answer = await enter(page, ' anna@HARBOUR.example ')
    expect(answer.status).toBe(200)
    // Who is not led on finds the button.
    expect(answer.text).toContain('With this address people sign in with Harbour')
    expect(answer.text).toContain(`href="${WAY}"`)
    // Nothing was asked of the provider to show the page, and the policy of the page need not name it.
    expect(world.fake.asked).toEqual([])
    expect(answer.headers.get('content-security-policy')).toMatch(/form-action 'self'(;|$)/)
    const away = await browser.open(onward(answer) ?? '')
    expect(away.url.origin).toBe(world.fake.issuer)
    expect(away.url.searchParams.get('login_hint')).toBe('anna@HARBOUR.example')
  })

  test('and so it does with something in the password field, which is not looked at', async () => {
    const answer = await enter(await world.harness.browser().open('/login'), 'anna@harbour.example', 'x')
    expect(onward(answer)).toBe(`${WAY}?login_hint=anna%40harbour.example`)
    expect(world.harness.logged.filter(({ event }) => event.startsWith('login.'))).toEqual([])
  })

  test('keeps the request of the app, and ends in the app', async () => {
    const { client_id } = await registerClient(world.harness)
    const browser = world.harness.browser()
    const answer = await enter(await browser.open(authorizeUrl(client_id)), 'anna@harbour.example')
    expect(onward(answer)).toMatch(/\?kind=continue_authorization_grant&id=\w{26}&login_hint=/)
    world.fake.claims = { sub: 'a', preferred_username: 'anna', name: 'Anna' }
    const form = await world.through(browser, onward(answer))
    const consent = await signUpThere(form, { username: 'anna', import_display_name: 'on' })
    expect(consent.url.pathname).toStartWith('/consent/')
  })

  test('anything else asks for the password with a sentence, the same whether somebody has it or not', async () => {
    const { username } = await createSignedUp(world.harness, 'somebody')
    const texts = await Promise.all(
      [
        username,
        'nobody',
        'anna@elsewhere.example',
        'nobody@elsewhere.example',
        `@${username}:example.test`,
      ].map(async (typed) => {
        const answer = await enter(await world.harness.browser().open('/login'), typed)
        expect([answer.status, onward(answer)]).toEqual([422, undefined])
        expect(answer.text).toContain('With this name or address people sign in here: enter your password.')
        expect(answer.text).toContain(`value="${typed}"`)
        return answer.text.replaceAll(typed, '…').replace(/name="csrf" value="[^"]*"/g, '')
      }),
    )
    expect(new Set(texts).size).toBe(1)
    // No password was tried, so nobody's attempts were used up.
    expect(world.harness.logged.filter(({ event }) => event.startsWith('login.'))).toEqual([])
  })

  test('says of an empty form that the name is missing, too', async () => {
    const answer = await enter(await world.harness.browser().open('/login'), ' ')
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('Enter a username.')
  })

  test('where none has, wants both fields', async () => {
    await inAnother({ email_domains: [] }, async ({ harness }) => {
      const page = await harness.browser().open('/login')
      expect(passwordField(page)).toContain('required')
      expect(page.text).not.toContain('An address of your organisation is enough')
      const answer = await enter(page, 'anna@harbour.example')
      expect([answer.status, onward(answer)]).toEqual([422, undefined])
      expect(answer.text).toContain('Enter a password.')
    })
  })

  test('wants the password of somebody who must prove who they are', async () => {
    const { browser } = await createSignedUp(world.harness, 'someone')
    const { client_id } = await registerClient(world.harness)
    const page = await browser.open(authorizeUrl(client_id, { prompt: 'login' }))
    expect(page.text).toContain('Please sign in once more')
    expect(passwordField(page)).toContain('required')
  })
})

describe('login_hint at the provider', () => {
  const hintAt = async (browser: Browser, path: string) =>
    (await browser.open(path)).url.searchParams.get('login_hint')

  test.each([
    ['an address of its domain in the query', '?login_hint=anna%40harbour.example', 'anna@harbour.example'],
    ['an address of another domain', '?login_hint=anna%40elsewhere.example', null],
    ['a name', '?login_hint=anna', null],
    ['nothing', '', null],
  ])('%s', async (_, query, hint) => {
    expect(await hintAt(world.harness.browser(), WAY + query)).toBe(hint)
  })

  test('is the one of the app’s request, where its domain chose the provider', async () => {
    const { client_id } = await registerClient(world.harness)
    const asked = authorizeUrl(client_id, { login_hint: 'anna@harbour.example' })
    expect(await hintAt(world.harness.browser(), asked)).toBe('anna@harbour.example')
  })

  test('is told to no provider but that of the domain', async () => {
    const OTHER = '01JDFX2V9S6QK3W4Z5Y7T8R9PB'
    const { fake, harness: base } = world
    const given = { issuer: fake.issuer, client_id: 'latchkey', token_endpoint_auth_method: 'none' as const }
    const harness = await createHarness({
      beside: base,
      config: {
        upstream_oauth2: {
          providers: [
            { ...given, id: PROVIDER, email_domains: ['harbour.example'] },
            { ...given, id: OTHER, email_domains: ['quay.example'] },
          ],
        },
      },
    })
    await syncProviders(harness.deps)
    const query = '?login_hint=anna%40harbour.example'
    expect(await hintAt(harness.browser(), `/upstream/authorize/${OTHER}${query}`)).toBeNull()
    const { client_id } = await registerClient(harness)
    const login = await harness.browser().open(authorizeUrl(client_id, { upstream_idp: OTHER }))
    expect(login.url.searchParams.get('redirect_uri')).toEndWith(OTHER)
    const asked = authorizeUrl(client_id, { upstream_idp: OTHER, login_hint: 'anna@harbour.example' })
    expect(await hintAt(harness.browser(), asked)).toBeNull()
    await harness.close()
  })

  test('is what the operator makes of it, where there is a template', async () => {
    const login_hint = "{{ params.login_hint.split('@')[0] if params.login_hint }}"
    await inAnother({ additional_authorization_parameters: { login_hint } }, async ({ harness }) => {
      expect(await hintAt(harness.browser(), `${WAY}?login_hint=anna%40harbour.example`)).toBe('anna')
      expect(await hintAt(harness.browser(), WAY)).toBeNull()
    })
  })
})

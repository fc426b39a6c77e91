import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import type { Browser, Page } from '../support/browser.ts'
import { approve, poll, registerDeviceClient, requestDevice } from '../support/device.ts'
import { company, DIRECTORY_PASSWORD, directoryHarness } from '../support/directory.ts'
import type { Harness } from '../support/harness.ts'
import { createHarness } from '../support/harness.ts'
import { createPerson } from '../support/legacy.ts'
import { NO_LIMITS } from '../support/limits.ts'
import { authorizeUrl, exchange, obtainCode, PASSWORD, registerClient, signUp } from '../support/oauth.ts'
import { hasSlapd, startSlapd } from '../support/slapd.ts'
import { signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

const PASSWORD_ACR = 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport'
const ESSENTIAL = JSON.stringify({ id_token: { acr: { essential: true, values: [PASSWORD_ACR] } } })
const UNMET = 'unmet_authentication_requirements'

let world: UpstreamWorld
let harness: Harness
let clientId: string
beforeAll(async () => {
  world = await upstreamWorld({}, { config: { rate_limiting: NO_LIMITS } })
  harness = world.harness
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => world.close())

type Claims = Record<string, unknown>
const claimsOf = (token = ''): Claims =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const asks = (params: Record<string, string> = {}) => ({ scope: 'openid', ...params })
const open = (browser: Browser, params: Record<string, string> = {}): Promise<Page> =>
  browser.open(authorizeUrl(clientId, asks(params)))

/** The ID token of whoever is signed in, with the acr asked for. */
async function idTokenOf(
  browser: Browser,
  params: Record<string, string> = {},
  at = harness,
  client = clientId,
) {
  const code = await obtainCode(browser, client, asks({ acr_values: PASSWORD_ACR, ...params }))
  return claimsOf((await exchange(at, client, code)).id_token)
}

const ways = (claims: Claims) => ({ amr: claims.amr, acr: claims.acr })
const PASSWORDS = { amr: ['pwd'], acr: PASSWORD_ACR }
const NOTHING = { amr: undefined, acr: undefined }

/** Where a page of the flow ends: an error or `code` at the client, or the page. */
const outcome = ({ url }: Page): string =>
  url.origin === harness.origin
    ? (url.pathname.split('/')[1] ?? '')
    : (url.searchParams.get('error') ?? (url.searchParams.has('code') ? 'code' : 'nothing'))

let people = 0
const nextName = () => `method${++people}`

async function signedUp(): Promise<{ browser: Browser; name: string }> {
  const browser = harness.browser()
  const name = nextName()
  await signUp(browser, name)
  return { browser, name }
}

/** Somebody who has nothing but an identity at the provider, signed in through it. */
async function fromProvider(): Promise<{ browser: Browser; name: string }> {
  const browser = harness.browser()
  const name = nextName()
  world.fake.claims = {
    sub: `sub-of-${name}`,
    preferred_username: name,
    name,
    amr: ['pwd', 'mfa'],
    acr: 'gold',
  }
  await signUpThere(await world.through(browser), { username: name, import_display_name: 'on' })
  return { browser, name }
}

const typePassword = (page: Page, username: string, password = PASSWORD) =>
  page.submit({ username, password }, { action: '/login' })

/** Sets another password with a link of an administrator, in a browser of its own or in one that is given. */
async function recover(name: string, browser = harness.browser()): Promise<Browser> {
  const [user] = await findUserByName(harness.deps.sql, name, name)
  const page = await browser.open(await issueRecoveryLink(harness.deps, user?.id ?? ''))
  const password = 'an entirely different passphrase 7'
  await page.submit({ password, password_confirm: password })
  return browser
}

/** Back at the provider, with what it said the last time, from the page of a sign-in. */
async function throughButton(browser: Browser, page: Page): Promise<Page> {
  const href = /href="(\/upstream\/authorize\/[^"]*)"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&')
  return world.through(browser, href ?? '')
}

describe('amr and acr of an ID token are those of the sign-in behind it (RFC 8176, OpenID Connect Core 2)', () => {
  test('sign-up with a password: pwd', async () => {
    expect(ways(await idTokenOf((await signedUp()).browser))).toEqual(PASSWORDS)
  })

  test('sign-in with a password: pwd', async () => {
    const name = nextName()
    await createPerson(harness, name)
    const browser = harness.browser()
    await typePassword(await browser.open('/login'), name)
    expect(ways(await idTokenOf(browser))).toEqual(PASSWORDS)
  })

  test('sign-up and sign-in through a provider: neither, whatever the provider says of itself', async () => {
    const { browser } = await fromProvider()
    expect(ways(await idTokenOf(browser))).toEqual(NOTHING)
    const later = harness.browser()
    await world.through(later)
    expect(ways(await idTokenOf(later))).toEqual(NOTHING)
  })

  test('an account that a provider is trusted with: neither', async () => {
    const trusting = await upstreamWorld({
      claims_imports: { localpart: { action: 'require', on_conflict: 'add' } },
    })
    try {
      await createPerson(trusting.harness, 'adopted')
      trusting.fake.claims = { sub: 'adopted-there', preferred_username: 'adopted' }
      const browser = trusting.harness.browser()
      await trusting.through(browser)
      const client = (await registerClient(trusting.harness)).client_id
      expect(ways(await idTokenOf(browser, {}, trusting.harness, client))).toEqual(NOTHING)
    } finally {
      await trusting.close()
    }
  })

  test('a link that sets another password, by mail or from an administrator: neither', async () => {
    const { name } = await signedUp()
    expect(ways(await idTokenOf(await recover(name)))).toEqual(NOTHING)
  })

  test('a session that began before it was noted: neither', async () => {
    const { browser, name } = await signedUp()
    await harness.deps.sql`update latchkey.browser_sessions set authentication_method = null
      where user_id = (select id from latchkey.users where username = ${name})`
    expect(ways(await idTokenOf(browser))).toEqual(NOTHING)
  })

  test('acr only where it was asked for; amr always', async () => {
    const { browser } = await signedUp()
    const code = await obtainCode(browser, clientId, asks())
    const claims = claimsOf((await exchange(harness, clientId, code)).id_token)
    expect(ways(claims)).toEqual({ amr: ['pwd'], acr: undefined })
  })

  test('a device gets those of the browser that let it in', async () => {
    for (const [{ browser }, expected] of [
      [await signedUp(), PASSWORDS],
      [await fromProvider(), NOTHING],
    ] as const) {
      const device = await registerDeviceClient(harness, { default_acr_values: [PASSWORD_ACR] })
      const { device_code, user_code } = await requestDevice(harness, device, { scope: 'openid' })
      await approve(browser, user_code)
      const { body } = await poll(harness, device, device_code)
      expect(ways(claimsOf(body.id_token))).toEqual(expected)
    }
  })

  test('the implicit flow too', async () => {
    const implicit = await createHarness({ config: { oauth: { implicit_flow: true } } })
    try {
      const { client_id } = await registerClient(implicit, {
        client_name: 'Implicit',
        client_uri: 'https://app.example.com/',
        redirect_uris: ['https://app.example.com/callback'],
        grant_types: ['implicit'],
        response_types: ['id_token'],
        token_endpoint_auth_method: 'none',
      })
      const browser = implicit.browser()
      await signUp(browser, 'implicit')
      const params = { response_type: 'id_token', scope: 'openid', nonce: 'n', acr_values: PASSWORD_ACR }
      const query = new URL(authorizeUrl(client_id, params), implicit.origin)
      for (const name of ['code_challenge', 'code_challenge_method']) query.searchParams.delete(name)
      const consent = await browser.open(query.href)
      const { url } = await consent.submit({}, { action: 'consent/', button: ['action', 'consent'] })
      const token = new URLSearchParams(url.hash.slice(1)).get('id_token') ?? ''
      expect(ways(claimsOf(token))).toEqual(PASSWORDS)
    } finally {
      await implicit.close()
    }
  })
})

describe.skipIf(!hasSlapd())('a password that the directory knows', () => {
  test('is a password that was typed here: pwd', async () => {
    const slapd = await startSlapd(company())
    const directory = await directoryHarness(slapd)
    try {
      const client = (await registerClient(directory)).client_id
      const browser = directory.browser()
      await typePassword(await browser.open('/login'), 'anna', DIRECTORY_PASSWORD)
      expect(ways(await idTokenOf(browser, {}, directory, client))).toEqual(PASSWORDS)
    } finally {
      await directory.close()
      await slapd.close()
    }
  })
})

describe('proving anew who it is changes how, as it changes auth_time', () => {
  test('prompt=login and max_age: with the password, then with the provider', async () => {
    const { browser, name } = await fromProvider()
    await recover(name)
    const before = await idTokenOf(browser)
    for (const demand of [{ prompt: 'login' }, { max_age: '1' }] as Record<string, string>[]) {
      harness.clock.advance(120)
      const asked = await open(browser, demand)
      expect(outcome(asked)).toBe('login')
      expect(outcome(await throughButton(browser, asked))).toBe('code')
      expect(ways(await idTokenOf(browser))).toEqual(NOTHING)
      harness.clock.advance(120)
      const again = await open(browser, demand)
      await typePassword(again, name, 'an entirely different passphrase 7')
      const after = await idTokenOf(browser)
      expect(ways(after)).toEqual(PASSWORDS)
      expect(Number(after.auth_time)).toBeGreaterThanOrEqual(Number(before.auth_time) + 240)
      expect(after.sid).toBe(before.sid)
    }
  })

  test('the account area: confirming with the password, and changing it', async () => {
    const { name } = await signedUp()
    const browser = await recover(name)
    harness.clock.advance(3600)
    const confirm = await browser.open('/account/confirm?page=emails')
    await confirm.submit({ password: 'an entirely different passphrase 7' }, { action: '/account/confirm' })
    expect(ways(await idTokenOf(browser))).toEqual(PASSWORDS)

    const changing = await recover(name)
    expect(ways(await idTokenOf(changing))).toEqual(NOTHING)
    const form = await changing.open('/account/password/change')
    const next = 'yet another long passphrase 11'
    const changed = await form.submit(
      { current_password: 'an entirely different passphrase 7', password: next, password_confirm: next },
      { action: '/account/password/change' },
    )
    expect(changed.status).toBe(200)
    expect(ways(await idTokenOf(changing))).toEqual(PASSWORDS)
  })

  test('the cookie from before, while a form that was sent twice may bring it, says nothing', async () => {
    const { browser, name } = await signedUp()
    const old = browser.cookies.get('session') ?? ''
    await typePassword(await open(browser, { prompt: 'login' }), name)
    expect(browser.cookies.get('session')).not.toBe(old)
    browser.cookies.set('session', old)
    expect(outcome(await open(browser, { claims: ESSENTIAL, prompt: 'none' }))).toBe('login_required')
  })
})

describe('an essential acr is judged by how the person signed in (OpenID Connect Core 5.5.1.1)', () => {
  test('met by a password: the answer, and acr in it', async () => {
    const { browser } = await signedUp()
    expect((await idTokenOf(browser, { claims: ESSENTIAL })).acr).toBe(PASSWORD_ACR)
    expect(outcome(await open(browser, { claims: ESSENTIAL, prompt: 'none' }))).toBe('code')
  })

  test('prompt=none: login_required for whoever signed in another way', async () => {
    const { browser, name } = await fromProvider()
    expect((await idTokenOf(browser)).sub).toBeString()
    expect(outcome(await open(browser, { prompt: 'none' }))).toBe('code')
    expect(outcome(await open(browser, { claims: ESSENTIAL, prompt: 'none' }))).toBe('login_required')
    const recovered = await recover(name)
    expect(outcome(await open(recovered, { claims: ESSENTIAL, prompt: 'none' }))).toBe('login_required')
  })

  test('else they sign in once more; with the password it is met', async () => {
    const { name } = await signedUp()
    const browser = await recover(name)
    const asked = await open(browser, { claims: ESSENTIAL })
    expect([outcome(asked), asked.text.includes('Please sign in once more')]).toEqual(['login', true])
    const consent = await typePassword(asked, name, 'an entirely different passphrase 7')
    expect(outcome(consent)).toBe('consent')
    expect((await idTokenOf(browser, { claims: ESSENTIAL })).acr).toBe(PASSWORD_ACR)
  })

  test('through the provider again: unmet_authentication_requirements, and the request is over', async () => {
    const { browser } = await fromProvider()
    await idTokenOf(browser)
    for (const fresh of [browser, harness.browser()]) {
      const asked = await open(fresh, { claims: ESSENTIAL })
      expect(outcome(asked)).toBe('login')
      const id = asked.url.searchParams.get('id') ?? ''
      harness.clock.advance(2)
      const back = await throughButton(fresh, asked)
      expect([outcome(back), back.url.searchParams.get('state'), back.url.searchParams.get('iss')]).toEqual([
        UNMET,
        'a-state',
        'http://auth.test/',
      ])
      expect((await fresh.open(`/consent/${id}`)).status).toBe(409)
    }
  })

  test('whoever forgot the password on the way sets another one, and types it', async () => {
    const { name } = await signedUp()
    const browser = harness.browser()
    const asked = await open(browser, { claims: ESSENTIAL })
    harness.clock.advance(2)
    await recover(name, browser)
    const consent = await browser.open(`/consent/${asked.url.searchParams.get('id')}`)
    expect(outcome(consent)).toBe('login')
    expect(outcome(await typePassword(consent, name, 'an entirely different passphrase 7'))).toBe('consent')
  })

  test('a voluntary one that is not met is left out (5.5.1.1), and so is an essential one without values', async () => {
    const { browser } = await fromProvider()
    for (const acr of [{ value: PASSWORD_ACR }, { essential: true }, null])
      expect(
        (await idTokenOf(browser, { claims: JSON.stringify({ id_token: { acr } }) })).acr,
      ).toBeUndefined()
  })

  test('where nobody has a password here no class is advertised, and none can be essential', async () => {
    const { harness: passwordless, close } = await upstreamWorld(
      {},
      { config: { passwords: { enabled: false } } },
    )
    try {
      const client = (await registerClient(passwordless)).client_id
      const document = (await (
        await passwordless.request('/.well-known/openid-configuration')
      ).json()) as Claims
      expect(document).not.toHaveProperty('acr_values_supported')
      expect(document.claims_supported).not.toContain('acr')
      expect(document.claims_supported).not.toContain('amr')
      const { status, headers } = await passwordless.request(
        authorizeUrl(client, asks({ claims: ESSENTIAL })),
        { headers: { referer: 'https://app.example.com/' } },
      )
      expect([status, new URL(headers.get('location') ?? '').searchParams.get('error')]).toEqual([303, UNMET])
    } finally {
      await close()
    }
  })
})

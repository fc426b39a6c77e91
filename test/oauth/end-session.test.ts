import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { decodeJwt } from 'jose'
import { lock } from '../../src/identity/lifecycle.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  API_SCOPE,
  deviceScope,
  exchange,
  introspect,
  obtainCode,
  PASSWORD,
  registerClient,
  signUp,
  WEB_CLIENT,
} from '../support/oauth.ts'

const BACK = 'https://app.example.com/signed-out'
const BACK_WITH_QUERY = 'https://app.example.com/signed-out?a=1%20b'
const NATIVE = 'com.example.app:/out'
const CLIENT = {
  ...WEB_CLIENT,
  application_type: 'native',
  client_name: 'Leaving App',
  post_logout_redirect_uris: [BACK, BACK_WITH_QUERY, NATIVE],
}

let harness: Harness
let clientId: string
let counter = 0
beforeAll(async () => {
  harness = await createHarness()
  clientId = (await registerClient(harness, CLIENT)).client_id
})
afterAll(() => harness.close())

let browser: Browser
let username: string
let hint: string
let tokens: { access_token: string; refresh_token: string }
beforeEach(async () => {
  username = `person-${++counter}`
  browser = harness.browser()
  await signUp(browser, username)
  const issued = await exchange(harness, clientId, await obtainCode(browser, clientId, { scope: 'openid' }))
  hint = issued.id_token ?? ''
  tokens = issued
})

const address = (params: Record<string, string>): string => `/end-session?${new URLSearchParams(params)}`
const signedIn = async (): Promise<boolean> => (await browser.open('/account/')).url.pathname === '/account/'
const isAlive = async (token: string): Promise<boolean> => {
  const response = await harness.form('/oauth2/token', {
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: token,
  })
  return response.status === 200
}
const confirm = (page: Awaited<ReturnType<Browser['open']>>) =>
  page.submit({}, { action: 'end-session/confirm' })

describe('ID tokens', () => {
  test('have the sid of the browser session and amr (Back-Channel Logout 2.1, RFC 8176)', () => {
    const claims = decodeJwt(hint)
    expect(claims.sid).toMatch(/^[\w-]{22}$/)
    expect(claims.amr).toEqual(['pwd'])
  })

  test('of one browser session share a sid at one client, and never with another client', async () => {
    const again = await exchange(harness, clientId, await obtainCode(browser, clientId, { scope: 'openid' }))
    expect(decodeJwt(again.id_token ?? '').sid).toBe(decodeJwt(hint).sid)
    const elsewhere = await registerClient(harness, { ...CLIENT, client_name: 'Another' })
    const theirs = await exchange(
      harness,
      elsewhere.client_id,
      await obtainCode(browser, elsewhere.client_id, { scope: 'openid' }),
    )
    expect(decodeJwt(theirs.id_token ?? '').sid).not.toBe(decodeJwt(hint).sid)
  })

  test('show no id of ours', async () => {
    const [session] = await harness.database
      .sql`select id from latchkey.browser_sessions order by created_at desc limit 1`
    expect(JSON.stringify(decodeJwt(hint))).not.toContain(String(session?.id))
  })
})

describe('GET /end-session with an ID token of this browser session', () => {
  test('signs out without a question and goes back with state (RP-Initiated Logout 2, 3)', async () => {
    const page = await browser.open(
      address({ id_token_hint: hint, post_logout_redirect_uri: BACK, state: 'a b&c=d' }),
    )
    expect(page.url.href).toBe(`${BACK}?state=a+b%26c%3Dd`)
    expect(page.status).toBe(303)
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(browser.cookies.has('session')).toBe(false)
    expect(await signedIn()).toBe(false)
  })

  test('keeps the query of the registered address', async () => {
    const page = await browser.open(
      address({ id_token_hint: hint, post_logout_redirect_uri: BACK_WITH_QUERY, state: 'x' }),
    )
    expect(page.url.href).toBe('https://app.example.com/signed-out?a=1%20b&state=x')
  })

  test('goes back to an app on this device', async () => {
    const page = await browser.open(address({ id_token_hint: hint, post_logout_redirect_uri: NATIVE }))
    expect(page.url.href).toBe(NATIVE)
  })

  test('without an address shows that the person is signed out', async () => {
    const page = await browser.open(address({ id_token_hint: hint }))
    expect([page.status, page.url.pathname]).toEqual([200, '/end-session'])
    expect(page.text).toContain('You are signed out')
    expect(await signedIn()).toBe(false)
  })

  test('an expired ID token is as good (section 4)', async () => {
    harness.clock.advance(7 * 24 * 3600)
    const page = await browser.open(address({ id_token_hint: hint, post_logout_redirect_uri: BACK }))
    expect(page.url.href).toBe(BACK)
    expect(await signedIn()).toBe(false)
  })

  test('once more, when the session has ended elsewhere, goes back at once (section 4: no error)', async () => {
    await harness.database.sql`update latchkey.browser_sessions set finished_at = now()`
    const page = await browser.open(address({ id_token_hint: hint, post_logout_redirect_uri: BACK }))
    expect(page.url.href).toBe(BACK)
  })

  test('a locked person can leave too', async () => {
    await lock(harness.deps, uuidFromUlid(String(decodeJwt(hint).sub)) ?? '')
    const page = await browser.open(address({ id_token_hint: hint, post_logout_redirect_uri: BACK }))
    expect(page.url.href).toBe(BACK)
    expect(browser.cookies.has('session')).toBe(false)
  })

  test('HEAD changes nothing', async () => {
    const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await harness.request(address({ id_token_hint: hint }), {
      method: 'HEAD',
      headers: { cookie },
    })
    expect(response.status).toBe(200)
    expect(await signedIn()).toBe(true)
  })

  test('the client’s own session without a device ends with it; others and those with a device stay (edge 60)', async () => {
    const device = await exchange(
      harness,
      clientId,
      await obtainCode(browser, clientId, { scope: `openid ${API_SCOPE} ${deviceScope('KEEPTHISONE')}` }),
    )
    const neighbour = await registerClient(harness, { ...CLIENT, client_name: 'Neighbour' })
    const theirs = await exchange(
      harness,
      neighbour.client_id,
      await obtainCode(browser, neighbour.client_id, { scope: 'openid' }),
    )
    await browser.open(address({ id_token_hint: hint }))
    expect(await isAlive(tokens.refresh_token)).toBe(false)
    expect(await introspect(harness, device.access_token)).toMatchObject({ active: true })
    expect(await introspect(harness, theirs.access_token)).toMatchObject({ active: true })
  })
})

describe('GET /end-session without such a proof asks first', () => {
  test.each<[string, () => Promise<Record<string, string>>]>([
    ['nothing at all', async () => ({})],
    ['a client_id', async () => ({ client_id: clientId })],
    ['a logout_hint', async () => ({ logout_hint: username })],
    ['an ID token of another person', async () => ({ id_token_hint: await strangersToken() })],
    ['an ID token of another issuer', async () => ({ id_token_hint: await foreignToken() })],
    ['a changed ID token', async () => ({ id_token_hint: `${hint.slice(0, -4)}AAAA` })],
    ['an unsigned ID token', async () => ({ id_token_hint: `${unsigned(hint)}` })],
    ['an access token', async () => ({ id_token_hint: tokens.access_token })],
    ['a hint and another client_id', async () => ({ id_token_hint: hint, client_id: await anotherClient() })],
    ['a hint and a client_id of nobody', async () => ({ id_token_hint: hint, client_id: 'x' })],
  ])('%s', async (_name, params) => {
    const page = await browser.open(
      address({ ...(await params()), post_logout_redirect_uri: 'https://evil.test/' }),
    )
    expect([page.status, page.url.pathname]).toEqual([200, '/end-session'])
    expect(page.text).toContain('Sign out of your account?')
    expect(page.text).toContain(`@${username}:example.test`)
    expect(page.headers.get('content-security-policy')).toMatch(/form-action 'self'(;|$)/)
    expect(await signedIn()).toBe(true)
    const done = await confirm(page)
    expect([done.status, done.url.origin]).toEqual([200, 'http://auth.test'])
    expect(done.text).toContain('You are signed out')
    expect(await signedIn()).toBe(false)
  })

  test('and goes back after the click to an address that the client_id registered', async () => {
    const page = await browser.open(
      address({ client_id: clientId, post_logout_redirect_uri: BACK, state: 'x' }),
    )
    expect(page.text).toContain('Leaving App says that you want to sign out')
    expect(page.text).toContain('After that you go on to app.example.com.')
    expect(page.headers.get('content-security-policy')).toContain(
      "form-action 'self' https://app.example.com",
    )
    expect((await confirm(page)).url.href).toBe(`${BACK}?state=x`)
    expect(await signedIn()).toBe(false)
  })

  test('and goes back to an app on this device, whose scheme the policy of the page allows', async () => {
    const page = await browser.open(address({ client_id: clientId, post_logout_redirect_uri: NATIVE }))
    expect(page.headers.get('content-security-policy')).toContain("form-action 'self' com.example.app:")
    expect((await confirm(page)).url.href).toBe(NATIVE)
  })

  test('a hint of an earlier session here: asks, then goes back', async () => {
    await browser.open(address({ id_token_hint: hint }))
    const form = await browser.open('/login')
    await form.submit({ username, password: PASSWORD }, { action: 'login' })
    const page = await browser.open(address({ id_token_hint: hint, post_logout_redirect_uri: BACK }))
    expect(page.text).toContain('Sign out of your account?')
    expect(await signedIn()).toBe(true)
    expect((await confirm(page)).url.href).toBe(BACK)
    expect(await signedIn()).toBe(false)
  })

  test('speaks the language of ui_locales, also after the click', async () => {
    const page = await browser.open(address({ client_id: clientId, ui_locales: 'xx de' }))
    expect(page.text).toContain('Von deinem Konto abmelden?')
    expect((await confirm(page)).text).toContain('Du bist abgemeldet')
  })
})

describe('POST /end-session/confirm', () => {
  test('a form that is not ours ends nothing and is shown again (CSRF)', async () => {
    for (const csrf of ['', 'x', 'A'.repeat(43)]) {
      const page = await browser.post('/end-session/confirm', {
        csrf,
        client_id: clientId,
        post_logout_redirect_uri: BACK,
      })
      expect([page.status, page.url.pathname]).toEqual([422, '/end-session/confirm'])
      expect(page.text).toContain('Sign out of your account?')
    }
    expect(await signedIn()).toBe(true)
  })

  test('a good token from another site ends nothing', async () => {
    const page = await browser.open(address({ client_id: clientId }))
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const sent = await browser.post('/end-session/confirm', { csrf }, { 'sec-fetch-site': 'cross-site' })
    expect(sent.status).toBe(422)
    expect(await signedIn()).toBe(true)
  })
})

describe('POST /end-session (section 2)', () => {
  test('goes on as GET, with the parameters that there are and nothing else', async () => {
    const response = await harness.form('/end-session', { id_token_hint: hint, state: 'x', evil: '1' })
    expect(response.status).toBe(303)
    const location = new URL(response.headers.get('location') ?? '', 'http://auth.test')
    expect(location.pathname).toBe('/end-session')
    expect(Object.fromEntries(location.searchParams)).toEqual({ id_token_hint: hint, state: 'x' })
    expect(response.headers.getSetCookie()).toEqual([])
  })

  test('signs out the browser that follows', async () => {
    const page = await browser.post('/end-session', {
      id_token_hint: hint,
      post_logout_redirect_uri: BACK,
    })
    expect(page.url.href).toBe(BACK)
    expect(await signedIn()).toBe(false)
  })
})

describe('nobody is sent to an address that the client did not register (section 3)', () => {
  test.each([
    'https://evil.test/',
    'https://app.example.com/',
    'https://app.example.com/signed-out/',
    'https://app.example.com/signed-out?x',
    'https://app.example.com/signed-out#x',
    'https://app.example.com/SIGNED-OUT',
    'https://app.example.com:443/signed-out',
    'https://APP.example.com/signed-out',
    'https://app.example.com/x/../signed-out',
    'https://app.example.com/callback',
    'https://user@app.example.com/signed-out',
    'http://app.example.com/signed-out',
    '//app.example.com/signed-out',
    'javascript:alert(1)',
    'com.example.app:/out/',
  ])('%s', async (uri) => {
    const page = await browser.open(address({ id_token_hint: hint, post_logout_redirect_uri: uri }))
    expect([page.status, page.url.origin]).toEqual([200, 'http://auth.test'])
    expect(page.text).toContain('did not register')
    expect(await signedIn()).toBe(true)
    const confirmed = await confirm(page)
    expect(confirmed.url.origin).toBe('http://auth.test')
    expect(confirmed.text).toContain('You are signed out')
    expect(await signedIn()).toBe(false)
  })

  test('the page says so when it asks', async () => {
    const page = await browser.open(
      address({ client_id: clientId, post_logout_redirect_uri: 'https://evil.test/' }),
    )
    expect(page.text).toContain('did not register')
  })

  test('the address of another client', async () => {
    const params = { client_id: await anotherClient(), post_logout_redirect_uri: BACK }
    expect((await confirm(await browser.open(address(params)))).url.origin).toBe('http://auth.test')
  })

  test('an address without a client', async () => {
    const page = await browser.open(address({ post_logout_redirect_uri: BACK }))
    expect((await confirm(page)).url.origin).toBe('http://auth.test')
  })

  test('an address that was registered and is dangerous all the same', async () => {
    const uri = 'javascript:alert(1)'
    const evil = await registerClient(harness, { ...CLIENT, client_name: `Evil ${counter}` })
    await harness.database.sql`
      update latchkey.clients set metadata = metadata || ${harness.database.sql.json({ post_logout_redirect_uris: [uri] })}
      where id = ${uuidFromUlid(evil.client_id) ?? ''}`
    const page = await browser.open(address({ client_id: evil.client_id, post_logout_redirect_uri: uri }))
    expect((await confirm(page)).url.origin).toBe('http://auth.test')
  })
})

describe('where nobody is signed in', () => {
  test.each(['client_id', 'id_token_hint'])(
    'nobody is sent on without a click, though the address is registered for the %s: anybody can register',
    async (name) => {
      const stranger = harness.browser()
      const params = {
        [name]: name === 'client_id' ? clientId : hint,
        post_logout_redirect_uri: BACK,
        state: 'x',
      }
      const page = await stranger.open(address(params))
      expect([page.status, page.url.pathname]).toEqual([200, '/end-session'])
      expect(page.text).toContain('You are signed out')
      expect(page.text).not.toContain('Stay signed in')
      expect((await confirm(page)).url.href).toBe(`${BACK}?state=x`)
    },
  )

  test('without an address there is nothing to ask', async () => {
    const page = await harness.browser().open(address({ client_id: clientId }))
    expect(page.text).toContain('You are signed out')
    expect(page.text).not.toContain('end-session/confirm')
  })
})

describe('requests that are no requests', () => {
  test.each([
    ['a repeated parameter', '/end-session?state=a&state=b'],
    ['a NUL', '/end-session?state=%00'],
  ])('%s: a page that says so, and nobody is signed out', async (_name, path) => {
    const page = await browser.open(path)
    expect(page.status).toBe(400)
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(await signedIn()).toBe(true)
  })

  test('a state of 5,000 characters is not carried anywhere', async () => {
    const page = await browser.open(
      address({ id_token_hint: hint, post_logout_redirect_uri: BACK, state: 'x'.repeat(5000) }),
    )
    expect(page.url.origin).toBe('http://auth.test')
  })
})

test('the log names the session and the client, and no token', async () => {
  const before = harness.logged.length
  await browser.open(address({ id_token_hint: hint, post_logout_redirect_uri: BACK }))
  const events = harness.logged.slice(before)
  expect(events.map(({ event }) => event)).toContain('session.ended')
  expect(JSON.stringify(events)).not.toContain(hint)
})

async function strangersToken(): Promise<string> {
  const stranger = harness.browser()
  await signUp(stranger, `stranger-${++counter}`)
  const code = await obtainCode(stranger, clientId, { scope: 'openid' })
  return (await exchange(harness, clientId, code)).id_token ?? ''
}

async function foreignToken(): Promise<string> {
  const { deps } = harness
  const claims = decodeJwt(hint)
  return deps.keys.sign({ ...claims, iss: 'https://other.test/' }, { alg: 'RS256' })
}

function unsigned(token: string): string {
  const [, body] = token.split('.')
  return `${btoa('{"alg":"none"}').replace(/=+$/, '')}.${body}.`
}

const anotherClient = async (): Promise<string> =>
  (
    await registerClient(harness, {
      ...CLIENT,
      client_name: `Other ${++counter}`,
      post_logout_redirect_uris: [],
    })
  ).client_id

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import type { Browser, Page } from '../support/browser.ts'
import {
  answer,
  approve,
  DEVICE_SCOPE,
  enterCode,
  poll,
  registerDeviceClient,
  requestDevice,
} from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { API_SCOPE, deviceScope, PASSWORD, signUp } from '../support/oauth.ts'

const TV = 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0'

let harness: Harness
let clientId: string
let alice: Browser
beforeAll(async () => {
  harness = await createHarness({
    config: { policy: { data: { requester: { banned_user_agents: { substrings: ['BadBot'] } } } } },
  })
  clientId = await registerDeviceClient(harness)
  alice = harness.browser()
  await signUp(alice, 'alice')
})
afterAll(() => harness.close())

/** Tests stand in one another's way at the limits of one address, so each begins some minutes after the other. */
const fresh = async (scope = DEVICE_SCOPE, headers: Record<string, string> = {}) => {
  harness.clock.advance(300)
  return requestDevice(harness, clientId, scope === '' ? {} : { scope }, headers)
}

const csrfOf = (page: Page): string => /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
const outcome = async (deviceCode: string) => {
  const { status, body } = await poll(harness, clientId, deviceCode)
  return status === 200 ? 'tokens' : body.error
}
const asks = (page: Page): boolean => page.text.includes('name="confirm_device"')

describe('GET and POST /link: entering a code', () => {
  test('needs nobody to be signed in; the answer does, and comes back to it', async () => {
    const { device_code, user_code } = await fresh()
    const browser = harness.browser()
    const login = await enterCode(browser, user_code)
    expect([login.url.pathname, login.url.searchParams.get('kind')]).toEqual([
      '/login',
      'continue_device_code_grant',
    ])
    const page = await login.submit({ username: 'alice', password: PASSWORD }, { action: '/login' })
    expect([page.url.pathname.startsWith('/device/'), asks(page)]).toEqual([true, true])
    await answer(page, 'consent')
    expect(await outcome(device_code)).toBe('tokens')
  })

  test('the pages on the way to it name the app, in the browser that the code was typed into and no other', async () => {
    const { user_code } = await fresh()
    const browser = harness.browser()
    const login = await enterCode(browser, user_code)
    const register = await browser.open(`/register${login.url.search}`)
    for (const { text } of [login, register]) expect(text).toContain('<bdi>Test Television</bdi>')
    const elsewhere = await harness.browser().open(login.url.href)
    expect(elsewhere.text).not.toContain('Test Television')
  })

  test('leads a new person through the sign-up and back', async () => {
    const { device_code, user_code } = await fresh()
    const browser = harness.browser()
    const login = await enterCode(browser, user_code)
    const url = await signUp(browser, 'newcomer', `/register${login.url.search}`)
    expect(url.pathname).toStartWith('/device/')
    await answer(await browser.open(url.pathname), 'consent')
    expect(await outcome(device_code)).toBe('tokens')
    expect(harness.homeserver.users.has('newcomer')).toBe(true)
  })

  test('takes the code in any case, with and without dash', async () => {
    for (const write of [
      (code: string) => code.toLowerCase(),
      (code: string) => code.replace('-', ''),
      (code: string) => ` ${code.replace('-', ' ')} `,
    ]) {
      const { user_code } = await fresh()
      expect(asks(await enterCode(alice, write(user_code)))).toBe(true)
    }
  })

  test('an empty, malformed, unknown, used or expired code is an error at the field', async () => {
    const [used, rejected, expired] = [await fresh(), await fresh(), await fresh()]
    await approve(alice, used.user_code)
    await answer(await enterCode(alice, rejected.user_code), 'reject')
    harness.clock.advance(1200)
    for (const [code, text] of [
      ['', 'Enter the code that the device shows.'],
      ['   ', 'Enter the code that the device shows.'],
      ['short', 'We do not know this code.'],
      ["'; drop table", 'We do not know this code.'],
      ['\0\ud83d\udca5', 'We do not know this code.'],
      ['CDFH-2345', 'We do not know this code.'],
      [used.user_code, 'We do not know this code.'],
      [rejected.user_code, 'We do not know this code.'],
      [expired.user_code, 'We do not know this code.'],
    ] as const) {
      const page = await enterCode(alice, code)
      expect([code, page.status, page.url.pathname]).toEqual([code, 422, '/link'])
      expect(page.text).toContain(text)
      expect(page.text).toContain('aria-invalid="true"')
    }
  })

  test('what was typed stays in the field, as text', async () => {
    const page = await enterCode(alice, '"><script>alert(1)</script>')
    expect(page.text).toContain('&lt;script&gt;')
    expect(page.text).not.toContain('<script>alert')
    expect((await enterCode(alice, 'x'.repeat(5000))).text).not.toContain('x'.repeat(41))
  })

  test('a form without our token enters nothing, and does not fill the field for another site', async () => {
    const { user_code } = await fresh()
    for (const headers of [{}, { 'sec-fetch-site': 'cross-site' }] as Record<string, string>[]) {
      const page = await alice.post('/link', { code: user_code, csrf: 'A'.repeat(43) }, headers)
      expect([page.status, page.url.pathname]).toEqual([422, '/link'])
      expect(page.text).not.toContain(user_code)
    }
    const stale = await alice.post(
      '/link',
      { code: user_code, csrf: 'A'.repeat(43) },
      { 'sec-fetch-site': 'same-origin' },
    )
    expect([stale.status, stale.text.includes(`value="${user_code}"`)]).toEqual([422, true])
    const crossSite = await alice.post(
      '/link',
      { code: user_code, csrf: csrfOf(stale) },
      { 'sec-fetch-site': 'cross-site' },
    )
    expect([crossSite.status, crossSite.url.pathname]).toEqual([422, '/link'])
  })

  test('a body that is no form is 400', async () => {
    const response = await harness.request('/link', { method: 'POST', body: '{}' })
    expect(response.status).toBe(400)
  })
})

describe('a code in the address', () => {
  test('is ignored by default', async () => {
    const { user_code } = await fresh()
    const page = await alice.open(`/link?code=${user_code}`)
    expect([page.status, page.url.pathname, page.text.includes(user_code)]).toEqual([200, '/link', false])
  })

  test('fills the field where the operator wants it, and skips nothing', async () => {
    const filling = await createHarness({
      beside: harness,
      config: { oauth: { device_code_user_code_auto_fill_enabled: true } },
    })
    const { device_code, user_code } = await fresh()
    const browser = filling.browser()
    for (const [name, value] of alice.cookies) browser.cookies.set(name, value)
    const page = await browser.open(`/link?code=${user_code.toLowerCase()}`)
    expect([page.url.pathname, page.text.includes(`value="${user_code}"`)]).toEqual(['/link', true])
    for (const code of ['"><b>', 'AAAA-AAAA', '%00'])
      expect((await browser.open(`/link?code=${code}`)).text).toContain('name="code" value=""')
    const consent = await page.submit({ code: user_code }, { action: '/link' })
    expect(asks(consent)).toBe(true)
    expect((await answer(consent, 'consent', false)).status).toBe(422)
    expect(await outcome(device_code)).toBe('authorization_pending')
    await filling.close()
  })
})

describe('guessing (edge 48)', () => {
  const guess = (browser: Browser, csrf: string, number: number, headers = {}) =>
    browser.post(
      '/link',
      { csrf, code: `CDFH${String(number).padStart(4, '2').replace(/[01]/g, '9')}` },
      headers,
    )

  test('one browser may try ten codes, then waits, also with the right one', async () => {
    const { user_code } = await fresh()
    harness.clock.advance(600)
    const again = await requestDevice(harness, clientId)
    const browser = harness.browser()
    const csrf = csrfOf(await browser.open('/link'))
    for (let i = 0; i < 10; i++) expect((await guess(browser, csrf, i)).status).toBe(422)
    const limited = await browser.post('/link', { csrf, code: again.user_code })
    expect(limited.status).toBe(429)
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(limited.text).toContain('Too many tries')
    expect(limited.text).toContain(`value="${again.user_code}"`)
    // Another browser is free, and so is this one when it has waited.
    expect((await enterCode(harness.browser(), user_code)).url.pathname).toBe('/login')
    harness.clock.advance(30)
    expect((await browser.post('/link', { csrf, code: again.user_code })).url.pathname).toBe('/login')
  })

  test('one address may try thirty codes with any number of browsers; another address is free', async () => {
    const proxied = await createHarness({
      beside: harness,
      config: { http: { trusted_proxies: ['0.0.0.0/0'] } },
    })
    harness.clock.advance(3600)
    const statuses: number[] = []
    for (let i = 0; i < 32; i++) {
      const browser = proxied.browser()
      statuses.push((await guess(browser, csrfOf(await browser.open('/link')), i)).status)
    }
    expect(statuses).toEqual([...Array<number>(30).fill(422), 429, 429])
    await proxied.close()
  })

  test('guesses that are sent all at once are limited all the same', async () => {
    harness.clock.advance(3600)
    const browser = harness.browser()
    const csrf = csrfOf(await browser.open('/link'))
    const pages = await Promise.all(Array.from({ length: 25 }, (_, i) => guess(browser, csrf, i)))
    expect(pages.filter(({ status }) => status === 422)).toHaveLength(10)
    expect(pages.filter(({ status }) => status === 429)).toHaveLength(15)
    harness.clock.advance(3600)
  })

  test('what cannot be a code costs nothing', async () => {
    const browser = harness.browser()
    const csrf = csrfOf(await browser.open('/link'))
    for (let i = 0; i < 20; i++)
      expect((await browser.post('/link', { csrf, code: 'nonsense' })).status).toBe(422)
    const { user_code } = await fresh()
    expect((await browser.post('/link', { csrf, code: user_code })).url.pathname).toBe('/login')
  })
})

describe('GET /device/{id}: what a person is told', () => {
  test('which app asks, from what, since when, for what, with which code, for whose account', async () => {
    const { user_code } = await fresh(DEVICE_SCOPE, { 'user-agent': TV })
    harness.clock.advance(180)
    const { text, headers } = await enterCode(alice, user_code)
    for (const part of [
      'Test Television',
      'tv.example.com',
      'Firefox, Linux',
      '3 minutes ago',
      user_code,
      'Read and send messages',
      '@alice:example.test',
      'Only for a device that you have in front of you',
      'Nobody who runs this server ever asks you for this',
    ])
      expect(text).toContain(part)
    expect(text).toMatch(/<input type="checkbox" id="confirm_device"[^>]* required/)
    expect(text).not.toMatch(/confirm_device"[^>]*checked/)
    expect(text).toMatch(/value="reject" formnovalidate/)
    expect(headers.get('content-security-policy')).toContain("form-action 'self'")
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.get('cache-control')).toBe('no-store')
  })

  test('the address that asked', async () => {
    const { user_code } = await fresh()
    await harness.database.sql`
      update latchkey.device_grants set ip = '2001:db8::7' where created_at = ${harness.clock.now()}`
    expect((await enterCode(alice, user_code)).text).toContain('2001:db8::7')
  })

  test('what a client and a device say about themselves is text', async () => {
    const client = await registerDeviceClient(harness, { client_name: '<script>alert(1)</script>"\'' })
    harness.clock.advance(300)
    const { user_code } = await requestDevice(
      harness,
      client,
      {},
      { 'user-agent': `App/1.0 (<img src=x onerror=alert(2)>; ${'y'.repeat(300)}; iOS)` },
    )
    const { text } = await enterCode(alice, user_code)
    expect(text).not.toContain('<script>alert')
    expect(text).not.toContain('<img src=x')
  })

  test('is in the language of the browser', async () => {
    const { user_code } = await fresh()
    const german = harness.browser({ 'accept-language': 'de' })
    for (const [name, value] of alice.cookies) german.cookies.set(name, value)
    expect((await enterCode(german, user_code)).text).toContain('Nur für ein Gerät, das du vor dir hast')
  })

  test('a name that the homeserver does not tell in time does not hold up the page', async () => {
    const { user_code } = await fresh()
    harness.homeserver.down = true
    const page = await enterCode(alice, user_code)
    harness.homeserver.down = false
    expect([page.status, asks(page)]).toEqual([200, true])
  })
})

describe('who may answer', () => {
  test('nobody with a link: only the browser that the code was typed into', async () => {
    const { device_code, user_code } = await fresh()
    const page = await enterCode(alice, user_code)
    const victim = harness.browser()
    await signUp(victim, 'victim')
    const shown = await victim.open(page.url.pathname)
    expect([shown.status, asks(shown), shown.text.includes(user_code)]).toEqual([403, false, false])
    const csrf = csrfOf(await victim.open('/account/'))
    for (const action of ['consent', 'reject']) {
      const posted = await victim.post(page.url.pathname, { csrf, action, confirm_device: '1' })
      expect(posted.status).toBe(403)
    }
    expect(await outcome(device_code)).toBe('authorization_pending')
  })

  test('nobody before the code was typed in', async () => {
    const { user_code } = await fresh()
    const [row] = await harness.database.sql<{ id: string }[]>`
      select id from latchkey.device_grants where created_at = ${harness.clock.now()}`
    expect((await alice.open(`/device/${ulidFromUuid(row?.id ?? '')}`)).status).toBe(403)
    expect(asks(await enterCode(alice, user_code))).toBe(true)
  })

  test('the browser that it was typed into last: people change over to another one', async () => {
    const { device_code, user_code } = await fresh()
    const first = await enterCode(alice, user_code)
    const phone = harness.browser()
    await signUp(phone, 'phone')
    const second = await enterCode(phone, user_code)
    expect((await answer(first, 'consent')).status).toBe(403)
    await answer(second, 'consent')
    expect(await outcome(device_code)).toBe('tokens')
  })

  test('somebody who is signed in; with another account if they like', async () => {
    const { device_code, user_code } = await fresh()
    const browser = harness.browser()
    await signUp(browser, 'first')
    const page = await enterCode(browser, user_code)
    const login = await page.submit({}, { action: '/logout' })
    expect(login.url.pathname).toBe('/login')
    const csrf = csrfOf(login)
    const posted = await browser.post(page.url.pathname, { csrf, action: 'consent', confirm_device: '1' })
    expect(posted.url.pathname).toBe('/login')
    const back = await login.submit({ username: 'alice', password: PASSWORD }, { action: '/login' })
    expect(back.text).toContain('@alice:example.test')
    await answer(back, 'consent')
    expect(await outcome(device_code)).toBe('tokens')
  })

  test('not an account that is locked: the page of that stands in', async () => {
    const { device_code, user_code } = await fresh()
    const browser = harness.browser()
    await signUp(browser, 'lockable')
    const page = await enterCode(browser, user_code)
    await harness.database.sql`update latchkey.users set locked_at = now() where username = 'lockable'`
    for (const shown of [await browser.open(page.url.pathname), await answer(page, 'consent')])
      expect(shown.text).toContain('This account is locked')
    expect(await outcome(device_code)).toBe('authorization_pending')
  })

  test('unknown and malformed requests are 404', async () => {
    for (const id of ['01J00000000000000000000000', 'x', '%00', "'"])
      expect((await alice.open(`/device/${id}`)).status).toBe(404)
  })
})

describe('POST /device/{id}: the answer', () => {
  test('without the confirmation the form comes back and says why', async () => {
    const { device_code, user_code } = await fresh()
    const page = await enterCode(alice, user_code)
    const again = await answer(page, 'consent', false)
    expect([again.status, asks(again)]).toEqual([422, true])
    expect(again.text).toContain('Tick this box if the device is yours.')
    const empty = await alice.post(page.url.pathname, {
      csrf: csrfOf(page),
      action: 'consent',
      confirm_device: '',
    })
    expect(empty.status).toBe(422)
    expect(await outcome(device_code)).toBe('authorization_pending')
    expect((await answer(again, 'consent')).text).toContain('The device is let in')
  })

  test('without an action, or with another one, nothing happens', async () => {
    const { device_code, user_code } = await fresh()
    const page = await enterCode(alice, user_code)
    const csrf = csrfOf(page)
    for (const action of [undefined, '', 'cancel', 'CONSENT', 'consent\0']) {
      const fields = { csrf, confirm_device: '1', ...(action !== undefined && { action }) }
      expect((await alice.post(page.url.pathname, fields)).status).toBe(422)
    }
    expect(await outcome(device_code)).toBe('authorization_pending')
  })

  test('with a stale token nothing happens, not even a refusal', async () => {
    const { device_code, user_code } = await fresh()
    const page = await enterCode(alice, user_code)
    for (const action of ['consent', 'reject']) {
      const fields = { csrf: 'A'.repeat(43), action, confirm_device: '1' }
      const stale = await alice.post(page.url.pathname, fields)
      expect([stale.status, asks(stale)]).toEqual([422, true])
    }
    expect(await outcome(device_code)).toBe('authorization_pending')
  })

  test('approved: a page that says so, also when it is loaded or sent again', async () => {
    const { device_code, user_code } = await fresh()
    const page = await enterCode(alice, user_code)
    for (const shown of [
      await answer(page, 'consent'),
      await alice.open(page.url.pathname),
      await answer(page, 'consent'),
      await answer(page, 'reject'),
    ]) {
      expect(shown.status).toBe(200)
      expect(shown.text).toContain('The device is let in')
    }
    expect(await outcome(device_code)).toBe('tokens')
    expect((await alice.open(page.url.pathname)).text).toContain('The device is let in')
  })

  test('rejected: a page that says so, and no way back', async () => {
    const { device_code, user_code } = await fresh()
    const page = await enterCode(alice, user_code)
    for (const shown of [await answer(page, 'reject'), await answer(page, 'consent')]) {
      expect(shown.status).toBe(200)
      expect(shown.text).toContain('The device stays out')
    }
    expect(await outcome(device_code)).toBe('access_denied')
  })

  test('too late: a page that says so', async () => {
    const { device_code, user_code } = await fresh()
    const page = await enterCode(alice, user_code)
    harness.clock.advance(1200)
    for (const shown of [await alice.open(page.url.pathname), await answer(page, 'consent')]) {
      expect(shown.status).toBe(200)
      expect(shown.text).toContain('This code is too old')
      expect(shown.text).toContain('href="/link"')
    }
    expect(await outcome(device_code)).toBe('expired_token')
  })

  test('approved, but the device never came: too old', async () => {
    const { user_code } = await fresh()
    const done = await approve(alice, user_code)
    harness.clock.advance(1200)
    expect((await alice.open(done.url.pathname)).text).toContain('This code is too old')
  })

  test('yes and no at once: one of them holds, for the person and for the device', async () => {
    for (let round = 0; round < 5; round++) {
      const { device_code, user_code } = await fresh()
      const page = await enterCode(alice, user_code)
      const both = await Promise.all([answer(page, 'consent'), answer(page, 'reject')])
      const said = new Set(both.map(({ text }) => text.includes('The device is let in')))
      expect(said.size).toBe(1)
      expect(await outcome(device_code)).toBe(said.has(true) ? 'tokens' : 'access_denied')
    }
  })

  test('no approval before the homeserver knows the person (edge 37)', async () => {
    harness.homeserver.failOnce('provision_user')
    const browser = harness.browser()
    await signUp(browser, 'unknown')
    const { device_code, user_code } = await fresh()
    const page = await enterCode(browser, user_code)
    harness.homeserver.failOnce('provision_user')
    const failed = await answer(page, 'consent')
    expect([failed.status, failed.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await outcome(device_code)).toBe('authorization_pending')
    await answer(page, 'consent')
    harness.clock.advance(10)
    expect(await outcome(device_code)).toBe('tokens')
  })
})

describe('what the policy does not allow', () => {
  test.each([
    ['an unknown scope', 'openid phone'],
    ['an admin scope', `${API_SCOPE} urn:synapse:admin:*`],
    ['a device alone', deviceScope('ABCDEFGHIJ')],
    ['two devices', `${API_SCOPE} ${deviceScope('ABCDEFGHIJ')} ${deviceScope('KLMNOPQRST')}`],
  ])('%s: a page with status 200, which POST cannot pass', async (_name, scope) => {
    const { device_code, user_code } = await fresh(scope)
    const page = await enterCode(alice, user_code)
    expect([page.status, asks(page)]).toEqual([200, false])
    expect(page.text).toContain('This is not allowed')
    const forced = await alice.post(page.url.pathname, {
      csrf: csrfOf(page),
      action: 'consent',
      confirm_device: '1',
    })
    expect([forced.status, forced.text.includes('This is not allowed')]).toEqual([200, true])
    expect(await outcome(device_code)).toBe('authorization_pending')
  })

  test('the page offers another account, another try, and to keep the device out', async () => {
    const { device_code, user_code } = await fresh('openid phone')
    const page = await enterCode(alice, user_code)
    expect(page.text).toContain('name="kind" value="continue_device_code_grant"')
    expect(page.text).toContain(`href="${page.url.pathname}"`)
    const out = await page.submit({}, { action: '/device/', button: ['action', 'reject'] })
    expect(out.text).toContain('The device stays out')
    expect(await outcome(device_code)).toBe('access_denied')
  })

  test('a requester that is banned', async () => {
    const { user_code } = await fresh()
    const bot = harness.browser({ 'user-agent': 'Mozilla/5.0 BadBot/1.0' })
    for (const [name, value] of alice.cookies) bot.cookies.set(name, value)
    expect(asks(await enterCode(bot, user_code))).toBe(false)
  })
})

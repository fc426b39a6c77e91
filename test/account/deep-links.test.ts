import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD, signedInApp } from '../support/oauth.ts'

let harness: Harness
let browser: Browser
beforeAll(async () => {
  harness = await createHarness()
  ;({ browser } = await signedInApp(harness, 'alice'))
})
afterAll(() => harness.close())

/** The device of the app that is signed in. */
const DEVICE = 'AAAAAAAAAA'
const SESSION = /^\/account\/sessions\/[0-9A-Z]{26}$/
const END = /^\/account\/sessions\/[0-9A-Z]{26}\/end$/

/** Actions in all their spellings (reference protocol section 11), and where they lead with a device and without. */
const ACTIONS: [actions: string[], withDevice: RegExp, without: RegExp][] = [
  [['org.matrix.profile', 'profile'], /^\/account\/profile$/, /^\/account\/profile$/],
  [
    ['org.matrix.devices_list', 'org.matrix.sessions_list', 'sessions_list'],
    /^\/account\/sessions$/,
    /^\/account\/sessions$/,
  ],
  [['org.matrix.device_view', 'org.matrix.session_view', 'session_view'], SESSION, /^\/account\/sessions$/],
  [['org.matrix.device_delete', 'org.matrix.session_end', 'session_end'], END, /^\/account\/sessions$/],
  [['org.matrix.cross_signing_reset'], /reset-cross-signing$/, /reset-cross-signing$/],
  [['org.matrix.plan_management', 'nonsense', '__proto__'], /^\/account\/$/, /^\/account\/$/],
]
const rows = ACTIONS.flatMap(([actions, withDevice, without]) =>
  actions.map((action): [string, RegExp, RegExp] => [action, withDevice, without]),
)

describe('GET /account/?action= (MSC4191)', () => {
  test.each(rows)('%s leads to its page, with a device and without', async (action, withDevice, without) => {
    const at = async (query: string) =>
      (await browser.open(`/account/?action=${action}${query}`)).url.pathname
    expect(await at(`&device_id=${DEVICE}`)).toMatch(withDevice)
    expect(await at('')).toMatch(without)
  })

  test.each(rows)('%s leads there through a sign-in, and from /account too', async (action, withDevice) => {
    const login = await harness.browser().open(`/account?action=${action}&device_id=${DEVICE}`)
    expect(login.url.pathname).toBe('/login')
    const page = await login.submit({ username: 'alice', password: PASSWORD }, { action: 'login' })
    expect(page.url.pathname).toMatch(withDevice)
  })

  test('a device of somebody else, or of nobody, leads to the list', async () => {
    await signedInApp(harness, 'bob', {
      scope: 'urn:matrix:client:api:* urn:matrix:client:device:BOBSDEVICE',
    })
    for (const device of ['BOBSDEVICE', 'NOTTHERE', '%00', '..%2f..'])
      expect(
        (await browser.open(`/account/?action=org.matrix.device_view&device_id=${device}`)).url.pathname,
      ).toBe('/account/sessions')
  })

  test('discovery names what works, and nothing else', async () => {
    const document = (await (await harness.request('/.well-known/openid-configuration')).json()) as Record<
      string,
      string[]
    >
    const named = document.account_management_actions_supported ?? []
    expect(named).toContain('org.matrix.cross_signing_reset')
    for (const action of named)
      expect((await browser.open(`/account/?action=${action}`)).url.pathname).not.toBe('/account/')
  })

  test('a login hint fills in the name', async () => {
    const login = await harness
      .browser()
      .open('/account/?action=profile&org.matrix.msc4198.login_hint=mxid%3A%40alice%3Aexample.test')
    expect(login.text).toContain('value="alice"')
  })
})

test.each([
  ['/account/sessions/browsers', '/account/sessions?kind=browser'],
  ['/account/clients/01J00000000000000000000000', '/account/apps'],
  ['/account/plan', '/account/'],
  ['/account/password/change/success', '/account/password/change'],
])('%s of MAS leads to %s', async (from, to) => {
  const { url } = await browser.open(from)
  expect(url.pathname + url.search).toBe(to)
})

test('/account/devices/{id} of MAS leads to the session of the device', async () => {
  expect((await browser.open(`/account/devices/${DEVICE}`)).url.pathname).toMatch(SESSION)
  expect((await browser.open('/account/devices/a%26b%3Dc')).url.pathname).toBe('/account/sessions')
})

test('GET /account/plan: the operator’s page in a frame, and nothing where there is none', async () => {
  const uri = 'https://plan.example.org/of?x=1'
  const paid = await createHarness({
    beside: harness,
    config: { experimental: { plan_management_iframe_uri: uri } } as never,
  })
  const other = paid.browser()
  for (const [name, value] of browser.cookies) other.cookies.set(name, value)
  const page = await other.open('/account/?action=org.matrix.plan_management')
  expect(page.url.pathname).toBe('/account/plan')
  expect(page.text).toContain(`<iframe class="plan" src="${uri}"`)
  expect(page.headers.get('content-security-policy')).toContain('frame-src https://plan.example.org;')
  expect((await other.open('/account/')).headers.get('content-security-policy')).not.toContain('frame-src')
  expect((await browser.open('/account/')).text).not.toContain('account/plan')
  await paid.close()
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import type { Browser, Page } from '../support/browser.ts'
import { answer, enterCode, registerDeviceClient, requestDevice } from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { createPerson, introspectLegacy, legacyLogin } from '../support/legacy.ts'
import {
  API_SCOPE,
  authorizeUrl,
  deviceScope,
  exchange,
  introspect,
  PASSWORD,
  registerClient,
} from '../support/oauth.ts'
import { personalToken } from '../support/personal.ts'

let harness: Harness
let clientId: string
beforeAll(async () => {
  harness = await createHarness({
    config: { experimental: { session_limit: { soft_limit: 2, hard_limit: 10 } } },
  })
  ;({ client_id: clientId } = await registerClient(harness))
})
afterAll(() => harness.close())

let people = 0
let username: string
let userId: string
let browser: Browser
beforeEach(async () => {
  await harness.runJobs()
  username = `person${++people}`
  userId = await createPerson(harness, username)
  browser = harness.browser()
  await (await browser.open('/login')).submit({ username, password: PASSWORD }, { action: 'login' })
})

/** A legacy client, a minute after what was before. */
async function legacyOn(device: string): Promise<string> {
  harness.clock.advance(60)
  return (await legacyLogin(harness, username, { device_id: device })).access_token
}
const isActive = async (token: string): Promise<boolean> =>
  (await (token.startsWith('mct') ? introspectLegacy : introspect)(harness, token)).active === true
/** A page on the way to an app on a new device. */
const approach = (device = 'NEWDEVICE1'): Promise<Page> =>
  browser.open(authorizeUrl(clientId, { scope: `openid ${API_SCOPE} ${deviceScope(device)}` }))
/** The boxes of the page, in order, by the name beside them. */
const boxes = (page: Page): string[] =>
  [...page.text.matchAll(/<input type="checkbox" id="(end_[0-9A-Z]{26})"/g)].map(([, id = '']) => id)
const choose = (page: Page, ids: string[], action: string): Promise<Page> =>
  page.submit(Object.fromEntries(ids.map((id) => [id, '1'])), { action, button: ['action', 'end_sessions'] })

describe('with as many sessions as the soft limit', () => {
  test('GET /consent/{id}: the sessions to choose from, the idlest first; browsers are not among them', async () => {
    await legacyOn('RECENTONE1')
    harness.clock.advance(60)
    await personalToken(harness, userId, { name: 'Reminders', scope: [API_SCOPE] })
    await legacyOn('RECENTONE2')
    const page = await approach()
    expect([page.status, boxes(page).length]).toEqual([200, 3])
    expect(page.text).toContain('Too many devices')
    expect(page.text).toContain('at least 2 of them')
    const at = ['RECENTONE1', 'Reminders', 'RECENTONE2'].map((text) => page.text.indexOf(text))
    expect(at.toSorted((a, b) => a - b)).toEqual(at)
    expect(at[0]).toBeGreaterThan(0)
  })

  test('POST /consent/{id}: what was chosen ends, and the app is let in', async () => {
    const first = await legacyOn('FIRSTDEVIC')
    const second = await legacyOn('SECONDDEVI')
    const page = await approach()
    const [idle = ''] = boxes(page)
    const consent = await choose(page, [idle], 'consent/')
    expect(consent.text).toContain('name="action" value="consent"')
    expect([await isActive(first), await isActive(second)]).toEqual([false, true])
    const done = await consent.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    const tokens = await exchange(harness, clientId, done.url.searchParams.get('code') ?? '')
    expect(await isActive(tokens.access_token)).toBe(true)
    await harness.runJobs()
    expect(harness.homeserver.devicesOf(username)).toEqual(['NEWDEVICE1', 'SECONDDEVI'])
  })

  test('POST /consent/{id}: too few chosen ends nothing, and keeps the ticks', async () => {
    const tokens = [await legacyOn('FIRSTDEVIC'), await legacyOn('SECONDDEVI'), await legacyOn('THIRDDEVIC')]
    const page = await approach()
    const [one = ''] = boxes(page)
    const again = await choose(page, [one], 'consent/')
    expect([again.status, again.text.includes('Choose at least 2.')]).toEqual([422, true])
    expect(again.text).toContain(`name="${one}" value="1" checked`)
    expect(await Promise.all(tokens.map(isActive))).toEqual([true, true, true])
  })

  test('POST /consent/{id}: sessions of others and of browsers cannot be named, nor by a form of another site', async () => {
    const tokens = [await legacyOn('FIRSTDEVIC'), await legacyOn('SECONDDEVI')]
    const other = `other${people}`
    await createPerson(harness, other)
    const foreign = (await legacyLogin(harness, other)).access_token
    const rows = await harness.database.sql<{ id: string }[]>`
      select upper(replace(id::text, '-', '')) as id from latchkey.browser_sessions
      union all select upper(replace(s.id::text, '-', '')) from latchkey.compat_sessions s
        join latchkey.users u on u.id = s.user_id where u.username = ${other}`
    expect(rows.length).toBeGreaterThan(1)
    const page = await approach()
    const named = await choose(
      page,
      rows.map(({ id }) => `end_${id.slice(0, 26)}`),
      'consent/',
    )
    expect(named.status).toBe(422)
    const forged = await browser.post(page.url.pathname, {
      csrf: 'A'.repeat(43),
      action: 'end_sessions',
      ...Object.fromEntries(boxes(page).map((id) => [id, '1'])),
    })
    expect(forged.status).toBe(422)
    expect(await Promise.all([...tokens, foreign].map(isActive))).toEqual([true, true, true])
  })

  test('POST /consent/{id}: consent alone does not get past the limit, and cancel goes back to the app', async () => {
    await legacyOn('FIRSTDEVIC')
    await legacyOn('SECONDDEVI')
    const page = await approach()
    const still = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    expect(still.text).toContain('Too many devices')
    const back = await still.submit({}, { action: 'consent/', button: ['action', 'cancel'] })
    expect(back.url.searchParams.get('error')).toBe('access_denied')
  })

  test('a personal token can be chosen too', async () => {
    const { token } = await personalToken(harness, userId, { name: 'Reminders', scope: [API_SCOPE] })
    const legacy = await legacyOn('SECONDDEVI')
    const page = await approach()
    const [box = ''] = boxes(page)
    await choose(page, [box], 'consent/')
    expect([await isActive(token), await isActive(legacy)]).toEqual([false, true])
  })

  test('POST /device/{id}: the same on the page of a device', async () => {
    const first = await legacyOn('FIRSTDEVIC')
    await legacyOn('SECONDDEVI')
    const { user_code: code } = await requestDevice(harness, await registerDeviceClient(harness))
    const page = await enterCode(browser, code)
    expect(page.text).toContain('Too many devices')
    const [box = ''] = boxes(page)
    const consent = await choose(page, [box], '/device/')
    expect(await isActive(first)).toBe(false)
    expect((await answer(consent, 'consent')).text).toContain('The device is let in')
  })

  test('POST /complete-compat-sso/{id}: the same for older clients', async () => {
    const first = await legacyOn('FIRSTDEVIC')
    await legacyOn('SECONDDEVI')
    const start = '/_matrix/client/v3/login/sso/redirect?redirectUrl=https%3A%2F%2Fapp.example%2F'
    const page = await browser.open(start)
    expect([page.status, page.text.includes('Too many devices')]).toEqual([403, true])
    const [box = ''] = boxes(page)
    const sso = await choose(page, [box], 'complete-compat-sso/')
    expect([sso.status, await isActive(first)]).toEqual([200, false])
    const done = await sso.submit({}, { action: 'complete-compat-sso/' })
    expect(done.url.searchParams.get('loginToken')).not.toBeNull()
  })
})

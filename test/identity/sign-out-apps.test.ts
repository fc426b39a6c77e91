import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspectLegacy, type LegacyTokens, postMatrix } from '../support/legacy.ts'
import {
  API_SCOPE,
  deviceScope,
  exchange,
  introspect,
  obtainCode,
  PASSWORD,
  registerClient,
  signUp,
} from '../support/oauth.ts'

let harness: Harness
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  ;({ client_id: clientId } = await registerClient(harness))
})
afterAll(() => harness.close())

let people = 0
let username: string
let browser: Browser
let app: string
let legacy: string
/** An app that was signed in with another browser. */
let elsewhere: string
beforeEach(async () => {
  await harness.runJobs()
  username = `person${++people}`
  browser = harness.browser()
  await signUp(browser, username)
  app = await appIn(browser, 'DEVICEHERE')
  legacy = (await ssoIn(browser, 'DEVICESSO1')).access_token
  const other = harness.browser()
  await (await other.open('/login')).submit({ username, password: PASSWORD }, { action: 'login' })
  elsewhere = await appIn(other, 'DEVICEELSE')
})

async function appIn(visitor: Browser, device: string): Promise<string> {
  const code = await obtainCode(visitor, clientId, { scope: `${API_SCOPE} ${deviceScope(device)}` })
  return (await exchange(harness, clientId, code)).access_token
}

/** A legacy client signs in through the browser. */
async function ssoIn(visitor: Browser, device: string): Promise<LegacyTokens> {
  const start = '/_matrix/client/v3/login/sso/redirect?redirectUrl=https%3A%2F%2Fapp.example%2F'
  const done = await (await visitor.open(start)).submit({}, { action: 'complete-compat-sso/' })
  const token = done.url.searchParams.get('loginToken')
  const { body } = await postMatrix(harness, 'login', { type: 'm.login.token', token, device_id: device })
  return body as unknown as LegacyTokens
}

/** Whether the two apps of this browser, and the one of the other, still work. */
const alive = async (): Promise<boolean[]> => [
  (await introspect(harness, app)).active === true,
  (await introspectLegacy(harness, legacy)).active === true,
  (await introspect(harness, elsewhere)).active === true,
]
const devices = async (): Promise<string[]> => {
  await harness.runJobs()
  return harness.homeserver.devicesOf(username)
}

describe('POST /account/sessions/{id}/end of a browser', () => {
  const open = async (): Promise<Page> => {
    const list = await browser.open('/account/sessions')
    const own = /session-current[\s\S]*?\/account\/sessions\/(\w+)\/end/.exec(list.text)?.[1] ?? ''
    return browser.open(`/account/sessions/${own}/end`)
  }

  test('end_apps: the apps that were signed in with it end too, of either kind, and their devices go', async () => {
    const page = await open()
    expect(page.text).toContain('Sign out the 2 apps too that I signed in with this browser')
    await page.submit({ end_apps: '1' }, { action: '/end' })
    expect(await alive()).toEqual([false, false, true])
    expect(await devices()).toEqual(['DEVICEELSE'])
  })

  test('without it they go on', async () => {
    await (await open()).submit({}, { action: '/end' })
    expect(await alive()).toEqual([true, true, true])
    expect(await devices()).toEqual(['DEVICEELSE', 'DEVICEHERE', 'DEVICESSO1'])
  })

  test('the page of an app asks nothing', async () => {
    const list = await browser.open('/account/sessions')
    for (const [, id = ''] of list.text.matchAll(/id="end_([0-9A-Z]{26})"/g)) {
      const { text } = await browser.open(`/account/sessions/${id}/end`)
      if (text.includes('DEVICEHERE')) expect(text).not.toContain('name="end_apps"')
    }
  })
})

describe('POST /end-session/confirm', () => {
  test('end_apps: the apps that were signed in with this browser end too, and the page says so', async () => {
    const page = await browser.open('/end-session')
    const out = await page.submit({ end_apps: '1' }, { action: 'end-session/confirm' })
    expect(out.text).toContain('the apps that were signed in with it no longer have access')
    expect(await alive()).toEqual([false, false, true])
  })

  test('without it they go on, and the page says that', async () => {
    const out = await (await browser.open('/end-session')).submit({}, { action: 'end-session/confirm' })
    expect(out.text).toContain('Your apps stay signed in.')
    expect(await alive()).toEqual([true, true, true])
  })

  test('a form of another site ends nothing', async () => {
    await browser.post('/end-session/confirm', { end_apps: '1', csrf: 'A'.repeat(43) })
    expect(await alive()).toEqual([true, true, true])
  })
})

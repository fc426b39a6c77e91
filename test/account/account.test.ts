import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, PASSWORD, signedInApp, type TokenBody } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

let people = 0
let username: string
let browser: Browser
let tokens: TokenBody
beforeEach(async () => {
  username = `person${++people}`
  ;({ browser, tokens } = await signedInApp(harness, username))
})

/** The addresses that end the sessions of the list, of this browser and of the app. */
async function endings(): Promise<{ own: string; app: string }> {
  const { text } = await browser.open('/account/sessions')
  const items = text.split('<li class="session').slice(1)
  const addressOf = (item = '') => /href="(\/account\/sessions\/\w+\/end)"/.exec(item)?.[1] ?? ''
  const isOwn = (item: string) => item.includes('session-current')
  expect(items).toHaveLength(2)
  return { own: addressOf(items.find(isOwn)), app: addressOf(items.find((item) => !isOwn(item))) }
}
const isActive = async () => (await introspect(harness, tokens.access_token)).active

test('GET /account/: without a session it asks to sign in, and comes back to the same place', async () => {
  const stranger = harness.browser()
  const login = await stranger.open('/account/?action=org.matrix.session_end&device_id=AAAAAAAAAA')
  expect(login.url.pathname).toBe('/login')
  const back = await login.submit({ username, password: PASSWORD }, { action: 'login' })
  expect(back.url.pathname).toMatch(/^\/account\/sessions\/[0-9A-Z]{26}\/end$/)
  expect(back.text).toContain('AAAAAAAAAA')
})

test('GET /account/: a device that is not there leads to the list (MSC4191)', async () => {
  const page = await browser.open('/account/?action=org.matrix.session_end&device_id=NOTMYDEVICE')
  expect([page.status, page.url.pathname]).toEqual([200, '/account/sessions'])
})

test('POST /account/sessions/{id}/end: says first what it means, then the app is signed out and its device goes', async () => {
  const { app } = await endings()
  const asked = await browser.open(app)
  expect(asked.url.pathname).toBe(app)
  expect(await isActive()).toBe(true)
  const done = await asked.submit({}, { action: app })
  expect(done.url.pathname).toBe('/account/sessions')
  expect(done.text).toContain('That device is signed out.')
  expect((await browser.open('/account/sessions')).text).not.toContain('That device is signed out.')
  expect(await isActive()).toBe(false)
  await harness.runJobs()
  expect(harness.homeserver.devicesOf(username)).toEqual([])
  const again = await browser.open(app)
  expect(again.url.pathname).toBe('/account/sessions')
  expect(again.text).toContain('That device was already signed out.')
})

test('POST /account/sessions/{id}/end: this browser’s own session signs it out, the app stays', async () => {
  const { own } = await endings()
  const page = await (await browser.open(own)).submit({}, { action: own })
  expect(page.url.pathname).toBe('/login')
  expect((await browser.open('/account/')).url.pathname).toBe('/login')
  expect(await isActive()).toBe(true)
})

test('POST /account/sessions/{id}/end: a form of another site, or for somebody else’s session, ends nothing', async () => {
  const { app } = await endings()
  const foreign = await browser.post(app, { confirm: '1', csrf: 'A'.repeat(43) })
  expect([foreign.status, foreign.url.pathname]).toEqual([422, app])
  const { browser: other } = await signedInApp(harness, `${username}-other`)
  expect((await other.open(app)).text).toContain('That device was already signed out.')
  const csrf = /name="csrf" value="([^"]+)"/.exec((await other.open('/account/')).text)?.[1] ?? ''
  expect((await other.post(app, { confirm: '1', csrf })).text).toContain(
    'That device was already signed out.',
  )
  expect(await isActive()).toBe(true)
})

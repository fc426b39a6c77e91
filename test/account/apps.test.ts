import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { csrfOf, signInApp } from '../support/account.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, introspect, signedInApp, type TokenBody } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

let people = 0
let username: string
let browser: Browser
let clientId: string
let tokens: TokenBody
beforeEach(async () => {
  username = `person${++people}`
  ;({ browser, clientId, tokens } = await signedInApp(harness, username))
})

const isActive = async (token: TokenBody) => (await introspect(harness, token.access_token)).active
const revokeAddress = async () =>
  /href="(\/account\/apps\/\w{26}\/revoke)"/.exec((await browser.open('/account/apps')).text)?.[1] ?? ''

test('GET /account/apps: one entry for an app, however many devices it has, with what it may do in words', async () => {
  await signInApp(harness, browser, clientId, 'SECONDSECOND')
  const { text } = await browser.open('/account/apps')
  expect(text.split('<li class="app">')).toHaveLength(2)
  expect(text).toContain('Signed in on 2 devices')
  expect(text.split('Read and send messages').length - 1).toBe(1)
  expect(text).not.toContain('urn:matrix')
})

test('POST /account/apps/{id}/revoke: ends its sessions, forgets the answer, and is asked about again', async () => {
  const second = await signInApp(harness, browser, clientId, 'SECONDSECOND')
  const address = await revokeAddress()
  const asked = await browser.open(address)
  expect(asked.text).toContain('on 2 devices at once')
  const done = await asked.submit({}, { action: 'revoke' })
  expect([done.url.pathname, done.text.includes('no longer has access')]).toEqual(['/account/apps', true])
  expect([await isActive(tokens), await isActive(second)]).toEqual([false, false])
  await harness.runJobs()
  expect(harness.homeserver.devicesOf(username)).toEqual([])
  expect((await browser.open('/account/apps')).text).toContain('No app uses your account yet.')
  expect((await browser.open(authorizeUrl(clientId, { scope: 'openid' }))).url.pathname).toMatch(
    /^\/consent\//,
  )
  const again = await asked.submit({}, { action: 'revoke' })
  expect(again.text).toContain('That app had no access to your account.')
})

test('an app without a session is listed while the answer is remembered', async () => {
  const csrf = csrfOf(await browser.open('/account/'))
  await browser.post('/account/sessions/end-others', { csrf, apps: '1' })
  expect((await browser.open('/account/apps')).text).toContain('Not signed in just now')
})

test('POST /account/apps/{id}/revoke: a form of another site and another person take nothing away', async () => {
  const address = await revokeAddress()
  const foreign = await browser.post(address, { csrf: 'A'.repeat(43) })
  expect(foreign.text).toContain('Remove the access of')
  const stranger = harness.browser()
  expect((await stranger.open(address)).url.pathname).toBe('/login')
  const { browser: other } = await signedInApp(harness, `${username}-other`)
  const csrf = csrfOf(await other.open('/account/'))
  await other.post(address, { csrf })
  expect(await isActive(tokens)).toBe(true)
  expect((await other.open('/account/apps/x/revoke')).url.pathname).toBe('/account/apps')
})

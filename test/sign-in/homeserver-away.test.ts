import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Fetch } from '../../src/matrix/homeserver/homeserver.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, PASSWORD, registerClient, signUp } from '../support/oauth.ts'

let harness: Harness
/** Requests that were tried towards the homeserver. */
let tried = 0
beforeAll(async () => {
  const counting: Fetch = (input, init) => {
    tried += 1
    return harness.homeserver.fetch(input, init)
  }
  harness = await createHarness({ fetch: counting })
})
afterAll(() => harness.close())

test('pages stay fast while the homeserver is away, and go on by themselves when it is back', async () => {
  const browser = harness.browser()
  await signUp(browser, 'ada')
  const { client_id: clientId } = await registerClient(harness)
  const consent = async () => (await browser.open(authorizeUrl(clientId))).text
  const register = await harness.browser().open('/register')
  const signingUp = () =>
    register.submit(
      { username: 'newcomer', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
  Object.assign(harness.homeserver.users.get('ada') ?? {}, { displayName: 'Ada of the homeserver' })
  expect(await consent()).toContain('Ada of the homeserver')

  harness.homeserver.down = true
  tried = 0
  // The name is one that a page can do without: one try each, and none after three of them.
  for (let visit = 0; visit < 6; visit++) expect(await consent()).toContain('ada Example')
  expect(tried).toBe(3)
  tried = 0
  // A sign-up needs the answer: three tries each, none after three of them, and what was typed stays.
  for (let attempt = 0; attempt < 6; attempt++) {
    const held = await signingUp()
    expect([held.status, held.text.includes('value="newcomer"')]).toEqual([503, true])
  }
  expect(tried).toBe(9)

  harness.homeserver.down = false
  harness.clock.advance(5)
  expect(await consent()).toContain('Ada of the homeserver')
  expect((await signingUp()).url.pathname).toContain('display-name')
})

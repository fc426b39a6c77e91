import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { setPolicyData } from '../../../src/identity/policy-data.ts'
import type { Browser } from '../../support/browser.ts'
import { createHarness, type Harness } from '../../support/harness.ts'
import { mailConfig, startMailServer } from '../../support/mail-server.ts'
import { authorizeUrl, PASSWORD, registerClient, signUp, WEB_CLIENT } from '../../support/oauth.ts'
import { moduleFile } from './fixture.ts'

let harness: Harness
let browser: Browser
beforeAll(async () => {
  harness = await createHarness({
    config: {
      policy: {
        wasm_module: await moduleFile(),
        data: { registration: { banned_usernames: { literals: ['carol'] }, of_its_own: 1 } } as object,
      },
    },
  })
  browser = harness.browser()
})
afterAll(() => harness.close())

const tryName = async (username: string) => {
  const form = await harness.browser().open('/register')
  return form.submit(
    { username, password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
}
const register = (metadata: object) =>
  harness.request('/oauth2/registration', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...WEB_CLIENT, ...metadata }),
  })

describe("with the operator's own module (policy.wasm_module)", () => {
  test('sign-up: a code that we know has our text, another violation its own', async () => {
    const banned = await tryName('mallory')
    expect(banned.status).toBe(422)
    expect(banned.text).not.toContain('No mallory here.')
    const own = await tryName('tuesday')
    expect(own.status).toBe(422)
    expect(own.text).toContain('Not on a Tuesday.')
  })

  test('sign-up goes on when the module allows it, also where our own rules would not', async () => {
    expect((await tryName('carol')).url.pathname).toContain('/display-name')
  })

  test('sign-up: what the module says of an address that nobody asked for stops the form, not the check of a name', async () => {
    const refused = await tryName('wants-mail')
    expect(refused.status).toBe(422)
    expect(refused.text).toContain('An address, please.')
    const check = await harness.request('/register/check?username=wants-mail')
    expect(await check.json()).toMatchObject({ status: 'available' })
  })

  test('the module sees what was set at run time', async () => {
    expect((await tryName('blocked')).url.pathname).toContain('/display-name')
    await setPolicyData(harness.deps, { anything: { of_its_own: 'block-them' } })
    expect((await tryName('blocked')).text).toContain('Blocked by data.')
  })

  test('client registration: a text about redirect_uri gives that code', async () => {
    const response = await register({ client_name: 'Evil' })
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: 'invalid_redirect_uri', error_description: 'redirect_uri is not welcome' },
    ])
    // Another host than client_uri: the module has no rule about it.
    expect((await register({ redirect_uris: ['https://else.example.com/'] })).status).toBe(201)
  })

  test('consent: refused by the module, back to the client; allowed otherwise', async () => {
    await signUp(browser, 'alice')
    const { client_id } = await registerClient(harness)
    const forbidden = authorizeUrl(client_id, { scope: 'openid urn:forbidden' })
    // Of a client that the person never agreed to, on a page (RFC 9700 section 4.11.2).
    const stopped = await browser.open(forbidden)
    expect(stopped.url.pathname).toContain('/consent/')
    expect(stopped.text).toContain('That scope is forbidden.')
    const allowed = await browser.open(authorizeUrl(client_id, { scope: 'openid urn:of-their-own' }))
    expect(allowed.url.pathname).toContain('/consent/')
    await allowed.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    const refused = await browser.open(forbidden)
    expect(refused.url.searchParams.get('error')).toBe('invalid_scope')
    expect(refused.url.searchParams.get('error_description')).toBe('That scope is forbidden.')
  })

  test.each(['trap', 'silent', 'nonsense', 'loop'])(
    'a module that gives no answer (%s) lets nobody in: 500, in the log, and no word of it outside',
    async (username) => {
      harness.logged.length = 0
      const page = await tryName(username)
      expect(page.status).toBe(500)
      expect(page.text).not.toMatch(/wasm|violation|unreachable/)
      expect(JSON.stringify(harness.logged.map(({ fields }) => String(fields.error)))).toContain(
        'policy.wasm_module',
      )
      expect((await tryName(`after-${username}`)).url.pathname).toContain('/display-name')
    },
  )
})

test('sign-up with an address: the module sees both, and what it says of the address is told there', async () => {
  const server = await startMailServer()
  const withMail = await createHarness({
    config: {
      email: mailConfig(server),
      account: { password_registration_enabled: true, password_registration_email_required: true },
      policy: { wasm_module: await moduleFile() },
    },
  })
  const begin = async (username: string, email: string) => {
    const form = await withMail.browser().open('/register')
    return form.submit(
      { username, email, password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
  }
  const refused = await begin('both', 'both@example.org')
  expect(refused.status).toBe(422)
  expect(refused.text).toContain('Not both the same.')
  expect((await begin('both', 'other@example.org')).url.pathname).toContain('/verify-email')
  await withMail.close()
  await server.close()
})

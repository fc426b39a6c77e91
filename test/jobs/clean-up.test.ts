import { afterAll, beforeAll, expect, test } from 'bun:test'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { logoutLegacy, postMatrix } from '../support/legacy.ts'
import { authorizeUrl, PASSWORD, registerClient, signedInApp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const DAY = 24 * 3600
const count = async (
  table: 'authorization_grants' | 'registrations' | 'compat_logins' | 'compat_tokens',
): Promise<number> => {
  const { sql } = harness.database
  const [row] = await sql<{ rows: number }[]>`select count(*)::int as rows from ${sql(`latchkey.${table}`)}`
  return row?.rows ?? 0
}
const cleanUp = () => jobHandlers(harness.deps)['clean-up']({})

test('clean-up: sign-ups that nobody finished go after a day, requests after a week, finished sign-ups after 30 days', async () => {
  await signedInApp(harness, 'finished')
  const stranger = harness.browser()
  const { client_id: clientId } = await registerClient(harness)
  await stranger.open(authorizeUrl(clientId))
  const form = await stranger.open('/register')
  await form.submit(
    { username: 'abandoned', password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
  expect([await count('registrations'), await count('authorization_grants')]).toEqual([2, 2])

  await cleanUp()
  expect([await count('registrations'), await count('authorization_grants')]).toEqual([2, 2])
  harness.clock.advance(DAY + 60)
  await cleanUp()
  expect([await count('registrations'), await count('authorization_grants')]).toEqual([1, 2])
  harness.clock.advance(6 * DAY)
  await cleanUp()
  expect([await count('registrations'), await count('authorization_grants')]).toEqual([1, 0])
  harness.clock.advance(24 * DAY)
  await cleanUp()
  expect(await count('registrations')).toBe(0)
})

test('clean-up: logins by SSO go after a day unless their session is active, tokens 30 days after their session ended', async () => {
  const { browser } = await signedInApp(harness, 'legacy')
  const sso = '/_matrix/client/v3/login/sso/redirect?redirectUrl=https://chat.example.com/'
  await harness.request(sso)
  const page = await browser.open(sso)
  const { url } = await page.submit({}, { action: 'complete-compat-sso/', button: ['action', 'continue'] })
  const login = { type: 'm.login.token', token: url.searchParams.get('loginToken') }
  const { body } = await postMatrix(harness, 'login', login)
  expect([await count('compat_logins'), await count('compat_tokens')]).toEqual([2, 1])
  harness.clock.advance(DAY + 60)
  await cleanUp()
  expect([await count('compat_logins'), await count('compat_tokens')]).toEqual([1, 1])
  await logoutLegacy(harness, String(body.access_token))
  harness.clock.advance(29 * DAY)
  await cleanUp()
  expect([await count('compat_logins'), await count('compat_tokens')]).toEqual([0, 1])
  harness.clock.advance(2 * DAY)
  await cleanUp()
  expect(await count('compat_tokens')).toBe(0)
})

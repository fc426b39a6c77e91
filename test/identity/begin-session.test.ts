import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { insertEmail } from '../../sql/users.ts'
import { killSessions } from '../../src/identity/lifecycle.ts'
import { listSecurityEvents } from '../../src/identity/security-log.ts'
import { newId } from '../../src/lib/ulid.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { PASSWORD, signUp } from '../support/oauth.ts'

const CHROME = 'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36'

let server: MailServer
let harness: Harness
beforeAll(async () => {
  server = await startMailServer()
  harness = await createHarness({ config: { email: mailConfig(server) } })
})
afterAll(async () => {
  await harness.close()
  await server.close()
})
beforeEach(() => {
  server.mails.length = 0
})

let people = 0
async function person(): Promise<{ browser: Browser; username: string; userId: string; address: string }> {
  const username = `person${++people}`
  const browser = harness.browser()
  await signUp(browser, username)
  const [user] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.users where username = ${username}`
  const [userId, address, now] = [user?.id ?? '', `${username}@example.test`, harness.clock.now()]
  await insertEmail(harness.deps.sql, {
    id: newId(now, harness.deps.random),
    userId,
    email: address,
    folded: address,
    now,
  })
  return { browser, username, userId, address }
}
async function signIn(browser: Browser, username: string, password = PASSWORD): Promise<void> {
  harness.clock.advance(1)
  const page = await browser.open('/login')
  await page.submit({ username, password }, { action: 'login' })
}
const signOut = async (browser: Browser) => (await browser.open('/account/')).submit({}, { action: 'logout' })
const kinds = async (userId: string) =>
  (await listSecurityEvents(harness.deps, userId, { limit: 10 })).map(({ kind }) => kind)
const subjects = async () => {
  await harness.runJobs()
  return server.mails.map(({ subject }) => subject)
}

test('a sign-in with a browser that was not used before: the owner gets a mail, once for each browser', async () => {
  const { username, userId, address } = await person()
  const other = harness.browser({ 'user-agent': CHROME })
  await signIn(other, username)
  expect(await subjects()).toEqual(['Sign-in from a new browser'])
  const { text } = server.last(address)
  expect(text).toContain('Chrome, Windows')
  expect(text).toContain('sign out whatever you do not know')
  await signOut(other)
  await signIn(other, username)
  expect(await subjects()).toHaveLength(1)
  expect(await kinds(userId)).toEqual(['signed_in', 'signed_in_new_browser', 'signed_up'])
})

test('the browser of the sign-up is known; a wrong password is no sign-in', async () => {
  const { browser, username, userId } = await person()
  await signOut(browser)
  await signIn(browser, username, 'not the password')
  await signIn(browser, username)
  expect(await subjects()).toEqual([])
  expect(await kinds(userId)).toEqual(['signed_in', 'signed_up'])
})

test('a browser that one account knows is new to another, and the table does not tell that they share it', async () => {
  const [one, two] = [await person(), await person()]
  await signOut(one.browser)
  await signIn(one.browser, two.username)
  expect(await subjects()).toEqual(['Sign-in from a new browser'])
  expect(server.last(two.address).to).toEqual([two.address])
  const rows = await harness.database.sql<{ browser_hash: Uint8Array }[]>`
    select browser_hash from latchkey.known_browsers where user_id in (${one.userId}, ${two.userId})`
  expect(new Set(rows.map(({ browser_hash }) => browser_hash.toHex())).size).toBe(3)
})

test('after the end of all sessions every browser is new again', async () => {
  const { browser, username, userId } = await person()
  await killSessions(harness.deps, userId)
  await subjects()
  server.mails.length = 0
  browser.cookies.delete('session')
  await signIn(browser, username)
  expect(await subjects()).toEqual(['Sign-in from a new browser'])
})

test('the cookie of a known browser is HttpOnly, kept 400 days, and is no session', async () => {
  const { browser, username } = await person()
  await signOut(browser)
  const page = await browser.open('/login')
  const response = await harness.form(
    '/login',
    { username, password: PASSWORD, csrf: /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '' },
    { cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
  )
  const known = response.headers.getSetCookie().find((cookie) => cookie.startsWith('known=')) ?? ''
  expect(known).toMatch(/^known=[\w-]{43}; Path=\/; Max-Age=34560000; HttpOnly; SameSite=Lax$/)
  const thief = harness.browser()
  thief.cookies.set('known', browser.cookies.get('known') ?? '')
  expect((await thief.open('/account/')).url.pathname).toBe('/login')
})

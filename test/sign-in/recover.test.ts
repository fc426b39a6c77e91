import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { insertEmail } from '../../sql/users.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { deactivate, lock, setPassword } from '../../src/identity/lifecycle.ts'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import { listSecurityEvents } from '../../src/identity/security-log.ts'
import { newId } from '../../src/lib/ulid.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { NO_LIMITS, PLENTY } from '../support/limits.ts'
import { type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { authorizeUrl, introspect, PASSWORD, registerClient, signedInApp, signUp } from '../support/oauth.ts'

const NEW_PASSWORD = 'an entirely different passphrase 7'
const ENABLED: ConfigInput = {
  account: {
    password_registration_enabled: true,
    password_registration_email_required: false,
    password_recovery_enabled: true,
  },
}

let server: MailServer
let harness: Harness
beforeAll(async () => {
  server = await startMailServer()
  harness = await createHarness({
    config: { email: mailConfig(server), ...ENABLED, rate_limiting: NO_LIMITS },
  })
})
afterAll(async () => {
  await harness.close()
  await server.close()
})
beforeEach(async () => {
  await harness.runJobs()
  server.mails.length = 0
  harness.logged.length = 0
})

let people = 0
interface Person {
  browser: Browser
  username: string
  userId: string
  address: string
}
async function addAddress(userId: string, email: string, duplicate = false): Promise<void> {
  const now = harness.clock.now()
  const row = { id: newId(now, harness.deps.random), userId, email, folded: email.toLowerCase(), now }
  if (!duplicate) await insertEmail(harness.deps.sql, row)
  else
    await harness.database.sql`
      insert into latchkey.user_emails (id, user_id, email, email_folded, imported_duplicate, created_at)
      values (${row.id}, ${userId}, ${email}, ${row.folded}, true, ${now})`
}
async function idOf(username: string): Promise<string> {
  const [row] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.users where username = ${username}`
  return row?.id ?? ''
}
/** Somebody who signed up in a browser and has an address. */
async function person(): Promise<Person> {
  const username = `person${++people}`
  const browser = harness.browser()
  await signUp(browser, username)
  const userId = await idOf(username)
  const address = `${username}@example.test`
  await addAddress(userId, address)
  return { browser, username, userId, address }
}

/** Asks for a link in a browser; gives the page that follows. */
async function ask(browser: Browser, address: string, start = '/recover'): Promise<Page> {
  const page = await browser.open(start)
  return page.submit({ email: address }, { action: 'recover' })
}
const linksTo = (address: string): string[] =>
  [
    ...server.last(address).text.matchAll(/http:\/\/auth\.test(\/account\/password\/recovery\?ticket=\w+)/g),
  ].map(([, path = '']) => path)
async function linkFor(browser: Browser, address: string): Promise<string> {
  await ask(browser, address)
  await harness.runJobs()
  return linksTo(address)[0] ?? ''
}
const choose = (page: Page, fields: Record<string, string> = {}): Promise<Page> =>
  page.submit(
    { password: NEW_PASSWORD, password_confirm: NEW_PASSWORD, end_sessions: 'on', ...fields },
    { action: 'account/password/recovery' },
  )
async function canSignIn(username: string, password: string): Promise<boolean> {
  const page = await harness.browser().open('/login')
  return (await page.submit({ username, password }, { action: 'login' })).url.pathname !== '/login'
}
const isSignedIn = async (browser: Browser): Promise<boolean> =>
  (await browser.open('/account/')).url.pathname === '/account/'

describe('a lost password, by mail', () => {
  test('the link of the mail sets a new password and signs in; other sessions end, and the owner is told', async () => {
    const { username, userId, address, browser } = await person()
    const app = await signedInApp(harness, `${username}-app`)
    const lost = harness.browser({ 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/140.0' })
    const progress = await ask(lost, address)
    expect(progress.url.pathname).toMatch(/^\/recover\/progress\/[0-9A-Z]{26}$/)
    expect(progress.text).toContain(address)
    await harness.runJobs()
    const mail = server.last(address)
    expect(mail.text).toContain(`@${username}:example.test`)
    expect(mail.text).toContain('Firefox, Linux')
    expect(mail.text).toContain('10 minutes')
    const [link = ''] = linksTo(address)
    expect(mail.html).toContain(link)

    const form = await lost.open(link)
    expect([form.status, form.headers.get('referrer-policy')]).toEqual([200, 'no-referrer'])
    expect(form.text).toContain(`@${username}:example.test`)
    server.mails.length = 0
    const done = await choose(form)
    expect(done.url.pathname).toBe('/account/')
    expect(await isSignedIn(lost)).toBe(true)
    expect(await isSignedIn(browser)).toBe(false)
    expect(await canSignIn(username, PASSWORD)).toBe(false)
    expect(await canSignIn(username, NEW_PASSWORD)).toBe(true)
    // Nobody else is signed out.
    expect((await introspect(harness, app.tokens.access_token)).active).toBe(true)
    await harness.runJobs()
    expect(server.mails.map(({ subject }) => subject)).toContain('Password reset')
    const kinds = (await listSecurityEvents(harness.deps, userId, { limit: 20 })).map(({ kind }) => kind)
    expect(kinds).toEqual(expect.arrayContaining(['password_reset', 'recovery_requested', 'signed_up']))
  })

  test('its apps are signed out too, unless the box is not ticked', async () => {
    for (const stays of [false, true]) {
      const username = `appuser${++people}`
      const { browser, tokens } = await signedInApp(harness, username)
      await addAddress(await idOf(username), `${username}@example.test`)
      const lost = harness.browser()
      const form = await lost.open(await linkFor(lost, `${username}@example.test`))
      const fields = { password: NEW_PASSWORD, password_confirm: NEW_PASSWORD }
      await form.submit(stays ? fields : { ...fields, end_sessions: 'on' }, { action: 'recovery' })
      expect((await introspect(harness, tokens.access_token)).active).toBe(stays)
      expect(await isSignedIn(browser)).toBe(stays)
      await harness.runJobs()
      expect(harness.homeserver.devicesOf(username)).toHaveLength(stays ? 1 : 0)
    }
  })

  test('goes on to the app that the person was on the way to, in the browser that asked', async () => {
    const { address } = await person()
    const { client_id: clientId } = await registerClient(harness)
    const lost = harness.browser()
    const login = await lost.open(authorizeUrl(clientId))
    const start = /href="(\/recover\?[^"]+)"/.exec(login.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
    await ask(lost, address, start)
    await harness.runJobs()
    const done = await choose(await lost.open(linksTo(address)[0] ?? ''))
    expect(done.url.pathname).toMatch(/^\/consent\//)
    await ask(lost, address, start)
    await harness.runJobs()
    const elsewhere = harness.browser()
    const there = await choose(await elsewhere.open(linksTo(address)[0] ?? ''))
    expect(there.url.pathname).toBe('/account/')
  })

  test('a GET changes nothing, however often a mail scanner makes it; nor does a form of another site', async () => {
    const { username, address } = await person()
    const lost = harness.browser()
    const link = await linkFor(lost, address)
    for (let times = 0; times < 3; times++) {
      expect((await harness.browser().open(link)).status).toBe(200)
      expect((await harness.request(link, { method: 'HEAD' })).status).toBe(200)
    }
    const ticket = new URL(link, 'http://auth.test').searchParams.get('ticket') ?? ''
    const fields = { ticket, password: NEW_PASSWORD, password_confirm: NEW_PASSWORD, end_sessions: 'on' }
    const foreign = await lost.post('/account/password/recovery', { ...fields, csrf: 'A'.repeat(43) })
    expect(foreign.status).toBe(422)
    expect(await canSignIn(username, PASSWORD)).toBe(true)
    expect((await choose(await lost.open(link))).url.pathname).toBe('/account/')
  })

  test('a link works once: of two browsers that race one gets in, and afterwards nobody', async () => {
    const { username, address, userId } = await person()
    const link = await linkFor(harness.browser(), address)
    const browsers = [harness.browser(), harness.browser()]
    const forms = await Promise.all(browsers.map((browser) => browser.open(link)))
    const done = await Promise.all(
      forms.map((form, at) =>
        choose(form, { password: `${NEW_PASSWORD} ${at}`, password_confirm: `${NEW_PASSWORD} ${at}` }),
      ),
    )
    expect(done.map(({ status }) => status).sort()).toEqual([200, 410])
    const winner = done.findIndex(({ status }) => status === 200)
    expect(await canSignIn(username, `${NEW_PASSWORD} ${winner}`)).toBe(true)
    expect(await canSignIn(username, `${NEW_PASSWORD} ${1 - winner}`)).toBe(false)
    const again = await harness.browser().open(link)
    expect([again.status, again.text.includes('does not work any more')]).toEqual([410, true])
    const events = await listSecurityEvents(harness.deps, userId, { limit: 20 })
    expect(events.filter(({ kind }) => kind === 'password_reset')).toHaveLength(1)
  })

  test('a link is too old after ten minutes, and ends when the account gets another password', async () => {
    const { address, userId } = await person()
    const lost = harness.browser()
    const old = await linkFor(lost, address)
    const form = await lost.open(old)
    harness.clock.advance(599)
    expect((await lost.open(old)).status).toBe(200)
    harness.clock.advance(1)
    expect((await lost.open(old)).status).toBe(410)
    expect((await choose(form)).status).toBe(410)
    const other = await linkFor(lost, address)
    await setPassword(harness.deps, userId, await harness.deps.passwords.hash('set by an administrator'))
    expect((await lost.open(other)).status).toBe(410)
  })

  test('a link that was used ends all others of the account', async () => {
    const { address } = await person()
    const lost = harness.browser()
    const first = await linkFor(lost, address)
    const second = await linkFor(lost, address)
    expect(second).not.toBe(first)
    await choose(await lost.open(second))
    expect((await harness.browser().open(first)).status).toBe(410)
  })

  test('a weak or mistyped password is asked for again, with the choice kept, and the link stays good', async () => {
    const { username, address } = await person()
    const lost = harness.browser()
    const form = await lost.open(await linkFor(lost, address))
    for (const fields of [
      { password: 'password1', password_confirm: 'password1' },
      { password: username, password_confirm: username },
      { password: NEW_PASSWORD, password_confirm: 'something else' },
      { password: '', password_confirm: '' },
      { password: 'x'.repeat(5000), password_confirm: 'x'.repeat(5000) },
    ]) {
      const page = await form.submit(fields, { action: 'recovery' })
      expect(page.status).toBe(422)
      expect(page.text).not.toMatch(/name="end_sessions"[^>]* checked/)
      expect(page.text).not.toContain(NEW_PASSWORD)
    }
    expect((await choose(form)).url.pathname).toBe('/account/')
  })

  test('signs in over whoever was signed in in that browser, whose session ends', async () => {
    const { address } = await person()
    const other = await person()
    const cookies = new Map(other.browser.cookies)
    const done = await choose(await other.browser.open(await linkFor(harness.browser(), address)))
    expect(done.text).not.toContain(`@${other.username}:`)
    const copy = harness.browser()
    for (const [name, value] of cookies) copy.cookies.set(name, value)
    expect(await isSignedIn(copy)).toBe(false)
  })
})

describe('who gets a mail', () => {
  test('nobody learns whether an address has an account: the same answer, and the same rows', async () => {
    const { address } = await person()
    const [known, unknown] = [harness.browser(), harness.browser()]
    const answers = [await ask(known, address), await ask(unknown, 'nobody@example.test')]
    const plain = answers.map(({ text, status }) => [
      status,
      text
        .replaceAll(address, 'ADDRESS')
        .replaceAll('nobody@example.test', 'ADDRESS')
        .replaceAll(/progress\/\w{26}/g, 'ID')
        .replaceAll(/name="csrf" value="[^"]+"/g, 'CSRF'),
    ])
    expect(plain[0]).toEqual(plain[1])
    await harness.runJobs()
    expect(server.mails.map(({ to }) => to)).toEqual([[address]])
  })

  test('the mail goes to the address as its owner wrote it, not as a stranger did', async () => {
    const { userId } = await person()
    await addAddress(userId, 'Mike@example.test')
    await ask(harness.browser(), 'MI\u212aE@example.test')
    await harness.runJobs()
    expect(server.mails.map(({ to }) => to)).toEqual([['Mike@example.test']])
  })

  test('several accounts of one address are in one mail, each with a link of its own', async () => {
    const [one, two] = [await person(), await person()]
    await addAddress(two.userId, one.address, true)
    const lost = harness.browser()
    await ask(lost, one.address)
    await harness.runJobs()
    expect(server.mails).toHaveLength(1)
    const { text } = server.last(one.address)
    expect(text).toContain(`@${one.username}:example.test`)
    expect(text).toContain(`@${two.username}:example.test`)
    const links = linksTo(one.address)
    expect(links).toHaveLength(2)
    await choose(await lost.open(links[1] ?? ''))
    expect(await canSignIn(two.username, NEW_PASSWORD)).toBe(true)
    expect(await canSignIn(one.username, PASSWORD)).toBe(true)
    // The other account's link is not touched.
    expect((await harness.browser().open(links[0] ?? '')).status).toBe(200)
  })

  test('a locked account is named and gets no link; one that is locked later keeps its link for afterwards', async () => {
    const { userId, address, username } = await person()
    await lock(harness.deps, userId)
    await ask(harness.browser(), address)
    await harness.runJobs()
    expect(linksTo(address)).toEqual([])
    expect(server.last(address).text).toContain('locked')
    const other = await person()
    const lost = harness.browser()
    const link = await linkFor(lost, other.address)
    const form = await lost.open(link)
    await lock(harness.deps, other.userId)
    expect((await choose(form)).text).toContain('This account is locked')
    expect(await isSignedIn(lost)).toBe(false)
    expect(username).not.toBe(other.username)
  })

  test('a deactivated account gets no mail, and its links end', async () => {
    const { userId, address } = await person()
    const lost = harness.browser()
    const link = await linkFor(lost, address)
    await deactivate(harness.deps, userId, false)
    expect((await lost.open(link)).status).toBe(410)
    await harness.runJobs()
    server.mails.length = 0
    await ask(lost, address)
    await harness.runJobs()
    expect(server.mails).toEqual([])
  })

  test('an account without a password gets none, unless the operator allows it (flows 13, 11)', async () => {
    const { userId, address } = await person()
    await harness.database.sql`delete from latchkey.user_passwords where user_id = ${userId}`
    await ask(harness.browser(), address)
    await harness.runJobs()
    expect(linksTo(address)).toEqual([])
    expect(server.last(address).text).toContain('another service')
    const account = { ...ENABLED.account, passwordless_recovery_allowed: true }
    const config = { email: mailConfig(server), rate_limiting: NO_LIMITS, account }
    const generous = await createHarness({ beside: harness, config })
    const lost = generous.browser()
    await ask(lost, address)
    await generous.runJobs()
    const [link = ''] = linksTo(address)
    // Where it is not allowed, the link of the other server does nothing.
    expect((await harness.browser().open(link)).status).toBe(410)
    expect((await choose(await lost.open(link))).url.pathname).toBe('/account/')
    await generous.close()
  })
})

describe('what must not work', () => {
  test.each(['', 'x', 'a'.repeat(32), 'a'.repeat(5000), '%00', "' or 1=1 --"])(
    'the ticket %j',
    async (ticket) => {
      const page = await harness
        .browser()
        .open(`/account/password/recovery?ticket=${encodeURIComponent(ticket)}`)
      expect(page.status).toBe(410)
    },
  )

  test('many wrong tickets of one address are limited', async () => {
    const limited = await createHarness({
      beside: harness,
      config: { email: mailConfig(server), ...ENABLED },
    })
    const open = () => limited.browser().open(`/account/password/recovery?ticket=${'b'.repeat(32)}`)
    const statuses: number[] = []
    for (let times = 0; times < 32; times++) statuses.push((await open()).status)
    expect(statuses[0]).toBe(410)
    expect(statuses.at(-1)).toBe(429)
    await limited.close()
  })

  test.each(['', 'alice', 'alice@example.test, eve@evil.test', 'a@b\r\nBcc: eve@evil.test'])(
    'POST /recover: %j is no address',
    async (address) => {
      const page = await ask(harness.browser(), address)
      expect([page.status, page.url.pathname]).toEqual([422, '/recover'])
    },
  )

  test('the page of a request belongs to the browser that made it', async () => {
    const { address } = await person()
    const { url } = await ask(harness.browser(), address)
    const stranger = await harness.browser().open(url.pathname)
    expect([stranger.url.pathname, stranger.text.includes(address)]).toEqual(['/recover', false])
    expect((await harness.browser().open('/recover/progress/x')).url.pathname).toBe('/recover')
  })

  test('neither the log nor the queue nor the outbox knows a ticket or the address', async () => {
    const { address } = await person()
    harness.logged.length = 0
    const lost = harness.browser()
    await ask(lost, address)
    await harness.deps.jobs.runDue({
      ...(await import('../../src/jobs/handlers.ts')).jobHandlers(harness.deps),
      'send-mail': async () => {},
    })
    const stored = [
      ...(await harness.database.sql`select * from latchkey.mails`),
      ...(await harness.database.sql`select data, output from latchkey_jobs.job`),
      ...(await harness.database.sql`select digest from latchkey.recovery_tickets`),
      harness.logged,
    ]
    expect(JSON.stringify(stored)).not.toContain(address)
    expect(JSON.stringify(stored)).not.toContain('ticket=')
  })
})

describe('limits (reference operations 7)', () => {
  const limitedHarness = (over: ConfigInput['rate_limiting']) =>
    createHarness({
      beside: harness,
      config: {
        email: mailConfig(server),
        ...ENABLED,
        rate_limiting: { ...NO_LIMITS, ...over },
      },
    })

  test('account_recovery.per_address: counts known and unknown addresses alike, resends too', async () => {
    const limited = await limitedHarness({
      account_recovery: { per_ip: PLENTY, per_address: { burst: 2, per_second: 1 / 3600 } },
    })
    for (const address of [(await person()).address, 'nobody-limited@example.test']) {
      const browser = limited.browser()
      const first = await ask(browser, address)
      const again = await first.submit({}, { action: 'recover/progress' })
      expect(again.text).toContain('on its way once more')
      const third = await again.submit({}, { action: 'recover/progress' })
      expect([third.status, third.headers.get('retry-after')]).toEqual([429, '3600'])
      expect((await ask(limited.browser(), address.toUpperCase())).status).toBe(429)
    }
    await limited.close()
  })

  test('account_recovery.per_ip', async () => {
    const limited = await limitedHarness({
      account_recovery: { per_ip: { burst: 1, per_second: 1 / 60 }, per_address: PLENTY },
    })
    await ask(limited.browser(), 'one@example.test')
    const page = await ask(limited.browser(), 'two@example.test')
    expect(page.status).toBe(429)
    expect(page.text).toContain('value="two@example.test"')
    await limited.close()
  })
})

test('account.password_recovery_enabled off: no link at sign-in, no page, and links of mails end', async () => {
  const { address } = await person()
  const link = await linkFor(harness.browser(), address)
  const off = await createHarness({ beside: harness, config: { email: mailConfig(server) } })
  const browser = off.browser()
  expect((await browser.open('/login')).text).not.toContain('/recover')
  const page = await browser.open('/recover')
  expect([page.status, page.text.includes('<form method="post" action="/recover')]).toEqual([200, false])
  const csrf = /name="csrf" value="([^"]+)"/.exec((await browser.open('/login')).text)?.[1] ?? ''
  expect((await browser.post('/recover', { csrf, email: address })).status).toBe(403)
  expect((await browser.open(link)).status).toBe(410)
  await off.close()
})

test('the link of an administrator: works once, for a day, also where recovery is off, and tells the owner', async () => {
  const { username, userId, address } = await person()
  const off = await createHarness({ beside: harness, config: { email: mailConfig(server) } })
  const link = await issueRecoveryLink(off.deps, userId)
  await off.runJobs()
  expect(server.last(address).subject).toBe('Link to a new password made')
  expect(server.last(address).raw).not.toContain('ticket=')
  const path = link.replace('http://auth.test', '')
  harness.clock.advance(23 * 3600)
  const browser = off.browser()
  expect((await choose(await browser.open(path))).url.pathname).toBe('/account/')
  expect(await canSignIn(username, NEW_PASSWORD)).toBe(true)
  expect((await off.browser().open(path)).status).toBe(410)
  const late = (await issueRecoveryLink(off.deps, userId)).replace('http://auth.test', '')
  harness.clock.advance(24 * 3600)
  expect((await off.browser().open(late)).status).toBe(410)
  await off.close()
})

test('a mail server that is down changes nothing for the person, and the mail comes later', async () => {
  const { address } = await person()
  await server.close()
  try {
    const page = await ask(harness.browser(), address)
    expect(page.status).toBe(200)
    await harness.runJobs()
    expect(server.mails).toEqual([])
  } finally {
    server = await startMailServer({}, server.port)
  }
  await harness.database.sql`update latchkey_jobs.job set start_after = now() where state = 'retry'`
  await harness.runJobs()
  expect(linksTo(address)).toHaveLength(1)
})

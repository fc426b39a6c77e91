import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { findUserByName, insertEmail, insertUser } from '../../sql/users.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { addEmail } from '../../src/identity/emails.ts'
import { newId } from '../../src/lib/ulid.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { NO_LIMITS } from '../support/limits.ts'
import { codeIn, type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { PASSWORD } from '../support/oauth.ts'

const config = (limits: object = {}): ConfigInput => ({
  email: mailConfig(server),
  account: {
    password_registration_enabled: true,
    password_registration_email_required: true,
    password_recovery_enabled: true,
  },
  policy: { data: { banned_domains: ['banned.test'] } },
  rate_limiting: { ...NO_LIMITS, email_authentication: { ...NO_LIMITS.email_authentication, ...limits } },
})

let server: MailServer
let harness: Harness
beforeAll(async () => {
  server = await startMailServer()
  harness = await createHarness({ config: config() })
})
afterAll(async () => {
  await harness.close()
  await server.close()
})
beforeEach(async () => {
  await harness.database.sql`delete from latchkey.rate_limits`
  await harness.runJobs()
  server.mails.length = 0
  harness.logged.length = 0
})

let people = 0
const newName = () => `person${++people}`

/** Sends the first page of a sign-up. */
async function begin(browser: Browser, username: string, email: string): Promise<Page> {
  const page = await browser.open('/register')
  return page.submit(
    { username, email, password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
}
async function codeFor(address: string): Promise<string> {
  await harness.runJobs()
  return codeIn(server.last(address))
}
const enter = (page: Page, code: string): Promise<Page> => page.submit({ code }, { action: 'verify-email' })
const resend = (page: Page): Promise<Page> =>
  page.submit({}, { action: 'verify-email', button: ['action', 'resend'] })
const change = (page: Page, email: string): Promise<Page> =>
  page.submit({ email }, { action: 'verify-email', button: ['action', 'change'] })
const finish = (page: Page): Promise<Page> =>
  page.submit({ display_name: 'Somebody' }, { action: 'display-name', button: ['action', 'set'] })
const emailsOf = async (username: string): Promise<string[]> => {
  const [user] = await findUserByName(harness.deps.sql, username, username)
  const rows = await harness.database.sql<{ email: string }[]>`
    select email from latchkey.user_emails where user_id = ${user?.id ?? newId(new Date(), harness.deps.random)}`
  return rows.map(({ email }) => email)
}
const exists = async (username: string): Promise<boolean> =>
  (await findUserByName(harness.deps.sql, username, username)).length > 0
/** An account that has an address. */
async function owner(address: string): Promise<string> {
  const { sql, clock, random } = harness.deps
  const [id, username, now] = [newId(clock.now(), random), newName(), clock.now()]
  await insertUser(sql, { id, username, folded: username, displayName: null, isAdmin: false, now })
  await insertEmail(sql, {
    id: newId(now, random),
    userId: id,
    email: address,
    folded: address.toLowerCase(),
    now,
  })
  return username
}
const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0')

describe('sign-up with an address (account.password_registration_email_required)', () => {
  test('the code of the mail opens the next step, and the account has the address; the homeserver hears of it', async () => {
    const [browser, username] = [harness.browser(), newName()]
    const address = `${username}@example.test`
    const step = await begin(browser, username, ` ${address} `)
    expect(step.url.pathname).toMatch(/^\/register\/steps\/\w{26}\/verify-email$/)
    expect(step.text).toContain(address)
    const code = await codeFor(address)
    const mail = server.last(address)
    expect(mail.subject).toContain(code)
    expect(mail.html).toContain(code)
    expect(mail.text).toContain(`@${username}:example.test`)
    expect(mail.text).toContain('10 minutes')
    const name = await enter(step, `${code.slice(0, 3)} ${code.slice(3)}`)
    expect(name.url.pathname).toEndWith('/display-name')
    await finish(name)
    expect(await emailsOf(username)).toEqual([address])
    await harness.runJobs()
    expect(harness.homeserver.users.get(username)?.emails).toEqual([address])
    // Neither is anybody told of a new browser, nor sent a second code.
    expect(server.mails).toHaveLength(1)
  })

  test.each([
    ['', 'Enter an email address'],
    ['nobody', 'not an email address'],
    ['a@b.test, c@d.test', 'not an email address'],
    ['a@banned.test', 'not accepted here'],
    ['a@BANNED.test', 'not accepted here'],
  ])('%j is refused at its field, and no mail leaves', async (address, words) => {
    const username = newName()
    const page = await begin(harness.browser(), username, address)
    expect([page.status, page.url.pathname]).toEqual([422, '/register/password'])
    expect(page.text.replaceAll('&#x27;', "'")).toContain(words)
    await harness.runJobs()
    expect(server.mails).toEqual([])
  })

  test('no step goes past the code: not by address, not by a form, not with a wrong code', async () => {
    const [browser, username] = [harness.browser(), newName()]
    const address = `${username}@example.test`
    const step = await begin(browser, username, address)
    const code = await codeFor(address)
    for (const attempt of [wrong(code), '000000x', '', '１２３', `${code}0`, code.slice(1)]) {
      if (attempt === code) continue
      const page = await enter(step, attempt)
      expect([attempt, page.status]).toEqual([attempt, 422])
    }
    const base = step.url.pathname.replace('/verify-email', '')
    for (const path of ['display-name', 'finish'])
      expect((await browser.open(`${base}/${path}`)).url.pathname).toBe(step.url.pathname)
    const csrf = /name="csrf" value="([^"]+)"/.exec(step.text)?.[1] ?? ''
    const forced = await browser.post(`${base}/display-name`, { csrf, display_name: 'Eve', action: 'set' })
    expect(forced.url.pathname).toBe(step.url.pathname)
    expect(await exists(username)).toBe(false)
    expect((await enter(step, code)).url.pathname).toEndWith('/display-name')
  })

  test('a code is too old after ten minutes (flows 13, 1)', async () => {
    const [browser, username] = [harness.browser(), newName()]
    const address = `${username}@example.test`
    const step = await begin(browser, username, address)
    const code = await codeFor(address)
    harness.clock.advance(600)
    const late = await enter(step, code)
    expect([late.status, late.text.includes('too old')]).toEqual([422, true])
    await resend(step)
    expect((await enter(step, await codeFor(address))).url.pathname).toEndWith('/display-name')
  })

  test('another code ends the one before (flows 13, 1), and codes of two sign-ups are not the same', async () => {
    const [browser, username] = [harness.browser(), newName()]
    const address = `${username}@example.test`
    const step = await begin(browser, username, address)
    const first = await codeFor(address)
    const again = await resend(step)
    expect(again.text).toContain('A new code is on its way')
    const second = await codeFor(address)
    expect(second).not.toBe(first)
    expect((await enter(step, first)).status).toBe(422)
    const other = newName()
    const otherStep = await begin(harness.browser(), other, `${other}@example.test`)
    await codeFor(`${other}@example.test`)
    expect((await enter(otherStep, second)).status).toBe(422)
    expect((await enter(step, second)).url.pathname).toEndWith('/display-name')
  })

  test('a mistyped address can be corrected: the code goes to the new one, the old code ends', async () => {
    const [browser, username] = [harness.browser(), newName()]
    const step = await begin(browser, username, `typo-${username}@example.test`)
    const old = await codeFor(`typo-${username}@example.test`)
    const bad = await change(step, 'not an address')
    expect([bad.status, bad.text.includes('value="not an address"')]).toEqual([422, true])
    expect((await change(step, 'a@banned.test')).status).toBe(422)
    const address = `${username}@example.test`
    const changed = await change(step, address)
    expect(changed.text).toContain(address)
    expect((await enter(changed, old)).status).toBe(422)
    await finish(await enter(changed, await codeFor(address)))
    expect(await emailsOf(username)).toEqual([address])
  })

  test('the step belongs to its browser, and is over after an hour', async () => {
    const [browser, username] = [harness.browser(), newName()]
    const address = `${username}@example.test`
    const step = await begin(browser, username, address)
    const code = await codeFor(address)
    const stranger = harness.browser()
    expect((await stranger.open(step.url.pathname)).status).toBe(404)
    const csrf = /name="csrf" value="([^"]+)"/.exec((await stranger.open('/login')).text)?.[1] ?? ''
    expect((await stranger.post(step.url.pathname, { csrf, code })).status).toBe(404)
    expect((await browser.post(step.url.pathname, { csrf: 'x', code })).status).toBe(422)
    harness.clock.advance(3600)
    expect((await enter(step, code)).status).toBe(410)
  })

  test('the right code sent twice at once leads on twice, and proves the address once; back and again too', async () => {
    const [browser, username] = [harness.browser(), newName()]
    const address = `${username}@example.test`
    const step = await begin(browser, username, address)
    const code = await codeFor(address)
    const pages = await Promise.all([enter(step, code), enter(step, code)])
    for (const page of pages) expect(page.url.pathname).toEndWith('/display-name')
    expect((await enter(step, code)).url.pathname).toEndWith('/display-name')
    expect((await browser.open(step.url.pathname)).url.pathname).toEndWith('/display-name')
    expect((await change(step, 'another@example.test')).url.pathname).toEndWith('/display-name')
    const [one] = pages
    if (!one) throw new Error('no page')
    await finish(one)
    expect(await emailsOf(username)).toEqual([address])
  })
})

describe('an address that has an account', () => {
  test('is not revealed on the page; its owner gets a mail that leads to sign-in and recovery, and no code', async () => {
    const address = `owner-${newName()}@example.test`
    const account = await owner(address)
    const [known, unknown] = [newName(), newName()]
    const pages = [
      await begin(harness.browser(), known, address.toUpperCase()),
      await begin(harness.browser(), unknown, `${unknown}@example.test`),
    ]
    const plain = pages.map(({ status, text }) => [
      status,
      text
        .replaceAll(address.toUpperCase(), 'ADDRESS')
        .replaceAll(`${unknown}@example.test`, 'ADDRESS')
        .replaceAll(/steps\/\w{26}/g, 'ID')
        .replaceAll(/name="csrf" value="[^"]+"/g, 'CSRF'),
    ])
    expect(plain[0]).toEqual(plain[1])
    await harness.runJobs()
    const mail = server.last(address)
    expect(mail.to).toEqual([address])
    expect(mail.subject).toBe('You have an account already')
    expect(mail.text).toContain(`@${account}:example.test`)
    expect(mail.text).toContain('http://auth.test/login')
    expect(mail.text).toContain('http://auth.test/recover')
    expect(mail.raw).not.toMatch(/\b\d{6}\b(?=[^>]*$)/m)
    expect(server.mails.filter(({ to }) => to.includes(address))).toHaveLength(1)
    const [page] = pages
    if (!page) throw new Error('no page')
    expect((await enter(page, '123456')).status).toBe(422)
  })

  test('taken while the sign-up was under way: whoever proved it is told, and goes on with another one', async () => {
    const [browser, username] = [harness.browser(), newName()]
    const address = `${username}@example.test`
    const step = await begin(browser, username, address)
    const name = await enter(step, await codeFor(address))
    const other = await owner(`else-${username}@example.test`)
    const [user] = await findUserByName(harness.deps.sql, other, other)
    await addEmail(harness.deps, harness.deps.sql, user?.id ?? '', address.toUpperCase())
    const back = await finish(name)
    expect([back.url.pathname, await exists(username)]).toEqual([step.url.pathname, false])
    expect(back.text).toContain('belongs to an account by now')
    const changed = await change(back, `second-${username}@example.test`)
    await finish(await enter(changed, await codeFor(`second-${username}@example.test`)))
    expect(await emailsOf(username)).toEqual([`second-${username}@example.test`])
  })

  test('two sign-ups race for one address: one account gets it', async () => {
    const address = `race-${newName()}@example.test`
    const names = [newName(), newName()]
    const steps: Page[] = []
    for (const username of names) {
      const step = await begin(harness.browser(), username, address)
      steps.push(await enter(step, await codeFor(address)))
    }
    const ends = await Promise.all(steps.map(finish))
    expect(ends.filter(({ url }) => url.pathname.endsWith('/verify-email'))).toHaveLength(1)
    const rows = await harness.database.sql`select 1 from latchkey.user_emails where email = ${address}`
    expect(rows).toHaveLength(1)
  })
})

describe('limits (reference operations 7)', () => {
  const limited = (limits: object) => createHarness({ beside: harness, config: config(limits) })

  test('attempt_per_session: guesses at one code', async () => {
    const here = await limited({ attempt_per_session: { burst: 3, per_second: 1 / 60 } })
    const username = newName()
    const step = await begin(here.browser(), username, `${username}@example.test`)
    const code = await codeFor(`${username}@example.test`)
    for (let times = 0; times < 3; times++) expect((await enter(step, wrong(code))).status).toBe(422)
    const stopped = await enter(step, code)
    expect([stopped.status, stopped.headers.get('retry-after')]).toEqual([429, '60'])
    here.clock.advance(60)
    expect((await enter(step, code)).url.pathname).toEndWith('/display-name')
    await here.close()
  })

  test('emails_per_session, per_address and per_ip: mails', async () => {
    const once = { burst: 1, per_second: 1 / 3600 }
    const session = await limited({ emails_per_session: once })
    const username = newName()
    const step = await begin(session.browser(), username, `${username}@example.test`)
    expect((await resend(step)).status).toBe(200)
    expect((await resend(step)).status).toBe(429)
    const moved = await change(step, `else-${username}@example.test`)
    expect([moved.status, moved.text.includes(`value="else-${username}@example.test"`)]).toEqual([429, true])
    await session.close()
    const address = await limited({ per_address: once })
    await begin(address.browser(), newName(), `${username}@example.test`)
    const second = await begin(address.browser(), newName(), `${username.toUpperCase()}@example.test`)
    expect([second.status, second.url.pathname]).toEqual([429, '/register/password'])
    await address.close()
    const ip = await limited({ per_ip: once })
    harness.clock.advance(60)
    expect((await begin(ip.browser(), newName(), 'one@example.test')).status).toBe(200)
    expect((await begin(ip.browser(), newName(), 'two@example.test')).status).toBe(429)
    await ip.close()
  })
})

test('neither the database nor the log knows a code', async () => {
  const username = newName()
  const address = `${username}@example.test`
  const step = await begin(harness.browser(), username, address)
  const before = [...(await harness.database.sql`select * from latchkey.mails`)]
  const code = await codeFor(address)
  await enter(step, wrong(code))
  await enter(step, code)
  const after = [
    ...(await harness.database.sql`select * from latchkey.email_verifications`),
    ...(await harness.database.sql`select * from latchkey.mails`),
    ...(await harness.database.sql`select data, output from latchkey_jobs.job`),
    ...harness.logged,
  ]
  expect(JSON.stringify([before, harness.logged])).not.toContain(address)
  expect(JSON.stringify([before, after])).not.toContain(`"${code}"`)
  expect(JSON.stringify(harness.logged)).not.toContain(code)
})

test('with mail off nobody could prove an address: sign-up is closed', async () => {
  const { email: _, ...rest } = config()
  const closed = await createHarness({ beside: harness, config: rest })
  const page = await closed.browser().open('/register')
  expect(page.text).toContain('New accounts are closed')
  await closed.close()
})

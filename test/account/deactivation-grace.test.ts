import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { lock, unlock } from '../../src/identity/lifecycle.ts'
import { openMail } from '../../src/identity/mails.ts'
import type { DeactivationMail } from '../../src/render/contexts-mail.ts'
import { csrfOf, signInElsewhere } from '../support/account.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD, signUp } from '../support/oauth.ts'

const GRACE = 14 * 86_400
const UNDO = '/account/deactivate/undo'
const DEACTIVATE = '/account/deactivate'

let harness: Harness
let people = 0
let username: string
let browser: Browser
let userId: string
beforeAll(async () => {
  harness = await createHarness({
    config: {
      account: { deactivation_grace_period: GRACE },
      email: { transport: 'smtp', mode: 'plain', hostname: '127.0.0.1', port: 1 },
    } as never,
  })
})
afterAll(() => harness.close())
beforeEach(async () => {
  username = `leaver${++people}`
  browser = harness.browser()
  await signUp(browser, username)
  const [user] = await harness.deps.sql<{ id: string }[]>`
    select id from latchkey.users where username = ${username}`
  userId = user?.id ?? ''
  const email = `${username}@example.test`
  await harness.deps.sql`
    insert into latchkey.user_emails (id, user_id, email, email_folded, created_at, is_primary)
    values (${userId}, ${userId}, ${email}, ${email}, now(), true)`
})

const stateOf = async () => {
  const [user] = await harness.deps.sql<{ locked_at: Date | null; deactivated_at: Date | null }[]>`
    select locked_at, deactivated_at from latchkey.users where id = ${userId}`
  return { locked: user?.locked_at !== null, deactivated: user?.deactivated_at !== null }
}
/** The mail that waits for this person, opened. */
const mailOf = async (): Promise<DeactivationMail> => {
  const rows = await harness.deps.sql<{ id: string; sealed_content: string }[]>`
    select id, sealed_content from latchkey.mails where kind = 'deactivation' order by id desc`
  for (const row of rows) {
    const content = await openMail(harness.deps, row)
    const mail = content?.context as DeactivationMail
    if (mail.mxid.includes(`@${username}:`)) return mail
  }
  throw new Error('no mail')
}
const ask = async (): Promise<Page> => {
  const page = await browser.open(DEACTIVATE)
  return browser.post(DEACTIVATE, { csrf: csrfOf(page), confirm: username, erase: '1' })
}
const signIn = async (): Promise<Page> =>
  (await harness.browser().open('/login')).submit({ username, password: PASSWORD }, { action: 'login' })

describe('with account.deactivation_grace_period', () => {
  test('the pages say until when; then nobody signs in, nothing is lost, and no session is left in this browser', async () => {
    expect((await browser.open(DEACTIVATE)).text).toContain('You can take it back until')
    const page = await ask()
    expect(page.text).toContain('Your account will be deactivated')
    expect(page.text).toContain('The mail that we sent you')
    expect(browser.cookies.has('session')).toBe(false)
    expect(await stateOf()).toEqual({ locked: true, deactivated: false })
    const refused = await signIn()
    expect(refused.text).toContain('It will be deactivated on')
    await harness.runJobs()
    expect(harness.homeserver.accountOf(username).locked).toBe(true)
    expect(harness.homeserver.users.get(username)?.deactivated).toBe(false)
  })

  test('GET of the link changes nothing (mail scanners open it); the form brings everything back, sessions too', async () => {
    const elsewhere = await signInElsewhere(harness, username)
    await ask()
    const { link } = await mailOf()
    const opened = harness.browser()
    const page = await opened.open(link)
    expect(page.text).toContain('Keep your account?')
    expect(page.headers.get('referrer-policy')).toBe('no-referrer')
    expect(await stateOf()).toEqual({ locked: true, deactivated: false })
    const done = await page.submit({}, { action: 'undo' })
    expect(done.text).toContain('Your account stays')
    expect(opened.cookies.has('session')).toBe(false)
    expect(await stateOf()).toEqual({ locked: false, deactivated: false })
    expect((await elsewhere.open('/account/')).url.pathname).toBe('/account/')
    // The link is spent, and a second click of the same form is told so.
    expect((await page.submit({}, { action: 'undo' })).status).toBe(410)
    expect((await opened.open(link)).status).toBe(410)
    harness.clock.advance(GRACE)
    await harness.deps.jobs.enqueue(harness.deps.sql, 'deactivate-due', {})
    await harness.runJobs()
    expect(await stateOf()).toEqual({ locked: false, deactivated: false })
  })

  test('a job deactivates when the time is over, as it was asked for, and the link is worth nothing', async () => {
    await ask()
    const { link } = await mailOf()
    const run = async () => {
      await harness.deps.jobs.enqueue(harness.deps.sql, 'deactivate-due', {})
      await harness.runJobs()
    }
    harness.clock.advance(GRACE - 1)
    await run()
    expect((await stateOf()).deactivated).toBe(false)
    harness.clock.advance(1)
    await run()
    expect((await stateOf()).deactivated).toBe(true)
    expect(harness.homeserver.users.get(username)).toMatchObject({ deactivated: true, erased: true })
    expect((await harness.browser().open(link)).status).toBe(410)
  })

  test('two browsers that take it back, and the job: exactly one of them wins', async () => {
    await ask()
    const { link } = await mailOf()
    const pages = await Promise.all([1, 2, 3].map(() => harness.browser().open(link)))
    const answers = await Promise.all(pages.map((page) => page.submit({}, { action: 'undo' })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 410, 410])
  })

  test('an administrator takes it back by unlocking; one who locked the account keeps it locked', async () => {
    await ask()
    const { link } = await mailOf()
    await unlock(harness.deps, userId)
    expect(await stateOf()).toEqual({ locked: false, deactivated: false })
    expect((await harness.browser().open(link)).status).toBe(410)
    browser = await signInElsewhere(harness, username)
    harness.clock.advance(1)
    await ask()
    await lock(harness.deps, userId)
    const page = await harness.browser().open((await mailOf()).link)
    expect((await page.submit({}, { action: 'undo' })).text).toContain('Your account stays')
    expect((await stateOf()).locked).toBe(true)
  })

  test('a link that was never one: 410; a stale form is asked again', async () => {
    expect((await harness.browser().open(`${UNDO}?ticket=${'a'.repeat(32)}`)).status).toBe(410)
    expect((await harness.browser().open(UNDO)).status).toBe(410)
    await ask()
    const ticket = new URL((await mailOf()).link).searchParams.get('ticket') ?? ''
    const stale = await harness.browser().post(UNDO, { csrf: 'A'.repeat(43), ticket })
    expect([stale.status, stale.text.includes(`value="${ticket}"`)]).toEqual([422, true])
    expect((await stateOf()).locked).toBe(true)
  })

  test('without an address no mail is promised', async () => {
    await harness.deps.sql`delete from latchkey.user_emails where user_id = ${userId}`
    const page = await ask()
    expect(page.text).toContain('Ask the people who run')
    expect(page.text).not.toContain('The mail that we sent you')
  })
})

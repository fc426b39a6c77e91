import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { addEmail, removeEmail } from '../../src/identity/emails.ts'
import { listSecurityEvents } from '../../src/identity/security-log.ts'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { csrfOf } from '../support/account.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { NO_LIMITS } from '../support/limits.ts'
import { codeIn, type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { signUp } from '../support/oauth.ts'

const account = {
  password_registration_enabled: true,
  password_registration_email_required: false,
  password_recovery_enabled: true,
}
const config = (over: object = {}): ConfigInput => ({
  email: mailConfig(server),
  account: { ...account, ...over },
  policy: { data: { banned_domains: ['banned.test'] } },
  rate_limiting: NO_LIMITS,
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

let people = 0
let username: string
let userId: string
let browser: Browser
let own: string
beforeEach(async () => {
  await harness.runJobs()
  username = `person${++people}`
  browser = harness.browser()
  await signUp(browser, username)
  userId = (await findUserByName(harness.deps.sql, username, username))[0]?.id ?? ''
  own = `${username}@example.test`
  harness.clock.advance(1)
  await addEmail(harness.deps, harness.deps.sql, userId, own)
  harness.clock.advance(1)
  await harness.runJobs()
  server.mails.length = 0
  harness.logged.length = 0
})

const list = () => browser.open('/account/emails')
/** The addresses of the page in order; a star is the main one. */
async function listed(): Promise<string[]> {
  const items = (await list()).text.split('<li class="session"').slice(1)
  return items
    .filter((item) => item.includes('<h2>'))
    .map((item) => {
      const email = /<h2><bdi dir="ltr">([^<]+)/.exec(item)?.[1] ?? ''
      return item.includes('class="badge"') ? `${email}*` : email
    })
}
const add = async (email: string): Promise<Page> =>
  (await browser.open('/account/emails/add')).submit({ email }, { action: 'emails/add' })
async function codeFor(address: string): Promise<string> {
  await harness.runJobs()
  return codeIn(server.last(address))
}
const enter = (page: Page, code: string): Promise<Page> => page.submit({ code }, { action: '/verify' })
async function addProven(address: string): Promise<Page> {
  const page = await add(address)
  return enter(page, await codeFor(address))
}
const idOf = async (address: string): Promise<string> => {
  const [row] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.user_emails where email = ${address}`
  return ulidFromUuid(row?.id ?? userId)
}
const press = async (action: string): Promise<Page> => (await list()).submit({}, { action })
const kinds = async () =>
  (await listSecurityEvents(harness.deps, userId, { limit: 10 })).map(({ kind }) => kind)

describe('adding an address', () => {
  test('with the code of the mail; the homeserver hears of it, and the old address of the change', async () => {
    const page = await add(`new-${own}`)
    expect(page.url.pathname).toMatch(/^\/account\/emails\/\w{26}\/verify$/)
    const code = await codeFor(`new-${own}`)
    expect(server.last(`new-${own}`).text).toContain(`@${username}:example.test`)
    const done = await enter(page, code)
    expect([done.url.pathname, done.text.includes('The address is yours now.')]).toEqual([
      '/account/emails',
      true,
    ])
    expect(await listed()).toEqual([`${own}*`, `new-${own}`])
    await harness.runJobs()
    expect(harness.homeserver.users.get(username)?.emails).toEqual([own, `new-${own}`])
    const notice = server.last(own)
    expect([notice.subject, notice.text.includes(`new-${own}`)]).toEqual(['Email address added', true])
    expect(await kinds()).toEqual(['email_added', 'signed_up'])
  })

  test('waits in the list until its code comes, and can be given up', async () => {
    await add(`waits-${own}`)
    const page = await list()
    expect(page.text).toContain(`waits-${own}`)
    const [, verify = ''] = /href="(\/account\/emails\/\w{26}\/verify)"/.exec(page.text) ?? []
    const form = await browser.open(verify)
    const code = await codeFor(`waits-${own}`)
    await press('/cancel')
    expect((await list()).text).not.toContain(`waits-${own}`)
    expect((await enter(form, code)).url.pathname).toBe('/account/emails')
    expect(await listed()).toEqual([own])
  })

  test.each([
    ['', 'Enter an email address'],
    ['x', 'not an email address'],
    ['x@banned.test', 'not accepted here'],
  ])('%j is refused at its field', async (address, words) => {
    const page = await add(address)
    expect([page.status, page.text.includes(words)]).toEqual([422, true])
    await harness.runJobs()
    expect(server.mails).toEqual([])
  })

  test('one that is there already, in any case of its letters', async () => {
    const page = await add(own.toUpperCase())
    expect([page.status, page.text.includes('among yours already')]).toEqual([422, true])
  })

  test('one of another account: the page says nothing, its owner gets a mail, and no code ever fits', async () => {
    const other = `other${++people}`
    await signUp(harness.browser(), other)
    const [user] = await findUserByName(harness.deps.sql, other, other)
    await addEmail(harness.deps, harness.deps.sql, user?.id ?? '', `${other}@example.test`)
    const page = await add(`${other}@example.test`)
    expect(page.url.pathname).toEndWith('/verify')
    await harness.runJobs()
    expect(server.mails.map(({ subject }) => subject)).toEqual(['You have an account already'])
    expect(server.mails[0]?.text).not.toContain(username)
    expect((await enter(page, '000000')).status).toBe(422)
  })

  test('two accounts that prove one address at once: one gets it, the other is told', async () => {
    const shared = `shared-${own}`
    const one = await add(shared)
    const oneCode = await codeFor(shared)
    const rival = harness.browser()
    await signUp(rival, `rival${++people}`)
    const two = await (await rival.open('/account/emails/add')).submit(
      { email: shared },
      { action: 'emails/add' },
    )
    const twoCode = await codeFor(shared)
    const ends = await Promise.all([enter(one, oneCode), enter(two, twoCode)])
    expect(ends.filter(({ text }) => text.includes('The address is yours now.'))).toHaveLength(1)
    expect(ends.filter(({ text }) => text.includes('belongs to another account'))).toHaveLength(1)
    const rows = await harness.database.sql`select 1 from latchkey.user_emails where email = ${shared}`
    expect(rows).toHaveLength(1)
  })

  test('a code sent twice at once adds the address once, and both browsers see it', async () => {
    const page = await add(`twice-${own}`)
    const code = await codeFor(`twice-${own}`)
    for (const end of await Promise.all([enter(page, code), enter(page, code)]))
      expect([end.url.pathname, end.text.includes('The address is yours now.')]).toEqual([
        '/account/emails',
        true,
      ])
    expect(await listed()).toEqual([`${own}*`, `twice-${own}`])
    expect((await kinds()).filter((kind) => kind === 'email_added')).toHaveLength(1)
  })

  test('the code of one account does nothing for another, and its page is not there', async () => {
    const page = await add(`mine-${own}`)
    const code = await codeFor(`mine-${own}`)
    const rival = harness.browser()
    await signUp(rival, `rival${++people}`)
    expect((await rival.open(page.url.pathname)).url.pathname).toBe('/account/emails')
    const csrf = csrfOf(await rival.open('/account/emails'))
    await rival.post(page.url.pathname, { csrf, code })
    const rows = await harness.database.sql`select 1 from latchkey.user_emails where email = ${`mine-${own}`}`
    expect(rows).toHaveLength(0)
    expect((await enter(page, code)).text).toContain('The address is yours now.')
  })

  test('another code ends the one before; a wrong or old one is told', async () => {
    const page = await add(`again-${own}`)
    const first = await codeFor(`again-${own}`)
    const resent = await page.submit({}, { action: '/verify', button: ['action', 'resend'] })
    expect(resent.text).toContain('A new code is on its way')
    const second = await codeFor(`again-${own}`)
    expect((await enter(page, first)).text).toContain('This code is not right')
    harness.clock.advance(600)
    expect((await enter(page, second)).text).toContain('This code is too old')
  })
})

describe('the main address', () => {
  test('mail goes there, the old one hears of the change, and apps are told this one', async () => {
    const second = `second-${own}`
    await addProven(second)
    await harness.runJobs()
    server.mails.length = 0
    const page = await press('/primary')
    expect(page.text).toContain('goes there from now on')
    expect(await listed()).toEqual([`${second}*`, own])
    await harness.runJobs()
    expect(server.mails.map(({ to, subject }) => [to[0], subject]).sort()).toEqual([
      [own, 'Main email address changed'],
      [second, 'Main email address changed'],
    ])
    const [row] = await harness.database.sql<{ email: string }[]>`
      select email from latchkey.user_emails where user_id = ${userId} and is_primary`
    expect(row?.email).toBe(second)
  })

  test('an address of somebody else is not there', async () => {
    const csrf = csrfOf(await list())
    const [foreign] = await harness.database.sql<{ id: string }[]>`
      select id from latchkey.user_emails where user_id <> ${userId} limit 1`
    const id = ulidFromUuid(foreign?.id ?? '')
    for (const action of ['primary', 'remove']) {
      const page = await browser.post(`/account/emails/${id}/${action}`, { csrf })
      expect(page.text).toContain('not among yours any more')
    }
    expect(await listed()).toEqual([own])
    expect(
      await harness.database.sql`select 1 from latchkey.user_emails where id = ${foreign?.id ?? ''}`,
    ).toHaveLength(1)
  })
})

describe('removing an address', () => {
  test('says first what it means; the address hears of it, the homeserver too, and its links end', async () => {
    const second = `second-${own}`
    await addProven(second)
    const lost = harness.browser()
    await (await lost.open('/recover')).submit({ email: second }, { action: 'recover' })
    await harness.runJobs()
    const link = /\/account\/password\/recovery\?ticket=\w+/.exec(server.last(second).text)?.[0] ?? ''
    expect((await lost.open(link)).status).toBe(200)
    server.mails.length = 0
    const asked = await browser.open(`/account/emails/${await idOf(second)}/remove`)
    expect(asked.text).toContain('Remove this address?')
    expect(await listed()).toContain(second)
    const done = await asked.submit({}, { action: '/remove' })
    expect(done.text).toContain('The address is removed.')
    expect(await listed()).toEqual([own])
    await harness.runJobs()
    expect(server.mails.map(({ to }) => to[0]).sort()).toEqual([own, second])
    expect(harness.homeserver.users.get(username)?.emails).toEqual([own])
    expect((await lost.open(link)).status).toBe(410)
  })

  test('the only one goes, with a warning, where no account needs one; its owner hears of it', async () => {
    const asked = await browser.open(`/account/emails/${await idOf(own)}/remove`)
    expect(asked.text).toContain('your only address')
    await asked.submit({}, { action: '/remove' })
    expect(await listed()).toEqual([])
    await harness.runJobs()
    expect(server.last(own).subject).toBe('Email address removed')
    expect(harness.homeserver.users.get(username)?.emails).toEqual([])
  })

  test('the only one stays where accounts need one, also when two are removed at once (flows 13, 12)', async () => {
    const strict = await createHarness({
      beside: harness,
      config: config({ password_registration_email_required: true }),
    })
    const visitor = strict.browser()
    for (const [name, value] of browser.cookies) visitor.cookies.set(name, value)
    expect((await visitor.open('/account/emails')).text).not.toContain('/remove"')
    const page = await visitor.open(`/account/emails/${await idOf(own)}/remove`)
    expect(page.text).toContain('Add another one first')
    const csrf = csrfOf(page)
    await visitor.post(`/account/emails/${await idOf(own)}/remove`, { csrf })
    expect(await listed()).toEqual([own])
    const second = `second-${own}`
    await addProven(second)
    const ids = await harness.database.sql<{ id: string }[]>`
      select id from latchkey.user_emails where user_id = ${userId}`
    const results = await Promise.all(
      ids.map(({ id }) => removeEmail(strict.deps, userId, id, { keepLast: true })),
    )
    expect(results.sort()).toEqual(['last', 'removed'])
    expect(await listed()).toHaveLength(1)
    await strict.close()
  })
})

describe('who may', () => {
  test('asks who it is when the sign-in is older than ten minutes; a code may come later', async () => {
    const page = await add(`late-${own}`)
    harness.clock.advance(590)
    await page.submit({}, { action: '/verify', button: ['action', 'resend'] })
    const code = await codeFor(`late-${own}`)
    harness.clock.advance(20)
    const id = await idOf(own)
    const csrf = csrfOf(await list())
    for (const path of ['/account/emails/add', `/account/emails/${id}/remove`]) {
      expect((await browser.open(path)).url.pathname).toBe('/account/confirm')
      expect((await browser.post(path, { csrf, email: 'eve@example.test' })).url.pathname).toBe(
        '/account/confirm',
      )
    }
    expect((await browser.post(`/account/emails/${id}/primary`, { csrf })).url.pathname).toBe(
      '/account/confirm',
    )
    expect((await enter(page, code)).text).toContain('The address is yours now.')
  })

  test('a form of another site does nothing', async () => {
    const second = `second-${own}`
    await addProven(second)
    const forged = { csrf: 'A'.repeat(43) }
    const ids = [await idOf(own), await idOf(second)]
    for (const id of ids)
      for (const action of ['primary', 'remove'])
        await browser.post(`/account/emails/${id}/${action}`, forged)
    expect((await browser.post('/account/emails/add', { ...forged, email: 'eve@example.test' })).status).toBe(
      422,
    )
    expect(await listed()).toEqual([`${own}*`, second])
  })

  test('account.email_change_allowed off: the addresses are shown and stay', async () => {
    const fixed = await createHarness({ beside: harness, config: config({ email_change_allowed: false }) })
    const visitor = fixed.browser()
    for (const [name, value] of browser.cookies) visitor.cookies.set(name, value)
    const page = await visitor.open('/account/emails')
    expect(page.text).toContain(own)
    expect(page.text).not.toMatch(/emails\/(add|\w{26})/)
    const csrf = csrfOf(page)
    const id = await idOf(own)
    for (const [path, fields] of [
      ['/account/emails/add', { email: 'eve@example.test' }],
      [`/account/emails/${id}/remove`, {}],
      [`/account/emails/${id}/primary`, {}],
    ] as const)
      expect((await visitor.post(path, { csrf, ...fields })).text).toContain('nothing was changed')
    expect(await listed()).toEqual([own])
    await harness.runJobs()
    expect(server.mails).toEqual([])
    await fixed.close()
  })
})

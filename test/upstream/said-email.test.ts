import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { askToProveEmail } from '../../src/identity/said-email.ts'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import type { Browser } from '../support/browser.ts'
import { NO_LIMITS } from '../support/limits.ts'
import { CODE_LINE, codeIn, type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { createSignedUp } from '../support/oauth.ts'
import { SUGGEST, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

const ANNA = { sub: 'a', preferred_username: 'anna', name: 'Anna', email_verified: false }
const NEW = 'new@harbour.example'

let server: MailServer
let world: UpstreamWorld
beforeAll(async () => {
  server = await startMailServer()
})
afterAll(() => server.close())
beforeEach(() => {
  server.mails.length = 0
})
afterEach(() => world.close())

/** A provider whose addresses nobody vouches for, and Anna, who signed up without one. */
async function start({
  unverified = 'verify',
  sync_on_login = ['email'],
  config = {},
}: {
  unverified?: 'verify' | 'drop'
  sync_on_login?: ('email' | 'displayname')[]
  config?: ConfigInput
} = {}): Promise<void> {
  world = await upstreamWorld(
    { sync_on_login, claims_imports: { ...SUGGEST, email: { action: 'force', unverified } } },
    { config: { rate_limiting: NO_LIMITS, email: mailConfig(server), ...config } },
  )
  world.fake.claims = ANNA
  const page = await world.through(world.harness.browser())
  await signUpThere(page, { username: 'anna', import_display_name: 'on' })
  await world.harness.runJobs()
  server.mails.length = 0
}

/** Signs in, as the provider says then, and gives the browser. */
async function signIn(claims: Record<string, unknown> = {}): Promise<Browser> {
  world.fake.claims = { ...ANNA, ...claims }
  const browser = world.harness.browser()
  await world.through(browser)
  expect((await browser.open('/account/')).url.pathname).toBe('/account/')
  await world.harness.runJobs()
  return browser
}
const mailsTo = (address: string) => server.mails.filter(({ to }) => to.includes(address))
const emails = async () =>
  (await world.harness.deps.sql`select email from latchkey.user_emails order by email`).map(
    ({ email }) => email,
  )
const pendingAt = (text: string): string | undefined =>
  /href="(\/account\/emails\/\w{26}\/verify)"/.exec(text)?.[1]

describe('sync_on_login: an address that the provider does not vouch for (email_verified: false)', () => {
  test('gets a code at the sign-in, waits in the account area, and is the account’s once the code is in', async () => {
    await start()
    const browser = await signIn({ email: NEW })
    const [mail] = mailsTo(NEW)
    expect(mail?.text).toContain('Harbour says that this address is yours.')
    expect(mail?.text).toContain('@anna:example.test')
    expect(await emails()).toEqual([])
    const list = await browser.open('/account/emails')
    const verify = pendingAt(list.text) ?? ''
    // The mail leads there, too.
    expect(mail?.text).toContain(`http://auth.test${verify}`)
    const form = await browser.open(verify)
    const code = codeIn(mail)
    const wrong = await form.submit({ code: code === '000000' ? '000001' : '000000' }, { action: '/verify' })
    expect(wrong.status).toBe(422)
    expect(await emails()).toEqual([])
    const done = await form.submit({ code }, { action: '/verify' })
    expect(done.url.pathname).toBe('/account/emails')
    expect(await emails()).toEqual([NEW])
    expect(pendingAt(done.text)).toBeUndefined()
  })

  test('is asked for once, and another one once more; both wait', async () => {
    await start()
    for (const _ of [1, 2, 3]) await signIn({ email: NEW })
    await signIn({ email: NEW.toUpperCase() })
    expect(server.mails).toHaveLength(1)
    for (const _ of [1, 2]) await signIn({ email: 'newer@harbour.example' })
    expect(mailsTo('newer@harbour.example')).toHaveLength(1)
    const browser = await signIn({ email: 'newer@harbour.example' })
    // A week, where an address that was typed is forgotten after an hour.
    world.harness.clock.advance(24 * 3600)
    const list = (await browser.open('/account/emails')).text
    expect(list).toContain('newer@harbour.example')
    expect(list).toContain(NEW)
    // Once it is forgotten nobody asks again.
    world.harness.clock.advance(8 * 24 * 3600)
    await jobHandlers(world.harness.deps)['clean-up']({}, undefined)
    const later = await signIn({ email: 'newer@harbour.example' })
    expect(server.mails).toHaveLength(2)
    expect(pendingAt((await later.open('/account/emails')).text)).toBeUndefined()
  })

  test('by two sign-ins at once is asked for once', async () => {
    await start()
    const { deps } = world.harness
    const [link] = await deps.sql`select id, user_id from latchkey.upstream_links`
    const who = { userId: link?.user_id, linkId: link?.id }
    const claimant = {
      lang: 'en',
      requester: { ip: '192.0.2.1', userAgent: undefined },
      saidBy: 'Harbour',
    }
    await Promise.all(Array.from({ length: 5 }, () => askToProveEmail(deps, who, NEW, claimant)))
    await world.harness.runJobs()
    expect(mailsTo(NEW)).toHaveLength(1)
  })

  test('is not wanted: it goes from the list, and does not come back with the next sign-in', async () => {
    await start()
    const browser = await signIn({ email: NEW })
    await (await browser.open('/account/emails')).submit({}, { action: '/cancel' })
    const again = await signIn({ email: NEW })
    expect(pendingAt((await again.open('/account/emails')).text)).toBeUndefined()
    expect(server.mails).toHaveLength(1)
  })

  test('waits and can be proven where people may not change addresses themselves', async () => {
    await start({ config: { account: { email_change_allowed: false } } })
    const browser = await signIn({ email: NEW })
    const form = await browser.open(pendingAt((await browser.open('/account/emails')).text) ?? '')
    const code = codeIn(server.last(NEW))
    await form.submit({ code }, { action: '/verify' })
    expect(await emails()).toEqual([NEW])
  })

  test('once the provider vouches for it is taken over, and waits no longer', async () => {
    await start()
    await signIn({ email: NEW })
    const browser = await signIn({ email: NEW, email_verified: true })
    expect(await emails()).toEqual([NEW])
    expect(pendingAt((await browser.open('/account/emails')).text)).toBeUndefined()
    // It is the account's: nobody asks for it any more, whatever the provider says.
    await signIn({ email: NEW })
    expect(mailsTo(NEW).filter(({ text }) => text.includes('Harbour says'))).toHaveLength(1)
  })

  test('of another account: its owner hears of it, nobody gets a code, and the page is the same', async () => {
    await start()
    const { harness } = world
    const { userId } = await createSignedUp(harness, 'owner')
    await harness.deps.sql`
      insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
      values (gen_random_uuid(), ${userId}, ${NEW}, ${NEW}, now())`
    const browser = await signIn({ email: NEW })
    expect(mailsTo(NEW)).toHaveLength(1)
    expect(server.last(NEW).text).toContain('@owner:example.test')
    expect(server.last(NEW).text).not.toMatch(CODE_LINE)
    expect(pendingAt((await browser.open('/account/emails')).text)).toBeDefined()
  })

  test('keeps nobody out when the limit of mails is used up, and is asked for at the next sign-in', async () => {
    const none = { ...NO_LIMITS.email_authentication, per_address: { burst: 1, per_second: 1 / 3600 } }
    await start({ config: { rate_limiting: { ...NO_LIMITS, email_authentication: none } } })
    const { harness } = world
    const { browser } = await createSignedUp(harness, 'owner')
    const add = await browser.open('/account/emails/add')
    await add.submit({ email: NEW }, { action: 'emails/add' })
    await harness.runJobs()
    server.mails.length = 0
    await signIn({ email: NEW })
    expect(server.mails).toEqual([])
    harness.clock.advance(3600)
    await signIn({ email: NEW })
    expect(mailsTo(NEW)).toHaveLength(1)
  })

  test.each<[string, Parameters<typeof start>[0]]>([
    ['unverified: drop', { unverified: 'drop' }],
    ['sync_on_login without email', { sync_on_login: ['displayname'] }],
    ['no way to send mail', { config: { email: { transport: 'blackhole' } } }],
  ])('%s: nobody is asked', async (_, options) => {
    await start(options)
    const browser = await signIn({ email: NEW })
    expect(server.mails).toEqual([])
    expect(pendingAt((await browser.open('/account/emails')).text)).toBeUndefined()
    expect(await emails()).toEqual([])
    expect(await findUserByName(world.harness.deps.sql, 'anna', 'anna')).toHaveLength(1)
  })
})

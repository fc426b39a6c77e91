import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import type { Browser, Page } from '../support/browser.ts'
import { signUp } from '../support/oauth.ts'
import { PROVIDER, SUGGEST, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

const LINKED = `/upstream/authorize/${PROVIDER}?kind=manage_account&page=linked`

let world: UpstreamWorld
afterEach(() => world.close())

const users = async (name: string) =>
  (await world.harness.deps.sql`select 1 from latchkey.users where username = ${name}`).length
/** Nobody got in: a page that says why, with the ways on. */
function expectStopped(page: Page, browser: Browser, sentence: string): void {
  expect(page.status).toBe(403)
  expect(page.text).toContain(sentence)
  expect(page.text).toContain('Sign in another way')
  expect(browser.cookies.has('session')).toBe(false)
}

describe.each(['force', 'require'] as const)('a name that the provider decides about (%s)', (action) => {
  const start = (config: ConfigInput = {}) =>
    upstreamWorld({ claims_imports: { localpart: { action }, displayname: { action: 'force' } } }, { config })

  test.each([
    ['reserved by the operator', 'admin'],
    ['with letters that no name has', 'Anna Müller'],
    ['of digits', '12345'],
    ['that is too long', 'a'.repeat(260)],
  ])('%s leads to a page with a way to link an account (name_refused)', async (_, name) => {
    world = await start({ policy: { data: { registration: { banned_usernames: { literals: ['admin'] } } } } })
    world.fake.claims = { sub: 'a', preferred_username: name, name: 'Somebody' }
    const browser = world.harness.browser()
    const page = await world.through(browser)
    expectStopped(
      page,
      browser,
      `Harbour says that you are ${name}, and there can be no account of that name`,
    )
    // Nor by a form that somebody makes up.
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const forced = await browser.post(page.url.href, { csrf, action: 'register', username: 'other' })
    expect(forced.status).toBe(403)
    expect(await users('other')).toBe(0)
    // The way on: sign in, come back, link.
    await signUp(world.harness.browser(), 'owner')
    const way = /href="(\/login\?kind=link_upstream[^"]*)"/.exec(page.text)?.[1]?.replace('&amp;', '&') ?? ''
    expect((await browser.open(way)).url.pathname).toBe('/login')
  })

  test('that the homeserver gave to an app service is taken', async () => {
    world = await start()
    const { homeserver } = world.harness
    await signUp(world.harness.browser(), 'bridge')
    await world.harness.runJobs()
    expect(homeserver.users.has('bridge')).toBe(true)
    await world.harness.deps.sql`delete from latchkey.users where username = 'bridge'`
    world.fake.claims = { sub: 'a', preferred_username: 'bridge', name: 'Somebody' }
    const browser = world.harness.browser()
    expectStopped(await world.through(browser), browser, 'there is an account of that name here already')
  })
})

describe('an address that the provider decides about (email: force)', () => {
  const claims = { sub: 'a', preferred_username: 'anna', name: 'Anna', email: 'anna@harbour.example' }
  beforeEach(async () => {
    world = await upstreamWorld({ claims_imports: { ...SUGGEST, email: { action: 'force' } } })
    world.fake.claims = { ...claims, email_verified: true }
    await signUpThere(await world.through(world.harness.browser()), {
      username: 'anna',
      import_display_name: 'on',
    })
  })

  test('of another account leads to a page with a way to link it, and into no account (email_taken)', async () => {
    world.fake.claims = { ...claims, sub: 'b', preferred_username: 'ben', email: 'ANNA@harbour.example' }
    const browser = world.harness.browser()
    const page = await world.through(browser)
    expectStopped(page, browser, 'There is an account with your email address here already.')
    expect(page.text).toContain('/login?kind=link_upstream')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    await browser.post(page.url.href, { csrf, action: 'register', username: 'ben' })
    expect(await users('ben')).toBe(0)
  })

  test('and unverified tells nobody whose it is: the code does', async () => {
    world.fake.claims = { ...claims, sub: 'b', preferred_username: 'ben', email_verified: false }
    const page = await world.through(world.harness.browser())
    expect(page.text).not.toContain('There is an account with your email address')
    expect(page.text).toContain('Create your account')
  })
})

describe('registration_token_required', () => {
  const invite = async () => {
    const made = await createRegistrationToken(world.harness.deps, { usageLimit: 1, expiresAt: null })
    return made?.token ?? ''
  }
  const uses = async () =>
    (await world.harness.deps.sql`select times_used from latchkey.registration_tokens`).map(
      ({ times_used }) => times_used,
    )
  const begin = async (browser: Browser, name: string) => {
    world.fake.claims = { sub: name, preferred_username: name, name }
    const page = await world.through(browser, LINKED)
    return page.url.pathname.startsWith('/upstream/link/')
      ? signUpThere(page, { username: name, import_display_name: 'on' })
      : page
  }

  test.each<[string, Parameters<typeof upstreamWorld>[0], ConfigInput['account']]>([
    ['of the provider', { registration_token_required: true }, {}],
    ['of everybody (account)', {}, { registration_token_required: true }],
  ])(
    '%s: no account without an invitation, and one with it, which is used up',
    async (_, provider, account) => {
      world = await upstreamWorld(provider, { config: { account } })
      const token = await invite()
      const browser = world.harness.browser()
      const step = await begin(browser, 'anna')
      expect(step.url.pathname).toEndWith('/token')
      expect((await step.submit({ token: 'nonsense' })).status).toBe(422)
      expect(await users('anna')).toBe(0)
      const done = await step.submit({ token })
      expect(done.url.pathname).toBe('/account/linked')
      expect([await users('anna'), await uses()]).toEqual([1, [1]])
      const next = await begin(world.harness.browser(), 'ben')
      expect((await next.submit({ token })).status).toBe(422)
      expect(await users('ben')).toBe(0)
      // Who has an account needs none.
      const again = world.harness.browser()
      expect((await begin(again, 'anna')).url.pathname).toBe('/account/linked')
    },
  )

  test('of sign-ups with a password is none of the provider’s (password_registration_token_required)', async () => {
    world = await upstreamWorld({}, { config: { account: { password_registration_token_required: true } } })
    expect((await begin(world.harness.browser(), 'anna')).url.pathname).toBe('/account/linked')
    expect(await users('anna')).toBe(1)
  })
})

describe('GET /account/linked', () => {
  const rows = () => world.harness.deps.sql<{ last_used_at: Date }[]>`
    select last_used_at from latchkey.upstream_links`

  test('says when an identity was last used: at each sign-in with it, and at no other', async () => {
    world = await upstreamWorld()
    const { harness, fake, through } = world
    fake.claims = { sub: 'anna', preferred_username: 'anna', name: 'Anna' }
    const browser = harness.browser()
    const linked = await signUpThere(await through(browser, LINKED), {
      username: 'anna',
      import_display_name: 'on',
    })
    expect(linked.url.pathname).toBe('/account/linked')
    const shown = async () => {
      const [row] = await rows()
      const text = (await browser.open('/account/linked')).text
      expect(text).toContain(`<time datetime="${row?.last_used_at.toISOString()}">`)
      return row?.last_used_at.toISOString()
    }
    expect(await shown()).toBe(harness.clock.now().toISOString())
    // Another browser signs in, and the same one proves anew who it is.
    for (const one of [harness.browser(), browser]) {
      harness.clock.advance(3600)
      expect((await through(one, LINKED)).url.pathname).toBe('/account/linked')
      expect(await shown()).toBe(harness.clock.now().toISOString())
    }
    const used = harness.clock.now().toISOString()
    harness.clock.advance(60)
    await browser.open('/account/')
    // And a way that nobody finishes.
    const away = await harness.browser().open(LINKED)
    expect(away.url.origin).toBe(fake.issuer)
    expect(await shown()).toBe(used)
  })

  test('calls it as the button does: by its name, else its brand, else its host', async () => {
    world = await upstreamWorld({ human_name: undefined, brand_name: 'github' } as never)
    world.fake.claims = { sub: 'anna', preferred_username: 'anna', name: 'Anna' }
    const choice = { username: 'anna', import_display_name: 'on' }
    const linked = await signUpThere(await world.through(world.harness.browser(), LINKED), choice)
    expect(linked.text).toContain('GitHub')
    expect(linked.text).not.toContain(world.fake.issuer)
  })
})

describe('what a provider decides about (force) stays so in the steps of a sign-up', () => {
  const email = { transport: 'smtp' as const, hostname: '127.0.0.1', port: 1, mode: 'plain' as const }
  const decided = {
    localpart: { action: 'force' as const },
    displayname: { action: 'force' as const },
    email: { action: 'force' as const },
  }
  const claims = { sub: 'a', preferred_username: 'anna', email: 'anna@harbour.example' }
  const csrfOf = (page: Page) => /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''

  test('the username, where a display name is left to ask', async () => {
    world = await upstreamWorld({ claims_imports: decided })
    world.fake.claims = { ...claims, email_verified: true }
    const browser = world.harness.browser()
    const step = await signUpThere(await world.through(browser, LINKED), {})
    expect(step.url.pathname).toEndWith('/display-name')
    expect(step.text).not.toContain('name="username"')
    const fields = { csrf: csrfOf(step), action: 'set', display_name: 'Me', username: 'captain' }
    const done = await browser.post(step.url.pathname, fields)
    expect(done.url.pathname).toBe('/account/linked')
    expect([await users('anna'), await users('captain')]).toEqual([1, 0])
  })

  test('the address that a code must prove, and the display name', async () => {
    world = await upstreamWorld({ claims_imports: decided }, { config: { email } })
    const { harness, fake } = world
    fake.claims = { ...claims, name: 'Anna', email_verified: false }
    const browser = harness.browser()
    const step = await signUpThere(await world.through(browser, LINKED), {})
    expect(step.url.pathname).toEndWith('/verify-email')
    expect(step.text).not.toContain('value="change"')
    const changed = { csrf: csrfOf(step), action: 'change', email: 'mine@elsewhere.example' }
    expect((await browser.post(step.url.pathname, changed)).text).toContain('anna@harbour.example')
    const asked = await harness.deps.sql`select email from latchkey.email_verifications`
    expect(asked.map((row) => row.email)).toEqual(['anna@harbour.example'])
    // The code is in, and the answer to it was lost: the page of the display name is all that is left.
    await harness.deps.sql`update latchkey.email_verifications set completed_at = now()`
    const name = await browser.open(step.url.pathname)
    expect(name.url.pathname).toEndWith('/display-name')
    expect(name.text).toMatch(/<input[^>]* id="display_name"[^>]* readonly/)
    for (const other of [
      { action: 'set', display_name: 'Captain' },
      { action: 'skip', display_name: '' },
    ]) {
      const fields = { csrf: csrfOf(name), username: 'captain', ...other }
      expect((await browser.post(name.url.pathname, fields)).url.pathname).toBe('/account/linked')
    }
    const [made] = await harness.deps.sql`select username, display_name from latchkey.users`
    expect(made).toEqual({ username: 'anna', display_name: 'Anna' })
  })

  test('a name that somebody took meanwhile ends the sign-up: there is no other to choose', async () => {
    world = await upstreamWorld({ claims_imports: decided })
    world.fake.claims = { ...claims, email_verified: true }
    const browser = world.harness.browser()
    const step = await signUpThere(await world.through(browser, LINKED), {})
    await signUp(world.harness.browser(), 'other')
    await world.harness.deps.sql`
      update latchkey.users set username = 'anna', username_folded = 'anna' where username = 'other'`
    const over = await step.submit({ display_name: 'Me', action: 'set' })
    expect(over.status).toBe(409)
    expect(over.text).toContain('This sign-in is over')
    expect(over.text).not.toContain('name="username"')
    expect(browser.cookies.has('session')).toBe(false)
    // Coming again says what there is to do.
    expectStopped(await world.through(browser), browser, 'there is an account of that name here already')
  })

  test('what is suggested the person may still change there', async () => {
    world = await upstreamWorld({ claims_imports: SUGGEST }, { config: { email } })
    world.fake.claims = { ...claims, name: 'Anna', email_verified: false }
    const browser = world.harness.browser()
    const choice = { username: 'anna', import_email: 'on', import_display_name: 'on' }
    const step = await signUpThere(await world.through(browser, LINKED), choice)
    expect(step.text).toContain('value="change"')
  })
})

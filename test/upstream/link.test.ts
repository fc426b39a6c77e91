import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { addEmail } from '../../src/identity/emails.ts'
import { createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import { jobHandlers } from '../../src/jobs/handlers.ts'
import { transact } from '../../src/lib/transact.ts'
import type { Browser, Page } from '../support/browser.ts'
import { authorizeUrl, PASSWORD, registerClient, signUp } from '../support/oauth.ts'
import { PROVIDER, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

let world: UpstreamWorld
beforeAll(async () => {
  world = await upstreamWorld()
})
afterAll(() => world.close())

let people = 0
let name: string
beforeEach(() => {
  name = `person${++people}`
  world.fake.claims = { sub: `sub-of-${name}`, preferred_username: name, name: `${name} Example` }
})

const LINKED = `/upstream/authorize/${PROVIDER}?kind=manage_account&page=linked`
const everything = { import_email: 'on', import_display_name: 'on' }

async function newPerson(): Promise<Browser> {
  const browser = world.harness.browser()
  await signUpThere(await world.through(browser), { username: name, ...everything })
  expect(browser.cookies.has('session')).toBe(true)
  return browser
}

/** Whose account a browser is signed in to. */
const who = async (browser: Browser): Promise<string | undefined> =>
  /@([^:<]+):example\.test/.exec((await browser.open('/account/')).text)?.[1]

const login = (page: Page, username: string) =>
  page.submit({ username, password: PASSWORD }, { action: '/login' })

describe('the link page: somebody whom nobody knows', () => {
  test('may choose another name, and decline what is suggested', async () => {
    const browser = world.harness.browser()
    const page = await world.through(browser, LINKED)
    expect(page.text).toContain(`value="${name}"`)
    const next = await signUpThere(page, { username: `${name}-2` })
    expect(next.url.pathname).toEndWith('/display-name')
    const done = await next.submit({ display_name: 'Me' }, { button: ['action', 'set'] })
    expect(done.url.pathname).toBe('/account/linked')
    expect(done.text).toContain('Harbour')
    expect(await who(browser)).toBe(`${name}-2`)
  })

  test('hears that a name is taken, with what they chose kept', async () => {
    await signUp(world.harness.browser(), `taken${name}`)
    const page = await world.through(world.harness.browser())
    const again = await signUpThere(page, { username: `taken${name}`, import_display_name: 'on' })
    expect(again.status).toBe(422)
    expect(again.text).toContain('This username is taken.')
  })

  test('who has an account signs in, comes back, and links it', async () => {
    await signUp(world.harness.browser(), name)
    const browser = world.harness.browser()
    const page = await world.through(browser, LINKED)
    const way = /href="(\/login\?kind=link_upstream[^"]*)"/.exec(page.text)?.[1]?.replace('&amp;', '&') ?? ''
    const suggest = await login(await browser.open(way), name)
    expect(suggest.text).toContain('Link Harbour to your account?')
    const done = await suggest.submit({}, { action: '/upstream/link/', button: ['action', 'link'] })
    expect(done.url.pathname).toBe('/account/linked')
    expect(done.text).toContain('Harbour')
    const later = world.harness.browser()
    await world.through(later, LINKED)
    expect(await who(later)).toBe(name)
  })

  test('goes on to the app that they came from', async () => {
    const { client_id } = await registerClient(world.harness)
    const browser = world.harness.browser()
    const start = await browser.open(authorizeUrl(client_id))
    const button = /href="(\/upstream\/authorize\/[^"]*)"/.exec(start.text)?.[1]?.replace('&amp;', '&') ?? ''
    const page = await world.through(browser, button)
    expect(page.headers.get('content-security-policy')).toContain(
      "form-action 'self' https://app.example.com",
    )
    const consent = await signUpThere(page, { username: name, ...everything })
    expect(consent.url.pathname).toStartWith('/consent/')
  })

  test('in another browser sees nothing, whoever sends the address', async () => {
    const page = await world.through(world.harness.browser())
    const other = await world.harness.browser().open(page.url.href)
    expect(other.status).toBe(404)
    expect(other.text).not.toContain(name)
  })

  test('a form that is not ours is shown again, never acted on', async () => {
    const browser = world.harness.browser()
    const page = await world.through(browser)
    const answer = await browser.post(page.url.href, { action: 'register', username: name, csrf: 'x' })
    expect(answer.status).toBe(422)
    expect(browser.cookies.has('session')).toBe(false)
  })
})

describe('the link page: somebody who is signed in', () => {
  test('is asked before an identity is linked, and may say that it is not theirs', async () => {
    const browser = world.harness.browser()
    await signUp(browser, name)
    const page = await world.through(browser, LINKED)
    expect(page.text).toContain('Link Harbour to your account?')
    expect((await browser.open('/account/linked')).text).toContain('Nothing is linked')
    const out = await page.submit({}, { action: '/logout' })
    expect(out.url.pathname).toBe(page.url.pathname)
    expect(out.text).toContain('Create your account')
  })

  test('links with a form of ours only', async () => {
    const browser = world.harness.browser()
    await signUp(browser, name)
    const page = await world.through(browser, LINKED)
    const answer = await browser.post(page.url.href, { action: 'link', csrf: 'x' })
    expect(answer.status).toBe(422)
    expect((await browser.open('/account/linked')).text).toContain('Nothing is linked')
  })

  test('ten minutes ago signs in once more first', async () => {
    const browser = world.harness.browser()
    await signUp(browser, name)
    world.harness.clock.advance(600)
    const page = await world.through(browser, LINKED)
    expect(page.text).toContain('You signed in a while ago.')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    expect((await browser.post(page.url.href, { action: 'link', csrf })).status).toBe(422)
    const confirm = await browser.open(
      `/account/confirm?kind=link_upstream&id=${page.url.pathname.split('/').at(-1)}`,
    )
    const fresh = await confirm.submit({ password: PASSWORD }, { action: '/account/confirm' })
    expect(fresh.url.pathname).toBe(page.url.pathname)
    const done = await fresh.submit({}, { action: '/upstream/link/', button: ['action', 'link'] })
    expect(done.url.pathname).toBe('/account/linked')
    expect(done.text).toContain('Harbour')
  })

  test('with the identity of the account only proves anew who they are', async () => {
    const browser = await newPerson()
    const before = browser.cookies.get('session')
    const page = await world.through(browser, LINKED)
    expect(page.url.pathname).toBe('/account/linked')
    expect(browser.cookies.get('session')).not.toBe(before)
  })

  test('with the identity of another account may switch or stay; nothing is linked, and the way is kept', async () => {
    await newPerson()
    const browser = world.harness.browser()
    await signUp(browser, `other-${name}`)
    const page = await world.through(browser, LINKED)
    expect(page.status).toBe(409)
    expect(page.text).toContain('This belongs to another account')
    const switched = await page.submit({}, { action: '/logout' })
    expect(switched.url.pathname).toBe('/account/linked')
    expect(await who(browser)).toBe(name)
  })

  test('two tabs at once: the second finds that it is done', async () => {
    const browser = world.harness.browser()
    const [one, two] = [await world.through(browser, LINKED), await world.through(browser, LINKED)]
    await signUpThere(one, { username: name, ...everything })
    const second = await signUpThere(two, { username: `${name}-too`, ...everything })
    expect(second.url.pathname).toBe('/account/linked')
    expect(await who(browser)).toBe(name)
  })
})

describe('on_conflict: the provider decides about a name that an account has', () => {
  const force = (on_conflict: 'add' | 'set' | 'replace') => ({
    claims_imports: { localpart: { action: 'force' as const, on_conflict } },
  })
  const arrive = async (own: UpstreamWorld, sub: string) => {
    own.fake.claims = { sub, preferred_username: 'anna' }
    const browser = own.harness.browser()
    return { browser, page: await own.through(browser, LINKED) }
  }

  test.each(['add', 'set', 'replace'] as const)(
    '%s links an account that nothing is linked to',
    async (mode) => {
      const own = await upstreamWorld(force(mode))
      await signUp(own.harness.browser(), 'anna')
      const { browser, page } = await arrive(own, 'one')
      expect(page.url.pathname).toBe('/account/linked')
      expect(await who(browser)).toBe('anna')
      await own.close()
    },
  )

  test.each([
    ['add', true, true],
    ['set', true, false],
    ['replace', false, true],
  ] as const)(
    '%s with another identity linked: the first stays %p, the second gets in %p',
    async (mode, first, second) => {
      const own = await upstreamWorld(force(mode))
      await signUp(own.harness.browser(), 'anna')
      await arrive(own, 'one')
      const { browser } = await arrive(own, 'two')
      expect(browser.cookies.has('session')).toBe(second)
      const links = await own.harness.deps.sql`
      select subject from latchkey.upstream_links where user_id is not null order by subject`
      expect(links.map(({ subject }) => subject)).toEqual([
        ...(first ? ['one'] : []),
        ...(second ? ['two'] : []),
      ])
      await own.close()
    },
  )

  test('where the provider creates no accounts, an account of that name is given all the same (allow_registration: false)', async () => {
    const own = await upstreamWorld({ ...force('add'), allow_registration: false })
    expect((await arrive(own, 'one')).page.text).toContain('cannot be used to create one')
    await signUp(own.harness.browser(), 'anna')
    const { browser, page } = await arrive(own, 'one')
    expect(page.url.pathname).toBe('/account/linked')
    expect(await who(browser)).toBe('anna')
    await own.close()
  })

  test('fail and allow_registration: false say the same, whether somebody has the name or not', async () => {
    const claims_imports = { localpart: { action: 'force' as const } }
    const own = await upstreamWorld({ claims_imports, allow_registration: false })
    const before = await arrive(own, 'one')
    await signUp(own.harness.browser(), 'anna')
    for (const { browser, page } of [before, await arrive(own, 'one')]) {
      expect([page.status, browser.cookies.has('session')]).toEqual([403, false])
      expect(page.text).toContain('cannot be used to create one')
    }
    await own.close()
  })

  test.each(['force', 'require'] as const)(
    'an address of that account does not keep its owner out (email: %s)',
    async (action) => {
      const { localpart } = force('add').claims_imports
      const own = await upstreamWorld({ claims_imports: { localpart, email: { action } } })
      const { deps } = own.harness
      await signUp(own.harness.browser(), 'anna')
      const [user] = await deps.sql<{ id: string }[]>`select id from latchkey.users where username = 'anna'`
      await transact(deps.sql, (tx) => addEmail(deps, tx, user?.id ?? '', 'anna@harbour.example'))
      own.fake.claims = {
        ...{ sub: 'one', preferred_username: 'anna' },
        ...{ email: 'anna@harbour.example', email_verified: true },
      }
      const browser = own.harness.browser()
      expect((await own.through(browser, LINKED)).url.pathname).toBe('/account/linked')
      expect(await who(browser)).toBe('anna')
      await own.close()
    },
  )

  test('a locked account is not given to anybody', async () => {
    const own = await upstreamWorld(force('add'))
    await signUp(own.harness.browser(), 'anna')
    await own.harness.deps.sql`update latchkey.users set locked_at = now()`
    const { browser } = await arrive(own, 'one')
    expect(browser.cookies.has('session')).toBe(false)
    const links = await own.harness.deps.sql`select id from latchkey.upstream_links where user_id is not null`
    expect(links).toHaveLength(0)
    await own.close()
  })
})

describe('skip_confirmation', () => {
  const skip = {
    claims_imports: {
      skip_confirmation: true,
      localpart: { action: 'require' as const },
      email: { action: 'force' as const },
      displayname: { action: 'force' as const },
    },
  }

  test('makes the account without a page', async () => {
    const own = await upstreamWorld(skip)
    own.fake.claims = { sub: 'one', preferred_username: 'anna', name: 'Anna', email: 'anna@harbour.example' }
    const browser = own.harness.browser()
    const page = await own.through(browser, LINKED)
    expect(page.url.pathname).toBe('/account/linked')
    expect(await who(browser)).toBe('anna')
    expect((await browser.open('/account/emails')).text).toContain('anna@harbour.example')
    await own.close()
  })

  test('asks for an invitation where the provider needs one, and then for nothing that the provider said', async () => {
    const own = await upstreamWorld({ ...skip, registration_token_required: true })
    own.fake.claims = { sub: 'one', preferred_username: 'anna', name: 'Anna B.' }
    const browser = own.harness.browser()
    const page = await own.through(browser, LINKED)
    expect(page.url.pathname).toEndWith('/token')
    const invitation = await createRegistrationToken(own.harness.deps, { usageLimit: 1, expiresAt: null })
    const done = await page.submit({ token: invitation?.token ?? '' }, { action: '/token' })
    expect(done.url.pathname).toBe('/account/linked')
    expect(await who(browser)).toBe('anna')
    expect((await browser.open('/account/')).text).toContain('Anna B.')
    await own.close()
  })

  test('says that there can be no account of the name that the provider gives (flows 13, 8)', async () => {
    const own = await upstreamWorld(skip)
    for (const preferred_username of ['no spaces!', '123', 'x'.repeat(300)]) {
      own.fake.claims = { sub: preferred_username.slice(0, 9), preferred_username, name: 'A' }
      const page = await own.through(own.harness.browser(), LINKED)
      expect(page.status).toBe(403)
      expect(page.text).toContain(
        `Harbour says that you are ${preferred_username}, and there can be no account`,
      )
    }
    await own.close()
  })

  test('says which claim is missing', async () => {
    const own = await upstreamWorld(skip)
    own.fake.claims = { sub: 'one' }
    const page = await own.through(own.harness.browser(), LINKED)
    expect(page.status).toBe(403)
    expect(page.text).toContain('Harbour did not tell us your username')
    await own.close()
  })
})

describe('an owner who may not sign in', () => {
  test.each(['locked', 'deactivated'] as const)('is told that the account is %s', async (state) => {
    await newPerson()
    const { sql } = world.harness.deps
    await sql.unsafe(`update latchkey.users set ${state}_at = now() where username = '${name}'`)
    const browser = world.harness.browser()
    const page = await world.through(browser)
    expect(page.text).toContain(`@${name}:example.test`)
    expect(browser.cookies.has('session')).toBe(false)
  })
})

describe('GET and POST /account/linked', () => {
  test('unlinks what is not the last way in', async () => {
    const browser = world.harness.browser()
    await signUp(browser, name)
    await (await world.through(browser, LINKED)).submit(
      {},
      { action: '/upstream/link/', button: ['action', 'link'] },
    )
    const list = await browser.open('/account/linked')
    const way = /href="([^"]*\/unlink)"/.exec(list.text)?.[1] ?? ''
    const done = await (await browser.open(way)).submit({}, { action: '/unlink' })
    expect(done.text).toContain('It is unlinked.')
    expect(done.text).toContain('Nothing is linked')
    expect((await world.through(world.harness.browser())).text).toContain('Create your account')
  })

  test('never unlinks the last way in', async () => {
    const browser = await newPerson()
    const list = await browser.open('/account/linked')
    const way = /href="([^"]*\/unlink)"/.exec(list.text)?.[1] ?? ''
    const done = await (await browser.open(way)).submit({}, { action: '/unlink' })
    expect(done.text).toContain('Nothing else lets you into your account')
    const later = world.harness.browser()
    await world.through(later, LINKED)
    expect(await who(later)).toBe(name)
  })

  test('does not unlink what belongs to somebody else', async () => {
    const theirs = await newPerson()
    const way = /href="([^"]*\/unlink)"/.exec((await theirs.open('/account/linked')).text)?.[1] ?? ''
    const browser = world.harness.browser()
    await signUp(browser, `stranger-${name}`)
    const page = await browser.open('/account/linked')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    expect((await browser.post(way, { csrf })).text).toContain('That was not linked to your account.')
    expect((await theirs.open('/account/linked')).text).toContain('Harbour')
  })
})

test('POST /upstream/link: what a provider said goes once it was used, and the rest a week later (clean-up)', async () => {
  await newPerson()
  const { sql } = world.harness.deps
  const rows = await sql`select answer from latchkey.upstream_sessions where consumed_at is not null`
  expect(rows.every(({ answer }) => answer === null)).toBe(true)
  await world.through(world.harness.browser(), LINKED).catch(() => undefined)
  world.fake.claims = { sub: 'never-came-back' }
  await world.through(world.harness.browser())
  world.harness.clock.advance(8 * 24 * 3600)
  await jobHandlers(world.harness.deps)['clean-up']({})
  const left = await sql`select user_id from latchkey.upstream_links where user_id is null`
  expect(left).toHaveLength(0)
})

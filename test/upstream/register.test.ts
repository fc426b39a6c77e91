import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { approve } from '../../src/identity/approvals.ts'
import { takeRegistration } from '../../src/upstream/register.ts'
import { challengeOf, solve } from '../support/altcha.ts'
import { type Browser, copyCookies, type Page } from '../support/browser.ts'
import { authorizeUrl, registerClient } from '../support/oauth.ts'
import { SUGGEST, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

let people = 0
/** Somebody new at the provider of a world, on the page that makes their account. */
async function arrive(
  world: UpstreamWorld,
  start?: (browser: Browser) => Promise<string>,
): Promise<{ browser: Browser; name: string; page: Page }> {
  const name = `newcomer${++people}`
  world.fake.claims = { sub: `sub-of-${name}`, preferred_username: name, name: `${name} Example` }
  const browser = world.harness.browser()
  return { browser, name, page: await world.through(browser, await start?.(browser)) }
}
const everything = { import_email: 'on', import_display_name: 'on' }
const accounts = async ({ harness }: UpstreamWorld, name: string): Promise<number> =>
  (await harness.deps.sql`select 1 from latchkey.users where username = ${name}`).length
const sessions = async ({ harness }: UpstreamWorld, name: string): Promise<number> =>
  (
    await harness.deps.sql`
      select 1 from latchkey.browser_sessions b join latchkey.users u on u.id = b.user_id
      where u.username = ${name} and b.finished_at is null`
  ).length
const who = async (browser: Browser): Promise<string | undefined> =>
  /@([^:<]+):example\.test/.exec((await browser.open('/account/')).text)?.[1]
/** A browser that never saw the answer to what another one sent. */
const asBefore = (world: UpstreamWorld, browser: Browser): Browser =>
  copyCookies(browser, world.harness.browser())
/** Sends what a page has from a copy of the browser. */
const sendFrom = (browser: Browser, page: Page, fields: Record<string, string>): Promise<Page> => {
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  return browser.post(page.url.pathname, { csrf, action: 'register', ...fields })
}

describe('the check against robots on the page of a sign-up through a provider', () => {
  let world: UpstreamWorld
  beforeAll(async () => {
    world = await upstreamWorld({}, { config: { captcha: { service: 'altcha' } } })
  })
  afterAll(() => world.close())

  test('is asked for, and lets nobody past without an answer', async () => {
    const { browser, name, page } = await arrive(world)
    expect(challengeOf(page)).not.toBe('')
    const refused = await signUpThere(page, { username: name, ...everything })
    expect([refused.status, refused.text.includes('id="captcha-error"')]).toEqual([422, true])
    expect(refused.text).toContain(`value="${name}"`)
    expect(await accounts(world, name)).toBe(0)
    const altcha = await solve(challengeOf(refused))
    await signUpThere(refused, { username: name, ...everything, altcha })
    expect(await who(browser)).toBe(name)
  })

  test('an answer is kept when another field is wrong, and counts once', async () => {
    const { browser, name, page } = await arrive(world)
    const altcha = await solve(challengeOf(page))
    const again = await signUpThere(page, { username: 'No Name', ...everything, altcha })
    expect(again.status).toBe(422)
    expect(again.text).toContain('name="captcha_pass"')
    await signUpThere(again, { username: name, ...everything })
    expect(await who(browser)).toBe(name)
    const other = await arrive(world)
    const reused = await signUpThere(other.page, { username: other.name, ...everything, altcha })
    expect(reused.status).toBe(422)
    expect(await accounts(world, other.name)).toBe(0)
  })

  test('the same form twice at once, with steps left: one sign-up, which both go on with', async () => {
    const { browser, name, page } = await arrive(world)
    const altcha = await solve(challengeOf(page))
    const both = await Promise.all(
      [browser, asBefore(world, browser)].map((one) => sendFrom(one, page, { username: name, altcha })),
    )
    expect(both.map(({ status }) => status)).toEqual([200, 200])
    expect(new Set(both.map(({ url }) => url.pathname)).size).toBe(1)
    expect(both[0]?.url.pathname).toEndWith('/display-name')
  })
})

describe('approval by an administrator (account.registration_requires_approval)', () => {
  test.each([
    ['with a page', false],
    ['without one', true],
  ])('a sign-up through a provider waits for it too, %s', async (_, skips) => {
    const displayname = { action: 'force' as const }
    const skipping = { localpart: { action: 'require' as const }, displayname, skip_confirmation: true }
    const world = await upstreamWorld(
      { claims_imports: skips ? skipping : SUGGEST },
      { config: { account: { registration_requires_approval: true } } },
    )
    const { harness, through } = world
    const { browser, name, page } = await arrive(world)
    const waits = skips ? page : await signUpThere(page, { username: name, ...everything })
    expect(waits.text).toContain('Your account waits for approval')
    expect([await accounts(world, name), await sessions(world, name)]).toEqual([1, 0])
    expect(await who(browser)).toBeUndefined()
    expect((await through(harness.browser())).text).toContain('waits for approval')
    expect([await sessions(world, name), harness.homeserver.users.has(name)]).toEqual([0, false])
    const [user] = await findUserByName(harness.deps.sql, name, name)
    await approve(harness.deps, user?.id ?? '')
    const later = harness.browser()
    await through(later)
    expect(await who(later)).toBe(name)
    await world.close()
  })
})

describe('the limit of accounts from one address (ten times rate_limiting.registration)', () => {
  /** Nine of ten are gone. */
  const useUp = async ({ harness: { deps } }: UpstreamWorld): Promise<void> => {
    for (let count = 0; count < 9; count++) await takeRegistration(deps, undefined)
  }
  const limits = { config: { rate_limiting: { registration: { burst: 1, per_second: 0.001 } } } }

  test('counts sign-ups through a provider, and only forms that are in order', async () => {
    const world = await upstreamWorld({}, limits)
    await useUp(world)
    const first = await arrive(world)
    expect((await signUpThere(first.page, { username: 'No Name', ...everything })).status).toBe(422)
    await signUpThere(first.page, { username: first.name, ...everything })
    expect(await accounts(world, first.name)).toBe(1)
    const second = await arrive(world)
    const limited = await signUpThere(second.page, { username: second.name, ...everything })
    expect(limited.status).toBe(429)
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(limited.text).toContain(`value="${second.name}"`)
    expect(await accounts(world, second.name)).toBe(0)
    world.harness.clock.advance(1001)
    await signUpThere(limited, { username: second.name, ...everything })
    expect(await accounts(world, second.name)).toBe(1)
    await world.close()
  })

  test('also where the account is made without a page (skip_confirmation)', async () => {
    const claims_imports = {
      localpart: { action: 'require' as const },
      displayname: { action: 'force' as const },
      skip_confirmation: true,
    }
    const world = await upstreamWorld({ claims_imports }, limits)
    await useUp(world)
    const first = await arrive(world)
    expect(await who(first.browser)).toBe(first.name)
    const second = await arrive(world)
    expect(second.page.status).toBe(429)
    expect(await accounts(world, second.name)).toBe(0)
    await world.close()
  })
})

describe('the page is the last step, and its form is sent twice (double click without script)', () => {
  let world: UpstreamWorld
  beforeAll(async () => {
    world = await upstreamWorld({ claims_imports: SUGGEST })
  })
  afterAll(() => world.close())

  test('the second is signed in too, and on the way to the app; there is one account and one session', async () => {
    const { client_id } = await registerClient(world.harness)
    const { browser, name, page } = await arrive(world, async (fresh) => {
      const login = await fresh.open(authorizeUrl(client_id))
      return /href="(\/upstream\/authorize\/[^"]*)"/.exec(login.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
    })
    const second = asBefore(world, browser)
    await sendFrom(browser, page, { username: name, ...everything })
    const done = await sendFrom(second, page, { username: name, ...everything })
    expect(done.url.pathname).toStartWith('/consent/')
    expect([await who(browser), await who(second)]).toEqual([name, name])
    expect([await accounts(world, name), await sessions(world, name)]).toEqual([1, 1])
  })

  test('four at the same moment: all signed in to one account', async () => {
    const { browser, name, page } = await arrive(world)
    const browsers = [browser, ...Array.from({ length: 3 }, () => asBefore(world, browser))]
    const pages = await Promise.all(
      browsers.map((one) => sendFrom(one, page, { username: name, ...everything })),
    )
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    for (const one of browsers) expect(await who(one)).toBe(name)
    expect([await accounts(world, name), await sessions(world, name)]).toEqual([1, 1])
  })

  test('with other names at the same moment: one account, which all are signed in to', async () => {
    const { browser, name, page } = await arrive(world)
    const browsers = [browser, ...Array.from({ length: 3 }, () => asBefore(world, browser))]
    const pages = await Promise.all(
      browsers.map((one, turn) => sendFrom(one, page, { username: `${name}-${turn}`, ...everything })),
    )
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    const names = await Promise.all(browsers.map(who))
    expect([new Set(names).size, names[0]?.startsWith(`${name}-`)]).toEqual([1, true])
    expect(world.harness.logged.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('half a minute later, and from another browser, it is over', async () => {
    const { browser, name, page } = await arrive(world)
    const late = asBefore(world, browser)
    await sendFrom(browser, page, { username: name, ...everything })
    const stranger = world.harness.browser()
    expect((await sendFrom(stranger, page, { username: name })).status).toBe(404)
    expect(stranger.cookies.has('session')).toBe(false)
    world.harness.clock.advance(30)
    expect((await sendFrom(late, page, { username: name })).status).toBe(404)
    expect(late.cookies.has('session')).toBe(false)
  })
})

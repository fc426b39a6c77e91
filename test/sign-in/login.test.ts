import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { insertEmail } from '../../sql/users.ts'
import { deactivate, killSessions, lock, setPassword, unlock } from '../../src/identity/lifecycle.ts'
import { fold } from '../../src/lib/fold.ts'
import { newId } from '../../src/lib/ulid.ts'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, introspect, PASSWORD, registerClient, signedInApp, signUp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
  await signUp(harness.browser(), 'alice')
})
afterAll(() => harness.close())

const login = async (browser: Browser, username: string, password = PASSWORD, at = '/login'): Promise<Page> =>
  (await browser.open(at)).submit({ username, password }, { action: 'login' })

const userId = async (username: string): Promise<string> => {
  const [row] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.users where username = ${username}`
  return row?.id ?? ''
}

describe('POST /login', () => {
  test.each(['alice', 'ALICE', ' alice ', '@alice:example.test', '@Alice:EXAMPLE.test', 'ａｌｉｃｅ'])(
    'accepts the name written as %j',
    async (name) => {
      const browser = harness.browser()
      expect((await login(browser, name)).url.pathname).toBe('/')
      expect((await browser.open('/account/')).text).toContain('@alice:example.test')
    },
  )

  test.each([
    ['a wrong password', 'alice', 'wrong'],
    ['an unknown name', 'nobody', PASSWORD],
    ['another server’s id', '@alice:elsewhere.test', PASSWORD],
    ['a NUL in the name', 'alice\0', PASSWORD],
    ['a NUL in the password', 'alice', `${PASSWORD}\0`],
    ['an endless password', 'alice', 'x'.repeat(200_000)],
    ['an endless name', 'x'.repeat(100_000), PASSWORD],
    ['SQL', "' or 1=1 --", PASSWORD],
    ['an address', 'alice@example.test', PASSWORD],
  ])(
    '%s: the same status and words for all, the name stays, the password does not',
    async (_case, name, password) => {
      const page = await login(harness.browser(), name, password)
      expect([page.status, page.url.pathname]).toEqual([422, '/login'])
      expect(page.text).toContain('The username or the password is not right')
      expect(page.text).not.toContain(PASSWORD)
      expect(page.headers.getSetCookie().filter((cookie) => cookie.startsWith('session='))).toEqual([])
      if (/^\w+$/.test(name) && name.length < 20) expect(page.text).toContain(`value="${name}"`)
    },
  )

  test('empty fields are said at the field', async () => {
    const page = await login(harness.browser(), '', '')
    expect(page.status).toBe(422)
    expect(page.text).toContain('id="username-error"')
    expect(page.text).toContain('id="password-error"')
  })

  test('an address signs in where the configuration allows it, and nowhere else', async () => {
    const open = await createHarness({
      beside: harness,
      config: { account: { login_with_email_allowed: true } },
    })
    const email = 'Alice@Mail.Example'
    const id = newId(harness.clock.now(), harness.deps.random)
    await insertEmail(harness.database.sql, {
      id,
      userId: await userId('alice'),
      email,
      folded: fold(email),
      now: harness.clock.now(),
    })
    expect((await login(open.browser(), 'alice@mail.example')).url.pathname).toBe('/')
    expect((await login(harness.browser(), 'alice@mail.example')).status).toBe(422)
    await open.close()
  })

  test('a login_hint fills the field for this server alone (reference 3.5)', async () => {
    const value = async (hint: string) =>
      /name="username" value="([^"]*)"/.exec(
        (await harness.browser().open(`/login?login_hint=${encodeURIComponent(hint)}`)).text,
      )?.[1]
    expect(await value('mxid:@zoe:example.test')).toBe('zoe')
    expect(await value('mxid:@zoe:elsewhere.test')).toBe('')
    expect(await value('zoe')).toBe('')
    expect(await value('zoe@mail.example')).toBe('')
    expect(await value('mxid:@"><script>:example.test')).not.toContain('<')
  })

  test('a login_hint with an address fills the field where addresses sign in; what was typed goes before it (reference 3.5)', async () => {
    const open = await createHarness({
      beside: harness,
      config: { account: { login_with_email_allowed: true } },
    })
    const typed = ({ text }: Page) => /name="username" value="([^"]*)"/.exec(text)?.[1]
    const page = await open.browser().open('/login?login_hint=zoe@mail.example')
    expect(typed(page)).toBe('zoe@mail.example')
    const failed = await page.submit({ username: 'yann', password: 'wrong' }, { action: '/login' })
    expect([failed.status, typed(failed)]).toEqual([422, 'yann'])
    await open.close()
  })

  test('the continuation never leaves the site', async () => {
    for (const query of [
      'kind=manage_account&action=//evil.example',
      'kind=https://evil.example',
      'kind=continue_authorization_grant&id=//evil.example',
      'next=https://evil.example',
      'kind=manage_account&device_id=%0d%0aLocation:%20https://evil.example',
    ]) {
      const page = await login(harness.browser(), 'alice', PASSWORD, `/login?${query}`)
      expect(page.url.origin).toBe('http://auth.test')
      expect(page.status).toBe(200)
    }
  })

  test('passwords switched off: nobody signs in with one', async () => {
    const off = await createHarness({ beside: harness, config: { passwords: { enabled: false } } })
    const browser = off.browser()
    const page = await browser.open('/login')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const posted = await browser.post('/login', { csrf, username: 'alice', password: PASSWORD })
    expect(posted.status).toBe(405)
    expect(browser.cookies.has('session')).toBe(false)
    await off.close()
  })
})

describe('sessions', () => {
  test('a session cookie that somebody planted is never the one that is signed in (fixation)', async () => {
    const planted = 'A'.repeat(43)
    const browser = harness.browser()
    browser.cookies.set('session', planted)
    await login(browser, 'alice')
    expect(browser.cookies.get('session')).not.toBe(planted)
    const attacker = harness.browser()
    attacker.cookies.set('session', planted)
    expect((await attacker.open('/account/')).url.pathname).toBe('/login')
  })

  test('every sign-in has a secret of its own', async () => {
    const browser = harness.browser()
    await login(browser, 'alice')
    const first = browser.cookies.get('session')
    await (await browser.open('/account/')).submit({}, { action: 'logout' })
    expect(browser.cookies.has('session')).toBe(false)
    await login(browser, 'alice')
    expect(browser.cookies.get('session')).not.toBe(first)
  })

  test('signing out ends the session at the server too, and not the apps (edge 60)', async () => {
    const { browser, tokens } = await signedInApp(harness, 'bella')
    const secret = browser.cookies.get('session') ?? ''
    const page = await (await browser.open('/account/')).submit({}, { action: 'logout' })
    expect(page.status).toBe(200)
    browser.cookies.set('session', secret)
    expect((await browser.open('/account/')).url.pathname).toBe('/login')
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
  })

  test('a session cookie that is sent twice with different values counts as none', async () => {
    const browser = harness.browser()
    await login(browser, 'alice')
    const cookie = `session=${browser.cookies.get('session')}; session=${'B'.repeat(43)}`
    expect((await harness.request('/account/', { headers: { cookie } })).status).toBe(303)
  })
})

describe('the pages that stand in for another one', () => {
  test('a locked account is told so only to who knows its password, and goes on after unlocking', async () => {
    const { browser, tokens } = await signedInApp(harness, 'lena')
    await lock(harness.deps, await userId('lena'))
    expect((await login(harness.browser(), 'lena', 'wrong')).text).toContain('is not right')
    const stranger = harness.browser()
    const told = await login(stranger, 'lena')
    expect([told.status, told.text.includes('This account is locked')]).toEqual([200, true])
    expect(stranger.cookies.has('session')).toBe(false)
    for (const path of ['/', '/login']) {
      const page = await browser.open(path)
      expect([path, page.status, page.text.includes('This account is locked')]).toEqual([path, 200, true])
    }
    expect(await introspect(harness, tokens.access_token)).toEqual({ active: false })
    await unlock(harness.deps, await userId('lena'))
    expect((await browser.open('/account/')).url.pathname).toBe('/account/')
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
  })

  test('signing out of a locked account goes on with the request that was under way', async () => {
    const browser = harness.browser()
    await signUp(browser, 'lotte')
    const { client_id } = await registerClient(harness)
    const consent = await browser.open(authorizeUrl(client_id))
    await lock(harness.deps, await userId('lotte'))
    const locked = await browser.open(consent.url.pathname)
    expect(locked.text).toContain('This account is locked')
    const onward = await locked.submit({}, { action: 'logout' })
    expect(onward.url.pathname).toBe('/login')
    const done = await onward.submit({ username: 'alice', password: PASSWORD }, { action: 'login' })
    expect(done.url.pathname).toBe(consent.url.pathname)
    expect(done.text).toContain('@alice:example.test')
  })

  test('a session that was ended elsewhere says so, and signing in again goes on', async () => {
    const browser = harness.browser()
    await signUp(browser, 'ended')
    await killSessions(harness.deps, await userId('ended'))
    const { client_id } = await registerClient(harness)
    const page = await browser.open(authorizeUrl(client_id))
    expect([page.status, page.text.includes('You were signed out')]).toEqual([200, true])
    const again = await page.submit({}, { action: 'logout' })
    expect(again.url.pathname).toBe('/login')
    const done = await again.submit({ username: 'ended', password: PASSWORD }, { action: 'login' })
    expect(done.url.pathname).toStartWith('/consent/')
  })

  test('a deactivated account: its sessions show it, its password is gone with it', async () => {
    const { browser, tokens } = await signedInApp(harness, 'gone')
    await deactivate(harness.deps, await userId('gone'), false)
    expect((await browser.open('/')).text).toContain('This account is gone')
    expect((await login(harness.browser(), 'gone')).text).toContain('is not right')
    expect(await introspect(harness, tokens.access_token)).toEqual({ active: false })
    const form = await harness.browser().open('/register')
    const page = await form.submit(
      { username: 'gone', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    expect(page.status).toBe(422)
  })
})

describe('limits', () => {
  const limits = { rate_limiting: { login: { per_ip: { burst: 3, per_second: 3 / 60 } } } }

  test('three tries a minute from one address, then 429 with Retry-After and words how long, in every process', async () => {
    const one = await createHarness({ beside: harness, config: limits })
    const two = await createHarness({ beside: harness, config: limits })
    const from = { 'x-forwarded-for': '198.51.100.7' }
    for (const process of [one, two, one])
      expect((await login(process.browser(from), 'alice', 'wrong')).status).toBe(422)
    for (const [process, name] of [
      [two, 'alice'],
      [one, 'nobody'],
    ] as const) {
      const page = await login(process.browser(from), name)
      expect([page.status, page.headers.get('retry-after')]).toEqual([429, '20'])
      expect(page.text).toMatch(/wait 20 seconds/)
      expect(page.text).toContain(`value="${name}"`)
    }
    expect((await login(two.browser({ 'x-forwarded-for': '198.51.100.8' }), 'alice')).url.pathname).toBe('/')
    harness.clock.advance(20)
    expect((await login(two.browser(from), 'alice')).url.pathname).toBe('/')
    await two.close()
    await one.close()
  })

  test('unknown names have a limit of their own, like known ones: the same status and words', async () => {
    const config = {
      rate_limiting: {
        login: { per_ip: { burst: 1000, per_second: 100 }, per_account: { burst: 2, per_second: 1 / 60 } },
      },
    }
    const limited = await createHarness({ beside: harness, config })
    const answers = async (name: string) => {
      const seen: [number, string | null, boolean][] = []
      for (let i = 0; i < 3; i++) {
        const page = await login(limited.browser({ 'x-forwarded-for': `192.0.2.${i}` }), name, 'wrong')
        seen.push([page.status, page.headers.get('retry-after'), page.text.includes('is not right')])
      }
      return seen
    }
    const known = await answers('bella')
    expect(known).toEqual([
      [422, null, true],
      [422, null, true],
      [429, '60', false],
    ])
    expect(await answers('nobody-at-all')).toEqual(known)
    await limited.close()
  })

  test('addresses of one IPv6 /64 count as one', async () => {
    const one = await createHarness({ beside: harness, config: limits })
    const addresses = ['2a00:0:0:5::1', '2a00:0:0:5:1:2:3:4', '2a00:0:0:5:ffff::']
    for (const address of addresses)
      expect((await login(one.browser({ 'x-forwarded-for': address }), 'alice', 'wrong')).status).toBe(422)
    const more = (address: string) => login(one.browser({ 'x-forwarded-for': address }), 'alice', 'wrong')
    expect((await more('2a00::5:9:9:9:9')).status).toBe(429)
    expect((await more('2a00:0:0:6::1')).status).toBe(422)
    await one.close()
  })
})

test('POST /login: a password that is replaced while it is checked begins nothing (the end of all sessions holds)', async () => {
  // The limits of other tests are over.
  harness.clock.advance(3600)
  const id = await userId('alice')
  const { passwords } = harness.deps
  const { verify } = passwords
  const active = async () =>
    (
      await harness.database
        .sql`select from latchkey.browser_sessions where user_id = ${id} and finished_at is null`
    ).length
  passwords.verify = async (...asked) => {
    const verdict = await verify(...asked)
    await setPassword(harness.deps, id, await passwords.hash(PASSWORD), {}, { endSessions: true })
    return verdict
  }
  try {
    const page = await login(harness.browser(), 'alice')
    expect(page.status).toBe(422)
    expect(await active()).toBe(0)
  } finally {
    passwords.verify = verify
  }
  expect((await login(harness.browser(), 'alice')).status).toBe(200)
  expect(await active()).toBe(1)
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { insertUser } from '../../sql/users.ts'
import { createApp } from '../../src/app.ts'
import type { Deps } from '../../src/deps.ts'
import { FORM_LIMIT } from '../../src/identity/sign-up.ts'
import { fold } from '../../src/lib/fold.ts'
import { newId } from '../../src/lib/ulid.ts'
import { makeUser } from '../support/admin.ts'
import { type Browser, createBrowser, type Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, PASSWORD, registerClient, signUp } from '../support/oauth.ts'

let harness: Harness
let other: Harness
beforeAll(async () => {
  harness = await createHarness({ config: { policy: { data: POLICY } } })
  other = await createHarness({ beside: harness, config: { policy: { data: POLICY } } })
  await signUp(harness.browser(), 'alice')
})
afterAll(async () => {
  await other.close()
  await harness.close()
})

const POLICY = { registration: { banned_usernames: { literals: ['root'], prefixes: ['admin-'] } } }

/** Fills in the first page of the sign-up. */
async function begin(browser: Browser, username: string, fields: Record<string, string> = {}): Promise<Page> {
  const form = await browser.open('/register')
  return form.submit(
    { username, password: PASSWORD, password_confirm: PASSWORD, ...fields },
    { action: 'register/password' },
  )
}
const finish = (step: Page, name = 'Somebody', fields: Record<string, string> = {}): Promise<Page> =>
  step.submit({ display_name: name, ...fields }, { action: 'display-name', button: ['action', 'set'] })

const accounts = async (username: string): Promise<number> =>
  (await harness.database.sql`select 1 from latchkey.users where username_folded = ${fold(username)}`).length

/** The text of the error at a field. */
const errorAt = (page: Page, field: string): string =>
  new RegExp(`id="${field}-error">[\\s\\S]*?</span>([^<]*)</p>`).exec(page.text)?.[1]?.trim() ?? ''

describe('POST /register/password: usernames (reference flows 3.9)', () => {
  test.each([
    ['', 'Enter'],
    ['   ', 'Enter'],
    ['Bob', 'small letters'],
    ['bob!', 'small letters'],
    ['b ob', 'small letters'],
    ['bób', 'small letters'],
    ['bob\u0000', 'small letters'],
    ['bob\u202e', 'small letters'],
    ['@bob:elsewhere.test', 'small letters'],
    ['12345', ''],
    ['root', ''],
    ['admin-x', ''],
    ['x'.repeat(255 - '@:example.test'.length + 1), ''],
    ['alice', 'taken'],
    ['ALICE', 'small letters'],
    ['@alice:example.test', 'taken'],
    ['_bridge', 'taken'],
  ])('%j is refused at its field, and what was typed stays', async (username, words) => {
    const page = await begin(harness.browser(), username)
    expect([page.status, page.url.pathname]).toEqual([422, '/register/password'])
    expect(errorAt(page, 'username')).not.toBe('')
    expect(errorAt(page, 'username')).toContain(words)
    expect(page.text).not.toContain(PASSWORD)
    if (/^[\w-]+$/.test(username)) expect(page.text).toContain(`value="${username}"`)
  })

  test.each([
    'b',
    'bob.=_/+-1',
    '0x',
    '@carol:example.test',
    '  dave  ',
    'x'.repeat(255 - '@:example.test'.length),
  ])('%j is accepted', async (username) => {
    const step = await begin(harness.browser(), username)
    expect([step.status, step.url.pathname]).toEqual([200, expect.stringContaining('/display-name')])
  })

  test('a name that only the homeserver knows, or that an application service owns, is taken', async () => {
    harness.homeserver.exclusive.add('bridge')
    expect(errorAt(await begin(harness.browser(), 'bridge'), 'username')).toContain('taken')
  })

  test('a name taken in another case (an imported account) is taken', async () => {
    await insertUser(harness.database.sql, {
      id: newId(harness.clock.now(), harness.deps.random),
      username: 'Imported',
      folded: fold('Imported'),
      displayName: null,
      isAdmin: false,
      now: harness.clock.now(),
    })
    expect(errorAt(await begin(harness.browser(), 'imported'), 'username')).toContain('taken')
  })

  test('GET /register/check says the same, in words, and needs no JavaScript to be harmless', async () => {
    for (const [name, status] of [
      ['alice', 'taken'],
      ['somebodynew', 'available'],
      ['Bad Name', 'invalid'],
      ['root', 'reserved'],
      ['123', 'invalid'],
      ['', 'too_short'],
    ]) {
      const response = await harness.request(`/register/check?username=${encodeURIComponent(name ?? '')}`)
      expect([name, await response.json()]).toEqual([
        name,
        {
          status,
          message: expect.any(String),
          suggestions: status === 'taken' ? ['alice2', 'alice.26', 'alice_'] : [],
        },
      ])
    }
  })
})

describe('POST /register/password: passwords', () => {
  test.each([
    ['', '', 'password'],
    ['password1', 'password1', 'password'],
    [PASSWORD, '', 'password_confirm'],
    [PASSWORD, `${PASSWORD}x`, 'password_confirm'],
    ['x'.repeat(1025), 'x'.repeat(1025), 'password'],
  ])(
    'a bad password is refused at its field and never sent back (%#)',
    async (password, password_confirm, field) => {
      const page = await begin(harness.browser(), 'erin', { password, password_confirm })
      expect(page.status).toBe(422)
      expect(errorAt(page, field)).not.toBe('')
      expect(page.text).toContain('value="erin"')
      if (password.length > 8) expect(page.text).not.toContain(password)
      expect(await accounts('erin')).toBe(0)
    },
  )
})

describe('the sign-up as a whole', () => {
  test('sets the display name, or the username when it is skipped, at the homeserver too', async () => {
    const [set, skipped] = [harness.browser(), harness.browser()]
    await finish(await begin(set, 'frank'), '  Frank  <b>  ')
    const step = await begin(skipped, 'grace')
    await step.submit({}, { action: 'display-name', button: ['action', 'skip'] })
    expect(harness.homeserver.users.get('frank')?.displayName).toBe('Frank  <b>')
    expect(harness.homeserver.users.get('grace')?.displayName).toBe('grace')
    expect((await set.open('/account/')).text).toContain('@frank:example.test')
  })

  test.each([[''], ['ü'.repeat(128)]])(
    'a display name that is too short or too long is refused (%#)',
    async (name) => {
      const username = `heidi${name.length}`
      const step = await begin(harness.browser(), username)
      const page = await finish(step, name)
      expect(page.status).toBe(422)
      expect(errorAt(page, 'display_name')).not.toBe('')
      expect(await accounts(username)).toBe(0)
    },
  )

  test('is resumed in the same browser only (edge 8)', async () => {
    const mine = harness.browser()
    const step = await begin(mine, 'ivan')
    const theirs = await harness.browser().open(step.url.pathname)
    expect(theirs.status).toBe(404)
    const stranger = harness.browser()
    const csrf = /name="csrf" value="([^"]+)"/.exec((await stranger.open('/login')).text)?.[1] ?? ''
    const posted = await stranger.post(step.url.pathname, { csrf, display_name: 'x', action: 'set' })
    expect(posted.status).toBe(404)
    expect(await accounts('ivan')).toBe(0)
    expect((await mine.open(step.url.pathname)).status).toBe(200)
    expect((await mine.open(step.url.pathname.replace('display-name', 'finish'))).status).toBe(200)
  })

  test('takes an hour at most', async () => {
    const browser = harness.browser()
    const step = await begin(browser, 'judy')
    harness.clock.advance(3599)
    expect((await browser.open(step.url.pathname)).status).toBe(200)
    harness.clock.advance(1)
    expect((await browser.open(step.url.pathname)).status).toBe(410)
    expect((await finish(step)).status).toBe(410)
    expect(await accounts('judy')).toBe(0)
  })

  test('leads on to the app that it began at', async () => {
    const { client_id } = await registerClient(harness)
    const url = await signUp(harness.browser(), 'kim', authorizeUrl(client_id, { prompt: 'create' }))
    expect(url.pathname).toStartWith('/consent/')
  })

  test('a second submit of the last step is harmless: one account, and on to where the sign-up leads', async () => {
    const browser = harness.browser()
    const step = await begin(browser, 'leo')
    expect((await finish(step)).url.pathname).toBe('/')
    expect((await finish(step)).url.pathname).toBe('/')
    expect(await accounts('leo')).toBe(1)
  })

  test('a double click on the last step without script ends signed in, on the next page, in one session', async () => {
    const { client_id } = await registerClient(harness)
    const browser = harness.browser()
    const login = await browser.open(authorizeUrl(client_id))
    const step = await (await browser.open(`/register${login.url.search}`)).submit(
      { username: 'lola', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    const clicks = [1, 2, 3].map(() => {
      // The answer to a click that another one follows never arrives.
      const copy = harness.browser()
      for (const [key, value] of browser.cookies) copy.cookies.set(key, value)
      return copy
    })
    const csrf = /name="csrf" value="([^"]+)"/.exec(step.text)?.[1] ?? ''
    const form = { csrf, display_name: 'Lola', action: 'set' }
    const [early, twin, late] = clicks
    const both = await Promise.all([early, twin].map((one) => one?.post(step.url.pathname, form)))
    for (const page of both) expect(page?.url.pathname).toStartWith('/consent/')
    const after = await late?.post(step.url.pathname, form)
    expect(after?.url.pathname).toStartWith('/consent/')
    for (const one of clicks) expect((await one.open('/account/')).text).toContain('@lola:example.test')
    const rows = await harness.deps.sql`
      select 1 from latchkey.browser_sessions b join latchkey.users u on u.id = b.user_id
      where u.username = 'lola' and b.finished_at is null`
    expect([await accounts('lola'), rows.length]).toEqual([1, 1])
  })

  test('the cookie is given again for half a minute, in that browser, and to nobody who signed out', async () => {
    const browser = harness.browser()
    const step = await begin(browser, 'luca')
    const form = {
      csrf: /name="csrf" value="([^"]+)"/.exec(step.text)?.[1] ?? '',
      display_name: 'L',
      action: 'set',
    }
    const late = harness.browser()
    for (const [key, value] of browser.cookies) late.cookies.set(key, value)
    const stranger = harness.browser()
    await finish(step)
    expect((await stranger.post(step.url.pathname, form)).status).toBe(404)
    expect(stranger.cookies.has('session')).toBe(false)
    await (await browser.open('/account/')).submit({}, { action: 'logout' })
    await browser.post(step.url.pathname, form)
    expect((await browser.open('/account/')).url.pathname).toBe('/login')
    harness.clock.advance(30)
    await late.post(step.url.pathname, form)
    expect(late.cookies.has('session')).toBe(false)
  })

  test('two submits at the same instant, in two processes, make one account and no error', async () => {
    for (let round = 0; round < 8; round++) {
      const name = `mallory${round}`
      const browser = harness.browser()
      const step = await begin(browser, name)
      const twin = createBrowser(other.app.handle)
      for (const [key, value] of browser.cookies) twin.cookies.set(key, value)
      const again = await twin.open(step.url.pathname)
      const pages = await Promise.all([finish(step), finish(again)])
      expect(pages.map((page) => page.status)).toEqual([200, 200])
      expect(pages.map((page) => page.url.pathname)).toEqual(['/', '/'])
      expect(await accounts(name)).toBe(1)
    }
  })

  test('a submit that is overtaken by its twin while the homeserver is asked is no error either', async () => {
    const browser = harness.browser()
    const step = await begin(browser, 'mia')
    const { homeserver } = harness.deps
    const slow: Deps = {
      ...harness.deps,
      homeserver: {
        ...homeserver,
        isLocalpartAvailable: async (name) => {
          await finish(step)
          return homeserver.isLocalpartAvailable(name)
        },
      },
    }
    const twin = createBrowser(createApp(slow, { resources: [{ name: 'human' }] }).handle)
    for (const [key, value] of browser.cookies) twin.cookies.set(key, value)
    const page = await finish(await twin.open(step.url.pathname))
    expect([page.status, page.url.pathname]).toEqual([200, '/'])
    expect(await accounts('mia')).toBe(1)
  })

  test('a name that was taken between the steps can be replaced there; nothing else is lost', async () => {
    const browser = harness.browser()
    const step = await begin(browser, 'nina')
    await makeUser(harness, 'nina')
    const page = await finish(step, 'Nina N')
    expect(page.status).toBe(422)
    expect(errorAt(page, 'username')).toContain('taken')
    expect(page.text).toContain('name="username"')
    expect(page.text).toContain('value="Nina N"')
    expect((await finish(page, 'Nina N', { username: 'NINA!' })).status).toBe(422)
    const done = await finish(page, 'Nina N', { username: '@nina2:example.test' })
    expect(done.url.pathname).toBe('/')
    expect((await browser.open('/account/')).text).toContain('@nina2:example.test')
    expect(await accounts('nina')).toBe(1)
  })

  test('two sign-ups that race for one name: one gets it, the other chooses another', async () => {
    for (let round = 0; round < 8; round++) {
      const name = `oscar${round}`
      // The first form reserves the name; these two were sent at the same instant.
      const first = await begin(harness.browser(), name)
      const second = await begin(createBrowser(other.app.handle), `${name}-second`)
      await harness.deps.sql`update latchkey.registrations set username = ${name}, username_folded = ${name}
        where username = ${`${name}-second`}`
      const pages = await Promise.all([finish(first, 'First'), finish(second, 'Second')])
      expect(pages.map((page) => page.status).sort()).toEqual([200, 422])
      expect(await accounts(name)).toBe(1)
      const loser = pages.find((page) => page.status === 422)
      expect(errorAt(loser as Page, 'username')).toContain('taken')
    }
  })

  test('the homeserver is down: 503 with Retry-After, the form is kept, and it works later', async () => {
    const browser = harness.browser()
    harness.homeserver.down = true
    const page = await begin(browser, 'peggy')
    expect([page.status, page.headers.get('retry-after')]).toEqual([503, '5'])
    expect(page.text).toContain('value="peggy"')
    expect(page.text).not.toContain(PASSWORD)
    harness.homeserver.down = false
    const step = await page.submit(
      { username: 'peggy', password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    harness.homeserver.down = true
    const late = await finish(step, 'Peggy P')
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '5'])
    expect(late.text).toContain('value="Peggy P"')
    harness.homeserver.down = false
    expect((await finish(late, 'Peggy P')).url.pathname).toBe('/')
    expect(await accounts('peggy')).toBe(1)
  })
})

test('of two people who sign up first at the same instant, one becomes the admin (decision 25)', async () => {
  const config = { matrix: { kind: 'standalone' as const } }
  for (let round = 0; round < 2; round++) {
    const one = await createHarness({ config })
    const two = await createHarness({ beside: one, config })
    const steps = await Promise.all([
      begin(one.browser(), 'first'),
      begin(two.browser(), 'second'),
      begin(one.browser(), 'third'),
    ])
    await Promise.all(steps.map((step) => finish(step)))
    const rows = await one.database.sql`select is_admin from latchkey.users`
    expect(rows.map((row) => row.is_admin).sort()).toEqual([false, false, true])
    await two.close()
    await one.close()
  }
}, 180_000)

test('nobody becomes the first admin by a name that is not ours: another site can lead one here (DNS rebinding)', async () => {
  const config = { matrix: { kind: 'standalone' as const } }
  for (const [origin, isAdmin] of [
    ['http://evil.example:8080', false],
    ['http://auth.test', true],
    ['http://localhost:8080', true],
    ['http://[::1]:8080', true],
  ] as const) {
    const alone = await createHarness({ config })
    await finish(await begin(createBrowser(alone.app.handle, { origin }), 'first'))
    const rows = await alone.database.sql`select is_admin from latchkey.users`
    expect([origin, ...rows.map((row) => row.is_admin)]).toEqual([origin, isAdmin])
    await alone.close()
  }
}, 180_000)

describe('limits and switches', () => {
  test('the sign-up limit: three an hour from one address, only for forms in order, shared by processes', async () => {
    const config = { rate_limiting: { registration: { burst: 3, per_second: 3 / 3600 } } }
    const one = await createHarness({ beside: harness, config })
    const two = await createHarness({ beside: harness, config })
    const from = { 'x-forwarded-for': '203.0.113.77' }
    for (let i = 0; i < 5; i++) expect((await begin(one.browser(from), 'alice')).status).toBe(422)
    for (const [index, process] of [one, two, one].entries())
      expect((await begin(process.browser(from), `quinn${index}`)).status).toBe(200)
    const limited = await begin(two.browser(from), 'quinn4')
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '1200'])
    expect(limited.text).toMatch(/wait 20 minutes/)
    expect(limited.text).toContain('value="quinn4"')
    expect((await begin(two.browser({ 'x-forwarded-for': '203.0.113.78' }), 'quinn5')).status).toBe(200)
    await two.close()
    await one.close()
  })

  test('forms of one address are limited too, or they would tell which names exist without any limit', async () => {
    const from = { 'x-forwarded-for': '203.0.113.80' }
    const form = await harness.browser(from).open('/register')
    const send = () => form.submit({ username: 'alice', password: '' }, { action: 'register/password' })
    for (let sent = 0; sent < FORM_LIMIT.burst; sent++) expect((await send()).status).toBe(422)
    const limited = await send()
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '1'])
    expect(errorAt(limited, 'username')).toBe('')
    harness.clock.advance(1)
    expect((await send()).status).toBe(422)
  })

  test('so are the forms of the last step, where a name can be tried too', async () => {
    const from = { 'x-forwarded-for': '203.0.113.81' }
    const step = await begin(harness.browser(from), 'prober')
    for (let sent = 1; sent < FORM_LIMIT.burst; sent++)
      expect((await finish(step, 'Prober', { username: 'alice' })).status).toBe(422)
    const limited = await finish(step, 'Prober', { username: 'alice' })
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '1'])
    expect(limited.text).toContain('value="Prober"')
    harness.clock.advance(1)
    expect((await finish(step, 'Prober')).url.pathname).toBe('/')
  })

  test.each([
    ['password_registration_enabled', { account: { password_registration_enabled: false } }],
    ['an email step that is not built', { account: { password_registration_email_required: true } }],
    ['passwords', { passwords: { enabled: false } }],
  ])('closed by %s: the page says so, POST is 403, and sign-in offers no sign-up', async (_name, config) => {
    const closed = await createHarness({ beside: harness, config })
    const browser = closed.browser()
    expect((await browser.open('/register')).text).not.toContain('name="password_confirm"')
    expect((await browser.open('/login')).text).not.toContain('href="/register')
    const csrf = /name="csrf" value="([^"]+)"/.exec((await browser.open('/login')).text)?.[1] ?? ''
    const posted = await browser.post('/register/password', {
      csrf,
      username: 'rob',
      password: PASSWORD,
      password_confirm: PASSWORD,
    })
    expect(posted.status).toBe(403)
    await closed.close()
  })

  test('terms must be accepted, and are remembered', async () => {
    const config = { branding: { tos_uri: 'https://example.test/terms' } }
    const strict = await createHarness({ beside: harness, config })
    const refused = await begin(strict.browser(), 'sybil')
    expect(refused.status).toBe(422)
    const step = await begin(strict.browser(), 'sybil', { accept_terms: 'on' })
    expect((await finish(step)).url.pathname).toBe('/')
    const rows = await harness.database.sql`
      select terms_uri from latchkey.user_terms t join latchkey.users u on u.id = t.user_id where username = 'sybil'`
    expect(rows.map((row) => row.terms_uri)).toEqual(['https://example.test/terms'])
    await strict.close()
  })
})

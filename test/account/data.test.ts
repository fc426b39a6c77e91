import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { insertSecurityEvent } from '../../sql/security-events.ts'
import { findPassword, findUserByName } from '../../sql/users.ts'
import { newId } from '../../src/lib/ulid.ts'
import { csrfOf } from '../support/account.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD, signedInApp, type TokenBody } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const EXPORT = '/account/data/export'
let people = 0
let username: string
let browser: Browser
let tokens: TokenBody
beforeEach(async () => {
  username = `person${++people}`
  ;({ browser, tokens } = await signedInApp(harness, username))
})

const download = async () => (await browser.open('/account/data')).submit({}, { action: EXPORT })
const read = (path: string) => readFile(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

describe('POST /account/data/export', () => {
  test('is a file with what is held about the person', async () => {
    const file = await download()
    expect(file.headers.get('content-type')).toBe('application/json')
    expect(file.headers.get('content-disposition')).toBe(`attachment; filename="account-${username}.json"`)
    expect(file.headers.get('cache-control')).toBe('no-store')
    const data = JSON.parse(file.text)
    expect(data).toMatchObject({
      matrix_id: `@${username}:example.test`,
      account: { username, display_name: `${username} Example` },
      browsers: [{ ended_at: null }],
      apps: [{ device_id: 'AAAAAAAAAA', may: expect.arrayContaining(['openid']) }],
      sign_ins_of_apps: [{ returns_to: 'https://app.example.com/callback' }],
      agreed_to: [{}],
      access_tokens: [],
    })
    expect(data.security_log.map(({ what }: { what: string }) => what)).toContain('signed_up')
  })

  test('holds no secret, no digest and nothing of other people', async () => {
    const [user] = await findUserByName(harness.deps.sql, username, username)
    const [password] = await findPassword(harness.deps.sql, user?.id ?? '')
    await signedInApp(harness, `other-of-${username}`)
    const { text } = await download()
    for (const secret of [
      password?.hash,
      tokens.access_token,
      tokens.refresh_token,
      browser.cookies.get('session'),
      browser.cookies.get('browser'),
      'hash',
      'sealed',
      '\\\\x',
      `other-of-${username}`,
    ])
      expect(text).not.toContain(String(secret))
  })

  test('asks for a fresh sign-in, and comes back to the page', async () => {
    const page = await browser.open('/account/data')
    harness.clock.advance(601)
    const confirm = await page.submit({}, { action: EXPORT })
    expect(confirm.url.pathname).toBe('/account/confirm')
    const back = await confirm.submit({ password: PASSWORD }, { action: 'confirm' })
    expect(back.url.pathname).toBe('/account/data')
    expect(JSON.parse((await back.submit({}, { action: EXPORT })).text).account.username).toBe(username)
  })

  test('a form of another site gets nothing; more than a few exports wait', async () => {
    const foreign = await browser.post(EXPORT, { csrf: 'A'.repeat(43) })
    expect([foreign.status, foreign.headers.get('content-type')]).toEqual([422, 'text/html; charset=utf-8'])
    for (let i = 0; i < 5; i++) expect((await download()).status).toBe(200)
    const limited = await download()
    expect([limited.status, limited.text.includes('Too many tries.')]).toEqual([429, true])
  })

  test('reads every table that knows a person', async () => {
    /** What names a person and is left out, and why. */
    const leftOut: Record<string, string> = {
      user_leases: 'who talks to the homeserver just now: nothing about the person',
      registrations: 'a sign-up under way belongs to a browser, and to nobody yet',
    }
    const exported = new Set((await read('sql/export.ts')).match(/(?<=latchkey\.)\w+/g))
    const schema = await read('sql/schema.sql')
    const tables = [...schema.matchAll(/create (?:unlogged )?table latchkey\.(\w+) \(([\s\S]*?)\n\)/g)]
    const personal = tables
      .filter(([, , columns = '']) => /\buser_id\b|_user_id\b|\busername\b|\bemail\b/.test(columns))
      .map(([, table = '']) => table)
    expect(personal.length).toBeGreaterThan(12)
    expect(personal.filter((table) => !exported.has(table) && !(table in leftOut))).toEqual([])
  })
})

describe('/account/deactivate', () => {
  const DEACTIVATE = '/account/deactivate'

  test('two pages and the name: then the account is gone here, and a job tells the homeserver', async () => {
    const explained = await browser.open(DEACTIVATE)
    expect(explained.text).toContain('Nobody can have your username again')
    const confirm = await explained.submit({ erase: '1' }, { action: DEACTIVATE })
    expect(confirm.text).toContain('will be hidden from people who join later')
    const gone = await confirm.submit(
      { confirm: ` @${username.toUpperCase()}:example.test ` },
      { action: DEACTIVATE },
    )
    expect(gone.text).toContain('This account is gone')
    expect(browser.cookies.has('session')).toBe(false)
    const [user] = await findUserByName(harness.deps.sql, username, username)
    expect(user?.deactivated_at).not.toBeNull()
    await harness.runJobs()
    expect(harness.homeserver.callsOf('delete_user').at(-1)?.parameters).toMatchObject({
      localpart: username,
      erase: true,
    })
    const login = await harness.browser().open('/login')
    expect((await login.submit({ username, password: PASSWORD }, { action: 'login' })).text).toContain(
      'The username or the password is not right.',
    )
    expect((await confirm.submit({ confirm: username }, { action: DEACTIVATE })).url.pathname).toBe('/login')
  })

  test('another name, no name, and a form of another site do nothing', async () => {
    const confirm = await (await browser.open(DEACTIVATE)).submit({}, { action: DEACTIVATE })
    for (const [name, message] of [
      ['someone', 'This is not your username.'],
      ['', 'Type your username'],
    ] as const) {
      const refused = await confirm.submit({ confirm: name }, { action: DEACTIVATE })
      expect([refused.status, refused.text.includes(message)]).toEqual([422, true])
    }
    expect((await browser.post(DEACTIVATE, { csrf: 'A'.repeat(43), confirm: username })).status).toBe(422)
    expect((await browser.open('/account/')).url.pathname).toBe('/account/')
  })

  test('needs a fresh sign-in on both pages', async () => {
    const confirm = await (await browser.open(DEACTIVATE)).submit({}, { action: DEACTIVATE })
    harness.clock.advance(601)
    expect((await confirm.submit({ confirm: username }, { action: DEACTIVATE })).url.pathname).toBe(
      '/account/confirm',
    )
    expect((await browser.open(DEACTIVATE)).url.pathname).toBe('/account/confirm')
    const [user] = await findUserByName(harness.deps.sql, username, username)
    expect(user?.deactivated_at).toBeNull()
  })

  test('an operator who does not allow it: no page, no link, no effect, and discovery does not name it', async () => {
    const strict = await createHarness({
      beside: harness,
      config: { account: { account_deactivation_allowed: false } } as never,
    })
    const other = strict.browser()
    for (const [name, value] of browser.cookies) other.cookies.set(name, value)
    const page = await other.open('/account/?action=org.matrix.account_deactivate')
    expect(page.url.pathname).toBe('/account/data')
    expect(page.text).toContain('do not let accounts be deactivated here')
    expect(page.text).not.toContain('href="/account/deactivate"')
    await other.post(DEACTIVATE, { csrf: csrfOf(page), confirm: username })
    expect((await other.open('/account/')).url.pathname).toBe('/account/')
    const discovery = await (await strict.request('/.well-known/openid-configuration')).text()
    expect(discovery).not.toContain('org.matrix.account_deactivate')
    await strict.close()
  })
})

describe('GET /account/security', () => {
  test('tells what happened, by whom and from where, newest first', async () => {
    harness.clock.advance(1)
    const csrf = csrfOf(await browser.open('/account/'))
    await browser.post('/account/sessions/end-others', { csrf, apps: '1' })
    const { text } = await browser.open('/account/security')
    const kinds = [...text.matchAll(/<p><strong>([^<]*)<\/strong>/g)].map((match) => match[1])
    expect(kinds[0]).toBe('Signed out')
    expect(kinds.at(-1)).toBe('Account created')
  })

  test('shows 25 at a time, and only those of the person', async () => {
    const [user] = await findUserByName(harness.deps.sql, username, username)
    for (let i = 0; i < 60; i++)
      await insertSecurityEvent(harness.deps.sql, {
        id: newId(harness.clock.now(), harness.deps.random),
        userId: user?.id ?? '',
        kind: 'signed_in',
        at: harness.clock.now(),
        actor: 'self',
        ip: null,
        userAgent: null,
        details: {},
      })
    const count = (page: { text: string }) => page.text.split('<li>\n    <p><strong>').length - 1
    const first = await browser.open('/account/security')
    expect(count(first)).toBe(25)
    const older = /href="(\/account\/security\?before=\w{26})"/.exec(first.text)?.[1] ?? ''
    const second = await browser.open(older)
    expect(count(second)).toBeGreaterThan(10)
    const { browser: other } = await signedInApp(harness, `${username}-other`)
    expect(count(await other.open(older))).toBeLessThan(3)
    expect((await browser.open('/account/security?before=nonsense')).status).toBe(200)
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { CODE_LIFETIME } from '../../src/identity/email-verification.ts'
import { addEmail } from '../../src/identity/emails.ts'
import { openMail } from '../../src/identity/mails.ts'
import { claimRegistrationToken, createRegistrationToken } from '../../src/identity/registration-tokens.ts'
import { transact } from '../../src/lib/transact.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { scopeLine } from '../../src/oauth/scope-line.ts'
import { csrfOf, listedSessions, signInElsewhere } from '../support/account.ts'
import { challengeOf } from '../support/altcha.ts'
import { type Browser, copyCookies, type Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { NO_LIMITS, PLENTY } from '../support/limits.ts'
import {
  createSignedUp,
  exchange,
  obtainCode,
  PASSWORD,
  type Person,
  registerClient,
  signUp,
} from '../support/oauth.ts'
import { PROVIDER, SUGGEST, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

/**
 * The defects of MAS 1.22 that the notes on its flows list (reference flows 13), each with what Latchkey does in its place.
 * What is behind a line has tests of its own beside the code; here it is checked from outside, once.
 */
const email = { transport: 'smtp', mode: 'plain', hostname: '127.0.0.1', port: 1 } as const
const account = {
  password_registration_enabled: true,
  password_registration_email_required: false,
  password_recovery_enabled: true,
}

let world: UpstreamWorld
let harness: Harness
/** Where people need an address. */
let strict: Harness
beforeAll(async () => {
  const config = { email, account, rate_limiting: NO_LIMITS }
  world = await upstreamWorld({ claims_imports: SUGGEST, fetch_userinfo: true }, { config })
  harness = world.harness
  strict = await createHarness({
    beside: harness,
    config: {
      email,
      account: { ...account, password_registration_email_required: true },
      rate_limiting: {
        ...NO_LIMITS,
        login: { per_ip: { burst: 3, per_second: 0.001 }, per_account: PLENTY },
      },
    },
  })
})
afterAll(async () => {
  await strict.close()
  await world.close()
})

let people = 0
const newName = (): string => `defect${++people}`
const person = (): Promise<Person> => createSignedUp(harness, newName())
/** The same browser at another process. */
const at = (other: Harness, browser: Browser): Browser => copyCookies(browser, other.browser())
const beginSignUp = async (
  username: string,
  browser: Browser,
  more: Record<string, string> = {},
): Promise<Page> =>
  (await browser.open('/register')).submit(
    { username, password: PASSWORD, password_confirm: PASSWORD, ...more },
    { action: 'register/password' },
  )
const exists = async (username: string): Promise<boolean> =>
  (await harness.deps.sql`select 1 from latchkey.users where username = ${username}`).length > 0
/** The mails of a kind that wait, opened. */
async function mails(kind: string): Promise<Record<string, unknown>[]> {
  const rows = await harness.deps.sql<{ id: string; sealed_content: string }[]>`
    select id, sealed_content from latchkey.mails where kind = ${kind}`
  const opened = await Promise.all(rows.map((row) => openMail(harness.deps, row)))
  return opened.map((mail) => (mail?.context ?? {}) as Record<string, unknown>)
}
const codesOf = async (username: string): Promise<string[]> =>
  (await mails('verification'))
    .filter(({ mxid }) => mxid === `@${username}:example.test`)
    .map(({ code }) => String(code))
/** Somebody whom the provider sends, with what it says of them. */
async function arrive(
  said: Record<string, unknown> = {},
  own = world,
): Promise<{ name: string; browser: Browser; page: Page }> {
  const name = newName()
  own.fake.claims = { sub: `sub-of-${name}`, preferred_username: name, name: `${name} Example`, ...said }
  own.fake.userinfo = { sub: `sub-of-${name}` }
  const browser = own.harness.browser()
  return { name, browser, page: await own.through(browser) }
}
/** A provider of its own, of another configuration. */
async function withProvider(
  provider: Parameters<typeof upstreamWorld>[0],
  config: object,
  check: (own: UpstreamWorld) => Promise<void>,
): Promise<void> {
  const own = await upstreamWorld(provider, { config: { account, ...config } })
  try {
    await check(own)
  } finally {
    await own.close()
  }
}
const whole = { import_email: 'on', import_display_name: 'on' }

const DEFECTS: Record<string, () => Promise<void>> = {
  '1. sign-up codes do not expire, and older ones stay valid': async () => {
    const username = newName()
    const page = await beginSignUp(username, strict.browser(), { email: `${username}@example.test` })
    const enter = (code: string) => page.submit({ code }, { action: 'verify-email' })
    const [first = ''] = await codesOf(username)
    harness.clock.advance(60)
    await page.submit({}, { action: 'verify-email', button: ['action', 'resend'] })
    const second = (await codesOf(username)).find((code) => code !== first) ?? ''
    expect((await enter(first)).status).toBe(422)
    harness.clock.advance(CODE_LIFETIME)
    expect((await enter(second)).status).toBe(422)
    await page.submit({}, { action: 'verify-email', button: ['action', 'resend'] })
    const third = (await codesOf(username)).find((code) => code !== first && code !== second) ?? ''
    expect((await enter(third)).url.pathname).toEndWith('/display-name')
  },
  '2. step pages do not ask whose they are, nor how old': async () => {
    const step = await beginSignUp(newName(), harness.browser())
    const stranger = harness.browser()
    for (const page of ['display-name', 'finish', 'waiting', 'token', 'verify-email'])
      expect((await stranger.open(step.url.pathname.replace('display-name', page))).status).toBe(404)
    const browser = harness.browser()
    const own = await beginSignUp(newName(), browser)
    harness.clock.advance(3600)
    expect((await browser.open(own.url.pathname)).status).toBe(410)
    expect((await own.submit({ display_name: 'Late' }, { action: 'display-name' })).status).toBe(410)
  },
  '3. the GET at the end of a sign-up makes the account': async () => {
    const [username, browser] = [newName(), harness.browser()]
    const step = await beginSignUp(username, browser)
    const finish = await browser.open(step.url.pathname.replace('display-name', 'finish'))
    expect([finish.url.pathname, await exists(username)]).toEqual([step.url.pathname, false])
    await step.submit({ display_name: 'D', action: 'set' }, { action: 'display-name' })
    expect(await exists(username)).toBe(true)
  },
  '4. an invitation can be used more often than it says': async () => {
    const { sql } = harness.deps
    const made = await createRegistrationToken(harness.deps, { usageLimit: 1, expiresAt: null })
    const [row] = await sql<{ id: string }[]>`
      select id from latchkey.registration_tokens where usage_limit = 1`
    const claim = () => transact(sql, (tx) => claimRegistrationToken(harness.deps, tx, row?.id ?? ''))
    const claimed = await Promise.all(Array.from({ length: 8 }, claim))
    expect([made !== undefined, claimed.filter(Boolean).length]).toEqual([true, 1])
  },
  '5. an address that the provider calls unverified counts as proven': async () => {
    const { name, page } = await arrive({ email: 'somebody@harbour.example', email_verified: false })
    const next = await signUpThere(page, { username: name, ...whole })
    expect(next.url.pathname).toEndWith('/verify-email')
    expect(await exists(name)).toBe(false)
  },
  '6. userinfo may be about somebody else than the ID token': async () => {
    const name = newName()
    world.fake.claims = { sub: `sub-of-${name}`, preferred_username: name }
    world.fake.userinfo = { sub: 'somebody-else', preferred_username: 'admin' }
    const page = await world.through(harness.browser())
    expect(page.url.pathname).toBe('/login')
    expect(page.text).toContain('role="alert"')
    const linked = await harness.deps.sql`
      select 1 from latchkey.upstream_links where subject in ('somebody-else', ${`sub-of-${name}`})`
    expect(linked.length).toBe(0)
  },
  '7. a sign-up through a provider passes by the check against robots, the limit of accounts and the terms':
    () =>
      withProvider(
        {},
        {
          captcha: { service: 'altcha' },
          branding: { tos_uri: 'https://example.test/terms' },
        },
        async (own) => {
          const { name, page } = await arrive({}, own)
          expect(challengeOf(page)).not.toBe('')
          const refused = await signUpThere(page, { username: name, ...whole })
          expect(refused.status).toBe(422)
          for (const field of ['captcha', 'accept_terms'])
            expect(refused.text).toContain(`id="${field}-error"`)
        },
      ).then(() =>
        withProvider(
          {
            claims_imports: {
              localpart: { action: 'require' },
              displayname: { action: 'force' },
              skip_confirmation: true,
            },
          },
          {
            branding: { tos_uri: 'https://example.test/terms' },
            rate_limiting: { registration: { burst: 1, per_second: 0.001 } },
          },
          async (own) => {
            // Nothing was shown before the account was made: the terms come right after it, and stand before everything.
            expect((await arrive({}, own)).page.text).toContain('<h1>Terms of use</h1>')
            // Ten times the limit: an office signs up from one address.
            for (let count = 1; count < 10; count++) expect((await arrive({}, own)).page.status).toBe(200)
            expect((await arrive({}, own)).page.status).toBe(429)
          },
        ),
      ),
  '8. where the provider decides about the name, nobody reads what is wrong with it': () =>
    withProvider({ claims_imports: { localpart: { action: 'force' } } }, {}, async (own) => {
      const refused = await arrive({ preferred_username: 'No Name At All' }, own)
      expect(refused.page.status).toBe(403)
      expect(refused.page.text).toContain('No Name At All')
      await signUp(own.harness.browser(), 'anna')
      const taken = await arrive({ preferred_username: 'anna' }, own)
      expect([taken.page.status, taken.page.text.includes('anna')]).toEqual([403, true])
    }),
  '9. people read identifiers of errors': async () => {
    const browser = harness.browser()
    const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
    const raw = { code: undefined, error: 'interaction_gone_wrong', error_description: 'raw words' }
    const page = await browser.open(world.fake.answer(away.url, raw).href)
    expect(page.url.pathname).toBe('/login')
    expect(page.text).toContain('role="alert"')
    expect(page.text).not.toContain('interaction_gone_wrong')
    expect(page.text).not.toContain('raw words')
    const numbers = await beginSignUp('123456', harness.browser())
    expect([numbers.status, numbers.text.includes('id="username-error"')]).toEqual([422, true])
    expect(numbers.text).not.toMatch(/username-all-numeric|all_numeric/)
  },
  '10. passwords in the account area and the codes of devices may be tried without end': async () => {
    const { browser } = await person()
    // A password that was set just now may be sent twice, which is another try.
    harness.clock.advance(60)
    const page = await at(strict, browser).open('/account/password/change')
    const there = at(strict, browser)
    const guess = () =>
      there.post('/account/password/change', {
        csrf: csrfOf(page),
        current_password: 'wrong guess 7',
        password: `${PASSWORD} 2`,
        password_confirm: `${PASSWORD} 2`,
      })
    const statuses = []
    for (let tries = 0; tries < 5; tries++) statuses.push((await guess()).status)
    expect(statuses).toEqual([422, 422, 422, 429, 429])
    harness.clock.advance(10_000)
    const stranger = harness.browser()
    const link = await stranger.open('/link')
    const codes: number[] = []
    for (let tries = 0; tries < 25; tries++)
      codes.push((await link.submit({ code: `BCDFGHJ${tries % 10}` }, { action: '/link' })).status)
    expect(codes).toContain(429)
  },
  '11. a recovery gives a password to who signs in through a provider alone': async () => {
    const { userId, username } = await person()
    await harness.deps.sql`delete from latchkey.user_passwords where user_id = ${userId}`
    await addEmail(harness.deps, harness.deps.sql, userId, `${username}@example.test`)
    const form = await harness.browser().open('/recover')
    await form.submit({ email: `${username}@example.test` }, { action: '/recover' })
    await harness.runJobs()
    const mine = (await mails('recovery')).flatMap(
      ({ accounts }) => accounts as { mxid: string; state: string; link?: string }[],
    )
    expect(mine.filter(({ mxid }) => mxid.startsWith(`@${username}:`))).toEqual([
      { mxid: `@${username}:example.test`, state: 'no_password' },
    ])
  },
  '12. the last address can be removed, though an account needs one': async () => {
    const { browser, userId, username } = await person()
    await addEmail(harness.deps, harness.deps.sql, userId, `${username}@example.test`)
    const there = at(strict, browser)
    const list = await there.open('/account/emails')
    const [row] = await harness.deps.sql<{ id: string }[]>`
      select id from latchkey.user_emails where user_id = ${userId}`
    const ulids = await browser.open('/account/emails')
    const path = /\/account\/emails\/\w{26}\/remove/.exec(ulids.text)?.[0] ?? ''
    expect(uuidFromUlid(path.split('/')[3] ?? '')).toBe(row?.id ?? '')
    expect(list.text).not.toContain(path)
    const done = await there.post(path, { csrf: csrfOf(list) })
    expect(done.text).toContain('Add another one first')
    expect(
      (await harness.deps.sql`select 1 from latchkey.user_emails where user_id = ${userId}`).length,
    ).toBe(1)
  },
  '13. the page of a session shows scopes as they are written': async () => {
    const { browser } = await person()
    const { client_id: clientId } = await registerClient(harness)
    await exchange(harness, clientId, await obtainCode(browser, clientId))
    const list = await browser.open('/account/sessions?kind=apps')
    const [session] = listedSessions(list)
    const page = await browser.open(`/account/sessions/${session?.id}`)
    expect(page.text).toContain('class="scope"')
    expect(page.text).not.toContain('urn:matrix')
  },
  '14. the next page of the browsers forgets what was searched for': async () => {
    const { browser, username } = await person()
    for (let others = 0; others < 11; others++) await signInElsewhere(harness, username)
    const page = await browser.open('/account/sessions?kind=browser&sort=created')
    const next = /href="(\/account\/sessions\?[^"]*page=2[^"]*)"/
      .exec(page.text)?.[1]
      ?.replaceAll('&amp;', '&')
    const query = new URL(next ?? '', harness.origin).searchParams
    expect(Object.fromEntries(query)).toEqual({ kind: 'browser', sort: 'created', page: '2' })
    expect(listedSessions(await browser.open(next ?? '')).length).toBe(2)
  },
  '15. a link into the account area leads to its start after the sign-in': async () => {
    const { username } = await person()
    for (const [path, end] of [
      ['/account/emails', '/account/emails'],
      ['/account/?action=org.matrix.devices_list', '/account/sessions'],
    ] as const) {
      const login = await harness.browser().open(path)
      expect(login.url.pathname).toBe('/login')
      const done = await login.submit({ username, password: PASSWORD }, { action: 'login' })
      expect(done.url.pathname).toBe(end)
    }
  },
  '16. a scope that only begins like a harmless one is left out of the consent': async () => {
    for (const scope of [
      'openidx',
      'openid:admin',
      'urn:matrix:client:api:*:admin',
      'urn:matrix:client:api:guest',
      'urn:matrix:client:deviceX:AAAAAAAAAA',
      'urn:matrix:org.matrix.msc2967.client:api:*x',
    ])
      expect(scopeLine(scope)).toMatchObject({ code: 'other', text: scope })
  },
  '17. the sign-in page on the way to a link reads a variable that is not there': async () => {
    const { page, browser } = await arrive()
    const way =
      /href="(\/login\?kind=link_upstream[^"]*)"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
    const login = await browser.open(way)
    expect([login.status, login.text.includes('name="password"')]).toEqual([200, true])
    // Pages are rendered strictly: a variable that is not there would be an error page.
    expect(harness.logged.filter(({ event }) => event === 'request.failed')).toEqual([])
  },
  '18. the documents say another lifetime of codes than the code has': async () => {
    expect(CODE_LIFETIME).toBe(600)
    const security = await readFile(new URL('../../docs/security.md', import.meta.url), 'utf8')
    expect(security).toContain('proves it: six digits, ten minutes, the newest one only')
    const username = newName()
    const page = await beginSignUp(username, strict.browser(), { email: `${username}@example.test` })
    expect(page.text).toContain('10 minutes')
    const mail = (await mails('verification')).find(({ mxid }) => mxid === `@${username}:example.test`)
    expect(mail?.minutes).toBe(10)
    harness.clock.advance(CODE_LIFETIME - 1)
    const next = await page.submit({ code: String(mail?.code) }, { action: 'verify-email' })
    expect(next.url.pathname).toEndWith('/display-name')
  },
}

describe('not as in MAS (reference flows 13)', () => {
  for (const [name, check] of Object.entries(DEFECTS)) test(name, check)

  test('every defect of the list has its line', () => {
    expect(Object.keys(DEFECTS).map((name) => Number.parseInt(name, 10))).toEqual(
      Array.from({ length: 18 }, (_, index) => index + 1),
    )
  })
})

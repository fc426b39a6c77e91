import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Browser, copyCookies, type Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  API_SCOPE,
  authorizeUrl,
  exchange,
  MATRIX_SCOPE,
  obtainCode,
  PASSWORD,
  registerClient,
  signUp,
  WEB_CLIENT,
} from '../support/oauth.ts'

const PLAIN = { scope: 'openid' }
let harness: Harness
let clientId: string
let people = 0
beforeAll(async () => {
  harness = await createHarness({
    config: {
      account: { login_with_email_allowed: true },
      policy: { data: { requester: { banned_user_agents: { substrings: ['BadBot'] } } } },
    } as never,
  })
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => harness.close())

/** A browser with somebody new in it who agreed to `openid` for the client. */
async function person(): Promise<{ browser: Browser; name: string }> {
  const browser = harness.browser()
  const name = `person${people++}`
  await signUp(browser, name)
  await agree(browser)
  return { browser, name }
}

const open = (browser: Browser, params: Record<string, string> = {}): Promise<Page> =>
  browser.open(authorizeUrl(clientId, { ...PLAIN, ...params }))
const agree = (browser: Browser, params: Record<string, string> = {}): Promise<string> =>
  obtainCode(browser, clientId, { ...PLAIN, ...params })
const signIn = (page: Page, username: string, password = PASSWORD): Promise<Page> =>
  page.submit({ username, password }, { action: '/login' })

/** Where a person ends up: `code`, an error code at the client, or the page. */
function outcome(page: Page): string {
  if (page.url.origin !== harness.origin) {
    expect(page.url.searchParams.get('state')).toBe('a-state')
    expect(page.url.searchParams.get('iss')).toBe('http://auth.test/')
    return page.url.searchParams.get('error') ?? (page.url.searchParams.has('code') ? 'code' : 'nothing')
  }
  return page.url.pathname.split('/')[1] ?? ''
}

async function idTokenOf(browser: Browser, params: Record<string, string> = {}): Promise<string> {
  const { id_token = '' } = await exchange(harness, clientId, await agree(browser, params))
  return id_token
}
const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

describe('prompt=none (OpenID Connect Core 3.1.2.1, decision 10)', () => {
  test('a remembered consent gives a code without a page', async () => {
    const { browser } = await person()
    const page = await open(browser, { prompt: 'none' })
    expect(outcome(page)).toBe('code')
    const { id_token = '' } = await exchange(harness, clientId, page.url.searchParams.get('code') ?? '')
    expect(claimsOf(id_token).aud).toBe(clientId)
  })

  test('POST does the same', async () => {
    const { browser } = await person()
    const query = new URL(authorizeUrl(clientId, { ...PLAIN, prompt: 'none' }), harness.origin).searchParams
    expect(outcome(await browser.post('/authorize', Object.fromEntries(query)))).toBe('code')
  })

  test('fragment and form_post carry the silent answer too', async () => {
    const { browser } = await person()
    const fragment = await open(browser, { prompt: 'none', response_mode: 'fragment' })
    expect(new URLSearchParams(fragment.url.hash.slice(1)).get('code')).toMatch(/^[0-9A-Za-z]{32}$/)
    const post = await open(browser, { prompt: 'none', response_mode: 'form_post' })
    expect([post.status, /name="code" value="[0-9A-Za-z]{32}"/.test(post.text)]).toEqual([200, true])
  })

  test.each<[string, Record<string, string>, string]>([
    ['scopes that nobody agreed to', { scope: 'openid email' }, 'consent_required'],
    ['what the policy refuses', { scope: 'openid phone' }, 'invalid_scope'],
    [
      'what the policy refuses, with Matrix scopes: still no page',
      { scope: `${API_SCOPE} phone` },
      'invalid_scope',
    ],
    [
      'somebody else by login_hint',
      { login_hint: 'mxid:@nobody:example.test' },
      'account_selection_required',
    ],
    ['together with login', { prompt: 'none login' }, 'invalid_request'],
    ['together with consent', { prompt: 'none consent' }, 'invalid_request'],
    ['together with create', { prompt: 'create none' }, 'invalid_request'],
  ])('%s', async (_name, params, expected) => {
    const { browser } = await person()
    expect(outcome(await open(browser, { prompt: 'none', ...params }))).toBe(expected)
  })

  test('nobody signed in, a session that ended, an account that is locked: login_required', async () => {
    expect(outcome(await open(harness.browser(), { prompt: 'none' }))).toBe('login_required')
    const { browser, name } = await person()
    await harness.deps
      .sql`update latchkey.users set locked_at = ${harness.clock.now()} where username = ${name}`
    expect(outcome(await open(browser, { prompt: 'none' }))).toBe('login_required')
    await harness.deps.sql`update latchkey.users set locked_at = null where username = ${name}`
    expect(outcome(await open(browser, { prompt: 'none' }))).toBe('code')
    await harness.deps.sql`update latchkey.browser_sessions set finished_at = ${harness.clock.now()}
      where user_id = (select id from latchkey.users where username = ${name})`
    expect(outcome(await open(browser, { prompt: 'none' }))).toBe('login_required')
  })

  test('in a frame of another site: login_required; in one of its own site it works', async () => {
    const { browser } = await person()
    const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const ask = async (site: string, dest: string) => {
      const response = await harness.request(authorizeUrl(clientId, { ...PLAIN, prompt: 'none' }), {
        headers: { cookie, 'sec-fetch-site': site, 'sec-fetch-dest': dest },
      })
      const { searchParams } = new URL(response.headers.get('location') ?? '')
      return searchParams.get('error') ?? 'code'
    }
    expect(await ask('cross-site', 'iframe')).toBe('login_required')
    expect(await ask('cross-site', 'object')).toBe('login_required')
    expect(await ask('same-site', 'iframe')).toBe('code')
    expect(await ask('cross-site', 'document')).toBe('code')
  })

  test('what is asked for at every sign-in never passes in silence: interaction_required (RFC 8252 8.6)', async () => {
    const { browser } = await person()
    await agree(browser, { scope: MATRIX_SCOPE })
    expect(outcome(await open(browser, { scope: MATRIX_SCOPE, prompt: 'none' }))).toBe('interaction_required')
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/cb'],
    })
    const params = { ...PLAIN, redirect_uri: 'http://127.0.0.1:4711/cb' }
    await obtainCode(browser, client_id, params)
    const page = await browser.open(authorizeUrl(client_id, { ...params, prompt: 'none' }))
    expect([page.url.host, page.url.searchParams.get('error')]).toEqual([
      '127.0.0.1:4711',
      'interaction_required',
    ])
  })

  test('a homeserver that is down is told to the client, not to a page', async () => {
    const { browser, name } = await person()
    await harness.deps.sql`update latchkey.users set provisioned_at = null where username = ${name}`
    harness.homeserver.down = true
    expect(outcome(await open(browser, { prompt: 'none' }))).toBe('temporarily_unavailable')
    harness.homeserver.down = false
    expect(outcome(await open(browser, { prompt: 'none' }))).toBe('code')
  })

  test('a banned requester is access_denied', async () => {
    const { browser } = await person()
    const bot = copyCookies(browser, harness.browser({ 'user-agent': 'BadBot/1' }))
    expect(outcome(await open(bot, { prompt: 'none' }))).toBe('access_denied')
  })
})

describe('prompt=login (Core 3.1.2.1)', () => {
  test('the person who is signed in gives the password once more, and the session goes on', async () => {
    const { browser, name } = await person()
    const before = claimsOf(await idTokenOf(browser))
    harness.clock.advance(100)
    const page = await open(browser, { prompt: 'login' })
    expect(outcome(page)).toBe('login')
    expect(page.text).toContain('Please sign in once more to confirm that it is you.')
    expect(page.text).toContain(`@${name}:example.test`)
    expect(page.text).toMatch(new RegExp(`name="username" value="${name}"[^>]*readonly`))
    expect(page.text).not.toContain('Create account')
    const cookie = browser.cookies.get('session')
    const done = await signIn(page, name)
    expect(outcome(done)).toBe('code')
    expect(browser.cookies.get('session')).not.toBe(cookie)
    const { id_token = '' } = await exchange(harness, clientId, done.url.searchParams.get('code') ?? '')
    const after = claimsOf(id_token)
    expect(Number(after.auth_time) - Number(before.auth_time)).toBe(100)
    expect([after.sub, after.sid]).toEqual([before.sub, before.sid])
  })

  test('a cookie that was copied before is worth nothing ten seconds after, and proves nothing new until then', async () => {
    const { browser, name } = await person()
    const thief = harness.browser()
    for (const [key, value] of browser.cookies) thief.cookies.set(key, value)
    harness.clock.advance(700)
    await signIn(await open(browser, { prompt: 'login' }), name)
    // For the form that was sent twice; what asks for a fresh sign-in (here the tokens) does not take it.
    expect((await thief.open('/account/tokens/new')).url.pathname).toBe('/account/confirm')
    expect((await browser.open('/account/tokens/new')).url.pathname).toBe('/account/tokens/new')
    harness.clock.advance(11)
    expect((await thief.open('/account/')).url.pathname).toBe('/login')
    expect((await browser.open('/account/')).url.pathname).toBe('/account/')
  })

  test('a wrong password keeps the person on the page, and the request open', async () => {
    const { browser, name } = await person()
    const page = await open(browser, { prompt: 'login' })
    const wrong = await signIn(page, name, 'wrong')
    expect([wrong.status, wrong.text.includes('The password is not right')]).toEqual([422, true])
    expect(wrong.text).toContain('Please sign in once more')
    expect(outcome(await signIn(wrong, name))).toBe('code')
  })

  test('no way around: neither the consent page nor its POST answer before', async () => {
    const { browser, name } = await person()
    const page = await open(browser, { prompt: 'login', scope: 'openid email' })
    const consent = `/consent/${page.url.searchParams.get('id')}`
    expect(outcome(await browser.open(consent))).toBe('login')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    expect(outcome(await browser.post(consent, { csrf, action: 'consent' }))).toBe('login')
    const shown = await signIn(page, name)
    expect(outcome(shown)).toBe('consent')
    expect(outcome(await shown.submit({}, { action: 'consent/', button: ['action', 'consent'] }))).toBe(
      'code',
    )
  })

  test('an older session that is put back does not count as the new one', async () => {
    const { browser } = await person()
    const session = browser.cookies.get('session') ?? ''
    harness.clock.advance(60)
    browser.cookies.delete('session')
    const page = await open(browser, { prompt: 'login' })
    browser.cookies.set('session', session)
    expect(outcome(await browser.open(`/consent/${page.url.searchParams.get('id')}`))).toBe('login')
  })

  test('another account may be used instead', async () => {
    const { browser } = await person()
    const other = await person()
    const page = await open(browser, { prompt: 'login' })
    const login = await page.submit({}, { action: 'logout' })
    expect(outcome(login)).toBe('login')
    expect(login.text).not.toContain('readonly')
    const done = await signIn(login, other.name)
    expect(outcome(done)).toBe('code')
  })

  test('somebody who signs up on the way has signed in', async () => {
    const browser = harness.browser()
    const login = await open(browser, { prompt: 'login' })
    const done = await signUp(browser, `person${people++}`, `/register${login.url.search}`)
    expect(done.pathname).toStartWith('/consent/')
  })

  test('one sign-in is enough for two requests that waited for it', async () => {
    const { browser, name } = await person()
    const first = await open(browser, { prompt: 'login' })
    const second = await open(browser, { prompt: 'login' })
    harness.clock.advance(1)
    expect(outcome(await signIn(first, name))).toBe('code')
    expect(outcome(await browser.open(second.url.href))).toBe('code')
    expect(outcome(await open(browser, { prompt: 'login' }))).toBe('login')
  })

  test('guessing is limited as at any sign-in', async () => {
    const limited = await createHarness({
      beside: harness,
      config: { rate_limiting: { login: { per_account: { burst: 1, per_second: 0.01 } } } } as never,
    })
    const { browser, name } = await person()
    const process = limited.browser()
    for (const [key, value] of browser.cookies) process.cookies.set(key, value)
    const page = await process.open(authorizeUrl(clientId, { ...PLAIN, prompt: 'login' }))
    const wrong = await signIn(page, name, 'wrong')
    const refused = await signIn(wrong, name)
    expect([refused.status, refused.text.includes('Please sign in once more')]).toEqual([429, true])
    await limited.close()
  })
})

describe('max_age and auth_time (Core 3.1.2.1, 2)', () => {
  test('a sign-in that is young enough is enough, an older one is asked for again', async () => {
    const { browser, name } = await person()
    harness.clock.advance(100)
    expect(outcome(await open(browser, { max_age: '100' }))).toBe('code')
    expect(outcome(await open(browser, { max_age: '99' }))).toBe('login')
    expect(outcome(await open(browser, { max_age: '99', prompt: 'none' }))).toBe('login_required')
    expect(outcome(await signIn(await open(browser, { max_age: '99' }), name))).toBe('code')
    const now = Math.floor(harness.clock.now().getTime() / 1000)
    expect(claimsOf(await idTokenOf(browser, { max_age: '99' })).auth_time).toBe(now)
  })

  test('max_age=0 is prompt=login', async () => {
    const { browser, name } = await person()
    const page = await open(browser, { max_age: '0' })
    expect(outcome(page)).toBe('login')
    expect(outcome(await open(browser, { max_age: '0', prompt: 'none' }))).toBe('login_required')
    expect(outcome(await signIn(page, name))).toBe('code')
  })

  test('an age beyond all time is no error', async () => {
    const { browser } = await person()
    expect(outcome(await open(browser, { max_age: '9999999999', prompt: 'none' }))).toBe('code')
    expect(outcome(await open(browser, { max_age: '99999999999' }))).toBe('invalid_request')
  })

  test('default_max_age of the client counts where the request says nothing', async () => {
    const { browser } = await person()
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, default_max_age: 50 })
    await obtainCode(browser, client_id, PLAIN)
    harness.clock.advance(51)
    const ask = (params: Record<string, string>) =>
      browser.open(authorizeUrl(client_id, { ...PLAIN, prompt: 'none', ...params }))
    expect(outcome(await ask({}))).toBe('login_required')
    expect(outcome(await ask({ max_age: '60' }))).toBe('code')
  })
})

describe('prompt=consent, select_account and create (Core 3.1.2.1)', () => {
  test.each(['consent', 'select_account', 'consent select_account'])(
    '%s shows the page although the answer is remembered, with the way to another account',
    async (prompt) => {
      const { browser, name } = await person()
      expect(outcome(await open(browser))).toBe('code')
      const page = await open(browser, { prompt })
      expect(outcome(page)).toBe('consent')
      expect(page.text).toContain(`@${name}:example.test`)
      expect(page.text).toContain('Use another account')
      const answered = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
      expect(outcome(answered)).toBe('code')
    },
  )

  test('login consent asks for the password, then for the consent', async () => {
    const { browser, name } = await person()
    const login = await open(browser, { prompt: 'login consent' })
    expect(outcome(login)).toBe('login')
    expect(outcome(await signIn(login, name))).toBe('consent')
  })

  test('create shows the sign-up, with the name of the login_hint', async () => {
    const page = await open(harness.browser(), { prompt: 'create', login_hint: 'mxid:@wanted:example.test' })
    expect(outcome(page)).toBe('register')
    expect(page.text).toContain('name="username" value="wanted"')
  })
})

describe('hints', () => {
  test('login_hint names somebody else: the page is shown, and the name is filled in after a change of accounts', async () => {
    const { browser } = await person()
    const other = await person()
    const hint = `mxid:@${other.name}:example.test`
    const page = await open(browser, { login_hint: hint })
    expect(outcome(page)).toBe('consent')
    const login = await page.submit({}, { action: 'logout' })
    expect(login.text).toContain(`name="username" value="${other.name}"`)
    expect(outcome(await signIn(login, other.name))).toBe('code')
  })

  test.each(['alice', 'mxid:@alice:elsewhere.test', 'mxid:alice', '\u{1f4a5}'])(
    'login_hint %s, of which we know nobody, changes nothing',
    async (login_hint) => {
      const { browser } = await person()
      expect(outcome(await open(browser, { login_hint, prompt: 'none' }))).toBe('code')
    },
  )

  test('login_hint with the address of somebody else, where addresses sign in', async () => {
    const { browser } = await person()
    const other = await person()
    await harness.deps.sql`insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
      select gen_random_uuid(), id, 'o@mail.example', 'o@mail.example', created_at
      from latchkey.users where username = ${other.name}`
    const params = { login_hint: 'O@mail.example', prompt: 'none' }
    expect(outcome(await open(browser, params))).toBe('account_selection_required')
    expect(outcome(await open(other.browser, params))).toBe('code')
    // Whether anybody has an address is not told to whoever asks with a client of their own.
    const unknown = { login_hint: 'nobody@mail.example', prompt: 'none' }
    expect(outcome(await open(browser, unknown))).toBe('account_selection_required')
  })

  test('id_token_hint of the person who is signed in, expired or not', async () => {
    const { browser } = await person()
    const id_token_hint = await idTokenOf(browser)
    expect(outcome(await open(browser, { id_token_hint, prompt: 'none' }))).toBe('code')
    harness.clock.advance(90 * 24 * 3600)
    expect(outcome(await open(browser, { id_token_hint, prompt: 'none' }))).toBe('code')
    expect(outcome(await open(browser, { id_token_hint }))).toBe('code')
  })

  test('id_token_hint of somebody else: that person must sign in, and nobody else gets through', async () => {
    const { browser, name } = await person()
    const other = await person()
    const id_token_hint = await idTokenOf(other.browser)
    expect(outcome(await open(browser, { id_token_hint, prompt: 'none' }))).toBe('login_required')
    const page = await open(browser, { id_token_hint })
    expect(outcome(page)).toBe('login')
    expect(page.text).toContain('asks for this account')
    expect(page.text).toContain(`@${other.name}:example.test`)
    const wrong = await signIn(page, name)
    expect(outcome(wrong)).toBe('login')
    expect(outcome(await browser.open(`/consent/${page.url.searchParams.get('id')}`))).toBe('login')
    expect(outcome(await signIn(wrong, other.name))).toBe('code')
  })

  test('id_token_hint of an account that is gone: login_required', async () => {
    const { browser, name } = await person()
    const id_token_hint = await idTokenOf(browser)
    await harness.deps
      .sql`update latchkey.users set deactivated_at = ${harness.clock.now()} where username = ${name}`
    expect(outcome(await open(harness.browser(), { id_token_hint }))).toBe('login_required')
  })

  test('id_token_hint must be an ID token of ours for this client: invalid_request', async () => {
    const { browser } = await person()
    const good = await idTokenOf(browser)
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Other' })
    const tokens = await exchange(harness, client_id, await obtainCode(browser, client_id, PLAIN))
    const [header, , signature] = good.split('.')
    const forged = Buffer.from(JSON.stringify({ ...claimsOf(good), sub: '01J00000000000000000000000' }))
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    for (const id_token_hint of [
      tokens.id_token ?? '',
      tokens.access_token,
      `${header}.${forged.toString('base64url')}.${signature}`,
      `${none}.${good.split('.')[1]}.`,
      good.slice(0, -3),
      'x',
    ])
      expect(outcome(await open(browser, { id_token_hint }))).toBe('invalid_request')
  })

  test('id_token_hint is not kept with the request', async () => {
    const { browser } = await person()
    const hint = await idTokenOf(browser)
    await open(browser, { id_token_hint: hint, nonce: 'find-me' })
    const [row] = await harness.deps.sql<{ raw: Record<string, string> }[]>`
      select raw_parameters as raw from latchkey.authorization_grants where nonce = 'find-me'`
    expect([row?.raw.nonce, row?.raw.id_token_hint]).toEqual(['find-me', undefined])
  })
})

describe('claims and acr (Core 5.5)', () => {
  const PASSWORD_ACR = 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport'

  test('acr is told where it was asked for, and only there', async () => {
    const { browser } = await person()
    expect(claimsOf(await idTokenOf(browser))).not.toHaveProperty('acr')
    for (const params of [
      { acr_values: 'urn:example:gold' },
      { claims: '{"id_token":{"acr":null}}' },
      { claims: `{"id_token":{"acr":{"essential":true,"values":["x","${PASSWORD_ACR}"]}}}` },
    ] as Record<string, string>[])
      expect(claimsOf(await idTokenOf(browser, params)).acr).toBe(PASSWORD_ACR)
  })

  test('an essential acr that there is none of here is unmet_authentication_requirements', async () => {
    const { browser } = await person()
    const claims = (acr: object) => JSON.stringify({ id_token: { acr } })
    for (const acr of [
      { essential: true, value: 'gold' },
      { essential: true, values: ['gold'] },
    ])
      expect(outcome(await open(browser, { claims: claims(acr) }))).toBe('unmet_authentication_requirements')
    expect(outcome(await open(browser, { claims: claims({ values: ['gold'] }) }))).toBe('code')
  })

  test('auth_time as an essential claim is there, unknown claims and languages are left out', async () => {
    const { browser } = await person()
    const claims = JSON.stringify({
      id_token: { auth_time: { essential: true }, 'nickname#de': null, __proto__: null },
      userinfo: { 'https://example.com/x': { essential: true, value: 1 } },
      other: 3,
    })
    expect(claimsOf(await idTokenOf(browser, { claims })).auth_time).toBeNumber()
  })

  test('a sub with a value is answered for that person alone', async () => {
    const { browser } = await person()
    const { sub } = claimsOf(await idTokenOf(browser))
    const ask = async (value: unknown, where = 'id_token') =>
      outcome(
        await open(browser, { prompt: 'none', claims: JSON.stringify({ [where]: { sub: { value } } }) }),
      )
    expect(await ask(sub)).toBe('code')
    expect(await ask(sub, 'userinfo')).toBe('code')
    expect(await ask('01J00000000000000000000000')).toBe('login_required')
    expect(await ask('nobody')).toBe('login_required')
    expect(await ask(7)).toBe('login_required')
  })
})

describe('ui_locales and display', () => {
  test('the whole flow is in the language of the request, whatever the browser prefers', async () => {
    const browser = harness.browser()
    const login = await open(browser, { ui_locales: 'xx de en', scope: 'openid email' })
    expect([login.headers.get('content-language'), login.text.includes('Anmelden')]).toEqual(['de', true])
    const failed = await signIn(login, 'nobody', 'x')
    expect(failed.headers.get('content-language')).toBe('de')
    const register = await browser.open(`/register${login.url.search}`)
    expect(register.headers.get('content-language')).toBe('de')
    const name = `person${people++}`
    const step = await register.submit(
      { username: name, password: PASSWORD, password_confirm: PASSWORD },
      { action: 'register/password' },
    )
    expect(step.headers.get('content-language')).toBe('de')
    const consent = await step.submit(
      { display_name: 'N' },
      { action: 'display-name', button: ['action', 'set'] },
    )
    expect([outcome(consent), consent.headers.get('content-language')]).toEqual(['consent', 'de'])
    expect((await browser.open('/')).headers.get('content-language')).toBe('en')
  })

  test.each(['page', 'popup', 'touch', 'wap', 'hologram'])('display=%s is no error', async (display) => {
    expect(outcome(await open(harness.browser(), { display }))).toBe('login')
  })
})

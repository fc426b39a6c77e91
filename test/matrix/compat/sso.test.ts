import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { deactivate, killSessions, lock } from '../../../src/identity/lifecycle.ts'
import type { Browser, Page } from '../../support/browser.ts'
import { createHarness, type Harness } from '../../support/harness.ts'
import { createPerson, introspectLegacy, type MatrixAnswer, postMatrix } from '../../support/legacy.ts'
import { PASSWORD, signUp } from '../../support/oauth.ts'

const PROVIDER = '01JDFX2V9S6QK3W4Z5Y7T8R9PA'
const SSO = '/_matrix/client/v3/login/sso/redirect'
const CLIENT = 'https://chat.example.com/home?a=%20b#/login'

let harness: Harness
let browser: Browser
beforeAll(async () => {
  harness = await createHarness({
    config: {
      upstream_oauth2: {
        providers: [
          {
            id: PROVIDER,
            issuer: 'https://id.example.com/',
            human_name: 'Example ID',
            brand_name: 'Google',
            client_id: 'x',
            token_endpoint_auth_method: 'none',
          },
          {
            id: '01JDFX2V9S6QK3W4Z5Y7T8R9PB',
            enabled: false,
            issuer: 'https://off.example.com/',
            client_id: 'x',
            token_endpoint_auth_method: 'none',
          },
        ],
      },
    },
  })
  browser = harness.browser()
  await signUp(browser, 'alice')
})
afterAll(() => harness.close())

const begin = (redirectUrl = CLIENT, path = SSO, more: Record<string, string> = {}): string =>
  `${path}?${new URLSearchParams({ redirectUrl, ...more })}`

/** The address that the redirect of a client leads to. */
async function redirected(address: string): Promise<URL> {
  const response = await harness.request(address)
  expect(response.status).toBe(303)
  return new URL(response.headers.get('location') ?? '')
}

/** Begins a login in a browser and answers it. */
async function answer(who: Browser, action: 'continue' | 'cancel', redirectUrl = CLIENT): Promise<Page> {
  const page = await who.open(begin(redirectUrl))
  return page.submit({}, { action: 'complete-compat-sso/', button: ['action', action] })
}

async function loginToken(who = browser): Promise<string> {
  const { url } = await answer(who, 'continue')
  const token = url.searchParams.get('loginToken')
  if (!token) throw new Error(`no token at ${url}`)
  return token
}

const exchange = (token: unknown, more: object = {}): Promise<MatrixAnswer> =>
  postMatrix(harness, 'login', { type: 'm.login.token', token, ...more })
const INVALID = [403, { errcode: 'M_FORBIDDEN', error: 'Invalid login token' }]

describe('GET /_matrix/client/{version}/login', () => {
  test('offers SSO to clients that know no OAuth, with the providers to choose from (reference 9.1, MSC3824)', async () => {
    const { flows } = (await (await harness.request('/_matrix/client/v3/login')).json()) as {
      flows: unknown[]
    }
    expect(flows).toEqual([
      { type: 'm.login.password' },
      {
        type: 'm.login.sso',
        oauth_aware_preferred: true,
        'org.matrix.msc3824.delegated_oidc_compatibility': true,
        identity_providers: [{ id: PROVIDER, name: 'Example ID', brand: 'google' }],
      },
      { type: 'm.login.token' },
    ])
  })

  test('names no providers where there are none, and never get_login_token', async () => {
    const plain = await createHarness({ beside: harness })
    const text = await (await plain.request('/_matrix/client/v3/login')).text()
    expect(text).toContain('m.login.sso')
    expect(text).not.toContain('identity_providers')
    expect(text).not.toContain('get_login_token')
    await plain.close()
  })
})

describe('GET /_matrix/client/{version}/login/sso/redirect', () => {
  test.each([SSO, `${SSO}/`, '/_matrix/client/r0/login/sso/redirect', `${SSO}/oidc-old`])(
    '%s leads to our page, by an absolute address (reference 9.3)',
    async (path) => {
      const url = await redirected(begin(CLIENT, path))
      expect(url.origin).toBe('http://auth.test')
      expect(url.pathname).toMatch(/^\/complete-compat-sso\/[0-9A-Z]{26}$/)
      expect(url.search).toBe('')
    },
  )

  test('takes along which provider the person chose', async () => {
    const url = await redirected(begin(CLIENT, `${SSO}/${PROVIDER}`))
    expect(url.search).toBe(`?upstream_idp=${PROVIDER}`)
  })

  test.each<[Record<string, string>, string]>([
    [{ action: 'login' }, 'login'],
    [{ 'org.matrix.msc3824.action': 'register' }, 'register'],
    [{ action: 'register', 'org.matrix.msc3824.action': 'login' }, 'register'],
  ])('takes along %p in both spellings', async (more, action) => {
    const { searchParams } = await redirected(begin(CLIENT, SSO, more))
    expect(Object.fromEntries(searchParams)).toEqual({ action, 'org.matrix.msc3824.action': action })
  })

  test('drops an action that there is not', async () => {
    expect((await redirected(begin(CLIENT, SSO, { action: 'x' }))).search).toBe('')
  })

  test.each([
    ['no address', ''],
    ['a relative address', '/home'],
    ['no host', 'https://'],
    ['a user', 'https://a:b@chat.example.com/'],
    ['a script', 'javascript:alert(1)'],
    ['a site in another browser', 'microsoft-edge:https://evil.example/'],
    ['a site in Safari', 'x-safari-https://evil.example/'],
    ['a script, hidden', ' jAva\tscript:alert(1)'],
    ['data', 'data:text/html,x'],
    ['a file', 'file:///etc/passwd'],
    ['a page of the browser', 'about:blank'],
    ['a source view', 'view-source:https://chat.example.com/'],
    ['any app, by an intent', 'intent://x#Intent;scheme=https;end'],
    ['a blob', 'blob:https://chat.example.com/1'],
    ['too long an address', `https://chat.example.com/${'x'.repeat(5000)}`],
  ])('refuses %s with a page, and goes nowhere (edge 44)', async (_what, address) => {
    const response = await harness.request(begin(address))
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toContain('text/html')
    expect(response.headers.has('location')).toBe(false)
    expect(response.headers.has('access-control-allow-origin')).toBe(false)
  })

  test.each([
    'org.tern.chat://callback',
    'element://vector/webapp/',
    'http://[::1]:8080/',
    'http://localhost:9/',
  ])('takes %s, as apps use it', async (address) => {
    expect((await redirected(begin(address))).pathname).toContain('/complete-compat-sso/')
  })
})

describe('/complete-compat-sso/{id}', () => {
  test('names where the person goes, and lets no form lead elsewhere (edge 44, decision 1)', async () => {
    const page = await browser.open(begin())
    expect(page.status).toBe(200)
    expect(page.text).toContain('chat.example.com')
    expect(page.text).toContain('@alice:example.test')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/form-action 'self' https:\/\/chat\.example\.com(;|$)/)
    const app = await browser.open(begin('org.tern.chat://callback'))
    expect(app.text).toContain('org.tern.chat')
    expect(app.headers.get('content-security-policy')).toContain("form-action 'self' org.tern.chat:")
  })

  test('the button takes the token along; the rest of the address keeps its spelling', async () => {
    const { url } = await answer(browser, 'continue')
    expect(url.href).toMatch(
      /^https:\/\/chat\.example\.com\/home\?a=%20b&loginToken=[0-9A-Za-z]{32}#\/login$/,
    )
    const fresh = await answer(browser, 'continue', 'https://chat.example.com/')
    expect(fresh.url.search).toMatch(/^\?loginToken=[0-9A-Za-z]{32}$/)
  })

  test('a token that stood in the address before is not left beside ours', async () => {
    const { url } = await answer(browser, 'continue', 'https://chat.example.com/?loginToken=theirs&b=1')
    const tokens = url.searchParams.getAll('loginToken')
    expect(tokens.length).toBe(1)
    expect(tokens[0]).not.toBe('theirs')
    expect(url.searchParams.get('b')).toBe('1')
  })

  test('a person who is not signed in signs in first, and comes back', async () => {
    await createPerson(harness, 'later')
    const fresh = harness.browser()
    const login = await fresh.open(begin(CLIENT, `${SSO}/${PROVIDER}`))
    expect(login.url.pathname).toBe('/login')
    expect(login.url.searchParams.get('kind')).toBe('continue_compat_sso_login')
    // The provider that the client chose is not there: sign-in says so, and goes on without it.
    expect(login.text).toContain('Example ID does not answer just now.')
    expect(login.text).toContain('chat.example.com')
    const page = await login.submit({ username: 'later', password: PASSWORD }, { action: '/login' })
    expect(page.url.pathname).toContain('/complete-compat-sso/')
    const done = await page.submit({}, { action: 'complete-compat-sso/', button: ['action', 'continue'] })
    const { status, body } = await exchange(done.url.searchParams.get('loginToken'))
    expect([status, body.user_id]).toEqual([200, '@later:example.test'])
  })

  test('a person who chose to sign up in the client signs up, and comes back', async () => {
    const fresh = harness.browser()
    const url = await signUp(fresh, 'fresh', begin(CLIENT, SSO, { action: 'register' }))
    expect(url.pathname).toContain('/complete-compat-sso/')
    const page = await fresh.open(url.pathname)
    const done = await page.submit({}, { action: 'complete-compat-sso/', button: ['action', 'continue'] })
    expect((await exchange(done.url.searchParams.get('loginToken'))).status).toBe(200)
  })

  test('a form of another site, or a stale one, shows the page again and approves nothing', async () => {
    const page = await browser.open(begin())
    const again = await browser.post(page.url.pathname, { csrf: 'wrong', action: 'continue' })
    expect(again.status).toBe(422)
    expect(again.url.host).toBe('auth.test')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const foreign = await browser.post(page.url.pathname, { csrf }, { 'sec-fetch-site': 'cross-site' })
    expect(foreign.status).toBe(422)
    const done = await again.submit({}, { action: 'complete-compat-sso/', button: ['action', 'continue'] })
    expect(done.url.host).toBe('chat.example.com')
  })

  test('cancel stays here, and cannot be taken back', async () => {
    const page = await browser.open(begin())
    const done = await page.submit({}, { action: 'complete-compat-sso/', button: ['action', 'cancel'] })
    expect([done.status, done.url.host]).toEqual([200, 'auth.test'])
    expect(done.text).toContain('does not get into your account')
    expect((await browser.open(page.url.pathname)).status).toBe(409)
    const late = await page.submit({}, { action: 'complete-compat-sso/', button: ['action', 'continue'] })
    expect([late.status, late.url.host]).toEqual([409, 'auth.test'])
  })

  test('is answered once', async () => {
    const page = await browser.open(begin())
    const button = { action: 'complete-compat-sso/', button: ['action', 'continue'] as [string, string] }
    const answers = await Promise.all([page.submit({}, button), page.submit({}, button)])
    expect(answers.map(({ url }) => url.host).sort()).toEqual(['auth.test', 'chat.example.com'])
  })

  test('is over after half an hour', async () => {
    const page = await browser.open(begin())
    harness.clock.advance(1801)
    const late = await page.submit({}, { action: 'complete-compat-sso/', button: ['action', 'continue'] })
    expect([late.status, late.url.host]).toEqual([410, 'auth.test'])
    expect(late.text).toContain('compat_sso_login_expired')
  })

  test.each(['/complete-compat-sso/01J00000000000000000000000', '/complete-compat-sso/x'])(
    '%s is not there',
    async (path) => {
      expect((await browser.open(path)).status).toBe(404)
    },
  )

  test('tells somebody who is locked so', async () => {
    const held = harness.browser()
    await signUp(held, 'held')
    await lock(harness.deps, await userId('held'))
    const page = await held.open(begin())
    expect(page.text).toContain('locked')
    expect(page.text).not.toContain('chat.example.com')
  })

  test('lets nobody in whom the policy refuses: 403, with a way out (reference 9.3)', async () => {
    const strict = await createHarness({
      beside: harness,
      config: {
        experimental: { session_limit: { soft_limit: 1, hard_limit: 5 } },
      },
    })
    const many = strict.browser()
    await signUp(many, 'crowded')
    await postMatrix(strict, 'login', {
      type: 'm.login.password',
      user: 'crowded',
      password: PASSWORD,
    })
    const page = await many.open(begin())
    expect(page.status).toBe(403)
    expect(page.text).toContain('complete-compat-sso/')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const forced = await many.post(page.url.pathname, { csrf, action: 'continue' })
    expect([forced.status, forced.url.host]).toEqual([403, 'auth.test'])
    const left = await many.post(page.url.pathname, { csrf, action: 'cancel' })
    expect(left.status).toBe(200)
    await strict.close()
  })

  test('waits for the homeserver to know the person: 503 while it is down, and the login can go on after it', async () => {
    const waits = harness.browser()
    await createPerson(harness, 'waits')
    const login = await waits.open(begin())
    const page = await login.submit({ username: 'waits', password: PASSWORD }, { action: '/login' })
    harness.homeserver.down = true
    const button = { action: 'complete-compat-sso/', button: ['action', 'continue'] as [string, string] }
    expect((await page.submit({}, button)).status).toBe(503)
    harness.homeserver.down = false
    expect((await page.submit({}, button)).url.host).toBe('chat.example.com')
  })
})

async function userId(username: string): Promise<string> {
  const [row] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.users where username = ${username}`
  return row?.id ?? ''
}

describe('POST /_matrix/client/{version}/login with a login token (reference 9.2)', () => {
  test('gives tokens to the client, in a session of the browser that approved it', async () => {
    const { status, body } = await exchange(await loginToken(), {
      device_id: 'SSODEVICE',
      initial_device_display_name: 'Tern',
      refresh_token: true,
    })
    expect(status).toBe(200)
    expect(Object.keys(body).sort()).toEqual([
      'access_token',
      'device_id',
      'expires_in_ms',
      'refresh_token',
      'user_id',
    ])
    expect([body.user_id, body.device_id]).toEqual(['@alice:example.test', 'SSODEVICE'])
    expect(await introspectLegacy(harness, String(body.access_token))).toMatchObject({
      active: true,
      device_id: 'SSODEVICE',
    })
    expect(harness.homeserver.users.get('alice')?.devices.get('SSODEVICE')).toBe('Tern')
    const [row] = await harness.database.sql<{ linked: boolean }[]>`
      select browser_session_id is not null as linked from latchkey.compat_sessions where device_id = 'SSODEVICE'`
    expect(row?.linked).toBe(true)
  })

  test('is good once', async () => {
    const token = await loginToken()
    const first = await exchange(token)
    const second = await exchange(token)
    expect([second.status, second.body]).toEqual(INVALID)
    // The session that it made stays.
    expect((await introspectLegacy(harness, String(first.body.access_token))).active).toBe(true)
  })

  test('of two that come at once one wins', async () => {
    const token = await loginToken()
    const answers = await Promise.all([exchange(token), exchange(token), exchange(token)])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 403, 403])
  })

  test('is good for 30 seconds', async () => {
    const token = await loginToken()
    harness.clock.advance(29)
    const early = await loginToken()
    expect((await exchange(token)).status).toBe(200)
    harness.clock.advance(30)
    const { status, body } = await exchange(early)
    expect([status, body]).toEqual([403, { errcode: 'M_FORBIDDEN', error: 'Login token expired' }])
  })

  test.each<[string, unknown, number, string]>([
    ['an unknown token', 'x'.repeat(32), 403, 'M_FORBIDDEN'],
    ['a token that no database holds', '\0', 403, 'M_FORBIDDEN'],
    ['no token', undefined, 400, 'M_BAD_JSON'],
    ['a number', 5, 400, 'M_BAD_JSON'],
  ])('refuses %s', async (_what, token, status, errcode) => {
    const answered = await exchange(token)
    expect([answered.status, answered.body.errcode]).toEqual([status, errcode])
  })

  test('refuses one whose browser has signed out since', async () => {
    const leaving = harness.browser()
    await signUp(leaving, 'leaving')
    const token = await loginToken(leaving)
    await (await leaving.open('/account/')).submit({}, { action: '/logout' })
    const { status, body } = await exchange(token)
    expect([status, body]).toEqual(INVALID)
  })

  test('refuses one of an account that was deactivated, and tells one that was locked', async () => {
    const going = harness.browser()
    await signUp(going, 'going')
    const token = await loginToken(going)
    const id = await userId('going')
    await lock(harness.deps, id)
    const locked = await exchange(token)
    expect([locked.status, locked.body]).toEqual([
      401,
      { errcode: 'M_USER_LOCKED', error: 'This account is locked.', soft_logout: true },
    ])
    await deactivate(harness.deps, id, false)
    const gone = await exchange(token)
    expect([gone.status, gone.body]).toEqual(INVALID)
  })

  test('comes back to the client when the homeserver fails: 503, and the same token works after it', async () => {
    const token = await loginToken()
    harness.homeserver.failOnce('upsert_device')
    const { status, headers } = await exchange(token)
    expect(status).toBe(503)
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await exchange(token)).status).toBe(200)
  })

  test('wrong ones from one address are limited, right ones never', async () => {
    const statuses: number[] = []
    for (let guess = 0; guess < 22; guess++) statuses.push((await exchange(`guess ${guess}`)).status)
    expect(statuses.at(-1)).toBe(429)
    expect((await exchange(await loginToken())).status).toBe(200)
  })

  test('is stored as a digest, and in no log', async () => {
    const token = await loginToken()
    expect(JSON.stringify(harness.logged)).not.toContain(token)
    const rows = await harness.database.sql`select token_hash::text from latchkey.compat_logins`
    expect(JSON.stringify(rows)).not.toContain(token)
  })
})

test('the account page names a login by SSO by the site that it led to', async () => {
  const named = harness.browser()
  await signUp(named, 'named')
  await exchange(await loginToken(named))
  expect((await named.open('/account/sessions')).text).toContain('chat.example.com')
})

test('a login token whose browser session ends at the moment of the exchange begins nothing', async () => {
  const person = harness.browser()
  await signUp(person, 'racer')
  const [user] = await harness.database.sql`select id from latchkey.users where username = 'racer'`
  const token = await loginToken(person)
  const { policy } = harness.deps
  const { legacyLogin } = policy
  policy.legacyLogin = async (...asked) => {
    await killSessions(harness.deps, user?.id)
    return legacyLogin(...asked)
  }
  try {
    const { status, body } = await exchange(token)
    expect([status, body]).toEqual(INVALID)
  } finally {
    policy.legacyLogin = legacyLogin
  }
  const sessions = await harness.database
    .sql`select from latchkey.compat_sessions where user_id = ${user?.id} and finished_at is null`
  expect(sessions).toHaveLength(0)
})

test('a site without encryption is not shown as the one with it: whoever listens on the way would get in', async () => {
  const title = async (address: string) => /<h1>([^<]*)/.exec((await browser.open(begin(address))).text)?.[1]
  expect(await title('https://chat.example.com/')).toBe('Continue to chat.example.com?')
  expect(await title('http://chat.example.com/')).toBe('Continue to http://chat.example.com?')
})

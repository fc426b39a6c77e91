import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  authorizeUrl,
  basic,
  introspect,
  obtainCode,
  PASSWORD,
  pkce,
  registerClient,
  signedInApp,
  signUp,
  staticClient,
  type TokenBody,
  WEB_CLIENT,
} from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

/** Errors print as their message, code and causes, as the log does. */
const printed = (entries: unknown): string =>
  JSON.stringify(entries, (_key, value: unknown) =>
    value instanceof Error
      ? { ...value, message: value.message, stack: value.stack, cause: value.cause }
      : value,
  )

test('no token, code, secret, password or cookie is ever logged, whatever goes wrong', async () => {
  const secrets = new Set<string>([PASSWORD, 'wrong-password-of-alice', 'static-secret', pkce().verifier])
  const keep = (...values: (string | undefined)[]) => {
    for (const value of values) if (value) secrets.add(value)
  }
  const browser = harness.browser()
  await signUp(browser, 'alice')
  const client = await registerClient(harness, {
    ...WEB_CLIENT,
    token_endpoint_auth_method: 'client_secret_basic',
  })
  keep(client.client_secret)
  const { client_id } = await registerClient(harness)
  const code = await obtainCode(browser, client_id)
  const form = { grant_type: 'authorization_code', client_id, code, code_verifier: pkce().verifier }
  harness.homeserver.down = true
  await harness.form('/oauth2/token', form)
  harness.homeserver.down = false
  const tokens = (await (await harness.form('/oauth2/token', form)).json()) as TokenBody
  harness.clock.advance(30)
  await harness.form('/oauth2/token', form)
  keep(code, tokens.access_token, tokens.refresh_token, tokens.id_token)

  const app = await signedInApp(harness, 'bob')
  const renew = {
    grant_type: 'refresh_token',
    client_id: app.clientId,
    refresh_token: app.tokens.refresh_token,
  }
  const next = (await (await harness.form('/oauth2/token', renew)).json()) as TokenBody
  await introspect(harness, next.access_token)
  await harness.form('/oauth2/token', renew)
  keep(app.tokens.access_token, app.tokens.refresh_token, next.access_token, next.refresh_token)
  await harness.form(
    '/oauth2/introspect',
    { token: next.access_token },
    { authorization: 'Bearer wrong-secret-of-homeserver' },
  )
  await harness.form('/oauth2/token', renew, basic(client.client_id, 'wrong-secret-of-client'))
  await harness.request(`/oauth2/userinfo?access_token=${next.access_token}`)
  keep('wrong-secret-of-homeserver', 'wrong-secret-of-client', 'test-shared-secret-of-matrix')
  await staticClient(harness, [])
  await harness.form('/oauth2/revoke', { token: next.refresh_token, client_id: app.clientId })
  await harness.runJobs()

  const login = harness.browser()
  // The password in the field of the name: it happens.
  await (await login.open('/login')).submit({ username: PASSWORD, password: 'x' }, { action: 'login' })
  await (await login.open('/login')).submit(
    { username: 'alice', password: 'wrong-password-of-alice' },
    { action: 'login' },
  )
  await (await login.open('/login')).submit({ username: 'alice', password: PASSWORD }, { action: 'login' })
  await login.open(authorizeUrl(client_id, { state: 'a-secret-state' }))
  keep(
    'a-secret-state',
    ...browser.cookies.values(),
    ...login.cookies.values(),
    ...app.browser.cookies.values(),
  )

  const log = printed(harness.logged)
  expect(harness.logged.length).toBeGreaterThan(10)
  expect([...secrets].filter((secret) => log.includes(secret))).toEqual([])
})

test('nothing that could be used is stored as it is: tokens, codes, cookies, passwords, client secrets', async () => {
  const { browser, tokens } = await signedInApp(harness, 'carol')
  const { client_secret } = await registerClient(harness, {
    ...WEB_CLIENT,
    token_endpoint_auth_method: 'client_secret_post',
  })
  const { client_id } = await registerClient(harness)
  const code = await obtainCode(browser, client_id)
  const tables = await harness.database.sql<{ name: string }[]>`
    select table_schema || '.' || table_name as name from information_schema.tables
    where table_schema in ('latchkey', 'latchkey_jobs')`
  expect(tables.length).toBeGreaterThan(10)
  const secrets = [
    tokens.access_token,
    tokens.refresh_token,
    code,
    PASSWORD,
    client_secret,
    ...browser.cookies.values(),
  ]
  for (const { name } of tables) {
    const rows = await harness.database.sql`select t::text as row from ${harness.database.sql(name)} t`
    const text = rows.map((row) => String(row.row)).join('\n')
    for (const secret of secrets) expect([name, text.includes(String(secret))]).toEqual([name, false])
  }
})

test('activity is written once a minute: when a session was last seen, and from where', async () => {
  const headers = {
    'x-forwarded-for': '203.0.113.50',
    'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/140.0',
  }
  const browser = harness.browser(headers)
  await signUp(browser, 'dora')
  const { client_id } = await registerClient(harness)
  const code = await obtainCode(browser, client_id)
  const form = { grant_type: 'authorization_code', client_id, code, code_verifier: pkce().verifier }
  const tokens = (await (await harness.form('/oauth2/token', form, headers)).json()) as TokenBody
  harness.clock.advance(100)
  await browser.open('/account/')
  await introspect(harness, tokens.access_token)
  await harness.deps.activity.flush()
  const rows = await harness.database.sql`
    select 'browser' as kind, last_active_at, host(last_active_ip) as ip
    from latchkey.browser_sessions s join latchkey.users u on u.id = s.user_id where username = 'dora'
    union all
    select 'oauth', last_active_at, host(last_active_ip)
    from latchkey.oauth_sessions s join latchkey.users u on u.id = s.user_id where username = 'dora'
    order by kind`
  const last_active_at = harness.clock.now()
  expect(rows.map((row) => ({ ...row }))).toEqual([
    { kind: 'browser', last_active_at, ip: '203.0.113.50' },
    { kind: 'oauth', last_active_at, ip: '203.0.113.50' },
  ])
  expect(harness.logged.filter(({ event }) => event === 'activity.flush_failed')).toEqual([])
})

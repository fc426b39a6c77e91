import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { createSql } from '../../sql/connect.ts'
import { createApp } from '../../src/app.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Deps } from '../../src/deps.ts'
import { transact } from '../../src/lib/transact.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, signedInApp, type TokenBody } from '../support/oauth.ts'

const EVERYTHING: ConfigInput = {
  http: {
    listeners: [
      {
        name: 'web',
        resources: ['discovery', 'human', 'oauth', 'compat', 'adminapi', 'health', 'prometheus'].map(
          (name) => ({ name }),
        ) as never,
        binds: [{ port: 8080 }],
      },
    ],
  },
}

let harness: Harness
let tokens: TokenBody
let clientId: string
beforeAll(async () => {
  harness = await createHarness({ config: EVERYTHING })
  ;({ tokens, clientId } = await signedInApp(harness, 'alice'))
})
afterAll(() => harness.close())
afterEach(() => {
  harness.logged.length = 0
})

const lines = (from = harness) =>
  from.logged.filter(({ event }) => event === 'request').map(({ fields }) => fields)
const metrics = async () => (await harness.request('/metrics')).text()

describe('the line of a request', () => {
  test('says who, from where, what, how long and how many queries; never a code, a token or a query string', async () => {
    const browser = harness.browser({ 'x-forwarded-for': '192.0.2.44', 'user-agent': 'Browser/1' })
    const login = await browser.open('/login')
    harness.logged.length = 0
    await login.submit(
      { username: 'alice', password: 'correct horse battery staple 42' },
      { action: 'login' },
    )
    await browser.open('/account/?secret=in-the-query')
    const line = lines().findLast(({ route }) => route === '/account/')
    expect(line).toMatchObject({
      method: 'GET',
      route: '/account/',
      status: 200,
      ip: '192.0.2.44',
      user_agent: 'Browser/1',
    })
    expect(line?.who).toMatch(/^user [0-9A-Z]{26}$/)
    expect(line?.queries).toBeGreaterThan(0)
    expect(line?.ms).toBeNumber()
    expect(JSON.stringify(harness.logged)).not.toMatch(/in-the-query|correct horse/)
  })

  test('of an app names the client', async () => {
    await harness.form('/oauth2/token', {
      grant_type: 'authorization_code',
      client_id: clientId,
      code: 'none',
    })
    expect(lines()).toEqual([
      expect.objectContaining({ route: '/oauth2/token', status: 400, who: `client ${clientId}` }),
    ])
  })

  test('of introspection and probes is left out as long as they go well', async () => {
    await introspect(harness, tokens.access_token)
    await harness.request('/health')
    await metrics()
    expect(lines()).toEqual([])
  })

  test('of a failure has the reference that people see', async () => {
    const { browser } = await signedInApp(harness, 'carol')
    harness.logged.length = 0
    const { sql } = harness.database
    await sql`alter table latchkey.browser_sessions rename to elsewhere`
    const page = await browser.open('/account/')
    await sql`alter table latchkey.elsewhere rename to browser_sessions`
    expect(page.status).toBe(500)
    const reference = harness.logged.find(({ event }) => event === 'request.failed')?.fields.reference
    expect(page.text).toContain(String(reference))
    expect(lines()).toEqual([expect.objectContaining({ route: '/account/', status: 500, reference })])
  })

  for (const [mode, expected] of [
    ['all', ['/oauth2/introspect', '/account/']],
    ['none', []],
  ] as const)
    test(`telemetry.request_log: ${mode}`, async () => {
      const other = await createHarness({
        beside: harness,
        config: { ...EVERYTHING, telemetry: { request_log: mode } },
      })
      await introspect(other, tokens.access_token)
      await other.request('/account/')
      expect(lines(other).map(({ route }) => String(route))).toEqual([...expected])
      await other.close()
    })
})

describe('GET /metrics', () => {
  test("has MAS's names, and no id, address or name of a person", async () => {
    await introspect(harness, tokens.access_token)
    await introspect(harness, `mat_${'x'.repeat(30)}_000000`)
    const login = (type: string) =>
      harness.request('/_matrix/client/v3/login', {
        method: 'POST',
        body: JSON.stringify({ type, identifier: { type: 'm.id.user', user: 'nobody' }, password: 'x' }),
      })
    await login('m.login.password')
    await login('m.login.something-of-a-stranger')
    await harness.request('/_matrix/client/v3/logout', { method: 'POST' })
    await harness.request('/_matrix/client/v3/logout/all', { method: 'POST' })
    await harness.deps.activity.flush()
    const text = await metrics()
    for (const part of [
      'mas_compat_login_request_total{type="m.login.password",result="failure"} 1',
      'mas_compat_login_request_total{type="unsupported",result="failure"} 1',
      'mas_compat_logout_request_total{result="failure"} 1',
      'mas_compat_logout_all_request_total{result="failure"} 1',
      'mas_activity_tracker_messages_total{type="record",session_kind="oauth"}',
      'mas_activity_tracker_flush_time_milliseconds_count{result="success"}',
      'mas_activity_tracker_pending_records 0',
      'http_client_active_requests 0',
      'db_connections_usage{state="used"}',
      'mas_oauth2_introspection_request_total{kind="oauth2_access_token",active="true"}',
      'mas_oauth2_token_request_total{grant_type="authorization_code",result="success"}',
      'mas_user_password_login_attempt_total{result="success"}',
      'mas_user_password_registration_total 2',
      'mas_oauth2_registration_request_total{result="created"}',
      'http_server_duration_milliseconds_count{http_request_method="POST",http_route="/oauth2/introspect",http_response_status_code="200",mas_listener_name="web"}',
      'http_client_request_duration_milliseconds_count{http_request_method="POST"',
      'db_connections_max 10',
      'process_memory_usage_bytes',
      'latchkey_mails{state="waiting"} 0',
    ])
      expect(text).toContain(part)
    expect(text).not.toMatch(/alice|192\.0\.2\.44|[0-9A-HJKMNP-TV-Z]{26}/)
  })

  test('unknown addresses and methods share a line, whatever strangers send', async () => {
    await harness.request('/nothing/at/all')
    await harness.request('/nothing/else', { method: 'PROPFIND' })
    const text = await metrics()
    expect(text).toContain('http_request_method="GET",http_route="FALLBACK",http_response_status_code="404"')
    expect(text).not.toMatch(/nothing|PROPFIND/)
  })

  test('is only where the resource is', async () => {
    const app = createApp(harness.deps, { resources: [{ name: 'human' }] })
    expect((await app.handle(new Request('http://auth.test/metrics'))).status).toBe(404)
    expect((await app.handle(new Request('http://auth.test/ready'))).status).toBe(404)
  })
})

describe('GET /ready', () => {
  const read = async (response: Response) => ({
    status: response.status,
    body: (await response.json()) as {
      ready: boolean
      checks: Record<string, { state: string; reason?: string }>
    },
  })
  const ready = async (from = harness) => read(await from.request('/ready'))
  const readyOf = async (deps: Deps) =>
    read(
      await createApp(deps, { resources: [{ name: 'health' }] }).handle(
        new Request('http://auth.test/ready'),
      ),
    )

  test('names every part with its state', async () => {
    const { status, body } = await ready()
    expect(status).toBe(200)
    expect(Object.entries(body.checks).map(([name, { state }]) => [name, state])).toEqual(
      ['process', 'database', 'migrations', 'keys', 'homeserver', 'queue'].map((name) => [name, 'ok']),
    )
  })

  test('a homeserver that is away is told, and does not take every process out of service', async () => {
    const other = await createHarness({
      beside: harness,
      config: EVERYTHING,
      fetch: () => Promise.reject(new Error('connect to 10.1.2.3 refused')),
    })
    const { status, body } = await ready(other)
    expect([status, body.checks.homeserver?.state]).toEqual([200, 'failed'])
    expect(JSON.stringify(body)).not.toContain('10.1.2.3')
    await other.close()
  })

  test('a database that is away is 503, and what only it knows is unknown', async () => {
    const sql = createSql({ uri: 'postgresql://latchkey@127.0.0.1:9/latchkey', connect_timeout: 1 })
    const { status, body } = await readyOf({ ...harness.deps, sql })
    await sql.end({ timeout: 0 })
    const { database, migrations, queue, keys, homeserver } = body.checks
    expect([status, body.ready, database?.state]).toEqual([503, false, 'failed'])
    expect([migrations?.state, queue?.state]).toEqual(['unknown', 'unknown'])
    expect([keys?.state, homeserver?.state]).toEqual(['ok', 'ok'])
    expect(JSON.stringify(body)).not.toContain('127.0.0.1')
  })

  test('without a key to sign with it is 503', async () => {
    const { status, body } = await readyOf({
      ...harness.deps,
      keys: { ...harness.deps.keys, jwks: { keys: [] } },
    })
    expect([status, body.ready, body.checks.keys]).toEqual([503, false, { state: 'failed', reason: 'none' }])
  })

  test('jobs that are late are told, with how many and since when, and take nobody out of service', async () => {
    const { sql } = harness.database
    const user_id = '019aaaaa-0000-7000-8000-000000000001'
    await transact(sql, (tx) => harness.deps.jobs.enqueue(tx, 'sync-devices', { user_id }))
    const due = new Date(harness.clock.now().getTime() - 400_000)
    await sql`update latchkey_jobs.job set start_after = ${due} where state = 'created'`
    const { status, body } = await readyOf(harness.deps)
    await sql`delete from latchkey_jobs.job where state = 'created'`
    expect([status, body.ready, body.checks.queue?.state]).toEqual([200, true, 'failed'])
    expect(body.checks.queue?.reason).toMatch(/^[1-9]\d* jobs are due, the oldest since 400 s$/)
  })

  test('a migration that is to be done is 503', async () => {
    const other = await createHarness({ beside: harness, config: EVERYTHING })
    const { sql } = harness.database
    const [last] =
      await sql`select version, name, checksum from latchkey.migrations order by version desc limit 1`
    await sql`delete from latchkey.migrations where version = ${last?.version}`
    const { status, body } = await ready(other)
    await sql`insert into latchkey.migrations ${sql(last as never)}`
    expect([status, body.ready, body.checks.migrations?.reason]).toEqual([503, false, '1 to be done'])
    await other.close()
  })
})

describe('traces', () => {
  test('a request, its queries and its calls hang together; no secret and nothing of a person is in them', async () => {
    const spans: ReadableSpan[] = []
    const other = await createHarness({
      beside: harness,
      config: {
        ...EVERYTHING,
        telemetry: { tracing: { exporter: 'stdout', propagators: ['tracecontext'] } },
      },
      tracing: { sink: (more) => void spans.push(...more) },
    })
    const app = await signedInApp(other, 'bob')
    const response = await other.form(
      '/oauth2/introspect?token=in-the-query',
      { token: app.tokens.access_token },
      {
        authorization: 'Bearer test-shared-secret-of-matrix',
        traceparent: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01',
      },
    )
    expect(response.status).toBe(200)
    const asked = spans.find(({ name }) => name === 'POST /oauth2/introspect')
    expect(asked?.links[0]?.context.traceId).toBe('0123456789abcdef0123456789abcdef')
    expect(asked?.spanContext().traceId).not.toBe('0123456789abcdef0123456789abcdef')
    const query = spans.find(
      ({ name, parentSpanContext }) =>
        name === 'db select' && parentSpanContext?.spanId === asked?.spanContext().spanId,
    )
    expect(query?.attributes['db.query.text']).toContain('from latchkey.tokens')
    expect(spans.some(({ name }) => name === 'POST /_synapse/mas/provision_user')).toBe(true)
    // What takes long inside of a request has a span of its own there.
    for (const [name, within] of [
      ['passwords hash', 'POST /register/password'],
      ['policy register', 'POST /register/password'],
      ['policy clientRegistration', 'POST /oauth2/registration'],
    ]) {
      const part = spans.find((span) => span.name === name)
      const whole = spans.find((span) => span.spanContext().spanId === part?.parentSpanContext?.spanId)
      expect([name, whole?.name]).toEqual([name, within])
    }
    const written = JSON.stringify(spans.map(({ name, attributes }) => ({ name, attributes })))
    expect(written).not.toMatch(/in-the-query|test-shared-secret|bob/)
    expect(written).not.toContain(app.tokens.access_token)
    await other.close()
  })
})

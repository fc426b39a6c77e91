import { afterAll, beforeAll, expect, test } from 'bun:test'
import { transact } from '../../src/lib/transact.ts'
import { prometheusText } from '../../src/telemetry/prometheus.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { createPerson, postMatrix } from '../support/legacy.ts'
import { introspect, PASSWORD, registerClient, signedInApp, WEB_CLIENT } from '../support/oauth.ts'
import { startProvider, type TestProvider } from '../support/provider.ts'

const PROVIDER = '01JDFX2V9S6QK3W4Z5Y7T8R9PB'
const CLIENT = {
  client_id: 'latchkey',
  client_secret: 'a secret of sixteen or more letters',
  token_endpoint_auth_method: 'client_secret_basic',
} as const

let provider: TestProvider
let harness: Harness
let text: string

/** Something of every kind that is counted happens once; `text` is what Prometheus reads afterwards. */
beforeAll(async () => {
  provider = await startProvider({
    clients: [{ ...CLIENT, redirect_uris: [`http://auth.test/upstream/callback/${PROVIDER}`] }],
  })
  harness = await createHarness({
    config: {
      email: { transport: 'blackhole' },
      rate_limiting: { login: { per_ip: { burst: 3, per_second: 0.001 } } },
      upstream_oauth2: {
        providers: [{ ...CLIENT, id: PROVIDER, issuer: provider.issuer, scope: 'openid' }],
      },
    },
  })
  const { deps } = harness
  await syncProviders(deps)
  await throughProvider()
  const form = await harness.browser().open('/register')
  await form.submit(
    { username: 'not allowed!', password: PASSWORD, password_confirm: PASSWORD },
    { action: 'register/password' },
  )
  const { tokens, clientId } = await signedInApp(harness, 'alice')
  await harness.form('/oauth2/token', {
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: tokens.refresh_token,
  })
  await harness.form('/oauth2/token', { grant_type: 'something-of-a-stranger', client_id: clientId })
  await introspect(harness, tokens.access_token)
  await introspect(harness, tokens.refresh_token)
  await registerClient(harness)
  await registerClient(harness, { ...WEB_CLIENT, client_uri: 'https://elsewhere.example/' }).catch(() => {})
  await deps.sql`
    insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
    select gen_random_uuid(), id, 'alice@example.com', 'alice@example.com', now() from latchkey.users
    where username = 'alice'`
  await signInWith(PASSWORD)
  for (let times = 0; times < 4; times++) await signInWith('wrong')
  await createPerson(harness, 'bob')
  const login = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'bob' },
    password: PASSWORD,
  }
  for (const path of ['logout', 'logout/all']) {
    const { body } = await postMatrix(harness, 'login', login)
    await introspect(harness, String(body.access_token))
    await postMatrix(harness, path, {}, { authorization: `Bearer ${body.access_token}` })
    await postMatrix(harness, path)
  }
  await deps.activity.flush()
  harness.homeserver.failOnce('provision_user')
  const [alice] = await deps.sql<{ id: string }[]>`select id from latchkey.users where username = 'alice'`
  for (let times = 0; times < 2; times++) {
    await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'provision-user', { user_id: alice?.id ?? '' }))
    await harness.runJobs()
  }
  text = prometheusText(await deps.metrics.read())
})
afterAll(async () => {
  await harness.close()
  await provider.close()
})

async function throughProvider(): Promise<void> {
  provider.account = { sub: 'carol-1', preferred_username: 'carol' }
  for (const isNew of [true, false]) {
    const browser = harness.browser()
    const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
    const back = await browser.open((await provider.visit(away.url)).url.href)
    if (isNew)
      await back.submit({ username: 'carol' }, { action: '/upstream/link/', button: ['action', 'register'] })
  }
  await harness.browser().open(`/upstream/callback/${PROVIDER}?state=none`)
}

async function signInWith(password: string): Promise<void> {
  const login = await harness.browser({ 'x-forwarded-for': '192.0.2.44' }).open('/login')
  await login.submit({ username: 'alice', password }, { action: 'login' })
}

/** The names of MAS as its exporter writes them, with the labels that it has (reference operations 8.1). */
const NAMES: readonly (readonly [name: string, start: string])[] = [
  [
    'http.server.duration',
    'http_server_duration_milliseconds_count{http_request_method="POST",http_route="/oauth2/token",http_response_status_code="200"',
  ],
  ['http.server.active_requests', 'http_server_active_requests 0'],
  [
    'http.client.request.duration',
    'http_client_request_duration_milliseconds_count{http_request_method="POST"',
  ],
  ['http.client.active_requests', 'http_client_active_requests 0'],
  ['db.connections.usage: used', 'db_connections_usage{state="used"}'],
  ['db.connections.usage: idle', 'db_connections_usage{state="idle"}'],
  ['db.connections.max', 'db_connections_max 5'],
  ['db.client.connections.create_time', 'db_client_connections_create_time_milliseconds_count '],
  ['job.worker.wakeups: sleep', 'job_worker_wakeups_total{reason="sleep"}'],
  ['job.worker.wakeups: task', 'job_worker_wakeups_total{reason="task"}'],
  ['job.worker.tick_duration', 'job_worker_tick_duration_milliseconds_count '],
  [
    'job.process.duration: success',
    'job_process_duration_milliseconds_count{job_queue_name="provision-user",job_result="success",job_decision=""}',
  ],
  [
    'job.process.duration: failed',
    'job_process_duration_milliseconds_count{job_queue_name="provision-user",job_result="failed",job_decision="retry"}',
  ],
  ['job.active_tasks', 'job_active_tasks{job_queue_name="provision-user"} 0'],
  ['mas.user.password_login_attempt: success', 'mas_user_password_login_attempt_total{result="success"}'],
  ['mas.user.password_login_attempt: mismatch', 'mas_user_password_login_attempt_total{result="mismatch"}'],
  ['mas.user.password_registration', 'mas_user_password_registration_total 1'],
  ['mas.compat.login_request', 'mas_compat_login_request_total{type="m.login.password",result="success"} 2'],
  ['mas.compat.logout_request', 'mas_compat_logout_request_total{result="success"} 1'],
  ['mas.compat.logout_all_request', 'mas_compat_logout_all_request_total{result='],
  ['mas.oauth2.registration_request: created', 'mas_oauth2_registration_request_total{result="created"} 1'],
  ['mas.oauth2.registration_request: reused', 'mas_oauth2_registration_request_total{result="reused"} 1'],
  ['mas.oauth2.registration_request: denied', 'mas_oauth2_registration_request_total{result="denied"} 1'],
  [
    'mas.oauth2.token_request: code',
    'mas_oauth2_token_request_total{grant_type="authorization_code",result="success"} 1',
  ],
  [
    'mas.oauth2.token_request: refresh',
    'mas_oauth2_token_request_total{grant_type="refresh_token",result="success"} 1',
  ],
  [
    'mas.oauth2.token_request: others',
    'mas_oauth2_token_request_total{grant_type="unsupported",result="error"} 1',
  ],
  [
    'mas.oauth2.introspection_request: OAuth',
    'mas_oauth2_introspection_request_total{kind="oauth2_access_token",active=',
  ],
  [
    'mas.oauth2.introspection_request: refresh',
    'mas_oauth2_introspection_request_total{kind="oauth2_refresh_token",active=',
  ],
  [
    'mas.oauth2.introspection_request: older apps',
    'mas_oauth2_introspection_request_total{kind="compat_access_token",active="true"} 2',
  ],
  [
    'mas.upstream_oauth2.callback: success',
    `mas_upstream_oauth2_callback_total{provider="${PROVIDER}",result="success"} 2`,
  ],
  [
    'mas.upstream_oauth2.callback: failure',
    `mas_upstream_oauth2_callback_total{provider="${PROVIDER}",result="failure"} 1`,
  ],
  ['mas.upstream_oauth2.login', `mas_upstream_oauth2_login_total{provider="${PROVIDER}"} 1`],
  ['mas.upstream_oauth2.registration', `mas_upstream_oauth2_registration_total{provider="${PROVIDER}"} 1`],
  [
    'mas.activity_tracker.messages: record',
    'mas_activity_tracker_messages_total{type="record",session_kind="oauth"}',
  ],
  ['mas.activity_tracker.messages: flush', 'mas_activity_tracker_messages_total{type="flush",session_kind='],
  ['mas.activity_tracker.flush_time', 'mas_activity_tracker_flush_time_milliseconds_count{result="success"}'],
  ['mas.activity_tracker.pending_records', 'mas_activity_tracker_pending_records 0'],
  ['process: memory', 'process_memory_usage_bytes '],
  ['process: processor', 'process_cpu_time_seconds_total{state="user"}'],
  // What MAS has no figure for.
  ['latchkey.queue.jobs', 'latchkey_queue_jobs{state="waiting"}'],
  ['latchkey.queue.oldest', 'latchkey_queue_oldest_seconds '],
  ['latchkey.mails', 'latchkey_mails{state="waiting"}'],
  ['latchkey.mail.outcomes', 'latchkey_mail_outcomes_total{kind='],
  ['latchkey.limit.hits', 'latchkey_limit_hits_total{limit='],
  ['latchkey.policy.denials: apps', 'latchkey_policy_denials_total{entrypoint="client_registration"} 1'],
  ['latchkey.policy.denials: names', 'latchkey_policy_denials_total{entrypoint="register"} 1'],
]

for (const [name, start] of NAMES)
  test(`GET /metrics: ${name} has a value (reference operations 8.1)`, () => {
    const line = text.split('\n').find((one) => one.startsWith(start))
    expect(line ?? `nothing of ${start}`).toMatch(/ \d[\d.e+-]*$/)
  })

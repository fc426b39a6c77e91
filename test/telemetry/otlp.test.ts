import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { createMetrics } from '../../src/telemetry/instruments.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { exportMetrics } from '../../src/telemetry/metrics-export.ts'
import { otlpAddress } from '../../src/telemetry/otlp.ts'
import { createTracing } from '../../src/telemetry/tracing.ts'
import { testClock } from '../support/clock.ts'

const received: { path: string; type: string | null; text: string }[] = []
const warned: string[] = []
const log: Log = { debug() {}, info() {}, warn: (event) => void warned.push(event), error() {} }
let status = 200
let collector: Bun.Server<undefined>
beforeAll(() => {
  collector = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const text = new TextDecoder('latin1').decode(await request.arrayBuffer())
      received.push({ path: new URL(request.url).pathname, type: request.headers.get('content-type'), text })
      return new Response(null, { status })
    },
  })
})
afterAll(() => collector.stop(true))
afterEach(() => {
  received.length = 0
  warned.length = 0
  status = 200
})

const endpoint = () => `http://127.0.0.1:${collector.port}/`

test('metrics go to the collector as protobuf, the last of them at the stop', async () => {
  const metrics = createMetrics()
  metrics.introspections.add('oauth2_access_token', 'true')
  metrics.requests.record(12, 'POST', '/oauth2/introspect', '200', 'web')
  const { registry } = metrics
  const stop = await exportMetrics(
    { exporter: 'otlp', endpoint: endpoint() },
    { registry, clock: testClock(), log, fetch },
  )
  await stop()
  const [sent] = received
  expect([sent?.path, sent?.type]).toEqual(['/v1/metrics', 'application/x-protobuf'])
  for (const part of [
    'mas.oauth2.introspection_request',
    'oauth2_access_token',
    'http.server.duration',
    'latchkey',
  ])
    expect(sent?.text).toContain(part)
})

test('traces go to the collector as protobuf', async () => {
  const tracing = await createTracing(
    { exporter: 'otlp', endpoint: endpoint(), propagators: [], sample_rate: 1 },
    { log, fetch },
  )
  const request = new Request('http://auth.test/login?secret=in-the-query')
  await tracing?.request(
    request,
    { method: 'GET', path: '/login' },
    { queries: 0 },
    async () => new Response('ok'),
  )
  await tracing?.stop()
  expect(received.map(({ path }) => path)).toEqual(['/v1/traces'])
  expect(received[0]?.text).toContain('GET /login')
  expect(received[0]?.text).not.toContain('in-the-query')
})

test('a call to the homeserver is a path without people and devices', async () => {
  const tracing = await createTracing(
    { exporter: 'otlp', endpoint: endpoint(), propagators: [], sample_rate: 1 },
    { log, fetch },
  )
  const url = 'https://matrix.test/_synapse/admin/v2/users/%40alice%3Aexample.org/devices/ABCDEF?user=alice'
  await tracing?.call(url, { method: 'PUT' }, undefined, async () => new Response('{}'))
  await tracing?.stop()
  expect(received[0]?.text).toContain('PUT /_synapse/admin/v2/users/{}/devices/{}')
  expect(received[0]?.text).not.toMatch(/alice|ABCDEF/)
})

test('a collector that refuses is warned of once', async () => {
  status = 500
  const tracing = await createTracing(
    { exporter: 'otlp', endpoint: endpoint(), propagators: [], sample_rate: 1 },
    { log, fetch },
  )
  for (const path of ['/a', '/b'])
    await tracing?.request(
      new Request('http://auth.test/'),
      { method: 'GET', path },
      { queries: 0 },
      async () => new Response('ok'),
    )
  await tracing?.stop()
  expect(warned).toEqual(['telemetry.not_sent'])
})

test('without an exporter nothing is traced, and nothing of OpenTelemetry is loaded', async () => {
  expect(
    await createTracing({ exporter: 'none', propagators: [], sample_rate: 1 }, { log, fetch }),
  ).toBeUndefined()
  const modules = await modulesOf('await import("./src/deps.ts")')
  expect(modules).toContain('src/deps.ts')
  expect(modules).not.toContain('@opentelemetry')
})

/** The modules that a script has loaded. */
async function modulesOf(script: string): Promise<string> {
  const loaded = Bun.spawn(
    [process.execPath, '-e', `${script}; console.log(Object.keys(require.cache).join(" ")); process.exit()`],
    { cwd: new URL('../..', import.meta.url).pathname, stdout: 'pipe', stderr: 'pipe' },
  )
  return new Response(loaded.stdout).text()
}

/** What is loaded at its first use. Sentry is one document by `fetch` and has no library. */
const LATE = /@opentelemetry|@sentry|telemetry\/(?:spans|otlp-metrics)\.ts/g

/** A server as its command makes it, that has answered a page and its metrics. */
const serving = (telemetry: object) => `
  const { createHarness } = await import('./test/support/harness.ts')
  const harness = await createHarness({ config: { telemetry: ${JSON.stringify(telemetry)} } })
  const { sendTelemetry } = await import('./src/commands/serve.ts')
  const stop = await sendTelemetry(harness.deps)
  await harness.request('/login')
  await harness.deps.metrics.read()
  await stop()
  await harness.close()`

test('a server without telemetry loads nothing of OTLP, of traces and of Sentry, after a page and its figures too', async () => {
  const modules = await modulesOf(serving({}))
  expect(modules).toContain('src/commands/serve.ts')
  expect(modules.match(LATE)).toBeNull()
}, 60_000)

test('with all of it they are loaded: the test above sees what it looks for', async () => {
  const away = 'http://127.0.0.1:9/'
  const modules = await modulesOf(
    serving({
      metrics: { exporter: 'otlp', endpoint: away },
      tracing: { exporter: 'otlp', endpoint: away },
      sentry: { dsn: 'http://key@127.0.0.1:9/1' },
    }),
  )
  expect(new Set(modules.match(LATE))).toEqual(
    new Set(['@opentelemetry', 'telemetry/spans.ts', 'telemetry/otlp-metrics.ts']),
  )
}, 60_000)

test('an endpoint with a path of its own is left as it is', () => {
  expect(otlpAddress(undefined, 'traces').href).toBe('http://localhost:4318/v1/traces')
  expect(otlpAddress('https://collector.test/custom/traces', 'traces').pathname).toBe('/custom/traces')
})

import { describe, expect, test } from 'bun:test'
import { createRegistry } from '../../src/telemetry/metrics.ts'
import { prometheusText } from '../../src/telemetry/prometheus.ts'

const textOf = async (registry: ReturnType<typeof createRegistry>) => prometheusText(await registry.read())

describe('Prometheus text', () => {
  test('a counter ends with _total, its labels have underscores and escaped values', async () => {
    const registry = createRegistry()
    const counter = registry.counter({
      name: 'mas.oauth2.token_request',
      help: 'Requests.',
      labels: ['grant.type'],
    })
    counter.add('refresh_token')
    counter.add('refresh_token')
    counter.add('a"b\\c\nd')
    expect(await textOf(registry)).toBe(
      [
        '# HELP mas_oauth2_token_request_total Requests.',
        '# TYPE mas_oauth2_token_request_total counter',
        'mas_oauth2_token_request_total{grant_type="refresh_token"} 2',
        'mas_oauth2_token_request_total{grant_type="a\\"b\\\\c\\nd"} 1',
        '',
      ].join('\n'),
    )
  })

  test('a histogram has cumulative buckets, a sum, a count and its unit', async () => {
    const registry = createRegistry()
    const histogram = registry.histogram({
      name: 'http.server.duration',
      unit: 'ms',
      help: 'Time.',
      labels: ['route'],
    })
    histogram.record(3, '/a')
    histogram.record(7, '/a')
    histogram.record(99_999, '/a')
    const text = await textOf(registry)
    for (const line of [
      'http_server_duration_milliseconds_bucket{route="/a",le="0"} 0',
      'http_server_duration_milliseconds_bucket{route="/a",le="5"} 1',
      'http_server_duration_milliseconds_bucket{route="/a",le="10"} 2',
      'http_server_duration_milliseconds_bucket{route="/a",le="10000"} 2',
      'http_server_duration_milliseconds_bucket{route="/a",le="+Inf"} 3',
      'http_server_duration_milliseconds_sum{route="/a"} 100009',
      'http_server_duration_milliseconds_count{route="/a"} 3',
    ])
      expect(text.split('\n')).toContain(line)
  })

  test('a gauge goes down again; what nobody counted yet is left out', async () => {
    const registry = createRegistry()
    const gauge = registry.gauge({ name: 'job.active_tasks', help: 'Jobs.' })
    registry.counter({ name: 'nothing', help: 'Nothing.' })
    gauge.change(1)
    gauge.change(1)
    gauge.change(-1)
    expect(await textOf(registry)).toBe(
      '# HELP job_active_tasks Jobs.\n# TYPE job_active_tasks gauge\njob_active_tasks 1\n',
    )
  })

  test('label values without end do not eat the memory', async () => {
    const registry = createRegistry()
    const counter = registry.counter({ name: 'many', help: 'Many.', labels: ['value'] })
    for (let at = 0; at < 5000; at++) counter.add(String(at))
    const [family] = await registry.read()
    expect(family?.points).toHaveLength(2000)
  })

  test('what can not be looked up has no figure, and the others have theirs', async () => {
    const registry = createRegistry()
    registry.observed({ name: 'queue', help: 'Queue.' }, () =>
      Promise.reject(new Error('the database is away')),
    )
    registry.observed({ name: 'max', help: 'Most.' }, () => [[10]])
    expect(await textOf(registry)).toBe('# HELP max Most.\n# TYPE max gauge\nmax 10\n')
  })
})

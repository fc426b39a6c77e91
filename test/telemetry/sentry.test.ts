import { describe, expect, test } from 'bun:test'
import { systemRandom } from '../../src/lib/random.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { readDsn, reportedLog } from '../../src/telemetry/sentry.ts'
import { testClock } from '../support/clock.ts'

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }
const DSN = 'https://public@errors.example.test/base/42'

function reporting(settings: { sample_rate?: number; environment?: string } = {}) {
  const sent: { url: string; headers: Headers; parts: Record<string, unknown>[] }[] = []
  const log = reportedLog(
    quiet,
    { dsn: DSN, sample_rate: 1, ...settings },
    {
      clock: testClock(),
      random: systemRandom,
      fetch: async (url, init) => {
        const parts = String(init.body)
          .split('\n')
          .map((line) => JSON.parse(line))
        sent.push({ url: url.href, headers: new Headers(init.headers), parts })
        return new Response('{}')
      },
    },
  )
  return { log, sent }
}

describe('DSN', () => {
  test('gives the address of envelopes and the key', () => {
    const read = readDsn(DSN)
    expect([read?.url.href, read?.key]).toEqual([
      'https://errors.example.test/base/api/42/envelope/',
      'public',
    ])
  })
  for (const bad of ['', 'nonsense', 'https://errors.example.test/42', 'ftp://k@host/1', 'https://k@host/'])
    test(`${bad || 'nothing'}: is none`, () => expect(readDsn(bad)).toBeUndefined())
})

describe('reports', () => {
  test('an error goes with its causes, its places, the event and the reference, and nothing of the request', () => {
    const { log, sent } = reporting({ environment: 'test' })
    const error = new TypeError('outer', { cause: Object.assign(new Error('inner'), { code: '23505' }) })
    log.error('request.failed', { reference: 'ABCD2345', error, user_id: 'somebody', ip: '192.0.2.1' })
    const [report] = sent
    expect(report?.headers.get('x-sentry-auth')).toContain('sentry_key=public')
    const [, item, event] = report?.parts ?? []
    expect(item).toEqual({ type: 'event' })
    expect(event).toMatchObject({
      environment: 'test',
      logger: 'request.failed',
      tags: { reference: 'ABCD2345' },
      exception: {
        values: [
          { type: 'Error', value: 'inner (23505)' },
          { type: 'TypeError', value: 'outer' },
        ],
      },
    })
    expect(JSON.stringify(event)).toContain('sentry.test.ts')
    expect(JSON.stringify(report?.parts)).not.toMatch(/somebody|192\.0\.2\.1/)
  })

  test('what is no error of the code is not reported, nor what the sample leaves out', () => {
    const { log, sent } = reporting()
    log.error('mail.given_up', { kind: 'code' })
    log.warn('job.failed', { error: new Error('later') })
    expect(sent).toEqual([])
    const none = reporting({ sample_rate: 0 })
    none.log.error('request.failed', { error: new Error('x') })
    expect(none.sent).toEqual([])
  })

  test('a mistake that every request meets is reported sixty times a minute at most', () => {
    const { log, sent } = reporting()
    for (let at = 0; at < 100; at++) log.error('request.failed', { error: new Error('x') })
    expect(sent).toHaveLength(60)
  })
})

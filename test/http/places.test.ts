import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPlaces } from '../../src/http/places.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { mmdbFile } from '../support/mmdb.ts'
import { signUp } from '../support/oauth.ts'

let folder: string
let path: string
let harness: Harness
const events: string[] = []
const log = { warn: (event: string) => void events.push(event) }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-places-'))
  path = join(folder, 'city.mmdb')
  const city = { names: { en: 'Cologne', de: 'Köln' } }
  await Bun.write(
    path,
    mmdbFile([192, 0, 2], { city, country: { iso_code: 'DE', names: { en: 'Germany' } } }),
  )
  harness = await createHarness({
    config: {
      geoip: { path },
      http: { trusted_proxies: ['127.0.0.1/8'] },
      email: { transport: 'smtp', mode: 'plain', hostname: '127.0.0.1', port: 1 },
    } as never,
  })
})
afterAll(async () => {
  await harness.close()
  await rm(folder, { recursive: true, force: true })
})

test('a place is told in the language of the person, its country by the platform', () => {
  const placeOf = createPlaces(path, log)
  expect(placeOf('192.0.2.7', 'en')).toBe('Cologne, Germany')
  expect(placeOf('192.0.2.7', 'de')).toBe('Köln, Deutschland')
  expect(placeOf('192.0.2.7', 'fr')).toBe('Cologne, Allemagne')
  for (const unknown of ['192.0.3.7', '2001:db8::1', 'nonsense', ''])
    expect(placeOf(unknown, 'en')).toBeUndefined()
})

test('no file, or one that is none: no place, and one line in the log', async () => {
  expect(createPlaces(undefined, log)('192.0.2.7', 'en')).toBeUndefined()
  const broken = join(folder, 'broken.mmdb')
  await Bun.write(broken, 'not a database')
  for (const file of [join(folder, 'missing.mmdb'), broken]) {
    events.length = 0
    const placeOf = createPlaces(file, log)
    expect([placeOf('192.0.2.7', 'en'), placeOf('192.0.2.8', 'en')]).toEqual([undefined, undefined])
    expect(events).toEqual(['geoip.unreadable'])
  }
})

test('geoip.path: sessions, the security log and notices tell the place beside the address', async () => {
  const browser = harness.browser({ 'x-forwarded-for': '192.0.2.7' })
  await signUp(browser, 'traveller')
  await harness.deps.activity.flush()
  await harness.deps.sql`update latchkey.browser_sessions set last_active_ip = '192.0.2.7'`
  await harness.deps.sql`update latchkey.security_events set ip = '192.0.2.7'`
  expect((await browser.open('/account/sessions')).text).toContain('Cologne, Germany')
  expect((await browser.open('/account/security')).text).toContain('Cologne, Germany')
  const base = {
    lang: 'de',
    dir: 'ltr' as const,
    branding: { service_name: 'x', links: [] },
    server_name: 'example.test',
    account_uri: 'https://auth.test/account/',
    now: '2026-11-24T08:00:00.000Z',
  }
  const context = {
    username: 't',
    mxid: '@t:example.test',
    at: base.now,
    by_admin: false,
    email: '',
    name: '',
  }
  const mail = harness.deps.views.mail(
    'security_notice',
    { ...context, event: 'password_changed', ip: '192.0.2.7' },
    base,
  )
  expect(mail.text).toContain('192.0.2.7 (Köln, Deutschland)')
  expect(mail.html).toContain('192.0.2.7 (Köln, Deutschland)')
})

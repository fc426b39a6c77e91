import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { parse } from 'yaml'
import { dumpConfig, MASK } from '../../src/config/dump.ts'

/** Every text below a value, with its path. */
function texts(value: unknown, path = ''): [string, string][] {
  if (typeof value === 'string') return [[path, value]]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => texts(item, `${path}.${key}`))
}

const SECRET = {
  database: { uri: 'postgresql://latchkey:HUSH@db.example.org/latchkey?sslpassword=HUSH', password: 'HUSH' },
  matrix: { homeserver: 'example.org', secret: 'HUSH', secret_file: '/run/secrets/matrix' },
  secrets: {
    encryption: 'HUSH',
    previous_encryption: ['HUSH', 'HUSH'],
    keys: [
      { kid: 'a', key: 'HUSH', password: 'HUSH' },
      { key_file: '/keys/b', password_file: '/keys/b.pw' },
    ],
  },
  passwords: { schemes: [{ version: 1, algorithm: 'bcrypt', secret: 'HUSH' }] },
  http: { listeners: [{ tls: { certificate: 'PUBLIC', key: 'HUSH', password: 'HUSH' } }] },
  captcha: { site_key: 'PUBLIC', secret_key: 'HUSH' },
  email: { username: 'mail', password: 'HUSH' },
  telemetry: { sentry: { dsn: 'https://HUSH@sentry.example.org/1' } },
  outgoing: { https_proxy: 'http://proxy:HUSH@proxy.example.org:3128' },
  clients: [
    { client_id: '01', client_secret: 'HUSH', jwks: { keys: [{ kty: 'EC', x: 'PUBLIC', d: 'HUSH' }] } },
  ],
  upstream_oauth2: {
    providers: [{ client_secret: 'HUSH', sign_in_with_apple: { key_id: 'PUBLIC', private_key: 'HUSH' } }],
  },
  policy: {
    data: { api_token: 'HUSH', nested: { client_secret: 'HUSH' }, allowed_domains: ['example.org'] },
  },
  'x-anchors': { anything: 'HUSH' },
}

test('dumpConfig: no secret, wherever it is, and everything else as it was', () => {
  const text = dumpConfig(SECRET, { showSecrets: false })
  expect(text).not.toContain('HUSH')
  const before = new Map(texts(SECRET))
  for (const [path, value] of texts(parse(text)))
    if (!value.includes(MASK)) expect([path, value]).toEqual([path, before.get(path) ?? ''])
  expect(text.match(/PUBLIC/g)).toHaveLength(4)
  expect(parse(text).database.uri).toBe(
    `postgresql://latchkey:${MASK}@db.example.org/latchkey?sslpassword=${MASK}`,
  )
  expect(parse(text).matrix.secret_file).toBe('/run/secrets/matrix')
})

test('dumpConfig with showSecrets: what is read again is the same', () => {
  expect(parse(dumpConfig(SECRET, { showSecrets: true }))).toEqual(SECRET)
})

test('dumpConfig: every key of the sample configuration that holds a secret is masked', async () => {
  const input = parse(await Bun.file(join(import.meta.dirname, 'mas-complete.yaml')).text())
  const shown = texts(parse(dumpConfig(input, { showSecrets: false })))
  for (const [path, value] of shown)
    if (/\.(\w*secret|\w*password|private_key|key|dsn|secret_key|encryption)$/.test(path))
      expect([path, value]).toEqual([path, MASK])
  expect(shown.filter(([, value]) => value === MASK).length).toBeGreaterThan(5)
})

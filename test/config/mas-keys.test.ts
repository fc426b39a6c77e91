import { describe, expect, test } from 'bun:test'
import { parse } from 'yaml'
import { ConfigSchema } from '../../src/config/schema.ts'
import { allPaths } from '../../src/config/shape.ts'
import { UNBUILT } from '../../src/config/unbuilt.ts'
import { decode, PEM, parseText, withMinimal } from './support.ts'

const complete = await Bun.file(new URL('mas-complete.yaml', import.meta.url)).text()
const variants = await Bun.file(new URL('mas-variants.yaml', import.meta.url)).text()

const FILES = {
  '/tls/cert.pem': '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
  '/tls/key.pem': PEM.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE'),
  '/tls/password': 'tls password\n',
  '/tls/ca.pem': 'CA\n',
  '/secrets/mail': ' mail secret \n',
  '/secrets/encryption': `${'AB'.repeat(32)}\n`,
  '/secrets/keys/b.pem': `${PEM}b`,
  '/secrets/keys/a.pem': `${PEM}a`,
  '/secrets/key-password': 'key password\n',
  '/secrets/pepper': 'pepper\n',
  '/secrets/matrix': 'matrix secret\n',
  '/secrets/client': 'client secret\n',
  '/secrets/upstream': 'upstream secret\n',
}

/** Every path that a document sets, list items without their position. */
function* pathsOf(value: unknown, path = ''): Generator<string> {
  if (path !== '') yield path
  if (Array.isArray(value)) {
    for (const item of value) for (const inner of pathsOf(item, `${path}[]`)) yield inner
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      yield* pathsOf(item, path === '' ? key : `${path}.${key}`)
  }
}

// Always refused (problems.test.ts), or excluded by other keys of both files (the test below).
const ELSEWHERE = [
  'http.listeners[].binds[].fd',
  'http.listeners[].binds[].kind',
  'database.socket',
  'database.password_file',
  'email.password',
  // Our own.
  'account.deactivation_grace_period',
  'account.registration_requires_approval',
  'branding.favicon_uri',
  'branding.contact_uri',
  'branding.links',
  'branding.links[].name',
  'branding.links[].uri',
  'geoip',
  'http.drain_delay',
  'geoip.path',
  'outgoing',
  'outgoing.https_proxy',
  'outgoing.http_proxy',
  'outgoing.no_proxy',
  'upstream_oauth2.providers[].claims_imports.email.unverified',
  'upstream_oauth2.providers[].id_token_encrypted_response_alg',
  'upstream_oauth2.providers[].allow_if',
  'upstream_oauth2.providers[].allow_if_message',
  'upstream_oauth2.providers[].allow_if_messages',
  'upstream_oauth2.providers[].allow_registration',
  'upstream_oauth2.providers[].admin_if',
  'upstream_oauth2.providers[].sync_on_login',
  'upstream_oauth2.providers[].email_domains',
  'upstream_oauth2.providers[].rp_initiated_logout',
  'telemetry.request_log',
]

describe('every key of MAS 1.22', () => {
  const used = new Set([...pathsOf(parse(complete)), ...pathsOf(parse(variants)), ...ELSEWHERE])
  for (const [path] of allPaths(ConfigSchema)) {
    // Whole sections of our own.
    if (/^(retention|ldap)(\.|$)/.test(path)) continue
    test(`${path}: is in an example that loads`, () => {
      expect(used.has(path)).toBe(true)
    })
  }
})

describe('a complete configuration of MAS', () => {
  test('loads, with the contents of its secret files in the plain keys', async () => {
    const { config } = await parseText(complete, FILES)
    expect(config.secrets.encryption).toBe('ab'.repeat(32))
    expect(config.matrix).toMatchObject({ kind: 'synapse', secret: 'matrix secret' })
    expect(config.matrix.endpoint).toBe('http://synapse:8008/')
    expect(config.email.password).toBe('mail secret')
    expect(config.clients.map((client) => client.client_secret)).toEqual([
      'client secret',
      'hidden',
      undefined,
      undefined,
      undefined,
    ])
    expect(config.clients[1]?.client_id).toBe('01JAYS74TCG3BTWKADN5Q4518D')
    expect(config.clients[0]?.redirect_uris).toEqual([
      'https://app.example.org/',
      'org.example.app:/callback',
    ])
    expect(config.upstream_oauth2.providers[0]?.client_secret).toBe('upstream secret')
    expect(config.upstream_oauth2.providers[0]?.issuer).toBe('https://idp.example.org')
    expect(config.upstream_oauth2.providers[1]?.sign_in_with_apple?.private_key).toBe('inline')
    expect(config.database?.ssl_ca).toBe('CA')
    expect(config.database?.idle_timeout).toBeNull()
    // A certificate is read again when its files change.
    const rest = JSON.stringify(config, (key, value: unknown) => (key === 'source' ? undefined : value))
    expect(rest).not.toContain('_file"')
  })

  test('reads peppers and key passwords byte for byte, as MAS does, and warns about their line break', async () => {
    const { config, warnings } = await parseText(complete, FILES)
    expect(decode(config.passwords.schemes[0]?.secret)).toBe('pepper\n')
    expect(decode(config.secrets.keys[2]?.password)).toBe('key password\n')
    const breaks = warnings.filter((line) => line.includes('line break')).map((line) => line.split(' ')[0])
    expect(breaks.sort()).toEqual(['passwords.schemes.0.secret_file', 'secrets.keys.0.password_file'])
  })

  test('takes the keys of keys_dir first, in the order of their names', async () => {
    const { config } = await parseText(complete, FILES)
    expect(config.secrets.keys.map(({ key }) => decode(key)?.slice(PEM.length))).toEqual(
      ['a', 'b', '', ''].map((end, i) => (i === 2 ? FILES['/tls/key.pem'].slice(PEM.length) : end)),
    )
    expect(config.secrets.keys[2]?.kid).toBe('first')
  })

  test('brings binds, prefix and TLS into one shape', async () => {
    const { config } = await parseText(complete, FILES)
    const listener = config.http.listeners[0]
    expect(listener?.binds).toEqual([
      { host: '::1', port: 8080 },
      { host: '127.0.0.1', port: 8081 },
      { port: 8082 },
      { socket: '/run/mas.sock', mode: 0o660 },
    ])
    expect(listener?.prefix).toBe('/auth')
    expect(listener?.tls?.password).toBe('tls password')
    expect(decode(listener?.tls?.key)).toBe(FILES['/tls/key.pem'])
  })

  test('warns once about each thing that is not built yet', async () => {
    const { warnings } = await parseText(complete, FILES)
    // A file has one matrix.kind, and the path of the module that MAS ships is no module of the operator's own.
    const rows = UNBUILT.filter(({ path }) => path !== 'matrix.kind')
    for (const { path, sentence } of rows) {
      expect(warnings.filter((line) => line === `${path}: ${sentence}`)).toHaveLength(1)
    }
    expect(new Set(warnings).size).toBe(warnings.length)
  })

  test('says that the files MAS ships are not read', async () => {
    const { warnings } = await parseText(complete, FILES)
    for (const path of [
      'templates.path',
      'templates.assets_manifest',
      'templates.translations_path',
      'http.listeners[].resources[].path',
      'policy.wasm_module',
    ]) {
      expect(warnings.filter((line) => line.startsWith(`${path}: Latchkey brings its own`))).toHaveLength(1)
    }
  })

  test('loads with the keys that exclude the others', async () => {
    const { config } = await parseText(variants)
    expect(config.secrets.encryption).toBe('00112233445566778899aabbccddeeff'.repeat(2))
    expect(config.email.command).toBe('/usr/sbin/sendmail')
    expect(config.database).toMatchObject({
      host: 'db.example.org',
      port: 5433,
      pooler: 'none',
      max_connections: 10,
    })
    expect(config.clients).toEqual([])
  })
  test('takes the last alternatives too: a socket, a password file, a mail password', async () => {
    const { config } = await withMinimal(
      'database: { socket: /run/postgresql, username: mas, password_file: /secrets/mail }\n' +
        'email: { transport: smtp, mode: tls, hostname: mail.test, username: a, password: b }',
      FILES,
    )
    expect(config.database).toMatchObject({ socket: '/run/postgresql', password: 'mail secret' })
    expect(config.email).toMatchObject({ username: 'a', password: 'b' })
  })
})

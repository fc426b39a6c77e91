import { describe, expect, test } from 'bun:test'
import { MINIMAL, parseText, withMinimal } from './support.ts'

describe('defaults', () => {
  test('are those of MAS, save for the public base and 10.0.0.0/8', async () => {
    const { config, warnings } = await parseText(MINIMAL)
    expect(warnings).toEqual([])
    expect(config.http.public_base).toBe('http://localhost:8080/')
    expect(config.http.issuer).toBe('http://localhost:8080/')
    expect(config.http.trusted_proxies).toContain('10.0.0.0/8')
    expect(config.http.listeners.map(({ binds }) => binds)).toEqual([
      [{ host: '::', port: 8080 }],
      [{ host: 'localhost', port: 8081 }],
    ])
    expect(config.database).toBeUndefined()
    expect(config.account).toEqual({
      password_registration_enabled: false,
      password_registration_email_required: true,
      password_registration_token_required: false,
      registration_token_required: false,
      registration_requires_approval: false,
      password_change_allowed: true,
      password_recovery_enabled: false,
      passwordless_recovery_allowed: false,
      login_with_email_allowed: false,
      email_change_allowed: true,
      displayname_change_allowed: true,
      account_deactivation_allowed: true,
      deactivation_grace_period: 0,
    })
    expect(config.passwords).toEqual({
      enabled: true,
      minimum_complexity: 3,
      schemes: [{ version: 1, algorithm: 'argon2id', unicode_normalization: false }],
    })
    expect(config.experimental).toEqual({ access_token_ttl: 300, compat_token_ttl: 300 })
    expect(config.oauth.refresh_token_reuse).toBe('reject')
    expect(config.rate_limiting.login).toEqual({
      per_ip: { burst: 3, per_second: 0.05 },
      per_account: { burst: 1800, per_second: 0.5 },
    })
    expect(config.policy.data).toEqual({})
    expect(config.email.transport).toBe('blackhole')
  })

  test('retention: the periods of MAS, and shorter ones where it keeps something for ever or for nothing (reference operations 5.4)', async () => {
    const { config } = await parseText(MINIMAL)
    const hour = 3600
    const day = 24 * hour
    expect(config.retention).toMatchObject({
      replaced_tokens: hour,
      expired_tokens: 30 * day,
      ended_sessions: 30 * day,
      session_addresses: 30 * day,
      requests: 7 * day,
      sign_ups: 30 * day,
      recoveries: 7 * day,
      email_verifications: 7 * day,
      finished_jobs: 30 * day,
      policy_data_versions: 10,
      // Of MAS 30 days too. Nobody can go on with one after an hour, and it holds the hash of a password.
      abandoned_sign_ups: day,
      // Of MAS for ever.
      replaced_passwords: 0,
      legacy_logins: day,
      invitations: 365 * day,
      unused_clients: 90 * day,
    })
  })

  test('hold key by key in a section that is there', async () => {
    const { config } = await withMinimal('http: { public_base: "https://auth.example.org/" }\ndatabase: {}')
    expect(config.http.listeners).toHaveLength(2)
    expect(config.http.issuer).toBe('https://auth.example.org/')
    expect(config.database).toEqual({
      max_connections: 10,
      min_connections: 0,
      connect_timeout: 30,
      idle_timeout: 600,
      max_lifetime: 1800,
      pooler: 'none',
    })
  })

  test('a section without content counts as absent', async () => {
    const { config } = await withMinimal('database:\nclients:\nhttp:\ncaptcha: { service: ~ }')
    expect(config.database).toBeUndefined()
    expect(config.clients).toEqual([])
    expect(config.captcha).toEqual({})
  })

  test('sendmail needs no command', async () => {
    const { config } = await withMinimal('email: { transport: sendmail }')
    expect(config.email.command).toBe('sendmail')
  })
})

describe('normalising', () => {
  test('http.public_base gets its slash, with a warning', async () => {
    const { config, warnings } = await withMinimal('http: { public_base: "HTTPS://Example.org:443/auth" }')
    expect(config.http.public_base).toBe('https://example.org/auth/')
    expect(config.http.issuer).toBe('https://example.org/auth/')
    expect(warnings).toEqual([
      'http.public_base in config.yaml: should end with a slash. It is read as https://example.org/auth/.',
    ])
  })

  test('http.public_base without a path needs no warning', async () => {
    const { config, warnings } = await withMinimal('http: { public_base: "https://example.org" }')
    expect(config.http.public_base).toBe('https://example.org/')
    expect(warnings).toEqual([])
  })

  test('http.issuer keeps its path as it is', async () => {
    const { config } = await withMinimal('http: { issuer: "https://example.org/tenant" }')
    expect(config.http.issuer).toBe('https://example.org/tenant')
  })

  test('x- keys are dropped at every level without a word', async () => {
    const { config, warnings } = await withMinimal('x-anchors: 1\noauth: { x-note: hello }')
    expect(Object.keys(config)).not.toContain('x-anchors')
    expect(Object.keys(config.oauth)).not.toContain('x-note')
    expect(warnings).toEqual([])
  })

  test('policy.data belongs to an own module alone: any mapping, and none of our business', async () => {
    const { config, warnings } = await withMinimal(
      'policy: { wasm_module: /etc/own.wasm, data: { registration: { banned_usernames: any }, mine: { a: null } } }',
    )
    const data = { registration: { banned_usernames: 'any' }, mine: { a: null } }
    expect<unknown>(config.policy.data).toEqual(data)
    expect(warnings).toEqual([])
  })

  test('policy.data keeps keys of other policies, with a warning', async () => {
    const { config, warnings } = await withMinimal('policy: { data: { mine: { a: 1 } } }')
    expect<unknown>(config.policy.data).toEqual({ mine: { a: 1 } })
    expect(warnings).toEqual(['policy.data.mine in config.yaml: is kept, but none of our rules reads it.'])
  })
})

describe('warnings', () => {
  test('registration that is open to the internet is named at each start', async () => {
    const open =
      'account: { password_registration_enabled: true, password_registration_email_required: false }'
    const { warnings } = await withMinimal(`${open}\nhttp: { public_base: "https://example.org/" }`)
    expect(warnings).toEqual([
      'account.password_registration_enabled in config.yaml: anyone who reaches this server can register, ' +
        'without an invitation, an email address or a CAPTCHA.',
    ])
    expect((await withMinimal(open)).warnings).toEqual([])
  })

  test.each(['0.0.0.0/0', '::/0', '128.0.0.0/1', '2000::/3'])('a proxy as wide as %s', async (network) => {
    const { warnings } = await withMinimal(
      `http: { trusted_proxies: ["${network}", 10.0.0.0/8, "fd00::/8"] }`,
    )
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toStartWith('http.trusted_proxies.0 in config.yaml: believes nearly everybody')
  })

  test.each(['password_registration_email_required', 'password_recovery_enabled'])(
    'account.%s: without mail it does nothing, which is said at each start',
    async (key) => {
      const account = `account: { password_registration_enabled: true, password_registration_email_required: false, ${key}: true }`
      const yaml = account.replace(
        /password_registration_email_required: false, (?=password_registration)/,
        '',
      )
      const { warnings } = await withMinimal(yaml)
      expect(warnings).toEqual([
        expect.stringMatching(new RegExp(`^account\\.${key} in config\\.yaml: no mail leaves `)),
      ])
      const sent = 'email: { transport: smtp, mode: tls, hostname: mail.test, from: accounts@example.org }'
      expect((await withMinimal(`${yaml}\n${sent}`)).warnings).toEqual([])
      expect((await withMinimal(`${yaml}\npasswords: { enabled: false }`)).warnings).toEqual([])
    },
  )

  test('mail that is sent from localhost', async () => {
    const { warnings } = await withMinimal('email: { transport: smtp, mode: tls, hostname: mail.test }')
    expect(warnings).toEqual([expect.stringMatching(/^email\.from in config\.yaml: /)])
  })

  test('no signing key at all', async () => {
    const { warnings } = await parseText(
      `matrix: { kind: standalone, secret: s }\nsecrets: { encryption: "${'ab'.repeat(32)}" }`,
    )
    expect(warnings).toEqual([
      'secrets.keys in config.yaml: there is no signing key, so no ID token can be signed.',
    ])
  })

  for (const [text, path] of [
    [
      'http: { listeners: [{ resources: [{ name: connection-info }], binds: [{ port: 1 }] }] }',
      'http.listeners[].resources[] connection-info',
    ],
  ] as const) {
    test(`${path}: what is not built yet is named (${text})`, async () => {
      const { warnings } = await withMinimal(text)
      expect(warnings).toHaveLength(1)
      expect(warnings[0]).toStartWith(`${path}: `)
      expect(warnings[0]).toContain('not built')
    })
  }
})

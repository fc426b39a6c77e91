import { describe, expect, test } from 'bun:test'
import { ConfigError } from '../../src/config/report.ts'
import { MINIMAL, parseText, problemsOf, withMinimal } from './support.ts'

const CLIENT = 'client_id: 01JAYS74TCG3BTWKADN5Q4518C'
const client = (rest: string) => `clients: [{ ${CLIENT}, ${rest} }]`
const provider = (rest: string) =>
  `upstream_oauth2: { providers: [{ id: 01JAYS74TCG3BTWKADN5Q4518C, client_id: a, ${rest} }] }`
const listener = (rest: string) => `http: { listeners: [{ resources: [{ name: health }], ${rest} }] }`
const bind = (rest: string) => listener(`binds: [{ ${rest} }]`)
const limiter = (path: string, value: string) =>
  `rate_limiting: ${path.split('.').reduceRight((inner, key) => `{ ${key}: ${inner} }`, value)}`
const IDP = 'issuer: "https://idp.test", token_endpoint_auth_method: none'

/** What is written, the path that is named, and a part of the sentence. */
const CASES: [string, string, string][] = [
  // unknown keys
  ['htp: {}', 'htp', 'Did you mean `http`?'],
  ['http: { public_bas: "http://a.test/" }', 'http.public_bas', 'Did you mean `public_base`?'],
  ['public_base: "http://a.test/"', 'public_base', 'Did you mean `http.public_base`?'],
  // Nothing is near: a name would mislead.
  [
    'captcha: { zzzzzzzzzz: 1 }',
    'captcha.zzzzzzzzzz',
    'is not a known key. Known here: `service`, `site_key`, `secret_key`. Keys of your own',
  ],
  ['database: { zzzzzzzzzz: 1 }', 'database.zzzzzzzzzz', 'is not a known key. Keys of your own'],
  [
    'captcha: { sitekey_id: x }',
    'captcha.sitekey_id',
    'is not a known key. The nearest known one is `site_key`.',
  ],
  [bind('port: 1, http2: true'), 'http.listeners.0.binds.0.http2', 'is not a known key'],
  ['http: { http2: true }', 'http.http2', 'is not a known key'],
  [
    'policy: { data: { registration: { baned_usernames: {} } } }',
    'policy.data.registration.baned_usernames',
    '`banned_usernames`',
  ],
  ['"__proto__": { a: 1 }', '__proto__', 'is not a known key'],
  // types
  ['http: []', 'http', 'must be a mapping'],
  ['clients: {}', 'clients', 'must be a list'],
  ['oauth: { device_code_grant_enabled: 1 }', 'oauth.device_code_grant_enabled', 'must be `true` or `false`'],
  ['branding: { imprint: 12 }', 'branding.imprint', 'put it in quotes'],
  ['branding: { imprint: "" }', 'branding.imprint', 'is empty'],
  ['matrix: { kind: dendrite, secret: s }', 'matrix.kind', '`synapse_read_only` or `standalone`'],
  ['branding: { colours: { accent: red } }', 'branding.colours.accent', 'must be `pine`, `ink`'],
  ['database: { max_connections: 0 }', 'database.max_connections', 'must be a whole number from 1 to'],
  ['database: { idle_timeout: soon }', 'database.idle_timeout', 'or null for no limit'],
  ['telemetry: { tracing: { sample_rate: 2 } }', 'telemetry.tracing.sample_rate', 'from 0 to 1'],
  ['telemetry: { sentry: { traces_sample_rate: -1 } }', 'telemetry.sentry.traces_sample_rate', 'from 0 to 1'],
  ['experimental: { access_token_ttl: 59 }', 'experimental.access_token_ttl', 'from 60 to 86400'],
  ['experimental: { compat_token_ttl: 86401 }', 'experimental.compat_token_ttl', 'from 60 to 86400'],
  [
    'experimental: { inactive_session_expiration: { ttl: 1 } }',
    'experimental.inactive_session_expiration.ttl',
    'from 600',
  ],
  [
    'experimental: { inactive_session_expiration: {} }',
    'experimental.inactive_session_expiration.ttl',
    'is missing',
  ],
  ['passwords: { minimum_complexity: 5 }', 'passwords.minimum_complexity', 'from 0 to 4'],
  // http
  ['http: { public_base: auth.test }', 'http.public_base', 'must be a full URL'],
  ['http: { public_base: "ftp://auth.test/" }', 'http.public_base', 'must start with `https://`'],
  ['http: { public_base: "http://a:b@auth.test/" }', 'http.public_base', 'user name'],
  ['http: { public_base: "http://auth.test/?a" }', 'http.public_base', 'query'],
  ['http: { issuer: "http://auth.test/#a" }', 'http.issuer', 'fragment'],
  ['http: { trusted_proxies: [10.0.0.0/33] }', 'http.trusted_proxies.0', 'must be an address or a network'],
  [
    'http: { listeners: [{ resources: [], binds: [{ port: 1 }] }] }',
    'http.listeners.0.resources',
    'at least one',
  ],
  ['http: { listeners: [{ resources: [{ name: health }] }] }', 'http.listeners.0.binds', 'is missing'],
  [listener('binds: []'), 'http.listeners.0.binds', 'at least one'],
  [bind('fd: 0'), 'http.listeners.0.binds.0', 'use `host` and `port`, or `socket`'],
  [bind('port: 1, socket: /a'), 'http.listeners.0.binds.0', 'exactly one'],
  [bind(''), 'http.listeners.0.binds.0', 'exactly one'],
  [bind('host: a'), 'http.listeners.0.binds.0.port', 'is missing'],
  [bind('port: 1, mode: "600"'), 'http.listeners.0.binds.0.mode', 'belongs to a `socket`'],
  [bind('socket: /a, mode: "999"'), 'http.listeners.0.binds.0.mode', 'octal'],
  [bind('socket: /a, mode: 600'), 'http.listeners.0.binds.0.mode', 'in quotes'],
  [bind('address: localhost:80'), 'http.listeners.0.binds.0.address', 'like `127.0.0.1:8080`'],
  [bind('address: "[::1]:99999"'), 'http.listeners.0.binds.0.address', 'like `127.0.0.1:8080`'],
  [
    listener('binds: [{ port: 1 }], proxy_protocol: true'),
    'http.listeners.0.proxy_protocol',
    'X-Forwarded-For',
  ],
  [
    listener('binds: [{ port: 1 }], tls: {}'),
    'http.listeners.0.tls',
    'needs `certificate` or `certificate_file`',
  ],
  [
    listener('binds: [{ port: 1 }], tls: { certificate: a, certificate_file: b }'),
    'http.listeners.0.tls.certificate',
    'both given',
  ],
  [listener('binds: [{ port: 1 }], tls: { key: a, key_file: b }'), 'http.listeners.0.tls.key', 'both given'],
  [
    listener('binds: [{ port: 1 }], tls: { certificate: nothing }'),
    'http.listeners.0.tls.certificate',
    'no certificate',
  ],
  [
    listener('binds: [{ port: 1 }], tls: { password: a, password_file: b }'),
    'http.listeners.0.tls.password',
    'both given',
  ],
  [
    listener('binds: [{ port: 1 }], tls: { key: "-----BEGIN PRIVATE KEY-----", password: a }'),
    'http.listeners.0.tls.password',
    'not encrypted',
  ],
  [
    'http: { listeners: [{ resources: [{ name: oauth, playground: true }], binds: [{ port: 1 }] }] }',
    'http.listeners.0.resources.0.playground',
    'belongs to the resource `graphql`',
  ],
  [
    'http: { listeners: [{ resources: [{ name: ouath }], binds: [{ port: 1 }] }] }',
    'http.listeners.0.resources.0.name',
    'must be `health`',
  ],
  // database
  ['database: { uri: "postgresql://a", host: b, port: 1 }', 'database.uri', '`host`, `port` are both given'],
  ['database: { uri: "mysql://a" }', 'database.uri', 'must start with `postgresql://`'],
  ['database: { host: a, socket: b }', 'database.socket', 'both given'],
  ['database: { password: a, password_file: b }', 'database.password', 'both given'],
  ['database: { ssl_certificate: a }', 'database.ssl_certificate', 'must be given together'],
  ['database: { ssl_ca: a, ssl_ca_file: b }', 'database.ssl_ca', 'both given'],
  ['database: { min_connections: 11 }', 'database.min_connections', 'must not be above'],
  // secrets, matrix, passwords
  ['secrets: {}', 'secrets.encryption', 'is missing'],
  ['secrets: { encryption: abc }', 'secrets.encryption', '64 hexadecimal digits'],
  [`secrets: { encryption: "${'a'.repeat(64)}", encryption_file: b }`, 'secrets.encryption', 'both given'],
  [`secrets: { encryption_file: short }`, 'secrets.encryption_file', 'exactly 64'],
  [`secrets: { encryption_file: empty }`, 'secrets.encryption_file', 'is empty'],
  [`secrets: { encryption_file: blank }`, 'secrets.encryption_file', 'nothing but blanks'],
  [`secrets: { encryption_file: absent }`, 'secrets.encryption_file', 'it does not exist'],
  [`secrets: { encryption: "${'a'.repeat(64)}", keys_dir: absent }`, 'secrets.keys_dir', 'it does not exist'],
  [`secrets: { encryption: "${'a'.repeat(64)}", keys: [{ kid: a }] }`, 'secrets.keys.0', 'needs `key`'],
  [`secrets: { encryption: "${'a'.repeat(64)}", keys: [{ key: text }] }`, 'secrets.keys.0.key', 'PEM or DER'],
  [
    `secrets: { encryption: "${'a'.repeat(64)}", keys: [{ kid: a, key: "-----BEGIN x" }, { kid: a, key: "-----BEGIN y" }] }`,
    'secrets.keys.1.kid',
    'used twice',
  ],
  ['matrix: { kind: standalone }', 'matrix.secret', 'is missing'],
  ['matrix: { secret: a, secret_file: b }', 'matrix.secret', 'both given'],
  ['matrix: { secret: a, homeserver: "https://example.org" }', 'matrix.homeserver', 'without a scheme'],
  ['passwords: { schemes: [] }', 'passwords.schemes', 'at least one'],
  [
    'passwords: { schemes: [{ version: 1, algorithm: argon2id }, { version: 1, algorithm: bcrypt }] }',
    'passwords.schemes.1.version',
    'used twice',
  ],
  [
    'passwords: { schemes: [{ version: 1, algorithm: argon2id, cost: 12 }] }',
    'passwords.schemes.0.cost',
    'bcrypt',
  ],
  [
    'passwords: { schemes: [{ version: 1, algorithm: bcrypt, cost: 99 }] }',
    'passwords.schemes.0.cost',
    'from 4 to 31',
  ],
  [
    'passwords: { schemes: [{ version: 1, algorithm: bcrypt, secret: a, secret_file: b }] }',
    'passwords.schemes.0.secret',
    'both given',
  ],
  // email
  ['email: { transport: smtp, hostname: a }', 'email.mode', 'is missing'],
  ['email: { transport: smtp, mode: tls }', 'email.hostname', 'is missing'],
  ['email: { transport: smtp, mode: TLS, hostname: a }', 'email.mode', '`plain`, `starttls` or `tls`'],
  ['email: { transport: smtp, mode: tls, hostname: a, command: b }', 'email.command', 'sendmail'],
  ['email: { transport: smtp, mode: tls, hostname: a, username: b }', 'email.username', 'together'],
  ['email: { transport: smtp, mode: tls, hostname: a, password: b }', 'email.username', 'together'],
  ['email: { transport: smtp, mode: tls, hostname: a, port: 0 }', 'email.port', 'from 1 to 65535'],
  ['email: { transport: sendmail, hostname: a }', 'email.hostname', 'smtp'],
  ['email: { transport: sendmail, password_file: short }', 'email.password_file', 'smtp'],
  ['email: { transport: sendmail, from: nobody }', 'email.from', 'mail address'],
  ['email: { password: a, password_file: b }', 'email.password', 'both given'],
  // captcha, limits
  ['captcha: { service: hcaptcha, site_key: a }', 'captcha.secret_key', 'is missing'],
  ['captcha: { service: cloudflare_turnstile, secret_key: a }', 'captcha.site_key', 'is missing'],
  ['captcha: { service: altcha, secret_key: a }', 'captcha.secret_key', 'belongs to the services of others'],
  [limiter('registration', '{ burst: 3 }'), 'rate_limiting.registration.per_second', 'is missing'],
  [limiter('login.per_ip', '{ per_second: 3 }'), 'rate_limiting.login.per_ip.burst', 'is missing'],
  [
    limiter('login.per_account', '{ burst: 0, per_second: 1 }'),
    'rate_limiting.login.per_account.burst',
    'from 1',
  ],
  ...['per_ip', 'per_address', 'emails_per_session', 'attempt_per_session'].map(
    (name): [string, string, string] => [
      limiter(`email_authentication.${name}`, '{ burst: 1, per_second: 0 }'),
      `rate_limiting.email_authentication.${name}.per_second`,
      'above 0',
    ],
  ),
  [
    'experimental: { session_limit: { soft_limit: 5, hard_limit: 4 } }',
    'experimental.session_limit.hard_limit',
    'below',
  ],
  [
    'experimental: { session_limit: { soft_limit: 1, hard_limit: 1, dangerous_hard_limit_eviction: true } }',
    'experimental.session_limit.hard_limit',
    'at least 2',
  ],
  [
    'experimental: { session_limit: { soft_limit: 1 } }',
    'experimental.session_limit.hard_limit',
    'is missing',
  ],
  [
    'policy: { data: { registration: { banned_usernames: { regexes: ["("] } } } }',
    'policy.data.registration.banned_usernames.regexes.0',
    'regular expression',
  ],
  [
    'policy: { data: { requester: { banned_ips: [somewhere] } } }',
    'policy.data.requester.banned_ips.0',
    'an address or a network',
  ],
  // clients
  ['clients: [{ client_id: app, client_auth_method: none }]', 'clients.0.client_id', 'must be a ULID'],
  [client('client_auth_method: private_key_jwt'), 'clients.0', 'exactly one of `jwks`'],
  [
    client('client_auth_method: private_key_jwt, jwks: {keys: []}, jwks_uri: "https://a.test"'),
    'clients.0',
    'exactly one',
  ],
  [
    client('client_auth_method: private_key_jwt, jwks: {keys: []}, client_secret: a'),
    'clients.0',
    'no client secret',
  ],
  [client('client_auth_method: private_key_jwt, jwks: {}'), 'clients.0.jwks', 'JWK Set'],
  [client('client_auth_method: client_secret_basic'), 'clients.0', 'needs `client_secret`'],
  [
    client('client_auth_method: client_secret_post, client_secret: a, jwks: {keys: []}'),
    'clients.0',
    'neither `jwks`',
  ],
  [
    client('client_auth_method: client_secret_post, client_secret: a, client_secret_file: b'),
    'clients.0.client_secret',
    'both given',
  ],
  [client('client_auth_method: none, client_secret: a'), 'clients.0', 'no client secret'],
  [client('client_auth_method: none, jwks_uri: "https://a.test"'), 'clients.0', 'neither `jwks`'],
  [client('client_auth_method: none, redirect_uris: [callback]'), 'clients.0.redirect_uris.0', 'full URL'],
  [
    client('client_auth_method: none, post_logout_redirect_uris: [out]'),
    'clients.0.post_logout_redirect_uris.0',
    'full URL',
  ],
  [
    client('client_auth_method: none, backchannel_logout_uri: "http://a.test/"'),
    'clients.0.backchannel_logout_uri',
    'must be `https`',
  ],
  [
    client('client_auth_method: client_secret_basic, client_secret: a, profile: fapi2'),
    'clients.0.client_auth_method',
    '`private_key_jwt`',
  ],
  [
    client(
      'client_auth_method: private_key_jwt, jwks: {keys: []}, profile: fapi2, redirect_uris: ["http://localhost/"]',
    ),
    'clients.0.redirect_uris.0',
    '`https`',
  ],
  [
    client(
      'client_auth_method: private_key_jwt, jwks: {keys: []}, profile: fapi2, id_token_signed_response_alg: RS256',
    ),
    'clients.0.id_token_signed_response_alg',
    '`PS256`',
  ],
  [
    client('client_auth_method: none, require_signed_request_object: true'),
    'clients.0',
    'its request objects are signed',
  ],
  [
    client('client_auth_method: none, jwks: {keys: []}, request_uris: ["http://a.test/r"]'),
    'clients.0.request_uris.0',
    'must be `https`',
  ],
  [
    client('client_auth_method: none, token_endpoint_auth_signing_alg: ES256'),
    'clients.0.token_endpoint_auth_signing_alg',
    'does not fit `none`',
  ],
  [
    client('client_auth_method: client_secret_jwt, client_secret: a, token_endpoint_auth_signing_alg: ES256'),
    'clients.0.token_endpoint_auth_signing_alg',
    'does not fit `client_secret_jwt`',
  ],
  [
    client('client_auth_method: none, jwks: {keys: []}, request_object_signing_alg: none'),
    'clients.0.request_object_signing_alg',
    'RS256',
  ],
  [client('client_auth_method: none, default_max_age: -1'), 'clients.0.default_max_age', '0'],
  [client('client_auth_method: none, profile: fapi'), 'clients.0.profile', 'fapi2'],
  [
    `clients: [{ ${CLIENT}, client_auth_method: none }, { ${CLIENT.toLowerCase()}, client_auth_method: none }]`,
    'clients.1.client_id',
    'twice',
  ],
  // upstream providers
  [provider('token_endpoint_auth_method: none'), 'upstream_oauth2.providers.0.issuer', 'is missing'],
  [
    provider('token_endpoint_auth_method: none, discovery_mode: disabled'),
    'upstream_oauth2.providers.0.authorization_endpoint',
    'is missing',
  ],
  [provider(`${IDP}, client_secret: a`), 'upstream_oauth2.providers.0', 'no client secret'],
  [
    provider('issuer: a, token_endpoint_auth_method: client_secret_basic'),
    'upstream_oauth2.providers.0',
    'needs `client_secret`',
  ],
  [
    provider('issuer: a, token_endpoint_auth_method: private_key_jwt'),
    'upstream_oauth2.providers.0.token_endpoint_auth_signing_alg',
    'is missing',
  ],
  [
    provider(`${IDP}, token_endpoint_auth_signing_alg: RS256`),
    'upstream_oauth2.providers.0.token_endpoint_auth_signing_alg',
    'left out',
  ],
  [
    provider('issuer: a, token_endpoint_auth_method: sign_in_with_apple'),
    'upstream_oauth2.providers.0.sign_in_with_apple',
    'together',
  ],
  [
    provider(
      'issuer: a, token_endpoint_auth_method: sign_in_with_apple, sign_in_with_apple: { team_id: a, key_id: b }',
    ),
    'upstream_oauth2.providers.0.sign_in_with_apple',
    'needs `private_key`',
  ],
  [
    provider(`${IDP}, claims_imports: { skip_confirmation: true }`),
    'upstream_oauth2.providers.0.claims_imports.localpart.action',
    '`require`',
  ],
  [
    provider(
      `${IDP}, claims_imports: { skip_confirmation: true, localpart: { action: require }, email: { action: suggest } }`,
    ),
    'upstream_oauth2.providers.0.claims_imports.email.action',
    '`suggest`',
  ],
  [
    provider(
      `${IDP}, claims_imports: { skip_confirmation: true, localpart: { action: require }, displayname: { action: suggest } }`,
    ),
    'upstream_oauth2.providers.0.claims_imports.displayname.action',
    '`suggest`',
  ],
  ...(['client_secret_post', 'client_secret_jwt'] as const).map((method): [string, string, string] => [
    provider(`issuer: a, token_endpoint_auth_method: ${method}`),
    'upstream_oauth2.providers.0',
    'needs `client_secret`',
  ]),
  ...(['private_key_jwt', 'sign_in_with_apple'] as const).map((method): [string, string, string] => [
    provider(`issuer: a, token_endpoint_auth_method: ${method}, client_secret: a`),
    'upstream_oauth2.providers.0',
    'no client secret',
  ]),
  [
    provider('issuer: a, token_endpoint_auth_method: client_secret_jwt, client_secret: a'),
    'upstream_oauth2.providers.0.token_endpoint_auth_signing_alg',
    'is missing',
  ],
  [
    provider(`${IDP}, sign_in_with_apple: { team_id: a, key_id: b, private_key: c }`),
    'upstream_oauth2.providers.0.sign_in_with_apple',
    'together',
  ],
  ...(['replace', 'set'] as const).map((mode): [string, string, string] => [
    provider(`${IDP}, claims_imports: { localpart: { action: suggest, on_conflict: ${mode} } }`),
    'upstream_oauth2.providers.0.claims_imports.localpart.on_conflict',
    'force',
  ]),
  [
    `upstream_oauth2: { providers: [{ id: 01JAYS74TCG3BTWKADN5Q4518C, client_id: a, ${IDP} }, { id: 01jays74tcg3btwkadn5q4518c, client_id: a, ${IDP} }] }`,
    'upstream_oauth2.providers.1.id',
    'twice',
  ],
  ...[
    'discovery_mode',
    'pkce_method',
    'response_mode',
    'on_backchannel_logout',
    'id_token_signed_response_alg',
  ].map((key): [string, string, string] => [
    provider(`${IDP}, ${key}: other`),
    `upstream_oauth2.providers.0.${key}`,
    'must be `',
  ]),
  [
    provider(`${IDP}, claims_imports: { localpart: { on_conflict: add } }`),
    'upstream_oauth2.providers.0.claims_imports.localpart.on_conflict',
    'force',
  ],
]

const FILES = { short: 'abc', empty: '', blank: ' \n', b: 'x' }

describe('problems', () => {
  for (const [text, path, part] of CASES) {
    test(`${path}: ${part} (${text})`, async () => {
      const problems = await problemsOf(withMinimal(text, FILES))
      const mine = problems.filter((line) => line.startsWith(`${path} in config.yaml: `))
      expect(mine.some((line) => line.includes(part))).toBe(true)
    })
  }

  test('passwords.enabled false: schemes are not looked at', async () => {
    const { config } = await withMinimal(
      'passwords: { enabled: false, schemes: [{ version: 1, algorithm: bcrypt, secret_file: absent }] }',
    )
    expect(config.passwords.enabled).toBe(false)
  })

  test('all problems are reported, and the message has the first and the count', async () => {
    const error = await parseText('htp: {}\noauth: { refresh_token_reuse: 1 }\nsecrets: {}').catch(
      (cause) => cause,
    )
    expect(error).toBeInstanceOf(ConfigError)
    expect(error.reason).toBe('invalid')
    expect(error.problems).toHaveLength(4)
    expect(error.message).toBe(
      'htp in config.yaml: is not a known key. Did you mean `http`? (and 3 more problems)',
    )
  })

  test('an empty file says what is missing', async () => {
    expect(await problemsOf(parseText(''))).toEqual([
      'matrix.secret in config.yaml: is missing: give the secret that the homeserver has too, or `secret_file`.',
      'secrets.encryption in config.yaml: is missing: give 64 hexadecimal digits ' +
        '(`openssl rand -hex 32` makes some), or `encryption_file`.',
    ])
  })

  test('something that is no mapping is refused', async () => {
    expect((await problemsOf(parseText('- a')))[0]).toStartWith('config.yaml: must be a mapping')
  })

  test('no problem repeats a secret value', async () => {
    const secret = 'hunter2-hunter2'
    const problems = await problemsOf(
      parseText(
        `secrets: { encryption: ${secret}, keys: [{ key: ${secret} }] }\n` +
          `matrix: { secret: [${secret}] }\ndatabase: { uri: "mysql://u:${secret}@h" }\n` +
          `http: { public_base: "http://u:${secret}@h/" }`,
      ),
    )
    expect(problems.length).toBeGreaterThan(3)
    expect(problems.join('\n')).not.toContain(secret)
  })

  test('the minimal configuration has none', async () => {
    expect((await parseText(MINIMAL)).warnings).toEqual([])
  })
})

import { describe, expect, test } from 'bun:test'
import { load, PEM } from './support.ts'

const indented = (text: string, by: number) =>
  text
    .trim()
    .split('\n')
    .join(`\n${' '.repeat(by)}`)

const RESOURCES = `
        - name: discovery
        - name: human
        - name: oauth
        - name: compat
        - name: graphql
        - name: assets`

/** As `mas-cli config generate` writes it, with what the guide for one machine tells to change. */
const SINGLE_HOST = `
http:
  listeners:
  - name: web
    resources:${RESOURCES}
    binds:
    - address: '[::]:8080'
    proxy_protocol: false
  - name: internal
    resources:
    - name: health
    binds:
    - host: localhost
      port: 8081
    proxy_protocol: false
  trusted_proxies: [192.168.0.0/16, 172.16.0.0/12, 10.0.0.0/10, 127.0.0.1/8, fd00::/8, ::1/128]
  public_base: https://auth.example.com/
  issuer: https://auth.example.com/
database:
  uri: postgresql://mas:hidden@localhost/mas
  max_connections: 10
  min_connections: 0
  connect_timeout: 30
  idle_timeout: 600
  max_lifetime: 1800
email:
  from: '"Authentication Service" <root@localhost>'
  reply_to: '"Authentication Service" <root@localhost>'
  transport: blackhole
secrets:
  encryption: ${'0123456789abcdef'.repeat(4)}
  keys:
  - kid: iv1aShae
    key: |
      ${indented(PEM, 6)}
  - kid: 8yeMdeNi
    key: |
      ${indented(PEM, 6)}
passwords:
  enabled: true
  schemes:
  - version: 1
    algorithm: argon2id
  minimum_complexity: 3
matrix:
  kind: synapse
  homeserver: example.com
  secret: shared-with-synapse
  endpoint: http://localhost:8008/
`

/** Below a path of the host that has everything else too: the path stands in the addresses and in the listener. */
const BELOW_A_PATH = `
http:
  public_base: https://example.com/auth/
  issuer: https://example.com/auth/
  listeners:
    - name: web
      prefix: /auth/
      resources:${RESOURCES}
        - name: health
      binds: [{ host: 127.0.0.1, port: 8080 }]
database:
  host: 127.0.0.1
  username: mas
  password: hidden
  database: mas
secrets:
  encryption_file: /etc/mas/encryption
  keys:
    - key_file: /etc/mas/rsa.pem
passwords:
  enabled: true
  schemes:
    - { version: 1, algorithm: bcrypt, unicode_normalization: true }
    - { version: 2, algorithm: argon2id }
matrix: { kind: synapse, homeserver: example.com, secret_file: /etc/mas/secret, endpoint: "http://127.0.0.1:8008" }
email: { from: a@example.com, reply_to: a@example.com, transport: smtp, mode: plain, hostname: localhost }
`

/** Two files of a ConfigMap without a secret; those come as variables. */
const KUBERNETES = {
  '/conf/http.yaml': `
http:
  public_base: https://account.example.com/
  trusted_proxies: [10.0.0.0/8]
  listeners:
    - name: web
      binds: [{ host: 0.0.0.0, port: 8080 }]
      resources:${RESOURCES}
        - name: adminapi
    - name: internal
      binds: [{ host: 0.0.0.0, port: 8081 }]
      resources: [{ name: health }, { name: prometheus }, { name: connection-info }]
telemetry: { metrics: { exporter: prometheus } }
database: { max_connections: 20, ssl_mode: prefer }
`,
  '/conf/rest.yaml': `
matrix: { kind: synapse, homeserver: example.com, endpoint: "http://synapse:8008" }
secrets: { keys_dir: /secrets/keys }
policy: { data: { admin_users: [] } }
email: { transport: smtp, mode: starttls, hostname: smtp.example.com, port: 587, username: mas, from: a@example.com, reply_to: a@example.com }
account: { password_registration_enabled: false }
`,
  '/secrets/keys/rsa.pem': PEM,
}

describe('deployments of MAS load as they are', () => {
  test('a single host', async () => {
    const { config, warnings } = await load({ 'config.yaml': SINGLE_HOST })
    expect(config.http).toMatchObject({ public_base: 'https://auth.example.com/' })
    expect(config.http.listeners.map(({ binds }) => binds)).toEqual([
      [{ host: '::', port: 8080 }],
      [{ host: 'localhost', port: 8081 }],
    ])
    expect(config.secrets.keys.map(({ kid }) => kid)).toEqual(['iv1aShae', '8yeMdeNi'])
    expect(config.matrix).toMatchObject({ homeserver: 'example.com', secret: 'shared-with-synapse' })
    expect(warnings.filter((line) => !/graphql|mail/i.test(line))).toEqual([])
  })

  test('below a path (/auth)', async () => {
    const { config, warnings } = await load({
      'config.yaml': BELOW_A_PATH,
      '/etc/mas/encryption': '0123456789abcdef'.repeat(4),
      '/etc/mas/rsa.pem': PEM,
      '/etc/mas/secret': 'shared-with-synapse\n',
    })
    expect(config.http).toMatchObject({
      public_base: 'https://example.com/auth/',
      issuer: 'https://example.com/auth/',
    })
    expect(config.http.listeners[0]?.prefix).toBe('/auth')
    expect(config.matrix.secret).toBe('shared-with-synapse')
    expect(config.database).toMatchObject({ host: '127.0.0.1', username: 'mas', password: 'hidden' })
    expect(warnings.filter((line) => !/graphql/.test(line))).toEqual([])
  })

  test('Kubernetes, with secrets in variables', async () => {
    const { config, warnings } = await load(KUBERNETES, {
      MAS_CONFIG: '/conf/http.yaml:/conf/rest.yaml',
      MAS_DATABASE_URI: 'postgresql://mas:hidden@postgres/mas',
      MAS_SECRETS_ENCRYPTION: '0123456789abcdef'.repeat(4),
      MAS_MATRIX_SECRET: 'shared-with-synapse',
      MAS_EMAIL_PASSWORD: '1234',
    })
    expect(config.database).toMatchObject({
      uri: 'postgresql://mas:hidden@postgres/mas',
      max_connections: 20,
    })
    expect(config.secrets.encryption).toBe('0123456789abcdef'.repeat(4))
    expect(config.secrets.keys).toHaveLength(1)
    expect([config.matrix.secret, config.email.password]).toEqual(['shared-with-synapse', '1234'])
    expect(warnings.filter((line) => !/graphql|connection-info/.test(line))).toEqual([])
  })

  test('Kubernetes, with the variables of libpq for the database', async () => {
    const { config } = await load(KUBERNETES, {
      MAS_CONFIG: '/conf/http.yaml:/conf/rest.yaml',
      PGHOST: 'postgres',
      PGUSER: 'mas',
      PGPASSWORD: 'hidden',
      PGDATABASE: 'mas',
      MAS_SECRETS_ENCRYPTION: '0123456789abcdef'.repeat(4),
      MAS_MATRIX_SECRET: 'shared-with-synapse',
      MAS_EMAIL_PASSWORD: 'x',
    })
    expect(config.database).toMatchObject({ host: 'postgres', username: 'mas', password: 'hidden' })
  })
})

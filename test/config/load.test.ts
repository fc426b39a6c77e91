import { describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskFiles } from '../../src/config/files.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ConfigError } from '../../src/config/report.ts'
import { decode, load, MINIMAL, PEM, problemsOf } from './support.ts'

describe('finding files', () => {
  test('the argument beats LATCHKEY_CONFIG, which beats MAS_CONFIG, which beats config.yaml', async () => {
    const files = { 'a.yaml': MINIMAL, 'b.yaml': MINIMAL, 'c.yaml': MINIMAL, 'config.yaml': MINIMAL }
    const env = { LATCHKEY_CONFIG: 'b.yaml', MAS_CONFIG: 'c.yaml' }
    expect((await load(files, env, ['a.yaml'])).files).toEqual(['a.yaml'])
    expect((await load(files, env)).files).toEqual(['b.yaml'])
    expect((await load(files, { MAS_CONFIG: 'c.yaml' })).files).toEqual(['c.yaml'])
    expect((await load(files)).files).toEqual(['config.yaml'])
  })

  test('data/config.yaml is read where there is no config.yaml', async () => {
    expect((await load({ 'data/config.yaml': MINIMAL })).files).toEqual(['data/config.yaml'])
  })

  test('a named file that is missing is an error', async () => {
    const error = await load({ 'a.yaml': MINIMAL }, { LATCHKEY_CONFIG: 'a.yaml:b.yaml' }).catch(
      (cause) => cause,
    )
    expect(error).toBeInstanceOf(ConfigError)
    expect(error.reason).toBe('missing')
    expect(error.message).toBe("b.yaml: this configuration file can't be read (it does not exist).")
  })

  test('no file at all is an error of its own kind', async () => {
    const error = await load({}).catch((cause) => cause)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error.reason).toBe('missing')
  })

  test('an empty LATCHKEY_CONFIG means: everything from variables', async () => {
    const { config, files } = await load(
      {},
      {
        LATCHKEY_CONFIG: '',
        LATCHKEY_MATRIX: '{"kind":"standalone","homeserver":"example.test"}',
        LATCHKEY_MATRIX__SECRET: 'shared',
        LATCHKEY_SECRETS__ENCRYPTION: 'ab'.repeat(32),
      },
    )
    expect(files).toEqual([])
    expect(config.matrix).toMatchObject({ kind: 'standalone', homeserver: 'example.test', secret: 'shared' })
  })
})

describe('YAML', () => {
  test('a mistake is named with file, line and column, without the text of the file', async () => {
    const [problem] = await problemsOf(load({ 'config.yaml': 'matrix:\n  secret: "hunter2\n' }))
    expect(problem).toMatch(/^config\.yaml: .*line \d+, column \d+; what is not closed begins on line 2\.$/)
    expect(problem).not.toContain('hunter2')
  })

  describe('one mistake in 10,000 lines: its line and the mend, and nothing else', () => {
    const before = MINIMAL.trimEnd().split('\n').length
    /** The clients of the file, the one at place 1700 with the mistake. */
    const clients = (mistake: string[]) =>
      Array.from({ length: 2500 }, (_, index) => [
        `  - client_id: 01J44Q10GR4AMTFZEEF93${String(index).padStart(5, '0')}`,
        '    client_auth_method: none',
        ...(index === 1700 ? mistake : ['    redirect_uris:', `      - https://app${index}.example.org/`]),
      ]).flat()
    const LINE = before + 1 + 1700 * 4 + 3
    test.each([
      [
        ['    redirect_urs:', '      - https://app.example.org/'],
        `clients.1700.redirect_urs in config.yaml, line ${LINE}: is not a known key. Did you mean \`redirect_uris\`?`,
      ],
      [
        ['    redirect_uris:', '      - 7'],
        `clients.1700.redirect_uris.0 in config.yaml, line ${LINE + 1}: must be `,
      ],
      [
        ['    client_auth_method: none', '    redirect_uris: []'],
        `config.yaml: Map keys must be unique at line ${LINE}, column 5.`,
      ],
      [
        ['\tredirect_uris:', '      - https://app.example.org/'],
        `config.yaml: Tabs are not allowed as indentation at line ${LINE}, column 1.`,
      ],
      [
        ['    redirect_uris:', '      - "https://app.example.org/'],
        /^config\.yaml: Missing closing "quote at line \d+, column \d+; what is not closed begins on line 6\d{3}\.$/,
      ],
    ])('%j', async (mistake, told) => {
      const text = [MINIMAL.trimEnd(), 'clients:', ...clients(mistake)].join('\n')
      const problems = await problemsOf(load({ 'config.yaml': text }))
      expect(problems).toHaveLength(1)
      if (typeof told === 'string') expect(problems[0]).toStartWith(told)
      else {
        expect(problems[0]).toMatch(told)
        expect(problems[0]).toContain(`line ${LINE + 1}`)
      }
    })
  })

  test('a key given twice is a mistake', async () => {
    const [problem] = await problemsOf(load({ 'config.yaml': 'matrix: {}\nmatrix: {}\n' }))
    expect(problem).toContain('line 2')
  })

  test('YAML 1.2: yes and no are text', async () => {
    const problems = await problemsOf(load({ 'config.yaml': `${MINIMAL}\npasswords: { enabled: yes }\n` }))
    expect(problems).toEqual([
      expect.stringMatching(/^passwords\.enabled in config\.yaml, line \d+: must be `true` or `false`\.$/),
    ])
  })
})

describe('merging', () => {
  const named = ['a.yaml', 'b.yaml']

  test('mappings merge, later values win, lists are appended (as in MAS)', async () => {
    const { config, files } = await load(
      {
        'a.yaml': `${MINIMAL}\nhttp: { public_base: "https://a.test/", trusted_proxies: [10.0.0.0/8] }\nclients: [{ client_id: 01JAYS74TCG3BTWKADN5Q4518C, client_auth_method: none }]`,
        'b.yaml':
          'http: { public_base: "https://b.test/", trusted_proxies: [127.0.0.1] }\nmatrix: { homeserver: b.test }\nclients: [{ client_id: 01JAYS74TCG3BTWKADN5Q4518D, client_auth_method: none }]',
      },
      {},
      named,
    )
    expect(files).toEqual(named)
    expect(config.http.public_base).toBe('https://b.test/')
    expect(config.http.trusted_proxies).toEqual(['10.0.0.0/8', '127.0.0.1'])
    expect(config.matrix).toMatchObject({ homeserver: 'b.test', secret: 'shared' })
    expect(config.clients.map(({ client_id: id }) => id.slice(-1))).toEqual(['C', 'D'])
  })

  test('a problem names the file that it is in, also inside appended lists', async () => {
    const problems = await problemsOf(
      load(
        {
          'a.yaml': `${MINIMAL}\nhttp: { trusted_proxies: [10.0.0.0/8] }`,
          'b.yaml':
            'http: { trusted_proxies: [nowhere], issuer: nothing }\noauth: { refresh_token_reuse: x }',
        },
        {},
        named,
      ),
    )
    expect(problems.map((line) => line.split(':')[0])).toEqual([
      'oauth.refresh_token_reuse in b.yaml, line 2',
      'http.issuer in b.yaml, line 1',
    ])
    const rules = await problemsOf(
      load(
        {
          'a.yaml': `${MINIMAL}\nhttp: { trusted_proxies: [10.0.0.0/8] }`,
          'b.yaml': 'http: { trusted_proxies: [nowhere] }',
        },
        {},
        named,
      ),
    )
    expect(rules[0]).toStartWith('http.trusted_proxies.1 in b.yaml, line 1: ')
  })
})

describe('environment', () => {
  const FILES = { 'config.yaml': MINIMAL, '/run/secret': ' from a file \n', '/run/limit': '77\n' }

  test('variables beat files', async () => {
    const { config } = await load(FILES, {
      LATCHKEY_HTTP__PUBLIC_BASE: 'https://env.test/',
      LATCHKEY_ACCOUNT__PASSWORD_REGISTRATION_ENABLED: 'false',
      LATCHKEY_DATABASE__MAX_CONNECTIONS: '42',
      LATCHKEY_DATABASE__IDLE_TIMEOUT: 'null',
      LATCHKEY_RATE_LIMITING__LOGIN__PER_IP__BURST: '9',
      LATCHKEY_RATE_LIMITING__LOGIN__PER_IP__PER_SECOND: '0.5',
      LATCHKEY_MATRIX__HOMESERVER: 'env.test',
    })
    expect(config.http.public_base).toBe('https://env.test/')
    expect(config.database).toMatchObject({ max_connections: 42, idle_timeout: null })
    expect(config.rate_limiting.login.per_ip).toEqual({ burst: 9, per_second: 0.5 })
    expect(config.matrix).toMatchObject({ homeserver: 'env.test', secret: 'shared' })
  })

  test('lists and mappings are JSON and replace what files say', async () => {
    const { config } = await load(
      { 'config.yaml': `${MINIMAL}\nhttp: { trusted_proxies: [10.0.0.0/8] }` },
      {
        LATCHKEY_HTTP__TRUSTED_PROXIES: '["127.0.0.1"]',
        LATCHKEY_POLICY__DATA: '{"admin_users":["alice"]}',
      },
    )
    expect(config.http.trusted_proxies).toEqual(['127.0.0.1'])
    expect(config.policy.data.admin_users).toEqual(['alice'])
  })

  test('the more exact variable wins over the one for its section', async () => {
    const { config } = await load(FILES, {
      LATCHKEY_MATRIX__SECRET: 'exact',
      LATCHKEY_MATRIX: '{"kind":"standalone","secret":"whole"}',
    })
    expect(config.matrix.secret).toBe('exact')
  })

  test('_FILE: the trimmed content of a file, for any key', async () => {
    const { config } = await load(FILES, {
      LATCHKEY_MATRIX__SECRET_FILE: '/run/secret',
      LATCHKEY_BRANDING__IMPRINT_FILE: '/run/secret',
      LATCHKEY_DATABASE__MAX_CONNECTIONS_FILE: '/run/limit',
    })
    expect(config.matrix.secret).toBe('from a file')
    expect(config.branding.imprint).toBe('from a file')
    expect(config.database?.max_connections).toBe(77)
  })

  test('a plain variable replaces a secret_file of the configuration', async () => {
    const { config } = await load(
      { 'config.yaml': MINIMAL.replace('secret: shared', 'secret_file: /absent') },
      { LATCHKEY_MATRIX__SECRET: 'plain' },
    )
    expect(config.matrix.secret).toBe('plain')
  })

  test('an empty variable counts as unset', async () => {
    const { config } = await load(FILES, { LATCHKEY_MATRIX__SECRET: '' })
    expect(config.matrix.secret).toBe('shared')
  })

  test('mistakes are reported together, and name the variable', async () => {
    const problems = await problemsOf(
      load(FILES, {
        LATCHKEY_HTTP__PUBLIC_BAES: 'https://a.test/',
        LATCHKEY_HTTP_PUBLIC_BASE: 'https://a.test/',
        LATCHKEY_MATRIX__SECERT_FILE: '/run/secret',
        LATCHKEY_PASSWORDS__ENABLED: 'maybe',
        LATCHKEY_HTTP__TRUSTED_PROXIES: '10.0.0.0/8',
        LATCHKEY_BRANDING__IMPRINT: 'a',
        LATCHKEY_BRANDING__IMPRINT_FILE: '/run/secret',
        LATCHKEY_BRANDING__SERVICE_NAME_FILE: '/absent',
        LATCHKEY_EXPERIMENTAL__ACCESS_TOKEN_TTL: '5',
      }),
    )
    expect([...problems].sort()).toEqual([
      'LATCHKEY_BRANDING__IMPRINT and LATCHKEY_BRANDING__IMPRINT_FILE are both set: keep one of them.',
      "LATCHKEY_BRANDING__SERVICE_NAME_FILE: its file can't be read. Check the path and the permissions.",
      'LATCHKEY_HTTP_PUBLIC_BASE is not a variable that Latchkey knows. The nearest one is LATCHKEY_HTTP__PUBLIC_BASE.',
      'LATCHKEY_HTTP__PUBLIC_BAES is not a variable that Latchkey knows. The nearest one is LATCHKEY_HTTP__PUBLIC_BASE.',
      'LATCHKEY_HTTP__TRUSTED_PROXIES: must be a list in JSON, like `["a", "b"]`.',
      'LATCHKEY_MATRIX__SECERT_FILE is not a variable that Latchkey knows. The nearest one is LATCHKEY_MATRIX__SECRET_FILE.',
      'LATCHKEY_PASSWORDS__ENABLED: must be `true` or `false`.',
      'experimental.access_token_ttl in LATCHKEY_EXPERIMENTAL__ACCESS_TOKEN_TTL: must be a whole number from 60 to 86400.',
    ])
  })

  test('both forms of a secret in variables are refused', async () => {
    const problems = await problemsOf(
      load(FILES, { LATCHKEY_MATRIX__SECRET: 'a', LATCHKEY_MATRIX__SECRET_FILE: '/run/secret' }),
    )
    expect(problems).toEqual([
      'matrix.secret in LATCHKEY_MATRIX__SECRET: and `secret_file` are both given: keep one of them.',
    ])
  })

  test('variables of MAS are named in a warning where they have no effect: a file says it, no key, no value of its kind', async () => {
    const env = {
      MAS_MATRIX_HOMESERVER: 'a.test',
      MAS_HTTP_PUBLIC_BASE: 'https://a.test/',
      MAS_SERVICE_HOST: '10.0.0.1',
      MAS_DATABASE_PORT: 'tcp://10.0.0.1:5432',
    }
    const { config, warnings } = await load(FILES, env)
    expect(config.matrix.homeserver).toBe('example.test')
    expect(config.database).toBeUndefined()
    expect(warnings).toEqual([
      `${Object.keys(env).join(', ')}: without effect. Variables of MAS say what no file says, as there; use LATCHKEY_SECTION__KEY.`,
    ])
  })

  test('a variable of MAS gives way to one of ours, and to a file that holds the secret', async () => {
    const files = {
      'config.yaml': MINIMAL.replace('secret: shared', 'secret_file: /run/secret'),
      '/run/secret': 'of the file',
    }
    const env = { MAS_MATRIX_SECRET: 'of MAS', MAS_DATABASE_URI: 'postgresql://mas/mas' }
    const { config } = await load(files, { ...env, LATCHKEY_DATABASE__URI: 'postgresql://ours/ours' })
    expect([config.matrix.secret, config.database?.uri]).toEqual(['of the file', 'postgresql://ours/ours'])
  })

  test('variables of libpq fill the gaps of a database section without uri', async () => {
    const env = { PGHOST: 'pg.test', PGPORT: '5433', PGUSER: 'mas', PGDATABASE: 'mas', PGPASSWORD: 'p' }
    const split = await load({ 'config.yaml': `${MINIMAL}\ndatabase: { username: own }` }, env)
    expect(split.config.database).toMatchObject({
      host: 'pg.test',
      port: 5433,
      username: 'own',
      database: 'mas',
    })
    const uri = await load({ 'config.yaml': `${MINIMAL}\ndatabase: { uri: "postgresql://a/b" }` }, env)
    expect(uri.config.database?.host).toBeUndefined()
    expect((await load(FILES, env)).config.database).toBeUndefined()
  })
})

describe('variables of proxies', () => {
  const outgoing = async (env: Record<string, string>, text = MINIMAL) =>
    (await load({ 'config.yaml': text }, env)).config.outgoing

  test('fill the gaps of the outgoing section; the small spelling goes first', async () => {
    expect(await outgoing({})).toEqual({ no_proxy: [] })
    expect(
      await outgoing({
        https_proxy: 'http://user:word@small.test:3128',
        HTTPS_PROXY: 'http://large.test',
        ALL_PROXY: 'proxy.test:8080',
        NO_PROXY: 'example.org, 10.0.0.0/8',
      }),
    ).toEqual({
      https_proxy: 'http://user:word@small.test:3128/',
      http_proxy: 'http://proxy.test:8080/',
      no_proxy: ['example.org', '10.0.0.0/8'],
    })
    const own = `${MINIMAL}\noutgoing: { https_proxy: "http://own.test", no_proxy: [] }`
    expect(await outgoing({ HTTPS_PROXY: 'http://large.test', NO_PROXY: '*' }, own)).toEqual({
      https_proxy: 'http://own.test/',
      no_proxy: [],
    })
  })

  test('one that cannot be used is named, without its value, and left out', async () => {
    const { config, warnings } = await load(
      { 'config.yaml': MINIMAL },
      { ALL_PROXY: 'socks5://user:word@proxy.test' },
    )
    expect(config.outgoing).toEqual({ no_proxy: [] })
    expect(warnings).toEqual(['ALL_PROXY: is no http:// or https:// proxy, and is not used.'])
  })
})

describe('diskFiles', () => {
  test('keys_dir: links to files count, directories and hidden names do not (mounted secrets)', async () => {
    const root = await mkdtemp(join(tmpdir(), 'latchkey-config-'))
    try {
      const keys = join(root, 'keys')
      await mkdir(join(keys, '..data'), { recursive: true })
      await writeFile(join(keys, '..data', 'two.pem'), `${PEM}two`)
      await writeFile(join(keys, 'one.pem'), `${PEM}one`)
      await writeFile(join(keys, '.hidden'), 'not a key')
      await symlink(join('..data', 'two.pem'), join(keys, 'two.pem'))
      const file = join(root, 'config.yaml')
      await writeFile(
        file,
        `matrix: { kind: standalone, secret: s }\n` +
          `secrets: { encryption: "${'ab'.repeat(32)}", keys_dir: "${keys}" }\n`,
      )
      const { config, warnings } = await loadConfig({ files: [file], env: {}, ...diskFiles })
      expect(config.secrets.keys.map(({ key }) => decode(key)?.slice(PEM.length))).toEqual(['one', 'two'])
      expect(warnings).toEqual([])
    } finally {
      await rm(root, { recursive: true })
    }
  })

  test('a directory in place of a file is named with its reason', async () => {
    const problems = await problemsOf(loadConfig({ files: [tmpdir()], env: {}, ...diskFiles }))
    expect(problems).toEqual([`${tmpdir()}: this configuration file can't be read (it is a directory).`])
  })
})

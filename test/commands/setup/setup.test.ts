import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { parse } from 'yaml'
import { CommandError, type Context } from '../../../src/commands/context.ts'
import { planOf, type Wishes } from '../../../src/commands/setup/plan.ts'
import { caddyOf, nginxOf, traefikOf } from '../../../src/commands/setup/proxies.ts'
import setup from '../../../src/commands/setup/setup.ts'
import { latchkey, newFolder } from '../support.ts'

const wishes = (more: Partial<Wishes> = {}): Wishes => ({
  domain: 'example.org',
  homeserverUrl: 'https://matrix.example.org/',
  url: 'https://auth.example.org/',
  issuerOnDomain: false,
  homeserverEndpoint: 'http://localhost:8008/',
  listen: 'localhost:8080',
  ...more,
})

describe('planOf', () => {
  test.each<[string, Partial<Wishes>]>([
    ['a domain with a port', { domain: 'example.org:8448' }],
    ['a domain that would end a line of nginx', { domain: 'example.org; include /etc/passwd' }],
    ['a domain with a line break', { domain: 'example.org\nlisten 1' }],
    ['a single label', { domain: 'localhost' }],
    ['an address without encryption', { url: 'http://auth.example.org/' }],
    ['an address with a port', { url: 'https://auth.example.org:8443/' }],
    ['an address with credentials', { url: 'https://me:secret@auth.example.org/' }],
    ['a path that would end a line', { url: 'https://auth.example.org/a;b/' }],
    ['a path of Matrix', { url: 'https://matrix.example.org/_matrix/auth/' }],
    ['a homeserver below a path', { homeserverUrl: 'https://example.org/synapse/' }],
    ['an endpoint that is no address', { homeserverEndpoint: 'localhost' }],
    ['an endpoint with a path', { homeserverEndpoint: 'http://localhost:8008/_matrix/' }],
    ['a listener without a port', { listen: 'localhost' }],
    ['a listener with a port that does not exist', { listen: 'localhost:70000' }],
    ['a database of another kind', { database: 'mysql://localhost/latchkey' }],
  ])('%s is refused with a sentence', (_what, more) => {
    expect(() => planOf(wishes(more))).toThrow(CommandError)
  })

  test('an address may be typed without https:// and without its last slash', () => {
    const plan = planOf(wishes({ url: 'example.org/auth', homeserverUrl: 'Matrix.Example.org' }))
    expect([plan.latchkey.href, plan.homeserver.href]).toEqual([
      'https://example.org/auth/',
      'https://matrix.example.org/',
    ])
  })
})

/** Which service Traefik hands a request to: of the routers that match, the one with the highest priority. */
function routed(file: string, address: string): string | undefined {
  const { http } = parse(file) as {
    http: { routers: Record<string, { rule: string; priority: number; service: string }> }
  }
  const { hostname, pathname } = new URL(address)
  const holds = (term: string): boolean => {
    const [, kind, value = ''] = /^(Host|Path|PathPrefix|PathRegexp)\(`(.+)`\)$/.exec(term) ?? []
    if (kind === 'Host') return hostname === value
    if (kind === 'Path') return pathname === value
    if (kind === 'PathPrefix') return pathname.startsWith(value)
    if (kind === 'PathRegexp') return new RegExp(value).test(pathname)
    throw new Error(`Traefik knows no ${term}`)
  }
  return Object.values(http.routers)
    .filter(({ rule }) => rule.split(' && ').every(holds))
    .sort((a, b) => b.priority - a.priority)[0]?.service
}

describe('traefik.yaml', () => {
  test.each<[string, Partial<Wishes>, Record<string, string | undefined>]>([
    [
      'three hosts',
      {},
      {
        'https://auth.example.org/login': 'latchkey',
        'https://matrix.example.org/_matrix/client/v3/login': 'latchkey',
        'https://matrix.example.org/_matrix/client/r0/login/sso/redirect/x': 'latchkey',
        'https://matrix.example.org/_matrix/client/v3/logout/all': 'latchkey',
        'https://matrix.example.org/_matrix/client/v3/refresh': 'latchkey',
        'https://matrix.example.org/_matrix/client/v3/sync': 'synapse',
        'https://matrix.example.org/_matrix/client/v3/loginx': 'synapse',
        'https://matrix.example.org/_synapse/admin/v1/users': undefined,
        'https://matrix.example.org/': undefined,
        'https://example.org/.well-known/matrix/client': 'latchkey',
        'https://example.org/.well-known/openid-configuration': undefined,
        'https://example.org/': undefined,
      },
    ],
    [
      'the issuer is the domain',
      { issuerOnDomain: true },
      {
        'https://example.org/.well-known/openid-configuration': 'latchkey',
        'https://example.org/.well-known/oauth-authorization-server': 'latchkey',
        'https://example.org/login': undefined,
      },
    ],
    [
      'all on one host, below a path',
      { url: 'https://example.org/auth/', homeserverUrl: 'https://example.org/' },
      {
        'https://example.org/auth/login': 'latchkey',
        'https://example.org/.well-known/oauth-authorization-server/auth': 'latchkey',
        'https://example.org/.well-known/matrix/client': 'latchkey',
        'https://example.org/_matrix/client/v3/login': 'latchkey',
        'https://example.org/_matrix/client/v3/sync': 'synapse',
        'https://example.org/blog': undefined,
      },
    ],
    [
      'all on one host',
      { url: 'https://example.org/', homeserverUrl: 'https://example.org/' },
      {
        'https://example.org/login': 'latchkey',
        'https://example.org/.well-known/matrix/client': 'latchkey',
        'https://example.org/_matrix/client/v3/refresh': 'latchkey',
        'https://example.org/_matrix/client/v3/sync': 'synapse',
        'https://example.org/_synapse/client/x': 'synapse',
      },
    ],
  ])('%s: every request goes where it should', (_name, more, expected) => {
    const file = traefikOf(planOf(wishes(more)))
    for (const [address, service] of Object.entries(expected))
      expect([address, routed(file, address)]).toEqual([address, service])
  })

  test('its services are the addresses that nginx and Caddy use too', () => {
    const plan = planOf(wishes({ homeserverEndpoint: 'http://synapse:8008/', listen: '10.0.0.3:8080' }))
    const { services } = parse(traefikOf(plan)).http
    expect(services.latchkey.loadBalancer.servers).toEqual([{ url: 'http://10.0.0.3:8080' }])
    expect(services.synapse.loadBalancer.servers).toEqual([{ url: 'http://synapse:8008' }])
    for (const text of [nginxOf(plan), caddyOf(plan)]) {
      expect(text).toContain('http://10.0.0.3:8080')
      expect(text).toContain('http://synapse:8008')
      expect(text).not.toContain('127.0.0.1')
    }
  })
})

describe('latchkey setup', () => {
  let folder: { path: string; remove: () => Promise<void> }
  beforeEach(async () => {
    folder = await newFolder()
  })
  afterEach(() => folder.remove())
  const run = (...args: string[]) => latchkey(['setup', ...args], { cwd: folder.path })
  const text = (name: string) => readFile(join(folder.path, 'latchkey-setup', name), 'utf8')

  test('writes everything, secrets for their owner alone, and says what is next', async () => {
    const { code, out, err } = await run('--domain', 'example.org')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const names = await readdir(join(folder.path, 'latchkey-setup'))
    expect(names.sort()).toEqual([
      'Caddyfile',
      'NEXT-STEPS.md',
      'config.yaml',
      'database.sql',
      'matrix-client.json',
      'nginx.conf',
      'synapse.yaml',
      'traefik.yaml',
    ])
    const { matrix, secrets, database } = parse(await text('config.yaml'))
    const password = new URL(database.uri).password
    for (const name of names) {
      const { mode } = await stat(join(folder.path, 'latchkey-setup', name))
      const secret = ['config.yaml', 'synapse.yaml', 'database.sql'].includes(name)
      expect([name, (mode & 0o777).toString(8)]).toEqual([name, secret ? '600' : '644'])
      if (secret) continue
      for (const hidden of [matrix.secret, secrets.encryption, password])
        expect(await text(name)).not.toContain(hidden)
    }
    expect(out).not.toContain(matrix.secret)
    expect(await text('database.sql')).toContain(`password '${password}'`)
    expect(out).toContain('latchkey doctor -c /etc/latchkey/config.yaml')
    expect(
      (await latchkey(['config', 'check', '-c', 'latchkey-setup/config.yaml'], { cwd: folder.path })).code,
    ).toBe(0)
  })

  test('both sides get the same secret, and Synapse the address where Latchkey listens', async () => {
    await run('--domain', 'example.org', '--listen', 'localhost:9090')
    const { matrix, http, account } = parse(await text('config.yaml'))
    const { matrix_authentication_service: link } = parse(await text('synapse.yaml'))
    expect(link).toEqual({ enabled: true, endpoint: 'http://127.0.0.1:9090/', secret: matrix.secret })
    expect(matrix).toMatchObject({
      kind: 'synapse',
      homeserver: 'example.org',
      endpoint: 'http://localhost:8008/',
    })
    expect(http).toMatchObject({
      public_base: 'https://auth.example.org/',
      trusted_proxies: ['127.0.0.1/32', '::1/128'],
    })
    expect(http.issuer).toBeUndefined()
    expect(account).toEqual({ password_registration_enabled: false })
    expect(await text('config.yaml')).not.toContain('No homeserver yet')
  })

  test('nothing is written over; --force writes anew and keeps the secrets and own changes', async () => {
    await run('--domain', 'example.org')
    const before = parse(await text('config.yaml'))
    const again = await run('--domain', 'example.org', '--issuer-on-domain')
    expect(again.code).toBe(1)
    expect(again.err).toContain('nothing was written')
    expect(parse(await text('config.yaml'))).toEqual(before)

    const config = await text('config.yaml')
    await Bun.write(
      join(folder.path, 'latchkey-setup', 'config.yaml'),
      `${config}branding:\n  service_name: Ours\n`,
    )
    await chmod(join(folder.path, 'latchkey-setup', 'config.yaml'), 0o644)
    expect((await run('--domain', 'example.org', '--issuer-on-domain', '--force')).code).toBe(0)
    const { mode } = await stat(join(folder.path, 'latchkey-setup', 'config.yaml'))
    expect((mode & 0o777).toString(8)).toBe('600')
    const after = parse(await text('config.yaml'))
    expect(after.http.issuer).toBe('https://example.org/')
    expect(after.branding).toEqual({ service_name: 'Ours' })
    expect([after.secrets, after.matrix.secret, after.database]).toEqual([
      before.secrets,
      before.matrix.secret,
      before.database,
    ])
    expect(await text('database.sql')).toContain(new URL(before.database.uri).password)
  })

  test('the document of the domain is the one that Latchkey answers', async () => {
    await run('--domain', 'example.org', '--issuer-on-domain', '--url', 'https://example.org/auth/')
    expect(JSON.parse(await text('matrix-client.json'))).toEqual({
      'm.homeserver': { base_url: 'https://matrix.example.org' },
      'org.matrix.msc2965.authentication': {
        issuer: 'https://example.org/',
        account: 'https://example.org/auth/account/',
      },
    })
  })

  test('in a terminal it asks for what the flags do not say; Enter takes the usual', async () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    const said: string[] = []
    const write = (line: string) => void said.push(line)
    const answers = ['example.org', '', 'https://example.org/auth/', '', 'localhost:9090']
    const context = {
      stdin: stdin as unknown as Context['stdin'],
      signal: new AbortController().signal,
      process: {
        stdout: { write },
        stderr: {
          // A question is answered when it is asked.
          write(question: string) {
            said.push(question)
            stdin.write(`${answers.shift()}\n`)
          },
        },
      },
    } as unknown as Context
    const output = join(folder.path, 'asked')
    await setup.call(context, { output })
    expect(answers).toEqual([])
    const { http, matrix } = parse(await readFile(join(output, 'config.yaml'), 'utf8'))
    expect(http.public_base).toBe('https://example.org/auth/')
    expect(http.listeners[0].binds).toEqual([{ host: 'localhost', port: 9090 }])
    expect(matrix).toMatchObject({ homeserver: 'example.org', endpoint: 'http://localhost:8008/' })
    expect(said.join('')).toContain('What to do next')
  })

  test('without a terminal and without a domain it asks for nothing and says what is missing', async () => {
    const { code, err } = await run()
    expect(code).toBe(1)
    expect(err).toContain('latchkey setup --domain example.org')
  })
})

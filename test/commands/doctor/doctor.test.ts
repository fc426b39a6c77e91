import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { Finding } from '../../../src/commands/doctor/finding.ts'
import { withoutSecrets } from '../../../src/commands/doctor/finding.ts'
import { printFinding } from '../../../src/commands/doctor/print.ts'
import { parseConnects } from '../../../src/commands/doctor/reach.ts'
import { rotateKeys } from '../../../src/oauth/keyring.ts'
import { createTestDatabase } from '../../support/database.ts'
import { startMailServer } from '../../support/mail-server.ts'
import { createWorld, HOSTS, troubles, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
  // The queue makes its tables at its first use.
  await world.harness.runJobs()
})
afterAll(() => world?.close())
afterEach(() => world.broken.clear())

const json =
  (body: unknown, headers: Record<string, string> = { 'access-control-allow-origin': '*' }) =>
  () =>
    Response.json(body, { headers })
const status = (code: number) => () => new Response('<html>no</html>', { status: code })
const find = (findings: Finding[], check: string) => findings.find((finding) => finding.check === check)

/** What everything in order looks like. */
test('a deployment in order has no findings but good ones', async () => {
  const findings = await world.examine()
  expect(troubles(findings)).toEqual([])
  expect(findings.filter(({ verdict }) => verdict === 'skipped').map(({ check }) => check)).toEqual([
    // They lead where --connect-to says.
    'dns',
    'dns',
    'dns',
    // No mail is configured.
    'mail',
  ])
})

describe('documents and routes', () => {
  const DOCUMENT = 'example.org/.well-known/matrix/client'
  const DISCOVERY = 'auth.example.org/.well-known/openid-configuration'
  const base = { 'm.homeserver': { base_url: 'https://matrix.example.org' } }

  test.each<[string, string, () => Response, string[]]>([
    // What needs the address of the homeserver is skipped then.
    ['is missing', DOCUMENT, status(404), ['well_known failed']],
    ['is a page', DOCUMENT, () => new Response('<html></html>'), ['well_known failed']],
    [
      'has an address that is none',
      DOCUMENT,
      json({ 'm.homeserver': { base_url: 'matrix' } }),
      ['well_known failed'],
    ],
    ['lacks CORS', DOCUMENT, json(base, {}), ['well_known failed']],
    [
      'names another issuer',
      DOCUMENT,
      json({ ...base, 'org.matrix.msc2965.authentication': { issuer: 'https://old.example.org/' } }),
      ['well_known failed'],
    ],
    [
      'redirects for ever',
      DOCUMENT,
      () => Response.redirect('https://example.org/.well-known/matrix/client', 302),
      ['well_known failed'],
    ],
    ['is not there (discovery)', DISCOVERY, status(404), ['discovery failed']],
    [
      'is of another issuer (discovery)',
      DISCOVERY,
      json({ issuer: 'https://auth.example.org' }),
      ['discovery failed'],
    ],
    [
      'names no homeserver (versions)',
      'matrix.example.org/_matrix/client/versions',
      status(502),
      ['homeserver failed'],
    ],
    [
      'is of another issuer (auth_metadata)',
      'matrix.example.org/_matrix/client/v1/auth_metadata',
      json({ issuer: 'https://old.example.org/' }),
      ['auth_metadata failed'],
    ],
    [
      'is not delegated (auth_metadata)',
      'matrix.example.org/_matrix/client/v1/auth_metadata',
      status(404),
      ['auth_metadata failed'],
    ],
    [
      'does not come through (admin API)',
      'auth.example.org/api/admin/v1/users',
      status(404),
      ['admin_api failed'],
    ],
    [
      'answers without a token (admin API)',
      'auth.example.org/api/admin/v1/users',
      json({ data: [] }),
      ['admin_api failed'],
    ],
    [
      'is Synapse’s own (login)',
      'matrix.example.org/_matrix/client/v3/login',
      json({ flows: [{ type: 'm.login.password' }, { type: 'm.login.sso' }] }),
      ['legacy_routes GET v3/login failed'],
    ],
    [
      'goes to Synapse (logout)',
      'matrix.example.org/_matrix/client/v3/logout',
      status(404),
      ['legacy_routes POST logout failed'],
    ],
    [
      'goes to Synapse (refresh)',
      'matrix.example.org/_matrix/client/v3/refresh',
      status(404),
      ['legacy_routes POST refresh failed'],
    ],
    [
      'is Synapse’s own (sso)',
      'matrix.example.org/_matrix/client/v3/login/sso/redirect',
      () => Response.json({ errcode: 'M_MISSING_PARAM', error: 'redirectUrl' }, { status: 400 }),
      ['legacy_routes GET login/sso/redirect failed'],
    ],
  ])('one that %s is one finding, with what to do', async (_what, at, fault, expected) => {
    world.broken.set(at, fault)
    const findings = await world.examine()
    expect(troubles(findings)).toEqual(expected)
    for (const finding of findings.filter(({ verdict }) => verdict === 'failed'))
      expect(finding.mend).toMatch(/\S/)
  })

  test('whoever reaches no homeserver without the document says so, and fails for the document alone', async () => {
    world.broken.set(DOCUMENT, status(404))
    const findings = await world.examine()
    for (const check of ['homeserver', 'legacy_routes'])
      expect(find(findings, check)?.verdict).toBe('skipped')
    expect(find(findings, 'homeserver')?.mend).toContain('--homeserver-url')
  })

  test('a server that never answers ends after the deadline, and holds up nothing else', async () => {
    world.broken.set('auth.example.org/api/admin/v1/users', () => new Promise<Response>(() => {}))
    const findings = await world.examine(undefined, 1000)
    expect(troubles(findings)).toEqual(['admin_api failed'])
    expect(find(findings, 'admin_api')?.reason).toContain('no answer in time')
  })

  test('an answer without end is not read to its end', async () => {
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)),
    })
    world.broken.set(
      DOCUMENT,
      () => new Response(endless, { headers: { 'content-type': 'application/json' } }),
    )
    expect(troubles(await world.examine())).toEqual(['well_known failed'])
  })
})

describe('the secret', () => {
  test('one that the homeserver does not take is named in that direction alone', async () => {
    const findings = await world.examine(({ matrix }) => ({
      matrix: { ...matrix, secret: 'another-secret' },
    }))
    expect(troubles(findings)).toEqual(['secret_to_homeserver failed'])
    expect(JSON.stringify(findings)).not.toContain('another-secret')
  })

  test('a homeserver that is refused by us answers 503: its secret, or where it looks for us', async () => {
    const whoami = 'synapse.internal/_matrix/client/v3/account/whoami'
    world.broken.set(whoami, status(503))
    const refused = find(await world.examine(), 'secret_from_homeserver')
    expect(refused?.reason).toContain('its secret is another one')
    world.broken.set('synapse.internal/_matrix/client/v1/auth_metadata', status(502))
    const lost = find(await world.examine(), 'secret_from_homeserver')
    expect(lost?.reason).toContain('does not reach it')
    expect(lost?.paste?.lines).toContain('  endpoint: http://localhost:8080/')
  })
})

describe('certificates', () => {
  afterAll(() => world.certify(HOSTS, 60))

  test('one that ended is named with its day, and everything behind it with why', async () => {
    await world.certify(HOSTS, -2)
    const findings = await world.examine()
    const tls = findings.filter(({ check }) => check === 'tls')
    const day = new Date(Date.now() - 2 * 86_400_000).toISOString().slice(0, 10)
    // Nobody knows the homeserver: its document can't be read.
    expect(tls.map(({ subject, verdict }) => [subject, verdict])).toEqual([
      ['example.org', 'failed'],
      ['auth.example.org', 'failed'],
    ])
    for (const { reason, paste } of tls) {
      expect(reason).toContain(`ended on ${day}`)
      expect(paste?.lines).toEqual(['certbot renew && systemctl reload nginx'])
    }
    expect(find(findings, 'discovery')?.reason).toContain('CERT_HAS_EXPIRED')
  })

  test('one that is about to end is a warning', async () => {
    await world.certify(HOSTS, 5)
    expect(troubles(await world.examine())).toEqual(HOSTS.map((host) => `tls ${host} warning`))
  })

  test('one for other names is not believed, and the name to ask for is said', async () => {
    await world.certify(['example.org', 'matrix.example.org'], 60)
    const findings = await world.examine()
    const wrong = findings.find(({ check, verdict }) => check === 'tls' && verdict === 'failed')
    expect(wrong?.subject).toBe('auth.example.org')
    expect(wrong?.mend).toContain('names auth.example.org')
  })
})

test('looking changes nothing: no row is added to any table', async () => {
  const { sql } = world.harness.database
  const count = async () => {
    const tables = await sql<{ name: string }[]>`
      select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname in ('latchkey', 'latchkey_jobs') order by 1`
    const counts: Record<string, unknown> = {}
    for (const { name } of tables) counts[name] = await sql.unsafe(`select count(*)::int from ${name}`)
    return counts
  }
  const before = await count()
  await world.examine()
  expect(await count()).toEqual(before)
})

describe('the database, its keys and its queue', () => {
  const sql = () => world.harness.database.sql

  test('one that is behind is named, and what needs its tables is skipped', async () => {
    const behind = await createTestDatabase({ migrated: false })
    try {
      const findings = await world.examine(() => ({ database: { uri: behind.uri } as never }))
      expect(troubles(findings)).toEqual(['database failed'])
      expect(find(findings, 'database')?.paste?.lines).toEqual(['latchkey database migrate'])
      expect(find(findings, 'queue')?.verdict).toBe('skipped')
      // Looking changes nothing.
      const [schema] = await behind.sql`select 1 from pg_namespace where nspname = 'latchkey'`
      expect(schema).toBeUndefined()
    } finally {
      await behind.drop()
    }
  })

  test('accounts of another server name are noticed', async () => {
    await sql()`insert into latchkey.settings (key, value) values ('matrix.homeserver', '"old.example.org"')
      on conflict (key) do update set value = excluded.value`
    const finding = find(await world.examine(), 'database')
    await sql()`delete from latchkey.settings where key = 'matrix.homeserver'`
    expect(finding?.reason).toContain('belong to old.example.org')
  })

  test('without a database section and without a first start there is none, and none is made', async () => {
    const findings = await world.examine(() => ({ database: undefined as never }))
    expect(find(findings, 'database')?.reason).toContain('was never started')
  })

  test('a key of the database that is sealed under another secrets.encryption is named by its kid', async () => {
    const { kids } = await rotateKeys(world.harness.deps)
    const findings = await world.examine(({ secrets }) => ({
      secrets: { ...secrets, encryption: 'f'.repeat(64) },
    }))
    expect(findings.filter(({ check }) => check === 'keys').map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(kids.map((kid) => expect.stringContaining(kid))),
    )
    await sql()`delete from latchkey.signing_keys`
  })

  test('a server that runs with other keys than the configuration is noticed', async () => {
    world.broken.set('auth.example.org/oauth2/keys.json', json({ keys: [] }))
    const finding = find(await world.examine(), 'keys')
    expect(finding?.reason).toContain('does not publish')
  })

  test('jobs that nobody begins, jobs and mails that were given up', async () => {
    const { deps } = world.harness
    const user = '018f0000-0000-7000-8000-000000000001'
    await deps.jobs.enqueue(deps.sql, 'sync-devices', { user_id: user })
    await sql()`update latchkey_jobs.job set start_after = now() - interval '1 hour' where name = 'sync-devices'`
    await deps.jobs.enqueue(deps.sql, 'provision-user', { user_id: user })
    await sql()`update latchkey_jobs.job set state = 'failed' where name = 'provision-user'`
    await sql()`insert into latchkey.mails (id, kind, sealed_content, created_at, given_up_at)
      values (${user}, 'test', '', now(), now())`
    const queue = (await world.examine()).filter(({ check }) => check === 'queue')
    await sql()`delete from latchkey_jobs.job where name in ('sync-devices', 'provision-user')`
    await sql()`delete from latchkey.mails`
    expect(queue.map(({ verdict }) => verdict)).toEqual(['failed', 'warning', 'warning'])
    expect(queue[0]?.reason).toContain('the oldest for 60 minutes')
    expect(queue[1]?.reason).toContain('given up (1)')
    expect(queue[2]?.paste?.lines).toContain('latchkey manage retry-mail')
  })

  test('a clock that differs is named, with how much', async () => {
    const late = new Date(Date.now() - 120_000).toUTCString()
    const document = await world.harness.request('/.well-known/openid-configuration')
    const body = await document.json()
    world.broken.set('auth.example.org/.well-known/openid-configuration', () =>
      Response.json(body, { headers: { date: late } }),
    )
    const clock = find(await world.examine(), 'clock')
    expect(clock?.verdict).toBe('failed')
    expect(clock?.reason).toMatch(/1(19|2\d) seconds ahead of that of auth\.example\.org/)
  })
})

describe('mail', () => {
  test('a mail server that takes us is in order, and gets no mail', async () => {
    const server = await startMailServer()
    const findings = await world.examine(({ email }) => ({
      email: {
        ...email,
        transport: 'smtp',
        mode: 'plain',
        hostname: '127.0.0.1',
        port: server.port,
        from: 'a@example.org',
      },
    }))
    expect(find(findings, 'mail')?.verdict).toBe('ok')
    expect(server.mails).toEqual([])
    await server.close()
  })

  test('one that is not there, or refuses the password, fails without showing it', async () => {
    const server = await startMailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: (_auth, _session, done) => done(new Error('no such user: smtp-password')),
    })
    const smtp = {
      transport: 'smtp',
      mode: 'plain',
      hostname: '127.0.0.1',
      username: 'u',
      password: 'smtp-password',
    } as const
    const refused = await world.examine(({ email }) => ({ email: { ...email, ...smtp, port: server.port } }))
    await server.close()
    const away = await world.examine(({ email }) => ({ email: { ...email, ...smtp, port: 9 } }))
    for (const findings of [refused, away]) {
      expect(troubles(findings)).toEqual(['mail failed'])
      expect(JSON.stringify(findings)).not.toContain('smtp-password')
    }
  })
})

describe('what is printed', () => {
  test('secrets are replaced wherever they stand, the longest first, and a terminal obeys nothing', () => {
    const finding: Finding = {
      check: 'x',
      verdict: 'failed',
      reason: 'it said abcdef-long and abcdef \u001b[2J\u0007',
      mend: 'use abcdef',
      paste: { into: 'file', lines: ['secret: abcdef-long'] },
    }
    const [clean] = withoutSecrets([finding], ['abcdef', 'abcdef-long', ''])
    expect(clean).toEqual({
      check: 'x',
      verdict: 'failed',
      reason: 'it said [secret] and [secret]  [2J ',
      mend: 'use [secret]',
      paste: { into: 'file', lines: ['secret: [secret]'] },
    })
  })

  test('the verdict stands first, what to do and the lines below it', () => {
    const finding: Finding = {
      check: 'tls',
      subject: 'a.test',
      verdict: 'failed',
      reason: 'It ended.',
      mend: 'Renew it:',
      paste: { into: 'a shell', lines: ['certbot renew'] },
    }
    expect(printFinding(finding)).toBe(
      [
        'failed    tls (a.test): It ended.',
        '          Renew it:',
        '          a shell:',
        '            certbot renew',
      ].join('\n'),
    )
  })

  test.each(['auth.example.org', 'auth.example.org:443', 'a:443:b', 'a:443:b:x', ':443:b:1'])(
    '--connect-to %s is refused with an example',
    (text) => expect(() => parseConnects([text])).toThrow('--connect-to auth.example.org:443:127.0.0.1:8443'),
  )
})

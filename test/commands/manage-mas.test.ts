import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { meetUpstreamLink } from '../../sql/upstream-links.ts'
import { upsertUpstreamProvider } from '../../sql/upstream-providers.ts'
import { readMapping } from '../../src/commands/manage/identities.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { newId, uuidFromUlid } from '../../src/lib/ulid.ts'
import { createBrowser } from '../support/browser.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createFakeHomeserver } from '../support/fake-homeserver.ts'
import { beginReady, endAll, freeAddress, latchkey, MAIN, newFolder } from './support.ts'

// Each test starts processes.
setDefaultTimeout(180_000)

const SECRET = 'test-shared-secret-of-matrix'
const PASSWORD = 'a rather long passphrase 71'

const fake = createFakeHomeserver({ serverName: 'example.test', secret: SECRET })
let synapse: Bun.Server<undefined>
let folder: Awaited<ReturnType<typeof newFolder>>
let address: Awaited<ReturnType<typeof freeAddress>>
let database: TestDatabase

beforeAll(async () => {
  synapse = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (request) => fake.fetch(request) })
  folder = await newFolder()
  address = await freeAddress()
  database = await createTestDatabase()
  await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })
})
afterAll(async () => {
  await endAll()
  await synapse.stop(true)
  await database.drop()
  await folder.remove()
})

const options = () => ({
  cwd: folder.path,
  env: {
    ...address.env,
    LATCHKEY_DATABASE__URI: database.uri,
    LATCHKEY_MATRIX__KIND: 'synapse',
    LATCHKEY_MATRIX__HOMESERVER: 'example.test',
    LATCHKEY_MATRIX__ENDPOINT: synapse.url.href,
    LATCHKEY_MATRIX__SECRET: SECRET,
  },
})
const manage = (args: string[], stdin = '') => latchkey(['manage', ...args], { ...options(), stdin })

/** Everything in the database that a command could change, the queue aside. */
async function everything(): Promise<string> {
  const { sql } = database
  const tables = await sql<{ name: string }[]>`
    select tablename as name from pg_tables where schemaname = 'latchkey' and tablename <> 'limits' order by 1`
  const rows = []
  for (const { name } of tables)
    rows.push([
      name,
      await sql`select to_jsonb(t) as row from latchkey.${sql(name)} t order by to_jsonb(t)::text`,
    ])
  return JSON.stringify(rows)
}

/** Nothing went wrong; the owner's notice is dropped, as no mail leaves here. */
const QUIET = /^(\{.*"mail\.dropped".*\}\n)*$/

describe('mas-cli manage, run as latchkey manage (reference operations 3.2)', () => {
  /** In their order: the ones that follow find what the ones before made. */
  const rows: [what: string, args: string, stdin: string, code: number, out: RegExp, err: RegExp][] = [
    [
      'register-user --yes',
      'register-user --yes alice -d Alice',
      '',
      0,
      /^Created @alice:example\.test\./,
      QUIET,
    ],
    [
      'register-user, the form of a Matrix id, several addresses, an admin',
      'register-user -y @bob:example.test -e bob@example.org -e bob@example.com -a',
      '',
      0,
      /^Created the admin @bob:example\.test\./,
      QUIET,
    ],
    [
      'register-user -A',
      'register-user -y carol -A --ignore-password-complexity',
      '',
      0,
      /^Created @carol/,
      QUIET,
    ],
    [
      'delete-user, of an active account',
      'delete-user carol --yes',
      '',
      1,
      /^$/,
      /^carol is not deactivated/,
    ],
    [
      'register-user, somebody to be deleted',
      'register-user -y erik -e erik@example.org',
      '',
      0,
      /^Created @erik/,
      QUIET,
    ],
    ['deactivate', 'deactivate erik --yes', '', 0, /^erik is deactivated/, QUIET],
    ['delete-user, without a yes', 'delete-user erik', '', 1, /^$/, /can't be undone; add --yes/],
    ['delete-user --dry-run', 'delete-user erik --dry-run', '', 0, /^Would delete erik with all/, QUIET],
    ['delete-user', 'delete-user erik --yes', '', 0, /^erik is deleted\. The name stays reserved/, QUIET],
    ['delete-user, once more', 'delete-user erik --yes', '', 1, /^$/, /^erik was deleted; the name/],
    ['an account that is deleted', 'promote-admin erik', '', 1, /^$/, /^erik was deleted; the name/],
    ['register-user, a name of the past', 'register-user -y erik', '', 1, /^$/, /^The name erik is taken/],
    ['register-user -p', 'register-user -y dora -p hunter2', '', 1, /^$/, /standard input \(stdin\)/],
    ['register-user without a name', 'register-user --yes', '', 1, /^$/, /^Name the account/],
    [
      'add-email',
      'add-email alice alice@example.org',
      '',
      0,
      /^alice has the address alice@example\.org\./,
      QUIET,
    ],
    ['add-email, once more', 'add-email alice Alice@example.org', '', 0, /^alice has the address/, QUIET],
    [
      'add-email, of another account',
      'add-email alice bob@example.org',
      '',
      1,
      /^$/,
      /belongs to another account/,
    ],
    ['add-email, nonsense', 'add-email alice nonsense', '', 1, /^$/, /is not an email address/],
    ['verify-email', 'verify-email alice alice@example.org', '', 0, /^$/, /nothing to do/],
    ['set-password <password>', 'set-password alice hunter2', '', 1, /^$/, /standard input \(stdin\)/],
    ['set-password, weak', 'set-password alice', 'alice', 1, /^$/, /too easy to guess/],
    [
      'set-password --ignore-complexity',
      'set-password --ignore-complexity alice',
      PASSWORD,
      0,
      /new password/,
      QUIET,
    ],
    ['promote-admin', 'promote-admin alice', '', 0, /^alice is an admin now\./, QUIET],
    [
      'list-admin-users',
      'list-admin-users',
      '',
      0,
      /^alice\nbob\nroot \(by policy\.data\.admin_users\)\n$/,
      QUIET,
    ],
    ['demote-admin', 'demote-admin alice', '', 0, /^alice is not an admin any more\./, QUIET],
    [
      'issue-compatibility-token <device_id>',
      'issue-compatibility-token alice BOTDEVICE1 --yes-i-want-to-grant-synapse-admin-privileges',
      '',
      0,
      /^mct_\S+\n$/,
      /device BOTDEVICE1/,
    ],
    [
      'issue-user-registration-token',
      'issue-user-registration-token',
      '',
      0,
      /^[0-9A-Za-z]{12}\n$/,
      /1 account.*for ever/,
    ],
    [
      'issue-user-registration-token --token --unlimited --expires-in',
      'issue-user-registration-token --token spring-party --unlimited --expires-in 3600',
      '',
      0,
      /^spring-party\n$/,
      /any number of accounts, until 20/,
    ],
    [
      'issue-user-registration-token, both limits',
      'issue-user-registration-token --usage-limit 2 --unlimited',
      '',
      1,
      /^$/,
      /^Choose one/,
    ],
    [
      'issue-user-registration-token, a text that is there',
      'issue-user-registration-token --token spring-party',
      '',
      1,
      /^$/,
      /already/,
    ],
    [
      'issue-user-registration-token, a text that is none',
      'issue-user-registration-token --token a/b',
      '',
      1,
      /^$/,
      /1 to 64/,
    ],
    ['provision-all-users', 'provision-all-users', '', 0, /told about 3 accounts/, QUIET],
    [
      'kill-sessions --dry-run',
      'kill-sessions alice --dry-run',
      '',
      0,
      /^Would end .* 1 app session of alice\.\n$/,
      QUIET,
    ],
    ['kill-sessions', 'kill-sessions alice', '', 0, /^Ended .* 1 app session of alice\.\n$/, QUIET],
    ['lock-user', 'lock-user alice', '', 0, /^alice is locked\./, QUIET],
    ['unlock-user', 'unlock-user alice', '', 0, /^alice is unlocked\./, QUIET],
    [
      'lock-user --deactivate',
      'lock-user carol --deactivate',
      '',
      0,
      /^carol is locked and deactivated\./,
      QUIET,
    ],
    [
      'unlock-user --reactivate',
      'unlock-user carol --reactivate',
      '',
      0,
      /^carol is unlocked and active\./,
      QUIET,
    ],
    ['an account that is not there', 'lock-user nobody', '', 1, /^$/, /^There is no account named nobody\./],
    ['no argument', 'add-email alice', '', 2, /^$/, /./],
  ]
  for (const [what, args, stdin, code, out, err] of rows)
    test(what, async () => {
      const done = await latchkey(['manage', ...args.split(' ')], {
        ...options(),
        env: { ...options().env, LATCHKEY_POLICY__DATA: '{"admin_users":["root","bob"]}' },
        stdin,
      })
      expect({ args, code: done.code, err: done.err }).toEqual({
        args,
        code,
        err: expect.stringMatching(err),
      })
      expect(done.out).toMatch(out)
      expect(done.out + done.err).not.toContain('hunter2')
    })

  test('unlock-user --reactivate clears the lock, and add-email reaches the homeserver, unlike in MAS', async () => {
    expect(fake.users.get('carol')).toMatchObject({ deactivated: false, locked: false })
    expect(fake.users.get('alice')?.emails).toEqual(['alice@example.org'])
  })
})

test('delete-user: what stays is the name, and the homeserver hears of it', async () => {
  expect(fake.users.get('erik')).toMatchObject({ deactivated: true })
  const [row] = await database.sql`select deleted_at from latchkey.users where username = 'erik'`
  expect(row?.deleted_at).toBeInstanceOf(Date)
})

describe('mas-cli server, worker and config, run as latchkey (reference operations 3)', () => {
  test('server --no-migrate --no-worker --no-sync; -c before the command', async () => {
    const server = await beginReady(
      ['-c', 'config.yaml', 'server', '--no-migrate', '--no-worker', '--no-sync'],
      options(),
    )
    expect((await fetch(new URL('/health', address.url))).status).toBe(200)
    server.kill('SIGTERM')
    expect((await server.ended).code).toBe(0)
  })

  test('without a command, with a configuration: the server', async () => {
    const server = await beginReady(['--config', 'config.yaml'], options())
    server.kill('SIGTERM')
    expect((await server.ended).code).toBe(0)
  })

  test('debug policy --with-dynamic-data: what decides, by which data; data that does not fit is named', async () => {
    const debug = (...args: string[]) => latchkey(['debug', 'policy', ...args], options())
    const none = await debug('--with-dynamic-data')
    expect(none).toMatchObject({ code: 0, err: '' })
    expect(none.out).toMatch(/^The built-in policy decides\.\nIts data: .*nothing was set at run time\./)
    const ulid = '01J44Q10GR4AMTFZEEF936DTCM'
    const set = async (data: object) => {
      await database.sql`delete from latchkey.policy_data`
      await database.sql`insert into latchkey.policy_data (id, created_at, data)
        values (${uuidFromUlid(ulid) ?? null}, now(), ${database.sql.json(data as never)})`
    }
    await set({ admin_users: ['alice'] })
    const json = JSON.parse((await debug('--with-dynamic-data', '--json')).out)
    expect(json).toMatchObject({ module: null, dynamic_data: { id: ulid }, data: { admin_users: ['alice'] } })
    expect(JSON.parse((await debug('--json')).out).data).not.toHaveProperty('admin_users')
    await set({ admin_users: 'alice' })
    const wrong = await debug('--with-dynamic-data')
    expect(wrong).toMatchObject({ code: 1, out: '' })
    expect(wrong.err).toContain('admin_users')
    expect(wrong.err).not.toMatch(/^\s+at /m)
    await database.sql`delete from latchkey.policy_data`
  })

  test('worker', async () => {
    const worker = await beginReady(['worker', '--config', 'config.yaml'], options())
    worker.kill('SIGTERM')
    expect((await worker.ended).code).toBe(0)
  })
})

describe('latchkey manage, for scripts', () => {
  test('--dry-run says what would be done and changes nothing; --json gives a record', async () => {
    const before = await everything()
    const commands: [string[], string, string?][] = [
      [['register-user', 'erin'], 'create @erin:example.test'],
      [['set-password', 'alice'], 'give alice this password', PASSWORD],
      [['lock-user', 'alice'], 'lock alice'],
      [['lock-user', 'alice', '--deactivate'], 'lock and deactivate alice'],
      [['unlock-user', 'alice', '--reactivate'], 'unlock and reactivate alice'],
      [['deactivate', 'alice'], 'deactivate alice for good'],
      [['promote-admin', 'alice'], 'make alice an admin'],
      [['demote-admin', 'bob'], 'take the admin right from bob'],
      [['add-email', 'alice', 'new@example.org'], 'give alice the address new@example.org'],
      [['remove-email', 'alice', 'alice@example.org'], 'take the address alice@example.org from alice'],
    ]
    for (const [args, would, stdin] of commands) {
      const told = await manage([...args, '--dry-run'], stdin)
      expect(told).toMatchObject({ code: 0, out: `Would ${would}.\n`, err: '' })
      const { out } = await manage([...args, '--dry-run', '--json'], stdin)
      expect(JSON.parse(out)).toMatchObject({ dry_run: true, would })
    }
    expect((await manage(['provision-all-users', '--dry-run'])).out).toMatch(
      /^Would tell the homeserver about 3 /,
    )
    expect(await everything()).toBe(before)
  })

  test('--json: what was changed, as the admin API names it', async () => {
    const locked = JSON.parse((await manage(['lock-user', 'alice', '--json'])).out)
    expect(locked).toMatchObject({ username: 'alice', admin: false, deactivated_at: null })
    expect(locked.locked_at).toMatch(/^20\d\d-/)
    expect(JSON.parse((await manage(['unlock-user', 'alice', '--json'])).out).locked_at).toBeNull()
    const created = JSON.parse(
      (await manage(['register-user', 'frank', '-e', 'f@example.org', '--json'])).out,
    )
    expect(created).toMatchObject({ mxid: '@frank:example.test', emails: ['f@example.org'], admin: false })
    expect(JSON.parse((await manage(['kill-sessions', 'frank', '--json'])).out).ended).toEqual({
      browsers: 0,
      apps: 0,
      tokens: 0,
    })
    expect(JSON.parse((await manage(['list-admin-users', '--json'])).out)).toEqual([
      { username: 'bob', locked_at: null, by_configuration: false },
    ])
  })

  test('list-users, show-user: what there is, and nothing secret', async () => {
    const lines = (await manage(['list-users'])).out.trimEnd().split('\n')
    expect(lines.map((line) => line.split('\t').slice(1, 2)[0])).toEqual(['alice', 'bob', 'carol', 'frank'])
    expect((await manage(['list-users', '--search', 'CAR'])).out).toMatch(/^\S+\tcarol\t\S+\tactive\n$/)
    expect((await manage(['list-users', '--status', 'locked'])).out).toBe('')
    const [first] = (await manage(['list-users', '--json'])).out.split('\n')
    expect(JSON.parse(first ?? '')).toMatchObject({ username: 'alice', admin: false })
    const shown = await manage(['show-user', '@bob:example.test'])
    expect(shown.out).toMatch(/^Emails +bob@example\.org, bob@example\.com$/m)
    expect(shown.out).toMatch(/^State +admin$/m)
    const record = JSON.parse((await manage(['show-user', 'alice', '--json'])).out)
    expect(Object.keys(record)).toEqual([
      'id',
      'username',
      'display_name',
      'admin',
      'created_at',
      'locked_at',
      'deactivated_at',
      'approval_requested_at',
      'mxid',
      'emails',
      'sessions',
    ])
  })

  test('registration tokens: listed and revoked', async () => {
    const listed = JSON.parse((await manage(['list-user-registration-tokens', '--json'])).out)
    const party = listed.find(({ token }: { token: string }) => token === 'spring-party')
    expect(party).toMatchObject({ valid: true, usage_limit: null, times_used: 0 })
    expect((await manage(['revoke-user-registration-token', party.id, '--dry-run'])).out).toMatch(
      /^Would revoke/,
    )
    expect((await manage(['revoke-user-registration-token', party.id])).out).toMatch(/^Revoked/)
    expect((await manage(['list-user-registration-tokens'])).out).not.toContain('spring-party')
    expect((await manage(['list-user-registration-tokens', '--all'])).out).toMatch(/spring-party\tnot valid/)
    for (const id of [party.id, 'spring-party'])
      expect(await manage(['revoke-user-registration-token', id])).toMatchObject({ code: 1, out: '' })
  })
})

describe('latchkey manage register-user --upstream-provider-mapping', () => {
  const PROVIDER = '01JDFX2V9S6QK3W4Z5Y7T8R9PA'
  const withProvider = (args: string) =>
    latchkey(['manage', 'register-user', '-y', ...args.split(' ')], {
      ...options(),
      env: {
        ...options().env,
        LATCHKEY_UPSTREAM_OAUTH2__PROVIDERS: JSON.stringify([
          {
            id: PROVIDER,
            issuer: 'https://sso.example.org',
            human_name: 'Example staff',
            client_id: 'latchkey',
            token_endpoint_auth_method: 'none',
          },
        ]),
      },
    })

  test('gives identities at providers to the account, also one that nobody has yet; a dry run changes nothing', async () => {
    expect(await withProvider(`judy -m ${PROVIDER}:j`)).toMatchObject({
      code: 1,
      err: expect.stringContaining('run: latchkey config sync'),
    })
    const id = uuidFromUlid(PROVIDER) ?? ''
    const now = new Date()
    await upsertUpstreamProvider(database.sql, {
      id,
      issuer: 'https://sso.example.org',
      humanName: 'Example staff',
      brandName: null,
      registrationTokenRequired: false,
      now,
    })
    const orphan = {
      id: newId(now, systemRandom),
      providerId: id,
      subject: 'second',
      accountName: 'judy@staff',
    }
    await meetUpstreamLink(database.sql, { ...orphan, now })
    const before = await everything()
    const dry = await withProvider(`judy -m ${PROVIDER}:a:b -m ${PROVIDER}:second --dry-run --json`)
    expect(JSON.parse(dry.out)).toMatchObject({
      identities: [
        { provider_id: PROVIDER, subject: 'a:b' },
        { provider_id: PROVIDER, subject: 'second' },
      ],
    })
    expect(await everything()).toBe(before)
    const made = await withProvider(`judy -m ${PROVIDER}:a:b -m ${PROVIDER.toLowerCase()}:second`)
    expect({ code: made.code, out: made.out }).toEqual({
      code: 0,
      out: expect.stringMatching(
        /^Created @judy:example\.test\.\nWhoever is a:b at Example staff signs in to it\.\nWhoever is second /,
      ),
    })
    // No password is missed where there is another way in.
    expect(made.out).not.toContain('set-password')
    const linked = await database.sql`
      select l.subject, l.human_account_name from latchkey.upstream_links l
      join latchkey.users u on u.id = l.user_id where u.username = 'judy' order by l.subject`
    expect([...linked]).toEqual([
      { subject: 'a:b', human_account_name: null },
      { subject: 'second', human_account_name: 'judy@staff' },
    ])
  })

  test('creates nothing with an identity of somebody else, of no provider, or that is none', async () => {
    const before = await everything()
    const rows = [
      [`ken -m ${PROVIDER}:second`, 'second at Example staff leads to another account; nothing was created.'],
      ['ken -m 01JDFX2V9S6QK3W4Z5Y7T8R9ZZ:x', 'There is no provider 01JDFX2V9S6QK3W4Z5Y7T8R9ZZ'],
    ] as const
    for (const [args, sentence] of rows)
      expect(await withProvider(args)).toMatchObject({
        code: 1,
        out: '',
        err: expect.stringContaining(sentence),
      })
    for (const text of ['elsewhere:x', PROVIDER, `${PROVIDER}:`, `${PROVIDER}:${'x'.repeat(1001)}`])
      expect(() => readMapping(text)).toThrow('is not the id of a provider and a subject')
    expect(await everything()).toBe(before)
  })
})

describe('latchkey manage register-user, in a terminal', () => {
  /** Runs a command in a terminal and types an answer at each question. */
  function inTerminal(command: string, answers: [question: string, answer: string][]) {
    const child = spawn('script', ['-qec', `${process.execPath} ${MAIN} ${command}`, '/dev/null'], {
      cwd: folder.path,
      env: { PATH: process.env.PATH ?? '', HOME: folder.path, ...options().env },
    })
    const left = [...answers]
    let seen = ''
    let all = ''
    child.stdout.on('data', (chunk) => {
      seen += String(chunk)
      all += String(chunk)
      const [next] = left
      if (!next || !seen.includes(next[0])) return
      left.shift()
      seen = ''
      // A moment later, as a person does: the terminal is put into its mode for passwords after the question.
      setTimeout(() => child.stdin.write(`${next[1]}\r`), 150)
    })
    return new Promise<{ code: number | null; all: string; left: number }>((resolve) =>
      child.on('close', (code) => resolve({ code, all, left: left.length })),
    )
  }

  test('asks for what was not said, again where it can not be, and for a yes; the password is not shown', async () => {
    const done = await inTerminal('manage register-user', [
      ['Username: ', 'alice'],
      ['Username: ', 'grace'],
      ['Display name', 'Grace'],
      ['Email address', 'nonsense'],
      ['Email address', 'grace@example.org'],
      ['New password: ', PASSWORD],
      ['The same again: ', PASSWORD],
      ['an admin? [y/N] ', ''],
      ['Create it? [y/N] ', 'y'],
    ])
    expect(done).toMatchObject({ code: 0, left: 0 })
    expect(done.all).toContain('Created @grace:example.test.')
    expect(done.all).not.toContain(PASSWORD)
    expect(fake.users.get('grace')).toMatchObject({ displayName: 'Grace', emails: ['grace@example.org'] })
    const server = await beginReady(['server', '--no-worker'], options())
    const browser = createBrowser((request) => fetch(request, { redirect: 'manual' }), {
      origin: new URL(address.url).origin,
    })
    const page = await (await browser.open('/login')).submit({ username: 'grace', password: PASSWORD })
    expect(page.url.pathname).not.toBe('/login')
    server.kill('SIGTERM')
    await server.ended
  })

  test('no yes, no account', async () => {
    const done = await inTerminal('manage register-user heidi --display-name H --email h@example.org -A', [
      ['New password: ', ''],
      ['The same again: ', ''],
      ['Create it? [y/N] ', 'n'],
    ])
    expect(done).toMatchObject({ code: 1, left: 0 })
    expect(done.all).toContain('Nothing was created.')
    expect(fake.users.has('heidi')).toBe(false)
  })
})

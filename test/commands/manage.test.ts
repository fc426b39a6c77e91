import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ulidFromUuid } from '../../src/lib/ulid.ts'
import { createBrowser } from '../support/browser.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createFakeHomeserver } from '../support/fake-homeserver.ts'
import { beginReady, endAll, freeAddress, latchkey, newFolder } from './support.ts'

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
  // Without a worker: what the homeserver hears of here, the commands told it.
  await beginReady(['server', '--no-worker'], options())
}, 180_000)

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
    LATCHKEY_RATE_LIMITING__LOGIN__PER_IP: JSON.stringify({ burst: 1000, per_second: 100 }),
  },
})

const manage = (args: string[], stdin = '') => latchkey(['manage', ...args], { ...options(), stdin })

/** Signs in on the page; gives where that led. */
async function signIn(username: string, password: string): Promise<string> {
  const browser = createBrowser((request) => fetch(request, { redirect: 'manual' }), {
    origin: new URL(address.url).origin,
  })
  const page = await browser.open('/login')
  return (await page.submit({ username, password })).url.pathname
}

describe('latchkey manage register-user', () => {
  test('creates an account that can sign in, and tells the homeserver', async () => {
    const args = [
      'register-user',
      '@alice:example.test',
      '--password-stdin',
      '-e',
      'alice@example.org',
      '-d',
      'Alice',
    ]
    const { code, out, err } = await manage(args, `${PASSWORD}\n`)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('Created @alice:example.test.')
    expect(fake.users.get('alice')).toMatchObject({ displayName: 'Alice', emails: ['alice@example.org'] })
    expect(await signIn('alice', PASSWORD)).not.toBe('/login')
    expect(await signIn('alice', 'another passphrase 9')).toBe('/login')
    expect((await manage(['list-admin-users'])).out).toBe('')
  }, 180_000)

  test('refuses names that are taken here or there, that the policy forbids, and addresses of others', async () => {
    fake.exclusive.add('bridge')
    const refused: [string[], RegExp][] = [
      [['alice'], /^The name alice is taken/],
      [['bridge'], /^The name bridge is taken/],
      [['Carol'], /only a to z/],
      [['12345'], /besides digits/],
      [['carol', '-e', 'Alice@Example.org'], /^The address Alice@Example.org belongs to another account/],
      [['carol', '-e', 'nowhere'], /^nowhere is not an email address/],
      [['carol', '-m', '01ABC:carol'], /is not the id of a provider and a subject there/],
    ]
    for (const [args, sentence] of refused) {
      const { code, out, err } = await manage(['register-user', ...args])
      expect({ args, code, out }).toEqual({ args, code: 1, out: '' })
      expect(err).toMatch(sentence)
    }
    const [row] = await database.sql`select count(*)::int as count from latchkey.users`
    expect(row?.count).toBe(1)
    expect(fake.users.has('carol')).toBe(false)
  }, 180_000)

  test('a homeserver that is away: nothing is created, and it says what to do', async () => {
    fake.nonsense = true
    const { code, err } = await manage(['register-user', 'dora'])
    fake.nonsense = false
    expect(code).toBe(1)
    expect(err).toMatch(
      /could not be asked whether dora is free \(.*not a homeserver's\); mend that, and try again/,
    )
  }, 180_000)

  test('a weak password and one on the command line are refused', async () => {
    const weak = await manage(['register-user', 'erin', '--password-stdin'], 'erin123')
    expect(weak.code).toBe(1)
    expect(weak.err).toMatch(/too easy to guess \(\d of 4, .*--ignore-password-complexity/)
    const argument = await manage(['register-user', 'erin', '--password', 'hunter2'])
    expect(argument.code).toBe(1)
    expect(argument.err).toMatch(/standard input \(stdin\).*--password-stdin/)
    const ignored = await manage(
      ['register-user', 'erin', '--password-stdin', '--ignore-password-complexity'],
      'erin123',
    )
    expect(ignored.code).toBe(0)
    expect(await signIn('erin', 'erin123')).not.toBe('/login')
  }, 180_000)
})

describe('latchkey manage, on an account', () => {
  test('set-password: from standard input, with the rules of the server, never as an argument', async () => {
    const argument = await manage(['set-password', 'alice', 'secret-argument'])
    expect(argument).toMatchObject({ code: 1, out: '' })
    expect(argument.err).toMatch(/standard input \(stdin\)/)
    expect(argument.err).not.toContain('secret-argument')
    expect((await manage(['set-password', 'alice'], 'alice')).err).toMatch(/too easy to guess/)
    expect((await manage(['set-password', 'alice'], '')).err).toMatch(/^The password is empty/)
    const next = 'quite another passphrase 42'
    expect((await manage(['set-password', 'alice'], next)).code).toBe(0)
    expect(await signIn('alice', PASSWORD)).toBe('/login')
    expect(await signIn('alice', next)).not.toBe('/login')
    expect((await manage(['set-password', 'alice', '--ignore-complexity'], PASSWORD)).code).toBe(0)
    expect(await signIn('alice', PASSWORD)).not.toBe('/login')
  }, 180_000)

  test('lock-user and unlock-user: the homeserver hears of both', async () => {
    expect((await manage(['lock-user', 'alice'])).out).toMatch(/^alice is locked/)
    expect(fake.users.get('alice')?.locked).toBe(true)
    expect((await manage(['unlock-user', '@alice:example.test'])).out).toMatch(/^alice is unlocked/)
    expect(fake.users.get('alice')?.locked).toBe(false)
  }, 180_000)

  test('unlock-user --reactivate: an account that was locked and deactivated is back, at the homeserver too', async () => {
    expect((await manage(['register-user', 'frank', '--password-stdin'], PASSWORD)).code).toBe(0)
    expect((await manage(['lock-user', 'frank', '--deactivate'])).out).toMatch(/^frank is locked and deact/)
    expect(fake.users.get('frank')).toMatchObject({ deactivated: true })
    expect((await manage(['unlock-user', 'frank'])).out).toMatch(/stays deactivated; --reactivate/)
    expect(await manage(['unlock-user', 'frank', '--reactivate'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^frank is unlocked and active.*set-password frank$/m),
    })
    expect(fake.users.get('frank')).toMatchObject({ deactivated: false, locked: false })
    expect(await signIn('frank', PASSWORD)).toBe('/login')
    await manage(['set-password', 'frank', '--ignore-complexity'], PASSWORD)
    expect(await signIn('frank', PASSWORD)).not.toBe('/login')
  }, 180_000)

  test('kill-sessions: --dry-run counts, without it they end and devices go', async () => {
    await signIn('erin', 'erin123')
    const dry = await manage(['kill-sessions', 'erin', '--dry-run'])
    expect(dry.out).toMatch(/^Would end 2 browser sessions and 0 app sessions of erin/)
    const before = fake.callsOf('sync_devices').length
    const done = await manage(['kill-sessions', 'erin'])
    expect(done.out).toMatch(/^Ended 2 browser sessions and 0 app sessions of erin/)
    expect(fake.callsOf('sync_devices').length).toBe(before + 1)
    expect((await manage(['kill-sessions', 'erin', '--dry-run'])).out).toMatch(/^Would end 0 browser/)
  }, 180_000)

  test('an account is also found by its user_id of the log', async () => {
    const [row] = await database.sql`select id::text as id from latchkey.users where username = 'erin'`
    const ulid = ulidFromUuid(String(row?.id))
    expect((await manage(['kill-sessions', ulid, '--dry-run'])).out).toMatch(/ of erin\.$/m)
    expect((await manage(['kill-sessions', ulid.toLowerCase(), '--dry-run'])).code).toBe(1)
  }, 180_000)

  test('personal tokens: issued, listed, replaced and revoked; the token is alone on standard output', async () => {
    const issued = await manage(['issue-personal-token', 'erin', '--name', 'Reminders'])
    expect(issued.code).toBe(0)
    expect(issued.out).toMatch(/^mpt_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}\n$/)
    expect(issued.err).toMatch(/acts as erin, device [A-Z]{10}, until it is revoked/)
    const [listed] = JSON.parse((await manage(['list-personal-tokens', 'erin', '--json'])).out)
    expect(listed).toMatchObject({
      human_name: 'Reminders',
      username: 'erin',
      owner_username: 'erin',
      expires_at: null,
    })
    expect(Object.keys(listed)).not.toContain('token')
    expect(fake.devicesOf('erin')).toEqual([listed.device_id])

    const next = await manage(['regenerate-personal-token', listed.id, '--expires-in', '3600', '--json'])
    const replaced = JSON.parse(next.out)
    expect(replaced).toMatchObject({ id: listed.id, token: expect.stringMatching(/^mpt_/) })
    expect(`${replaced.token}\n`).not.toBe(issued.out)
    expect((await manage(['list-personal-tokens', 'erin'])).out).toBe(
      `${[listed.id, 'Reminders', 'as erin', `until ${replaced.expires_at}`, 'not used yet', listed.scope].join('\t')}\n`,
    )
    expect((await manage(['kill-sessions', 'erin', '--dry-run'])).out).toMatch(
      / and 1 personal token of erin/,
    )

    expect((await manage(['revoke-personal-token', listed.id])).out).toBe('Revoked Reminders of erin.\n')
    expect(fake.devicesOf('erin')).toEqual([])
    expect(await manage(['list-personal-tokens', 'erin'])).toEqual({
      code: 0,
      out: '',
      err: 'erin has no personal tokens.\n',
    })
  }, 180_000)

  test('personal tokens: what cannot be', async () => {
    const refused: [string[], RegExp][] = [
      [['issue-personal-token', 'erin', '--scope', 'a"b'], /not a list of scopes/],
      [['issue-personal-token', 'erin', '--name', ' '], /1 to 100 characters/],
      [
        ['issue-personal-token', 'erin', '--scope', 'openid', '--device-id', 'BOT'],
        /needs the Matrix API scope/,
      ],
      [['regenerate-personal-token', '01KAV4M7C0X9T8Z6Y5W3V2S1R0'], /no personal token with the id/],
      [['revoke-personal-token', 'mpt_of_somebody'], /no personal token with the id/],
    ]
    for (const [args, sentence] of refused) {
      const { code, out, err } = await manage(args)
      expect({ args, code, out }).toEqual({ args, code: 1, out: '' })
      expect(err).toMatch(sentence)
    }
    expect((await manage(['issue-personal-token', 'erin', '--expires-in', '-5'])).code).toBe(2)
    fake.failOnce('upsert_device')
    const away = await manage(['issue-personal-token', 'erin'])
    expect(away).toMatchObject({ code: 1, out: '' })
    expect(away.err).toMatch(/could not be told of the device .*so there is no token/)
  }, 180_000)

  test('provision-all-users: the homeserver hears of everybody again', async () => {
    fake.users.delete('alice')
    expect((await manage(['provision-all-users'])).code).toBe(0)
    expect(fake.users.has('alice')).toBe(true)
  }, 180_000)

  test('check-homeserver: says what it found, and has repaired it; one that is away is no success', async () => {
    fake.users.delete('alice')
    const checked = await manage(['check-homeserver'])
    expect(checked).toMatchObject({ code: 0, out: expect.stringMatching(/^people: \d+\nunknown_there: 1$/m) })
    expect(fake.users.has('alice')).toBe(true)
    fake.nonsense = true
    const away = await manage(['check-homeserver'])
    fake.nonsense = false
    expect(away).toMatchObject({ code: 1, out: '' })
    expect(away.err).toMatch(/not a homeserver/)
  }, 180_000)

  test('issue-compatibility-token: the arguments of MAS; the token never runs out', async () => {
    const argued = await manage(['issue-compatibility-token', 'erin', 'OLDBOTDEVI'])
    expect(argued).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^mct_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}\n$/),
    })
    expect(argued.err).toMatch(/acts as erin, device OLDBOTDEVI/)
    const flagged = await manage([
      'issue-compatibility-token',
      'erin',
      '--device-id',
      'ADMINBOTDE',
      '--yes-i-want-to-grant-synapse-admin-privileges',
      '--json',
    ])
    const { access_token: token, device_id: device, expires_in_ms: end } = JSON.parse(flagged.out)
    expect([device, end]).toEqual(['ADMINBOTDE', undefined])
    const described = await fetch(new URL('/oauth2/introspect', address.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token }).toString(),
    })
    expect(await described.json()).toMatchObject({
      active: true,
      username: 'erin',
      device_id: 'ADMINBOTDE',
      scope: expect.stringContaining('urn:synapse:admin:*'),
    })
    expect(fake.devicesOf('erin')).toEqual(['ADMINBOTDE', 'OLDBOTDEVI'])
    for (const args of [
      ['erin', 'A', '--device-id', 'B'],
      ['erin', 'a b'],
    ])
      expect((await manage(['issue-compatibility-token', ...args])).code).toBe(1)
    await manage(['lock-user', 'erin'])
    const locked = await manage(['issue-compatibility-token', 'erin'])
    expect([locked.code, locked.out]).toEqual([1, ''])
    expect(locked.err).toMatch(/locked or deactivated/)
    await manage(['unlock-user', 'erin'])
  }, 180_000)

  test('set-password --kill-sessions ends every session with the old password', async () => {
    const done = await manage(['set-password', 'erin', '--ignore-complexity', '--kill-sessions'], 'erin123')
    expect(done.out).toMatch(/^erin has a new password. Ended \d+ browser sessions? and 2 app sessions\.$/m)
    expect(fake.devicesOf('erin')).toEqual([])
  }, 180_000)

  test('promote-admin, demote-admin, list-admin-users', async () => {
    expect((await manage(['promote-admin', 'erin'])).code).toBe(0)
    expect((await manage(['list-admin-users'])).out).toBe('erin\n')
    expect((await manage(['demote-admin', 'erin'])).code).toBe(0)
    expect((await manage(['list-admin-users'])).out).toBe('')
  }, 180_000)

  test('deactivate: only with --yes where nobody can be asked; the homeserver erases; the name stays taken', async () => {
    const asked = await manage(['deactivate', 'erin', '--erase'])
    expect(asked).toMatchObject({ code: 1, out: '' })
    expect(asked.err).toMatch(/can't be undone; add --yes/)
    expect((await manage(['deactivate', 'erin', '--erase', '--yes'])).code).toBe(0)
    expect(fake.users.get('erin')).toMatchObject({ deactivated: true, erased: true })
    expect(await signIn('erin', 'erin123')).toBe('/login')
    expect((await manage(['register-user', 'erin'])).err).toMatch(/taken/)
  }, 180_000)

  test('an account that is not there', async () => {
    for (const command of [
      'set-password',
      'lock-user',
      'unlock-user',
      'deactivate',
      'kill-sessions',
      'promote-admin',
      'issue-personal-token',
      'list-personal-tokens',
      'issue-compatibility-token',
    ]) {
      const { code, out, err } = await manage([command, 'nobody'])
      expect({ command, code, out, err }).toEqual({
        command,
        code: 1,
        out: '',
        err: 'There is no account named nobody.\n',
      })
    }
  }, 180_000)
})

describe('latchkey manage list-approvals, approve-user, reject-user', () => {
  test('list who waits, let them in or send them away, and say so for who does not wait', async () => {
    for (const [at, name] of ['waiting1', 'waiting2'].entries())
      await database.sql`insert into latchkey.users (id, username, username_folded, created_at, locked_at,
        approval_requested_at) values (${`01900000-0000-7000-8000-00000000000${at}`}, ${name}, ${name}, now(), now(), now())`
    const listed = await manage(['list-approvals'])
    expect(listed.out.split('\n').map((line) => line.split('\t')[1])).toEqual(['waiting1', 'waiting2'])
    expect(listed.err).toContain('2 accounts waiting.')
    const unlock = await manage(['unlock-user', 'waiting1'])
    expect([unlock.code, unlock.err.includes('manage approve-user waiting1')]).toEqual([1, true])
    expect((await manage(['reject-user', 'waiting2', '--dry-run'])).out).toContain('Would reject and delete')
    expect((await manage(['approve-user', 'waiting1'])).out).toContain('waiting1 is approved')
    expect(fake.users.has('waiting1')).toBe(true)
    expect((await manage(['reject-user', 'waiting2'])).out).toContain('the name is free')
    expect(fake.users.has('waiting2')).toBe(false)
    const none = await manage(['approve-user', 'waiting1'])
    expect([none.code, none.err.includes('does not wait for approval')]).toEqual([1, true])
    expect((await manage(['list-approvals', '--json'])).out).toBe('')
  }, 180_000)
})

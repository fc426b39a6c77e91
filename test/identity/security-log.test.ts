import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { setPreferences } from '../../sql/preferences.ts'
import { insertEmail, insertUser } from '../../sql/users.ts'
import { setAdminRight } from '../../src/identity/admin-right.ts'
import { deactivate, killSessions, lock, setPassword, unlock } from '../../src/identity/lifecycle.ts'
import { issueRecoveryLink } from '../../src/identity/recovery.ts'
import { listSecurityEvents, recordSecurityEvent } from '../../src/identity/security-log.ts'
import { startSession } from '../../src/identity/sessions.ts'
import { transact } from '../../src/lib/transact.ts'
import { newId, uuidFromUlid } from '../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'
import { signUp } from '../support/oauth.ts'
import { createWorld, present, seedSession, type World } from '../support/world.ts'

let server: MailServer
let harness: Harness
beforeAll(async () => {
  server = await startMailServer()
  harness = await createHarness({ config: { email: mailConfig(server) } })
})
afterAll(async () => {
  await harness.close()
  await server.close()
})
beforeEach(() => {
  server.mails.length = 0
})

let people = 0
/** A person with an address. */
async function person(): Promise<{ userId: string; address: string }> {
  const { sql, clock, random } = harness.deps
  const [now, username] = [clock.now(), `person${++people}`]
  const [userId, address] = [newId(now, random), `${username}@example.test`]
  await insertUser(sql, { id: userId, username, folded: username, displayName: null, isAdmin: false, now })
  await insertEmail(sql, { id: newId(now, random), userId, email: address, folded: address, now })
  return { userId, address }
}
const events = (userId: string) => listSecurityEvents(harness.deps, userId, { limit: 10 })
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

describe('what happens to an account is in its log, and its owner gets a mail', () => {
  // What is done a second time is no event, but for sessions that began in between.
  const actions: [string, (userId: string) => Promise<unknown>, string][] = [
    ['locked', (id) => lock(harness.deps, id), 'Account locked'],
    [
      'unlocked',
      async (id) => {
        await harness.database.sql`update latchkey.users set locked_at = now() where id = ${id}`
        await unlock(harness.deps, id)
      },
      'Account unlocked',
    ],
    [
      'sessions_ended',
      async (id) => {
        await startSession(
          harness.deps,
          harness.deps.sql,
          id,
          { ip: undefined, userAgent: undefined },
          'password',
        )
        await killSessions(harness.deps, id)
      },
      'Signed out everywhere',
    ],
    [
      'password_changed',
      (id) => setPassword(harness.deps, id, { version: 1, hash: 'x' }),
      'Password changed',
    ],
    ['recovery_link_issued', (id) => issueRecoveryLink(harness.deps, id), 'Link to a new password made'],
    ['admin_given', (id) => setAdminRight(harness.deps, id, true), 'Made an admin'],
    [
      'admin_taken',
      async (id) => {
        await harness.database.sql`update latchkey.users set is_admin = true where id = ${id}`
        await setAdminRight(harness.deps, id, false)
      },
      'No admin any more',
    ],
    ['deactivated', (id) => deactivate(harness.deps, id, false), 'Account deactivated'],
  ]
  test.each(actions)('%s by an admin', async (kind, act, subject) => {
    const { userId, address } = await person()
    await act(userId)
    expect(await events(userId)).toMatchObject([{ kind, actor: 'admin', at: harness.clock.now() }])
    await harness.runJobs()
    const mail = server.last(address)
    expect(server.mails).toHaveLength(1)
    expect(mail.subject).toBe(subject)
    expect(mail.text).toContain('November 24, 2026 at 12:00')
    expect(mail.text).toContain('UTC')
    expect(mail.text).toContain('Ask the people who run example.test')
    const before = (await events(userId)).length
    const again = !['password_changed', 'unlocked', 'recovery_link_issued', 'admin_taken'].includes(kind)
    if (again) await act(userId).catch(() => {})
    const ended = kind === 'sessions_ended' ? 1 : 0
    expect((await events(userId)).length).toBe(before + ended)
    await harness.runJobs()
  })

  test('by the owner: the mail says when, with what and from where, and what to do', async () => {
    const { userId, address } = await person()
    const requester = { ip: '192.0.2.7', userAgent: FIREFOX, acceptLanguage: 'de-AT,en;q=0.5' }
    await setPassword(harness.deps, userId, { version: 1, hash: 'x' }, { actor: 'self', requester })
    expect(await events(userId)).toMatchObject([
      { kind: 'password_changed', actor: 'self', ip: '192.0.2.7', device: 'Firefox, Linux' },
    ])
    await harness.runJobs()
    const { subject, text } = server.last(address)
    expect(subject).toBe('Passwort geändert')
    for (const part of ['24. November 2026', 'Firefox, Linux', '192.0.2.7', 'http://auth.test/account/'])
      expect(text).toContain(part)
  })
})

test('the mail tells the time in the zone of the account, in its language', async () => {
  const { userId, address } = await person()
  await setPreferences(harness.deps.sql, userId, { locale: 'de', timeZone: 'Asia/Kolkata' })
  await setPassword(harness.deps, userId, { version: 1, hash: 'x' }, { actor: 'self' })
  await harness.runJobs()
  const { subject, text, html } = server.last(address)
  expect(subject).toBe('Passwort geändert')
  const there = harness.clock.now().toLocaleTimeString('de', { timeZone: 'Asia/Kolkata', timeStyle: 'short' })
  for (const part of [text, html]) expect(part).toContain(there)
  for (const part of [text, html]) expect(part).not.toContain('UTC')
})

test('an address that was removed is told too, each address in a mail of its own', async () => {
  const { userId, address } = await person()
  await transact(harness.deps.sql, (tx) =>
    recordSecurityEvent(harness.deps, tx, {
      userId,
      kind: 'email_removed',
      details: { email: 'old@example.test' },
      alsoTo: 'old@example.test',
    }),
  )
  await harness.runJobs()
  expect(server.mails.map(({ to }) => to).sort()).toEqual([['old@example.test'], [address]])
})

test('an account without an address has a log, and nobody gets a mail', async () => {
  await signUp(harness.browser({ 'user-agent': FIREFOX }), 'nomail')
  const [user] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.users where username = 'nomail'`
  harness.clock.advance(1)
  await lock(harness.deps, user?.id ?? '')
  expect((await events(user?.id ?? '')).map(({ kind }) => kind)).toEqual(['locked', 'signed_up'])
  await harness.runJobs()
  expect(server.mails).toEqual([])
})

test('what is rolled back is neither in the log nor in a mail', async () => {
  const { userId } = await person()
  const attempt = transact(harness.deps.sql, async (tx) => {
    await recordSecurityEvent(harness.deps, tx, { userId, kind: 'locked' })
    throw new TypeError('no')
  })
  await expect(attempt).rejects.toThrow(TypeError)
  await harness.runJobs()
  expect(await events(userId)).toEqual([])
  expect(server.mails).toEqual([])
})

test('listSecurityEvents: newest first, page by page, of one account only', async () => {
  const { userId } = await person()
  const other = await person()
  for (const kind of ['signed_in', 'session_ended', 'signed_in'] as const) {
    harness.clock.advance(60)
    for (const id of [userId, other.userId])
      await transact(harness.deps.sql, (tx) => recordSecurityEvent(harness.deps, tx, { userId: id, kind }))
  }
  const first = await listSecurityEvents(harness.deps, userId, { limit: 2 })
  expect(first.map(({ kind }) => kind)).toEqual(['signed_in', 'session_ended'])
  const before = uuidFromUlid(first[1]?.id ?? '') ?? ''
  expect(await listSecurityEvents(harness.deps, userId, { limit: 2, before })).toHaveLength(1)
})

test('a refresh token that was used before: a warning in the log, and one mail a day (decision 7)', async () => {
  const world: World = await createWorld({ email: mailConfig(server) })
  try {
    const [one] = world.processes
    const { userId, pair } = await seedSession(world)
    const { sql, clock, random } = world.harness.deps
    const row = { id: newId(clock.now(), random), userId, email: 'w@example.test', folded: 'w@example.test' }
    await insertEmail(sql, { ...row, now: clock.now() })
    const next = await present(world, one, pair.refresh)
    await present(world, one, next.pair?.refresh ?? '')
    for (let times = 0; times < 3; times++)
      expect(await present(world, one, pair.refresh)).toMatchObject({ status: 400, error: 'invalid_grant' })
    await world.harness.runJobs()
    expect(server.mails.map(({ subject }) => subject)).toEqual(['An old sign-in was used again'])
    const logged = await listSecurityEvents(world.harness.deps, userId, { limit: 10 })
    expect(logged).toMatchObject([
      { kind: 'refresh_token_reused', actor: 'system', details: { session_ended: 'false' } },
    ])
    expect(JSON.stringify(logged)).not.toContain(pair.refresh)
  } finally {
    await world.close()
  }
})

test('a User-Agent that is a text for somebody else does not stand in a mail', async () => {
  const { userId, address } = await person()
  const userAgent = 'Prize/1 (Claim your prize at https://evil.test now; iPhone; x)'
  await setPassword(
    harness.deps,
    userId,
    { version: 1, hash: 'x' },
    { actor: 'self', requester: { ip: undefined, userAgent } },
  )
  await harness.runJobs()
  const { raw, text } = server.last(address)
  expect(raw).not.toMatch(/prize|evil/i)
  expect(text).toContain('Device: iOS')
})

test('an access token that is made, replaced or revoked stands in the log of the account that it acts as', async () => {
  const browser = harness.browser({ 'user-agent': FIREFOX })
  await signUp(browser, 'tokenmaker')
  const [user] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.users where username = 'tokenmaker'`
  const userId = user?.id ?? ''
  harness.clock.advance(1)
  const form = await browser.open('/account/tokens/new')
  const fields = { token_name: 'Reminders', scope_matrix_api: '1', expires: '30' }
  const made = await form.submit(fields, { action: 'tokens/new' })
  const token = /mpt_\w+/.exec(made.text)?.[0] ?? 'none'
  harness.clock.advance(1)
  const [path = ''] =
    /\/account\/tokens\/\w+\/revoke/.exec((await browser.open('/account/tokens')).text) ?? []
  await (await browser.open(path)).submit({}, { action: '/revoke' })
  const logged = await events(userId)
  expect(logged.slice(0, 2)).toMatchObject([
    { kind: 'personal_token_revoked', actor: 'self', details: { name: 'Reminders' } },
    {
      kind: 'personal_token_created',
      actor: 'self',
      device: 'Firefox, Linux',
      details: { name: 'Reminders' },
    },
  ])
  expect(JSON.stringify(logged)).not.toContain(token)
})

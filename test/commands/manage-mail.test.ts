import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type MailServer, startMailServer } from '../support/mail-server.ts'
import { endAll, latchkey, newFolder } from './support.ts'

let refuses = false
let server: MailServer
let folder: Awaited<ReturnType<typeof newFolder>>
let database: TestDatabase
beforeAll(async () => {
  server = await startMailServer({
    onRcptTo: (_address, _session, done) =>
      done(refuses ? Object.assign(new Error('no such mailbox'), { responseCode: 550 }) : null),
  })
  folder = await newFolder()
  database = await createTestDatabase()
  await latchkey(['config', 'generate', '-o', 'config.yaml'], { cwd: folder.path })
}, 180_000)
afterAll(async () => {
  await endAll()
  await database.drop()
  await server.close()
  await folder.remove()
})

const manage = (args: string[], env: Record<string, string> = {}) =>
  latchkey(['manage', ...args], {
    cwd: folder.path,
    env: {
      LATCHKEY_DATABASE__URI: database.uri,
      LATCHKEY_EMAIL__TRANSPORT: 'smtp',
      LATCHKEY_EMAIL__MODE: 'plain',
      LATCHKEY_EMAIL__HOSTNAME: '127.0.0.1',
      LATCHKEY_EMAIL__PORT: String(server.port),
      ...env,
    },
  })

test('latchkey manage send-test-mail: sends one, or says why not', async () => {
  const sent = await manage(['send-test-mail', 'admin@example.test'])
  expect([sent.code, sent.err]).toEqual([0, ''])
  expect(server.last('admin@example.test').subject).toBe('Mail works')
  refuses = true
  const refused = await manage(['send-test-mail', 'admin@example.test'])
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('no such mailbox')])
  refuses = false
  const address = await manage(['send-test-mail', 'a@b, c@d'])
  expect([address.code, address.err]).toEqual([1, 'a@b, c@d is not an email address.\n'])
  const hole = await manage(['send-test-mail', 'admin@example.test'], {
    LATCHKEY_EMAIL__TRANSPORT: 'blackhole',
  })
  expect([hole.code, hole.err]).toEqual([1, expect.stringContaining('blackhole')])
}, 180_000)

test('latchkey manage list-undelivered-mail, retry-mail: shows what the mail server refused, and sends it later', async () => {
  await manage(['register-user', 'alice', '-e', 'alice@example.test'])
  refuses = true
  await manage(['lock-user', 'alice'])
  const list = await manage(['list-undelivered-mail'])
  expect(list.out).toMatch(
    /^[0-9A-Z]{26} security_notice to alice@example\.test: given up after 1 attempt: .*no such mailbox\n$/,
  )
  const again = await manage(['retry-mail'])
  expect([again.code, again.out]).toEqual([0, 'Sent 0 of 1.\n'])
  refuses = false
  const id = list.out.slice(0, 26)
  const one = await manage(['retry-mail', id])
  expect([one.code, one.out]).toEqual([0, 'Sent 1 of 1.\n'])
  expect(server.last('alice@example.test').subject).toBe('Account locked')
  expect((await manage(['list-undelivered-mail'])).out).toBe('')
  expect((await manage(['retry-mail', id])).code).toBe(1)
  expect((await manage(['retry-mail', 'x'])).code).toBe(1)
}, 180_000)

test('latchkey manage add-email, remove-email: without a code; the owner hears of it', async () => {
  await manage(['register-user', 'bob', '-e', 'bob@example.test'])
  expect((await manage(['add-email', 'bob', 'second@example.test'])).out).toBe(
    'bob has the address second@example.test.\n',
  )
  expect(server.last('bob@example.test').subject).toBe('Email address added')
  const taken = await manage(['add-email', 'alice', 'SECOND@example.test'])
  expect([taken.code, taken.err]).toEqual([1, expect.stringContaining('belongs to another account')])
  expect((await manage(['add-email', 'bob', 'nowhere'])).code).toBe(1)
  expect((await manage(['remove-email', 'bob', 'bob@example.test'])).code).toBe(0)
  expect(server.last('bob@example.test').subject).toBe('Email address removed')
  expect(server.last('second@example.test').subject).toBe('Email address removed')
  expect((await manage(['remove-email', 'bob', 'bob@example.test'])).code).toBe(1)
}, 180_000)

test('latchkey manage issue-recovery-link: prints a link and tells the owner; not for a locked account', async () => {
  const { code, out } = await manage(['issue-recovery-link', 'bob'])
  expect([code, out]).toEqual([
    0,
    expect.stringMatching(/^http:\/\/localhost:8080\/account\/password\/recovery\?ticket=\w{32}\n$/),
  ])
  expect(server.last('second@example.test').subject).toBe('Link to a new password made')
  await manage(['lock-user', 'bob'])
  const locked = await manage(['issue-recovery-link', 'bob'])
  expect([locked.code, locked.out]).toEqual([1, ''])
}, 180_000)

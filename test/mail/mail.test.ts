import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { queueMail } from '../../src/identity/mails.ts'
import { addSeconds } from '../../src/lib/clock.ts'
import { transact } from '../../src/lib/transact.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'

let answer: { responseCode: number } | undefined
let server: MailServer
let harness: Harness
beforeAll(async () => {
  server = await startMailServer({
    onRcptTo: ({ address }, _session, done) =>
      done(answer && Object.assign(new Error(`not for ${address}`), answer)),
  })
  harness = await createHarness({ config: { email: mailConfig(server) } })
})
afterAll(async () => {
  await harness.close()
  await server.close()
})
beforeEach(() => {
  answer = undefined
  server.mails.length = 0
  harness.logged.length = 0
})
afterEach(async () => {
  await harness.database.sql`delete from latchkey.mails`
  await harness.database.sql`delete from latchkey_jobs.job`
})

const CONTENT = {
  to: { address: 'alice@example.test', name: 'alice' },
  lang: 'en',
  context: {
    event: 'email_added',
    username: 'alice',
    mxid: '@alice:example.test',
    at: '2026-11-24T12:00:00.000Z',
    by_admin: false,
    email: 'a-new-address@example.test',
    name: '',
  },
}
const queue = (expiresAt: Date | null = null) =>
  transact(harness.deps.sql, (tx) => queueMail(harness.deps, tx, 'security_notice', CONTENT, expiresAt))
const stored = () =>
  harness.database.sql<
    { sealed_content: string; attempts: number; failure: string | null; given_up_at: Date | null }[]
  >`select sealed_content, attempts, failure, given_up_at from latchkey.mails`
const jobs = () => harness.database.sql`select data, state, output from latchkey_jobs.job`
/** Makes what waits for its next attempt due now. */
const retryNow = async () => {
  await harness.database.sql`update latchkey_jobs.job set start_after = now() where state = 'retry'`
  await harness.runJobs()
}
const events = () => harness.logged.map(({ event }) => event).filter((event) => event.startsWith('mail.'))

test('send-mail: the mail arrives once, and nothing of it stays', async () => {
  await queue()
  await harness.runJobs()
  expect(server.last('alice@example.test').text).toContain('a-new-address@example.test')
  expect(await stored()).toHaveLength(0)
  await harness.runJobs()
  expect(server.mails).toHaveLength(1)
  expect(events()).toEqual(['mail.sent'])
})

test('queueMail: the outbox, the queue and the log hold neither the address nor the contents in clear', async () => {
  await queue()
  const [mail] = await stored()
  const everything = JSON.stringify([mail, [...(await jobs())], harness.logged])
  expect(everything).not.toContain('alice')
  expect(everything).not.toContain('a-new-address')
  await harness.runJobs()
  expect(JSON.stringify([[...(await jobs())], harness.logged])).not.toMatch(/alice|a-new-address/)
})

test('queueMail: a transaction that rolls back sends nothing', async () => {
  const attempt = transact(harness.deps.sql, async (tx) => {
    await queueMail(harness.deps, tx, 'security_notice', CONTENT)
    throw new TypeError('no')
  })
  await expect(attempt).rejects.toThrow(TypeError)
  await harness.runJobs()
  expect(server.mails).toEqual([])
})

describe('a mail that cannot be sent', () => {
  test('is tried again, and arrives when the mail server is back', async () => {
    answer = { responseCode: 451 }
    await queue()
    await harness.runJobs()
    const [mail] = await stored()
    expect(mail).toMatchObject({ attempts: 1, given_up_at: null })
    expect(mail?.failure).toContain('not for alice@example.test')
    expect(JSON.stringify([[...(await jobs())], harness.logged])).not.toContain('alice')
    answer = undefined
    await retryNow()
    expect(server.mails).toHaveLength(1)
    expect(await stored()).toHaveLength(0)
  })

  test('stays visible after the last attempt, is not tried any more, and is sent when an operator says so', async () => {
    answer = { responseCode: 451 }
    await queue()
    await harness.database.sql`update latchkey.mails set attempts = 16`
    await harness.runJobs()
    expect((await stored())[0]).toMatchObject({ attempts: 17, given_up_at: harness.clock.now() })
    expect(events()).toEqual(['mail.given_up'])
    answer = undefined
    await retryNow()
    expect(server.mails).toEqual([])
  })

  test('is given up at once when the mail server refuses it for good', async () => {
    answer = { responseCode: 550 }
    await queue()
    await harness.runJobs()
    expect((await stored())[0]).toMatchObject({ attempts: 1, given_up_at: harness.clock.now() })
    expect((await jobs())[0]?.state).toBe('completed')
  })

  test('is not sent after its code or link has run out', async () => {
    answer = { responseCode: 451 }
    await queue(addSeconds(harness.clock.now(), 600))
    await harness.runJobs()
    answer = undefined
    harness.clock.advance(600)
    await retryNow()
    expect(server.mails).toEqual([])
    expect((await stored())[0]?.given_up_at).not.toBeNull()
  })

  test('is given up when the key that it was sealed under is gone', async () => {
    await queue()
    await harness.database.sql`update latchkey.mails set sealed_content = 'v1.AAAAAAAA.AAAA'`
    await harness.runJobs()
    expect((await stored())[0]).toMatchObject({ attempts: 1, given_up_at: harness.clock.now() })
  })
})

test('blackhole: nothing is written, and the log says so', async () => {
  const hole = await createHarness({ beside: harness })
  await transact(hole.deps.sql, (tx) => queueMail(hole.deps, tx, 'security_notice', CONTENT))
  expect(await stored()).toHaveLength(0)
  expect(hole.logged.map(({ event }) => event)).toEqual(['mail.dropped'])
  await hole.close()
})

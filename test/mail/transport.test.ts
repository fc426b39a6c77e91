import { afterEach, describe, expect, test } from 'bun:test'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../../src/config/schema.ts'
import { createTransport, MailError, type Message } from '../../src/mail/transport.ts'
import { selfSigned } from '../support/certificate.ts'
import { type MailServer, mailConfig, startMailServer } from '../support/mail-server.ts'

const servers: MailServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})
const start = async (options: Parameters<typeof startMailServer>[0] = {}): Promise<MailServer> => {
  const server = await startMailServer(options)
  servers.push(server)
  return server
}

const MESSAGE: Message = {
  to: { address: 'alice@example.test', name: 'alice' },
  subject: 'Grüße',
  text: 'Zeile eins\n',
  html: '<p>Zeile eins</p>',
  messageId: '<01ARZ3NDEKTSV4RRFFQ69G5FAV@example.test>',
}
const email = (server: { port: number }, over: Partial<Config['email']> = {}): Config['email'] => ({
  ...mailConfig(server),
  ...over,
})
const failure = async (sending: Promise<void>): Promise<MailError> => {
  const error = await sending.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof MailError)) throw new Error(`not a MailError: ${String(error)}`)
  return error
}

describe('smtp', () => {
  test('plain: one mail with text and HTML, to one recipient, that asks for no automatic answer', async () => {
    const server = await start()
    await createTransport(email(server, { reply_to: 'Help <help@example.test>' }), 'auth.test').send(MESSAGE)
    expect(server.mails).toHaveLength(1)
    const [mail] = server.mails
    expect(mail).toMatchObject({
      from: 'accounts@example.test',
      to: ['alice@example.test'],
      subject: 'Grüße',
      html: expect.stringContaining('<p>Zeile eins</p>'),
      headers: {
        from: 'Accounts <accounts@example.test>',
        'reply-to': 'Help <help@example.test>',
        'message-id': MESSAGE.messageId,
        'auto-submitted': 'auto-generated',
      },
    })
    expect(mail?.text).toContain('Zeile eins')
  })

  test('plain: never signs in over TLS that was not asked for; the default sender gets no Reply-To', async () => {
    const { cert, key } = await selfSigned('localhost')
    const server = await start({ cert, key })
    const config = email(server, { reply_to: '"Authentication Service" <root@localhost>' })
    await createTransport(config, 'auth.test').send(MESSAGE)
    expect(server.seen.secured).toBe(0)
    expect(server.mails[0]?.headers['reply-to']).toBeUndefined()
  })

  for (const mode of ['starttls', 'tls'] as const) {
    test(`${mode}: encrypts before anything is said, and signs in`, async () => {
      const { cert, key } = await selfSigned('localhost')
      const server = await start({ cert, key, secure: mode === 'tls' })
      const config = email(server, {
        mode,
        hostname: 'localhost',
        username: 'latchkey',
        password: 'open sesame',
      })
      await createTransport(config, 'auth.test', { ca: cert }).send(MESSAGE)
      expect(server.seen.users).toEqual(['latchkey:open sesame'])
      expect(server.seen.secured).toBe(1)
    })

    test(`${mode}: a certificate that nobody vouches for is refused, and nothing is sent`, async () => {
      const { cert, key } = await selfSigned('localhost')
      const server = await start({ cert, key, secure: mode === 'tls' })
      const config = email(server, {
        mode,
        hostname: 'localhost',
        username: 'latchkey',
        password: 'open sesame',
      })
      const error = await failure(createTransport(config, 'auth.test').send(MESSAGE))
      expect(error.permanent).toBe(false)
      expect(server.seen.users).toEqual([])
      expect(server.mails).toEqual([])
    })
  }

  test('starttls: a server that offers no encryption gets nothing', async () => {
    const server = await start()
    const config = email(server, { mode: 'starttls', username: 'latchkey', password: 'open sesame' })
    const error = await failure(createTransport(config, 'auth.test').send(MESSAGE))
    expect(error.message).toContain('ETLS')
    expect(server.seen.users).toEqual([])
    expect(server.mails).toEqual([])
  })

  test('a refused recipient is permanent; what the server said is not in the message', async () => {
    const server = await start({
      onRcptTo: (address, _session, done) =>
        done(Object.assign(new Error(`no mailbox for ${address.address}`), { responseCode: 550 })),
    })
    const error = await failure(createTransport(email(server), 'auth.test').send(MESSAGE))
    expect(error.permanent).toBe(true)
    expect(error.message).toBe('the mail could not be handed over (EENVELOPE 550)')
    expect(error.answer).toContain('no mailbox for alice@example.test')
  })

  test('a server that is busy (451), or refuses the sign-in (535), may be tried again', async () => {
    const busy = await start({
      onRcptTo: (_address, _session, done) =>
        done(Object.assign(new Error('try later'), { responseCode: 451 })),
    })
    expect((await failure(createTransport(email(busy), 'auth.test').send(MESSAGE))).permanent).toBe(false)
    const strict = await start({
      onAuth: (_auth, _session, done) => done(Object.assign(new Error('no'), { responseCode: 535 })),
      allowInsecureAuth: true,
    })
    const config = email(strict, { username: 'latchkey', password: 'wrong' })
    expect((await failure(createTransport(config, 'auth.test').send(MESSAGE))).permanent).toBe(false)
  })

  test('a server that is down, or answers nothing, is an error within the deadline', async () => {
    const down = await start()
    await down.close()
    servers.pop()
    const error = await failure(createTransport(email(down), 'auth.test').send(MESSAGE))
    expect(error.permanent).toBe(false)
    const silent = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    const slow = await failure(createTransport(email(silent), 'auth.test', { timeout: 100 }).send(MESSAGE))
    silent.stop(true)
    expect(slow.message).toContain('ETIMEDOUT')
  })

  test.each([
    ['a name', { name: 'a\r\nBcc: eve@evil.test', address: 'alice@example.test' }],
    ['a name with an address', { name: 'eve@evil.test>, <eve@evil.test', address: 'alice@example.test' }],
  ])('%s adds no recipient and no header', async (_what, to) => {
    const server = await start()
    await createTransport(email(server), 'auth.test').send({ ...MESSAGE, to })
    expect(server.mails.map((mail) => mail.to)).toEqual([['alice@example.test']])
    expect(server.mails[0]?.headers.bcc).toBeUndefined()
    expect(server.mails[0]?.headers.cc).toBeUndefined()
  })

  test('check: connects and signs in, and sends nothing', async () => {
    const server = await start({ allowInsecureAuth: true })
    await createTransport(email(server, { username: 'latchkey', password: 'p' }), 'auth.test').check()
    expect(server.seen.users).toEqual(['latchkey:p'])
    expect(server.mails).toEqual([])
  })
})

describe('sendmail', () => {
  test('gives the mail to the program, with the recipient as an argument and never as an option', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sendmail-'))
    try {
      const program = join(folder, 'sendmail')
      await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/arguments\ncat > ${folder}/mail\n`)
      await chmod(program, 0o755)
      const config = { ...mailConfig({ port: 1 }), transport: 'sendmail' as const, command: program }
      await createTransport(config, 'auth.test').send(MESSAGE)
      const args = (await readFile(join(folder, 'arguments'), 'utf8')).trim().split('\n')
      expect(args).toEqual(['-i', '-f', 'accounts@example.test', 'alice@example.test'])
      expect(await readFile(join(folder, 'mail'), 'utf8')).toContain('Zeile eins')
      const option = { ...MESSAGE, to: { address: '-OQueueDirectory=/tmp', name: 'a' } }
      await failure(createTransport(config, 'auth.test').send(option))
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a program that is not there is an error', async () => {
    const config = {
      ...mailConfig({ port: 1 }),
      transport: 'sendmail' as const,
      command: '/nowhere/sendmail',
    }
    expect((await failure(createTransport(config, 'auth.test').send(MESSAGE))).permanent).toBe(false)
  })
})

import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A mail as it arrived. */
export interface ReceivedMail {
  from: string
  to: string[]
  headers: Record<string, string>
  subject: string
  text: string
  html: string
  /** As it came over the wire. */
  raw: string
}

/** A mail server on loopback that keeps what it gets. */
export interface MailServer {
  port: number
  mails: ReceivedMail[]
  /** The newest mail to an address; throws when there is none. */
  last(address: string): ReceivedMail
  /** Connections that were made, secured ones and sign-ins. */
  seen: { connections: number; secured: number; users: string[] }
  close(): Promise<void>
}

/** Starts a real SMTP server (npm `smtp-server`); `options` are its own, `port` is any free one unless given. */
export async function startMailServer(options: SMTPServerOptions = {}, port = 0): Promise<MailServer> {
  const mails: ReceivedMail[] = []
  const seen = { connections: 0, secured: 0, users: [] as string[] }
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.key ? [] : ['STARTTLS'],
    onConnect(_session, done) {
      seen.connections++
      done()
    },
    onAuth(auth, _session, done) {
      seen.users.push(`${auth.username}:${auth.password}`)
      done(null, { user: auth.username ?? '' })
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        if (session.secure) seen.secured++
        mails.push(
          parse(
            Buffer.concat(chunks).toString('utf8'),
            mailFrom ? mailFrom.address : '',
            rcptTo.map(({ address }) => address),
          ),
        )
        done()
      })
    },
    ...options,
  })
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.server.address()
  if (typeof address !== 'object' || !address) throw new Error('The mail server has no address.')
  return {
    port: address.port,
    mails,
    seen,
    last(recipient) {
      const mail = mails.findLast(({ to }) => to.includes(recipient))
      if (!mail) throw new Error(`No mail to ${recipient}; there is ${mails.map(({ to }) => to).join(', ')}.`)
      return mail
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

/** How a mail has a code that is to be typed: on a line of its own. */
export const CODE_LINE = /^ {4}(\d{6})$/m

/** The code that a mail has; throws when it has none. */
export function codeIn(mail: Pick<ReceivedMail, 'text'> | undefined): string {
  const code = CODE_LINE.exec(mail?.text ?? '')?.[1]
  if (code === undefined) throw new Error(`There is no code in: ${mail?.text ?? '(no mail)'}`)
  return code
}

/** The `email` section for a mail server. */
export const mailConfig = (server: Pick<MailServer, 'port'>) =>
  ({
    transport: 'smtp',
    mode: 'plain',
    hostname: '127.0.0.1',
    port: server.port,
    from: 'Accounts <accounts@example.test>',
    reply_to: 'Accounts <accounts@example.test>',
  }) as const

function parse(raw: string, from: string, to: string[]): ReceivedMail {
  const { headers, body } = split(raw)
  const boundary = /boundary="([^"]+)"/.exec(headers['content-type'] ?? '')?.[1]
  const parts = boundary === undefined ? [raw] : body.split(`--${boundary}`).slice(1, -1)
  const part = (type: string) => {
    const found = parts
      .map((text) => split(text.trimStart()))
      .find((one) => one.headers['content-type']?.startsWith(type))
    return found ? decode(found.body, found.headers['content-transfer-encoding']) : ''
  }
  return {
    from,
    to,
    headers,
    subject: decodeWords(headers.subject ?? ''),
    text: part('text/plain'),
    html: part('text/html'),
    raw,
  }
}

function split(text: string): { headers: Record<string, string>; body: string } {
  const at = text.indexOf('\r\n\r\n')
  const headers: Record<string, string> = {}
  for (const line of text
    .slice(0, at)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { headers, body: text.slice(at + 4) }
}

function decode(body: string, encoding = '7bit'): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8')
  if (encoding !== 'quoted-printable') return body
  const bytes = body
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

/** RFC 2047 encoded words. */
const decodeWords = (text: string): string =>
  text
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([QB])\?([^?]*)\?=/gi, (_, kind: string, word: string) =>
      kind.toUpperCase() === 'B'
        ? Buffer.from(word, 'base64').toString('utf8')
        : decode(word.replaceAll('_', ' '), 'quoted-printable'),
    )

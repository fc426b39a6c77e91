import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Config } from '../config/schema.ts'

type TlsSettings = NonNullable<Config['ldap']>['tls']

/**
 * Opens a connection to a directory, encrypted as the configuration says, with the certificate checked. Ends it when
 * `signal` aborts, at any time.
 *
 * @throws Error that says why there is none
 */
export async function openSocket(address: string, tls: TlsSettings, signal: AbortSignal): Promise<Socket> {
  const url = new URL(address)
  const isEncrypted = url.protocol === 'ldaps:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (isEncrypted ? 636 : 389) : Number(url.port)
  const raw = connectTcp({ host, port })
  signal.addEventListener('abort', () => raw.destroy(new Error('no answer in time')), { once: true })
  try {
    await opened(raw, 'connect')
    if (!isEncrypted && !tls.start_tls) return raw
    if (!isEncrypted) await askForTls(raw)
    return await encrypt(raw, tls.server_name ?? host, tls.ca, signal)
  } catch (error) {
    raw.destroy()
    throw error
  }
}

async function encrypt(
  raw: Socket,
  name: string,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const secure = connectTls({
    socket: raw,
    host: name,
    // An address is no name to ask for (RFC 6066 section 3); the certificate is compared with `host` then.
    ...(isIP(name) === 0 && { servername: name }),
    ...(ca !== undefined && { ca }),
    rejectUnauthorized: true,
  })
  signal.addEventListener('abort', () => secure.destroy(new Error('no answer in time')), { once: true })
  await opened(secure, 'secureConnect')
  if (!secure.authorized) {
    secure.destroy()
    throw new Error('the certificate was not checked')
  }
  return secure
}

/** Waits until a connection is there. */
function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error('the connection was closed'))
    socket.once('error', reject)
    socket.once('close', closed)
    socket.once(event, () => {
      socket.off('error', reject)
      socket.off('close', closed)
      resolve()
    })
  })
}

/** The extended request StartTLS (RFC 4511 section 4.14) as message 1. */
const START_TLS = Uint8Array.from([
  ...[0x30, 29, 0x02, 1, 1, 0x77, 24, 0x80, 22],
  ...new TextEncoder().encode('1.3.6.1.4.1.1466.20037'),
])

/**
 * Asks for encryption and waits for the yes. Here and not in the library: nothing that came before the encryption may be
 * taken for an answer under it, and the library keeps what is left over.
 *
 * @throws Error when the answer is no, or more follows it
 */
async function askForTls(socket: Socket): Promise<void> {
  let answer = Buffer.alloc(0)
  await new Promise<void>((resolve, reject) => {
    const done = (finish: () => void) => {
      socket.off('data', read)
      socket.off('error', reject)
      socket.off('close', closed)
      socket.pause()
      finish()
    }
    const closed = () => done(() => reject(new Error('the connection was closed instead of encrypted')))
    const read = (data: Buffer) => {
      answer = Buffer.concat([answer, data])
      const end = lengthOf(answer)
      if (end === undefined || answer.length < end) return
      if (answer.length > end || resultOf(answer) !== 0)
        done(() => reject(new Error('the directory does not encrypt with StartTLS')))
      else done(resolve)
    }
    socket.on('data', read)
    socket.once('error', reject)
    socket.once('close', closed)
    socket.write(START_TLS)
  })
}

/** The bytes of the message that begins here (BER, section 8.1.3 of X.690); undefined while that is not known. */
function lengthOf(bytes: Buffer): number | undefined {
  const [, first, second, third] = bytes
  if (first === undefined) return undefined
  if (first < 0x80) return 2 + first
  if (first === 0x81) return second === undefined ? undefined : 3 + second
  if (first === 0x82)
    return third === undefined || second === undefined ? undefined : 4 + second * 256 + third
  // Any other form is no answer to this.
  return 0
}

/** The result code of an extended response (RFC 4511 section 4.12); undefined when it is something else. */
function resultOf(message: Buffer): number | undefined {
  const at = message.indexOf(Uint8Array.from([0x02, 0x01, 0x01, 0x78]))
  const code = at === -1 ? -1 : message.indexOf(Uint8Array.from([0x0a, 0x01]), at)
  return code === -1 ? undefined : message[code + 2]
}

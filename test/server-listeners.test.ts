// node:http, node:http2 and node:tls: fetch takes no socket path, no HTTP/2 in clear text, and hides certificates.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { createPrivateKey } from 'node:crypto'
import { lstat, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect as http2Connect } from 'node:http2'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import type { Config } from '../src/config/schema.ts'
import { type ListenError, listen, type Servers } from '../src/server.ts'
import { selfSigned } from './support/certificate.ts'
import { createHarness, type Harness } from './support/harness.ts'
import { WEB_CLIENT } from './support/oauth.ts'

type Listener = Config['http']['listeners'][number]

let harness: Harness
let folder: string
const open: Servers[] = []
beforeAll(async () => {
  harness = await createHarness()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-listen-'))
})
afterEach(async () => {
  for (const servers of open.splice(0)) await servers.stop(0)
})
afterAll(async () => {
  await rm(folder, { recursive: true })
  await harness.close()
})

const EVERYTHING: Listener['resources'] = [{ name: 'health' }, { name: 'oauth' }, { name: 'discovery' }]
const LOOPBACK = [{ host: '127.0.0.1', port: 0 }]

/** Opens these listeners, as the configuration gives them. */
async function listenOn(...listeners: Partial<Listener>[]): Promise<Servers> {
  const { config } = harness.deps
  const whole = listeners.map((one) => ({ resources: EVERYTHING, binds: LOOPBACK, ...one }))
  const servers = await listen({
    ...harness.deps,
    config: { ...config, http: { ...config.http, listeners: whole } },
  })
  open.push(servers)
  return servers
}
const portOf = ({ addresses }: Servers, index = 0): number => Number(new URL(addresses[index] ?? '').port)

interface Answer {
  status: number
  body: string
}

/** One request over HTTP/1.1. */
const get = (
  to: { socketPath: string } | { port: number; host?: string },
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = options
    const sent = httpRequest({ host: '127.0.0.1', ...to, path, method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })

/** The address that the server took the client of a request for: refused registrations are logged with it. */
async function seenAs(
  to: Parameters<typeof get>[0],
  headers: Record<string, string>,
): Promise<string | undefined> {
  harness.logged.length = 0
  const answer = await get(to, '/oauth2/registration', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ redirect_uris: ['https://app.example.com/'] }),
  })
  expect(answer.status).toBe(400)
  const event = harness.logged.find((entry) => entry.event === 'client.registration_denied')
  return event?.fields.ip as string | undefined
}

describe('a TCP listener', () => {
  test('`localhost` is both loopback addresses, no host is every address', async () => {
    const both = await listenOn({ binds: [{ host: 'localhost', port: 0 }] })
    expect((await get({ port: portOf(both) }, '/health')).status).toBe(200)
    const every = await listenOn({ binds: [{ port: 0 }] })
    for (const host of ['127.0.0.1', '::1'])
      expect((await get({ port: portOf(every), host }, '/health')).status).toBe(200)
  })

  test('serves its own resources and nothing else, below its own prefix and without it (decision 4)', async () => {
    const servers = await listenOn(
      { resources: [{ name: 'health' }] },
      { resources: [{ name: 'discovery' }], prefix: '/auth' },
    )
    const status = async (index: number, path: string) =>
      (await get({ port: portOf(servers, index) }, path)).status
    const DISCOVERY = '/.well-known/openid-configuration'
    expect([await status(0, '/health'), await status(0, DISCOVERY)]).toEqual([200, 404])
    expect([await status(1, `/auth${DISCOVERY}`), await status(1, '/auth/health')]).toEqual([200, 404])
    expect([await status(1, DISCOVERY), await status(0, `/auth/health`)]).toEqual([200, 404])
  })

  test('a port in use: one sentence, and what was open is closed again', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const taken = (other.address() as { port: number }).port
    const socket = join(folder, 'closed.sock')
    const refused = await listenOn({ binds: [{ socket }, { host: '127.0.0.1', port: taken }] }).catch(
      (error: ListenError) => error.message,
    )
    other.close()
    expect(refused).toStartWith(`Cannot listen on http://127.0.0.1:${taken}: another program uses this port.`)
    expect(await lstat(socket).catch(() => 'gone')).toBe('gone')
  })

  test('speaks HTTP/2 in clear text at once, as `force_http2` of Synapse does, beside HTTP/1.1 (decision 21)', async () => {
    const servers = await listenOn({})
    const session = http2Connect(`http://127.0.0.1:${portOf(servers)}`)
    const ask = (path: string, body?: string) =>
      new Promise<[number, string]>((resolve, reject) => {
        const stream = session.request({
          ':path': path,
          ':method': body === undefined ? 'GET' : 'POST',
          authorization: 'Bearer test-shared-secret-of-matrix',
          'content-type': 'application/x-www-form-urlencoded',
        })
        let status = 0
        let text = ''
        stream.setEncoding('utf8')
        stream.on('response', (headers) => {
          status = Number(headers[':status'])
        })
        stream.on('data', (chunk) => {
          text += chunk
        })
        stream.on('end', () => resolve([status, text]))
        stream.on('error', reject)
        stream.end(body)
      })
    // Several at a time on one connection, as Synapse asks.
    const answers = await Promise.all([
      ask('/.well-known/openid-configuration'),
      ask('/oauth2/introspect', 'token=mat_unknown&token_type_hint=access_token'),
      ask('/health'),
    ])
    // No way around the limit of a body.
    const tooLong = ask('/oauth2/introspect', 'a'.repeat(3_000_000))
    await tooLong.finally(() => session.close())
    expect(answers.map(([status]) => status)).toEqual([200, 200, 200])
    expect(JSON.parse(answers[0]?.[1] ?? '').issuer).toBe('http://auth.test/')
    expect(JSON.parse(answers[1]?.[1] ?? '')).toEqual({ active: false })
    expect((await tooLong)[0]).toBe(413)
    expect((await get({ port: portOf(servers) }, '/health')).status).toBe(200)
  })

  test('believes proxies of trusted networks, over the real socket', async () => {
    const servers = await listenOn({})
    const port = { port: portOf(servers) }
    expect(await seenAs(port, {})).toBe('127.0.0.1')
    expect(await seenAs(port, { 'x-forwarded-for': '1.1.1.1, 203.0.113.9' })).toBe('203.0.113.9')
    expect(await seenAs(port, { forwarded: 'for=1.1.1.1, for="203.0.113.9:1"' })).toBe('203.0.113.9')
    const untrusting = await listen({
      ...harness.deps,
      trustedProxies: [],
      config: {
        ...harness.deps.config,
        http: { ...harness.deps.config.http, listeners: [{ resources: EVERYTHING, binds: LOOPBACK }] },
      },
    })
    open.push(untrusting)
    const direct = { port: portOf(untrusting) }
    expect(await seenAs(direct, { 'x-forwarded-for': '203.0.113.9' })).toBe('127.0.0.1')
    expect(await seenAs(direct, { forwarded: 'for=203.0.113.9' })).toBe('127.0.0.1')
  })
})

describe('a Unix socket', () => {
  test('has its mode, replaces a stale one, and is gone after stop', async () => {
    const socket = join(folder, 'a.sock')
    // What a process that was killed leaves behind.
    const killed = Bun.spawn([
      process.execPath,
      '-e',
      `Bun.serve({ unix: ${JSON.stringify(socket)}, fetch: () => new Response() }); process.kill(process.pid, 'SIGKILL')`,
    ])
    await killed.exited
    expect((await lstat(socket)).isSocket()).toBe(true)
    const servers = await listenOn({ binds: [{ socket, mode: 0o660 }] })
    expect(servers.addresses).toEqual([`unix:${socket}`])
    expect(((await lstat(socket)).mode & 0o777).toString(8)).toBe('660')
    expect((await get({ socketPath: socket }, '/health')).status).toBe(200)
    await servers.stop(1000)
    expect(await readdir(folder)).toEqual([])
  })

  test('of a process that took over stays when the first one stops', async () => {
    const socket = join(folder, 'b.sock')
    const first = await listenOn({ binds: [{ socket }] })
    const second = await listenOn({ binds: [{ socket }] })
    await first.stop(0)
    expect((await get({ socketPath: socket }, '/health')).status).toBe(200)
    await second.stop(0)
    expect(await readdir(folder)).toEqual([])
  })

  test('is never made over a file, and needs its folder: one sentence', async () => {
    const file = join(folder, 'precious')
    await writeFile(file, 'x')
    const refusal = (socket: string) =>
      listenOn({ binds: [{ socket }] }).catch((error: ListenError) => error.message)
    expect(await refusal(file)).toBe(
      `Cannot listen on the socket ${file}: there is something else at this path.`,
    )
    expect(await Bun.file(file).text()).toBe('x')
    await rm(file)
    expect(await refusal('/nowhere/at/all.sock')).toMatch(
      /^Cannot listen on the socket \/nowhere\/at\/all\.sock: .*\.$/,
    )
  })

  test('is a trusted proxy; without its word nothing is known of the client', async () => {
    const socketPath = join(folder, 'c.sock')
    await listenOn({ binds: [{ socket: socketPath }] })
    expect(await seenAs({ socketPath }, { 'x-forwarded-for': '203.0.113.9' })).toBe('203.0.113.9')
    expect(await seenAs({ socketPath }, {})).toBeUndefined()
  })
})

describe('TLS', () => {
  /** The name in the certificate that is served. */
  const served = (port: number): Promise<{ name: string; protocol: string | false | null }> =>
    new Promise((resolve, reject) => {
      const socket = tlsConnect(
        { port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'] },
        () => {
          const name = socket.getPeerCertificate().subject.CN
          resolve({ name: String(name), protocol: socket.alpnProtocol })
          socket.destroy()
        },
      )
      socket.on('error', reject)
    })
  const files = () => ({ certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') })
  const put = async (host: string): Promise<{ cert: string; key: string }> => {
    const made = await selfSigned(host)
    await writeFile(files().certificate, made.cert)
    await writeFile(files().key, made.key)
    return made
  }
  const fromFiles = async (host: string): Promise<Servers> => {
    const { cert, key } = await put(host)
    const source = { certificate_file: files().certificate, key_file: files().key }
    return listenOn({ tls: { certificate: cert.trim(), key: new TextEncoder().encode(key), source } })
  }

  test('offers HTTP/2 and HTTP/1.1', async () => {
    const servers = await fromFiles('a.test')
    expect(servers.addresses[0]).toStartWith('https://127.0.0.1:')
    expect(await served(portOf(servers))).toEqual({ name: 'a.test', protocol: 'h2' })
    const response = await fetch(`${servers.addresses[0]}/health`, {
      tls: { rejectUnauthorized: false },
    } as RequestInit)
    expect(response.status).toBe(200)
  })

  test('a certificate that changed on the disk is served, on the same port; others stay open', async () => {
    const servers = await fromFiles('a.test')
    const port = portOf(servers)
    await servers.renewCertificates()
    expect(harness.logged.filter(({ event }) => event === 'certificate.renewed')).toEqual([])
    await put('b.test')
    await servers.renewCertificates()
    expect((await served(port)).name).toBe('b.test')
    expect(portOf(servers)).toBe(port)
    await put('c.test')
    await servers.renewCertificates()
    expect((await served(port)).name).toBe('c.test')
    expect(harness.logged.filter(({ event }) => event === 'certificate.renewed')).toHaveLength(2)
  })

  test('a certificate that can not be used is logged, and the old one goes on', async () => {
    const servers = await fromFiles('a.test')
    const { key } = await selfSigned('b.test')
    for (const [file, text] of [
      [files().key, key],
      [files().certificate, 'rubbish'],
      [files().certificate, ''],
    ] as const) {
      await put('a.test')
      await writeFile(file, text)
      harness.logged.length = 0
      await servers.renewCertificates()
      expect(harness.logged.map(({ event }) => event)).toEqual(['certificate.renewal_failed'])
      expect(JSON.stringify(harness.logged.map(({ fields }) => String(fields.error)))).not.toContain(
        key.slice(40, 80),
      )
      expect((await served(portOf(servers))).name).toBe('a.test')
    }
  })

  test('a request under way is answered while the certificate changes', async () => {
    const servers = await fromFiles('a.test')
    const { sql } = harness.deps
    const unlock = Promise.withResolvers<void>()
    const locked = Promise.withResolvers<void>()
    const lock = sql.begin(async (tx) => {
      await tx`lock table latchkey.clients in access exclusive mode`
      locked.resolve()
      await unlock.promise
    })
    await locked.promise
    const slow = fetch(`${servers.addresses[0]}/oauth2/registration`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(WEB_CLIENT),
      tls: { rejectUnauthorized: false },
    } as RequestInit)
    const waiting = () => sql`
      select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    while ((await waiting()).length === 0) await Bun.sleep(20)
    await put('b.test')
    await servers.renewCertificates()
    expect((await served(portOf(servers))).name).toBe('b.test')
    unlock.resolve()
    await lock
    expect((await slow).status).toBe(201)
  })

  test.each(['pkcs8', 'sec1'] as const)('takes a key as DER: %s', async (type) => {
    const { cert, key } = await selfSigned('a.test')
    const der = createPrivateKey(key).export({ format: 'der', type })
    const servers = await listenOn({
      tls: { certificate: cert, key: new Uint8Array(der), source: {} },
    })
    expect((await served(portOf(servers))).name).toBe('a.test')
  })

  test('takes an encrypted key with its password alone', async () => {
    const { cert, key } = await selfSigned('a.test')
    const sealed = createPrivateKey(key)
      .export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'right' })
      .toString()
    const tls = { certificate: cert, key: new TextEncoder().encode(sealed), source: {} }
    const servers = await listenOn({ tls: { ...tls, password: 'right' } })
    expect((await served(portOf(servers))).name).toBe('a.test')
    for (const wrong of [{ ...tls, password: 'wrong' }, tls])
      expect(await listenOn({ tls: wrong }).catch((error: Error) => error.message)).toBe(
        'http.listeners.0.tls: the password does not open the key, or the key needs one.',
      )
  })

  test("another certificate's key stops the start with a sentence", async () => {
    const { cert } = await selfSigned('a.test')
    const { key } = await selfSigned('b.test')
    const tls = { certificate: cert, key: new TextEncoder().encode(key), source: {} }
    expect(await listenOn({ tls }).catch((error: Error) => error.message)).toBe(
      'http.listeners.0.tls: the key does not belong to the certificate.',
    )
  })
})

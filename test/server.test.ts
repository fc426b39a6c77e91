// node:net: fetch sends no malformed requests.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { listen, type Servers } from '../src/server.ts'
import { createHarness, type Harness } from './support/harness.ts'

let harness: Harness
let servers: Servers
let port = 0
beforeAll(async () => {
  harness = await createHarness({
    config: {
      http: {
        public_base: 'http://auth.test/',
        listeners: [
          { resources: [{ name: 'human' }, { name: 'health' }], binds: [{ host: '127.0.0.1', port: 0 }] },
        ],
      },
    },
  })
  servers = await listen(harness.deps)
  port = Number(new URL(servers.addresses[0] ?? '').port)
})
afterAll(async () => {
  await servers.stop(0)
  await harness.close()
})

/** Everything that the server answers to these bytes. */
const send = (bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('latin1')
    socket.on('data', (data) => {
      answer += data
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })
const get = (path: string, host: string): Promise<string> =>
  send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
const statusOf = (answer: string): string => answer.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)

describe('the Host header', () => {
  test.each(['[', 'a b', 'a/b', '%00', 'x.y@z', ''])(
    'malformed (%j): 400 in a sentence, and nothing of our source',
    async (host) => {
      const answer = await get('/login', host)
      expect(statusOf(answer)).toBe('400')
      expect(answer).toEndWith('The Host header of this request is not a host name.\n')
      expect(answer).not.toMatch(/src\/|\.ts|node_modules/)
    },
  )

  test('of fewer letters than the router expects: the path is still the whole path', async () => {
    for (const host of ['a', 'a:1', '..', 'auth.test']) {
      expect([host, statusOf(await get('/health', host))]).toEqual([host, '200'])
      expect([host, statusOf(await get('/x/health', host))]).toEqual([host, '404'])
    }
  })

  test('is never where people are sent: addresses come from the configuration', async () => {
    const answer = await get('/account/', 'evil.example')
    expect(answer).toMatch(/\r\nlocation: \/login/i)
    expect(answer).not.toContain('evil.example')
  })
})

describe('two lengths of one body (RFC 9112 section 6.3): refused, and the rest is no second request', () => {
  const smuggled = 'GET /health HTTP/1.1\r\nHost: auth.test\r\n\r\n'
  test.each([
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Content-Length: 5\r\nContent-Length: 0',
    'Content-Length: +5',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding : chunked',
  ])('%j', async (headers) => {
    const answer = await send(
      `POST /login HTTP/1.1\r\nHost: auth.test\r\n${headers}\r\n\r\n0\r\n\r\n${smuggled}`,
    )
    expect(statusOf(answer)).toBe('400')
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  })
})

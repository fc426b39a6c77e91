import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startFront } from '../../../src/commands/demo/front.ts'
import type { Running } from '../../../src/commands/demo/start-synapse.ts'

/** A server that says who it is and what it was asked. */
function startEcho(name: string) {
  return Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const url = new URL(request.url)
      if (url.pathname === '/.well-known/openid-configuration') {
        const issuer = 'http://latchkey.test/'
        return Response.json({ issuer, account_management_uri: `${issuer}account/` })
      }
      if (url.pathname.endsWith('/redirect')) return Response.redirect('http://client.test/?loginToken=x')
      if (url.pathname.endsWith('/slow')) return new Response(slowly())
      if (url.pathname.endsWith('/gzip')) {
        const body = Bun.gzipSync('{"packed":true}')
        return new Response(body, {
          headers: { 'content-encoding': 'gzip', 'content-type': 'application/json' },
        })
      }
      const answer = {
        name,
        method: request.method,
        path: url.pathname + url.search,
        body: await request.text(),
        length: request.headers.get('content-length'),
        authorization: request.headers.get('authorization'),
      }
      return Response.json(answer, {
        headers: { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'Authorization' },
      })
    },
  })
}

let release: () => void = () => {}

/** Sends one part at once and the other when `release` is called. */
const slowly = () =>
  new ReadableStream({
    async start(stream) {
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      stream.enqueue(new TextEncoder().encode('first '))
      await released
      stream.enqueue(new TextEncoder().encode('second'))
      stream.close()
    },
  })

let latchkey: ReturnType<typeof startEcho>
let synapse: ReturnType<typeof startEcho>
let front: Running

beforeAll(() => {
  latchkey = startEcho('latchkey')
  synapse = startEcho('synapse')
  front = startFront({
    port: 0,
    latchkey: latchkey.url.href,
    synapse: synapse.url.href,
    serverName: 'localhost',
  })
})

afterAll(async () => {
  await front.stop()
  await latchkey.stop(true)
  await synapse.stop(true)
})

async function answererOf(path: string): Promise<string> {
  const response = await fetch(front.url + path)
  return response.ok ? ((await response.json()) as { name: string }).name : String(response.status)
}

describe('the front of the demo', () => {
  test('login, logout and refresh of every version go to Latchkey (reference 10.2)', async () => {
    const paths = ['v3/login', 'r0/login', 'v3/login/sso/x', 'unstable/logout', 'v3/logout/all', 'v3/refresh']
    for (const path of paths) expect(await answererOf(`/_matrix/client/${path}`)).toBe('latchkey')
  })

  test('the other Matrix paths go to Synapse', async () => {
    const paths = ['versions', 'v3/sync?timeout=0', 'v3/user/@login:x/login', 'v3/logins', 'v1/auth_metadata']
    for (const path of paths) expect(await answererOf(`/_matrix/client/${path}`)).toBe('synapse')
    expect(await answererOf('/_matrix/media/v3/config')).toBe('synapse')
    expect(await answererOf('/_synapse/client/x')).toBe('synapse')
  })

  test('the admin API and the API for Latchkey are not reachable', async () => {
    for (const path of [
      '/_synapse/admin/v1/x',
      '/_synapse/mas/query_user',
      '/x',
      '/_matrix/../_synapse/mas/x',
    ]) {
      expect(await answererOf(path)).toBe('404')
    }
  })

  test('GET /.well-known/matrix/client names the front, the issuer and the account page', async () => {
    const response = await fetch(`${front.url}/.well-known/matrix/client`)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(await response.json()).toEqual({
      'm.homeserver': { base_url: front.url },
      'org.matrix.msc2965.authentication': {
        issuer: 'http://latchkey.test/',
        account: 'http://latchkey.test/account/',
      },
    })
  })

  test('method, query, body with its length and credentials pass unchanged', async () => {
    const response = await fetch(`${front.url}/_matrix/client/v3/upload?filename=%C3%A9%2F`, {
      method: 'PUT',
      body: 'hello',
      headers: { authorization: 'Bearer token' },
    })
    expect(await response.json()).toEqual({
      name: 'synapse',
      method: 'PUT',
      path: '/_matrix/client/v3/upload?filename=%C3%A9%2F',
      body: 'hello',
      length: '5',
      authorization: 'Bearer token',
    })
  })

  test('OPTIONS: the CORS headers of the answer stay', async () => {
    const response = await fetch(`${front.url}/_matrix/client/v3/login`, { method: 'OPTIONS' })
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-allow-headers')).toBe('Authorization')
  })

  test('a redirect reaches the client', async () => {
    const response = await fetch(`${front.url}/_matrix/client/v3/login/sso/redirect`, { redirect: 'manual' })
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe('http://client.test/?loginToken=x')
  })

  test('a compressed answer arrives whole', async () => {
    const response = await fetch(`${front.url}/_matrix/client/v3/gzip`)
    expect(await response.json()).toEqual({ packed: true })
  })

  test('an answer is passed on while it still comes', async () => {
    const response = await fetch(`${front.url}/_matrix/client/v3/slow`)
    const reader = response.body?.getReader()
    const first = await reader?.read()
    expect(new TextDecoder().decode(first?.value)).toBe('first ')
    release()
    const second = await reader?.read()
    expect(new TextDecoder().decode(second?.value)).toBe('second')
  })

  test('502 with a Matrix error when the server behind is gone', async () => {
    const lonely = startFront({
      port: 0,
      latchkey: 'http://127.0.0.1:9/',
      synapse: 'http://127.0.0.1:9/',
      serverName: 'x',
    })
    const response = await fetch(`${lonely.url}/_matrix/client/versions`)
    expect(response.status).toBe(502)
    expect(await response.json()).toMatchObject({ errcode: 'M_UNKNOWN' })
    const known = await fetch(`${lonely.url}/.well-known/matrix/client`)
    expect(await known.json()).toEqual({ 'm.homeserver': { base_url: lonely.url } })
    await lonely.stop()
  })
})

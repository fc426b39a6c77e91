import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fetchPublic, postPublic } from '../../src/http/fetch-public.ts'
import { createOutgoingFetch, createProxyOf } from '../../src/http/outgoing.ts'
import { createHomeserver } from '../../src/matrix/homeserver/create.ts'
import { selfSigned } from '../support/certificate.ts'
import { createFakeHomeserver } from '../support/fake-homeserver.ts'
import { type ForwardProxy, startForwardProxy } from '../support/forward-proxy.ts'

describe('which proxy an address goes through', () => {
  const proxyOf = (no_proxy: string[] = []) =>
    createProxyOf({ https_proxy: 'http://secure.test', http_proxy: 'http://plain.test', no_proxy })

  test('by the scheme of the address; none where none is configured', () => {
    expect(proxyOf()(new URL('https://example.org/'))).toBe('http://secure.test')
    expect(proxyOf()(new URL('http://example.org/'))).toBe('http://plain.test')
    const only = createProxyOf({ https_proxy: 'http://secure.test', no_proxy: [] })
    expect(only(new URL('http://example.org/'))).toBeUndefined()
  })

  test('this machine is always reached directly', () => {
    for (const host of ['localhost', 'a.localhost', '127.0.0.1', '127.1.2.3', '[::1]'])
      expect(proxyOf()(new URL(`http://${host}:8008/`))).toBeUndefined()
  })

  for (const [entry, address, direct] of [
    ['example.org', 'https://example.org/', true],
    ['example.org', 'https://matrix.example.org/', true],
    ['example.org', 'https://notexample.org/', false],
    ['example.org', 'https://example.org.evil.test/', false],
    ['.example.org', 'https://matrix.example.org/', true],
    ['*.example.org', 'https://matrix.example.org/', true],
    ['EXAMPLE.org', 'https://example.org/', true],
    ['example.org:8448', 'https://example.org:8448/', true],
    ['example.org:8448', 'https://example.org/', false],
    ['example.org:443', 'https://example.org/', true],
    ['10.0.0.0/8', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://11.1.2.3/', false],
    ['192.0.2.7', 'http://192.0.2.7:8008/', true],
    ['192.0.2.7', 'http://192.0.2.70/', false],
    ['2001:db8::/32', 'https://[2001:db8::1]/', true],
    ['[2001:db8::1]', 'https://[2001:db8::1]/', true],
    ['10.0.0.0/8', 'http://10.example.org/', false],
    ['*', 'https://example.org/', true],
  ] as const) {
    test(`no_proxy ${entry}: ${address} is reached ${direct ? 'directly' : 'through the proxy'}`, () => {
      expect(proxyOf([entry])(new URL(address)) === undefined).toBe(direct)
    })
  }
})

describe('through a real proxy', () => {
  let server: Bun.Server<undefined>
  let plain: Bun.Server<undefined>
  let secure: ForwardProxy
  let insecure: ForwardProxy
  let certificate: { cert: string; key: string }
  const fake = createFakeHomeserver({ serverName: 'example.test', secret: 'shared' })
  beforeAll(async () => {
    certificate = await selfSigned('app.example.com')
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      tls: certificate,
      fetch: async (request) =>
        new URL(request.url).pathname === '/large'
          ? new Response('x'.repeat(100))
          : new Response(`${request.method} ${request.headers.get('host')} ${await request.text()}`, {
              headers: { 'cache-control': 'max-age=60' },
            }),
    })
    plain = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request) => fake.fetch(request.url, request),
    })
    secure = await startForwardProxy(server.port ?? 0)
    insecure = await startForwardProxy(plain.port ?? 0)
  })
  afterAll(() => {
    for (const one of [secure, insecure]) one.stop()
    server.stop(true)
    plain.stop(true)
  })

  test('the homeserver is reached through it, with the credentials of the proxy', async () => {
    const { host } = new URL(insecure.url)
    const proxyOf = createProxyOf({ http_proxy: `http://user:word@${host}`, no_proxy: [] })
    const homeserver = createHomeserver(
      { kind: 'synapse', homeserver: 'example.test', endpoint: 'http://synapse.test/', secret: 'shared' },
      { fetch: createOutgoingFetch(proxyOf) },
    )
    await homeserver.provisionUser({ localpart: 'ada', sub: 'S', locked: false })
    expect(fake.users.has('ada')).toBe(true)
    expect(insecure.asked).toEqual([
      `POST http://synapse.test/_synapse/mas/provision_user Basic ${btoa('user:word')}`,
    ])
  })

  test('a local homeserver is not, although the variables of the process say so', async () => {
    const before = insecure.asked.length
    process.env.HTTP_PROXY = insecure.url
    try {
      const fetchDirect = createOutgoingFetch(createProxyOf({ http_proxy: insecure.url, no_proxy: [] }))
      expect((await fetchDirect(new URL('/_synapse/mas/query_user', plain.url))).status).toBe(401)
    } finally {
      delete process.env.HTTP_PROXY
    }
    expect(insecure.asked.length).toBe(before)
  })

  const throughProxy = () => ({
    timeoutMs: 5000,
    maxBytes: 90,
    proxyOf: () => secure.url,
    ca: certificate.cert,
    allows: (address: string) => address === '192.0.2.7',
  })

  test('a stranger’s address: the proxy gets the address that was checked, the certificate is that of the name', async () => {
    // A name that leads to a forbidden address does not reach the proxy.
    const before = secure.asked.length
    await expect(fetchPublic(new URL('https://localhost/keys'), throughProxy())).rejects.toThrow('not public')
    await expect(fetchPublic(new URL('https://10.0.0.1/keys'), throughProxy())).rejects.toThrow(
      'not a public',
    )
    expect(secure.asked.length).toBe(before)
    // The right address, and a certificate for another name.
    await expect(fetchPublic(new URL('https://192.0.2.7/keys'), throughProxy())).rejects.toThrow()
    expect(secure.asked.slice(before)).toEqual(['CONNECT 192.0.2.7:443'])
  })

  test('a stranger’s document and form come through, within their limits', async () => {
    // `localhost` stands for a name that is looked up; the certificate is made for it.
    const local = await selfSigned('localhost')
    const target = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      tls: local,
      fetch: async (request) =>
        new URL(request.url).pathname === '/large'
          ? new Response('x'.repeat(100))
          : new Response(`${request.method} ${request.headers.get('host')} ${await request.text()}`, {
              headers: { 'cache-control': 'max-age=60' },
            }),
    })
    const proxy = await startForwardProxy(target.port ?? 0)
    const options = {
      ...throughProxy(),
      proxyOf: () => proxy.url,
      ca: local.cert,
      allows: () => true,
    }
    expect(await fetchPublic(new URL('https://localhost/keys'), options)).toEqual({
      status: 200,
      body: 'GET localhost ',
      type: 'text/plain',
      maxAge: 60,
    })
    expect(await postPublic(new URL('https://localhost/out'), { logout_token: 'x' }, options)).toBe(200)
    await expect(fetchPublic(new URL('https://localhost/large'), options)).rejects.toThrow('larger than 90')
    for (const asked of proxy.asked) expect(asked).toMatch(/^CONNECT (127\.0\.0\.1|\[::1\]):443$/)
    proxy.stop()
    target.stop(true)
  })
})

describe('a private certificate authority', () => {
  for (const variable of ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', undefined]) {
    test(`the homeserver of one is ${variable ? `trusted with ${variable}` : 'not trusted without a word'}`, async () => {
      const directory = await mkdtemp(join(tmpdir(), 'latchkey-ca-'))
      const { cert, key } = await selfSigned('localhost')
      const file = join(directory, 'ca.pem')
      await Bun.write(file, cert)
      const fake = createFakeHomeserver({ serverName: 'example.test', secret: 'shared' })
      using server = Bun.serve({
        port: 0,
        hostname: '127.0.0.1',
        tls: { cert, key },
        fetch: (request) => fake.fetch(request.url, request),
      })
      const source = new URL('../../src', import.meta.url).href
      const script = `
        import { createHomeserver } from '${source}/matrix/homeserver/create.ts'
        import { createOutgoingFetch, createProxyOf } from '${source}/http/outgoing.ts'
        const matrix = { kind: 'synapse', homeserver: 'example.test', endpoint: 'https://localhost:${server.port}/', secret: 'shared' }
        const homeserver = createHomeserver(matrix, { fetch: createOutgoingFetch(createProxyOf({ no_proxy: [] })) })
        console.log(await homeserver.isLocalpartAvailable('ada').catch((error) => error.kind))`
      const { NODE_EXTRA_CA_CERTS: _, SSL_CERT_FILE: __, ...rest } = process.env
      const child = Bun.spawn([process.execPath, '-e', script], {
        env: { ...rest, ...(variable !== undefined && { [variable]: file }) },
        stdout: 'pipe',
        stderr: 'inherit',
      })
      expect((await new Response(child.stdout).text()).trim()).toBe(variable ? 'true' : 'unreachable')
      await rm(directory, { recursive: true })
      await server.stop(true)
    })
  }
})

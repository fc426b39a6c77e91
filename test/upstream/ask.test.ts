import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Provider } from '../../src/identity/providers.ts'
import { createAsk } from '../../src/upstream/ask.ts'
import { ProviderError } from '../../src/upstream/provider-error.ts'

const ask = createAsk(fetch, {})
let hits: string[] = []
let server: Bun.Server<undefined>
let provider: Provider
beforeAll(() => {
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url)
      hits.push(pathname)
      if (pathname === '/redirect') return Response.redirect(`${server.url.origin}/secret`, 302)
      if (pathname === '/large') return new Response('x'.repeat(10_000_000))
      if (pathname === '/endless')
        return new Response(
          new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) }),
        )
      return new Response('{}')
    },
  })
  provider = { issuer: server.url.origin } as Provider
})
afterAll(() => server.stop(true))

const GET = { method: 'GET' as const }
const refusal = async (url: string): Promise<string> => {
  const error = await ask(provider, new URL(url), GET).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(ProviderError)
  return error instanceof Error ? error.message : ''
}

describe('what the metadata of a provider names besides the hosts of the configuration (SSRF)', () => {
  test.each([
    ['this machine', 'https://127.0.0.1:1/'],
    ['this machine, as a number', 'https://2130706433:1/'],
    ['this machine, in hexadecimal', 'https://0x7f000001:1/'],
    ['this machine, in short', 'https://127.1:1/'],
    ['this machine, by IPv6', 'https://[::1]:1/'],
    ['this machine, as IPv4 in IPv6', 'https://[::ffff:127.0.0.1]:1/'],
    ['this machine, by name', 'https://localhost:1/'],
    ['no address in particular', 'https://0.0.0.0:1/'],
    ['a private network', 'https://10.1.2.3/'],
    ['another one', 'https://172.16.0.1/'],
    ['and another one', 'https://192.168.1.1/'],
    ['a private IPv6 network', 'https://[fd00::1]/'],
    ['the metadata of a cloud', 'https://169.254.169.254/latest/meta-data/'],
    ['the same through a translator', 'https://[64:ff9b::a9fe:a9fe]/'],
  ])('is not asked where it is %s', async (_, url) => {
    expect(await refusal(url)).toMatch(/is not (a )?public/)
  })

  test.each(['http://harbour.example/', 'ftp://harbour.example/', 'file:///etc/passwd'])(
    'is not asked at %s',
    async (url) => {
      expect(await refusal(url)).toMatch(/is not https:/)
    },
  )

  test('is not asked at another port of a host that the configuration names', async () => {
    expect(await refusal(`https://127.0.0.1:${Number(server.port) + 1}/`)).toMatch(/is not a public/)
  })
})

describe('a host that the configuration names', () => {
  test('is asked also on this machine, and leads nowhere else: no redirect is followed', async () => {
    hits = []
    const answer = await ask(provider, new URL('/redirect', server.url), GET)
    expect(answer.status).toBe(302)
    expect(hits).toEqual(['/redirect'])
  })

  test.each(['/large', '/endless'])('may not answer with more than half a megabyte (%s)', async (path) => {
    expect(await refusal(new URL(path, server.url).href)).toContain('larger than 524288 bytes')
  })
})

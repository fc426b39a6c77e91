import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { isPublicAddress } from '../../src/http/fetch-public.ts'
import { selfSigned } from '../support/certificate.ts'
import { type ClientKey, clientKey } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { registerClient, WEB_CLIENT } from '../support/oauth.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let harness: Harness
let server: Bun.Server<undefined>
let answer: () => Response | Promise<Response>
let fetched = 0
beforeAll(async () => {
  const { cert, key } = await selfSigned('localhost')
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    fetch: () => {
      fetched++
      return answer()
    },
  })
  harness = await createHarness({ clientAuthority: cert })
})
afterAll(async () => {
  await server.stop(true)
  await harness.close()
})

let counter = 0
async function client(key: ClientKey, uri = `https://localhost:${server.port}/jwks-${counter++}`) {
  const { client_id: id } = await registerClient(harness, {
    ...WEB_CLIENT,
    grant_types: ['client_credentials', 'authorization_code'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: uri,
  })
  const ask = async (signer = key, kid = 'client-key'): Promise<Response> => {
    const seconds = Math.floor(harness.clock.now().getTime() / 1000)
    const claims = { iss: id, sub: id, aud: 'http://auth.test/', exp: seconds + 60, jti: `k-${counter++}` }
    return harness.form('/oauth2/token', {
      grant_type: 'client_credentials',
      client_assertion_type: JWT_BEARER,
      client_assertion: await signer.sign(claims, { kid }),
    })
  }
  const present = async (...how: Parameters<typeof ask>) => (await ask(...how)).status
  return { id, ask, present }
}

/** What an outage of the client's server is: worth another try, and no word about why. */
async function expectOutage(response: Response): Promise<void> {
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('30')
  expect(await response.json()).toEqual({
    error: 'temporarily_unavailable',
    error_description: 'The keys of the client cannot be fetched just now. Try again shortly.',
  })
}

const serve = (...keys: ClientKey[]) => {
  answer = () => Response.json({ keys: keys.map(({ jwk }) => jwk) })
}

describe('jwks_uri', () => {
  beforeEach(() => {
    fetched = 0
  })

  test('is fetched once and kept', async () => {
    const key = await clientKey()
    serve(key)
    const { present } = await client(key)
    expect([await present(), await present(), await present()]).toEqual([200, 200, 200])
    expect(fetched).toBe(1)
  })

  test('a new key of the client is found by its kid, but not more often than twice a minute', async () => {
    const first = await clientKey('ES256', 'first')
    const second = await clientKey('ES256', 'second')
    serve(first)
    const { present } = await client(first)
    expect(await present(first, 'first')).toBe(200)
    serve(first, second)
    expect(await present(second, 'second')).toBe(401)
    harness.clock.advance(31)
    expect(await present(second, 'second')).toBe(200)
    expect(await present(first, 'first')).toBe(200)
    expect(fetched).toBe(2)
    for (let guess = 0; guess < 5; guess++) expect(await present(first, `unknown-${guess}`)).toBe(401)
    expect(fetched).toBe(2)
  })

  test.each<[string, () => Response]>([
    ['404', () => new Response(null, { status: 404 })],
    ['a redirect', () => Response.redirect('https://localhost/', 302)],
    ['no JSON', () => new Response('<html>')],
    ['no key set', () => Response.json({ keys: 'x' })],
  ])('%s: an outage, not a refusal, and nothing of ours breaks', async (_name, bad) => {
    answer = bad
    const { id, ask } = await client(await clientKey())
    harness.logged.length = 0
    await expectOutage(await ask())
    expect(harness.logged.map(({ event }) => event)).not.toContain('request.failed')
    expect(harness.logged.map(({ event }) => event)).not.toContain('client.rejected')
    const told = harness.logged.filter(({ event }) => event === 'client.keys_unreachable')
    expect(told.map(({ fields }) => fields.client_id)).toEqual([id])
  })

  test('64 kB are read, and not a byte more: the key that the client signs with is in both', async () => {
    const key = await clientKey()
    const { ask, present } = await client(key)
    const set = (bytes: number) => {
      const empty = JSON.stringify({ keys: [key.jwk], x: '' })
      return JSON.stringify({ keys: [key.jwk], x: 'x'.repeat(bytes - empty.length) })
    }
    expect(set(65_537)).toHaveLength(65_537)
    answer = () => new Response(set(65_537))
    await expectOutage(await ask())
    // Neither does a body help whose length nobody says.
    answer = () => new Response(new Blob([set(100_000)]).stream())
    harness.clock.advance(31)
    await expectOutage(await ask())
    answer = () => new Response(set(65_536))
    harness.clock.advance(31)
    expect(await present()).toBe(200)
  })

  test('fifty keys are looked at, and no more', async () => {
    const key = await clientKey('ES256', 'mine')
    const others = await Promise.all(
      Array.from({ length: 50 }, (_, index) => clientKey('ES256', `other-${index}`)),
    )
    serve(...others.slice(1), key)
    const fits = await client(key)
    expect(await fits.present(key, 'mine')).toBe(200)
    serve(...others, key)
    const behind = await client(key)
    expect(await behind.present(key, 'mine')).toBe(401)
  })

  test('a server that never answers is given up', async () => {
    answer = () => new Promise(() => {})
    const { ask } = await client(await clientKey())
    await expectOutage(await ask())
  }, 180_000)

  test('a server that was down is asked again, but not at once', async () => {
    const key = await clientKey()
    answer = () => new Response(null, { status: 500 })
    const { present } = await client(key)
    expect([await present(), await present()]).toEqual([503, 503])
    expect(fetched).toBe(1)
    serve(key)
    expect(await present()).toBe(503)
    harness.clock.advance(31)
    expect(await present()).toBe(200)
  })

  test('while the server is down the keys of the last day serve, and nobody gets in with others', async () => {
    const [key, next] = [await clientKey('ES256', 'first'), await clientKey('ES256', 'second')]
    serve(key)
    const { ask, present } = await client(key)
    expect(await present(key, 'first')).toBe(200)
    answer = () => new Response(null, { status: 502 })
    harness.clock.advance(3600)
    expect(await present(key, 'first')).toBe(200)
    // Whether this one is the client's, only its server knows.
    await expectOutage(await ask(next, 'second'))
    expect(await present(key, 'first')).toBe(200)
    expect(await present(await clientKey(), 'first')).toBe(401)
    harness.clock.advance(86_400)
    await expectOutage(await ask(key, 'first'))
    serve(next)
    harness.clock.advance(31)
    expect([await present(next, 'second'), await present(key, 'first')]).toEqual([200, 401])
  })

  describe('for request objects too', () => {
    const CALLBACKS = ['https://app.example.com/callback', 'https://app.example.com/other']
    const begin = async () => {
      answer = () => new Response(null, { status: 500 })
      const key = await clientKey()
      const { client_id } = await registerClient(harness, {
        ...WEB_CLIENT,
        redirect_uris: CALLBACKS,
        jwks_uri: `https://localhost:${server.port}/jwks-${counter++}`,
      })
      return { client_id, request: await key.sign({ iss: client_id, aud: 'http://auth.test/' }) }
    }

    test('GET /authorize: temporarily_unavailable goes back to the client', async () => {
      const query = new URLSearchParams({
        ...(await begin()),
        redirect_uri: CALLBACKS[0] ?? '',
        state: 'a-state',
      })
      const response = await harness.request(`/authorize?${query}`)
      const url = new URL(response.headers.get('location') ?? '')
      expect([response.status, url.origin + url.pathname]).toEqual([303, CALLBACKS[0] ?? ''])
      expect(Object.fromEntries(url.searchParams)).toMatchObject({
        error: 'temporarily_unavailable',
        state: 'a-state',
      })
    })

    test('GET /authorize: a page with 503 where nothing says which address the client waits at', async () => {
      const response = await harness.request(`/authorize?${new URLSearchParams(await begin())}`)
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '30'])
      expect(response.headers.get('location')).toBeNull()
      expect(response.headers.get('content-type')).toStartWith('text/html')
    })

    test('POST /oauth2/par: 503', async () => {
      await expectOutage(await harness.form('/oauth2/par', await begin()))
    })
  })
})

describe('addresses that a stranger may not make us call (reference edge 25)', () => {
  test.each([
    ['127.0.0.1', false],
    ['10.1.2.3', false],
    ['169.254.169.254', false],
    ['172.16.0.1', false],
    ['192.168.1.1', false],
    ['100.64.0.1', false],
    ['0.0.0.0', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['::10.0.0.1', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    ['fd00::1', false],
    ['fe80::1', false],
    ['64:ff9b::7f00:1', false],
    ['64:ff9b:1::7f00:1', false],
    ['2001::1', false],
    ['fec0::1', false],
    ['not an address', false],
    ['93.184.216.34', true],
    ['2606:2800:220:1::1', true],
  ])('%s: %p', (address, allowed) => {
    expect(isPublicAddress(address)).toBe(allowed)
  })

  test('names and addresses on this machine are refused before anything is sent', async () => {
    const strict = await createHarness({ beside: harness })
    try {
      fetched = 0
      const key = await clientKey()
      serve(key)
      for (const host of ['localhost', '127.0.0.1', '[::1]']) {
        const { client_id: id } = await registerClient(strict, {
          ...WEB_CLIENT,
          grant_types: ['client_credentials', 'authorization_code'],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks_uri: `https://${host}:${server.port}/own`,
        })
        const seconds = Math.floor(strict.clock.now().getTime() / 1000)
        const response = await strict.form('/oauth2/token', {
          grant_type: 'client_credentials',
          client_assertion_type: JWT_BEARER,
          client_assertion: await key.sign({
            iss: id,
            sub: id,
            aud: 'http://auth.test/',
            exp: seconds + 60,
            jti: `s-${counter++}`,
          }),
        })
        // The same as for a server that is down: who asks must not learn what there is on our side.
        await expectOutage(response)
      }
      expect(fetched).toBe(0)
    } finally {
      await strict.close()
    }
  })
})

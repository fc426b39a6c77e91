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
  const present = async (signer = key, kid = 'client-key') => {
    const seconds = Math.floor(harness.clock.now().getTime() / 1000)
    const claims = { iss: id, sub: id, aud: 'http://auth.test/', exp: seconds + 60, jti: `k-${counter++}` }
    const response = await harness.form('/oauth2/token', {
      grant_type: 'client_credentials',
      client_assertion_type: JWT_BEARER,
      client_assertion: await signer.sign(claims, { kid }),
    })
    return response.status
  }
  return { present }
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
    ['100 kB', () => Response.json({ keys: [], x: 'x'.repeat(100_000) })],
  ])('%s: the client is refused, and nothing of ours breaks', async (_name, bad) => {
    answer = bad
    const { present } = await client(await clientKey())
    expect(await present()).toBe(401)
    expect(harness.logged.filter(({ event }) => event === 'request.failed')).toEqual([])
  })

  test('a server that never answers is given up', async () => {
    answer = () => new Promise(() => {})
    const { present } = await client(await clientKey())
    expect(await present()).toBe(401)
  }, 180_000)
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
        expect([host, response.status]).toEqual([host, 401])
      }
      expect(fetched).toBe(0)
    } finally {
      await strict.close()
    }
  })
})

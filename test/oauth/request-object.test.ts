import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { selfSigned } from '../support/certificate.ts'
import { type ClientKey, clientKey, signWithSecret } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, registerClient, WEB_CLIENT } from '../support/oauth.ts'

const CALLBACK = 'https://app.example.com/callback'
let harness: Harness
let server: Bun.Server<undefined>
let answer: (path: string) => Response
let fetched: string[] = []
let key: ClientKey
let clientId: string
beforeAll(async () => {
  const { cert, key: tlsKey } = await selfSigned('localhost')
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key: tlsKey },
    fetch: (request) => {
      const { pathname } = new URL(request.url)
      fetched.push(pathname)
      return answer(pathname)
    },
  })
  harness = await createHarness({ clientAuthority: cert })
  key = await clientKey()
  clientId = await register()
})
afterAll(async () => {
  await server.stop(true)
  await harness.close()
})

const register = async (metadata: object = {}): Promise<string> =>
  (await registerClient(harness, { ...WEB_CLIENT, jwks: { keys: [key.jwk] }, ...metadata })).client_id

const now = () => Math.floor(harness.clock.now().getTime() / 1000)
const parametersOf = (id: string, params: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(new URL(authorizeUrl(id, { scope: 'openid', ...params }), harness.origin).searchParams)

/** A signed request object with everything in it. */
const object = (claims: Record<string, unknown> = {}, header = {}, id = clientId, signer = key) =>
  signer.sign(
    {
      iss: id,
      aud: 'http://auth.test/',
      exp: now() + 300,
      ...parametersOf(id, { state: 'inside' }),
      ...claims,
    } as never,
    header,
  )

/** `page <status>`, `<error> <state>` at the client, or the path of ours. */
async function outcome(params: Record<string, string>): Promise<string> {
  const response = await harness.request(`/authorize?${new URLSearchParams(params)}`)
  if (response.status !== 303) return `page ${response.status}`
  const url = new URL(response.headers.get('location') ?? '', harness.origin)
  if (url.origin === harness.origin) return url.pathname
  expect(url.origin + url.pathname).toBe(CALLBACK)
  return new URLSearchParams(url.hash.slice(1) || url.search).get('error') ?? ''
}
const byValue = async (claims: Record<string, unknown> = {}, header = {}): Promise<string> =>
  outcome({ client_id: clientId, request: await object(claims, header) })

describe('request by value (RFC 9101, OpenID Connect Core 6.1)', () => {
  test('everything in the object, only client_id outside', async () => {
    expect(await byValue()).toBe('/login')
    expect(await byValue({}, { typ: 'oauth-authz-req+jwt' })).toBe('/login')
    expect(await byValue({}, { typ: 'JWT' })).toBe('/login')
    expect(await byValue({ aud: ['https://other.example/', 'http://auth.test'] })).toBe('/login')
  })

  test('the parameters inside are those that count', async () => {
    const request = await object({ prompt: 'none', max_age: 60, state: 'inside' })
    const response = await harness.request(
      `/authorize?${new URLSearchParams({
        ...parametersOf(clientId, { state: 'outside', redirect_uri: 'https://evil.example/' }),
        prompt: 'login',
        request,
      })}`,
      { headers: { referer: CALLBACK } },
    )
    const url = new URL(response.headers.get('location') ?? '')
    expect([url.origin + url.pathname, url.searchParams.get('error'), url.searchParams.get('state')]).toEqual(
      [CALLBACK, 'login_required', 'inside'],
    )
  })

  test('with openid outside, what is outside alone counts too (Core 6.1); without, nothing does (RFC 9101 6.3)', async () => {
    const { code_challenge: _, code_challenge_method: __, ...rest } = parametersOf(clientId)
    const request = await key.sign({
      iss: clientId,
      aud: 'http://auth.test/',
      exp: now() + 60,
      ...rest,
    } as never)
    const outside = parametersOf(clientId)
    expect(await outcome({ ...outside, request })).toBe('/login')
    expect(await outcome({ ...outside, scope: 'email', request })).toBe('invalid_request')
  })

  test('claims as an object, numbers in digits', async () => {
    expect(await byValue({ claims: { id_token: { auth_time: { essential: true } } }, max_age: 0 })).toBe(
      '/login',
    )
    expect(await byValue({ claims: { id_token: { acr: { essential: true, value: 'gold' } } } })).toBe(
      'unmet_authentication_requirements',
    )
    expect(await byValue({ max_age: 1.5 })).toBe('invalid_request')
  })

  test.each<[string, () => Promise<string>]>([
    ['signed with a key of somebody else', async () => object({}, {}, clientId, await clientKey())],
    [
      'signed with a key that nobody published',
      async () => object({}, { kid: 'x' }, clientId, await clientKey()),
    ],
    [
      'signed with a shared secret',
      async () => signWithSecret({ iss: clientId, aud: 'http://auth.test/' }, 'x'.repeat(32)),
    ],
    [
      'not signed',
      async () => `${btoa('{"alg":"none"}').replaceAll('=', '')}.${(await object()).split('.')[1]}.`,
    ],
    [
      'changed after it was signed',
      async () => (await object()).replace(/\.[^.]{20}/, '.eyJpc3MiOiJ4Ijp4eHh4'),
    ],
    ['encrypted', async () => 'a.b.c.d.e'],
    ['no JWT', async () => 'x'],
    ['of another type', () => object({}, { typ: 'at+jwt' })],
    ['expired', () => object({ exp: now() - 60 })],
    ['not valid yet', () => object({ nbf: now() + 60 })],
    ['from another issuer', () => object({ iss: 'somebody' })],
    ['from nobody', () => object({ iss: undefined })],
    ['for another server', () => object({ aud: 'https://other.example/' })],
    ['for nobody', () => object({ aud: undefined })],
    ['for another client', () => object({ client_id: '01J00000000000000000000000' })],
    ['that refers to another one', () => object({ request: 'x' })],
    ['that refers to an address', () => object({ request_uri: 'https://x.example/' })],
    ['with a parameter that is null', () => object({ nonce: null })],
    ['with a NUL', () => object({ nonce: 'a\0b' })],
    ['with half of a surrogate pair', () => object({ nonce: '\ud800' })],
  ])('refused: %s', async (_name, make) => {
    expect(await outcome({ client_id: clientId, request: await make() })).toBe('invalid_request_object')
  })

  test('a key that is none, of a client that has none', async () => {
    const { client_id } = await registerClient(harness, WEB_CLIENT)
    expect(await outcome({ client_id, request: await object({}, {}, client_id) })).toBe(
      'invalid_request_object',
    )
  })

  test('the response_type and the redirect URI are checked as ever', async () => {
    const request = await object()
    expect(await outcome({ client_id: clientId, response_type: 'token', request })).toBe('invalid_request')
    expect(await byValue({ redirect_uri: 'https://evil.example/' })).toBe('page 400')
    expect(await byValue({ response_type: 'token' })).toBe('unsupported_response_type')
  })

  test('request_object_signing_alg of the client is the only one that counts', async () => {
    const ps = await clientKey('PS256', 'ps')
    const both = { jwks: { keys: [key.jwk, ps.jwk] }, request_object_signing_alg: 'PS256' }
    const id = await register(both)
    expect(await outcome({ client_id: id, request: await object({}, {}, id) })).toBe('invalid_request_object')
    expect(await outcome({ client_id: id, request: await object({}, { kid: 'ps' }, id, ps) })).toBe('/login')
  })

  test('require_signed_request_object: nothing else is taken, and nothing outside counts', async () => {
    const id = await register({ require_signed_request_object: true })
    expect(await outcome(parametersOf(id))).toBe('invalid_request')
    expect(await outcome({ client_id: id, request: await object({}, {}, id) })).toBe('/login')
    const { code_challenge: _, code_challenge_method: __, ...rest } = parametersOf(id)
    const request = await key.sign({ iss: id, aud: 'http://auth.test/', exp: now() + 60, ...rest } as never)
    expect(await outcome({ ...parametersOf(id), request })).toBe('invalid_request')
    const plain = await harness.form('/oauth2/par', parametersOf(id))
    expect([plain.status, ((await plain.json()) as { error: string }).error]).toEqual([
      400,
      'invalid_request',
    ])
    const signed = await harness.form('/oauth2/par', { client_id: id, request: await object({}, {}, id) })
    const { request_uri = '' } = (await signed.json()) as { request_uri?: string }
    expect(await outcome({ client_id: id, request_uri })).toBe('/login')
  })
})

describe('request_uri (OpenID Connect Core 6.2)', () => {
  const uri = (path: string): string => `https://localhost:${server.port}${path}`

  test('a registered one is fetched, and what it holds counts', async () => {
    const id = await register({ request_uris: [uri('/object'), uri('/object#part')] })
    const request = await object({}, {}, id)
    answer = () => new Response(request)
    expect(await outcome({ client_id: id, request_uri: uri('/object') })).toBe('/login')
    expect(await outcome({ client_id: id, request_uri: uri('/object#part') })).toBe('/login')
  })

  test('anything else is not even asked', async () => {
    const id = await register({ request_uris: [uri('/object')] })
    fetched = []
    for (const other of [
      uri('/object/'),
      uri('/object?x=1'),
      uri('/object#x'),
      uri('/Object'),
      'https://localhost/object',
      'http://169.254.169.254/latest',
      'file:///etc/passwd',
      'x',
    ])
      expect(await outcome({ client_id: id, request_uri: other })).toBe('invalid_request_uri')
    expect(await outcome({ client_id: clientId, request_uri: uri('/object') })).toBe('invalid_request_uri')
    expect(fetched).toEqual([])
  })

  test('what is no request object, too much, or an error there', async () => {
    const id = await register({ request_uris: [uri('/object')] })
    const ask = () => outcome({ client_id: id, request_uri: uri('/object') })
    answer = () => new Response('<html>')
    expect(await ask()).toBe('invalid_request_object')
    answer = () => new Response('x'.repeat(100_000))
    expect(await ask()).toBe('invalid_request_uri')
    answer = () => new Response('gone', { status: 410 })
    expect(await ask()).toBe('invalid_request_uri')
    answer = () => Response.redirect(uri('/elsewhere'))
    fetched = []
    expect(await ask()).toBe('invalid_request_uri')
    expect(fetched).toEqual(['/object'])
  })

  test('private addresses are not fetched', async () => {
    const other = await createHarness({ beside: harness })
    const id = await register({ request_uris: [uri('/object')] })
    fetched = []
    const response = await other.request(
      `/authorize?${new URLSearchParams({ client_id: id, request_uri: uri('/object') })}`,
    )
    expect(response.headers.get('location')).toContain('error=invalid_request_uri')
    expect(fetched).toEqual([])
    await other.close()
  })

  test('fetches for one client are limited', async () => {
    const id = await register({ request_uris: [uri('/object')], client_name: 'Eager' })
    answer = () => new Response('x')
    const pages = await Promise.all(
      Array.from({ length: 110 }, () => outcome({ client_id: id, request_uri: uri('/object') })),
    )
    expect(pages.filter((page) => page === 'page 429')).toHaveLength(10)
  })
})

describe('registration', () => {
  const refusal = async (metadata: object): Promise<string> => {
    const response = await harness.request('/oauth2/registration', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...WEB_CLIENT, ...metadata }),
    })
    return ((await response.json()) as { error?: string }).error ?? String(response.status)
  }
  test.each<[string, object, string]>([
    ['an algorithm of ours', { request_object_signing_alg: 'ES256' }, '201'],
    ['none', { request_object_signing_alg: 'none' }, 'invalid_client_metadata'],
    ['a shared secret', { request_object_signing_alg: 'HS256' }, 'invalid_client_metadata'],
    ['an http request_uri', { request_uris: ['http://app.example.com/r'] }, 'invalid_client_metadata'],
    ['a request_uri that is none', { request_uris: ['x'] }, 'invalid_client_metadata'],
    ['signed requests without keys', { require_signed_request_object: true }, 'invalid_client_metadata'],
    ['a flag that is none', { require_pushed_authorization_requests: 'yes' }, 'invalid_client_metadata'],
  ])('%s', async (_name, metadata, expected) => {
    expect(await refusal(metadata)).toBe(expected)
  })
})

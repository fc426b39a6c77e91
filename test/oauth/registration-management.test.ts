import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { transact } from '../../src/lib/transact.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  basic,
  introspect,
  obtainCode,
  pkce,
  registerClient,
  signedInApp,
  signUp,
  staticClient,
  type TokenBody,
  WEB_CLIENT,
} from '../support/oauth.ts'

const CONFIDENTIAL = { ...WEB_CLIENT, token_endpoint_auth_method: 'client_secret_basic' }
/** What the server adds to a registration, and a client must not send back. */
const SERVER_MEMBERS = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
]
const DAY = 24 * 3600

type Answer = Record<string, unknown>

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

let counter = 0
let client: Answer
let uri: string
let token: string
beforeEach(async () => {
  client = await register({ ...CONFIDENTIAL, client_name: `App ${++counter}` })
  uri = String(client.registration_client_uri)
  token = String(client.registration_access_token)
})

async function register(metadata: object): Promise<Answer> {
  const response = await harness.request('/oauth2/registration', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(metadata),
  })
  expect(response.status).toBe(201)
  return (await response.json()) as Answer
}

const call = (method: string, body?: unknown, bearer = token, address = uri): Promise<Response> =>
  harness.request(new URL(address).pathname, {
    method,
    headers: {
      authorization: `Bearer ${bearer}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })

/** What a client sends to replace itself: what it was told, without the server's members. */
const asSent = (answer: Answer, changes: object = {}): Answer => {
  const members = { ...answer, ...changes }
  for (const name of SERVER_MEMBERS) delete (members as Answer)[name]
  return members
}
const credentials = (answer = client) => basic(String(answer.client_id), String(answer.client_secret))
/** Whether the token endpoint takes the client: invalid_grant means that it does. */
const authenticates = async (headers: Record<string, string>): Promise<boolean> => {
  const response = await harness.form(
    '/oauth2/token',
    { grant_type: 'refresh_token', refresh_token: 'x' },
    headers,
  )
  return response.status === 400
}

describe('POST /oauth2/registration: who may manage a registration (decision 13, RFC 7592 section 3)', () => {
  test('a client with a secret gets a token and an address', async () => {
    expect(token).toMatch(/^[\w-]{43}$/)
    expect(uri).toBe(`http://auth.test/oauth2/registration/${client.client_id}`)
  })

  test.each(['none', 'private_key_jwt'])(
    '%s: the client may share its row and gets neither',
    async (method) => {
      const answer = await register({
        ...WEB_CLIENT,
        token_endpoint_auth_method: method,
        ...(method === 'private_key_jwt' && { jwks_uri: 'https://app.example.com/jwks' }),
      })
      expect(answer).not.toHaveProperty('registration_access_token')
      expect(answer).not.toHaveProperty('registration_client_uri')
    },
  )

  test('the token is stored as its digest and never logged', async () => {
    const [row] = await harness.database.sql`
      select * from latchkey.clients where id = ${uuidFromUlid(String(client.client_id)) ?? ''}`
    expect(JSON.stringify(row)).not.toContain(token)
    expect(row).toMatchObject({ registration_token_hash: expect.any(Uint8Array) })
    await call('GET')
    expect(JSON.stringify(harness.logged)).not.toContain(token)
  })
})

describe('authentication (RFC 7592 sections 2 and 5)', () => {
  const everyMethod = [['GET'], ['PUT'], ['DELETE']]

  test.each(everyMethod)(
    '%s with a wrong token, another client’s, or for another client: 401',
    async (method) => {
      const other = await register({ ...CONFIDENTIAL, client_name: `Other ${counter}` })
      const body = method === 'PUT' ? asSent(client) : undefined
      const attempts: [bearer: string, address: string][] = [
        [`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`, uri],
        [String(other.registration_access_token), uri],
        [token, String(other.registration_client_uri)],
        [String(client.client_secret), uri],
        [token, uri.replace(/[^/]+$/, '01J00000000000000000000000')],
        [token, uri.replace(/[^/]+$/, 'nonsense')],
      ]
      for (const [bearer, address] of attempts) {
        const response = await call(method, body, bearer, address)
        expect([address, response.status]).toEqual([address, 401])
        expect(response.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
        expect(await response.text()).toBe('')
      }
      expect((await call('GET')).status).toBe(200)
    },
  )

  test.each(everyMethod)(
    '%s without a token: 401 with a bare challenge (RFC 6750 section 3.1)',
    async (method) => {
      const response = await harness.request(new URL(uri).pathname, { method })
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    },
  )

  test.each(everyMethod)('%s with the client’s own credentials: 401', async (method) => {
    const response = await harness.request(new URL(uri).pathname, { method, headers: credentials() })
    expect(response.status).toBe(401)
  })

  test.each(everyMethod)('%s of a shared or configured client: 401, whatever is sent', async (method) => {
    const shared = await registerClient(harness)
    const configured = await staticClient(harness, ['https://app.example.com/'])
    for (const { client_id } of [shared, configured])
      for (const bearer of [token, '', 'null'])
        expect(
          (await call(method, undefined, bearer, `http://auth.test/oauth2/registration/${client_id}`)).status,
        ).toBe(401)
  })

  test('a client that the configuration took over is not managed from outside any more', async () => {
    await harness.database.sql`
      update latchkey.clients set is_static = true where id = ${uuidFromUlid(String(client.client_id)) ?? ''}`
    expect((await call('DELETE')).status).toBe(401)
  })
})

describe('GET (RFC 7592 section 2.1)', () => {
  test('answers what the registration did, never kept', async () => {
    const response = await call('GET')
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(await response.json()).toEqual(client)
  })

  test('localised members are kept', async () => {
    const french = await register({ ...CONFIDENTIAL, 'client_name#fr': 'Appli' })
    const response = await call(
      'GET',
      undefined,
      String(french.registration_access_token),
      String(french.registration_client_uri),
    )
    expect(await response.json()).toMatchObject({ 'client_name#fr': 'Appli' })
  })
})

describe('PUT (RFC 7592 section 2.2)', () => {
  test('replaces everything: what is left out is gone; id, token, secret and time of issue stay', async () => {
    const changes = { client_name: 'Renamed', logo_uri: 'https://app.example.com/logo.png' }
    const first = await call('PUT', asSent(client, { ...changes, contacts: ['a@example.com'] }))
    expect([first.status, first.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(await first.json()).toEqual({ ...client, ...changes, contacts: ['a@example.com'] })
    const { client_name: _, ...nameless } = asSent(client)
    const second = (await (await call('PUT', nameless)).json()) as Answer
    for (const name of ['client_name', 'logo_uri', 'contacts']) expect(second).not.toHaveProperty(name)
    expect(await (await call('GET')).json()).toEqual(second)
    expect(await authenticates(credentials())).toBe(true)
  })

  test('the new redirect URIs count, the old ones do not', async () => {
    await call('PUT', asSent(client, { redirect_uris: ['https://app.example.com/new'] }))
    const authorize = (redirectUri: string) =>
      harness.request(
        `/authorize?${new URLSearchParams({ client_id: String(client.client_id), response_type: 'code', redirect_uri: redirectUri, scope: 'openid' })}`,
      )
    expect((await authorize('https://app.example.com/callback')).status).toBe(400)
    expect((await authorize('https://app.example.com/new')).status).toBe(303)
  })

  test('the secret may be sent as it is, and left out', async () => {
    const { client_secret: _, ...without } = asSent(client)
    expect((await call('PUT', asSent(client))).status).toBe(200)
    expect(await (await call('PUT', without)).json()).toMatchObject({ client_secret: client.client_secret })
  })

  test.each<[string, (sent: Answer) => unknown, string]>([
    ['no client_id', ({ client_id: _, ...rest }) => rest, 'invalid_request'],
    [
      'another client_id',
      (sent) => ({ ...sent, client_id: '01J00000000000000000000000' }),
      'invalid_request',
    ],
    ['another secret', (sent) => ({ ...sent, client_secret: 'chosen' }), 'invalid_client_metadata'],
    ['a secret that is null', (sent) => ({ ...sent, client_secret: null }), 'invalid_client_metadata'],
    ...SERVER_MEMBERS.map((name): [string, (sent: Answer) => unknown, string] => [
      name,
      (sent) => ({ ...sent, [name]: client[name] }),
      'invalid_request',
    ]),
    ['no JSON', () => '{', 'invalid_request'],
    ['a list', () => [], 'invalid_request'],
    ['no client_uri', ({ client_uri: _, ...rest }) => rest, 'invalid_client_metadata'],
    [
      'a redirect elsewhere',
      (sent) => ({ ...sent, redirect_uris: ['https://evil.test/'] }),
      'invalid_redirect_uri',
    ],
    [
      'a logout address elsewhere',
      (sent) => ({ ...sent, backchannel_logout_uri: 'https://evil.test/' }),
      'invalid_client_metadata',
    ],
    [
      'an unknown method',
      (sent) => ({ ...sent, token_endpoint_auth_method: 'magic' }),
      'invalid_client_metadata',
    ],
  ])('refused, and nothing changes: %s', async (_name, change, code) => {
    const response = await call('PUT', change(asSent(client)))
    expect([response.status, ((await response.json()) as Answer).error]).toEqual([400, code])
    expect(await (await call('GET')).json()).toEqual(client)
  })

  test('another media type is refused', async () => {
    const response = await harness.request(new URL(uri).pathname, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'text/plain' },
      body: JSON.stringify(asSent(client)),
    })
    expect(response.status).toBe(400)
  })

  test('a client that gives up its secret loses it, and gets a new one when it wants one again', async () => {
    const none = (await (
      await call('PUT', asSent(client, { client_secret: undefined, token_endpoint_auth_method: 'none' }))
    ).json()) as Answer
    expect(none).not.toHaveProperty('client_secret')
    expect(await authenticates(credentials())).toBe(false)
    // It still shares its row with nobody.
    const twin = await register({ ...asSent(none), client_id: undefined })
    expect(twin.client_id).not.toBe(client.client_id)
    const again = (await (
      await call('PUT', asSent(none, { token_endpoint_auth_method: 'client_secret_basic' }))
    ).json()) as Answer
    expect(again.client_secret).toMatch(/^[0-9A-Za-z]{32}$/)
    expect(again.client_secret).not.toBe(client.client_secret)
    expect(await authenticates(credentials(again))).toBe(true)
  })
})

describe('DELETE (RFC 7592 section 2.3)', () => {
  test('204; the client, its token and its secret are good for nothing from then on', async () => {
    const response = await call('DELETE')
    expect([response.status, await response.text()]).toEqual([204, ''])
    expect((await call('GET')).status).toBe(401)
    expect((await call('DELETE')).status).toBe(401)
    expect(await authenticates(credentials())).toBe(false)
  })

  test('ends its sessions, and the homeserver forgets their devices but not those of others', async () => {
    const { browser, tokens: other } = await signedInApp(harness, 'alice')
    const code = await obtainCode(browser, String(client.client_id), {
      scope: 'openid urn:matrix:client:api:* urn:matrix:client:device:BBBBBBBBBB',
    })
    const response = await harness.form(
      '/oauth2/token',
      { grant_type: 'authorization_code', code, code_verifier: pkce().verifier },
      credentials(),
    )
    const tokens = (await response.json()) as TokenBody
    expect(await introspect(harness, tokens.access_token)).toMatchObject({ active: true })
    expect(harness.homeserver.devicesOf('alice')).toEqual(['AAAAAAAAAA', 'BBBBBBBBBB'])
    await call('DELETE')
    expect(await introspect(harness, tokens.access_token)).toEqual({ active: false })
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('alice')).toEqual(['AAAAAAAAAA'])
    expect(await introspect(harness, other.access_token)).toMatchObject({ active: true })
  })
})

describe('cleaning up (decision 13)', () => {
  const cleanUp = async () => {
    await transact(harness.deps.sql, (tx) => harness.deps.jobs.enqueue(tx, 'clean-up', {}))
    await harness.runJobs()
  }
  const exists = async (one: Answer | { client_id: string }): Promise<boolean> => {
    const [row] = await harness.database.sql`
      select 1 from latchkey.clients where id = ${uuidFromUlid(String(one.client_id)) ?? ''}`
    return row !== undefined
  }
  const fresh = (): object => ({ ...WEB_CLIENT, client_name: `Fresh ${++counter}` })

  test('a client that completed no grant in 90 days goes, shared or not; a younger one stays', async () => {
    const shared = await register(fresh())
    harness.clock.advance(89 * DAY)
    const young = await register(fresh())
    await cleanUp()
    expect([await exists(client), await exists(shared)]).toEqual([true, true])
    harness.clock.advance(2 * DAY)
    await cleanUp()
    expect([await exists(client), await exists(shared), await exists(young)]).toEqual([false, false, true])
    expect((await call('GET')).status).toBe(401)
  })

  test('one that completed a grant stays for ever, even when its sessions are gone', async () => {
    const { clientId } = await signedInApp(harness, `person-${++counter}`)
    await harness.database.sql`delete from latchkey.oauth_sessions`
    harness.clock.advance(1000 * DAY)
    await cleanUp()
    expect(await exists({ client_id: clientId })).toBe(true)
  })

  test('one that was registered again by another install stays: that one has kept its id', async () => {
    const metadata = fresh()
    const first = await register(metadata)
    harness.clock.advance(60 * DAY)
    expect((await register(metadata)).client_id).toBe(first.client_id)
    harness.clock.advance(60 * DAY)
    await cleanUp()
    expect(await exists(first)).toBe(true)
    harness.clock.advance(60 * DAY)
    await cleanUp()
    expect(await exists(first)).toBe(false)
    expect((await register(metadata)).client_id).not.toBe(first.client_id)
  })

  test('one that somebody is signing in to right now stays', async () => {
    const old = await register(fresh())
    harness.clock.advance(100 * DAY)
    const browser = harness.browser()
    await signUp(browser, `person-${++counter}`)
    await obtainCode(browser, String(old.client_id), { scope: 'openid' })
    await cleanUp()
    expect(await exists(old)).toBe(true)
    harness.clock.advance(2 * DAY)
    await cleanUp()
    expect(await exists(old)).toBe(false)
  })

  test('a client of the configuration stays', async () => {
    const configured = await staticClient(harness, ['https://app.example.com/'])
    harness.clock.advance(1000 * DAY)
    await cleanUp()
    expect(await exists(configured)).toBe(true)
  })

  test('JWTs that could not be used again are forgotten', async () => {
    const expired = new Date(harness.clock.now().getTime() - 1000)
    const good = new Date(harness.clock.now().getTime() + 1000)
    for (const [digest, expiresAt] of [
      ['\\x01', expired],
      ['\\x02', good],
    ] as const)
      await harness.database
        .sql`insert into latchkey.used_jwts (digest, expires_at) values (${digest}::text::bytea, ${expiresAt})`
    await cleanUp()
    expect(await harness.database.sql`select 1 from latchkey.used_jwts`).toHaveLength(1)
  })
})

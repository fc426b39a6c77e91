import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import type { Browser } from '../support/browser.ts'
import { type ClientKey, clientKey, signWithSecret } from '../support/client-keys.ts'
import { approve, DEVICE_GRANT, enterCode, registerDeviceClient, requestDevice } from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  basic,
  exchange,
  introspect,
  obtainCode,
  pkce,
  registerClient,
  signUp,
  staticClient,
  type TokenBody,
  WEB_CLIENT,
} from '../support/oauth.ts'
import { personalToken } from '../support/personal.ts'

/**
 * The error maps of the endpoints for apps, row by row as the reference has them: sections 1.2 (userinfo, revocation),
 * 4.1 (how clients authenticate, at every endpoint where they do) and 4.5 (the token endpoint). The rows of section 3.2
 * are in `authorize.test.ts`; those of requests for tokens without a code in `implicit.test.ts`.
 */

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const UNKNOWN = '01J00000000000000000000000'

let harness: Harness
let browser: Browser
/** A public client and one with a secret, of each method that has one. */
let publicId: string
let withBasic: { id: string; secret: string }
let withPost: { id: string; secret: string }
let withSecretJwt: { id: string; secret: string }
let withKey: { id: string; key: ClientKey }
let unsealed: { id: string; secret: string }
let unreachable: { id: string; key: ClientKey }
/** Spoilt in the database: without a secret, and without keys. */
let withoutSecret: { id: string; secret: string }
let withoutSecretJwt: { id: string; secret: string }
let withoutKeys: { id: string; key: ClientKey }
let configured: { client_id: string; client_secret: string }

async function secretClient(method: string): Promise<{ id: string; secret: string }> {
  const { client_id, client_secret = '' } = await registerClient(harness, {
    ...WEB_CLIENT,
    client_name: method,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_method: method,
  })
  return { id: client_id, secret: client_secret }
}

beforeAll(async () => {
  harness = await createHarness()
  browser = harness.browser()
  await signUp(browser, 'alice')
  publicId = (await registerClient(harness)).client_id
  withBasic = await secretClient('client_secret_basic')
  withPost = await secretClient('client_secret_post')
  withSecretJwt = await secretClient('client_secret_jwt')
  unsealed = await secretClient('client_secret_basic')
  await harness.database.sql`
    update latchkey.clients set sealed_secret = 'of another key' where id = ${uuidFromUlid(unsealed.id) ?? ''}`
  const key = await clientKey()
  const { client_id } = await registerClient(harness, {
    ...WEB_CLIENT,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [key.jwk] },
  })
  withKey = { id: client_id, key }
  const { client_id: id } = await registerClient(harness, {
    ...WEB_CLIENT,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: 'https://localhost:1/jwks.json',
  })
  unreachable = { id, key }
  withoutSecret = await secretClient('client_secret_basic')
  withoutSecretJwt = await secretClient('client_secret_jwt')
  const { client_id: keyless } = await registerClient(harness, {
    ...WEB_CLIENT,
    client_name: 'Without keys',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [key.jwk] },
  })
  withoutKeys = { id: keyless, key }
  for (const { id: spoilt } of [withoutSecret, withoutSecretJwt, withoutKeys])
    await harness.database.sql`
      update latchkey.clients set sealed_secret = null, metadata = metadata - 'jwks'
      where id = ${uuidFromUlid(spoilt) ?? ''}`
  configured = await staticClient(harness, WEB_CLIENT.redirect_uris)
})
afterAll(() => harness.close())

type Headers = Record<string, string>
type Fields = Record<string, string>

/** What an error is: status, code, and that it is JSON which nobody keeps and other origins may read. */
async function expectError(response: Response, status: number, error: string): Promise<void> {
  const body = (await response.json()) as { error: string; error_description: string }
  expect([response.status, body.error]).toEqual([status, error])
  expect(body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  expect(Object.keys(body).sort()).toEqual(['error', 'error_description'])
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('access-control-allow-origin')).toBe('*')
  // Scripts of web apps would be shown the browser's own sign-in window.
  expect(response.headers.has('www-authenticate')).toBe(false)
}

/** Asks a process of the same deployment whose configuration has no P-384 key (any more). */
async function withoutItsKey<T>(ask: (process: Harness) => Promise<T>): Promise<T> {
  const keys = (await generateSigningKeys()).slice(0, 2).map(({ kid, pem }) => ({ kid, key: pem }))
  const process = await createHarness({ beside: harness, config: { secrets: { keys } } })
  try {
    const result = await ask(process)
    const failed = process.logged.filter(({ event }) => event === 'request.failed')
    expect(failed.map(({ fields }) => String(fields.error))).toEqual([
      'KeyError: No configured key can sign with "ES384".',
    ])
    return result
  } finally {
    await process.close()
  }
}

/** A failure of ours says no more than where its cause is in the log. */
async function expectReference(response: Response): Promise<void> {
  const failed = harness.logged.find(({ event }) => event === 'request.failed')
  expect(failed?.level).toBe('error')
  expect(failed?.fields.error).toBeInstanceOf(Error)
  expect((await response.json()).error_description).toBe(
    `Something went wrong on this server. Reference: ${failed?.fields.reference}`,
  )
}

const seconds = (): number => Math.floor(harness.clock.now().getTime() / 1000)
let assertions = 0
const claimsOf = (id: string) => ({
  iss: id,
  sub: id,
  aud: 'http://auth.test/',
  iat: seconds(),
  exp: seconds() + 60,
  jti: `error-map-${++assertions}`,
})
const asserted = (client_assertion: string, type = JWT_BEARER): Fields => ({
  client_assertion_type: type,
  client_assertion,
})

// --- section 4.1

/** Where clients authenticate, with what the endpoint wants besides. */
const ENDPOINTS: Record<string, Fields> = {
  '/oauth2/token': { grant_type: 'authorization_code', code: 'x', code_verifier: 'v'.repeat(43) },
  '/oauth2/revoke': { token: 'x' },
  '/oauth2/introspect': { token: 'x' },
  '/oauth2/device': { scope: 'openid' },
  '/oauth2/par': { response_type: 'code' },
}

/** Rows of section 4.1: what a client presents, and the answer. */
const CREDENTIALS: [string, () => Promise<[Fields, Headers?]> | [Fields, Headers?], number, string][] = [
  ['an Authorization header that is none', () => [{}, { authorization: 'x' }], 400, 'invalid_request'],
  ['Basic that is not base64', () => [{}, { authorization: 'Basic %%%' }], 400, 'invalid_request'],
  ['Basic without a colon', () => [{}, { authorization: `Basic ${btoa('x')}` }], 400, 'invalid_request'],
  ['an assertion that is no JWT', () => [asserted('x')], 400, 'invalid_request'],
  [
    'an assertion of an unknown type',
    async () => [asserted(await withKey.key.sign(claimsOf(withKey.id)), 'urn:x')],
    400,
    'invalid_request',
  ],
  [
    'an assertion without its type',
    async () => [{ client_assertion: await withKey.key.sign(claimsOf(withKey.id)) }],
    400,
    'invalid_request',
  ],
  [
    'a header and a secret in the form',
    () => [{ client_secret: withBasic.secret }, basic(withBasic.id, withBasic.secret)],
    400,
    'invalid_request',
  ],
  [
    'a header and an assertion',
    async () => [
      asserted(await withKey.key.sign(claimsOf(withKey.id))),
      basic(withBasic.id, withBasic.secret),
    ],
    400,
    'invalid_request',
  ],
  ['no credentials', () => [{}], 400, 'invalid_request'],
  [
    'another client_id in the form than in the header',
    () => [{ client_id: withPost.id }, basic(withBasic.id, withBasic.secret)],
    400,
    'invalid_grant',
  ],
  [
    'another client_id in the form than in the assertion',
    async () => [{ client_id: withPost.id, ...asserted(await withKey.key.sign(claimsOf(withKey.id))) }],
    400,
    'invalid_grant',
  ],
  ['an unknown client', () => [{ client_id: UNKNOWN }], 401, 'invalid_client'],
  ['an unknown client with a secret', () => [{}, basic(UNKNOWN, 'x')], 401, 'invalid_client'],
  ['a client_id that is none', () => [{ client_id: 'x' }], 401, 'invalid_client'],
  ['a wrong secret in the header', () => [{}, basic(withBasic.id, 'wrong')], 401, 'invalid_client'],
  [
    'a wrong secret in the form',
    () => [{ client_id: withPost.id, client_secret: 'wrong' }],
    401,
    'invalid_client',
  ],
  [
    'an assertion under another secret',
    async () => [asserted(await signWithSecret(claimsOf(withSecretJwt.id), 'x'.repeat(32)))],
    401,
    'invalid_client',
  ],
  [
    'an assertion under another key',
    async () => [asserted(await (await clientKey()).sign(claimsOf(withKey.id)))],
    401,
    'invalid_client',
  ],
  ['none, of a client that registered a secret', () => [{ client_id: withBasic.id }], 401, 'invalid_client'],
  [
    'client_secret_post, of a client that registered client_secret_basic',
    () => [{ client_id: withBasic.id, client_secret: withBasic.secret }],
    401,
    'invalid_client',
  ],
  [
    'client_secret_basic, of a client that registered client_secret_post',
    () => [{}, basic(withPost.id, withPost.secret)],
    401,
    'invalid_client',
  ],
  ['client_secret_basic, of a public client', () => [{}, basic(publicId, 'x')], 401, 'invalid_client'],
  ['a secret that no key opens', () => [{}, basic(unsealed.id, unsealed.secret)], 500, 'server_error'],
  [
    'a secret, of a client that lost its own',
    () => [{}, basic(withoutSecret.id, withoutSecret.secret)],
    500,
    'server_error',
  ],
  [
    'an assertion under a secret, of a client that lost it',
    async () => [asserted(await signWithSecret(claimsOf(withoutSecretJwt.id), withoutSecretJwt.secret))],
    500,
    'server_error',
  ],
  [
    'an assertion, of a client that lost its keys',
    async () => [asserted(await withoutKeys.key.sign(claimsOf(withoutKeys.id)))],
    500,
    'server_error',
  ],
]

for (const [path, fields] of Object.entries(ENDPOINTS))
  describe(`POST ${path}: client authentication (reference 4.1)`, () => {
    test.each(CREDENTIALS)('%s', async (_name, present, status, error) => {
      const [more, headers] = await present()
      harness.logged.length = 0
      const response = await harness.form(path, { ...fields, ...more }, headers)
      if (status === 500) await expectReference(response.clone())
      await expectError(response, status, error)
    })

    test.each(['application/json', 'text/plain', ''])('a body of the type "%s"', async (type) => {
      const headers = { ...basic(withBasic.id, withBasic.secret), 'content-type': type }
      const response = await harness.request(path, { method: 'POST', headers, body: '{}' })
      await expectError(response, 400, 'invalid_request')
    })

    test('no body', async () => {
      const headers = basic(withBasic.id, withBasic.secret)
      await expectError(await harness.request(path, { method: 'POST', headers }), 400, 'invalid_request')
    })

    test('keys that cannot be fetched: 503 with Retry-After (the reference has 500; an outage is never a 4xx)', async () => {
      const assertion = asserted(await unreachable.key.sign(claimsOf(unreachable.id)))
      const response = await harness.form(path, { ...fields, ...assertion })
      expect(response.headers.get('retry-after')).toBe('30')
      await expectError(response, 503, 'temporarily_unavailable')
    })

    if (path !== '/oauth2/introspect')
      test('a bearer token, which is for introspection', async () => {
        const headers = { authorization: 'Bearer test-shared-secret-of-matrix' }
        await expectError(await harness.form(path, fields, headers), 401, 'invalid_client')
      })
  })

// --- section 1.2

describe('GET and POST /oauth2/userinfo (reference 1.2)', () => {
  const ask = async (headers: Headers, form?: Fields): Promise<[number, string, string | null]> => {
    const response = form
      ? await harness.form('/oauth2/userinfo', form, headers)
      : await harness.request('/oauth2/userinfo', { headers })
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    return [response.status, await response.text(), response.headers.get('www-authenticate')]
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const clientToken = async (): Promise<string> => {
    const response = await harness.form(
      '/oauth2/token',
      { grant_type: 'client_credentials', scope: 'openid' },
      basic(withBasic.id, withBasic.secret),
    )
    return ((await response.json()) as TokenBody).access_token
  }
  const tokens = async (scope = 'openid') =>
    exchange(harness, publicId, await obtainCode(browser, publicId, { scope }))

  const NOTHING: [string, () => Promise<Headers>][] = [
    ['no token', async () => ({})],
    ['a token that is none', async () => bearer('x')],
    ['an unknown token', async () => bearer(`mat_${'x'.repeat(30)}_AAAAAA`)],
    ['a refresh token', async () => bearer((await tokens()).refresh_token)],
    [
      'a token without the scope openid',
      async () => bearer((await tokens('urn:matrix:client:api:*')).access_token),
    ],
    ['a token of a client, which is nobody', async () => bearer(await clientToken())],
    [
      'a revoked token',
      async () => {
        const { access_token: token } = await tokens()
        await harness.form('/oauth2/revoke', { token, client_id: publicId })
        return bearer(token)
      },
    ],
    [
      'an expired token',
      async () => {
        const { access_token: token } = await tokens()
        harness.clock.advance(301)
        return bearer(token)
      },
    ],
  ]
  test.each(NOTHING)('%s: 401, empty, no WWW-Authenticate', async (_name, headers) => {
    expect(await ask(await headers())).toEqual([401, '', null])
  })

  const MALFORMED: [string, (token: string) => [Headers, Fields?]][] = [
    ['another scheme', () => [{ authorization: 'Basic eDp4' }]],
    ['Bearer without a token', () => [{ authorization: 'Bearer' }]],
    ['two tokens in the header', (token) => [{ authorization: `Bearer ${token} ${token}` }]],
    ['a token in the header and in the form', (token) => [bearer(token), { access_token: token }]],
  ]
  test.each(MALFORMED)('%s: 400, empty, with WWW-Authenticate', async (_name, present) => {
    const [headers, form] = present((await tokens()).access_token)
    expect(await ask(headers, form)).toEqual([400, '', 'Bearer error="invalid_request"'])
  })

  test('a token in the query, where logs keep it: 400, empty, though the reference takes it', async () => {
    const { access_token: token } = await tokens()
    const response = await harness.request(`/oauth2/userinfo?access_token=${token}`)
    expect([response.status, await response.text(), response.headers.get('www-authenticate')]).toEqual([
      400,
      '',
      'Bearer error="invalid_request"',
    ])
  })

  test('a token in the form alone is as good as one in the header', async () => {
    const [status, body] = await ask({}, { access_token: (await tokens()).access_token })
    expect([status, JSON.parse(body).username]).toEqual([200, 'alice'])
  })

  test('the key that the client wants its answer signed with is gone: 500, and nothing of the person', async () => {
    const { client_id: id } = await registerClient(harness, {
      ...WEB_CLIENT,
      userinfo_signed_response_alg: 'ES384',
    })
    const issued = await exchange(harness, id, await obtainCode(browser, id, { scope: 'openid' }))
    const request = (process: Harness) =>
      process.request('/oauth2/userinfo', { headers: bearer(issued.access_token) })
    expect((await request(harness)).headers.get('content-type')).toBe('application/jwt')
    const response = await withoutItsKey((process) => request(process))
    expect(response.status).toBe(500)
    const text = await response.text()
    expect(text).not.toContain('alice')
    expect(Object.keys(JSON.parse(text)).sort()).toEqual(['error', 'error_description'])
    expect(JSON.parse(text).error).toBe('server_error')
  })
})

describe('POST /oauth2/revoke (reference 1.2)', () => {
  const revoke = (fields: Fields, headers?: Headers) => harness.form('/oauth2/revoke', fields, headers)
  const tokens = async () =>
    exchange(harness, publicId, await obtainCode(browser, publicId, { scope: 'openid' }))
  const works = async (token: string): Promise<boolean> => {
    const { status } = await harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${token}` },
    })
    return status === 200
  }

  const WITHOUT_EFFECT: [string, (tokens: TokenBody) => Fields][] = [
    ['a token that is none', () => ({ token: 'x' })],
    ['an unknown token', () => ({ token: `mat_${'x'.repeat(30)}_AAAAAA` })],
    ['a legacy token', () => ({ token: `mct_${'x'.repeat(30)}_AAAAAA` })],
    [
      'a hint that contradicts the token',
      ({ access_token }) => ({ token: access_token, token_type_hint: 'refresh_token' }),
    ],
    ['an unknown hint for what is no token', () => ({ token: 'x', token_type_hint: 'x' })],
  ]
  test.each(WITHOUT_EFFECT)('%s: 200, empty, without effect', async (_name, fields) => {
    const issued = await tokens()
    const response = await revoke({ client_id: publicId, ...fields(issued) })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await works(issued.access_token)).toBe(true)
  })

  test('a session that has ended: 200, empty', async () => {
    const { access_token: token } = await tokens()
    for (let time = 0; time < 2; time++) {
      const response = await revoke({ client_id: publicId, token })
      expect([response.status, await response.text()]).toEqual([200, ''])
    }
  })

  test.each<[string, (issued: TokenBody) => Promise<string>]>([
    [
      'an expired access token',
      async ({ access_token }) => {
        harness.clock.advance(301)
        return access_token
      },
    ],
    [
      'a refresh token that was replaced',
      async ({ refresh_token }) => {
        await harness.form('/oauth2/token', {
          grant_type: 'refresh_token',
          client_id: publicId,
          refresh_token,
        })
        return refresh_token
      },
    ],
  ])('%s: 200, empty; the session ends, where the reference leaves it alive', async (_name, choose) => {
    const issued = await tokens()
    const response = await revoke({ client_id: publicId, token: await choose(issued) })
    expect([response.status, await response.text()]).toEqual([200, ''])
    const again = { grant_type: 'refresh_token', client_id: publicId, refresh_token: issued.refresh_token }
    await expectError(await harness.form('/oauth2/token', again), 400, 'invalid_grant')
  })

  test('a personal token: 200, empty, without effect', async () => {
    const [user] = await findUserByName(harness.deps.sql, 'alice', 'alice')
    const { token } = await personalToken(harness, user?.id ?? '')
    const response = await revoke({ client_id: publicId, token })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect((await introspect(harness, token)).active).toBe(true)
  })

  test('an unknown hint for a token that is one', async () => {
    const { access_token: token } = await tokens()
    await expectError(
      await revoke({ client_id: publicId, token, token_type_hint: 'x' }),
      400,
      'unsupported_token_type',
    )
    expect(await works(token)).toBe(true)
  })

  test('a token of another client', async () => {
    const { access_token: token } = await tokens()
    const response = await revoke({ token }, basic(withBasic.id, withBasic.secret))
    await expectError(response, 401, 'unauthorized_client')
    expect(await works(token)).toBe(true)
  })

  test('no token', async () => {
    await expectError(await revoke({ client_id: publicId }), 400, 'invalid_request')
  })
})

describe('POST /oauth2/introspect (reference 1.2)', () => {
  test.each<[string, Headers, number, string]>([
    ['a wrong secret of the homeserver', { authorization: 'Bearer wrong' }, 401, 'access_denied'],
    ['an access token', { authorization: `Bearer mat_${'x'.repeat(30)}_AAAAAA` }, 401, 'access_denied'],
  ])('%s', async (_name, headers, status, error) => {
    await expectError(await harness.form('/oauth2/introspect', { token: 'x' }, headers), status, error)
  })

  test.each<[string, () => [Fields, Headers?]]>([
    ['a public client', () => [{ client_id: publicId }]],
    ['a client that registered itself, with a secret', () => [{}, basic(withBasic.id, withBasic.secret)]],
  ])('%s', async (_name, present) => {
    const [fields, headers] = present()
    const response = await harness.form('/oauth2/introspect', { token: 'x', ...fields }, headers)
    await expectError(response, 401, 'access_denied')
  })

  test('no token', async () => {
    const headers = basic(configured.client_id, configured.client_secret)
    await expectError(await harness.form('/oauth2/introspect', {}, headers), 400, 'invalid_request')
  })
})

// --- section 4.5

describe('POST /oauth2/token: the error map (reference 4.5)', () => {
  const code = (params: Fields = {}) => obtainCode(browser, publicId, { scope: 'openid', ...params })
  const codeFields = (value: string, more: Fields = {}): Fields => ({
    grant_type: 'authorization_code',
    client_id: publicId,
    code: value,
    code_verifier: pkce().verifier,
    ...more,
  })
  const device = async () => {
    const clientId = await registerDeviceClient(harness)
    const asked = await requestDevice(harness, clientId, { scope: 'openid' })
    const fields = { grant_type: DEVICE_GRANT, client_id: clientId, device_code: asked.device_code }
    return { asked, fields }
  }
  const later = (given: number) => harness.clock.advance(given)
  const ended = async () => {
    const tokens = await exchange(harness, publicId, await code())
    await harness.form('/oauth2/revoke', { token: tokens.access_token, client_id: publicId })
    return tokens.refresh_token
  }

  /** A form, or a form and headers. */
  const ROWS: [string, () => Promise<Fields | [Fields, Headers]>, number, string][] = [
    ['an unknown code', async () => codeFields('x'), 400, 'invalid_grant'],
    [
      'a code that is too old',
      async () => {
        const fields = codeFields(await code())
        later(601)
        return fields
      },
      400,
      'invalid_grant',
    ],
    [
      'a code that was used',
      async () => {
        const value = await code()
        await exchange(harness, publicId, value)
        return codeFields(value)
      },
      400,
      'invalid_grant',
    ],
    [
      'a wrong verifier',
      async () => codeFields(await code(), { code_verifier: 'w'.repeat(43) }),
      400,
      'invalid_grant',
    ],
    [
      'another redirect_uri',
      async () => codeFields(await code(), { redirect_uri: 'https://app.example.com/x' }),
      400,
      'invalid_grant',
    ],
    [
      'no code',
      async () => ({ grant_type: 'authorization_code', client_id: publicId }),
      400,
      'invalid_request',
    ],
    [
      'no verifier for a challenge',
      async () => ({ grant_type: 'authorization_code', client_id: publicId, code: await code() }),
      400,
      'invalid_request',
    ],
    [
      'a verifier without a challenge',
      async () => [
        {
          grant_type: 'authorization_code',
          code: await obtainCode(browser, withBasic.id, {
            scope: 'openid',
            code_challenge: '',
            code_challenge_method: '',
          }),
          code_verifier: pkce().verifier,
        },
        basic(withBasic.id, withBasic.secret),
      ],
      400,
      'invalid_request',
    ],
    [
      'a code whose browser session has ended',
      async () => {
        const other = harness.browser()
        await signUp(other, 'bob')
        const value = await obtainCode(other, publicId, { scope: 'openid' })
        await harness.database.sql`
          update latchkey.browser_sessions set finished_at = now()
          where user_id = (select id from latchkey.users where username = 'bob')`
        return codeFields(value)
      },
      400,
      'invalid_grant',
    ],
    [
      'a code of a locked account',
      async () => {
        const other = harness.browser()
        await signUp(other, 'carol')
        const value = await obtainCode(other, publicId, { scope: 'openid' })
        await harness.database.sql`update latchkey.users set locked_at = now() where username = 'carol'`
        return codeFields(value)
      },
      400,
      'invalid_grant',
    ],
    [
      'a code of another client',
      async () => [
        { grant_type: 'authorization_code', code: await code(), code_verifier: pkce().verifier },
        basic(withBasic.id, withBasic.secret),
      ],
      401,
      'unauthorized_client',
    ],
    ['no grant_type', async () => ({ client_id: publicId }), 400, 'invalid_request'],
    [
      'an unknown grant',
      async () => ({ client_id: publicId, grant_type: 'password' }),
      400,
      'unsupported_grant_type',
    ],
    [
      'no refresh token',
      async () => ({ client_id: publicId, grant_type: 'refresh_token' }),
      400,
      'invalid_request',
    ],
    [
      'a refresh token that is none',
      async () => ({ client_id: publicId, grant_type: 'refresh_token', refresh_token: 'x' }),
      400,
      'invalid_grant',
    ],
    [
      'a refresh token of a session that ended',
      async () => ({ client_id: publicId, grant_type: 'refresh_token', refresh_token: await ended() }),
      400,
      'invalid_grant',
    ],
    [
      'a refresh token of another client',
      async () => [
        {
          grant_type: 'refresh_token',
          refresh_token: (await exchange(harness, publicId, await code())).refresh_token,
        },
        basic(withBasic.id, withBasic.secret),
      ],
      400,
      'invalid_grant',
    ],
    [
      'client credentials of a public client',
      async () => ({ client_id: publicId, grant_type: 'client_credentials' }),
      401,
      'unauthorized_client',
    ],
    [
      'a scope that the policy refuses a client',
      async () => [
        { grant_type: 'client_credentials', scope: 'urn:mas:admin' },
        basic(withBasic.id, withBasic.secret),
      ],
      403,
      'invalid_scope',
    ],
    [
      'the device grant, of a client that did not register it',
      async () => ({ client_id: publicId, grant_type: DEVICE_GRANT, device_code: 'x' }),
      401,
      'unauthorized_client',
    ],
    ['no device code', async () => ({ ...(await device()).fields, device_code: '' }), 400, 'invalid_request'],
    [
      'an unknown device code',
      async () => ({ ...(await device()).fields, device_code: 'x' }),
      400,
      'invalid_grant',
    ],
    [
      'a device code of another client',
      async () => ({
        ...(await device()).fields,
        client_id: await registerDeviceClient(harness, { client_name: 'Another device' }),
      }),
      400,
      'invalid_grant',
    ],
    [
      'a device that nobody answered for yet',
      async () => (await device()).fields,
      403,
      'authorization_pending',
    ],
    [
      'a device that was kept out',
      async () => {
        const { asked, fields } = await device()
        const page = await enterCode(browser, asked.user_code)
        await page.submit({}, { action: '/device/', button: ['action', 'reject'] })
        return fields
      },
      403,
      'access_denied',
    ],
    [
      'a device whose code is too old',
      async () => {
        const { fields } = await device()
        later(1201)
        return fields
      },
      403,
      'expired_token',
    ],
    [
      'a device that has its tokens',
      async () => {
        const { asked, fields } = await device()
        await approve(browser, asked.user_code)
        await harness.form('/oauth2/token', fields)
        return fields
      },
      400,
      'invalid_grant',
    ],
    [
      'a device that asks too often (RFC 8628 section 3.5)',
      async () => {
        const { fields } = await device()
        await harness.form('/oauth2/token', fields)
        return fields
      },
      400,
      'slow_down',
    ],
  ]
  test.each(ROWS)('%s', async (_name, prepare, status, error) => {
    const prepared = await prepare()
    const [fields, headers] = Array.isArray(prepared) ? prepared : [prepared, undefined]
    await expectError(await harness.form('/oauth2/token', fields, headers), status, error)
  })

  test('the homeserver is down while a device is added: 503, and the code stays good (decision 9)', async () => {
    const value = await code({ scope: 'openid urn:matrix:client:api:* urn:matrix:client:device:ERRORMAP01' })
    harness.homeserver.down = true
    const response = await harness.form('/oauth2/token', codeFields(value))
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
    await expectError(response, 503, 'temporarily_unavailable')
    harness.homeserver.down = false
    expect((await exchange(harness, publicId, value)).token_type).toBe('Bearer')
  })

  test('a scope that the policy refuses a client: the description says each reason', async () => {
    const response = await harness.form(
      '/oauth2/token',
      { grant_type: 'client_credentials', scope: 'urn:mas:admin urn:synapse:admin:*' },
      basic(withBasic.id, withBasic.secret),
    )
    const { error_description: description } = await response.clone().json()
    await expectError(response, 403, 'invalid_scope')
    expect(description.split(', ')).toHaveLength(2)
  })

  test('the key that the client wants its ID tokens signed with is gone: 500, and the code stays good', async () => {
    const { client_id: id } = await registerClient(harness, {
      ...WEB_CLIENT,
      id_token_signed_response_alg: 'ES384',
    })
    const value = await obtainCode(browser, id, { scope: 'openid' })
    const fields = { ...codeFields(value), client_id: id }
    await expectError(
      await withoutItsKey((process) => process.form('/oauth2/token', fields)),
      500,
      'server_error',
    )
    expect((await exchange(harness, id, value)).id_token).toBeString()
  })

  test('the device grant is switched off: unsupported_grant_type', async () => {
    const off = await createHarness({
      beside: harness,
      config: { oauth: { device_code_grant_enabled: false } },
    })
    const { fields } = await device()
    await expectError(await off.form('/oauth2/token', fields), 400, 'unsupported_grant_type')
    await off.close()
  })
})

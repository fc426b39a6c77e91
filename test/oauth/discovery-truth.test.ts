import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { newId } from '../../src/lib/ulid.ts'
import { adminCaller } from '../support/admin.ts'
import type { Browser } from '../support/browser.ts'
import { clientKey, signWithSecret } from '../support/client-keys.ts'
import { createHarness, type Harness, type HarnessOptions } from '../support/harness.ts'
import {
  API_SCOPE,
  authorizeUrl,
  deviceScope,
  exchange,
  introspect,
  obtainCode,
  registerClient,
  signUp,
  WEB_CLIENT,
} from '../support/oauth.ts'

/** What discovery advertises, compared with what the endpoints give (issue 3: "Metadata tells the truth"). */
let harness: Harness
let browser: Browser
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  browser = harness.browser()
  await signUp(browser, 'alice')
  const id = newId(harness.clock.now(), harness.deps.random)
  await harness.deps.sql`insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
    select ${id}, u.id, 'alice@mail.example', 'alice@mail.example', ${harness.clock.now()} from latchkey.users u`
  await harness.deps.sql`update latchkey.users set is_admin = true`
  clientId = (await registerClient(harness)).client_id
})
afterAll(() => harness.close())

type Members = Record<string, unknown>
const documentOf = async (process = harness) =>
  (await (await process.request('/.well-known/openid-configuration')).json()) as Members
const listed = async (name: string, process = harness) => (await documentOf(process))[name] as string[]

const tokensFor = async (params: Record<string, string>, client = clientId) =>
  exchange(harness, client, await obtainCode(browser, client, params))
const claimsOf = (token = ''): Members =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const userinfo = (token: string) =>
  harness.request('/oauth2/userinfo', { headers: { authorization: `Bearer ${token}` } })

/** The document of a deployment that is configured otherwise. */
async function documentBeside(config: HarnessOptions['config']): Promise<Members> {
  const other = await createHarness({ beside: harness, ...(config && { config }) })
  try {
    return await documentOf(other)
  } finally {
    await other.close()
  }
}

test('claims_supported: every claim of an ID token and of userinfo, and no other (OpenID Connect Discovery 3)', async () => {
  const everything = {
    scope: 'openid profile email',
    nonce: 'a-nonce',
    claims: JSON.stringify({ id_token: { acr: null } }),
  }
  const tokens = await tokensFor(everything)
  const plain = (await (await userinfo(tokens.access_token)).json()) as Members
  const { client_id } = await registerClient(harness, {
    ...WEB_CLIENT,
    userinfo_signed_response_alg: 'ES256',
  })
  const signing = await tokensFor(everything, client_id)
  const signed = claimsOf(await (await userinfo(signing.access_token)).text())
  const given = [claimsOf(tokens.id_token), plain, signed].flatMap((claims) => Object.keys(claims))
  expect([...new Set(given)].sort()).toEqual((await listed('claims_supported')).toSorted())
})

describe('scopes_supported: what is named is granted and good for something (RFC 8414 section 2)', () => {
  test('OpenID Connect, Matrix in both spellings, Synapse, and the admin API', async () => {
    expect(await listed('scopes_supported')).toEqual([
      'openid',
      'profile',
      'email',
      'offline_access',
      'urn:matrix:client:api:*',
      'urn:matrix:org.matrix.msc2967.client:api:*',
      'urn:synapse:admin:*',
      'urn:mas:admin',
      'urn:latchkey:admin:read',
      'urn:latchkey:admin:users',
      'urn:latchkey:admin:sessions',
      'urn:latchkey:admin:clients',
      'urn:latchkey:admin:server',
    ])
  })

  test('each of them is granted to somebody who may have it, and told to the homeserver', async () => {
    for (const scope of await listed('scopes_supported')) {
      const tokens = await tokensFor({ scope })
      expect([scope, tokens.scope]).toEqual([scope, scope])
      const { active, scope: told } = await introspect(harness, tokens.access_token)
      expect([scope, active, String(told).split(' ').includes(scope)]).toEqual([scope, true, true])
    }
  })

  test('each admin scope opens its part of the admin API', async () => {
    const paths: Record<string, string> = {
      'urn:mas:admin': '/users',
      'urn:latchkey:admin:read': '/users',
      'urn:latchkey:admin:users': '/users',
      'urn:latchkey:admin:sessions': '/oauth2-sessions',
      'urn:latchkey:admin:clients': '/oauth2-clients',
      'urn:latchkey:admin:server': '/version',
    }
    const scopes = (await listed('scopes_supported')).filter((scope) => /:admin(:[a-z]+)?$/.test(scope))
    expect(scopes.toSorted()).toEqual(Object.keys(paths).sort())
    for (const scope of scopes) {
      const { access_token } = await tokensFor({ scope })
      const { status } = await adminCaller(harness, access_token)('GET', paths[scope] ?? '')
      expect([scope, status]).toEqual([scope, 200])
    }
  })

  test('what is not named is refused, but for devices, of which there is no end, and what old scripts ask for', async () => {
    for (const scope of [
      'address',
      'phone',
      'groups',
      'urn:synapse:admin',
      'urn:latchkey:admin:all',
      'urn:mas:admin:*',
    ]) {
      const page = await browser.open(authorizeUrl(clientId, { scope }))
      expect([scope, page.url.searchParams.get('error')]).toEqual([scope, 'invalid_scope'])
    }
    const device = `${API_SCOPE} ${deviceScope('AAAAAAAAAA')}`
    expect((await tokensFor({ scope: device })).scope).toBe(device)
    expect((await tokensFor({ scope: 'urn:mas:graphql:*' })).scope).toBe('urn:mas:graphql:*')
  })

  test('without the admin API and without a homeserver there is nothing that their scopes open', async () => {
    const { scopes_supported } = await documentBeside({
      matrix: { kind: 'standalone', secret: 'test-shared-secret-of-matrix' },
      http: {
        listeners: [
          { resources: ['discovery', 'human', 'oauth'].map((name) => ({ name })), binds: [{ port: 8080 }] },
        ],
      },
    } as HarnessOptions['config'])
    expect(scopes_supported).toEqual([
      'openid',
      'profile',
      'email',
      'offline_access',
      'urn:matrix:client:api:*',
      'urn:matrix:org.matrix.msc2967.client:api:*',
    ])
  })
})

describe('signing algorithms: each one that is named signs, and no other may be registered', () => {
  const register = (member: string, alg: string) =>
    harness.request('/oauth2/registration', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...WEB_CLIENT, [member]: alg }),
    })
  const verify = async (jwt: string, alg: string) => {
    const set = createLocalJWKSet(await (await harness.request('/oauth2/keys.json')).json())
    const options = { algorithms: [alg], currentDate: harness.clock.now() }
    expect((await jwtVerify(jwt, set, options)).payload.sub).toBeString()
  }
  const EVERY =
    'none HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 ES256K EdDSA'.split(' ')

  test.each(['id_token', 'userinfo'])('%s_signing_alg_values_supported', async (what) => {
    const names = await listed(`${what}_signing_alg_values_supported`)
    for (const alg of EVERY) {
      const response = await register(`${what}_signed_response_alg`, alg)
      expect([alg, response.status]).toEqual([alg, names.includes(alg) ? 201 : 400])
      if (response.status !== 201) continue
      const { client_id } = (await response.json()) as { client_id: string }
      const tokens = await tokensFor({ scope: 'openid' }, client_id)
      await verify(
        what === 'id_token' ? (tokens.id_token ?? '') : await (await userinfo(tokens.access_token)).text(),
        alg,
      )
    }
  })
})

describe('algorithms of clients: each one that is named is taken, and no other may be registered', () => {
  const EVERY =
    'none HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 ES256K EdDSA Ed25519'.split(
      ' ',
    )
  let jti = 0
  /** The status of a registration that names the algorithm, and the client and its key if it has one. */
  async function register(alg: string, metadata: Members) {
    const key = /^(HS|none|ES256K)/.test(alg) ? undefined : await clientKey(alg)
    const response = await harness.request('/oauth2/registration', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...WEB_CLIENT,
        grant_types: ['authorization_code', 'client_credentials'],
        jwks: { keys: [(key ?? (await clientKey())).jwk] },
        ...metadata,
      }),
    })
    return { status: response.status, key, registered: (await response.json()) as Record<string, string> }
  }
  const timed = (id: string) => {
    const now = Math.floor(harness.clock.now().getTime() / 1000)
    return { iss: id, aud: 'http://auth.test/', iat: now, exp: now + 60, jti: `truth-${++jti}` }
  }

  test('token_endpoint_auth_signing_alg_values_supported, at every endpoint where clients authenticate', async () => {
    const names = await listed('token_endpoint_auth_signing_alg_values_supported')
    for (const at of ['revocation', 'introspection'])
      expect(await listed(`${at}_endpoint_auth_signing_alg_values_supported`)).toEqual(names)
    for (const alg of EVERY) {
      const method = alg.startsWith('HS') ? 'client_secret_jwt' : 'private_key_jwt'
      const { status, key, registered } = await register(alg, {
        token_endpoint_auth_method: method,
        token_endpoint_auth_signing_alg: alg,
        ...(method === 'client_secret_jwt' && { jwks: undefined }),
      })
      expect([alg, status]).toEqual([alg, names.includes(alg) ? 201 : 400])
      if (status !== 201) continue
      const { client_id: id = '', client_secret: secret = '' } = registered
      const claims = { ...timed(id), sub: id }
      const response = await harness.form('/oauth2/token', {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await (key?.sign(claims) ?? signWithSecret(claims, secret, alg)),
      })
      expect([alg, response.status]).toEqual([alg, 200])
    }
  })

  test('request_object_signing_alg_values_supported', async () => {
    const names = await listed('request_object_signing_alg_values_supported')
    for (const alg of EVERY) {
      const { status, key, registered } = await register(alg, {
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code'],
        request_object_signing_alg: alg,
      })
      expect([alg, status]).toEqual([alg, names.includes(alg) ? 201 : 400])
      const { client_id: id = '' } = registered
      if (status !== 201 || !key) continue
      const inside = Object.fromEntries(new URL(authorizeUrl(id), harness.origin).searchParams)
      const query = new URLSearchParams({
        client_id: id,
        request: await key.sign({ ...timed(id), ...inside }),
      })
      const response = await harness.request(`/authorize?${query}`)
      const { pathname } = new URL(response.headers.get('location') ?? '', harness.origin)
      expect([alg, response.status, pathname]).toEqual([alg, 303, '/login'])
    }
  })
})

test('a list without members is left out (RFC 8414 section 3.2)', async () => {
  const passwordless = await documentBeside({ passwords: { enabled: false } } as HarnessOptions['config'])
  for (const document of [await documentOf(), passwordless])
    for (const [name, value] of Object.entries(document))
      expect([name, Array.isArray(value) && value.length === 0]).toEqual([name, false])
})

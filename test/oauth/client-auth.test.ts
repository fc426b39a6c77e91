import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { JWTPayload } from 'jose'
import { type ClientKey, clientKey, signWithSecret } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { registerClient, WEB_CLIENT } from '../support/oauth.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const CONFIDENTIAL = { ...WEB_CLIENT, grant_types: ['client_credentials', 'authorization_code'] }

let harness: Harness
let other: Harness
let key: ClientKey
beforeAll(async () => {
  harness = await createHarness()
  // A second process on the same database.
  other = await createHarness({ beside: harness })
  key = await clientKey()
})
afterAll(async () => {
  await other.close()
  await harness.close()
})

const seconds = () => Math.floor(harness.clock.now().getTime() / 1000)
let counter = 0
const claimsOf = (clientId: string, changes: Record<string, unknown> = {}): JWTPayload => ({
  iss: clientId,
  sub: clientId,
  aud: 'http://auth.test/',
  iat: seconds(),
  exp: seconds() + 60,
  jti: `jti-${counter++}`,
  ...changes,
})

async function present(
  assertion: string,
  fields: Record<string, string> = {},
  headers: Record<string, string> = {},
  at = harness,
): Promise<[number, string | undefined]> {
  const response = await at.form(
    '/oauth2/token',
    {
      grant_type: 'client_credentials',
      client_assertion_type: JWT_BEARER,
      client_assertion: assertion,
      ...fields,
    },
    headers,
  )
  return [response.status, ((await response.json()) as { error?: string }).error]
}

const GOOD: [number, string | undefined] = [200, undefined]
const BAD: [number, string | undefined] = [401, 'invalid_client']

/** Rule by rule: `client-assertion.test.ts`. */
describe('private_key_jwt (RFC 7523, OpenID Connect Core section 9)', () => {
  let clientId: string
  beforeAll(async () => {
    const client = await registerClient(harness, {
      ...CONFIDENTIAL,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [key.jwk] },
    })
    clientId = client.client_id
  })

  test('a good assertion is accepted, with or without client_id, for the issuer or the token endpoint', async () => {
    expect(await present(await key.sign(claimsOf(clientId)))).toEqual(GOOD)
    expect(await present(await key.sign(claimsOf(clientId)), { client_id: clientId })).toEqual(GOOD)
    for (const aud of [
      'http://auth.test/oauth2/token',
      ['https://x.test/', 'http://auth.test'],
      'http://auth.test/',
    ])
      expect(await present(await key.sign(claimsOf(clientId, { aud })))).toEqual(GOOD)
  })

  test('mixed or malformed credentials: invalid_request; another client_id: invalid_grant', async () => {
    const assertion = await key.sign(claimsOf(clientId))
    expect(await present(assertion, { client_secret: 'x' })).toEqual([400, 'invalid_request'])
    expect(await present(assertion, {}, { authorization: 'Basic eDp5' })).toEqual([400, 'invalid_request'])
    expect(await present(assertion, { client_assertion_type: 'x' })).toEqual([400, 'invalid_request'])
    expect(await present('not a jwt')).toEqual([400, 'invalid_request'])
    expect(await present(assertion, { client_id: '01J00000000000000000000000' })).toEqual([
      400,
      'invalid_grant',
    ])
  })
})

describe('client_secret_jwt (OpenID Connect Core section 9)', () => {
  test('an HMAC under the secret is accepted, a wrong one and an asymmetric one are not', async () => {
    const { client_id: clientId, client_secret: secret = '' } = await registerClient(harness, {
      ...CONFIDENTIAL,
      token_endpoint_auth_method: 'client_secret_jwt',
    })
    for (const alg of ['HS256', 'HS384', 'HS512'])
      expect(await present(await signWithSecret(claimsOf(clientId), secret, alg))).toEqual(GOOD)
    expect(await present(await signWithSecret(claimsOf(clientId), 'x'.repeat(32)))).toEqual(BAD)
    expect(await present(await key.sign(claimsOf(clientId)))).toEqual(BAD)
  })
})

describe('the registered method is the only one (reference section 4.1)', () => {
  test('an assertion of a client that registered a secret: invalid_client', async () => {
    const { client_id: clientId, client_secret: secret = '' } = await registerClient(harness, {
      ...CONFIDENTIAL,
      token_endpoint_auth_method: 'client_secret_post',
    })
    expect(await present(await signWithSecret(claimsOf(clientId), secret))).toEqual(BAD)
  })

  test('registration: private_key_jwt without keys, an http jwks_uri, an unfit algorithm are refused', async () => {
    for (const metadata of [
      { token_endpoint_auth_method: 'private_key_jwt' },
      { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'http://app.example.com/jwks' },
      {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [] },
        token_endpoint_auth_signing_alg: 'HS256',
      },
      { token_endpoint_auth_method: 'client_secret_jwt', token_endpoint_auth_signing_alg: 'RS256' },
    ]) {
      const response = await harness.request('/oauth2/registration', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...CONFIDENTIAL, ...metadata }),
      })
      expect([metadata, response.status]).toEqual([metadata, 400])
    }
  })
})

describe('client_credentials (RFC 6749 section 4.4, reference sections 4.2 and 6)', () => {
  const ask = async (
    client: { client_id: string; client_secret?: string },
    fields: Record<string, string>,
  ) => {
    const response = await harness.form('/oauth2/token', {
      grant_type: 'client_credentials',
      client_id: client.client_id,
      ...(client.client_secret !== undefined && { client_secret: client.client_secret }),
      ...fields,
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const confidential = () =>
    registerClient(harness, { ...CONFIDENTIAL, token_endpoint_auth_method: 'client_secret_post' })

  test('gives an access token alone; scope is echoed only when there is one', async () => {
    const client = await confidential()
    const plain = await ask(client, {})
    expect(plain.status).toBe(200)
    expect(Object.keys(plain.body).sort()).toEqual(['access_token', 'expires_in', 'token_type'])
    expect((await ask(client, { scope: 'openid' })).body.scope).toBe('openid')
  })

  test('the token introspects without a person', async () => {
    const { body } = await ask(await confidential(), { scope: 'openid' })
    const response = await harness.form(
      '/oauth2/introspect',
      { token: String(body.access_token) },
      { authorization: 'Bearer test-shared-secret-of-matrix' },
    )
    const active = (await response.json()) as Record<string, unknown>
    expect(active).toMatchObject({ active: true, scope: 'openid', token_type: 'access_token' })
    expect(active.username ?? active.sub).toBeUndefined()
  })

  test.each(['urn:matrix:client:api:*', 'urn:synapse:admin:*', 'urn:mas:admin', 'profile', 'x'])(
    'the scope %s is denied with 403 invalid_scope',
    async (scope) => {
      expect(await ask(await confidential(), { scope })).toMatchObject({
        status: 403,
        body: { error: 'invalid_scope' },
      })
    },
  )

  test('a public client, or one without the grant: unauthorized_client', async () => {
    const open = await registerClient(harness, WEB_CLIENT)
    expect(await ask(open, {})).toMatchObject({ status: 401, body: { error: 'unauthorized_client' } })
    const without = await registerClient(harness, {
      ...WEB_CLIENT,
      token_endpoint_auth_method: 'client_secret_post',
    })
    expect(await ask(without, {})).toMatchObject({ status: 401, body: { error: 'unauthorized_client' } })
  })
})

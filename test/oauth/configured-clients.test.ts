import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { syncClients } from '../../src/commands/static-clients.ts'
import type { Browser } from '../support/browser.ts'
import { selfSigned } from '../support/certificate.ts'
import { type ClientKey, clientKey } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, basic, obtainCode, pkce, signUp, type TokenBody } from '../support/oauth.ts'

const ID = '01J00000000000000000000001'
const SIGNER = '01J00000000000000000000002'
const SECRET = 'the secret of a configured client'
const CALLBACK = 'https://app.example.com/callback'

let harness: Harness
let browser: Browser
let key: ClientKey
let server: Bun.Server<undefined>
let object = ''
beforeAll(async () => {
  key = await clientKey('PS256')
  const { cert, key: tlsKey } = await selfSigned('localhost')
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key: tlsKey },
    fetch: () => new Response(object),
  })
  const client = {
    client_auth_method: 'client_secret_basic' as const,
    client_secret: SECRET,
    client_name: 'Our wiki',
    client_uri: 'https://app.example.com/',
    redirect_uris: [CALLBACK],
  }
  harness = await createHarness({
    clientAuthority: cert,
    config: {
      clients: [
        {
          ...client,
          client_id: ID,
          policy_uri: 'https://app.example.com/privacy',
          userinfo_signed_response_alg: 'ES256',
          default_max_age: 60,
        },
        {
          ...client,
          client_id: SIGNER,
          jwks: { keys: [key.jwk] },
          request_object_signing_alg: 'PS256',
          require_signed_request_object: true,
          request_uris: [`https://localhost:${server.port}/request`],
        },
      ],
    },
  })
  await syncClients(harness.deps)
  browser = harness.browser()
  await signUp(browser, 'alice')
})
afterAll(async () => {
  await server.stop(true)
  await harness.close()
})

async function tokensOf(code: string): Promise<TokenBody> {
  const fields = { grant_type: 'authorization_code', code, code_verifier: pkce().verifier }
  const response = await harness.form('/oauth2/token', fields, basic(ID, SECRET))
  expect(response.status).toBe(200)
  return (await response.json()) as TokenBody
}

const request = (id: string, params: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(
    new URL(authorizeUrl(id, { scope: 'openid', ...params }), 'http://auth.test').searchParams,
  )
const signed = (params: Record<string, string>, header = {}) =>
  key.sign({ ...params, iss: SIGNER, aud: 'http://auth.test/' }, header)
const ask = async (params: Record<string, string>): Promise<string> => {
  const page = await harness.browser().open(`/authorize?${new URLSearchParams(params)}`)
  return page.url.searchParams.get('error') ?? page.url.pathname
}

describe('what a client of the configuration may ask for', () => {
  test('userinfo_signed_response_alg: userinfo is signed (OpenID Connect Core 5.3.2)', async () => {
    const tokens = await tokensOf(await obtainCode(browser, ID, { scope: 'openid' }))
    const response = await harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    expect(response.headers.get('content-type')).toBe('application/jwt')
    const jwt = await response.text()
    expect([decodeProtectedHeader(jwt).alg, decodeJwt(jwt).aud]).toEqual(['ES256', ID])
  })

  test('default_max_age: a sign-in that lies further back is asked for once more (OpenID Connect Registration 2)', async () => {
    const waiting = harness.browser()
    await signUp(waiting, 'bob')
    harness.clock.advance(61)
    const page = await waiting.open(authorizeUrl(ID, { scope: 'openid' }))
    expect(page.url.pathname).toBe('/login')
    expect(page.text).toContain('href="https://app.example.com/privacy"')
  })

  test('require_signed_request_object, with keys though it authenticates with a secret (RFC 9101 10.5)', async () => {
    expect(await ask(request(SIGNER))).toBe('invalid_request')
    expect(await ask({ client_id: SIGNER, request: await signed(request(SIGNER)) })).toBe('/login')
  })

  test('request_object_signing_alg: no other algorithm counts', async () => {
    const { sign } = await clientKey('ES256')
    const other = await sign({ ...request(SIGNER), iss: SIGNER, aud: 'http://auth.test/' })
    const params = { client_id: SIGNER, redirect_uri: CALLBACK, request: other }
    expect(await ask(params)).toBe('invalid_request_object')
  })

  test('request_uris: exactly these are fetched (OpenID Connect Core 6.2)', async () => {
    object = await signed(request(SIGNER))
    const at = (path: string) => ({
      client_id: SIGNER,
      redirect_uri: CALLBACK,
      request_uri: `https://localhost:${server.port}${path}`,
    })
    expect(await ask(at('/request'))).toBe('/login')
    expect(await ask(at('/other'))).toBe('invalid_request_uri')
  })
})

test('the start stops when no key can sign the userinfo of a client', async () => {
  const wrong = await createHarness({
    beside: harness,
    config: {
      clients: [{ client_id: ID, client_auth_method: 'none', userinfo_signed_response_alg: 'ES512' }],
    },
  })
  await expect(syncClients(wrong.deps)).rejects.toThrow(/ES512.*secrets\.keys/)
  await wrong.close()
})

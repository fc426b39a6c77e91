import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { generateKeyPair } from 'jose'
import * as oauth from 'oauth4webapi'
import type { Browser, Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PASSWORD, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

/** A client by somebody else, which checks every answer by its own reading of the standards. */
const CALLBACK = 'https://app.example.com/callback'
let harness: Harness
let server: oauth.AuthorizationServer
let browser: Browser
let key: CryptoKey
let client: oauth.Client
let auth: oauth.ClientAuth
beforeAll(async () => {
  // Its clock is the machine's.
  harness = await createHarness({ start: new Date(Date.now()).toISOString() })
  const issuer = new URL('http://auth.test/')
  server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options()))
  browser = harness.browser()
  await signUp(browser, 'alice')
  const pair = (await generateKeyPair('ES256', { extractable: true })) as CryptoKeyPair
  key = pair.privateKey
  const jwk = {
    ...(await crypto.subtle.exportKey('jwk', pair.publicKey)),
    kid: 'k',
    alg: 'ES256',
    use: 'sig',
  }
  const { client_id } = await registerClient(harness, {
    ...WEB_CLIENT,
    token_endpoint_auth_method: 'private_key_jwt',
    require_pushed_authorization_requests: true,
    require_signed_request_object: true,
    id_token_signed_response_alg: 'ES256',
    jwks: { keys: [jwk] },
  })
  client = { client_id, id_token_signed_response_alg: 'ES256' }
  auth = oauth.PrivateKeyJwt({ key, kid: 'k' })
})
afterAll(() => harness.close())

const options = () => ({
  [oauth.allowInsecureRequests]: true as const,
  [oauth.customFetch]: (url: string, init: oauth.CustomFetchOptions<string, unknown>) =>
    harness.request(url, init as RequestInit),
})

const answer = (page: Page): Promise<Page> =>
  page.submit({}, { action: 'consent/', button: ['action', 'consent'] })

/** A signed and pushed request, and what it takes to check the answer to it. */
async function begin(extra: Record<string, string> = {}) {
  const verifier = oauth.generateRandomCodeVerifier()
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
  const request = await oauth.issueRequestObject(
    server,
    client,
    new URLSearchParams({
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'openid profile',
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...extra,
    }),
    { key, kid: 'k' },
  )
  const pushed = await oauth.processPushedAuthorizationResponse(
    server,
    client,
    await oauth.pushedAuthorizationRequest(server, client, auth, { request }, options()),
  )
  const query = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri })
  const page = await browser.open(`/authorize?${query}`)
  const finish = async (end: Page, expected: { maxAge?: number } = {}) => {
    const params = oauth.validateAuthResponse(server, client, end.url, state)
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      auth,
      params,
      CALLBACK,
      verifier,
      options(),
    )
    const result = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
      ...(expected.maxAge !== undefined && { maxAge: expected.maxAge }),
    })
    await oauth.validateApplicationLevelSignature(server, response, options())
    return { result, claims: oauth.getValidatedIdTokenClaims(result) as oauth.IDToken }
  }
  return { page, state, finish }
}

describe('oauth4webapi', () => {
  test('signed and pushed requests, iss in the answer, the ID token, userinfo (RFC 9101, 9126, 9207)', async () => {
    const { page, finish } = await begin()
    const { result, claims } = await finish(await answer(page))
    expect(claims).toMatchObject({ preferred_username: 'alice', name: 'alice Example' })
    const userinfo = await oauth.processUserInfoResponse(
      server,
      client,
      claims.sub,
      await oauth.userInfoRequest(server, client, result.access_token, options()),
    )
    expect(userinfo.preferred_username).toBe('alice')
  })

  test('prompt=none, and max_age with auth_time', async () => {
    const silent = await begin({ prompt: 'none', max_age: '3000' })
    const { claims } = await silent.finish(silent.page, { maxAge: 3000 })
    expect(claims.auth_time).toBeNumber()
  })

  test('prompt=login with id_token_hint and acr_values', async () => {
    const first = await begin({ prompt: 'none' })
    const { result } = await first.finish(first.page)
    const again = await begin({
      prompt: 'login',
      id_token_hint: result.id_token ?? '',
      acr_values: 'urn:example:any',
    })
    expect(again.page.url.pathname).toBe('/login')
    const done = await again.page.submit({ username: 'alice', password: PASSWORD }, { action: '/login' })
    const { claims } = await again.finish(done)
    expect(claims.acr).toBe(server.acr_values_supported?.[0])
  })

  test('a refusal is an error that it understands', async () => {
    const { page, state } = await begin({ prompt: 'none', scope: 'openid email' })
    expect(() => oauth.validateAuthResponse(server, client, page.url, state)).toThrow(
      expect.objectContaining({ error: 'consent_required' }),
    )
  })
})

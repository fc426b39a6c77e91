import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, MATRIX_SCOPE, signUp, WEB_CLIENT } from '../support/oauth.ts'

/** Two independent clients run the grant against the application in memory; both verify the ID token, PKCE and iss. */
const ISSUER = new URL('https://auth.test/')
const REDIRECT = 'https://app.example.com/callback'

let harness: Harness
let browser: Browser
beforeAll(async () => {
  // These clients take the time from the machine.
  harness = await createHarness({
    config: { http: { public_base: ISSUER.href } },
    start: new Date().toISOString(),
  })
  browser = harness.browser()
  await signUp(browser, 'alice')
})
afterAll(() => harness.close())

const fetchApp = (url: string, init?: object): Promise<Response> =>
  harness.app.handle(new Request(url, init as RequestInit))
const hook = { [oauth.customFetch]: fetchApp }

/** Without a secret they take the registered one. */
const AUTHENTICATION = {
  none: openid.None(),
  client_secret_basic: openid.ClientSecretBasic(),
  client_secret_post: openid.ClientSecretPost(),
}

async function consent(address: URL): Promise<URL> {
  const page = await browser.open(address.href)
  const done = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
  return done.url
}

describe.each([
  ['none', 'RS256'],
  ['client_secret_basic', 'ES256'],
  ['client_secret_post', 'RS256'],
] as const)('a client that authenticates with %s and wants %s', (method, alg) => {
  test('oauth4webapi: discovery, registration, grant, ID token, userinfo, refresh, revocation', async () => {
    const as = await oauth.processDiscoveryResponse(ISSUER, await oauth.discoveryRequest(ISSUER, hook))
    const registered = await oauth.processDynamicClientRegistrationResponse(
      await oauth.dynamicClientRegistrationRequest(
        as,
        { ...WEB_CLIENT, token_endpoint_auth_method: method, id_token_signed_response_alg: alg },
        hook,
      ),
    )
    const client: oauth.Client = { ...registered, client_id: registered.client_id }
    const secret = String(registered.client_secret)
    const auth =
      method === 'none'
        ? oauth.None()
        : method === 'client_secret_basic'
          ? oauth.ClientSecretBasic(secret)
          : oauth.ClientSecretPost(secret)

    const verifier = oauth.generateRandomCodeVerifier()
    const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
    const address = new URL(as.authorization_endpoint ?? '')
    address.search = new URLSearchParams({
      client_id: client.client_id,
      redirect_uri: REDIRECT,
      response_type: 'code',
      scope: MATRIX_SCOPE,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    }).toString()

    const params = oauth.validateAuthResponse(as, client, await consent(address), state)
    const response = await oauth.authorizationCodeGrantRequest(
      as,
      client,
      auth,
      params,
      REDIRECT,
      verifier,
      hook,
    )
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    })
    await oauth.validateApplicationLevelSignature(as, response, hook)
    const claims = oauth.getValidatedIdTokenClaims(tokens)
    expect(claims?.auth_time).toBe(Math.floor(harness.clock.now().getTime() / 1000))

    const userinfo = await oauth.processUserInfoResponse(
      as,
      client,
      claims?.sub ?? '',
      await oauth.userInfoRequest(as, client, tokens.access_token, hook),
    )
    expect(userinfo.username).toBe('alice')

    const refreshed = await oauth.processRefreshTokenResponse(
      as,
      client,
      await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token ?? '', hook),
    )
    expect(refreshed.scope).toBe(MATRIX_SCOPE)
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(as, client, auth, refreshed.refresh_token ?? '', hook),
    )
    expect(await introspect(harness, refreshed.access_token)).toEqual({ active: false })
  })

  test('openid-client: the same grant', async () => {
    const config = await openid.dynamicClientRegistration(
      ISSUER,
      { ...WEB_CLIENT, token_endpoint_auth_method: method, id_token_signed_response_alg: alg },
      AUTHENTICATION[method],
      { [openid.customFetch]: fetchApp },
    )
    config[openid.customFetch] = fetchApp
    openid.enableNonRepudiationChecks(config)
    const pkceCodeVerifier = openid.randomPKCECodeVerifier()
    const [expectedState, expectedNonce] = [openid.randomState(), openid.randomNonce()]
    const address = openid.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope: MATRIX_SCOPE,
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expectedState,
      nonce: expectedNonce,
    })
    const tokens = await openid.authorizationCodeGrant(config, await consent(address), {
      pkceCodeVerifier,
      expectedState,
      expectedNonce,
      idTokenExpected: true,
    })
    const info = await openid.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? '')
    expect(info.username).toBe('alice')
    const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '')
    expect((await introspect(harness, refreshed.access_token)).active).toBe(true)
    await openid.tokenRevocation(config, refreshed.access_token)
    expect(await introspect(harness, refreshed.access_token)).toEqual({ active: false })
  })
})

test('both refuse an answer that names another issuer (RFC 9207), so ours is really read', async () => {
  const as = await oauth.processDiscoveryResponse(ISSUER, await oauth.discoveryRequest(ISSUER, hook))
  const client = { client_id: '01J00000000000000000000000' }
  const answer = new URL(`${REDIRECT}?code=x&state=s&iss=https%3A%2F%2Fevil.test%2F`)
  expect(() => oauth.validateAuthResponse(as, client, answer, 's')).toThrow()
  const silent = new URL(`${REDIRECT}?code=x&state=s`)
  expect(() => oauth.validateAuthResponse(as, client, silent, 's')).toThrow()
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { exportJWK } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { syncClients } from '../../src/commands/static-clients.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, MATRIX_SCOPE, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

/** Two clients by somebody else, with DPoP: an app without a secret, and one under the FAPI 2.0 Security Profile. */
const ISSUER = new URL('https://auth.test/')
const CALLBACK = 'https://app.example.com/callback'
const FAPI = '01JAYS74TCG3BTWKADN5Q45180'
let harness: Harness
let browser: Browser
let server: oauth.AuthorizationServer
let publicId: string
let keys: CryptoKeyPair
beforeAll(async () => {
  keys = (await oauth.generateKeyPair('PS256', { extractable: true })) as CryptoKeyPair
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'key', use: 'sig' }
  harness = await createHarness({
    config: {
      http: { public_base: ISSUER.href },
      clients: [
        {
          client_id: FAPI,
          client_auth_method: 'private_key_jwt',
          jwks: { keys: [jwk] },
          redirect_uris: [CALLBACK],
          profile: 'fapi2',
        },
      ],
    },
    // These clients take the time from the machine.
    start: new Date().toISOString(),
  })
  await syncClients(harness.deps)
  browser = harness.browser()
  await signUp(browser, 'alice')
  server = await oauth.processDiscoveryResponse(ISSUER, await oauth.discoveryRequest(ISSUER, hook))
  publicId = (await registerClient(harness, { ...WEB_CLIENT, dpop_bound_access_tokens: true })).client_id
})
afterAll(() => harness.close())

const fetchApp = (url: string, init?: object): Promise<Response> =>
  harness.app.handle(new Request(url, init as RequestInit))
const hook = { [oauth.customFetch]: fetchApp }

async function consent(address: string): Promise<URL> {
  const page = await browser.open(address)
  if (!page.url.pathname.includes('/consent/')) return page.url
  return (await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })).url
}

describe.each([
  ['an app without a secret', 'none', 'openid', 'dpop'],
  ['an app without a secret, for the homeserver', 'none', MATRIX_SCOPE, 'bearer'],
  ['profile: fapi2', 'private_key_jwt', 'openid', 'dpop'],
  ['profile: fapi2, for the homeserver', 'private_key_jwt', MATRIX_SCOPE, 'bearer'],
] as const)('%s', (_name, method, scope, tokenType) => {
  const isPublic = method === 'none'
  const metadata = () => ({
    client_id: isPublic ? publicId : FAPI,
    id_token_signed_response_alg: isPublic ? 'RS256' : 'PS256',
  })

  test('oauth4webapi: pushed request, grant, ID token, userinfo, refresh, all with proofs', async () => {
    const client: oauth.Client = metadata()
    const auth = isPublic ? oauth.None() : oauth.PrivateKeyJwt({ key: keys.privateKey, kid: 'key' })
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
    const withProof = { ...hook, DPoP }
    const verifier = oauth.generateRandomCodeVerifier()
    const state = oauth.generateRandomState()
    const request = {
      redirect_uri: CALLBACK,
      response_type: 'code',
      scope,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }
    const pushed = await oauth.processPushedAuthorizationResponse(
      server,
      client,
      await oauth.pushedAuthorizationRequest(server, client, auth, request, withProof),
    )
    const query = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri })
    const end = await consent(`/authorize?${query}`)
    const params = oauth.validateAuthResponse(server, client, end, state)
    const exchange = (DPoP: oauth.DPoPHandle) =>
      oauth.authorizationCodeGrantRequest(server, client, auth, params, CALLBACK, verifier, { ...hook, DPoP })
    // The push bound the code to the key.
    const stranger = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
    expect((await exchange(stranger)).status).toBe(400)
    const response = await exchange(DPoP)
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
      requireIdToken: true,
    })
    await oauth.validateApplicationLevelSignature(server, response, hook)
    expect(tokens.token_type).toBe(tokenType)
    const active = await introspect(harness, tokens.access_token)
    const jkt = await DPoP.calculateThumbprint()
    expect([active.active, active.cnf]).toEqual([true, tokenType === 'dpop' ? { jkt } : undefined])

    const sub = oauth.getValidatedIdTokenClaims(tokens)?.sub ?? ''
    const options = tokenType === 'dpop' ? withProof : hook
    const info = await oauth.processUserInfoResponse(
      server,
      client,
      sub,
      await oauth.userInfoRequest(server, client, tokens.access_token, options),
    )
    expect(info.username).toBe('alice')
    const refreshed = await oauth.processRefreshTokenResponse(
      server,
      client,
      await oauth.refreshTokenGrantRequest(server, client, auth, tokens.refresh_token ?? '', withProof),
    )
    expect(refreshed.token_type).toBe(tokenType)
    expect(refreshed.refresh_token === tokens.refresh_token).toBe(!isPublic)
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, auth, refreshed.refresh_token ?? '', hook),
    )
    expect(await introspect(harness, refreshed.access_token)).toEqual({ active: false })
  })

  test('openid-client: the same', async () => {
    const auth = isPublic ? openid.None() : openid.PrivateKeyJwt({ key: keys.privateKey, kid: 'key' })
    const { client_id, ...rest } = metadata()
    const config = await openid.discovery(ISSUER, client_id, rest, auth, { [openid.customFetch]: fetchApp })
    openid.enableNonRepudiationChecks(config)
    const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('Ed25519'))
    const pkceCodeVerifier = openid.randomPKCECodeVerifier()
    const expectedState = openid.randomState()
    const address = await openid.buildAuthorizationUrlWithPAR(
      config,
      {
        redirect_uri: CALLBACK,
        scope,
        state: expectedState,
        code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: 'S256',
      },
      { DPoP },
    )
    const tokens = await openid.authorizationCodeGrant(
      config,
      await consent(address.href),
      { pkceCodeVerifier, expectedState, idTokenExpected: true },
      undefined,
      { DPoP },
    )
    expect(tokens.token_type).toBe(tokenType)
    const sub = tokens.claims()?.sub ?? ''
    const options = tokenType === 'dpop' ? { DPoP } : {}
    expect((await openid.fetchUserInfo(config, tokens.access_token, sub, options)).username).toBe('alice')
    const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, { DPoP })
    expect((await introspect(harness, refreshed.access_token)).active).toBe(true)
    await openid.tokenRevocation(config, refreshed.access_token)
    expect(await introspect(harness, refreshed.access_token)).toEqual({ active: false })
  })
})

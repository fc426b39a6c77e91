import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { syncClients } from '../../src/commands/static-clients.ts'
import { type Browser, readForms } from '../support/browser.ts'
import { approve, DEVICE_CLIENT, DEVICE_GRANT } from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

/**
 * What the two libraries can do beside the authorization code grant, which is in `clients.test.ts`, `authorize-client.test.ts`
 * (signed and pushed requests) and `dpop-client.test.ts`. The last test holds the lists of what they export beside all four.
 */
const ISSUER = new URL('https://auth.test/')
const REDIRECT = 'https://app.example.com/callback'
const SIGNED_OUT = 'https://app.example.com/signed-out'
const STATIC = '01JAYS74TCG3BTWKADN5Q45180'
const STATIC_SECRET = 'a secret of the configuration'
const IMPLICIT = 'https://implicit.test/'

let harness: Harness
let browser: Browser
let as: oauth.AuthorizationServer
beforeAll(async () => {
  // These clients take the time from the machine.
  harness = await createHarness({
    config: {
      http: { public_base: ISSUER.href },
      policy: { data: { admin_clients: [STATIC] } },
      clients: [
        { client_id: STATIC, client_auth_method: 'client_secret_basic', client_secret: STATIC_SECRET },
      ],
    },
    start: new Date().toISOString(),
  })
  await syncClients(harness.deps)
  browser = harness.browser()
  await signUp(browser, 'alice')
  as = await oauth.processDiscoveryResponse(ISSUER, await oauth.discoveryRequest(ISSUER, hook))
})
afterAll(() => harness.close())

/** Every request to the application; `watch` sees each answer before the library does. */
let watch: (request: Request, response: Response) => Promise<void> = async () => {}
const fetchApp = async (url: string, init?: object): Promise<Response> => {
  const request = new Request(url, init as RequestInit)
  const response = await harness.app.handle(request.clone() as Request)
  await watch(request, response.clone() as Response)
  return response
}
const hook = { [oauth.customFetch]: fetchApp }

const configure = async (
  id: string,
  auth: openid.ClientAuth,
  metadata: Partial<openid.ClientMetadata> = {},
): Promise<openid.Configuration> =>
  openid.discovery(ISSUER, id, metadata, auth, {
    [openid.customFetch]: fetchApp,
    execute: [openid.enableNonRepudiationChecks],
  })

async function consent(address: URL): Promise<URL> {
  const page = await browser.open(address.href)
  if (!page.url.pathname.includes('/consent/')) return page.url
  return (await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })).url
}

const registered = async (metadata: object): Promise<{ id: string; secret: string }> => {
  const { client_id, client_secret = '' } = await registerClient(harness, { ...WEB_CLIENT, ...metadata })
  return { id: client_id, secret: client_secret }
}

const SECRETS = {
  client_secret_basic: [oauth.ClientSecretBasic, openid.ClientSecretBasic],
  client_secret_post: [oauth.ClientSecretPost, openid.ClientSecretPost],
  client_secret_jwt: [oauth.ClientSecretJwt, openid.ClientSecretJwt],
} as const
const METHODS = Object.keys(SECRETS) as (keyof typeof SECRETS)[]

describe('client credentials and revocation', () => {
  const machine = (method: string) =>
    registered({
      grant_types: ['client_credentials'],
      response_types: [],
      token_endpoint_auth_method: method,
    })

  test.each(METHODS)('oauth4webapi with %s', async (method) => {
    const { id, secret } = await machine(method)
    const [client, auth] = [{ client_id: id }, SECRETS[method][0](secret)]
    const tokens = await oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(as, client, auth, { scope: 'openid' }, hook),
    )
    expect([tokens.token_type, tokens.scope, tokens.refresh_token]).toEqual(['bearer', 'openid', undefined])
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(as, client, auth, tokens.access_token, hook),
    )
    expect((await introspected(tokens.access_token)).active).toBe(false)
  })

  test.each(METHODS)('openid-client with %s', async (method) => {
    const { id, secret } = await machine(method)
    const config = await configure(id, SECRETS[method][1](secret))
    const tokens = await openid.clientCredentialsGrant(config, { scope: 'openid' })
    expect((await introspected(tokens.access_token)).client_id).toBe(id)
    await openid.tokenRevocation(config, tokens.access_token, { token_type_hint: 'access_token' })
    expect((await introspected(tokens.access_token)).active).toBe(false)
  })

  test('with private_key_jwt', async () => {
    const { privateKey, publicKey } = await oauth.generateKeyPair('ES256', { extractable: true })
    const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }
    const { id } = await registered({
      grant_types: ['client_credentials'],
      response_types: [],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [jwk] },
    })
    const client = { client_id: id }
    const first = await oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(
        as,
        client,
        oauth.PrivateKeyJwt({ key: privateKey, kid: 'k' }),
        {},
        hook,
      ),
    )
    const config = await configure(id, openid.PrivateKeyJwt({ key: privateKey, kid: 'k' }))
    const second = await openid.clientCredentialsGrant(config)
    expect(first.access_token).not.toBe(second.access_token)
  })

  test('what is refused is an error of the library with our code', async () => {
    const { id, secret } = await machine('client_secret_post')
    const config = await configure(id, openid.ClientSecretPost(secret))
    await expect(openid.clientCredentialsGrant(config, { scope: 'urn:mas:admin' })).rejects.toMatchObject({
      error: 'invalid_scope',
      status: 403,
    })
    const wrong = await configure(id, openid.ClientSecretPost('wrong'))
    await expect(openid.clientCredentialsGrant(wrong)).rejects.toMatchObject({
      error: 'invalid_client',
      status: 401,
    })
  })
})

/** What a client of the configuration is told about a token, by each library; they must hear the same. */
async function introspected(token: string): Promise<oauth.IntrospectionResponse> {
  const client = { client_id: STATIC }
  const theirs = await oauth.processIntrospectionResponse(
    as,
    client,
    await oauth.introspectionRequest(as, client, oauth.ClientSecretBasic(STATIC_SECRET), token, hook),
  )
  const config = await configure(STATIC, openid.ClientSecretBasic(STATIC_SECRET))
  expect({ ...(await openid.tokenIntrospection(config, token)) } as object).toEqual(theirs)
  return theirs
}

describe('a protected resource: the admin API', () => {
  const address = new URL('/api/admin/v1/users', ISSUER)

  test('oauth4webapi', async () => {
    const client = { client_id: STATIC }
    const { access_token } = await oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(
        as,
        client,
        oauth.ClientSecretBasic(STATIC_SECRET),
        { scope: 'urn:mas:admin' },
        hook,
      ),
    )
    const ask = (token: string) =>
      oauth.protectedResourceRequest(token, 'GET', address, undefined, undefined, hook)
    const { data } = await (await ask(access_token)).json()
    expect(data[0].attributes.username).toBe('alice')
    expect((await introspected(access_token)).scope).toBe('urn:mas:admin')
    expect((await ask(`${access_token}x`).catch((error) => error)).status).toBe(401)
  })

  test('openid-client, with DPoP', async () => {
    const config = await configure(STATIC, openid.ClientSecretBasic(STATIC_SECRET))
    const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair())
    const tokens = await openid.clientCredentialsGrant(config, { scope: 'urn:mas:admin' }, { DPoP })
    expect(tokens.token_type).toBe('dpop')
    const ask = (proof?: openid.DPoPHandle) =>
      openid.fetchProtectedResource(
        config,
        tokens.access_token,
        address,
        'GET',
        undefined,
        undefined,
        proof && { DPoP: proof },
      )
    expect((await ask(DPoP)).status).toBe(200)
    expect((await ask().catch((error) => error)).status).toBe(401)
  })
})

describe('the device grant (RFC 8628)', () => {
  test('oauth4webapi: asks, is told to wait with 403, and gets tokens', async () => {
    const { client_id } = await registerClient(harness, DEVICE_CLIENT)
    const client = { client_id }
    const asked = await oauth.processDeviceAuthorizationResponse(
      as,
      client,
      await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: 'openid profile' }, hook),
    )
    expect([asked.verification_uri, asked.interval]).toEqual([new URL('/link', ISSUER).href, 5])
    const poll = async () =>
      oauth.processDeviceCodeResponse(
        as,
        client,
        await oauth.deviceCodeGrantRequest(as, client, oauth.None(), asked.device_code, hook),
      )
    await expect(poll()).rejects.toMatchObject({ error: 'authorization_pending', status: 403 })
    await approve(browser, asked.user_code)
    const tokens = await poll()
    expect(oauth.getValidatedIdTokenClaims(tokens)?.preferred_username).toBe('alice')
    expect(tokens.refresh_token).toBeString()
    await expect(poll()).rejects.toMatchObject({ error: 'invalid_grant', status: 400 })
  })

  test('openid-client: polls until the person has answered', async () => {
    const { client_id } = await registerClient(harness, {
      ...DEVICE_CLIENT,
      client_name: 'Another television',
    })
    const config = await configure(client_id, openid.None())
    const asked = await openid.initiateDeviceAuthorization(config, { scope: 'openid' })
    const polls: number[] = []
    watch = async (request, response) => {
      if (new URL(request.url).pathname !== '/oauth2/token') return
      polls.push(response.status)
      // The library waits for as long as it is told to; here only our clock does.
      harness.clock.advance(6)
      if (polls.length === 2) await approve(browser, asked.user_code)
    }
    const tokens = await openid.pollDeviceAuthorizationGrant(config, { ...asked, interval: 0.01 })
    watch = async () => {}
    expect(polls).toEqual([403, 403, 200])
    const info = await openid.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? '')
    expect(info.username).toBe('alice')
    expect((await introspected(tokens.access_token)).username).toBe('alice')
  })

  test('both: the person keeps it out', async () => {
    const { client_id } = await registerClient(harness, { ...DEVICE_CLIENT, client_name: 'A third one' })
    const config = await configure(client_id, openid.None())
    const asked = await openid.initiateDeviceAuthorization(config, { scope: 'openid' })
    const page = await (await browser.open('/link')).submit({ code: asked.user_code }, { action: '/link' })
    await page.submit({}, { action: '/device/', button: ['action', 'reject'] })
    await expect(
      openid.pollDeviceAuthorizationGrant(config, { ...asked, interval: 0.01 }),
    ).rejects.toMatchObject({
      error: 'access_denied',
    })
    const client = { client_id }
    const response = await oauth.deviceCodeGrantRequest(as, client, oauth.None(), asked.device_code, hook)
    await expect(oauth.processDeviceCodeResponse(as, client, response)).rejects.toMatchObject({
      error: 'access_denied',
    })
  })
})

describe('a grant that the library knows nothing of', () => {
  test('both: the refresh token as one', async () => {
    const { client_id } = await registerClient(harness, { ...DEVICE_CLIENT, client_name: 'Generic' })
    const client = { client_id }
    const config = await configure(client_id, openid.None())
    const asked = await openid.initiateDeviceAuthorization(config, { scope: 'openid' })
    await approve(browser, asked.user_code)
    const tokens = await openid.genericGrantRequest(config, DEVICE_GRANT, { device_code: asked.device_code })
    expect(tokens.claims()?.iss).toBe(ISSUER.href)
    const refreshed = await oauth.processGenericTokenEndpointResponse(
      as,
      client,
      await oauth.genericTokenEndpointRequest(
        as,
        client,
        oauth.None(),
        'refresh_token',
        { refresh_token: tokens.refresh_token ?? '' },
        hook,
      ),
    )
    expect(refreshed.access_token).not.toBe(tokens.access_token)
  })
})

describe('openid-client', () => {
  test('a signed request (RFC 9101), by value and pushed; the keys it has seen; signing out', async () => {
    const { privateKey, publicKey } = await oauth.generateKeyPair('PS256', { extractable: true })
    const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'k', alg: 'PS256', use: 'sig' }
    const { id, secret } = await registered({
      token_endpoint_auth_method: 'client_secret_jwt',
      id_token_signed_response_alg: 'EdDSA',
      request_object_signing_alg: 'PS256',
      require_signed_request_object: true,
      post_logout_redirect_uris: [SIGNED_OUT],
      jwks: { keys: [jwk] },
    })
    const config = await configure(id, openid.ClientSecretJwt(secret), {
      id_token_signed_response_alg: 'EdDSA',
    })
    const signIn = async (how: 'by value' | 'pushed') => {
      const pkceCodeVerifier = openid.randomPKCECodeVerifier()
      const [expectedState, expectedNonce] = [openid.randomState(), openid.randomNonce()]
      const signed = await openid.buildAuthorizationUrlWithJAR(
        config,
        {
          redirect_uri: REDIRECT,
          scope: 'openid',
          code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
          code_challenge_method: 'S256',
          state: expectedState,
          nonce: expectedNonce,
          max_age: '3000',
        },
        { key: privateKey, kid: 'k' },
      )
      expect([...signed.searchParams.keys()].sort()).toEqual(['client_id', 'request'])
      const address =
        how === 'by value' ? signed : await openid.buildAuthorizationUrlWithPAR(config, signed.searchParams)
      return openid.authorizationCodeGrant(config, await consent(address), {
        pkceCodeVerifier,
        expectedState,
        expectedNonce,
        maxAge: 3000,
        idTokenExpected: true,
      })
    }
    const tokens = await signIn('by value')
    const again = await signIn('pushed')
    expect(again.claims()?.sub ?? '').toBe(tokens.claims()?.sub ?? 'nobody')

    const cache = openid.getJwksCache(config)
    const published = (await (await harness.request('/oauth2/keys.json')).json()) as { keys: unknown[] }
    expect(cache?.jwks.keys).toEqual(published.keys as never)
    const next = await configure(id, openid.ClientSecretJwt(secret), {
      id_token_signed_response_alg: 'EdDSA',
    })
    if (cache) openid.setJwksCache(next, cache)
    const refreshed = await openid.refreshTokenGrant(next, again.refresh_token ?? '')
    expect(refreshed.access_token).toBeString()

    const way = openid.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token ?? '',
      post_logout_redirect_uri: SIGNED_OUT,
      state: 'bye',
    })
    const left = await browser.open(way.href)
    expect(left.url.href).toBe(`${SIGNED_OUT}?state=bye`)
    expect((await browser.open('/account/')).url.pathname).toBe('/login')
    expect((await introspected(refreshed.access_token)).active).toBe(false)
    await signUp(browser, 'bob')
  })

  test('an answer that comes in a form (form_post), for both libraries', async () => {
    const { id } = await registered({ client_name: 'By form' })
    const config = await configure(id, openid.None())
    const pkceCodeVerifier = openid.randomPKCECodeVerifier()
    const expectedState = openid.randomState()
    const address = openid.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      response_mode: 'form_post',
      scope: 'openid',
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expectedState,
    })
    const page = await browser.open(address.href)
    const answered = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    const form = readForms(answered.text).find(({ action }) => action === REDIRECT)
    const arrived = () => new Request(REDIRECT, { method: 'POST', body: new URLSearchParams(form?.hidden) })
    const fields = new URLSearchParams(form?.hidden)
    oauth.validateAuthResponse(as, { client_id: id }, fields, expectedState)
    const tokens = await openid.authorizationCodeGrant(config, arrived(), { pkceCodeVerifier, expectedState })
    expect(tokens.id_token).toBeString()
  })

  test('the implicit flow, where the operator turned it on', async () => {
    const old = await createHarness({
      config: { http: { public_base: IMPLICIT }, oauth: { implicit_flow: true } },
      start: new Date().toISOString(),
    })
    try {
      const visitor = old.browser()
      await signUp(visitor, 'alice')
      const { client_id } = await registerClient(old, {
        ...WEB_CLIENT,
        grant_types: ['implicit'],
        response_types: ['id_token'],
      })
      const config = await openid.discovery(new URL(IMPLICIT), client_id, {}, openid.None(), {
        [openid.customFetch]: (url: string, init: object) =>
          old.app.handle(new Request(url, init as RequestInit)),
      })
      openid.useIdTokenResponseType(config)
      const [nonce, state] = [openid.randomNonce(), openid.randomState()]
      const address = openid.buildAuthorizationUrl(config, {
        redirect_uri: REDIRECT,
        scope: 'openid',
        nonce,
        state,
      })
      const page = await visitor.open(address.href)
      const done = await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
      const claims = await openid.implicitAuthentication(config, done.url, nonce, { expectedState: state })
      expect(claims.aud).toBe(client_id)
    } finally {
      await old.close()
    }
  })
})

/** What the libraries export and these tests do not call, with the reason. */
const NOT_FOR_US: Record<string, string> = {
  TlsClientAuth: 'mutual TLS (RFC 8705) is no method of ours',
  backchannelAuthenticationRequest: 'CIBA is no grant of ours',
  backchannelAuthenticationGrantRequest: 'CIBA',
  processBackchannelAuthenticationResponse: 'CIBA',
  processBackchannelAuthenticationGrantResponse: 'CIBA',
  initiateBackchannelAuthentication: 'CIBA',
  pollBackchannelAuthenticationGrant: 'CIBA',
  validateJwtAuthResponse: 'JARM is no response mode of ours',
  useJwtResponseMode: 'JARM',
  validateDetachedSignatureResponse: 'the hybrid flow is no response type of ours',
  validateCodeIdTokenResponse: 'the hybrid flow',
  useCodeIdTokenResponseType: 'the hybrid flow',
  enableDetachedSignatureResponseChecks: 'the hybrid flow',
  enableDecryptingResponses: 'nothing of ours is encrypted',
  getDecryptedResponses: 'nothing of ours is encrypted',
  validateJwtAccessToken: 'our access tokens are opaque',
  resourceDiscoveryRequest: 'RFC 9728 is for resources of others',
  processResourceDiscoveryResponse: 'RFC 9728',
  isDPoPNonceError: 'we ask for no DPoP nonce',
  checkProtocol: 'of the library itself',
  formPostResponse: 'of the library itself',
  getContentType: 'of the library itself',
  resolveEndpoint: 'of the library itself',
  allowInsecureRequests: 'everything here is https',
}

describe('every function of the libraries', () => {
  const FILES = ['clients-whole', 'clients', 'authorize-client', 'dpop-client']
  test.each([
    ['oauth4webapi', 'oauth', oauth],
    ['openid-client', 'openid', openid],
  ])('%s: is called here, or there is a reason', async (_name, alias, module) => {
    const sources = await Promise.all(
      FILES.map((name) => Bun.file(`${import.meta.dir}/${name}.test.ts`).text()),
    )
    const functions = Object.entries(module)
      .filter(([name, value]) => typeof value === 'function' && !/Error$|^Configuration$/.test(name))
      .map(([name]) => name)
    expect(functions.length).toBeGreaterThan(30)
    const isCalled = (name: string) =>
      sources.some((source) => new RegExp(`\\b${alias}\\.${name}\\b`).test(source))
    expect(functions.filter((name) => !isCalled(name) && !(name in NOT_FOR_US))).toEqual([])
    expect(functions.filter((name) => isCalled(name) && name in NOT_FOR_US)).toEqual([])
  })
})

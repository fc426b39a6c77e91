import { expect } from 'bun:test'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { rotateKeys } from '../../../src/oauth/keyring.ts'
import { clientKey } from '../../support/client-keys.ts'
import { BASIC_MODULES, type Module } from './basic.ts'
import { discovery, keys, verifyDiscovery } from './discovery.ts'
import {
  assertion,
  authorize,
  CALLBACK,
  codeGrant,
  ISSUER,
  openRequest,
  register,
  registered,
  relyingParty,
  requestOf,
  type Suite,
  signInWith,
  token,
  userinfo,
} from './suite.ts'

/** An address that is not exactly a registered one gets a page, and nothing is sent there. */
const mismatch =
  (uri: string, asked: string): Module =>
  async (suite, variant) => {
    const party = await registered(suite, variant, { redirect_uris: [uri] })
    const page = await openRequest(suite.harness.browser(), requestOf(party, { redirect_uri: asked }))
    expect([page.url.origin, page.status]).toEqual([new URL(ISSUER).origin, 400])
    expect(page.text).toContain('redirect_uri')
  }

/** What a client registered for people to see is on the first page that they get. */
const firstPageShows =
  (member: string, uri: string, pattern: RegExp): Module =>
  async (suite, variant) => {
    const party = await registered(suite, variant, { [member]: uri })
    const page = await openRequest(suite.harness.browser(), requestOf(party))
    expect([page.status, page.url.pathname]).toEqual([200, '/login'])
    expect(page.text).toMatch(pattern)
  }

const refusesRegistration =
  (metadata: object, errors: string[]): Module =>
  async (suite) => {
    const { status, type, body } = await register(suite, metadata)
    expect([status, type]).toEqual([400, 'application/json'])
    expect(errors).toContain(String(body.error))
  }

/** A client whose keys are at an address of its own. */
async function withPublishedKeys(suite: Suite, variant: Parameters<Module>[1], path: string) {
  const party = await registered(suite, variant, { jwks_uri: suite.address(path) })
  const publish = (key = party.key) =>
    suite.served.set(path, () => Response.json({ keys: key === undefined ? [] : [key.jwk] }))
  publish()
  return { party, publish }
}

/** The modules of the plan Dynamic that Basic has not. */
export const DYNAMIC_MODULES: Record<string, Module> = {
  ...BASIC_MODULES,
  'oidcc-idtoken-rs256': async (suite, variant) => {
    await signInWith(suite, await registered(suite, variant, { id_token_signed_response_alg: 'RS256' }))
  },
  'oidcc-userinfo-rs256': async (suite, variant) => {
    const party = await registered(suite, variant, { userinfo_signed_response_alg: 'RS256' })
    const request = requestOf(party)
    const { code } = await authorize(suite.harness.browser(), party, request)
    const { body } = await token(suite, party, codeGrant(party, code))
    const response = await suite.harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${body.access_token}` },
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/jwt'])
    const set = (await (await suite.harness.request('/oauth2/keys.json')).json()) as JSONWebKeySet
    const jwt = await response.text()
    const { payload } = await jwtVerify(jwt, createLocalJWKSet(set), {
      issuer: ISSUER,
      audience: party.id,
      algorithms: ['RS256'],
      currentDate: suite.harness.clock.now(),
    })
    expect(payload.sub).toBeString()
    expect(payload.nonce).toBeUndefined()
    expect((await discovery(suite)).userinfo_signing_alg_values_supported).toContain('RS256')
  },
  'oidcc-ensure-redirect-uri-in-authorization-request': async (suite, variant) => {
    const party = await registered(suite, variant, { redirect_uris: [CALLBACK, `${CALLBACK}/2`] })
    const request = requestOf(party, { redirect_uri: undefined })
    const page = await openRequest(suite.harness.browser(), request)
    expect([page.url.origin, page.status]).toEqual([new URL(ISSUER).origin, 400])
    expect(page.text).toContain('redirect_uri')
  },
  'oidcc-redirect-uri-query-OK': async (suite, variant) => {
    const party = await registered(suite, variant, { redirect_uris: [`${CALLBACK}?foo=bar`] })
    const { answer } = await signInWith(suite, party)
    expect(answer.params.get('foo')).toBe('bar')
  },
  'oidcc-redirect-uri-query-mismatch': mismatch(`${CALLBACK}?foo=bar`, `${CALLBACK}?bar=foo`),
  'oidcc-redirect-uri-query-added': mismatch(CALLBACK, `${CALLBACK}?foo=bar`),
  'oidcc-redirect-uri-regfrag': refusesRegistration({ redirect_uris: [`${CALLBACK}#foobar`] }, [
    'invalid_redirect_uri',
    'invalid_client_metadata',
  ]),
  'oidcc-discovery-endpoint-verification': verifyDiscovery,
  'oidcc-registration-logo-uri': firstPageShows(
    'logo_uri',
    'https://suite.example.com/logo.png',
    /<img src="https:\/\/suite\.example\.com\/logo\.png"/,
  ),
  'oidcc-registration-policy-uri': firstPageShows(
    'policy_uri',
    'https://suite.example.com/policy.html',
    /<a href="https:\/\/suite\.example\.com\/policy\.html"/,
  ),
  'oidcc-registration-tos-uri': firstPageShows(
    'tos_uri',
    'https://suite.example.com/terms.html',
    /<a href="https:\/\/suite\.example\.com\/terms\.html"/,
  ),
  'oidcc-registration-jwks-uri': async (suite, variant) => {
    const { party } = await withPublishedKeys(suite, variant, '/client1_jwks')
    await signInWith(suite, party)
  },
  // The suite leaves both out where `pairwise` is not offered.
  'oidcc-registration-sector-uri': async (suite) => {
    expect((await discovery(suite)).subject_types_supported).toEqual(['public'])
  },
  'oidcc-registration-sector-bad': async (suite) => {
    expect((await discovery(suite)).subject_types_supported).toEqual(['public'])
  },
  'oidcc-server-rotate-keys': async (suite) => {
    const before = await keys(suite)
    await rotateKeys(suite.harness.deps)
    await suite.harness.deps.keys.reload()
    const after = await keys(suite)
    const fresh = after.filter(({ kid }) => !before.some((key) => key.kid === kid))
    expect(fresh.some(({ kty, use }) => kty === 'RSA' && use === 'sig')).toBe(true)
    for (const { kid } of before) expect(after.map((key) => key.kid)).toContain(kid)
  },
  'oidcc-refresh-token-rp-key-rotation': async (suite, variant) => {
    const { party, publish } = await withPublishedKeys(suite, variant, '/client2_jwks')
    const { tokens, claims } = await signInWith(suite, party, {
      scope: 'openid offline_access',
      prompt: 'consent',
    })
    const next = await clientKey('RS256', 'another-key')
    publish(next)
    suite.harness.clock.advance(60)
    const { status, body } = await token(
      suite,
      { ...party, credentials: async () => ({ fields: await assertion(suite, party.id, next) }) },
      { grant_type: 'refresh_token', refresh_token: tokens.refresh_token },
    )
    expect([status, body.error]).toEqual([200, undefined])
    expect((await userinfo(suite, body.access_token ?? '')).sub).toBe(claims.sub as string)
  },
  'oidcc-request-uri-unsigned': async (suite, variant) => {
    await BASIC_MODULES['oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported']?.(
      suite,
      variant,
    )
  },
  'oidcc-request-uri-signed-rs256': async (suite, variant) => {
    // With the digest of the object as its fragment (OpenID Connect Core section 6.2).
    const uri = suite.address('/requesturi/object#0mqp-Bjb-3lDKNQp1X-rV8EvYk0u4h9iM6pCVyIxwMo')
    const party = await registered(suite, variant, {
      request_uris: [uri],
      request_object_signing_alg: 'RS256',
    })
    const inside = requestOf(party)
    const object = await party.key?.sign({ ...inside, iss: party.id, aud: ISSUER })
    expect(decodeProtectedHeader(object ?? '').alg).toBe('RS256')
    suite.served.set(
      '/requesturi/object',
      () => new Response(object, { headers: { 'content-type': 'application/jwt' } }),
    )
    const { client_id = '', response_type = '', scope = '' } = inside
    const browser = suite.harness.browser()
    const first = await openRequest(browser, { client_id, response_type, scope, request_uri: uri })
    await authorize(browser, party, inside, first)
  },
  'oidcc-ensure-client-assertion-with-iss-aud-succeeds': async (suite, variant) => {
    const party = await relyingParty(suite, variant)
    const key = party.key ?? (await clientKey('RS256'))
    const { code } = await authorize(suite.harness.browser(), party, requestOf(party))
    const { status, body } = await token(
      suite,
      { ...party, credentials: async () => ({ fields: await assertion(suite, party.id, key, ISSUER) }) },
      codeGrant(party, code),
    )
    expect([status, body.error]).toEqual([200, undefined])
  },
}

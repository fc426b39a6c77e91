import { expect } from 'bun:test'
import { decodeProtectedHeader } from 'jose'
import { proofKey } from '../../support/dpop.ts'
import {
  CALLBACK,
  type Changes,
  codeForm,
  FAPI,
  type Fapi,
  ISSUER,
  ORIGIN,
  refreshForm,
  SECOND,
  TOKEN,
  USERINFO,
} from '../../support/fapi2.ts'
import { PASSWORD, pkce } from '../../support/oauth.ts'

type Module = (fapi: Fapi) => Promise<void>

// --- what modules have in common

/** A whole authorization with `params`; the answer has `state` and `iss`, the tokens are bound and work. */
async function succeeds(fapi: Fapi, params: Changes = {}): Promise<URLSearchParams> {
  const { searchParams } = await fapi.answered(await fapi.push(params))
  expect(searchParams.get('iss')).toBe(ISSUER)
  expect(searchParams.get('state')).toBe('state' in params ? (params.state ?? null) : 'a-state')
  const { status, body } = await fapi.token(codeForm(searchParams.get('code') ?? ''))
  expect([status, body.token_type]).toEqual([200, 'DPoP'])
  expect((await fapi.info(body.access_token)).status).toBe(200)
  return searchParams
}

const runs =
  (params: Changes): Module =>
  async (fapi) => {
    await succeeds(fapi, params)
  }

/** The push is refused with an error. */
const refusesPush =
  (params: Changes, ...errors: string[]): Module =>
  async (fapi) => {
    const { status, error = '' } = await fapi.push(params)
    expect(status).toBe(400)
    expect(errors).toContain(error)
  }

/** A push with a client assertion like this is refused. */
const refusesAssertionAtPar =
  (claims: (fapi: Fapi) => object): Module =>
  async (fapi) => {
    const { status, error } = await fapi.push({}, FAPI, await fapi.assertion(FAPI, claims(fapi)))
    expect([status, error]).toEqual([401, 'invalid_client'])
  }

/** A token request with these credentials is refused; the code is good. */
async function refusesClient(fapi: Fapi, credentials: Record<string, string>): Promise<void> {
  const { status, error = '' } = await fapi.token(codeForm(await fapi.codeFor()), { credentials })
  expect([400, 401]).toContain(status)
  expect(['invalid_client', 'invalid_request']).toContain(error)
}

const INVALID_GRANT = { status: 400, error: 'invalid_grant' }

/** A token request whose form is changed is `invalid_grant`. */
const refusesCode =
  (change: (form: Record<string, string>) => Record<string, string>): Module =>
  async (fapi) => {
    expect(await fapi.token(change(codeForm(await fapi.codeFor())))).toMatchObject(INVALID_GRANT)
  }

/** Whole grants whose proofs have these claims work, at the token endpoint and at userinfo. */
const takesProofs =
  (claims: (fapi: Fapi) => Record<string, unknown>): Module =>
  async (fapi) => {
    const dpop = await fapi.proof.proof('POST', TOKEN, { claims: claims(fapi) })
    const { status, body } = await fapi.token(codeForm(await fapi.codeFor()), { dpop })
    expect(status).toBe(200)
    expect((await fapi.info(body.access_token, { claims: claims(fapi) })).status).toBe(200)
  }

/** The answer at the client is an error. */
async function errorAt(fapi: Fapi, params: Record<string, string>, error: string): Promise<void> {
  expect(await fapi.direct(params)).toBe(error)
}

/** What stands beside a pushed request does not count (RFC 9126 section 4). */
const ignoresOutside =
  (name: 'state' | 'nonce', outside: string): Module =>
  async (fapi) => {
    const { request_uri } = await fapi.push({ [name]: name === 'state' ? undefined : 'inside' })
    const query = new URLSearchParams({ client_id: FAPI, request_uri, [name]: outside })
    const page = await fapi.browser.open(`/authorize?${query}`)
    const { url } = page.url.pathname.includes('/consent/')
      ? await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
      : page
    expect(url.searchParams.get('state')).toBe(name === 'state' ? null : 'a-state')
    const { body } = await fapi.token(codeForm(url.searchParams.get('code') ?? ''))
    const claims = JSON.parse(Buffer.from(body.id_token?.split('.')[1] ?? '', 'base64url').toString())
    expect(claims.nonce).toBe(name === 'nonce' ? 'inside' : undefined)
  }

/** Each change to a right proof, and whether userinfo takes it. */
const dpopNegativeTests: Module = async (fapi) => {
  const { access_token: token } = await fapi.granted()
  const stranger = await proofKey(fapi.harness.clock, 'ES256', ORIGIN)
  const good = () => fapi.proof.proof('GET', USERINFO, { token })
  const call = (headers: [string, string][]) => fapi.harness.request(USERINFO, { headers })
  const authorization = ['authorization', `DPoP ${token}`] as [string, string]
  expect((await call([authorization, ['DPOP', await good()]])).status).toBe(200)
  expect((await call([authorization, ['dpop', await good()], ['dpop', await good()]])).status).toBe(401)
  expect((await call([authorization])).status).toBe(401)
  expect((await call([['authorization', `Bearer ${token}`]])).status).toBe(401)
  for (const [change, status] of [
    [{ header: { typ: undefined } }, 401],
    [{ header: { typ: 'jwt' } }, 401],
    [{ header: { jwk: undefined } }, 401],
    [{ header: { jwk: fapi.proof.secretJwk } }, 401],
    [{ header: { jwk: stranger.jwk } }, 401],
    [{ header: { extra: 'x' }, claims: { extra: 'x' } }, 200],
    [{ claims: { jti: undefined } }, 401],
    [{ claims: { htm: undefined } }, 401],
    [{ claims: { htm: 'PUT' } }, 401],
    [{ claims: { htu: undefined } }, 401],
    [{ claims: { htu: `${ORIGIN}${USERINFO}?a=b#c` } }, 200],
    [{ claims: { htu: `${ORIGIN.toUpperCase()}:443${USERINFO}` } }, 200],
    [{ claims: { htu: `${ORIGIN}/other` } }, 401],
    [{ claims: { iat: undefined } }, 401],
    [{ claims: { iat: fapi.seconds() + 3600 } }, 401],
    [{ claims: { iat: fapi.seconds() - 3600 } }, 401],
    [{ claims: { ath: undefined } }, 401],
    [{ claims: { ath: 'x' } }, 401],
    [{ claims: { jti: 'fixed' } }, 200],
    [{ claims: { jti: 'fixed' } }, 401],
    [{}, 200],
  ] as const) {
    const response = await fapi.info(token, { ...change })
    expect([change, response.status] as unknown[]).toEqual([change, status])
  }
  const [head, payload, signature = ''] = (await good()).split('.')
  const none = Buffer.from('{"typ":"dpop+jwt","alg":"none"}').toString('base64url')
  for (const broken of [
    'x',
    `${none}.${payload}.`,
    `${head}.${payload}.${[...signature].reverse().join('')}`,
  ])
    expect((await call([authorization, ['dpop', broken]])).status).toBe(401)
}

const refreshTokens: Module = async (fapi) => {
  const { refresh_token, access_token } = await fapi.granted()
  expect(refresh_token).toMatch(/^[\x21-\x7e]+$/)
  const form = refreshForm(refresh_token)
  const { status, body } = await fapi.token(form)
  expect([status, body.token_type, body.refresh_token]).toEqual([200, 'DPoP', refresh_token])
  expect(body.access_token).not.toBe(access_token)
  expect((await fapi.info(body.access_token)).status).toBe(200)
  expect(await fapi.token(form, { credentials: {} })).toMatchObject({ error: 'invalid_client' })
  expect(await fapi.token(form, { dpop: null })).toMatchObject({ status: 400, error: 'invalid_dpop_proof' })
  expect(await fapi.token(form, { id: SECOND })).toMatchObject(INVALID_GRANT)
}

// --- the plan

/** What each module of the plan does and checks; `plans.ts` has the plan. */
export const FAPI2_MODULES: Record<string, Module> = {
  'discovery-end-point-verification': async ({ harness }) => {
    const response = await harness.request('/.well-known/openid-configuration')
    const document = (await response.json()) as Record<string, unknown>
    expect(document.issuer).toBe(ISSUER)
    for (const name of ['dpop', 'id_token', 'token_endpoint_auth'])
      expect(document[`${name}_signing_alg_values_supported`]).toContain('PS256')
    expect(document.token_endpoint_auth_methods_supported).toContain('private_key_jwt')
    expect(document.code_challenge_methods_supported).toContain('S256')
    expect(document.response_types_supported).toContain('code')
    expect(document.authorization_response_iss_parameter_supported).toBe(true)
    expect(document.pushed_authorization_request_endpoint).toBe(`${ORIGIN}/oauth2/par`)
    expect(document.require_pushed_authorization_requests).toBeBoolean()
    expect(document.grant_types_supported).toContain('refresh_token')
  },
  'happy-flow': async (fapi) => {
    const params = await succeeds(fapi)
    expect([...params.keys()].sort()).toEqual(['code', 'iss', 'state'])
    const { id_token } = await fapi.granted()
    expect(decodeProtectedHeader(id_token ?? '')).toMatchObject({ alg: 'PS256', kid: expect.any(String) })
  },
  'user-rejects-authentication': async (fapi) => {
    const { request_uri } = await fapi.push({ prompt: 'consent' })
    const query = new URLSearchParams({ client_id: FAPI, request_uri })
    const page = await fapi.browser.open(`/authorize?${query}`)
    const { url } = await page.submit({}, { action: 'consent/', button: ['action', 'cancel'] })
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      error: 'access_denied',
      state: 'a-state',
      iss: ISSUER,
    })
  },
  'ensure-authorization-request-without-state-success': runs({ state: undefined }),
  'ensure-authorization-request-without-nonce-success': runs({ nonce: undefined }),
  'ensure-authorization-request-with-64-char-nonce-success': runs({ nonce: 'n'.repeat(64) }),
  'ensure-other-scope-order-succeeds': runs({ scope: 'profile openid' }),
  'test-claims-parameter-identity-claims': runs({
    claims: JSON.stringify({ id_token: { name: null }, userinfo: { email: { essential: true } } }),
  }),
  'access-token-type-header-case-sensitivity': async (fapi) => {
    const { access_token } = await fapi.granted()
    for (const scheme of ['DPoP', 'dpop', 'DPOP'])
      expect((await fapi.info(access_token, {}, scheme)).status).toBe(200)
  },
  'check-dpop-proof-nbf-exp': takesProofs(({ seconds }) => ({ nbf: seconds(), exp: seconds() + 300 })),
  'ensure-dpopproof-with-iat-10seconds-before-succeeds': takesProofs(({ seconds }) => ({
    iat: seconds() - 10,
  })),
  'ensure-dpopproof-with-iat-10seconds-after-succeeds': takesProofs(({ seconds }) => ({
    iat: seconds() + 8,
  })),
  'ensure-mismatched-dpop-jkt-fails': async (fapi) => {
    const stranger = await proofKey(fapi.harness.clock, 'ES256', ORIGIN)
    const dpop = await fapi.proof.proof('POST', '/oauth2/par')
    const { status, error } = await fapi.push({ dpop_jkt: stranger.jkt }, FAPI, undefined, dpop)
    expect([status, error]).toEqual([400, 'invalid_dpop_proof'])
  },
  'ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt': async (fapi) => {
    const stranger = await proofKey(fapi.harness.clock, 'ES256', ORIGIN)
    const dpop = await stranger.proof('POST', '/oauth2/par')
    const url = await fapi.answered(await fapi.push({}, FAPI, undefined, dpop))
    expect(await fapi.token(codeForm(url.searchParams.get('code') ?? ''))).toMatchObject(INVALID_GRANT)
  },
  'ensure-token-endpoint-fails-with-mismatched-dpop-jkt': async (fapi) => {
    const stranger = await proofKey(fapi.harness.clock, 'ES256', ORIGIN)
    const code = await fapi.codeFor({ dpop_jkt: stranger.jkt })
    expect(await fapi.token(codeForm(code))).toMatchObject(INVALID_GRANT)
  },
  'ensure-dpopproof-at-par-endpoint-binding-success': async (fapi) => {
    const dpop = await fapi.proof.proof('POST', '/oauth2/par')
    const url = await fapi.answered(await fapi.push({}, FAPI, undefined, dpop))
    expect((await fapi.token(codeForm(url.searchParams.get('code') ?? ''))).status).toBe(200)
  },
  'ensure-dpop-auth-code-binding-success': async (fapi) => {
    await succeeds(fapi, { dpop_jkt: fapi.proof.jkt })
  },
  'ensure-different-nonce-inside-and-outside-request-object': ignoresOutside('nonce', 'outside'),
  'ensure-different-state-inside-and-outside-request-object': async (fapi) => {
    const { request_uri } = await fapi.push({ state: 'inside' })
    const query = new URLSearchParams({ client_id: FAPI, request_uri, state: 'outside' })
    const page = await fapi.browser.open(`/authorize?${query}`)
    expect(page.url.searchParams.get('state') ?? 'inside').toBe('inside')
  },
  'ensure-authorization-request-with-long-nonce': runs({ nonce: 'n'.repeat(384) }),
  'ensure-authorization-request-with-long-state': runs({ state: 's'.repeat(1000) }),
  'state-only-outside-request-object-not-used': ignoresOutside('state', 'outside'),
  'ensure-request-object-without-redirect-uri-fails': refusesPush(
    { redirect_uri: undefined },
    'invalid_request',
  ),
  'plain-fapi-tolerate-unregistered-redirect-uri': refusesPush(
    { redirect_uri: `${CALLBACK}/unregistered` },
    'invalid_request',
  ),
  'ensure-unsigned-authorization-request-without-using-par-fails': (fapi) =>
    errorAt(fapi, fapi.requestOf(FAPI), 'invalid_request'),
  'ensure-redirect-uri-in-authorization-request': refusesPush({ redirect_uri: undefined }, 'invalid_request'),
  'ensure-response-type-code-idtoken-fails': refusesPush(
    { response_type: 'code id_token' },
    'unsupported_response_type',
  ),
  'ensure-response-type-token-fails': refusesPush({ response_type: 'token' }, 'unsupported_response_type'),
  'ensure-client-id-in-token-endpoint': async (fapi) => {
    const ofSecond = await fapi.assertion(SECOND, {}, fapi.key.sign)
    const answer = await fapi.token(
      { ...codeForm(await fapi.codeFor()), client_id: SECOND },
      {
        credentials: ofSecond,
      },
    )
    expect(answer).toMatchObject({ status: 401, error: 'invalid_client' })
  },
  'ensure-holder-of-key-required': async (fapi) => {
    const answer = await fapi.token(codeForm(await fapi.codeFor()), { dpop: null })
    expect(answer).toMatchObject({ status: 400, error: 'invalid_dpop_proof' })
  },
  'ensure-authorization-code-is-bound-to-client': async (fapi) => {
    const answer = await fapi.token(codeForm(await fapi.codeFor()), { id: SECOND })
    expect(answer).toMatchObject(INVALID_GRANT)
  },
  'attempt-reuse-authorization-code-after-one-second': async (fapi) => {
    const form = codeForm(await fapi.codeFor())
    expect((await fapi.token(form)).status).toBe(200)
    fapi.harness.clock.advance(1)
    expect(await fapi.token(form)).toMatchObject(INVALID_GRANT)
  },
  'ensure-token-endpoint-fails-with-expired-auth-code': async (fapi) => {
    const form = codeForm(await fapi.codeFor())
    fapi.harness.clock.advance(65)
    expect(await fapi.token(form)).toMatchObject(INVALID_GRANT)
  },
  'ensure-signed-client-assertion-with-RS256-fails': async (fapi) => {
    const credentials = await fapi.assertion(FAPI, {}, fapi.signRs256)
    const answer = await fapi.token(codeForm(await fapi.codeFor()), { credentials })
    expect(answer).toMatchObject({ status: 401, error: 'invalid_client' })
  },
  'ensure-client-assertion-in-token-endpoint': (fapi) => refusesClient(fapi, {}),
  'ensure-client-assertion-with-exp-is-5-minutes-in-past-fails': async (fapi) =>
    refusesClient(fapi, await fapi.assertion(FAPI, { exp: fapi.seconds() - 300 })),
  'ensure-client-assertion-with-wrong-aud-fails': async (fapi) =>
    refusesClient(fapi, await fapi.assertion(FAPI, { aud: 'https://other.example.com/' })),
  'ensure-client-assertion-with-no-sub-fails': async (fapi) =>
    refusesClient(fapi, await fapi.assertion(FAPI, { sub: undefined })),
  'dpop-negative-tests': dpopNegativeTests,
  'refresh-token': refreshTokens,
  'par-ensure-reused-request-uri-prior-to-auth-completion-succeeds': async (fapi) => {
    const pushed = await fapi.push({ prompt: 'login' })
    const query = new URLSearchParams({ client_id: FAPI, request_uri: pushed.request_uri })
    const stranger = fapi.harness.browser()
    expect((await stranger.open(`/authorize?${query}`)).url.pathname).toBe('/login')
    const again = await stranger.open(`/authorize?${query}`)
    const consent = await again.submit({ username: 'alice', password: PASSWORD }, { action: 'login' })
    const { url } = consent.url.pathname.includes('/consent/')
      ? await consent.submit({}, { action: 'consent/', button: ['action', 'consent'] })
      : consent
    expect((await fapi.token(codeForm(url.searchParams.get('code') ?? ''))).status).toBe(200)
  },
  'par-attempt-reuse-request_uri': async (fapi) => {
    const pushed = await fapi.push()
    expect((await fapi.answered(pushed)).searchParams.has('code')).toBe(true)
    expect((await fapi.answered(pushed)).searchParams.get('error')).toBe('invalid_request_uri')
  },
  'par-attempt-to-use-expired-request_uri': async (fapi) => {
    const pushed = await fapi.push()
    expect(pushed.expires_in).toBeWithin(5, 600)
    fapi.harness.clock.advance(pushed.expires_in)
    expect((await fapi.answered(pushed)).searchParams.get('error')).toBe('invalid_request_uri')
  },
  'par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted': async (fapi) => {
    const ahead = { iat: fapi.seconds() + 8, nbf: fapi.seconds() + 8 }
    expect((await fapi.push({}, FAPI, await fapi.assertion(FAPI, ahead))).status).toBe(201)
  },
  'par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails': refusesAssertionAtPar(
    ({ seconds }) => ({ iat: seconds() + 70, nbf: seconds() + 70, exp: seconds() + 300 }),
  ),
  'par-attempt-to-use-request_uri-for-different-client': async (fapi) => {
    const { request_uri } = await fapi.push()
    await errorAt(fapi, { client_id: SECOND, request_uri }, 'invalid_request_uri')
  },
  'par-authorization-request-containing-request_uri-form-param': refusesPush(
    { request_uri: 'urn:ietf:params:oauth:request_uri:x' },
    'invalid_request',
  ),
  'par-attempt-invalid-http-method': async ({ harness }) => {
    for (const method of ['GET', 'PUT'])
      expect((await harness.request('/oauth2/par', { method })).status).toBe(405)
  },
  'par-ensure-pkce-required': refusesPush(
    { code_challenge: undefined, code_challenge_method: undefined },
    'invalid_request',
  ),
  'ensure-pkce-code-verifier-required': refusesCode(({ code_verifier: _, ...form }) => form),
  'incorrect-pkce-code-verifier-rejected': refusesCode((form) => ({
    ...form,
    code_verifier: pkce('x'.repeat(43)).verifier,
  })),
  'par-plain-pkce-rejected': refusesPush({ code_challenge_method: 'plain' }, 'invalid_request'),
  'par-without-duplicate-parameters': runs({}),
  'par-test-array-as-audience-fails': refusesAssertionAtPar(() => ({
    aud: [ISSUER, `${ORIGIN}/oauth2/par`],
  })),
  'par-test-par-endpoint-url-as-audience-fails': refusesAssertionAtPar(() => ({
    aud: `${ORIGIN}/oauth2/par`,
  })),
  'par-test-token-endpoint-url-as-audience-fails': refusesAssertionAtPar(() => ({
    aud: `${ORIGIN}${TOKEN}`,
  })),
}

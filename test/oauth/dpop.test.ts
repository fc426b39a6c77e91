import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Browser } from '../support/browser.ts'
import { approve, poll, registerDeviceClient, requestDevice } from '../support/device.ts'
import { type ProofKey, proofKey } from '../support/dpop.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  API_SCOPE,
  authorizeUrl,
  basic,
  introspect,
  MATRIX_SCOPE,
  obtainCode,
  pkce,
  registerClient,
  signUp,
  staticClient,
  type TokenBody,
  WEB_CLIENT,
} from '../support/oauth.ts'

const TOKEN = '/oauth2/token'
const USERINFO = '/oauth2/userinfo'
let harness: Harness
let other: Harness
let browser: Browser
let clientId: string
let key: ProofKey
let stranger: ProofKey
beforeAll(async () => {
  harness = await createHarness()
  // A second process on the same database.
  other = await createHarness({ beside: harness })
  browser = harness.browser()
  await signUp(browser, 'alice')
  clientId = (await registerClient(harness)).client_id
  ;[key, stranger] = [await proofKey(harness.clock), await proofKey(harness.clock)]
})
afterAll(async () => {
  await other.close()
  await harness.close()
})

type Answer = { status: number; error: string | undefined; body: TokenBody }
async function ask(
  form: Record<string, string>,
  proof: string | undefined,
  headers: Record<string, string> = {},
  at = harness,
): Promise<Answer> {
  const response = await at.form(TOKEN, form, { ...headers, ...(proof !== undefined && { dpop: proof }) })
  const body = (await response.json()) as TokenBody & { error?: string }
  return { status: response.status, error: body.error, body }
}
const codeForm = (code: string, id = clientId): Record<string, string> => ({
  grant_type: 'authorization_code',
  client_id: id,
  code,
  code_verifier: pkce().verifier,
})
const refreshForm = (token: string, id = clientId): Record<string, string> => ({
  grant_type: 'refresh_token',
  client_id: id,
  refresh_token: token,
})
/** Tokens of alice, bound to `key`. */
async function bound(scope: string, id = clientId): Promise<TokenBody> {
  const code = await obtainCode(browser, id, { scope })
  const { status, body } = await ask(codeForm(code, id), await key.proof('POST', TOKEN))
  expect(status).toBe(200)
  return body
}
const proof = (of = key) => of.proof('POST', TOKEN)
const info = (authorization: string, dpop?: string, method = 'GET') =>
  harness.request(USERINFO, { method, headers: { authorization, ...(dpop !== undefined && { dpop }) } })
const challengeOf = (response: Response): [number, string | undefined] => [
  response.status,
  /error="(\w+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1],
]
const INVALID_PROOF = { status: 400, error: 'invalid_dpop_proof' }
const INVALID_GRANT = { status: 400, error: 'invalid_grant' }

describe('a DPoP proof (RFC 9449 section 4.3)', () => {
  /** How a token request with this proof is answered: `invalid_grant` is what a good proof leads to here. */
  const judge = async (dpop: string): Promise<string | undefined> =>
    (await ask(refreshForm(`mar_${'x'.repeat(30)}_000000`), dpop)).error
  const changed = (claims: object, header: object = {}) =>
    key.proof('POST', TOKEN, { claims: { ...claims }, header: { ...header } }).then(judge)
  const seconds = () => Math.floor(harness.clock.now().getTime() / 1000)

  test('a good one is taken, with query and fragment in htu and in any spelling of the address', async () => {
    expect(await judge(await proof())).toBe('invalid_grant')
    for (const htu of [
      'http://auth.test/oauth2/token?x=1#y',
      'HTTP://AUTH.test:80/oauth2/token',
      'http://auth.test/x/../oauth2/token',
      'http://auth.test/%6fauth2/t%6Fken',
    ])
      expect([htu, await changed({ htu })]).toEqual([htu, 'invalid_grant'])
  })

  test.each<[string, object, object]>([
    ['another typ', {}, { typ: 'JWT' }],
    ['no typ', {}, { typ: undefined }],
    ['no jwk', {}, { jwk: undefined }],
    ['a jwk that is no object', {}, { jwk: 'key' }],
    ['a critical extension', {}, { crit: ['unknown'], unknown: 1 }],
    ['another method', { htm: 'GET' }, {}],
    ['the method in small letters', { htm: 'post' }, {}],
    ['no htm', { htm: undefined }, {}],
    ['another address', { htu: 'http://auth.test/oauth2/par' }, {}],
    ['another host', { htu: 'http://evil.test/oauth2/token' }, {}],
    ['another scheme', { htu: 'https://auth.test/oauth2/token' }, {}],
    ['an htu that is no URL', { htu: '/oauth2/token' }, {}],
    ['an htu with a name in it', { htu: 'http://a@auth.test/oauth2/token' }, {}],
    ['an htu that is not UTF-8', { htu: 'http://auth.test/oauth2/%fftoken' }, {}],
    ['an htu with another path in its encoding', { htu: 'http://auth.test/oauth2%2Ftoken' }, {}],
    ['no htu', { htu: undefined }, {}],
    ['no iat', { iat: undefined }, {}],
    ['an iat that is no number', { iat: '1' }, {}],
    ['no jti', { jti: undefined }, {}],
    ['an empty jti', { jti: '' }, {}],
    ['a jti that is no text', { jti: 1 }, {}],
  ])('%s: invalid_dpop_proof', async (_name, claims, header) => {
    expect(await changed(claims, header)).toBe('invalid_dpop_proof')
  })

  test('iat may be 5 minutes old and half a minute ahead, not more', async () => {
    for (const [offset, outcome] of [
      [-299, 'invalid_grant'],
      [-301, 'invalid_dpop_proof'],
      [10, 'invalid_grant'],
      [30, 'invalid_grant'],
      [61, 'invalid_dpop_proof'],
    ] as const)
      expect([offset, await changed({ iat: seconds() + offset })]).toEqual([offset, outcome])
  })

  test('a key with its secret half, a shared secret, alg none, another key’s signature: invalid_dpop_proof', async () => {
    expect(await changed({}, { jwk: key.secretJwk })).toBe('invalid_dpop_proof')
    expect(await changed({}, { jwk: { kty: 'oct', k: 'c2VjcmV0' } })).toBe('invalid_dpop_proof')
    expect(await changed({}, { jwk: stranger.jwk })).toBe('invalid_dpop_proof')
    const [, payload] = (await proof()).split('.')
    for (const alg of ['none', 'HS256']) {
      const head = Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg, jwk: key.jwk })).toString('base64url')
      expect(await judge(`${head}.${payload}.`)).toBe('invalid_dpop_proof')
      expect(await judge(`${head}.${payload}.AAAA`)).toBe('invalid_dpop_proof')
    }
  })

  test('a key that is none, or too short: invalid_dpop_proof', async () => {
    const forge = (alg: string, jwk: object) => {
      const head = Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg, jwk })).toString('base64url')
      return judge(`${head}.e30.${'A'.repeat(86)}`)
    }
    for (const [alg, jwk] of [
      ['ES256', { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }],
      ['ES256', { kty: 'EC', crv: 'P-999', x: 'AA', y: 'AA' }],
      ['ES256', { kty: 'EC' }],
      ['ES256', { ...key.jwk, y: key.jwk.x }],
      ['RS256', { kty: 'RSA', n: 'AQ', e: 'AQAB' }],
      ['PS256', { kty: 'RSA', n: 'u'.repeat(171), e: 'AQAB' }],
      ['PS256', { kty: 'RSA', n: 'u'.repeat(3000), e: 'u'.repeat(3000) }],
      ['EdDSA', { kty: 'OKP', crv: 'Ed25519', x: '' }],
      ['Ed25519', { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) }],
    ] as const)
      expect([alg, await forge(alg, jwk)]).toEqual([alg, 'invalid_dpop_proof'])
  })

  test('every algorithm that discovery names, and no shared secret among them', async () => {
    const document = (await (await harness.request('/.well-known/openid-configuration')).json()) as Record<
      string,
      string[]
    >
    const named = document.dpop_signing_alg_values_supported ?? []
    expect(named).toContain('ES256')
    for (const alg of named) {
      expect(alg).not.toMatch(/^HS|none/)
      expect([alg, await judge(await (await proofKey(harness.clock, alg)).proof('POST', TOKEN))]).toEqual([
        alg,
        'invalid_grant',
      ])
    }
  })

  test('is good once, in whichever process; the same jti of another key is another proof', async () => {
    const once = await key.proof('POST', TOKEN, { claims: { jti: 'once' } })
    const form = refreshForm(`mar_${'x'.repeat(30)}_000000`)
    const both = await Promise.all([ask(form, once), ask(form, once, {}, other)])
    expect(both.map(({ error }) => error).sort()).toEqual(['invalid_dpop_proof', 'invalid_grant'])
    expect(await judge(await stranger.proof('POST', TOKEN, { claims: { jti: 'once' } }))).toBe(
      'invalid_grant',
    )
  })

  test('several headers, an empty one, no JWT, a huge one: invalid_dpop_proof', async () => {
    const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded' })
    headers.append('dpop', await proof())
    headers.append('dpop', await proof())
    const body = new URLSearchParams(refreshForm('x')).toString()
    const response = await harness.request(TOKEN, { method: 'POST', headers, body })
    expect(((await response.json()) as { error: string }).error).toBe('invalid_dpop_proof')
    for (const header of ['', 'x', 'a.b.c', `${await proof()}.x`, `a.${'b'.repeat(9000)}.c`])
      expect(await judge(header)).toBe('invalid_dpop_proof')
  })

  test('the address is the public one, whatever path and host the proxy sends on', async () => {
    const process = await createHarness({
      beside: harness,
      config: { http: { public_base: 'https://example.com/auth/' } },
    })
    const send = async (path: string, htu: string) => {
      const body = new URLSearchParams(refreshForm('x')).toString()
      const response = await process.request(path, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          host: 'internal:8080',
          dpop: await key.proof('POST', '', { claims: { htu } }),
        },
        body,
      })
      return ((await response.json()) as { error: string }).error
    }
    for (const path of ['/oauth2/token', '/auth/oauth2/token']) {
      expect(await send(path, 'https://example.com/auth/oauth2/token')).toBe('invalid_grant')
      expect(await send(path, 'https://example.com/oauth2/token')).toBe('invalid_dpop_proof')
      expect(await send(path, 'http://internal:8080/oauth2/token')).toBe('invalid_dpop_proof')
    }
    await process.close()
  })

  test('whatever stands in a proof or its header, the answer is an error of this endpoint', async () => {
    const json = fc.jsonValue({ maxDepth: 2 })
    const claims = fc.record(
      { htm: json, htu: fc.oneof(json, fc.webUrl()), iat: json, jti: json, ath: json, nbf: json, exp: json },
      { requiredKeys: [] },
    )
    const header = fc.record({ typ: json, jwk: json, crit: json, b64: json, kid: json }, { requiredKeys: [] })
    const property = fc.asyncProperty(claims, header, async (some, more) => {
      const signed = await key.proof('POST', TOKEN, { claims: some, header: more }).catch(() => undefined)
      if (signed === undefined) return
      expect(['invalid_dpop_proof', 'invalid_grant']).toContain((await judge(signed)) ?? '')
    })
    await fc.assert(property, { numRuns: 200 })
    const text = fc.asyncProperty(fc.stringMatching(/^[\x21-\x7e]{1,80}$/), async (value) => {
      expect(await judge(value)).toBe('invalid_dpop_proof')
    })
    await fc.assert(text, { numRuns: 100 })
  })

  test('pages of other origins may send one', async () => {
    const preflight = await harness.request(TOKEN, { method: 'OPTIONS' })
    expect(preflight.headers.get('access-control-allow-headers')).toContain('dpop')
  })
})

describe('POST /oauth2/token with a proof (RFC 9449 section 5, decision 12)', () => {
  test('without a Matrix API scope the access token is bound: token_type DPoP, cnf in introspection', async () => {
    const tokens = await bound('openid')
    expect(tokens.token_type).toBe('DPoP')
    expect((await introspect(harness, tokens.access_token)).cnf).toEqual({ jkt: key.jkt })
  })

  test('with a Matrix API scope it stays Bearer, and only the refresh token is bound', async () => {
    const tokens = await bound(MATRIX_SCOPE)
    expect(tokens.token_type).toBe('Bearer')
    const active = await introspect(harness, tokens.access_token)
    expect([active.active, active.cnf]).toEqual([true, undefined])
    expect((await info(`Bearer ${tokens.access_token}`)).status).toBe(200)
    harness.logged.length = 0
    for (const dpop of [undefined, await proof(stranger)])
      expect(await ask(refreshForm(tokens.refresh_token), dpop)).toMatchObject(INVALID_GRANT)
    expect(harness.logged.map(({ event }) => event)).not.toContain('security.refresh_token_reused')
    const next = await ask(refreshForm(tokens.refresh_token), await proof())
    expect([next.status, next.body.token_type]).toEqual([200, 'Bearer'])
  })

  test('without a proof nothing is bound', async () => {
    const { body } = await ask(codeForm(await obtainCode(browser, clientId, { scope: 'openid' })), undefined)
    expect(body.token_type).toBe('Bearer')
    expect(await introspect(harness, body.access_token)).not.toHaveProperty('cnf')
    expect((await ask(refreshForm(body.refresh_token), undefined)).status).toBe(200)
  })

  test('a refresh keeps the key, for ever', async () => {
    let tokens = await bound('openid')
    for (let times = 0; times < 3; times++) {
      const before = tokens
      const { status, body } = await ask(refreshForm(tokens.refresh_token), await proof())
      expect([status, body.token_type]).toEqual([200, 'DPoP'])
      tokens = body
      expect((await introspect(harness, tokens.access_token)).cnf).toEqual({ jkt: key.jkt })
      expect(await ask(refreshForm(before.refresh_token), await proof(stranger))).toMatchObject(INVALID_GRANT)
      expect(await ask(refreshForm(tokens.refresh_token), await proof(stranger))).toMatchObject(INVALID_GRANT)
      expect(await ask(refreshForm(tokens.refresh_token), undefined)).toMatchObject(INVALID_GRANT)
    }
  })

  test('a lost answer: the same pair again for the key, nothing for others (decision 7)', async () => {
    for (const scope of ['openid', MATRIX_SCOPE]) {
      const { refresh_token } = await bound(scope)
      const lost = await ask(refreshForm(refresh_token), await proof())
      for (const process of [harness, other]) {
        const again = await ask(refreshForm(refresh_token), await proof(), {}, process)
        expect(again.body).toEqual(lost.body)
      }
      for (const dpop of [undefined, await proof(stranger)])
        expect(await ask(refreshForm(refresh_token), dpop)).toMatchObject(INVALID_GRANT)
      expect((await ask(refreshForm(lost.body.refresh_token), await proof())).status).toBe(200)
      expect(await ask(refreshForm(refresh_token), await proof())).toMatchObject(INVALID_GRANT)
    }
  })

  test('six requests at once in two processes, each with its own proof: one successor, which all get', async () => {
    const { refresh_token } = await bound('openid')
    const answers = await Promise.all(
      [harness, other, harness, other, harness, other].map(async (process) =>
        ask(refreshForm(refresh_token), await proof(), {}, process),
      ),
    )
    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1)
    expect(answers[0]?.status).toBe(200)
  })

  test('a token that was not bound is bound by its first refresh with a proof, to the first key', async () => {
    const { body } = await ask(codeForm(await obtainCode(browser, clientId, { scope: 'openid' })), undefined)
    const first = await ask(refreshForm(body.refresh_token), await proof())
    expect([first.status, first.body.token_type]).toEqual([200, 'DPoP'])
    harness.logged.length = 0
    for (const dpop of [undefined, await proof(stranger)])
      expect(await ask(refreshForm(body.refresh_token), dpop)).toMatchObject(INVALID_GRANT)
    // The token was nobody's in particular, and now two hold it: that is told like every reuse.
    expect(harness.logged.map(({ event }) => event)).toContain('security.refresh_token_reused')
    expect((await ask(refreshForm(body.refresh_token), await proof())).body).toEqual(first.body)
  })

  test('a retry with a proof gets what the first try got, so that nobody binds the tokens of another', async () => {
    const { body } = await ask(codeForm(await obtainCode(browser, clientId, { scope: 'openid' })), undefined)
    const first = await ask(refreshForm(body.refresh_token), undefined)
    for (const of of [key, stranger]) {
      const again = await ask(refreshForm(body.refresh_token), await proof(of))
      expect([again.status, again.body]).toEqual([200, first.body])
    }
    expect(await introspect(harness, first.body.access_token)).not.toHaveProperty('cnf')
    expect((await ask(refreshForm(first.body.refresh_token), await proof())).body.token_type).toBe('DPoP')
  })

  test('a client that authenticates may change its key, or do without (section 5)', async () => {
    const { client_id, client_secret } = await staticClient(harness, ['https://static.example.com/cb'])
    const auth = basic(client_id, client_secret)
    const code = await obtainCode(browser, client_id, {
      scope: 'openid',
      redirect_uri: 'https://static.example.com/cb',
    })
    const form = (token: string) => ({ grant_type: 'refresh_token', refresh_token: token })
    const first = await ask(codeForm(code, client_id), await proof(), auth)
    expect(first.body.token_type).toBe('DPoP')
    const second = await ask(form(first.body.refresh_token), await proof(stranger), auth)
    expect(second.body.token_type).toBe('DPoP')
    // Its retry, with another key still: the answer got lost, so nobody has the other binding.
    const retried = await ask(form(first.body.refresh_token), await proof(), auth)
    expect(retried.body).toEqual(second.body)
    expect((await introspect(harness, retried.body.access_token)).cnf).toEqual({ jkt: key.jkt })
    const third = await ask(form(second.body.refresh_token), await proof(stranger), auth)
    expect((await introspect(harness, third.body.access_token)).cnf).toEqual({ jkt: stranger.jkt })
    const fourth = await ask(form(third.body.refresh_token), undefined, auth)
    expect(fourth.body.token_type).toBe('Bearer')
    expect(await introspect(harness, fourth.body.access_token)).not.toHaveProperty('cnf')
  })

  test('client credentials', async () => {
    const client = await registerClient(harness, {
      ...WEB_CLIENT,
      grant_types: ['client_credentials', 'authorization_code'],
      token_endpoint_auth_method: 'client_secret_post',
    })
    const form = {
      grant_type: 'client_credentials',
      client_id: client.client_id,
      client_secret: client.client_secret ?? '',
    }
    const own = await ask(form, await proof())
    expect(own.body.token_type).toBe('DPoP')
    expect((await introspect(harness, own.body.access_token)).cnf).toEqual({ jkt: key.jkt })
    expect(await ask(form, await key.proof('POST', USERINFO))).toMatchObject(INVALID_PROOF)
  })

  test('device codes: the device proves its key when it asks for the token', async () => {
    const deviceClient = await registerDeviceClient(harness)
    const { device_code, user_code } = await requestDevice(harness, deviceClient, { scope: 'openid' })
    await approve(browser, user_code)
    const { status, body } = await poll(harness, deviceClient, device_code, { dpop: await proof() })
    expect([status, body.token_type]).toEqual([200, 'DPoP'])
    const form = refreshForm(body.refresh_token ?? '', deviceClient)
    expect(await ask(form, undefined)).toMatchObject(INVALID_GRANT)
    expect((await ask(form, await proof())).status).toBe(200)
  })
})

describe('dpop_bound_access_tokens (section 5.2)', () => {
  test('no token without a proof, in any grant, and it is echoed', async () => {
    const { client_id, ...rest } = await registerClient(harness, {
      ...WEB_CLIENT,
      dpop_bound_access_tokens: true,
    })
    expect(rest).toMatchObject({ dpop_bound_access_tokens: true })
    const code = await obtainCode(browser, client_id, { scope: 'openid' })
    expect(await ask(codeForm(code, client_id), undefined)).toMatchObject(INVALID_PROOF)
    const { body } = await ask(codeForm(code, client_id), await proof())
    expect(body.token_type).toBe('DPoP')
    expect(await ask(refreshForm(body.refresh_token, client_id), undefined)).toMatchObject(INVALID_PROOF)
    expect((await ask(refreshForm(body.refresh_token, client_id), await proof())).status).toBe(200)
  })

  test('a client that says so later gets no further Bearer token', async () => {
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Later' })
    const { body } = await ask(
      codeForm(await obtainCode(browser, client_id, { scope: 'openid' }), client_id),
      undefined,
    )
    await harness.database.sql`
      update latchkey.clients set metadata = metadata || '{"dpop_bound_access_tokens": true}'
      where metadata ->> 'client_name' = 'Later'`
    expect(await ask(refreshForm(body.refresh_token, client_id), undefined)).toMatchObject(INVALID_PROOF)
    expect((await ask(refreshForm(body.refresh_token, client_id), await proof())).body.token_type).toBe(
      'DPoP',
    )
  })
})

describe('dpop_jkt: a code for one key (section 10)', () => {
  const pushed = async (params: Record<string, string>, dpop?: string) => {
    const form = Object.fromEntries(
      new URL(authorizeUrl(clientId, { scope: 'openid', ...params }), harness.origin).searchParams,
    )
    const response = await harness.form('/oauth2/par', form, dpop === undefined ? {} : { dpop })
    return (await response.json()) as { request_uri: string; error?: string }
  }
  const codeOf = async (request_uri: string): Promise<string> => {
    const query = new URLSearchParams({ client_id: clientId, request_uri })
    const page = await browser.open(`/authorize?${query}`)
    const done = page.url.pathname.includes('/consent/')
      ? await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
      : page
    return done.url.searchParams.get('code') ?? ''
  }
  /** A code that only `key` may exchange. */
  async function expectBound(code: string): Promise<void> {
    expect(await ask(codeForm(code), undefined)).toMatchObject(INVALID_GRANT)
    expect(await ask(codeForm(code), await proof(stranger))).toMatchObject(INVALID_GRANT)
    expect((await ask(codeForm(code), await proof())).body.token_type).toBe('DPoP')
  }

  test('as a parameter of the authorization request', async () => {
    await expectBound(await obtainCode(browser, clientId, { scope: 'openid', dpop_jkt: key.jkt }))
  })

  test('as a parameter of the pushed request, as its DPoP header, and as both', async () => {
    const atPar = () => key.proof('POST', '/oauth2/par')
    await expectBound(await codeOf((await pushed({ dpop_jkt: key.jkt })).request_uri))
    await expectBound(await codeOf((await pushed({}, await atPar())).request_uri))
    await expectBound(await codeOf((await pushed({ dpop_jkt: key.jkt }, await atPar())).request_uri))
  })

  test('two keys, a proof for another endpoint, a malformed thumbprint are refused', async () => {
    const atPar = await key.proof('POST', '/oauth2/par')
    expect((await pushed({ dpop_jkt: stranger.jkt }, atPar)).error).toBe('invalid_dpop_proof')
    expect((await pushed({}, await proof())).error).toBe('invalid_dpop_proof')
    for (const dpop_jkt of ['x', key.jkt.slice(1), `${key.jkt}=`])
      expect((await pushed({ dpop_jkt })).error).toBe('invalid_request')
  })

  test('a code that comes again ends its session only when the key is proven', async () => {
    const code = await obtainCode(browser, clientId, { scope: 'openid', dpop_jkt: key.jkt })
    const { body } = await ask(codeForm(code), await proof())
    harness.clock.advance(30)
    await ask(codeForm(code), await proof(stranger))
    expect((await introspect(harness, body.access_token)).active).toBe(true)
    await ask(codeForm(code), await proof())
    expect((await introspect(harness, body.access_token)).active).toBe(false)
  })
})

describe('GET and POST /oauth2/userinfo with a bound token (section 7)', () => {
  const forUserinfo = (token: string, of = key, method = 'GET', changes = {}) =>
    of.proof(method, USERINFO, { token, ...changes })

  test('the scheme DPoP with a proof of the key for this token', async () => {
    const { access_token: token } = await bound('openid')
    for (const method of ['GET', 'POST']) {
      const response = await info(`DPoP ${token}`, await forUserinfo(token, key, method), method)
      expect([response.status, ((await response.json()) as { username: string }).username]).toEqual([
        200,
        'alice',
      ])
    }
    expect((await info(`dpop ${token}`, await forUserinfo(token))).status).toBe(200)
  })

  test('Bearer, in the header or the form, is refused with a challenge (section 7.2)', async () => {
    const { access_token: token } = await bound('openid')
    const responses = [
      await info(`Bearer ${token}`),
      await info(`Bearer ${token}`, await forUserinfo(token)),
      await harness.form(USERINFO, { access_token: token }),
      await harness.form(USERINFO, { access_token: token }, { dpop: await forUserinfo(token, key, 'POST') }),
    ]
    for (const response of responses) {
      expect(challengeOf(response)).toEqual([401, 'invalid_token'])
      expect(response.headers.get('www-authenticate')).toMatch(/^DPoP .*algs="[^"]*ES256/)
      expect(await response.text()).toBe('')
    }
  })

  test('no proof, one of another key, method, address or token, or one from before: refused', async () => {
    const { access_token: token } = await bound('openid')
    const { access_token: second } = await bound('openid')
    const used = await forUserinfo(token)
    expect((await info(`DPoP ${token}`, used)).status).toBe(200)
    const table: [string | undefined, string][] = [
      [undefined, 'invalid_dpop_proof'],
      [used, 'invalid_dpop_proof'],
      [await forUserinfo(token, stranger), 'invalid_token'],
      [await forUserinfo(token, key, 'POST'), 'invalid_dpop_proof'],
      [await key.proof('GET', USERINFO), 'invalid_dpop_proof'],
      [await forUserinfo(second), 'invalid_dpop_proof'],
      [await key.proof('GET', TOKEN, { token }), 'invalid_dpop_proof'],
    ]
    for (const [dpop, error] of table)
      expect(challengeOf(await info(`DPoP ${token}`, dpop))).toEqual([401, error])
    expect((await info(`DPoP ${token}`, await forUserinfo(token))).status).toBe(200)
  })

  test('a token that is not bound does not become one by the scheme', async () => {
    const { access_token: token } = await bound(`openid ${API_SCOPE}`)
    expect(challengeOf(await info(`DPoP ${token}`, await forUserinfo(token)))).toEqual([401, 'invalid_token'])
    expect((await info(`Bearer ${token}`)).status).toBe(200)
  })

  test('an unknown token with a good proof, and a refused one, are no use and leave nothing behind', async () => {
    const { access_token: token, refresh_token } = await bound('openid')
    const next = await ask(refreshForm(refresh_token), await proof())
    expect(challengeOf(await info(`DPoP ${token}`, await forUserinfo(token)))).toEqual([401, 'invalid_token'])
    await info(`Bearer ${next.body.access_token}`)
    await info(`DPoP ${next.body.access_token}`, await forUserinfo(next.body.access_token, stranger))
    // A use would have frozen the rotation.
    expect((await ask(refreshForm(refresh_token), await proof())).body).toEqual(next.body)
  })
})

describe('the admin API with a bound token (section 7, decision 12)', () => {
  const USERS = '/api/admin/v1/users'
  const call = (path: string, authorization: string, dpop?: string) =>
    harness.request(path, { headers: { authorization, ...(dpop !== undefined && { dpop }) } })
  let token: string
  beforeAll(async () => {
    await harness.database.sql`update latchkey.users set is_admin = true where username = 'alice'`
    token = (await bound('openid urn:mas:admin')).access_token
  })

  test('the scheme DPoP with a proof for the address of the call, whatever its query', async () => {
    for (const path of [USERS, `${USERS}?page[first]=1`, `${USERS}/by-username/alice`]) {
      const dpop = await key.proof('GET', path, { token })
      expect([path, (await call(path, `DPoP ${token}`, dpop)).status]).toEqual([path, 200])
    }
  })

  test('Bearer, no proof, a proof of another key, of another address, or from before: 401', async () => {
    const used = await key.proof('GET', USERS, { token })
    expect((await call(USERS, `DPoP ${token}`, used)).status).toBe(200)
    const table: [string, string | undefined, string][] = [
      ['Bearer', undefined, 'invalid_token'],
      ['Bearer', await key.proof('GET', USERS, { token }), 'invalid_token'],
      ['DPoP', undefined, 'invalid_dpop_proof'],
      ['DPoP', await stranger.proof('GET', USERS, { token }), 'invalid_token'],
      ['DPoP', await key.proof('GET', `${USERS}/by-username/alice`, { token }), 'invalid_dpop_proof'],
      ['DPoP', used, 'invalid_dpop_proof'],
    ]
    for (const [scheme, dpop, error] of table) {
      const response = await call(USERS, `${scheme} ${token}`, dpop)
      expect(challengeOf(response)).toEqual([401, error])
      expect(((await response.json()) as { errors: { code: string }[] }).errors[0]?.code).toBe(
        'token_invalid',
      )
    }
  })

  test('pages of other origins may send a proof', async () => {
    const preflight = await harness.request(USERS, { method: 'OPTIONS' })
    expect(preflight.headers.get('access-control-allow-headers')).toContain('dpop')
  })
})

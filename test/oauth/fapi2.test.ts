import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { decodeProtectedHeader } from 'jose'
import { syncClients } from '../../src/commands/static-clients.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { clientKey } from '../support/client-keys.ts'
import { proofKey } from '../support/dpop.ts'
import {
  CALLBACK,
  codeForm,
  FAPI,
  type Fapi,
  ISSUER,
  ORIGIN,
  PROVING,
  PUSHING,
  refreshForm,
  startFapi,
  TOKEN,
} from '../support/fapi2.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { deviceScope, introspect, MATRIX_SCOPE } from '../support/oauth.ts'

/** The FAPI 2.0 Security Profile (Final), section by section, for a client with `profile: fapi2` (decision 14). */
let harness: Harness
let key: Fapi['key']
let rsa: Fapi['rsa']
let proof: Fapi['proof']
let seconds: Fapi['seconds']
let assertion: Fapi['assertion']
let requestOf: Fapi['requestOf']
let push: Fapi['push']
let answered: Fapi['answered']
let codeFor: Fapi['codeFor']
let token: Fapi['token']
let granted: Fapi['granted']
let direct: Fapi['direct']
beforeAll(async () => {
  ;({
    harness,
    key,
    rsa,
    proof,
    seconds,
    assertion,
    requestOf,
    push,
    answered,
    codeFor,
    token,
    granted,
    direct,
  } = await startFapi())
})
afterAll(() => harness.close())

const OK = { status: 200, error: undefined }
const INVALID_CLIENT = { status: 401, error: 'invalid_client' }

describe('FAPI 2.0 Security Profile, section 5.3.2.1: authorization servers', () => {
  test('point 1: metadata by discovery', async () => {
    for (const path of ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'])
      expect((await harness.request(path)).status).toBe(200)
  })

  test('point 2: no resource owner password credentials', async () => {
    const form = { grant_type: 'password', username: 'alice', password: 'x' }
    expect(await token(form)).toMatchObject({ status: 400, error: 'unsupported_grant_type' })
  })

  test('points 3 and 6: the client authenticates with private_key_jwt, and in no other way', async () => {
    const code = await codeFor()
    expect(await token(codeForm(code), { credentials: {} })).toMatchObject(INVALID_CLIENT)
    expect(await token(codeForm(code), { credentials: { client_secret: 'x' } })).toMatchObject(INVALID_CLIENT)
    expect(await token(codeForm(code))).toMatchObject(OK)
  })

  test('points 4 and 5: every access token is bound by DPoP', async () => {
    const code = await codeFor()
    expect(await token(codeForm(code), { dpop: null })).toMatchObject({ error: 'invalid_dpop_proof' })
    const { body } = await token(codeForm(code))
    expect(body.token_type).toBe('DPoP')
    expect((await introspect(harness, body.access_token)).cnf).toEqual({ jkt: proof.jkt })
    for (const form of [refreshForm(body.refresh_token), { grant_type: 'client_credentials' }]) {
      expect(await token(form, { dpop: null })).toMatchObject({ status: 400, error: 'invalid_dpop_proof' })
      expect((await token(form)).body.token_type).toBe('DPoP')
    }
    const info = (headers: Record<string, string>) => harness.request('/oauth2/userinfo', { headers })
    expect((await info({ authorization: `Bearer ${body.access_token}` })).status).toBe(401)
    const dpop = await proof.proof('GET', '/oauth2/userinfo', { token: body.access_token })
    expect((await info({ authorization: `DPoP ${body.access_token}`, dpop })).status).toBe(200)
  })

  test('points 4 and 5, the exception: a token for the homeserver is Bearer (decision 12)', async () => {
    const tokens = await granted({ scope: MATRIX_SCOPE })
    expect(tokens.token_type).toBe('Bearer')
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
    expect(await token(refreshForm(tokens.refresh_token), { dpop: null })).toMatchObject({
      error: 'invalid_dpop_proof',
    })
  })

  test('point 7: no open redirector', async () => {
    const elsewhere = { ...requestOf(FAPI), redirect_uri: 'https://evil.example/' }
    expect(await direct(elsewhere)).toBe('page 400')
  })

  test('point 8: aud of a client assertion is the issuer as a string', async () => {
    const form = { grant_type: 'client_credentials' }
    expect(await token(form, { credentials: await assertion(FAPI, { aud: ISSUER }) })).toMatchObject(OK)
    for (const aud of [[ISSUER], [ISSUER, 'x'], `${ORIGIN}${TOKEN}`, ORIGIN, `${ORIGIN}/oauth2/par`])
      expect(await token(form, { credentials: await assertion(FAPI, { aud }) })).toMatchObject(INVALID_CLIENT)
  })

  test('point 9: a refresh does not replace the refresh token', async () => {
    const { refresh_token, access_token } = await granted()
    const answers = await Promise.all([1, 2, 3].map(() => token(refreshForm(refresh_token))))
    for (const { status, body } of answers) expect([status, body.refresh_token]).toEqual([200, refresh_token])
    const tokens = [access_token, ...answers.map(({ body }) => body.access_token)]
    expect(new Set(tokens).size).toBe(4)
    // Several processes of a client do not end one another's tokens.
    for (const one of tokens) expect((await introspect(harness, one)).active).toBe(true)
    harness.clock.advance(40 * 86_400)
    expect((await introspect(harness, tokens[1] ?? '')).active).toBe(false)
    const late = await token(refreshForm(refresh_token))
    expect([late.status, late.body.refresh_token]).toEqual([200, refresh_token])
    const [left] = await harness.database.sql<{ rows: number }[]>`
      select count(*)::int as rows from latchkey.tokens where session_id = (
        select session_id from latchkey.tokens order by id desc limit 1)`
    // What ran out long ago is gone: the first pair and the newest token are left.
    expect(left?.rows).toBe(2)
  })

  test('point 9: the refresh token ends with its session, and is no good to other clients', async () => {
    const { refresh_token, access_token } = await granted()
    const other = await token(refreshForm(refresh_token), { id: PROVING })
    expect(other).toMatchObject({ status: 400, error: 'invalid_grant' })
    const { body } = await token(refreshForm(refresh_token))
    const form = { client_id: FAPI, token: body.access_token, ...(await assertion()) }
    expect((await harness.form('/oauth2/revoke', form)).status).toBe(200)
    for (const one of [access_token, body.access_token])
      expect((await introspect(harness, one)).active).toBe(false)
    expect(await token(refreshForm(refresh_token))).toMatchObject({ status: 400, error: 'invalid_grant' })
  })

  test('point 11: a code holds for 60 seconds', async () => {
    const [early, late] = [await codeFor(), await codeFor({ state: 'late' })]
    harness.clock.advance(59)
    expect(await token(codeForm(early))).toMatchObject(OK)
    harness.clock.advance(1)
    expect(await token(codeForm(late))).toMatchObject({ status: 400, error: 'invalid_grant' })
  })

  test('point 12: a code is bound to the key of the pushed request (RFC 9449 section 10)', async () => {
    const stranger = await proofKey(harness.clock, 'ES256', ORIGIN)
    const code = await codeFor({ dpop_jkt: proof.jkt })
    expect(await token(codeForm(code), { dpop: await stranger.proof('POST', TOKEN) })).toMatchObject({
      status: 400,
      error: 'invalid_grant',
    })
    expect(await token(codeForm(code))).toMatchObject(OK)
  })

  test('point 13: iat and nbf 10 seconds ahead are taken, more than 60 are not', async () => {
    const form = { grant_type: 'client_credentials' }
    for (const claim of ['iat', 'nbf']) {
      const ahead = (by: number) => assertion(FAPI, { [claim]: seconds() + by })
      expect(await token(form, { credentials: await ahead(10) })).toMatchObject(OK)
      expect(await token(form, { credentials: await ahead(61) })).toMatchObject(INVALID_CLIENT)
      const proofAhead = (by: number) => proof.proof('POST', TOKEN, { claims: { [claim]: seconds() + by } })
      expect(await token(form, { dpop: await proofAhead(10) })).toMatchObject(OK)
      expect(await token(form, { dpop: await proofAhead(61) })).toMatchObject({ error: 'invalid_dpop_proof' })
    }
  })
})

describe('FAPI 2.0 Security Profile, section 5.3.2.2: the authorization code flow', () => {
  test('point 1: response_type code alone', async () => {
    for (const response_type of ['token', 'code id_token', 'id_token'])
      expect((await push({ response_type })).error).toBe('unsupported_response_type')
  })

  test('points 2 and 3: requests are pushed; any other way is refused', async () => {
    expect(await direct(requestOf(FAPI))).toBe('invalid_request')
    const request = await key.sign({ ...requestOf(FAPI), iss: FAPI, aud: ISSUER, exp: seconds() + 60 })
    expect(await direct({ client_id: FAPI, redirect_uri: CALLBACK, request })).toBe('invalid_request')
    expect((await answered(await push())).searchParams.get('code')).toBeString()
  })

  test('point 3: there is no request that nobody pushed: no device codes', async () => {
    const form = { client_id: FAPI, scope: deviceScope('AAAAAAAAAA'), ...(await assertion()) }
    const response = await harness.form('/oauth2/device', form)
    expect(((await response.json()) as { error: string }).error).toBe('unauthorized_client')
  })

  test('point 4: a push needs the credentials of the client', async () => {
    expect((await push({}, FAPI, {})).error).toBe('invalid_client')
    const stranger = await clientKey()
    expect((await push({}, FAPI, await assertion(FAPI, {}, stranger.sign))).error).toBe('invalid_client')
  })

  test('point 5: PKCE with S256', async () => {
    for (const params of [
      { code_challenge: undefined, code_challenge_method: undefined },
      { code_challenge_method: 'plain' },
      { code_challenge_method: undefined },
      { code_challenge: undefined },
    ])
      expect((await push(params)).error).toBe('invalid_request')
    const code = await codeFor()
    const form = { ...codeForm(code), code_verifier: 'w'.repeat(43) }
    expect(await token(form)).toMatchObject({ status: 400, error: 'invalid_grant' })
    const { code_verifier: _, ...without } = form
    expect(await token(without)).toMatchObject({ status: 400, error: 'invalid_grant' })
  })

  test('point 6: redirect_uri is in every request', async () => {
    expect((await push({ redirect_uri: undefined })).error).toBe('invalid_request')
  })

  test('point 7: iss is in every answer, errors too (RFC 9207)', async () => {
    for (const params of [{}, { prompt: 'none', scope: 'openid email' }]) {
      const url = await answered(await push(params))
      expect(url.searchParams.get('iss')).toBe(ISSUER)
      expect(url.searchParams.has('code')).toBe(!('prompt' in params))
    }
  })

  test('point 8: redirect URIs are https and compared exactly', async () => {
    for (const redirect_uri of [
      `${CALLBACK}/`,
      `${CALLBACK}?`,
      'https://bank.example.com:443/callback',
      'https://BANK.example.com/callback',
      'https://bank.example.com/x/../callback',
      'http://bank.example.com/callback',
      'http://127.0.0.1/callback',
    ])
      expect((await push({ redirect_uri })).error).toBe('invalid_request')
  })

  test('point 9: a code is good once, at the same time too', async () => {
    const code = await codeFor()
    const both = await Promise.all([token(codeForm(code)), token(codeForm(code))])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400])
    expect(await token(codeForm(code))).toMatchObject({ status: 400, error: 'invalid_grant' })
  })

  test('points 10 and 11: redirects are 303', async () => {
    const { request_uri } = await push()
    const response = await harness.request(
      `/authorize?${new URLSearchParams({ client_id: FAPI, request_uri })}`,
    )
    expect(response.status).toBe(303)
  })

  test('point 12: a request_uri holds for less than 600 seconds', async () => {
    const pushed = await push()
    expect(pushed.expires_in).toBeLessThan(600)
    harness.clock.advance(pushed.expires_in)
    expect((await answered(pushed)).searchParams.get('error')).toBe('invalid_request_uri')
  })
})

describe('FAPI 2.0 Security Profile, section 5.4.1: algorithms', () => {
  test('client assertions: PS256, ES256 and EdDSA, nothing else', async () => {
    const form = { grant_type: 'client_credentials' }
    expect(await token(form, { credentials: await assertion(FAPI, {}, rsa.sign) })).toMatchObject(OK)
    const weak = await clientKey('RS256', 'weak')
    const strong = await clientKey('EdDSA', 'strong')
    await harness.database.sql`
      update latchkey.clients
      set metadata = jsonb_set(metadata, '{jwks,keys}', (metadata #> '{jwks,keys}')
        || ${harness.database.sql.json([weak.jwk, strong.jwk] as never)}::jsonb)
      where id = ${uuidFromUlid(FAPI) ?? ''}`
    expect(await token(form, { credentials: await assertion(FAPI, {}, strong.sign) })).toMatchObject(OK)
    expect(await token(form, { credentials: await assertion(FAPI, {}, weak.sign) })).toMatchObject(
      INVALID_CLIENT,
    )
    await syncClients(harness.deps)
  })

  test('DPoP proofs: the same', async () => {
    const form = { grant_type: 'client_credentials' }
    for (const [alg, error] of [
      ['PS256', undefined],
      ['ES256', undefined],
      ['EdDSA', undefined],
      ['RS256', 'invalid_dpop_proof'],
      ['PS512', 'invalid_dpop_proof'],
      ['ES384', 'invalid_dpop_proof'],
    ] as const) {
      const dpop = await (await proofKey(harness.clock, alg, ORIGIN)).proof('POST', TOKEN)
      expect([alg, (await token(form, { dpop })).error]).toEqual([alg, error])
    }
  })

  test('proofs at protected resources: the same', async () => {
    const signer = await proofKey(harness.clock, 'PS256', ORIGIN)
    const code = await codeFor()
    const { body } = await token(codeForm(code), { dpop: await signer.proof('POST', TOKEN) })
    const { access_token } = body
    const call = async (alg: string) =>
      harness.request('/oauth2/userinfo', {
        headers: {
          authorization: `DPoP ${access_token}`,
          dpop: await signer.proof('GET', '/oauth2/userinfo', { token: access_token, header: { alg } }),
        },
      })
    expect([(await call('PS256')).status, (await call('RS256')).status]).toEqual([200, 401])
  })

  test('ID tokens: PS256 unless another one of them is asked for', async () => {
    const { id_token } = await granted()
    expect(decodeProtectedHeader(id_token ?? '').alg).toBe('PS256')
  })
})

describe('single rules of it for other clients of the configuration', () => {
  test('require_pushed_authorization_requests (RFC 9126 section 6)', async () => {
    expect(await direct(requestOf(PUSHING))).toBe('invalid_request')
    const code = await codeFor({}, PUSHING)
    const { status, body } = await token(codeForm(code), { id: PUSHING, dpop: null })
    expect([status, body.token_type]).toEqual([200, 'Bearer'])
  })

  test('dpop_bound_access_tokens (RFC 9449 section 5.2)', async () => {
    expect(await direct(requestOf(PROVING))).toBe('/login')
    const code = await codeFor({}, PROVING)
    expect(await token(codeForm(code), { id: PROVING, dpop: null })).toMatchObject({
      error: 'invalid_dpop_proof',
    })
    // None of the other rules came with it: the code outlives a minute, the refresh token is replaced.
    harness.clock.advance(120)
    const { body } = await token(codeForm(code), { id: PROVING })
    expect(body.token_type).toBe('DPoP')
    const next = await token(refreshForm(body.refresh_token), { id: PROVING })
    expect(next.body.refresh_token).not.toBe(body.refresh_token)
  })

  test('nobody gets the profile by registration', async () => {
    const response = await harness.request('/oauth2/registration', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_uri: 'https://app.example.com/',
        redirect_uris: ['https://app.example.com/callback'],
        token_endpoint_auth_method: 'none',
        profile: 'fapi2',
      }),
    })
    expect([response.status, Object.keys((await response.json()) as object)]).toEqual([
      201,
      expect.not.arrayContaining(['profile']),
    ])
  })
})

describe('the start', () => {
  test('stops when no key can sign the ID tokens of a client', async () => {
    const process = await createHarness({
      beside: harness,
      config: {
        http: { public_base: ISSUER },
        clients: [
          {
            client_id: FAPI,
            client_auth_method: 'client_secret_basic',
            client_secret: 'x',
            id_token_signed_response_alg: 'ES999',
          },
        ],
      },
    })
    await expect(syncClients(process.deps)).rejects.toThrow(/ES999.*secrets\.keys/)
    await process.close()
  })
})

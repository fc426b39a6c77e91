import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { decodeProtectedHeader } from 'jose'
import { deactivate, killSessions, lock } from '../../src/identity/lifecycle.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  API_SCOPE,
  basic,
  deviceScope,
  exchange,
  introspect,
  obtainCode,
  registerClient,
  signedInApp,
  signUp,
  staticClient,
  type TokenBody,
  WEB_CLIENT,
} from '../support/oauth.ts'

const UNSTABLE =
  'urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:ZZZZZZZZZZ'
const HOMESERVER = { authorization: 'Bearer test-shared-secret-of-matrix' }
const INACTIVE = { active: false }

let harness: Harness
let tokens: TokenBody
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  ;({ tokens, clientId } = await signedInApp(harness, 'alice'))
})
afterAll(() => harness.close())

const ask = async (
  form: Record<string, string>,
  headers: Record<string, string> = HOMESERVER,
): Promise<[number, unknown]> => {
  const response = await harness.form('/oauth2/introspect', form, headers)
  expect(response.headers.get('cache-control')).toBe('no-store')
  const body = (await response.json()) as { error?: string }
  return [response.status, body.error ?? body]
}

const subOf = async (token: string) => uuidFromUlid(String((await introspect(harness, token)).sub)) ?? ''

describe('POST /oauth2/introspect: the answer (reference 5.3)', () => {
  test('an access token: every member, whole numbers where Synapse insists', async () => {
    const now = Math.round(harness.clock.now().getTime() / 1000)
    const [status, body] = await ask({ token: tokens.access_token })
    expect(status).toBe(200)
    expect(body).toEqual({
      active: true,
      scope: [
        'openid',
        API_SCOPE,
        deviceScope('AAAAAAAAAA'),
        'urn:matrix:org.matrix.msc2967.client:api:*',
        'urn:matrix:org.matrix.msc2967.client:device:AAAAAAAAAA',
      ].join(' '),
      client_id: clientId,
      username: 'alice',
      sub: expect.stringMatching(/^[0-9A-Z]{26}$/),
      token_type: 'access_token',
      exp: now + 300,
      expires_in: 300,
      iat: now,
      nbf: now,
      jti: expect.stringMatching(/^[0-9A-Z]{26}$/),
    })
  })

  test('a refresh token has no end', async () => {
    const [, body] = await ask({ token: tokens.refresh_token })
    expect(body).toMatchObject({ active: true, token_type: 'refresh_token', username: 'alice' })
    expect(Object.keys(body as object)).not.toContain('exp')
    expect(Object.keys(body as object)).not.toContain('expires_in')
  })

  test('the unstable spelling is told in both too, between whole seconds as well', async () => {
    const { tokens: own } = await signedInApp(harness, 'unstable', { scope: UNSTABLE })
    expect(own.scope).toBe(UNSTABLE)
    harness.clock.advance(0.4)
    const [, body] = await ask({ token: own.access_token })
    expect(body).toMatchObject({
      scope: [
        API_SCOPE,
        deviceScope('ZZZZZZZZZZ'),
        'urn:matrix:org.matrix.msc2967.client:api:*',
        'urn:matrix:org.matrix.msc2967.client:device:ZZZZZZZZZZ',
      ].join(' '),
    })
    for (const name of ['exp', 'expires_in', 'iat', 'nbf'])
      expect(Number.isInteger((body as Record<string, unknown>)[name])).toBe(true)
    harness.clock.advance(0.6)
  })
})

describe('POST /oauth2/introspect: who may ask', () => {
  test.each([
    ['no credentials', {}, {}, 400, 'invalid_request'],
    ['a wrong homeserver secret', {}, { authorization: 'Bearer wrong' }, 401, 'access_denied'],
    ['an access token', {}, { authorization: 'Bearer mat_x' }, 401, 'access_denied'],
    ['an unknown client', { client_id: '01J00000000000000000000000' }, {}, 401, 'invalid_client'],
  ] as const)('%s: %i %s', async (_name, form, headers, status, error) => {
    expect(await ask({ token: tokens.access_token, ...form }, headers)).toEqual([status, error])
  })

  test('a registered client, public or not, learns nothing about any token (edge 30)', async () => {
    expect(await ask({ token: tokens.access_token, client_id: clientId }, {})).toEqual([401, 'access_denied'])
    const client = await registerClient(harness, {
      ...WEB_CLIENT,
      token_endpoint_auth_method: 'client_secret_basic',
    })
    const own = basic(client.client_id, client.client_secret ?? '')
    expect(await ask({ token: tokens.access_token }, own)).toEqual([401, 'access_denied'])
  })

  test('a client of the configuration does', async () => {
    const { client_id, client_secret } = await staticClient(harness, [])
    const [status, body] = await ask({ token: tokens.access_token }, basic(client_id, client_secret))
    expect([status, (body as { active: boolean }).active]).toEqual([200, true])
    expect(await ask({ token: tokens.access_token }, basic(client_id, 'wrong'))).toEqual([
      401,
      'invalid_client',
    ])
  })

  test('the token is needed, once, in a form', async () => {
    expect(await ask({})).toEqual([400, 'invalid_request'])
    const response = await harness.request('/oauth2/introspect', {
      method: 'POST',
      headers: { ...HOMESERVER, 'content-type': 'application/json' },
      body: JSON.stringify({ token: tokens.access_token }),
    })
    expect(response.status).toBe(400)
  })
})

describe('POST /oauth2/introspect: {"active":false} and nothing else', () => {
  test.each(
    [
      '',
      'x',
      'mat_',
      'mar_',
      'mct_',
      'mcr_',
      'mpt_',
      'syt_',
      'syr_',
      'mat',
      'mat__',
      'MAT_',
      '💥',
      ' ',
      `mat_${'A'.repeat(30)}_96elV4`,
      `mat_${'A'.repeat(30)}_96elV5`,
      `mat_${'A'.repeat(30)}_4Vle69`,
      `mct_${'0'.repeat(30)}_yh9234`,
      'syt_YWxpY2U_abc_def',
      'syr_abc',
      'MDAxN2xvY2F0aW9uIGV4YW1wbGUKMDAx',
      'eyJhbGciOiJub25lIn0.e30.',
      'x'.repeat(200_000),
    ]
      .filter((token) => token !== '')
      .map((token, index) => [index, token] as const),
  )('malformed or unknown token %i', async (_index, token) => {
    expect(await ask({ token })).toEqual([200, INACTIVE])
  })

  test('a hint that contradicts the token, or is unknown', async () => {
    expect(await ask({ token: tokens.access_token, token_type_hint: 'refresh_token' })).toEqual([
      200,
      INACTIVE,
    ])
    expect(await ask({ token: tokens.refresh_token, token_type_hint: 'access_token' })).toEqual([
      200,
      INACTIVE,
    ])
    expect(await ask({ token: tokens.access_token, token_type_hint: 'foo' })).toEqual([200, INACTIVE])
  })

  test('expired, to the second', async () => {
    const { browser, clientId: own } = await signedInApp(harness, 'expiring')
    const fresh = await exchange(harness, own, await obtainCode(browser, own))
    harness.clock.advance(299)
    expect(await introspect(harness, fresh.access_token)).toMatchObject({ active: true, expires_in: 1 })
    harness.clock.advance(1)
    expect(await introspect(harness, fresh.access_token)).toEqual(INACTIVE)
    expect((await ask({ token: fresh.refresh_token }))[1]).toMatchObject({ active: true })
  })

  test('refreshed away', async () => {
    const own = await signedInApp(harness, 'refreshing')
    const form = {
      grant_type: 'refresh_token',
      client_id: own.clientId,
      refresh_token: own.tokens.refresh_token,
    }
    const next = (await (await harness.form('/oauth2/token', form)).json()) as TokenBody
    expect(await introspect(harness, own.tokens.access_token)).toEqual(INACTIVE)
    expect(await ask({ token: own.tokens.refresh_token })).toEqual([200, INACTIVE])
    expect((await introspect(harness, next.access_token)).active).toBe(true)
  })

  test.each([
    ['locked', lock],
    ['deactivated', (deps: Harness['deps'], id: string) => deactivate(deps, id, false)],
    ['ended', killSessions],
  ])('its user or session is %s', async (name, act) => {
    const { tokens: own } = await signedInApp(harness, `user-${name}`)
    await act(harness.deps, await subOf(own.access_token))
    expect(await introspect(harness, own.access_token)).toEqual(INACTIVE)
    expect(await ask({ token: own.refresh_token })).toEqual([200, INACTIVE])
    const info = await harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${own.access_token}` },
    })
    expect(info.status).toBe(401)
  })
})

describe('GET and POST /oauth2/userinfo (reference 1.2)', () => {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const get = (headers: Record<string, string> = {}, query = '') =>
    harness.request(`/oauth2/userinfo${query}`, {
      headers: { origin: 'https://app.example.com', ...headers },
    })
  let own: TokenBody
  beforeAll(async () => {
    own = (await signedInApp(harness, 'info')).tokens
  })

  test('sub and username, by header or form', async () => {
    const expected = { sub: (await introspect(harness, own.access_token)).sub, username: 'info' }
    const answers = [
      await get(bearer(own.access_token)),
      await get({ authorization: `bEARER ${own.access_token}` }),
      await harness.form('/oauth2/userinfo', {}, bearer(own.access_token)),
      await harness.form('/oauth2/userinfo', { access_token: own.access_token }),
      await harness.request('/oauth2/userinfo', { method: 'POST', headers: bearer(own.access_token) }),
      await harness.request('/oauth2/userinfo', {
        method: 'POST',
        headers: bearer(own.access_token),
        body: '',
      }),
      await harness.request('/oauth2/userinfo', {
        method: 'POST',
        headers: { ...bearer(own.access_token), 'content-type': 'application/json' },
        body: '{}',
      }),
    ]
    for (const response of answers) {
      expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(await response.json()).toEqual(expected)
    }
  })

  test('a missing, unknown or expired token, and one without openid: 401, empty', async () => {
    const { tokens: apiOnly } = await signedInApp(harness, 'apionly', { scope: API_SCOPE })
    for (const headers of [
      {},
      bearer('x'),
      bearer('mat_x'),
      bearer(own.refresh_token),
      bearer(apiOnly.access_token),
    ]) {
      const response = await get(headers)
      expect([response.status, await response.text(), response.headers.get('www-authenticate')]).toEqual([
        401,
        '',
        null,
      ])
    }
  })

  test('a malformed header, a token twice, and a token in the query: 400 with WWW-Authenticate', async () => {
    const answers = [
      await get({ authorization: 'Bearer' }),
      await get({ authorization: 'Basic abc' }),
      await get({ authorization: `Bearer ${own.access_token} x` }),
      await get({}, `?access_token=${own.access_token}`),
      await harness.form('/oauth2/userinfo', { access_token: own.access_token }, bearer(own.access_token)),
    ]
    for (const response of answers) {
      expect([response.status, await response.text()]).toEqual([400, ''])
      expect(response.headers.get('www-authenticate')).toBe('Bearer error="invalid_request"')
    }
  })

  test('signed for a client that asked for it: iss and aud, neither iat nor exp', async () => {
    const browser = harness.browser()
    await signUp(browser, 'signed')
    const { client_id } = await registerClient(harness, {
      ...WEB_CLIENT,
      userinfo_signed_response_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
    })
    const signed = await exchange(harness, client_id, await obtainCode(browser, client_id))
    expect(decodeProtectedHeader(signed.id_token ?? '').alg).toBe('ES256')
    const response = await get(bearer(signed.access_token))
    expect(response.headers.get('content-type')).toBe('application/jwt')
    const jwt = await response.text()
    const { issuer } = harness.deps.urls
    const expected = { issuer, audience: client_id, typ: 'JWT', now: harness.clock.now() }
    const claims = { iss: issuer, aud: client_id, sub: expect.any(String), username: 'signed' }
    expect(await harness.deps.keys.verify(jwt, expected)).toEqual(claims)
  })
})

describe('POST /oauth2/revoke (RFC 7009, reference 1.2)', () => {
  const revoke = async (form: Record<string, string>, headers: Record<string, string> = {}) => {
    const response = await harness.form('/oauth2/revoke', { client_id: clientId, ...form }, headers)
    const text = await response.text()
    return [response.status, text === '' ? '' : (JSON.parse(text) as { error: string }).error]
  }

  test.each(['access_token', 'refresh_token'] as const)(
    'an %s ends the whole session, and the homeserver forgets the device',
    async (kind) => {
      const scope = `openid ${API_SCOPE} ${deviceScope(`REVOKED${kind.slice(0, 6).toUpperCase()}`)}`
      const app = await signedInApp(harness, `revoke-${kind.slice(0, 6)}`, { scope })
      const username = `revoke-${kind.slice(0, 6)}`
      expect(harness.homeserver.devicesOf(username)).toHaveLength(1)
      expect(await revoke({ token: app.tokens[kind], token_type_hint: kind })).toEqual([200, ''])
      expect(await introspect(harness, app.tokens.access_token)).toEqual(INACTIVE)
      const form = {
        grant_type: 'refresh_token',
        client_id: app.clientId,
        refresh_token: app.tokens.refresh_token,
      }
      expect((await harness.form('/oauth2/token', form)).status).toBe(400)
      await harness.runJobs()
      expect(harness.homeserver.devicesOf(username)).toEqual([])
      expect(await revoke({ token: app.tokens[kind] })).toEqual([200, ''])
    },
  )

  test('of two devices only the one is forgotten', async () => {
    const app = await signedInApp(harness, 'twodevices')
    const scope = `${API_SCOPE} ${deviceScope('SECONDDEVICE')}`
    const second = await exchange(
      harness,
      app.clientId,
      await obtainCode(app.browser, app.clientId, { scope }),
    )
    expect(await revoke({ token: second.access_token })).toEqual([200, ''])
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('twodevices')).toEqual(['AAAAAAAAAA'])
    expect((await introspect(harness, app.tokens.access_token)).active).toBe(true)
  })

  test('what is no good any more, or contradicts its hint, is answered as if it were, and ends nothing', async () => {
    const app = await signedInApp(harness, 'stays')
    for (const form of [
      { token: 'x' },
      { token: 'mat_x' },
      { token: `mat_${'A'.repeat(30)}_96elV4` },
      { token: `mct_${'0'.repeat(30)}_yh9234` },
      { token: app.tokens.access_token, token_type_hint: 'refresh_token' },
      { token: app.tokens.refresh_token, token_type_hint: 'access_token' },
    ])
      expect([form, ...(await revoke(form as Record<string, string>))]).toEqual([form, 200, ''])
    expect((await introspect(harness, app.tokens.access_token)).active).toBe(true)
  })

  test('an app that signs out with tokens of yesterday is signed out: expired and replaced ones end the session too', async () => {
    const app = await signedInApp(harness, 'yesterday')
    harness.clock.advance(301)
    expect(await revoke({ token: app.tokens.access_token })).toEqual([200, ''])
    expect((await ask({ token: app.tokens.refresh_token }))[1]).toEqual({ active: false })

    const lost = await signedInApp(harness, 'lostanswer')
    const form = {
      grant_type: 'refresh_token',
      client_id: lost.clientId,
      refresh_token: lost.tokens.refresh_token,
    }
    const next = (await (await harness.form('/oauth2/token', form)).json()) as { access_token: string }
    expect(await revoke({ token: lost.tokens.refresh_token, client_id: lost.clientId })).toEqual([200, ''])
    expect((await introspect(harness, next.access_token)).active).toBe(false)
  })

  test('errors', async () => {
    const app = await signedInApp(harness, 'kept')
    const { client_id: stranger } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Stranger' })
    const { access_token: token } = app.tokens
    expect(await revoke({ token, token_type_hint: 'id_token' })).toEqual([400, 'unsupported_token_type'])
    expect(await revoke({ token, client_id: stranger })).toEqual([401, 'unauthorized_client'])
    expect(await revoke({ token, client_id: '01J00000000000000000000000' })).toEqual([401, 'invalid_client'])
    expect(await revoke({ token, client_secret: 'x' })).toEqual([401, 'invalid_client'])
    expect(await revoke({})).toEqual([400, 'invalid_request'])
    expect((await harness.request('/oauth2/revoke', { method: 'POST' })).status).toBe(400)
    expect((await introspect(harness, token)).active).toBe(true)
  })
})

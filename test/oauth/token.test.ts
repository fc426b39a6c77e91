import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createApp } from '../../src/app.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  authorizeUrl,
  basic,
  deviceScope,
  exchange,
  introspect,
  MATRIX_SCOPE,
  obtainCode,
  pkce,
  registerClient,
  signedInApp,
  signUp,
  staticClient,
  type TokenBody,
  WEB_CLIENT,
} from '../support/oauth.ts'

let harness: Harness
let other: Harness
let browser: Browser
let clientId: string
beforeAll(async () => {
  harness = await createHarness()
  other = await createHarness({ beside: harness })
  browser = harness.browser()
  await signUp(browser, 'alice')
  clientId = (await registerClient(harness)).client_id
})
afterAll(async () => {
  await other.close()
  await harness.close()
})

const codeForm = (code: string, over: Record<string, string | undefined> = {}): Record<string, string> => {
  const form = {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    code_verifier: pkce().verifier,
    ...over,
  }
  return Object.fromEntries(Object.entries(form).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >
}

/** Status and error code of an answer, which must be JSON that nobody keeps. */
async function outcome(answer: Response | Promise<Response>): Promise<[number, string | undefined]> {
  const response = await answer
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(response.headers.get('cache-control')).toBe('no-store')
  const body = (await response.json()) as { error?: string; error_description?: string }
  if (body.error !== undefined) expect(body.error_description).toBeString()
  return [response.status, body.error]
}

const token = (form: Record<string, string>, headers: Record<string, string> = {}) =>
  outcome(harness.form('/oauth2/token', form, headers))

describe('POST /oauth2/token: authorization code', () => {
  test('the answer has the members of RFC 6749 5.1, is never kept, and is readable from other origins', async () => {
    const code = await obtainCode(browser, clientId)
    const response = await harness.form('/oauth2/token', codeForm(code), {
      origin: 'https://app.example.com',
    })
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('pragma')).toBe('no-cache')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.has('access-control-allow-credentials')).toBe(false)
    const body = (await response.json()) as TokenBody
    expect(Object.keys(body).sort()).toEqual([
      'access_token',
      'expires_in',
      'id_token',
      'refresh_token',
      'scope',
      'token_type',
    ])
    expect(body.access_token).toMatch(/^mat_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}$/)
    expect(body.refresh_token).toMatch(/^mar_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}$/)
    expect(body.scope).toBe(MATRIX_SCOPE)
  })

  test('without openid there is no ID token', async () => {
    const code = await obtainCode(browser, clientId, { scope: 'urn:matrix:client:api:*' })
    expect((await exchange(harness, clientId, code)).id_token).toBeUndefined()
  })

  test('a code used twice is invalid_grant, and within 20 s the session of the first use stays', async () => {
    const code = await obtainCode(browser, clientId)
    const tokens = await exchange(harness, clientId, code)
    expect(await token(codeForm(code))).toEqual([400, 'invalid_grant'])
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
  })

  test('a code replayed after 20 s ends its session and tells the homeserver, once (RFC 6749 4.1.2, edge 19)', async () => {
    const code = await obtainCode(browser, clientId, {
      scope: `openid urn:matrix:client:api:* ${deviceScope('REPLAYED00')}`,
    })
    const tokens = await exchange(harness, clientId, code)
    expect(harness.homeserver.devicesOf('alice')).toContain('REPLAYED00')
    harness.clock.advance(21)
    expect(await token(codeForm(code))).toEqual([400, 'invalid_grant'])
    expect(await introspect(harness, tokens.access_token)).toEqual({ active: false })
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('alice')).not.toContain('REPLAYED00')
    expect(await token(codeForm(code))).toEqual([400, 'invalid_grant'])
  })

  test('another client with a spent code ends nobody’s session (edge 18)', async () => {
    const { client_id: stranger } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Stranger' })
    const code = await obtainCode(browser, clientId)
    const tokens = await exchange(harness, clientId, code)
    harness.clock.advance(21)
    expect(await token(codeForm(code, { client_id: stranger }))).toEqual([401, 'unauthorized_client'])
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
  })

  test('a code used at the same instant in two processes gives one pair of tokens', async () => {
    for (let round = 0; round < 5; round++) {
      const code = await obtainCode(browser, clientId)
      const outcomes = await Promise.all(
        [harness, other, harness, other].map((process) =>
          outcome(process.form('/oauth2/token', codeForm(code))),
        ),
      )
      expect(outcomes.filter(([status]) => status === 200)).toHaveLength(1)
      expect(outcomes.filter(([, error]) => error === 'invalid_grant')).toHaveLength(3)
    }
  })

  test('a code is good for ten minutes after consent', async () => {
    const late = await obtainCode(browser, clientId)
    harness.clock.advance(600)
    expect(await token(codeForm(late))).toEqual([400, 'invalid_grant'])
    const inTime = await obtainCode(browser, clientId)
    harness.clock.advance(599)
    expect((await token(codeForm(inTime)))[0]).toBe(200)
  })

  test('a code of another client is unauthorized_client, and stays usable for its own', async () => {
    const { client_id: stranger } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Thief' })
    const code = await obtainCode(browser, clientId)
    expect(await token(codeForm(code, { client_id: stranger }))).toEqual([401, 'unauthorized_client'])
    expect((await token(codeForm(code)))[0]).toBe(200)
  })

  test('PKCE: the verifier must be there, well formed and right; a wrong one does not spend the code (RFC 7636)', async () => {
    const code = await obtainCode(browser, clientId)
    expect(await token(codeForm(code, { code_verifier: undefined }))).toEqual([400, 'invalid_request'])
    for (const verifier of ['w'.repeat(43), 'v'.repeat(42), 'v'.repeat(129), `${'v'.repeat(42)}!`])
      expect(await token(codeForm(code, { code_verifier: verifier }))).toEqual([400, 'invalid_grant'])
    expect((await token(codeForm(code)))[0]).toBe(200)
  })

  test('a verifier for a request without challenge is invalid_request', async () => {
    const { client_id, client_secret = '' } = await registerClient(harness, {
      ...WEB_CLIENT,
      token_endpoint_auth_method: 'client_secret_post',
    })
    const url = new URL(authorizeUrl(client_id), 'http://auth.test')
    url.searchParams.delete('code_challenge')
    url.searchParams.delete('code_challenge_method')
    const consent = await browser.open(url.href)
    const answered = await consent.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    const code = answered.url.searchParams.get('code') ?? ''
    const form = codeForm(code, { client_id, client_secret })
    expect(await token(form)).toEqual([400, 'invalid_request'])
    expect((await token(codeForm(code, { client_id, client_secret, code_verifier: undefined })))[0]).toBe(200)
  })

  test('a redirect_uri is compared when it is sent (edge 5)', async () => {
    const code = await obtainCode(browser, clientId)
    const foreign = codeForm(code, { redirect_uri: 'https://evil.example.com/' })
    expect(await token(foreign)).toEqual([400, 'invalid_grant'])
    const same = codeForm(code, { redirect_uri: WEB_CLIENT.redirect_uris[0] })
    expect((await token(same))[0]).toBe(200)
  })

  test('a code whose browser signed out meanwhile is invalid_grant', async () => {
    const leaving = harness.browser()
    await signUp(leaving, 'leaving')
    const code = await obtainCode(leaving, clientId)
    await (await leaving.open('/account/')).submit({}, { action: 'logout' })
    expect(await token(codeForm(code))).toEqual([400, 'invalid_grant'])
  })

  test('the homeserver is down during the exchange: 503 with Retry-After, and the code stays usable (decision 9)', async () => {
    const code = await obtainCode(browser, clientId, {
      scope: `openid urn:matrix:client:api:* ${deviceScope('LATERDEVICE')}`,
    })
    harness.homeserver.down = true
    const response = await harness.form('/oauth2/token', codeForm(code))
    harness.homeserver.down = false
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('5')
    expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable' })
    const tokens = await exchange(harness, clientId, code)
    expect((await introspect(harness, tokens.access_token)).active).toBe(true)
    await harness.runJobs()
    expect(harness.homeserver.devicesOf('alice')).toContain('LATERDEVICE')
  })

  test('an error of our own during the exchange is a 500, and the code stays usable', async () => {
    const code = await obtainCode(browser, clientId)
    const keys = { ...harness.deps.keys, sign: () => Promise.reject(new Error('no such key')) }
    const app = createApp({ ...harness.deps, keys }, { resources: [{ name: 'oauth' }] })
    const body = new URLSearchParams(codeForm(code))
    const failing = app.handle(new Request('http://auth.test/oauth2/token', { method: 'POST', body }))
    expect(await outcome(failing)).toEqual([500, 'server_error'])
    expect((await token(codeForm(code)))[0]).toBe(200)
  })

  test('a failed exchange leaves no session behind', async () => {
    const count = async () => {
      const rows = await harness.database.sql`
        select 1 from latchkey.oauth_sessions where finished_at is null and device_id = 'ORPHANDEVICE'`
      return rows.length
    }
    const code = await obtainCode(browser, clientId, {
      scope: `openid urn:matrix:client:api:* ${deviceScope('ORPHANDEVICE')}`,
    })
    harness.homeserver.failOnce('upsert_device')
    expect((await token(codeForm(code)))[0]).toBe(503)
    expect(await count()).toBe(0)
  })
})

describe('POST /oauth2/token: the request', () => {
  test.each<[string, Record<string, string>, number, string]>([
    ['no grant_type', {}, 400, 'invalid_request'],
    ['an unknown grant_type', { grant_type: 'password' }, 400, 'unsupported_grant_type'],
    ['no code', { grant_type: 'authorization_code' }, 400, 'invalid_request'],
    ['an empty code', { grant_type: 'authorization_code', code: '' }, 400, 'invalid_request'],
    ['an unknown code', { grant_type: 'authorization_code', code: 'x'.repeat(32) }, 400, 'invalid_grant'],
    ['a malformed code', { grant_type: 'authorization_code', code: "' or 1=1" }, 400, 'invalid_grant'],
    ['a NUL byte', { grant_type: 'authorization_code', code: 'a\0b' }, 400, 'invalid_request'],
    ['no refresh_token', { grant_type: 'refresh_token' }, 400, 'invalid_request'],
  ])('%s', async (_name, form, status, error) => {
    expect(await token({ client_id: clientId, ...form })).toEqual([status, error])
  })

  test.each([
    ['mat_'],
    ['mar_'],
    ['mct_'],
    ['mcr_'],
    ['mpt_'],
    ['syt_'],
    ['syr_'],
    [`mar_${'A'.repeat(30)}_000000`],
    [`mar_${'A'.repeat(30)}_${'0'.repeat(500)}`],
    ['ü'],
    ['x'.repeat(100_000)],
  ])('a refresh token like %.20s is invalid_grant', async (refresh_token) => {
    const form = { grant_type: 'refresh_token', client_id: clientId, refresh_token }
    expect(await token(form)).toEqual([400, 'invalid_grant'])
  })

  test('an access token is no refresh token', async () => {
    const tokens = await exchange(harness, clientId, await obtainCode(browser, clientId))
    const form = { grant_type: 'refresh_token', client_id: clientId, refresh_token: tokens.access_token }
    expect(await token(form)).toEqual([400, 'invalid_grant'])
  })

  test('a refresh token of another client is invalid_grant and stays usable for its own', async () => {
    const { client_id: stranger } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Finder' })
    const { refresh_token } = await exchange(harness, clientId, await obtainCode(browser, clientId))
    const form = { grant_type: 'refresh_token', refresh_token }
    expect(await token({ ...form, client_id: stranger })).toEqual([400, 'invalid_grant'])
    expect((await token({ ...form, client_id: clientId }))[0]).toBe(200)
  })

  test('repeated parameters are invalid_request, whatever they are (RFC 6749 3.2)', async () => {
    const body = new URLSearchParams(codeForm('x'.repeat(32)))
    for (const name of ['code', 'client_id', 'grant_type', 'anything']) {
      const repeated = new URLSearchParams(body)
      repeated.append(name, 'y')
      repeated.append(name, 'z')
      const answer = harness.request('/oauth2/token', { method: 'POST', body: repeated })
      expect(await outcome(answer)).toEqual([400, 'invalid_request'])
    }
  })

  test('an unknown parameter is ignored (RFC 6749 3.2)', async () => {
    const code = await obtainCode(browser, clientId)
    expect((await token(codeForm(code, { __proto__x: '1', audience: '{"a":1}' })))[0]).toBe(200)
  })

  test.each(['application/json', 'text/plain', 'multipart/form-data; boundary=x', ''])(
    'a body of type %s is invalid_request',
    async (type) => {
      const init = { method: 'POST', body: new TextEncoder().encode('grant_type=refresh_token') }
      const answer = harness.request('/oauth2/token', {
        ...init,
        headers: type ? { 'content-type': type } : {},
      })
      expect(await outcome(answer)).toEqual([400, 'invalid_request'])
    },
  )

  test('the media type is compared without case and parameters', async () => {
    const code = await obtainCode(browser, clientId)
    const type = 'Application/X-WWW-Form-Urlencoded; charset=UTF-8'
    expect((await token(codeForm(code), { 'content-type': type }))[0]).toBe(200)
  })

  test('1 MB of form is 413, with and without a Content-Length', async () => {
    const body = `grant_type=authorization_code&code=${'x'.repeat(1024 * 1024)}`
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    for (const more of [{}, { 'content-length': String(body.length) }]) {
      const answer = harness.request('/oauth2/token', {
        method: 'POST',
        body,
        headers: { ...headers, ...more },
      })
      expect(await outcome(answer)).toEqual([413, 'invalid_request'])
    }
  })

  test('a body that is not UTF-8, or badly percent-encoded, is an ordinary wrong request', async () => {
    for (const body of [new Uint8Array([0xff, 0xfe, 0x3d, 0x00]), 'grant_type=%zz&code=%ff', '&&&===', ''])
      expect(
        await outcome(
          harness.request('/oauth2/token', {
            method: 'POST',
            body,
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
          }),
        ),
      ).toEqual([400, 'invalid_request'])
  })
})

describe('POST /oauth2/token: client authentication (reference 4.1)', () => {
  const refresh = { grant_type: 'refresh_token', refresh_token: 'mar_x' }

  test('unknown clients, wrong secrets and other methods are 401 invalid_client, without WWW-Authenticate', async () => {
    const { client_id, client_secret } = await staticClient(harness, ['https://static.example.com/cb'])
    const attempts: [Record<string, string>, Record<string, string>][] = [
      [{ client_id: '01J00000000000000000000000' }, {}],
      [{ client_id: 'not-a-ulid' }, {}],
      [{ client_id: '💥' }, {}],
      [{ client_id }, {}],
      [{ client_id, client_secret }, {}],
      [{}, basic(client_id, 'wrong')],
      [{}, basic(client_id, '')],
      [{}, basic(clientId, '')],
      [{}, { authorization: 'Bearer mat_x' }],
    ]
    for (const [form, headers] of attempts) {
      const response = await harness.form('/oauth2/token', { ...refresh, ...form }, headers)
      expect(response.headers.has('www-authenticate')).toBe(false)
      expect([form, ...(await outcome(response))]).toEqual([form, 401, 'invalid_client'])
    }
    expect(await token(refresh, basic(client_id, client_secret))).toEqual([400, 'invalid_grant'])
    expect(await token({ ...refresh, client_id }, basic(client_id, client_secret))).toEqual([
      400,
      'invalid_grant',
    ])
  })

  test('no credentials, two at once and malformed headers are invalid_request; two client ids invalid_grant', async () => {
    const { client_id, client_secret } = await staticClient(harness, ['https://static.example.com/cb'])
    const good = basic(client_id, client_secret)
    expect(await token(refresh)).toEqual([400, 'invalid_request'])
    expect(await token({ ...refresh, client_secret }, good)).toEqual([400, 'invalid_request'])
    expect(await token({ ...refresh, client_id: clientId }, good)).toEqual([400, 'invalid_grant'])
    for (const authorization of ['Basic', 'Basic !!!', 'Basic YWJj', 'Digest x', 'Basic /////w=='])
      expect(await token(refresh, { authorization })).toEqual([400, 'invalid_request'])
  })

  test('Basic credentials are form-url-decoded, and the scheme is any case (RFC 6749 2.3.1)', async () => {
    const { client_id, client_secret } = await staticClient(harness, ['https://static.example.com/cb'])
    const encoded = btoa(`${client_id}:${client_secret.replace('-', '%2D')}`)
    expect(await token(refresh, { authorization: `bAsIc ${encoded}` })).toEqual([400, 'invalid_grant'])
  })
})

test('a whole sign-in is another session, with the same sub (dedup shares the client, not the tokens)', async () => {
  const bob = await signedInApp(harness, 'bob')
  const again = await registerClient(harness)
  expect(again.client_id).toBe(bob.clientId)
  const first = await introspect(harness, bob.tokens.access_token)
  const second = await introspect(
    harness,
    (await exchange(harness, bob.clientId, await obtainCode(bob.browser, bob.clientId))).access_token,
  )
  expect(first.sub).toBe(second.sub)
  expect(first.jti).not.toBe(second.jti)
})

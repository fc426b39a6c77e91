import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { idTokenHash } from '../../src/crypto/jwt.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { introspect, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

const REDIRECT = WEB_CLIENT.redirect_uris[0] ?? ''
const OLD_CLIENT = {
  ...WEB_CLIENT,
  grant_types: ['implicit'],
  response_types: ['id_token', 'id_token token'],
}

let harness: Harness
let browser: Browser
let clientId: string
beforeAll(async () => {
  harness = await createHarness({ config: { oauth: { implicit_flow: true } } })
  browser = harness.browser()
  await signUp(browser, 'alice')
  clientId = (await registerClient(harness, OLD_CLIENT)).client_id
})
afterAll(() => harness.close())

const request = (more: Record<string, string | undefined> = {}, client = clientId): string => {
  const params = {
    client_id: client,
    response_type: 'id_token token',
    redirect_uri: REDIRECT,
    scope: 'openid email',
    state: 'a-state',
    nonce: 'a-nonce',
    ...more,
  }
  const given = Object.entries(params).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return `/authorize?${new URLSearchParams(given)}`
}

/** What came back to the client, in the fragment. */
async function answer(
  more: Record<string, string | undefined> = {},
  client = clientId,
): Promise<URLSearchParams> {
  const page = await browser.open(request(more, client))
  const answered = page.url.pathname.includes('/consent/')
    ? await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    : page
  expect([...answered.url.searchParams.keys()]).toEqual([])
  return new URLSearchParams(answered.url.hash.slice(1))
}

async function verified(token: string) {
  const keys = await (await harness.request('/oauth2/keys.json')).json()
  const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), {
    issuer: 'http://auth.test/',
    audience: clientId,
    currentDate: harness.clock.now(),
  })
  return { payload, alg: protectedHeader.alg }
}

describe('response_type=id_token token (OpenID Connect Core section 3.2)', () => {
  test('answers in the fragment with both tokens, the state and the issuer; nothing can be refreshed', async () => {
    const result = await answer()
    expect([...result.keys()].sort()).toEqual([
      'access_token',
      'expires_in',
      'id_token',
      'iss',
      'scope',
      'state',
      'token_type',
    ])
    expect(result.get('token_type')).toBe('Bearer')
    const { payload, alg } = await verified(result.get('id_token') ?? '')
    expect(payload.nonce).toBe('a-nonce')
    expect(payload.at_hash).toBe(idTokenHash(alg, result.get('access_token') ?? ''))
    expect(payload.c_hash).toBeUndefined()
    expect(await introspect(harness, result.get('access_token') ?? '')).toMatchObject({
      active: true,
      scope: 'email openid',
    })
  })

  test('the words may come in any order; id_token alone brings no access token', async () => {
    expect((await answer({ response_type: 'token id_token' })).has('access_token')).toBe(true)
    const alone = await answer({ response_type: 'id_token' })
    expect(alone.has('id_token')).toBe(true)
    expect(alone.has('access_token')).toBe(false)
  })

  test('form_post carries them in a form', async () => {
    const page = await browser.open(request({ response_mode: 'form_post' }))
    const shown = page.text.includes('name="id_token"')
      ? page
      : await page.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    expect(shown.text).toContain('name="id_token"')
    expect(shown.text).toContain('name="access_token"')
  })

  test.each([
    [{ nonce: undefined }, 'invalid_request'],
    // PKCE without a code (reference 3.2).
    [{ code_challenge: 'v'.repeat(43), code_challenge_method: 'S256' }, 'invalid_request'],
    [{ code_challenge_method: 'S256' }, 'invalid_request'],
    [{ scope: 'email' }, 'invalid_scope'],
    [{ scope: 'openid urn:matrix:client:api:*' }, 'invalid_scope'],
    [{ scope: 'openid urn:mas:admin' }, 'invalid_scope'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_type: 'code id_token' }, 'unsupported_response_type'],
    [{ response_type: 'code' }, 'unauthorized_client'],
  ])('%j goes back to the client as %s', async (more, error) => {
    const page = await browser.open(request(more))
    const result = new URLSearchParams(page.url.hash.slice(1) || page.url.search)
    expect(result.get('error')).toBe(error)
    expect(result.has('access_token')).toBe(false)
  })

  test.each(['id_token token', 'id_token'])(
    'query is no way for %s: a page (reference 3.2)',
    async (type) => {
      const response = await harness.request(request({ response_type: type, response_mode: 'query' }))
      expect([response.status, response.headers.get('location')]).toEqual([400, null])
      expect(response.headers.get('content-type')).toStartWith('text/html')
    },
  )

  test('a client that registered the code alone gets a code alone', async () => {
    const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Codes' })
    expect((await answer({}, client_id)).get('error')).toBe('unauthorized_client')
  })

  test('a lock of the account stops the token as every other', async () => {
    const token = (await answer()).get('access_token') ?? ''
    expect((await introspect(harness, token)).active).toBe(true)
    await harness.deps.sql`update latchkey.users set locked_at = now() where username = 'alice'`
    expect(await introspect(harness, token)).toEqual({ active: false })
    await harness.deps.sql`update latchkey.users set locked_at = null where username = 'alice'`
  })

  test('discovery says so', async () => {
    const document = await (await harness.request('/.well-known/openid-configuration')).json()
    expect(document.response_types_supported).toEqual(['code', 'id_token', 'id_token token'])
    expect(document.grant_types_supported).toContain('implicit')
  })
})

test('it is off unless the operator turns it on', async () => {
  const plain = await createHarness()
  const other = plain.browser()
  await signUp(other, 'bob')
  const { client_id } = await registerClient(plain, OLD_CLIENT)
  const page = await other.open(request({}, client_id))
  expect(new URLSearchParams(page.url.hash.slice(1)).get('error')).toBe('unsupported_response_type')
  const document = await (await plain.request('/.well-known/openid-configuration')).json()
  expect(document.response_types_supported).toEqual(['code'])
  await plain.close()
})

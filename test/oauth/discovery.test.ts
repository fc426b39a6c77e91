import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createApp } from '../../src/app.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { exchange, obtainCode, registerClient, signUp } from '../support/oauth.ts'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness({
    config: { http: { public_base: 'https://auth.example.com/', issuer: 'https://example.com/' } },
  })
})
afterAll(() => harness.close())

const document = async (path = '/.well-known/openid-configuration', process = harness) => {
  const response = await process.request(path)
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

describe('GET /.well-known/openid-configuration (reference 2.1)', () => {
  test('the issuer may live elsewhere than the endpoints', async () => {
    expect(await document()).toMatchObject({
      issuer: 'https://example.com/',
      authorization_endpoint: 'https://auth.example.com/authorize',
      token_endpoint: 'https://auth.example.com/oauth2/token',
      jwks_uri: 'https://auth.example.com/oauth2/keys.json',
      registration_endpoint: 'https://auth.example.com/oauth2/registration',
      revocation_endpoint: 'https://auth.example.com/oauth2/revoke',
      introspection_endpoint: 'https://auth.example.com/oauth2/introspect',
      userinfo_endpoint: 'https://auth.example.com/oauth2/userinfo',
      account_management_uri: 'https://auth.example.com/account/',
    })
  })

  test('it names what works here and nothing else', async () => {
    const members = await document()
    expect(members).toMatchObject({
      response_types_supported: ['code'],
      response_modes_supported: ['form_post', 'query', 'fragment'],
      grant_types_supported: [
        'authorization_code',
        'refresh_token',
        'client_credentials',
        'urn:ietf:params:oauth:grant-type:device_code',
      ],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      pushed_authorization_request_endpoint: 'https://auth.example.com/oauth2/par',
      require_pushed_authorization_requests: false,
      request_parameter_supported: true,
      request_uri_parameter_supported: true,
      require_request_uri_registration: true,
      claims_parameter_supported: true,
      prompt_values_supported: ['none', 'login', 'consent', 'select_account', 'create'],
    })
    expect(members.request_object_signing_alg_values_supported).not.toContain('none')
    expect(members.ui_locales_supported).toEqual([...harness.deps.translate.languages])
    for (const name of Object.keys(members)) expect(name).not.toMatch(/graphql/)
    for (const [name, value] of Object.entries(members))
      if (name.endsWith('_endpoint')) {
        const { pathname } = new URL(String(value))
        expect(harness.app.routes.map(({ path }) => path)).toContain(pathname)
      }
  })

  test('create is offered only where people may sign up', async () => {
    for (const config of [
      { account: { password_registration_enabled: false } },
      { account: { password_registration_email_required: true } },
    ]) {
      const closed = await createHarness({ beside: harness, config })
      const members = await document('/.well-known/openid-configuration', closed)
      expect(members.prompt_values_supported).not.toContain('create')
      await closed.close()
    }
  })

  test('the RFC 8414 address has the same document', async () => {
    expect(await document('/.well-known/oauth-authorization-server')).toEqual(await document())
  })

  test('caches may keep it and other origins may read it', async () => {
    for (const path of ['/.well-known/openid-configuration', '/oauth2/keys.json']) {
      const { headers } = await harness.request(path, { headers: { origin: 'https://app.example.com' } })
      expect(headers.get('cache-control')).toBe('public, max-age=600, stale-while-revalidate=600')
      expect(headers.get('content-type')).toBe('application/json')
      expect(headers.get('access-control-allow-origin')).toBe('*')
      expect(headers.has('access-control-allow-credentials')).toBe(false)
      expect(headers.getSetCookie()).toEqual([])
    }
  })
})

test('GET /oauth2/keys.json: public members only (reference 2.2)', async () => {
  const { keys } = (await document('/oauth2/keys.json')) as { keys: Record<string, string>[] }
  expect(keys.length).toBeGreaterThan(0)
  for (const key of keys) {
    expect(key.use).toBe('sig')
    expect(key.kid).toBeString()
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']) expect(key).not.toHaveProperty(secret)
  }
})

describe('GET /.well-known/webfinger (reference 2.2)', () => {
  const REL = encodeURIComponent('http://openid.net/specs/connect/1.0/issuer')
  test.each([
    [`resource=acct%3Aa%40b&rel=${REL}`, [{ rel: decodeURIComponent(REL), href: 'https://example.com/' }]],
    ['resource=acct%3Aa%40b&rel=other', []],
    ['resource=acct%3Aa%40b', []],
  ])('%s', async (query, links) => {
    const response = await harness.request(`/.well-known/webfinger?${query}`)
    expect(response.headers.get('content-type')).toBe('application/jrd+json')
    expect(await response.json()).toEqual({ subject: 'acct:a@b', links })
  })

  test('byte for byte the same for a name that exists, one that does not, and every state of an account', async () => {
    const names = ['maria', 'marta', 'mario', 'merle', 'MARIA', 'nobod', '%00%ff']
    await signUp(harness.browser(), 'maria')
    for (const username of ['marta', 'mario']) await signUp(harness.browser(), username)
    await harness.database.sql`update latchkey.users set locked_at = now() where username = 'marta'`
    await harness.database.sql`update latchkey.users set deactivated_at = now() where username = 'mario'`
    const answers = await Promise.all(
      names.map(async (name) => {
        const resource = `acct:${name}@example.test`
        const query = new URLSearchParams({ resource, rel: 'http://openid.net/specs/connect/1.0/issuer' })
        const response = await harness.request(`/.well-known/webfinger?${query}`)
        const body = await response.text()
        expect(body).toContain(JSON.stringify(resource))
        return {
          status: response.status,
          headers: [...response.headers].sort(),
          body: body.replaceAll(JSON.stringify(resource), '"…"'),
        }
      }),
    )
    expect(answers[0]?.status).toBe(200)
    expect(answers[0]?.headers.map(([header]) => header)).not.toContain('set-cookie')
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
  })

  test('without a resource: 400 JSON', async () => {
    const response = await harness.request('/.well-known/webfinger')
    expect([response.status, response.headers.get('content-type')]).toEqual([400, 'application/json'])
  })
})

test('GET /.well-known/matrix/client: the homeserver, who signs people in, and what the operator adds (decision 26)', async () => {
  const app = createApp(harness.deps, {
    resources: [
      {
        name: 'well-known',
        homeserver_base_url: 'https://matrix.example.com/',
        extra: {
          'org.matrix.msc4143.rtc_foci': [{ type: 'livekit' }],
          'm.homeserver': { base_url: 'overruled' },
        },
      },
    ],
  })
  const response = await app.handle(new Request('https://auth.example.com/.well-known/matrix/client'))
  expect(response.headers.get('access-control-allow-origin')).toBe('*')
  expect(response.headers.get('cache-control')).toStartWith('public, max-age=')
  expect(await response.json()).toEqual({
    'm.homeserver': { base_url: 'https://matrix.example.com' },
    'org.matrix.msc2965.authentication': {
      issuer: 'https://example.com/',
      account: 'https://auth.example.com/account/',
    },
    'org.matrix.msc4143.rtc_foci': [{ type: 'livekit' }],
  })
})

test('ID tokens and iss name the issuer, not the base', async () => {
  const browser = harness.browser()
  await signUp(browser, 'alice')
  const { client_id } = await registerClient(harness)
  const { id_token = '' } = await exchange(harness, client_id, await obtainCode(browser, client_id))
  const payload = JSON.parse(Buffer.from(id_token.split('.')[1] ?? '', 'base64url').toString())
  expect([payload.iss, payload.aud]).toEqual(['https://example.com/', client_id])
})

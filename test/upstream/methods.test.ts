import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test'
import { exportJWK, exportPKCS8, exportSPKI, generateKeyPair, importSPKI, jwtVerify } from 'jose'
import type { ConfigInput } from '../../src/config/schema.ts'
import { publishedKeySet } from '../../src/oauth/key-set.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { startProvider, type TestProvider } from '../support/provider.ts'
import { PROVIDER, SUGGEST, upstreamWorld } from '../support/upstream.ts'

const CALLBACK = `http://auth.test/upstream/callback/${PROVIDER}`
const SECRET = 'a secret of thirty-two letters or more'

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]

let provider: TestProvider
let keys: { keys: object[] }

/** What differs between clients; each is registered at the provider and used from a Latchkey of its own. */
const CASES: { name: string; client: object; config: ProviderInput }[] = [
  ...(['client_secret_basic', 'client_secret_post'] as const).map((method) => ({
    name: method,
    client: { client_secret: SECRET, token_endpoint_auth_method: method },
    config: { client_secret: SECRET, token_endpoint_auth_method: method },
  })),
  ...(['HS256', 'HS512'] as const).map((alg) => ({
    name: `client_secret_jwt with ${alg}`,
    client: {
      client_secret: SECRET + SECRET,
      token_endpoint_auth_method: 'client_secret_jwt',
      token_endpoint_auth_signing_alg: alg,
    },
    config: {
      client_secret: SECRET + SECRET,
      token_endpoint_auth_method: 'client_secret_jwt' as const,
      token_endpoint_auth_signing_alg: alg,
    },
  })),
  ...(['RS256', 'PS256', 'ES256', 'EdDSA'] as const).map((alg) => ({
    name: `private_key_jwt with ${alg}`,
    client: { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: alg },
    config: { token_endpoint_auth_method: 'private_key_jwt' as const, token_endpoint_auth_signing_alg: alg },
  })),
  ...(['PS256', 'ES256', 'EdDSA', 'RS512'] as const).map((alg) => ({
    name: `no authentication, and ID tokens signed with ${alg}`,
    client: { token_endpoint_auth_method: 'none', id_token_signed_response_alg: alg },
    config: { token_endpoint_auth_method: 'none' as const, id_token_signed_response_alg: alg },
  })),
  {
    name: 'ID tokens signed with HS256 under the secret',
    client: {
      client_secret: SECRET,
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: 'HS256',
    },
    config: {
      client_secret: SECRET,
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: 'HS256',
    },
  },
  ...(['RSA-OAEP-256', 'ECDH-ES'] as const).map((alg) => ({
    name: `ID tokens encrypted to us with ${alg}`,
    client: { token_endpoint_auth_method: 'none', id_token_encrypted_response_alg: alg },
    config: { token_endpoint_auth_method: 'none' as const, id_token_encrypted_response_alg: alg },
  })),
  {
    name: 'userinfo as a JWT',
    client: { token_endpoint_auth_method: 'none', userinfo_signed_response_alg: 'RS256' },
    config: {
      token_endpoint_auth_method: 'none',
      fetch_userinfo: true,
      userinfo_signed_response_alg: 'RS256',
    },
  },
  {
    name: 'the answer as a form',
    client: { token_endpoint_auth_method: 'none' },
    config: { token_endpoint_auth_method: 'none', response_mode: 'form_post' },
  },
  {
    name: 'PKCE always, no discovery',
    client: { token_endpoint_auth_method: 'none' },
    config: { token_endpoint_auth_method: 'none', pkce_method: 'always', discovery_mode: 'disabled' },
  },
  {
    name: 'discovery without checks, the answer in the query',
    client: { token_endpoint_auth_method: 'none' },
    config: { token_endpoint_auth_method: 'none', discovery_mode: 'insecure', response_mode: 'query' },
  },
]

let probe: Harness
beforeAll(async () => {
  // The provider has a clock of its own, that of this machine.
  probe = await createHarness({ start: new Date().toISOString() })
  // As the providers of all these clients find them at our jwks_uri.
  const providers = CASES.map(({ config }) => ({ ...config, enabled: true }))
  keys = publishedKeySet({ upstream_oauth2: { providers } } as never, probe.deps.keys)
  const signing = await Promise.all(
    (['RS256', 'ES256', 'EdDSA'] as const).map(async (alg) => {
      const pair = await generateKeyPair(alg, { extractable: true })
      return { ...(await exportJWK(pair.privateKey)), use: 'sig', kid: alg }
    }),
  )
  provider = await startProvider({
    jwks: { keys: signing },
    clients: CASES.map(({ client }, index) => ({
      client_id: `client-${index}`,
      redirect_uris: [CALLBACK],
      ...client,
      ...('token_endpoint_auth_method' in client &&
        client.token_endpoint_auth_method === 'private_key_jwt' && { jwks: keys }),
      ...('id_token_encrypted_response_alg' in client && { jwks: keys }),
    })),
    features: { jwtUserinfo: { enabled: true }, encryption: { enabled: true } },
    enabledJWA: {
      idTokenEncryptionAlgValues: ['RSA-OAEP-256', 'ECDH-ES'],
      idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'RS512', 'HS256'],
      clientAuthSigningAlgValues: ['HS256', 'HS512', 'RS256', 'PS256', 'ES256', 'EdDSA'],
      userinfoSigningAlgValues: ['RS256'],
    },
    clientAuthMethods: [
      'none',
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
    ],
  })
})
afterAll(async () => {
  await provider.close()
  await probe.close()
})

describe('sign-in through a certified provider (oidc-provider)', () => {
  for (const [index, { name, config }] of CASES.entries())
    test(name, async () => {
      const endpoints =
        config.discovery_mode === 'disabled'
          ? {
              authorization_endpoint: `${provider.issuer}/auth`,
              token_endpoint: `${provider.issuer}/token`,
              jwks_uri: `${provider.issuer}/jwks`,
            }
          : {}
      const harness = await createHarness({
        beside: probe,
        config: {
          upstream_oauth2: {
            providers: [
              {
                id: PROVIDER,
                issuer: provider.issuer,
                client_id: `client-${index}`,
                scope: 'openid profile',
                claims_imports: SUGGEST,
                ...endpoints,
                ...config,
              },
            ],
          },
        },
      })
      await syncProviders(harness.deps)
      const opened = spyOn(harness.deps.keys, 'decrypt')
      provider.account = { sub: `sub-${index}`, preferred_username: `person${index}`, name: 'Person' }
      const browser = harness.browser()
      const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
      expect(away.url.origin).toBe(provider.issuer)
      const { url, form } = await provider.visit(away.url)
      const page = form ? await browser.post(url.href, form) : await browser.open(url.href)
      expect([page.url.pathname, harness.logged.filter(({ event }) => event === 'upstream.failed')]).toEqual([
        expect.stringContaining('/upstream/link/'),
        [],
      ])
      expect(page.text).toContain('Create your account')
      expect(opened).toHaveBeenCalledTimes(config.id_token_encrypted_response_alg === undefined ? 0 : 1)
      await harness.close()
    })
})

test('Sign in with Apple: the secret is a short JWT of the team, and the name comes once, with the form', async () => {
  const pair = await generateKeyPair('ES256', { extractable: true })
  const world = await upstreamWorld({
    client_id: 'org.example.service',
    token_endpoint_auth_method: 'sign_in_with_apple',
    sign_in_with_apple: { team_id: 'TEAM', key_id: 'KEY', private_key: await exportPKCS8(pair.privateKey) },
    response_mode: 'form_post',
    claims_imports: {
      displayname: {
        action: 'suggest',
        template:
          '{%- set u = extra_callback_parameters["user"] | from_json -%}{{- [u.name.firstName, u.name.lastName] | join(" ") -}}',
      },
    },
  })
  world.fake.claims = { aud: 'org.example.service', sub: 'apple-1' }
  const browser = world.harness.browser()
  const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
  expect(away.url.searchParams.get('response_mode')).toBe('form_post')
  const { searchParams, pathname } = world.fake.answer(away.url)
  const user = JSON.stringify({ name: { firstName: 'Ada', lastName: 'Byron' } })
  const page = await browser.post(pathname, { ...Object.fromEntries(searchParams), user })
  expect(page.text).toContain('Ada Byron')
  const { payload, protectedHeader } = await jwtVerify(
    world.fake.forms[0]?.client_secret ?? '',
    await importSPKI(await exportSPKI(pair.publicKey), 'ES256'),
    { currentDate: world.harness.clock.now() },
  )
  expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'KEY' })
  expect(payload).toMatchObject({ iss: 'TEAM', sub: 'org.example.service', aud: 'https://appleid.apple.com' })
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60)
  await world.close()
})

test('a plain OAuth 2.0 provider without ID tokens: userinfo says who it is', async () => {
  const own = await upstreamWorld()
  const { fake } = own
  const harness = await createHarness({
    beside: own.harness,
    config: {
      upstream_oauth2: {
        providers: [
          {
            id: PROVIDER,
            client_id: 'latchkey',
            token_endpoint_auth_method: 'none',
            discovery_mode: 'disabled',
            scope: 'read:user',
            fetch_userinfo: true,
            authorization_endpoint: `${fake.issuer}/authorize`,
            token_endpoint: `${fake.issuer}/token`,
            userinfo_endpoint: `${fake.issuer}/userinfo`,
            claims_imports: {
              subject: { template: '{{ user.id }}' },
              localpart: { action: 'suggest', template: '{{ user.login }}' },
              account_name: { template: '@{{ user.login }}' },
            },
          },
        ],
      },
    },
  })
  fake.answers.set('/token', () => Response.json({ access_token: 'gho', token_type: 'bearer' }))
  fake.userinfo = { id: 583231, login: 'octocat', name: null }
  const browser = harness.browser()
  const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
  expect(away.url.searchParams.has('nonce')).toBe(false)
  const page = await browser.open(fake.answer(away.url).href)
  expect(page.text).toContain('value="octocat"')
  expect(page.text).toContain('@octocat')
  const [link] = await harness.deps.sql`select subject from latchkey.upstream_links order by id desc limit 1`
  expect(link?.subject).toBe('583231')
  fake.answers.set('/token', () => Response.json({ error: 'bad_verification_code' }))
  const again = await browser.open(`/upstream/authorize/${PROVIDER}`)
  expect((await browser.open(fake.answer(again.url).href)).text).toContain('did not work')
  await harness.close()
  await own.close()
})

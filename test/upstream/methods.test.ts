import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test'
import {
  decodeProtectedHeader,
  exportJWK,
  exportPKCS8,
  exportSPKI,
  generateKeyPair,
  importSPKI,
  jwtVerify,
} from 'jose'
import type { ConfigInput } from '../../src/config/schema.ts'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { publishedKeySet } from '../../src/oauth/key-set.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { problemsOf, withMinimal } from '../config/support.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, registerClient } from '../support/oauth.ts'
import { startProvider, type TestProvider } from '../support/provider.ts'
import { PROVIDER, SUGGEST, upstreamWorld } from '../support/upstream.ts'

const SECRET = 'a secret of sixty-four letters or more, as HMAC with SHA-512 wants it'
const SYMMETRIC = ['HS256', 'HS384', 'HS512'] as const
const ASYMMETRIC = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA'] as const),
]
const KEY_MANAGEMENT = [
  ...(['RSA-OAEP', 'RSA-OAEP-256', 'RSA-OAEP-384', 'RSA-OAEP-512'] as const),
  ...(['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW'] as const),
]
const CONTENT_ENCRYPTION = [
  ...['A128GCM', 'A192GCM', 'A256GCM'],
  ...['A128CBC-HS256', 'A192CBC-HS384', 'A256CBC-HS512'],
]

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]

/** A client, as the provider knows it and as our configuration has it. */
interface Case {
  name: string
  client: Record<string, unknown>
  config: ProviderInput
  /** How many encrypted tokens come, and how. */
  encrypted?: { count: number; alg: string; enc: string }
  /** What the log says, where the provider must not be believed. */
  refused?: string
}

const PUBLIC = { token_endpoint_auth_method: 'none' } as const
const SHARED = { token_endpoint_auth_method: 'client_secret_post', client_secret: SECRET } as const

const one = (name: string, config: ProviderInput): Case => ({
  name,
  client: { ...PUBLIC },
  config: { ...PUBLIC, ...config },
})

/** Both kinds of what it signs, in one sign-in. */
const signed = (alg: (typeof SYMMETRIC | typeof ASYMMETRIC)[number] | 'Ed25519'): Case => {
  const both = {
    ...(alg.startsWith('HS') ? SHARED : PUBLIC),
    id_token_signed_response_alg: alg,
    userinfo_signed_response_alg: alg,
  }
  return {
    name: `ID tokens and userinfo signed with ${alg}`,
    client: both,
    config: { ...both, fetch_userinfo: true },
  }
}

const encrypted = (alg: string, enc: string) => ({
  id_token_encrypted_response_alg: alg,
  id_token_encrypted_response_enc: enc,
  userinfo_encrypted_response_alg: alg,
  userinfo_encrypted_response_enc: enc,
})

const CASES: Case[] = [
  one('no authentication', {}),
  ...(['client_secret_basic', 'client_secret_post'] as const).map((method) => ({
    name: method,
    client: { client_secret: SECRET, token_endpoint_auth_method: method },
    config: { client_secret: SECRET, token_endpoint_auth_method: method },
  })),
  ...SYMMETRIC.map((alg): Case => {
    const token_endpoint_auth_method = 'client_secret_jwt' as const
    const both = { token_endpoint_auth_method, client_secret: SECRET, token_endpoint_auth_signing_alg: alg }
    return { name: `client_secret_jwt with ${alg}`, client: both, config: both }
  }),
  ...ASYMMETRIC.map((alg): Case => {
    const token_endpoint_auth_method = 'private_key_jwt' as const
    const both = { token_endpoint_auth_method, token_endpoint_auth_signing_alg: alg }
    return { name: `private_key_jwt with ${alg}`, client: both, config: both }
  }),
  ...[...ASYMMETRIC, ...SYMMETRIC, 'Ed25519' as const].map(signed),
  ...KEY_MANAGEMENT.flatMap((alg) =>
    CONTENT_ENCRYPTION.map(
      (enc): Case => ({
        name: `ID tokens and userinfo encrypted to us with ${alg} and ${enc}`,
        client: { ...PUBLIC, userinfo_signed_response_alg: 'RS256', ...encrypted(alg, enc) },
        config: {
          ...PUBLIC,
          fetch_userinfo: true,
          userinfo_signed_response_alg: 'RS256',
          id_token_encrypted_response_alg: alg,
        },
        encrypted: { count: 2, alg, enc },
      }),
    ),
  ),
  {
    name: 'the answer as a form',
    client: PUBLIC,
    config: { ...PUBLIC, response_mode: 'form_post' },
  },
  one('the answer in the query', { response_mode: 'query' }),
  one('PKCE always, no discovery', { pkce_method: 'always', discovery_mode: 'disabled' }),
  one('discovery without checks, the answer in the query', {
    discovery_mode: 'insecure',
    response_mode: 'query',
  }),
  // What must not be believed, or cannot be read.
  {
    name: 'ID tokens signed in another way than the configuration says',
    client: { ...PUBLIC, id_token_signed_response_alg: 'ES256' },
    config: PUBLIC,
    refused: 'does not verify with RS256 (its header says ES256)',
  },
  {
    name: 'ID tokens signed with the secret, where the configuration says a key',
    client: { ...SHARED, id_token_signed_response_alg: 'HS256' },
    config: SHARED,
    refused: 'does not verify with RS256 (its header says HS256)',
  },
  {
    name: 'userinfo signed in another way than the configuration says',
    client: { ...PUBLIC, userinfo_signed_response_alg: 'PS256' },
    config: { ...PUBLIC, fetch_userinfo: true, userinfo_signed_response_alg: 'RS256' },
    refused: 'does not verify with RS256 (its header says PS256)',
  },
  {
    name: 'userinfo signed, where the configuration expects plain JSON',
    client: { ...PUBLIC, userinfo_signed_response_alg: 'RS256' },
    config: { ...PUBLIC, fetch_userinfo: true },
    refused: 'userinfo is application/jwt, not JSON',
  },
  {
    name: 'userinfo plain, where the configuration expects it signed',
    client: PUBLIC,
    config: { ...PUBLIC, fetch_userinfo: true, userinfo_signed_response_alg: 'RS256' },
    refused: 'userinfo is application/json, not a JWT',
  },
  ...['dir', 'A128KW', 'A192KW', 'A256KW', 'A128GCMKW', 'A192GCMKW', 'A256GCMKW'].map(
    (alg): Case => ({
      name: `ID tokens encrypted with ${alg}, under the secret`,
      client: {
        ...SHARED,
        id_token_encrypted_response_alg: alg,
        id_token_encrypted_response_enc: 'A128CBC-HS256',
      },
      config: SHARED,
      encrypted: { count: 1, alg, enc: 'A128CBC-HS256' },
      refused: 'is encrypted, and not to us',
    }),
  ),
]

/** A ULID for each. */
const idOf = (index: number): string => `01JDFX2V9S6QK3W4Z5Y7T8${String(index).padStart(4, '0')}`

let probe: Harness
let harness: Harness
let provider: TestProvider
beforeAll(async () => {
  const own = (await generateSigningKeys()).map(({ kid, pem }) => ({ kid, key: pem }))
  const p521 = await generateKeyPair('ES512', { extractable: true })
  own.push({ kid: 'p521', key: await exportPKCS8(p521.privateKey) })
  const secrets = { keys: own }
  // The provider has a clock of its own, that of this machine.
  probe = await createHarness({ start: new Date().toISOString(), config: { secrets } })
  // As the providers of all these clients find them at our jwks_uri.
  const wanted = KEY_MANAGEMENT.map((alg) => ({ id_token_encrypted_response_alg: alg, enabled: true }))
  const keys = publishedKeySet({ upstream_oauth2: { providers: wanted } } as never, probe.deps.keys)
  const signing = await Promise.all(
    (['RS256', 'ES256', 'ES384', 'ES512', 'Ed25519'] as const).map(async (alg) => {
      const pair = await generateKeyPair(alg, { extractable: true })
      return { ...(await exportJWK(pair.privateKey)), use: 'sig', kid: alg }
    }),
  )
  const everyAlg = [...SYMMETRIC, ...ASYMMETRIC, 'Ed25519']
  const everyKeyAlg = CASES.flatMap((row) => row.encrypted?.alg ?? [])
  provider = await startProvider({
    jwks: { keys: signing },
    clients: CASES.map(({ client }, index) => ({
      client_id: `client-${index}`,
      redirect_uris: [`http://auth.test/upstream/callback/${idOf(index)}`],
      ...client,
      jwks: keys,
    })),
    features: { jwtUserinfo: { enabled: true }, encryption: { enabled: true } },
    enabledJWA: {
      idTokenEncryptionAlgValues: [...new Set(everyKeyAlg)],
      idTokenEncryptionEncValues: CONTENT_ENCRYPTION,
      idTokenSigningAlgValues: everyAlg,
      userinfoEncryptionAlgValues: [...KEY_MANAGEMENT],
      userinfoEncryptionEncValues: CONTENT_ENCRYPTION,
      userinfoSigningAlgValues: everyAlg,
      clientAuthSigningAlgValues: [...SYMMETRIC, ...ASYMMETRIC],
    },
    clientAuthMethods: [
      'none',
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
    ],
  })
  const { issuer } = provider
  const endpoints = {
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
  }
  const providers = CASES.map(({ config }, index) => ({
    id: idOf(index),
    issuer,
    client_id: `client-${index}`,
    scope: 'openid profile',
    claims_imports: SUGGEST,
    ...(config.discovery_mode === 'disabled' && endpoints),
    ...config,
  }))
  harness = await createHarness({ beside: probe, config: { secrets, upstream_oauth2: { providers } } })
  await syncProviders(harness.deps)
})
afterAll(async () => {
  await provider?.close()
  await harness?.close()
  await probe?.close()
})

describe('sign-in through a certified provider (oidc-provider)', () => {
  for (const [index, row] of CASES.entries())
    test(row.refused === undefined ? row.name : `${row.name}: refused`, async () => {
      // However long all of this takes: an assertion is good for a minute.
      harness.clock.advance((Date.now() - harness.clock.now().getTime()) / 1000)
      const before = harness.logged.length
      const opened = spyOn(harness.deps.keys, 'decrypt')
      provider.account = { sub: `sub-${index}`, preferred_username: `person${index}`, name: 'Person' }
      const browser = harness.browser()
      const away = await browser.open(`/upstream/authorize/${idOf(index)}`)
      expect(away.url.origin).toBe(provider.issuer)
      const { url, form } = await provider.visit(away.url)
      expect(form !== undefined).toBe(row.config.response_mode === 'form_post')
      const page = form ? await browser.post(url.href, form) : await browser.open(url.href)
      const failures = harness.logged
        .slice(before)
        .filter(({ event }) => event === 'upstream.failed')
        .map(({ fields }) => String(fields.error))
      const jwes = opened.mock.calls.map(([jwe]) => decodeProtectedHeader(jwe))
      opened.mockRestore()
      const { count, alg, enc } = row.encrypted ?? { count: 0 }
      expect(jwes).toEqual(Array.from({ length: count }, () => expect.objectContaining({ alg, enc })))
      if (row.refused === undefined) {
        expect([page.url.pathname, failures]).toEqual([expect.stringContaining('/upstream/link/'), []])
        expect(page.text).toContain('Create your account')
        expect(page.text).toContain(`value="person${index}"`)
      } else {
        expect(failures).toEqual([expect.stringContaining(row.refused)])
        expect(page.text).toContain('did not work')
        expect(browser.cookies.has('session')).toBe(false)
      }
    })
})

describe('upstream_oauth2.providers[]: what no sign-in could work with does not start', () => {
  const SECRETLESS = 'token_endpoint_auth_method: none'
  const WITH_SECRET = 'client_secret: a'
  test.each([
    ...['none', 'ES256K', 'RSA1_5'].flatMap((alg) => [
      ['id_token_signed_response_alg', `${SECRETLESS}, id_token_signed_response_alg: ${alg}`],
      ['userinfo_signed_response_alg', `${SECRETLESS}, userinfo_signed_response_alg: ${alg}`],
    ]),
    ...SYMMETRIC.flatMap((alg) => [
      // A public key, or nothing, would be the secret.
      ['id_token_signed_response_alg', `${SECRETLESS}, id_token_signed_response_alg: ${alg}`],
      ['userinfo_signed_response_alg', `${SECRETLESS}, userinfo_signed_response_alg: ${alg}`],
      [
        'token_endpoint_auth_signing_alg',
        `token_endpoint_auth_method: private_key_jwt, token_endpoint_auth_signing_alg: ${alg}`,
      ],
    ]),
    ...ASYMMETRIC.map((alg) => [
      'token_endpoint_auth_signing_alg',
      `token_endpoint_auth_method: client_secret_jwt, ${WITH_SECRET}, token_endpoint_auth_signing_alg: ${alg}`,
    ]),
    ...['none', 'ES256K', 'Ed25519'].map((alg) => [
      'token_endpoint_auth_signing_alg',
      `token_endpoint_auth_method: private_key_jwt, token_endpoint_auth_signing_alg: ${alg}`,
    ]),
    ...['RSA1_5', 'dir', 'A128KW', 'A256GCMKW', 'PBES2-HS256+A128KW'].map((alg) => [
      'id_token_encrypted_response_alg',
      `${SECRETLESS}, id_token_encrypted_response_alg: ${alg}`,
    ]),
    ...['fragment', 'jwt', 'query.jwt', 'form_post.jwt', 'web_message'].map((mode) => [
      'response_mode',
      `${SECRETLESS}, response_mode: ${mode}`,
    ]),
    ...['tls_client_auth', 'self_signed_tls_client_auth', 'attest_jwt_client_auth'].map((method) => [
      'token_endpoint_auth_method',
      `token_endpoint_auth_method: ${method}`,
    ]),
  ])('%s (%s)', async (key, text) => {
    const problems = await problemsOf(
      withMinimal(
        `upstream_oauth2: { providers: [{ id: ${PROVIDER}, client_id: a, issuer: https://a.example, ${text} }] }`,
      ),
    )
    expect(problems).toEqual([expect.stringContaining(`upstream_oauth2.providers.0.${key} in config.yaml: `)])
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

test('a window that an app opened stays connected with it through a provider that posts its answer', async () => {
  const world = await upstreamWorld({ response_mode: 'form_post' })
  const { harness, fake } = world
  const openerOf = ({ headers }: { headers: Headers }) => headers.get('cross-origin-opener-policy')
  try {
    fake.claims = { sub: 'posted' }
    const { client_id } = await registerClient(harness)
    const browser = harness.browser()
    const login = await browser.open(authorizeUrl(client_id))
    const [, href = ''] = /href="(\/upstream\/authorize\/[^"]*)"/.exec(login.text) ?? []
    const away = await browser.open(href.replaceAll('&amp;', '&'))
    const { searchParams, pathname } = fake.answer(away.url)
    // The form of another site comes without our cookies; our page sends it on, with them.
    const answer = Object.fromEntries(searchParams)
    const relay = await harness.browser().post(pathname, answer)
    const fields = [...relay.text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)]
    const sent = Object.fromEntries(fields.map(([, name = '', value = '']) => [name, value]))
    expect(sent).toMatchObject(answer)
    const link = await browser.post(pathname, sent)
    expect(link.url.pathname).toStartWith('/upstream/link/')
    expect([login, relay, link].map(openerOf)).toEqual(['unsafe-none', 'unsafe-none', 'unsafe-none'])
    // On the way to our own pages nobody waits.
    const own = harness.browser()
    const alone = await own.open(`/upstream/authorize/${PROVIDER}`)
    const back = fake.answer(alone.url)
    const arrived = await own.post(back.pathname, Object.fromEntries(back.searchParams))
    expect(arrived.url.pathname).toStartWith('/upstream/link/')
    expect(openerOf(arrived)).toBe('same-origin-allow-popups')
  } finally {
    await world.close()
  }
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

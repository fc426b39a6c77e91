import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigSchema } from '../../src/config/schema.ts'
import { allPaths } from '../../src/config/shape.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { createHarness } from '../support/harness.ts'
import { authorizeUrl, registerClient } from '../support/oauth.ts'
import { PROVIDER, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

type ProviderInput = NonNullable<Parameters<typeof upstreamWorld>[0]>

const ROOT = join(import.meta.dirname, '..', '..')
const PREFIX = 'upstream_oauth2.providers[].'

let world: UpstreamWorld
beforeAll(async () => {
  world = await upstreamWorld()
})
afterAll(() => world.close())

/** Where the browser is sent to with these settings, and the page that has the button. */
async function sent(provider: ProviderInput, query: Record<string, string> = {}) {
  const harness = await createHarness({
    beside: world.harness,
    config: {
      upstream_oauth2: {
        providers: [
          {
            id: PROVIDER,
            issuer: world.fake.issuer,
            client_id: 'latchkey',
            token_endpoint_auth_method: 'none',
            ...provider,
          },
        ],
      },
    },
  })
  await syncProviders(harness.deps)
  const browser = harness.browser()
  const { client_id } = await registerClient(harness)
  const login = await browser.open(authorizeUrl(client_id, query))
  const id = login.url.searchParams.get('id') ?? ''
  const start = `/upstream/authorize/${PROVIDER}?kind=continue_authorization_grant&id=${id}`
  const away = await browser.open(start)
  await harness.close()
  return {
    url: away.url,
    parameter: (name: string) => away.url.searchParams.get(name),
    status: away.status,
    login,
  }
}

/** What a key does, seen at the door; for what is seen only behind it, the file and the words of the test that shows it. */
const EFFECTS: Record<string, (() => Promise<void>) | [file: string, words: string]> = {
  id: async () => {
    const { parameter } = await sent({})
    expect(parameter('redirect_uri')).toBe(`http://auth.test/upstream/callback/${PROVIDER}`)
  },
  enabled: async () => {
    const { status, login } = await sent({ enabled: false })
    expect(status).toBe(404)
    expect(login.text).not.toContain('/upstream/authorize/')
  },
  synapse_idp_id: ['src/config/from-synapse.ts', 'synapse_idp_id: synapseId'],
  issuer: ['test/upstream/attacks.test.ts', 'of another issuer'],
  human_name: async () => {
    expect((await sent({ human_name: 'Wharf' })).login.text).toContain('Wharf')
  },
  brand_name: async () => {
    // Apps are told by GET /_matrix/client/v3/login (test/matrix/compat).
    const host = new URL(world.fake.issuer).host
    expect((await sent({})).login.text).toContain(`Continue with ${host}`)
    expect((await sent({ brand_name: 'github' })).login.text).toContain('Continue with GitHub')
    expect((await sent({ brand_name: 'github', human_name: 'Code' })).login.text).toContain(
      'Continue with Code',
    )
  },
  client_id: async () => {
    expect((await sent({ client_id: 'another' })).parameter('client_id')).toBe('another')
  },
  client_secret: ['test/upstream/methods.test.ts', "'client_secret_basic', 'client_secret_post'"],
  client_secret_file: ['test/config/upstream-recipes.test.ts', '/etc/latchkey/sso-secret'],
  token_endpoint_auth_method: ['test/upstream/methods.test.ts', "'private_key_jwt'"],
  token_endpoint_auth_signing_alg: ['test/upstream/methods.test.ts', 'client_secret_jwt with '],
  sign_in_with_apple: ['test/upstream/methods.test.ts', 'the secret is a short JWT of the team'],
  'sign_in_with_apple.team_id': ['test/upstream/methods.test.ts', 'team_id'],
  'sign_in_with_apple.key_id': ['test/upstream/methods.test.ts', 'key_id'],
  'sign_in_with_apple.private_key': ['test/upstream/methods.test.ts', 'private_key:'],
  'sign_in_with_apple.private_key_file': ['test/config/upstream-recipes.test.ts', '/etc/latchkey/apple.p8'],
  id_token_signed_response_alg: ['test/upstream/methods.test.ts', 'ID tokens and userinfo signed with '],
  id_token_encrypted_response_alg: [
    'test/upstream/methods.test.ts',
    'ID tokens and userinfo encrypted to us with ',
  ],
  scope: async () => {
    const asked = await sent({ scope: 'openid groups' })
    expect(asked.parameter('scope')).toBe('openid groups')
    expect(asked.parameter('nonce')).not.toBeNull()
    expect((await sent({ scope: 'read:user' })).parameter('nonce')).toBeNull()
  },
  discovery_mode: ['test/upstream/methods.test.ts', 'discovery without checks'],
  pkce_method: async () => {
    expect((await sent({ pkce_method: 'auto' })).parameter('code_challenge_method')).toBe('S256')
    expect((await sent({ pkce_method: 'never' })).parameter('code_challenge')).toBeNull()
  },
  fetch_userinfo: ['test/upstream/attacks.test.ts', 'whose userinfo is about somebody else'],
  userinfo_signed_response_alg: ['test/upstream/methods.test.ts', 'ID tokens and userinfo signed with '],
  authorization_endpoint: async () => {
    const { url } = await sent({ authorization_endpoint: 'https://elsewhere.example/go?a=b' })
    expect(url.href).toStartWith('https://elsewhere.example/go?a=b&')
  },
  token_endpoint: ['test/upstream/provider-calls.test.ts', 'go before those of the metadata'],
  userinfo_endpoint: ['test/upstream/provider-calls.test.ts', 'go before those of the metadata'],
  jwks_uri: ['test/upstream/provider-calls.test.ts', 'go before those of the metadata'],
  response_mode: async () => {
    expect((await sent({})).parameter('response_mode')).toBeNull()
    expect((await sent({ response_mode: 'form_post' })).parameter('response_mode')).toBe('form_post')
  },
  additional_authorization_parameters: [
    'test/upstream/organisation.test.ts',
    'additional parameters are templates',
  ],
  forward_login_hint: async () => {
    const hint = { login_hint: 'ada@harbour.example' }
    expect((await sent({ forward_login_hint: true }, hint)).parameter('login_hint')).toBe(hint.login_hint)
    expect((await sent({}, hint)).parameter('login_hint')).toBeNull()
    // Not said, not sent.
    expect((await sent({ forward_login_hint: true })).parameter('login_hint')).toBeNull()
  },
  claims_imports: ['test/upstream/sign-in.test.ts', 'signs up with what the provider says'],
  'claims_imports.subject': ['test/upstream/methods.test.ts', 'subject: {'],
  'claims_imports.subject.template': ['test/upstream/methods.test.ts', 'subject: {'],
  'claims_imports.skip_confirmation': ['test/upstream/link.test.ts', 'makes the account without a page'],
  'claims_imports.localpart': ['test/upstream/link.test.ts', 'may choose another name'],
  'claims_imports.localpart.action': ['test/upstream/link.test.ts', 'says which claim is missing'],
  'claims_imports.localpart.template': ['test/commands/upstream-try.test.ts', '{{ user.login }}'],
  'claims_imports.localpart.on_conflict': ['test/upstream/link.test.ts', '%s with another identity linked'],
  'claims_imports.displayname': ['test/upstream/link.test.ts', 'decline what is suggested'],
  'claims_imports.displayname.action': ['test/upstream/link.test.ts', 'decline what is suggested'],
  'claims_imports.displayname.template': [
    'test/upstream/methods.test.ts',
    'the name comes once, with the form',
  ],
  'claims_imports.email': ['test/upstream/link.test.ts', 'makes the account without a page'],
  'claims_imports.email.action': ['test/upstream/link.test.ts', 'makes the account without a page'],
  'claims_imports.email.template': [
    'test/config/upstream-recipes.test.ts',
    'importClaims(needs, provider, said)',
  ],
  'claims_imports.email.unverified': ['test/upstream/organisation.test.ts', 'verify: a code proves it'],
  'claims_imports.account_name': ['test/e2e/upstream.test.ts', 'account_name'],
  'claims_imports.account_name.template': ['test/e2e/upstream.test.ts', '{{ user.email }}'],
  on_backchannel_logout: [
    'test/upstream/backchannel-logout.test.ts',
    'ends the browser sessions of the subject',
  ],
  registration_token_required: [
    'test/upstream/link.test.ts',
    'asks for an invitation where the provider needs one',
  ],
  allow_if: ['test/upstream/organisation.test.ts', 'lets in whom it holds for'],
  allow_if_message: ['test/upstream/organisation.test.ts', 'with the operator’s sentence'],
  allow_if_messages: ['test/upstream/organisation.test.ts', 'in the language of the person'],
  allow_registration: ['test/upstream/organisation.test.ts', 'signs in and links, and creates no account'],
  admin_if: ['test/upstream/organisation.test.ts', 'admin_if gives and takes the right'],
  sync_on_login: ['test/upstream/organisation.test.ts', 'sync_on_login takes name and address over again'],
  email_domains: ['test/upstream/typed-address.test.ts', 'an address alone leads to its provider'],
  rp_initiated_logout: [
    'test/upstream/logout.test.ts',
    'at the provider too, and back to the app with its state',
  ],
}

/** Read by the loader, which puts the text of the file in the place of the other key; or by an import alone. */
const LOADER = ['client_secret_file', 'sign_in_with_apple.private_key_file', 'synapse_idp_id']

const keys = [...allPaths(ConfigSchema)].flatMap(([path]) =>
  path.startsWith(PREFIX) ? [path.slice(PREFIX.length)] : [],
)
const folders = (await readdir(join(ROOT, 'src'), { recursive: true })).filter((name) => name.endsWith('.ts'))
const source = (
  await Promise.all(
    folders
      .filter((name) => !name.startsWith('config/'))
      .map((name) => readFile(join(ROOT, 'src', name), 'utf8')),
  )
).join('\n')

describe('upstream_oauth2.providers[] (reference operations 1.17)', () => {
  test('has a row here for every key', () => {
    expect(Object.keys(EFFECTS).toSorted()).toEqual(keys.toSorted())
  })

  test.each(keys.filter((key) => !LOADER.includes(key)))('%s is read by more than the loader', (key) => {
    expect(source).toMatch(new RegExp(`\\b${key.split('.').at(-1)}\\b`))
  })

  for (const [key, effect] of Object.entries(EFFECTS))
    test(`${key} has an effect`, async () => {
      if (typeof effect === 'function') return effect()
      const [file, words] = effect
      expect(await readFile(join(ROOT, file), 'utf8')).toContain(words)
    })
})

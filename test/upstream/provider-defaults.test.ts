import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { findUserByName } from '../../sql/users.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { ConfigSchema } from '../../src/config/schema.ts'
import { allPaths } from '../../src/config/shape.ts'
import { publishedKeySet } from '../../src/oauth/key-set.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { problemsOf, withMinimal } from '../config/support.ts'
import type { Browser, Page } from '../support/browser.ts'
import { type FakeProvider, startFakeProvider } from '../support/fake-provider.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { authorizeUrl, createSignedUp, registerClient } from '../support/oauth.ts'
import { PROVIDER, SUGGEST, signUpThere } from '../support/upstream.ts'

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]
type Imports = NonNullable<ProviderInput['claims_imports']>

const PREFIX = 'upstream_oauth2.providers[].'
const START = `/upstream/authorize/${PROVIDER}`

let base: Harness
let fake: FakeProvider
beforeAll(async () => {
  base = await createHarness()
  fake = await startFakeProvider({ clock: base.clock })
})
afterAll(async () => {
  fake.stop()
  await base.close()
})

let people = 0
let name: string
const opened: Harness[] = []
beforeEach(() => {
  name = `person${++people}`
  fake.asked.length = 0
  fake.forms.length = 0
  Object.assign(fake, { sign: undefined, userinfo: {}, metadata: {} })
  fake.claims = {
    sub: `sub-of-${name}`,
    preferred_username: name,
    name: 'A Name',
    email: `${name}@a.example`,
  }
})
afterEach(async () => {
  for (const harness of opened.splice(0)) await harness.close()
})

/** A Latchkey whose provider has the keys that it must have and these. */
async function having(provider: ProviderInput = {}, config: ConfigInput = {}): Promise<Harness> {
  const needed = { id: PROVIDER, issuer: fake.issuer, client_id: 'latchkey' }
  const harness = await createHarness({
    beside: base,
    config: {
      ...config,
      upstream_oauth2: { providers: [{ ...needed, token_endpoint_auth_method: 'none', ...provider }] },
    },
  })
  opened.push(harness)
  await syncProviders(harness.deps)
  return harness
}

/** Goes there and comes back. */
async function through(browser: Browser, start = START): Promise<Page> {
  const away = await browser.open(start)
  if (away.url.origin !== fake.issuer) return away
  return browser.open(fake.answer(away.url).href)
}
const arrive = async (provider?: ProviderInput) => through((await having(provider)).browser())
const away = async (provider?: ProviderInput) => (await (await having(provider)).browser().open(START)).url
const link = async () =>
  (
    await base.deps.sql`
    select subject, human_account_name from latchkey.upstream_links where subject = ${`sub-of-${name}`}`
  )[0]
const user = async () => (await findUserByName(base.deps.sql, name, name))[0]
/** A Latchkey in which somebody signed up, and their browser. */
async function signedUp(
  provider: ProviderInput = {},
  imports: Imports = SUGGEST,
): Promise<{ harness: Harness; browser: Browser }> {
  const harness = await having({ claims_imports: imports, ...provider })
  const browser = harness.browser()
  const choice = { username: name, import_display_name: 'on' }
  const next = await signUpThere(await through(browser), choice)
  if (next.url.pathname.endsWith('/display-name')) await next.submit({ display_name: 'Me', action: 'set' })
  expect((await browser.open('/account/')).url.pathname).toBe('/account/')
  return { harness, browser }
}
const refused = 'Signing in with'
const isSignUp = (page: Page) => expect(page.text).toContain('Create your account')

async function refusedWithout(key: string): Promise<void> {
  const all = {
    id: `id: ${PROVIDER}`,
    issuer: 'issuer: https://sso.example.com',
    client_id: 'client_id: latchkey',
    token_endpoint_auth_method: 'token_endpoint_auth_method: none',
  }
  const given = Object.entries(all).flatMap(([one, text]) => (one === key ? [] : [text]))
  const problems = await problemsOf(withMinimal(`upstream_oauth2: { providers: [{ ${given.join(', ')} }] }`))
  expect(problems.join('\n')).toContain(`upstream_oauth2.providers.0.${key}`)
}

/** Documented default of each key (`needed`: there is none), and what is seen of it where the key is absent. */
const DEFAULTS: Record<string, [fallback: string, seen: () => Promise<unknown>]> = {
  id: ['', () => refusedWithout('id')],
  issuer: ['', () => refusedWithout('issuer')],
  client_id: ['', () => refusedWithout('client_id')],
  token_endpoint_auth_method: ['', () => refusedWithout('token_endpoint_auth_method')],
  enabled: ['`true`', async () => isSignUp(await arrive())],
  // For an import alone.
  synapse_idp_id: ['', async () => expect((await away()).origin).toBe(fake.issuer)],
  human_name: ['', () => buttonSays(new URL(fake.issuer).host)],
  brand_name: ['', () => buttonSays(new URL(fake.issuer).host)],
  client_secret: ['', provesNothing],
  client_secret_file: ['', provesNothing],
  token_endpoint_auth_signing_alg: ['', provesNothing],
  sign_in_with_apple: ['', provesNothing],
  'sign_in_with_apple.team_id': ['', provesNothing],
  'sign_in_with_apple.key_id': ['', provesNothing],
  'sign_in_with_apple.private_key': ['', provesNothing],
  'sign_in_with_apple.private_key_file': ['', provesNothing],
  id_token_signed_response_alg: [
    '`RS256`',
    async () => {
      const harness = await having()
      isSignUp(await through(harness.browser()))
      const { key, jwk } = fake
      const other = await generateKeyPair('ES256', { extractable: true })
      fake.jwk = { ...(await exportJWK(other.publicKey)), kid: 'es', alg: 'ES256' }
      fake.sign = (claims) =>
        new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'es' }).sign(other.privateKey)
      base.clock.advance(3600)
      const page = await through(harness.browser())
      Object.assign(fake, { key, jwk })
      expect(page.text).toContain(refused)
      const said = harness.logged.find(({ event }) => event === 'upstream.failed')
      expect(String(said?.fields.error)).toContain('does not verify with RS256')
    },
  ],
  id_token_encrypted_response_alg: [
    '',
    async () => {
      const { deps } = await having()
      const { keys } = publishedKeySet(deps.config, deps.keys) as { keys: { use?: string }[] }
      expect(keys.filter(({ use }) => use === 'enc')).toEqual([])
    },
  ],
  scope: ['`openid`', async () => expect((await away()).searchParams.get('scope')).toBe('openid')],
  discovery_mode: [
    '`oidc`',
    async () => {
      await arrive()
      expect(fake.asked).toContain('/.well-known/openid-configuration')
      // And it is checked.
      fake.metadata = { issuer: 'https://elsewhere.example' }
      expect((await arrive()).text).toContain(refused)
    },
  ],
  pkce_method: [
    '`auto`',
    async () => {
      expect((await away()).searchParams.get('code_challenge_method')).toBe('S256')
      fake.metadata = { code_challenge_methods_supported: undefined }
      expect((await away()).searchParams.has('code_challenge')).toBe(false)
    },
  ],
  fetch_userinfo: [
    '`false`',
    async () => {
      await arrive()
      expect(fake.asked).not.toContain('/userinfo')
    },
  ],
  userinfo_signed_response_alg: [
    '',
    async () => {
      fake.userinfo = { sub: `sub-of-${name}` }
      isSignUp(await arrive({ fetch_userinfo: true }))
      fake.answers.set(
        '/userinfo',
        () => new Response('e.y.J', { headers: { 'content-type': 'application/jwt' } }),
      )
      const page = await arrive({ fetch_userinfo: true })
      fake.answers.clear()
      expect(page.text).toContain(refused)
    },
  ],
  authorization_endpoint: [
    '',
    async () => expect((await away()).href).toStartWith(`${fake.issuer}/authorize?`),
  ],
  token_endpoint: ['', () => asks('/token')],
  userinfo_endpoint: ['', () => asks('/userinfo', { fetch_userinfo: true })],
  jwks_uri: ['', () => asks('/jwks')],
  response_mode: [
    '',
    async () => {
      const harness = await having()
      const browser = harness.browser()
      const url = (await browser.open(START)).url
      expect(url.searchParams.has('response_mode')).toBe(false)
      // Either way of answering is taken.
      const answer = fake.answer(url)
      isSignUp(await browser.post(answer.pathname, Object.fromEntries(answer.searchParams)))
      isSignUp(await through(harness.browser()))
    },
  ],
  additional_authorization_parameters: [
    '',
    async () =>
      expect([...(await away()).searchParams.keys()].sort()).toEqual([
        'client_id',
        'code_challenge',
        'code_challenge_method',
        'nonce',
        'redirect_uri',
        'response_type',
        'scope',
        'state',
      ]),
  ],
  forward_login_hint: [
    '`false`',
    async () => {
      const harness = await having()
      const { client_id } = await registerClient(harness)
      const browser = harness.browser()
      const login = await browser.open(authorizeUrl(client_id, { login_hint: `${name}@a.example` }))
      const way =
        /href="(\/upstream\/authorize\/[^"]*)"/.exec(login.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
      expect(way).toContain('continue_authorization_grant')
      const { url } = await browser.open(way)
      expect(url.origin).toBe(fake.issuer)
      expect(url.searchParams.has('login_hint')).toBe(false)
    },
  ],
  'claims_imports.subject.template': [
    '`{{ user.sub }}`',
    async () => {
      await arrive()
      expect((await link())?.subject).toBe(`sub-of-${name}`)
    },
  ],
  'claims_imports.skip_confirmation': [
    '`false`',
    async () => isSignUp(await arrive({ claims_imports: { localpart: { action: 'require' } } })),
  ],
  'claims_imports.localpart.action': ['`ignore`', ignored],
  'claims_imports.localpart.template': [
    '`{{ user.preferred_username }}`',
    async () => expect((await arrive({ claims_imports: SUGGEST })).text).toContain(`value="${name}"`),
  ],
  'claims_imports.localpart.on_conflict': [
    '`fail`',
    async () => {
      await createSignedUp(base, name)
      const page = await arrive({ claims_imports: { localpart: { action: 'force' } } })
      expect(page.status).toBe(403)
      expect(page.text).toContain('there is an account of that name here already')
    },
  ],
  'claims_imports.displayname.action': ['`ignore`', ignored],
  'claims_imports.displayname.template': [
    '`{{ user.name }}`',
    async () => expect((await arrive({ claims_imports: SUGGEST })).text).toContain('A Name'),
  ],
  'claims_imports.email.action': ['`ignore`', ignored],
  'claims_imports.email.template': [
    '`{{ user.email }}`',
    async () => expect((await arrive({ claims_imports: SUGGEST })).text).toContain(`${name}@a.example`),
  ],
  'claims_imports.email.unverified': [
    '`verify`',
    async () => {
      const email = { transport: 'smtp' as const, hostname: '127.0.0.1', port: 1, mode: 'plain' as const }
      const harness = await having({ claims_imports: SUGGEST }, { email })
      fake.claims = { ...fake.claims, email_verified: false }
      const page = await through(harness.browser())
      const everything = { username: name, import_email: 'on', import_display_name: 'on' }
      expect((await signUpThere(page, everything)).url.pathname).toEndWith('/verify-email')
      expect(await user()).toBeUndefined()
    },
  ],
  'claims_imports.account_name.template': [
    '',
    async () => {
      await arrive()
      expect((await link())?.human_account_name).toBeNull()
    },
  ],
  on_backchannel_logout: [
    '`do_nothing`',
    async () => {
      const { harness, browser } = await signedUp()
      const iat = Math.floor(base.clock.now().getTime() / 1000)
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      const about = { sub: `sub-of-${name}`, jti: name, events }
      const logout_token = await fake.jwt({ iss: fake.issuer, aud: 'latchkey', iat, exp: iat + 60, ...about })
      const path = `/upstream/backchannel-logout/${PROVIDER}`
      expect((await harness.form(path, { logout_token })).status).toBe(200)
      expect((await browser.open('/account/')).url.pathname).toBe('/account/')
    },
  ],
  registration_token_required: [
    '`false`',
    async () => {
      await signedUp()
      expect(await user()).toBeDefined()
    },
  ],
  allow_if: ['', async () => isSignUp(await arrive())],
  allow_if_message: ['', turnedAwayPlainly],
  allow_if_messages: ['', turnedAwayPlainly],
  allow_registration: ['`true`', async () => isSignUp(await arrive())],
  admin_if: [
    '',
    async () => {
      const { harness } = await signedUp()
      await base.deps.sql`update latchkey.users set is_admin = true where username = ${name}`
      await through(harness.browser())
      expect((await user())?.is_admin).toBe(true)
    },
  ],
  sync_on_login: [
    'none',
    async () => {
      const { harness } = await signedUp()
      fake.claims = { ...fake.claims, name: 'Another Name', email: `other-${name}@a.example` }
      const browser = harness.browser()
      await through(browser)
      expect((await user())?.display_name).toBe('A Name')
      expect((await browser.open('/account/emails')).text).not.toContain(`other-${name}@a.example`)
    },
  ],
  email_domains: [
    'none',
    async () => {
      const login = await (await having()).browser().open('/login')
      const answer = await login.submit({ username: `${name}@a.example`, password: '' }, { action: '/login' })
      expect([answer.status, answer.headers.get('refresh')]).toEqual([422, null])
    },
  ],
  rp_initiated_logout: [
    '`false`',
    async () => {
      fake.metadata = { end_session_endpoint: `${fake.issuer}/logout` }
      const { browser } = await signedUp()
      const left = await (await browser.open('/account/')).submit({}, { action: '/logout' })
      expect(left.text).toContain('You are signed out')
      expect(left.headers.get('refresh')).toBeNull()
    },
  ],
}

async function buttonSays(text: string): Promise<void> {
  expect((await (await having()).browser().open('/login')).text).toContain(`Continue with ${text}`)
}

/** Nothing of a secret goes to the token endpoint. */
async function provesNothing(): Promise<void> {
  await arrive()
  expect(Object.keys(fake.forms[0] ?? {}).sort()).toEqual([
    'client_id',
    'code',
    'code_verifier',
    'grant_type',
    'redirect_uri',
  ])
}

/** The address is that of the metadata. */
async function asks(path: string, provider: ProviderInput = {}): Promise<void> {
  fake.userinfo = { sub: `sub-of-${name}` }
  isSignUp(await arrive(provider))
  expect(fake.asked).toContain(path)
}

/** Nothing that the provider says is on the page. */
async function ignored(): Promise<void> {
  const page = await arrive()
  isSignUp(page)
  for (const said of [`value="${name}"`, 'A Name', `${name}@a.example`]) expect(page.text).not.toContain(said)
}

async function turnedAwayPlainly(): Promise<void> {
  const page = await arrive({ allow_if: 'false' })
  expect(page.status).toBe(403)
  expect(page.text).toContain('do not let you in with')
}

describe('upstream_oauth2.providers[]: a key that is absent', () => {
  const keys = [...allPaths(ConfigSchema)].flatMap(([path]) =>
    path.startsWith(PREFIX) ? [path.slice(PREFIX.length)] : [],
  )
  const sections = keys.filter((key) => keys.some((other) => other.startsWith(`${key}.`)))

  test('has a row here, for every key that has a value', () => {
    const withValue = keys.filter((key) => !sections.includes(key) || key === 'sign_in_with_apple')
    expect(Object.keys(DEFAULTS).toSorted()).toEqual(withValue.toSorted())
  })

  test('has the default of docs/configuration.md', async () => {
    const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'configuration.md'), 'utf8')
    const documented = page.matchAll(/^\| `upstream_oauth2\.providers\[\]\.([\w.]+)` \| *(.*?) *\|/gm)
    expect(Object.fromEntries([...documented].map(([, key, fallback]) => [key, fallback]))).toEqual(
      Object.fromEntries(Object.entries(DEFAULTS).map(([key, [fallback]]) => [key, fallback])),
    )
  })

  for (const [key, [fallback, seen]] of Object.entries(DEFAULTS))
    test(`${key}: ${fallback || 'nothing'}`, async () => void (await seen()))
})

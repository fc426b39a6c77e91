import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { secretsOf } from '../../../src/commands/doctor/doctor.ts'
import { type Finding, withoutSecrets } from '../../../src/commands/doctor/finding.ts'
import { createReach } from '../../../src/commands/doctor/reach.ts'
import { createSite } from '../../../src/commands/doctor/site.ts'
import { checkProviders, checkUpstream } from '../../../src/commands/doctor/upstream.ts'
import type { ConfigInput } from '../../../src/config/schema.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { testConfig } from '../../support/config.ts'
import { type FakeProvider, startFakeProvider } from '../../support/fake-provider.ts'
import { PROVIDER } from '../../support/upstream.ts'
import { troubles } from './world.ts'

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]

const SECRET = 'a-secret-that-is-not-printed'
let fake: FakeProvider
beforeAll(async () => {
  fake = await startFakeProvider({ clock: systemClock })
})
afterAll(() => fake.stop())
const error =
  (code: string, status = 400) =>
  () =>
    Response.json({ error: code }, { status })
beforeEach(() => {
  fake.answers.clear()
  // As a certified one: it knows the client, and not the code.
  fake.answers.set('/token', error('invalid_grant'))
  fake.answers.set('/userinfo', error('invalid_token', 401))
  fake.metadata = {
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'form_post'],
    scopes_supported: ['openid', 'profile'],
    end_session_endpoint: `${fake.issuer}/end`,
    backchannel_logout_supported: true,
  }
})

async function examine(
  provider: ProviderInput = {},
  check: typeof checkUpstream = checkUpstream,
  none = false,
): Promise<Finding[]> {
  const given: ProviderInput = {
    id: PROVIDER,
    issuer: fake.issuer,
    human_name: 'Harbour',
    client_id: 'latchkey',
    client_secret: SECRET,
    token_endpoint_auth_method: 'client_secret_basic',
    scope: 'openid profile',
    fetch_userinfo: true,
    rp_initiated_logout: true,
    on_backchannel_logout: 'logout_all',
    ...provider,
  }
  const config = await testConfig({ upstream_oauth2: { providers: none ? [] : [given] } })
  const { signal } = new AbortController()
  const reach = createReach({ connects: new Map(), proxyOf: () => undefined, signal })
  const parts = { config, reach, clock: systemClock, random: systemRandom, running: false }
  return withoutSecrets(await check(createSite(parts, undefined)), secretsOf(config))
}

const named = (findings: readonly Finding[], check: string) =>
  findings.find((finding) => finding.check === check)

test('latchkey doctor upstream: a provider in order has good findings only, with what to register there', async () => {
  const findings = await examine()
  expect(findings.map(({ check, verdict }) => `${check} ${verdict}`)).toEqual([
    'upstream_registration ok',
    'upstream_discovery ok',
    'upstream_auth_method ok',
    'upstream_algorithms ok',
    'upstream_response_mode ok',
    'upstream_pkce ok',
    'upstream_logout ok',
    'upstream_logout ok',
    'upstream_keys ok',
    'upstream_client ok',
    'upstream_userinfo ok',
  ])
  expect(findings.every(({ subject }) => subject === PROVIDER)).toBe(true)
  expect(named(findings, 'upstream_registration')?.paste?.lines).toEqual([
    `Redirect URI: http://auth.test/upstream/callback/${PROVIDER}`,
    `Back-channel logout URI: http://auth.test/upstream/backchannel-logout/${PROVIDER}`,
    'Post-logout redirect URI: http://auth.test/',
  ])
  expect(JSON.stringify(findings)).not.toContain(SECRET)
})

test('latchkey doctor upstream: without a provider it says so, and latchkey doctor says nothing', async () => {
  expect(await examine({}, checkProviders, true)).toMatchObject([{ check: 'upstream', verdict: 'skipped' }])
  expect(await examine({}, checkUpstream, true)).toEqual([])
})

describe('latchkey doctor upstream: a provider', () => {
  const rows: [what: string, arrange: () => ProviderInput | undefined, expected: string[], mend?: RegExp][] =
    [
      [
        'of another issuer, which is named to be pasted',
        () => void Object.assign(fake.metadata, { issuer: `${fake.issuer}/` }),
        ['upstream_discovery failed'],
        /issuer: http:\/\/127\.0\.0\.1:\d+\/$/m,
      ],
      [
        'that is not there',
        () =>
          void fake.answers.set('/.well-known/openid-configuration', () => new Response('', { status: 404 })),
        ['upstream_discovery failed'],
      ],
      [
        'that answers with a page',
        () => void fake.answers.set('/.well-known/openid-configuration', () => new Response('<html>')),
        ['upstream_discovery failed'],
      ],
      [
        'that takes another method',
        () =>
          void Object.assign(fake.metadata, {
            token_endpoint_auth_methods_supported: ['client_secret_post'],
          }),
        ['upstream_auth_method warning'],
        /token_endpoint_auth_method: client_secret_post$/m,
      ],
      [
        'that does not know us',
        () => void fake.answers.set('/token', error('invalid_client', 401)),
        ['upstream_client failed'],
      ],
      [
        'that does not know us, and says so with status 200',
        () => void fake.answers.set('/token', error('incorrect_client_credentials', 200)),
        ['upstream_client failed'],
      ],
      [
        'that does not know our code, in its own words',
        () => void fake.answers.set('/token', error('bad_verification_code', 200)),
        [],
      ],
      [
        'that says nothing that can be understood',
        () => void fake.answers.set('/token', () => new Response(`<p>${SECRET}</p>`, { status: 500 })),
        ['upstream_client warning'],
      ],
      [
        'that signs with something else',
        () => ({ id_token_signed_response_alg: 'ES256' }),
        ['upstream_algorithms failed', 'upstream_keys failed'],
        /id_token_signed_response_alg: RS256$/m,
      ],
      [
        'without keys',
        () => void fake.answers.set('/jwks', () => Response.json({ keys: [] })),
        ['upstream_keys failed'],
      ],
      [
        'whose keys are a page',
        () => void fake.answers.set('/jwks', () => new Response('<html>')),
        ['upstream_keys failed'],
      ],
      [
        'that does not post its answers',
        () => {
          Object.assign(fake.metadata, { response_modes_supported: ['query'] })
          return { response_mode: 'form_post' }
        },
        ['upstream_response_mode failed'],
      ],
      [
        'without the code flow',
        () => void Object.assign(fake.metadata, { response_types_supported: ['id_token'] }),
        ['upstream_response_mode failed'],
      ],
      [
        'without PKCE, where it is always used',
        () => {
          Object.assign(fake.metadata, { code_challenge_methods_supported: ['plain'] })
          return { pkce_method: 'always' }
        },
        ['upstream_pkce warning'],
      ],
      ['with PKCE, where it is never used', () => ({ pkce_method: 'never' }), ['upstream_pkce warning']],
      ['that does not list a scope', () => ({ scope: 'openid profile groups' }), ['upstream_scope warning']],
      [
        'that nobody asks who it is',
        () => ({ scope: 'profile', fetch_userinfo: false }),
        ['upstream_registration failed'],
      ],
      [
        'without userinfo',
        () => void Object.assign(fake.metadata, { userinfo_endpoint: undefined }),
        ['upstream_userinfo failed'],
      ],
      [
        'whose userinfo tells everybody',
        () => void fake.answers.delete('/userinfo'),
        ['upstream_userinfo failed'],
      ],
      [
        'without logout',
        () =>
          void Object.assign(fake.metadata, {
            end_session_endpoint: undefined,
            backchannel_logout_supported: undefined,
          }),
        ['upstream_logout failed', 'upstream_logout warning'],
      ],
      [
        'whose metadata leads to this machine: nobody is asked there (SSRF), and the operator may name it',
        () => void Object.assign(fake.metadata, { token_endpoint: 'https://127.0.0.1:1/token' }),
        ['upstream_client failed'],
        /token_endpoint: https:\/\/127\.0\.0\.1:1\/token$/m,
      ],
      [
        'with a template that cannot be read',
        () => ({ allow_if: "'staff' in" }),
        ['upstream_templates failed'],
      ],
    ]
  for (const [what, arrange, expected, mend] of rows)
    test(what, async () => {
      const findings = await examine(arrange() ?? {})
      expect(troubles(findings)).toEqual(expected.map((row) => row.replace(' ', ` ${PROVIDER} `)))
      const said = JSON.stringify(findings)
      expect(said).not.toContain(SECRET)
      if (mend) expect(findings.flatMap(({ paste }) => paste?.lines ?? []).join('\n')).toMatch(mend)
    })

  test('without discovery is asked at the addresses of the configuration', async () => {
    const findings = await examine({
      discovery_mode: 'disabled',
      issuer: undefined,
      authorization_endpoint: `${fake.issuer}/authorize`,
      token_endpoint: `${fake.issuer}/token`,
      userinfo_endpoint: `${fake.issuer}/userinfo`,
      scope: 'profile',
      rp_initiated_logout: false,
    })
    expect(findings.map(({ check, verdict }) => `${check} ${verdict}`)).toEqual([
      'upstream_registration ok',
      'upstream_discovery skipped',
      'upstream_keys skipped',
      'upstream_client ok',
      'upstream_userinfo ok',
    ])
  })
})

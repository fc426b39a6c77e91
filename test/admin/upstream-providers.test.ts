import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { planProviders, pruneProviders } from '../../src/commands/provider-plan.ts'
import { followProviders } from '../../src/commands/serve.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { type AdminAnswer, type AdminCall, adminCaller, makeUser, personalToken } from '../support/admin.ts'
import { createHarness } from '../support/harness.ts'
import { PROVIDER, SUGGEST, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

const SECRET = 'a-secret-that-nobody-sees'
const NOBODY = '01J00000000000000000000000'

let world: UpstreamWorld
let api: AdminCall
let boss: string
let token: string
beforeAll(async () => {
  world = await upstreamWorld()
  boss = (await makeUser(world.harness, 'boss', { isAdmin: true })).uuid
  token = await personalToken(world.harness, boss, ['urn:mas:admin'])
  api = adminCaller(world.harness, token)
})
afterAll(() => world.close())

const codeOf = ({ status, body }: AdminAnswer) => [status, body.errors[0]?.code]
const path = (id: string) => `/upstream-oauth-providers/${id}`

/** What is said of a provider that works: the same server as that of the configuration, under an id of its own. */
const settings = (more: object = {}) => ({
  issuer: world.fake.issuer,
  human_name: 'Lighthouse',
  client_id: 'latchkey',
  client_secret: SECRET,
  token_endpoint_auth_method: 'client_secret_post',
  scope: 'openid profile',
  claims_imports: SUGGEST,
  ...more,
})

async function make(more: object = {}): Promise<string> {
  const made = await api('POST', '/upstream-oauth-providers', settings(more))
  expect(made.status).toBe(201)
  return made.body.data.id
}

const buttons = async (harness = world.harness) => (await harness.browser().open('/login')).text

describe('POST /upstream-oauth-providers', () => {
  test('its button is there at once, and it signs somebody in', async () => {
    const id = await make({
      human_name: 'First light',
      claims_imports: {
        skip_confirmation: true,
        localpart: { action: 'require' },
        displayname: { action: 'force' },
      },
    })
    expect(await buttons()).toContain('First light')
    expect((await world.harness.browser().open('/register')).text).toContain('First light')
    world.fake.claims = { sub: 'sub-of-lena', preferred_username: 'lena', name: 'Lena' }
    const browser = world.harness.browser()
    await world.through(browser, `/upstream/authorize/${id}`)
    expect((await browser.open('/account/')).text).toContain('@lena:example.test')
    const last = world.fake.forms.at(-1)
    expect([last?.client_secret, last?.grant_type]).toEqual([SECRET, 'authorization_code'])
    expect((await api('GET', `/upstream-oauth-links?filter[provider]=${id}`)).body.meta.count).toBe(1)
  })

  test('shows what was said without the secret, which is stored sealed', async () => {
    const made = await api('POST', '/upstream-oauth-providers', settings({ human_name: 'Sealed' }))
    const { id, attributes } = made.body.data
    expect(attributes).toMatchObject({
      issuer: world.fake.issuer,
      human_name: 'Sealed',
      origin: 'api',
      has_secret: true,
      disabled_at: null,
    })
    expect(attributes.settings).toMatchObject({ client_id: 'latchkey', scope: 'openid profile' })
    const got = await api('GET', path(id))
    expect(got.body.data.attributes).toEqual(attributes)
    const rows = await world.harness.deps.sql`select to_jsonb(p) as row from latchkey.upstream_providers p`
    for (const seen of [
      made.body,
      got.body,
      rows,
      world.harness.logged,
      (await api('GET', '/audit-log')).body,
    ])
      expect(JSON.stringify(seen)).not.toContain(SECRET)
    expect(world.harness.deps.upstream.provider(id)?.client_secret).toBe(SECRET)
  })

  test('is in the audit log, as every change of it', async () => {
    const id = await make()
    await api('PUT', path(id), { human_name: 'Beacon' })
    await api('POST', `${path(id)}/disable`)
    await api('POST', `${path(id)}/enable`)
    await api('DELETE', path(id))
    const { body } = await api('GET', `/audit-log?filter[target]=${id}`)
    const actions = body.data.map((entry: { attributes: { action: string } }) => entry.attributes.action)
    expect(actions.sort()).toEqual([
      'createUpstreamOAuthProvider',
      'deleteUpstreamOAuthProvider',
      'disableUpstreamOAuthProvider',
      'enableUpstreamOAuthProvider',
      'updateUpstreamOAuthProvider',
    ])
  })

  test('takes an id, for a provider that knows the redirect URI already; one that is taken is refused', async () => {
    const id = '01JDFX2V9S6QK3W4Z5Y7T8R9PB'
    expect(await make({ id: id.toLowerCase(), enabled: false })).toBe(id)
    expect((await api('GET', path(id))).body.data.attributes.disabled_at).not.toBeNull()
    for (const taken of [id, PROVIDER])
      expect(codeOf(await api('POST', '/upstream-oauth-providers', settings({ id: taken })))).toEqual([
        409,
        'provider_exists',
      ])
  })

  test('with an Idempotency-Key asked twice: one provider', async () => {
    const post = async () => {
      const response = await world.harness.request('/api/admin/v1/upstream-oauth-providers', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'idempotency-key': 'once',
        },
        body: JSON.stringify(settings()),
      })
      return (await response.json()) as { data: { id: string } }
    }
    expect(await post()).toEqual(await post())
  })

  test.each([
    [{ client_id: undefined }, 'invalid_body', '/client_id'],
    [{ client_secret: undefined }, 'invalid_provider', ''],
    [{ issuer: undefined }, 'invalid_provider', '/issuer'],
    [{ token_endpoint_auth_method: 'magic' }, 'invalid_body', '/token_endpoint_auth_method'],
    [{ token_endpoint: 'no address' }, 'invalid_provider', '/token_endpoint'],
    [{ scopes: 'openid' }, 'unknown_member', '/scopes'],
    [
      { client_secret: undefined, client_secret_file: '/etc/passwd' },
      'unknown_member',
      '/client_secret_file',
    ],
    [{ allow_if: 'user.groups ==' }, 'invalid_provider', '/allow_if'],
    [
      { claims_imports: { localpart: { template: '{{ user.' } } },
      'invalid_provider',
      '/claims_imports/localpart/template',
    ],
    [{ claims_imports: { skip_confirmation: true } }, 'invalid_provider', '/claims_imports/localpart/action'],
  ])('%j is refused, and the place named', async (more, code, pointer) => {
    const { status, body } = await api('POST', '/upstream-oauth-providers', settings(more))
    expect([status, body.errors[0].code, body.errors[0].source.pointer]).toEqual([400, code, pointer])
    expect(JSON.stringify(body)).not.toContain(SECRET)
  })
})

test('PUT changes members; what is absent stays, secrets too, and null takes away', async () => {
  const id = await make({ human_name: 'Old name', brand_name: 'github', email_domains: ['example.org'] })
  const changed = await api('PUT', path(id), { human_name: 'New name', brand_name: null })
  expect(changed.body.data.attributes).toMatchObject({
    human_name: 'New name',
    brand_name: null,
    has_secret: true,
  })
  expect(changed.body.data.attributes.settings).toMatchObject({ email_domains: ['example.org'] })
  expect(await buttons()).toContain('New name')
  expect(await buttons()).not.toContain('Old name')
  expect(world.harness.deps.upstream.provider(id)?.client_secret).toBe(SECRET)
  await api('PUT', path(id), { client_secret: 'another-secret' })
  expect(world.harness.deps.upstream.provider(id)?.client_secret).toBe('another-secret')
  const without = await api('PUT', path(id), { client_secret: null, token_endpoint_auth_method: 'none' })
  expect(without.body.data.attributes.has_secret).toBe(false)
  expect(codeOf(await api('PUT', path(id), { token_endpoint_auth_method: 'client_secret_basic' }))).toEqual([
    400,
    'invalid_provider',
  ])
})

test('PUT with another issuer: that one is asked from then on', async () => {
  const id = await make()
  await world.harness.browser().open(`/upstream/authorize/${id}`)
  await api('PUT', path(id), {
    issuer: null,
    discovery_mode: 'disabled',
    authorization_endpoint: 'https://elsewhere.example.com/go',
    token_endpoint: 'https://elsewhere.example.com/token',
    jwks_uri: 'https://elsewhere.example.com/keys',
  })
  const away = await world.harness.browser().open(`/upstream/authorize/${id}`)
  expect(away.url.host).toBe('elsewhere.example.com')
})

test('a key for Sign in with Apple is sealed as a secret is, and stays when its team changes', async () => {
  const id = await make({
    client_secret: undefined,
    token_endpoint_auth_method: 'sign_in_with_apple',
    sign_in_with_apple: { team_id: 'T1', key_id: 'K1', private_key: SECRET },
  })
  const changed = await api('PUT', path(id), { sign_in_with_apple: { team_id: 'T2', key_id: 'K1' } })
  expect(changed.body.data.attributes.settings.sign_in_with_apple).toEqual({ team_id: 'T2', key_id: 'K1' })
  expect(world.harness.deps.upstream.provider(id)?.sign_in_with_apple).toEqual({
    team_id: 'T2',
    key_id: 'K1',
    private_key: SECRET,
  })
})

test('disable: the button is gone, nobody comes in, links stay; enable: they work again', async () => {
  const id = await make({ human_name: 'Blinking light' })
  const { id: user } = await makeUser(world.harness, 'mara')
  await api('POST', '/upstream-oauth-links', { user_id: user, provider_id: id, subject: 'sub-of-mara' })
  expect((await api('POST', `${path(id)}/disable`)).body.data.attributes.disabled_at).not.toBeNull()
  expect(await buttons()).not.toContain('Blinking light')
  expect((await world.harness.request(`/upstream/authorize/${id}`)).status).toBe(404)
  expect((await api('GET', `/upstream-oauth-links?filter[provider]=${id}`)).body.meta.count).toBe(1)
  expect((await api('POST', `${path(id)}/enable`)).body.data.attributes.disabled_at).toBeNull()
  world.fake.claims = { sub: 'sub-of-mara' }
  const browser = world.harness.browser()
  await world.through(browser, `/upstream/authorize/${id}`)
  expect((await browser.open('/account/')).text).toContain('@mara:example.test')
})

test('DELETE refuses while accounts are linked, says who would be locked out, and takes links=true', async () => {
  const id = await make()
  const { id: user } = await makeUser(world.harness, 'nils')
  await api('POST', '/upstream-oauth-links', { user_id: user, provider_id: id, subject: 'sub-of-nils' })
  const refused = await api('DELETE', path(id))
  expect(codeOf(refused)).toEqual([409, 'provider_has_links'])
  expect(refused.body.errors[0].detail).toContain(
    '1 account is linked to it; 1 of them has neither a password',
  )
  expect(codeOf(await api('DELETE', `${path(id)}?links=maybe`))).toEqual([400, 'invalid_parameter'])
  expect((await api('DELETE', `${path(id)}?links=true`)).status).toBe(204)
  expect((await api('GET', path(id))).status).toBe(404)
  expect((await api('GET', `/users/${user}`)).status).toBe(200)
})

test('those of the configuration are shown, and changed there alone', async () => {
  const shown = (await api('GET', path(PROVIDER))).body.data.attributes
  expect(shown).toMatchObject({ origin: 'configuration', settings: null, has_secret: null })
  for (const [method, at, body] of [
    ['PUT', path(PROVIDER), { human_name: 'x' }],
    ['POST', `${path(PROVIDER)}/disable`, undefined],
    ['POST', `${path(PROVIDER)}/enable`, undefined],
    ['DELETE', `${path(PROVIDER)}?links=true`, undefined],
  ] as const) {
    const answer = await api(method, at, body)
    expect(codeOf(answer)).toEqual([409, 'configured_provider'])
    expect(answer.body.errors[0].detail).toContain('upstream_oauth2.providers')
  }
  expect(await buttons()).toContain('Harbour')
})

test('config sync with --prune never touches one of the API; a configuration that names its id takes it over', async () => {
  const { deps } = world.harness
  const id = await make({ human_name: 'Steady light' })
  const before = (await api('GET', path(id))).body
  await syncProviders(deps)
  const plan = await planProviders(deps)
  expect(JSON.stringify(plan)).not.toContain(id)
  await deps.sql.begin((tx) =>
    pruneProviders(deps, tx, { ...plan, left: [{ provider_id: id, human_name: null, links: 0 }] }),
  )
  expect((await api('GET', path(id))).body).toEqual(before)

  const named = deps.upstream.provider(id)
  if (!named) throw new Error('it is not there')
  const providers = { ...deps.providers, configured: [...deps.providers.configured, named] }
  expect((await planProviders({ ...deps, providers })).changed).toEqual([
    { provider_id: id, human_name: 'Steady light', fields: ['origin'] },
  ])
  await syncProviders({ ...deps, providers })
  expect((await api('GET', path(id))).body.data.attributes).toMatchObject({
    origin: 'configuration',
    settings: null,
    has_secret: null,
  })
})

test('another process sees what was made, changed and switched off when it looks, and at once who comes with its id', async () => {
  const { upstream_oauth2 } = world.harness.deps.config
  const other = await createHarness({ beside: world.harness, config: { upstream_oauth2: {} } })
  try {
    expect(upstream_oauth2.providers.length).toBeGreaterThan(1)
    const id = await make({ human_name: 'Far light' })
    expect(await buttons(other)).not.toContain('Far light')
    const away = await other.browser().open(`/upstream/authorize/${id}`)
    expect(away.url.origin).toBe(world.fake.issuer)
    expect(await buttons(other)).toContain('Far light')
    const before = other.deps.upstream.provider(id)
    await other.deps.providers.refresh()
    expect(other.deps.upstream.provider(id)).toBe(before)
    await api('POST', `${path(id)}/disable`)
    await other.deps.providers.refresh()
    expect(await buttons(other)).not.toContain('Far light')
  } finally {
    await other.close()
  }
})

test('a process with another secrets.encryption offers nothing that it cannot open, and says so', async () => {
  const id = await make()
  const other = await createHarness({
    beside: world.harness,
    config: { upstream_oauth2: {}, secrets: { encryption: 'ab'.repeat(32) } },
  })
  try {
    await other.deps.providers.refresh()
    expect(other.deps.upstream.provider(id)).toBeUndefined()
    expect(other.logged.map(({ event }) => event)).toContain('upstream.provider_unreadable')
  } finally {
    await other.close()
  }
})

test('a process goes on with what it knows while the database is away, and says so once', async () => {
  const stop = new AbortController()
  const said: string[] = []
  let asked = 0
  const providers = {
    ...world.harness.deps.providers,
    async refresh() {
      asked++
      if (asked === 6) stop.abort()
      if (asked !== 3) throw new Error('the database is away')
    },
  }
  const log = { ...world.harness.deps.log, warn: (event: string) => void said.push(event) }
  await followProviders({ deps: { providers, log } }, stop.signal, 1)
  expect([asked, said]).toEqual([6, ['upstream.providers_not_read', 'upstream.providers_not_read']])
})

test('only with a token for everything: a provider decides who comes in, and as an admin', async () => {
  const id = await make()
  const narrow = adminCaller(
    world.harness,
    await personalToken(world.harness, boss, ['urn:latchkey:admin:users', 'urn:latchkey:admin:server']),
  )
  for (const [method, at, body] of [
    ['POST', '/upstream-oauth-providers', settings()],
    ['PUT', path(id), {}],
    ['POST', `${path(id)}/disable`, undefined],
    ['POST', `${path(id)}/enable`, undefined],
    ['DELETE', path(id), undefined],
  ] as const)
    expect(codeOf(await narrow(method, at, body))).toEqual([403, 'scope_missing'])
  expect((await narrow('GET', path(id))).status).toBe(200)
})

test('unknown ids are 404', async () => {
  for (const [method, at, body] of [
    ['PUT', path(NOBODY), {}],
    ['POST', `${path(NOBODY)}/disable`, undefined],
    ['DELETE', path(NOBODY), undefined],
  ] as const)
    expect(codeOf(await api(method, at, body))).toEqual([404, 'not_found'])
  expect(uuidFromUlid(NOBODY)).toBeDefined()
})

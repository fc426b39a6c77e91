import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { parse } from 'yaml'
import { createReach } from '../../src/commands/doctor/reach.ts'
import { createSite } from '../../src/commands/doctor/site.ts'
import { checkUpstream } from '../../src/commands/doctor/upstream.ts'
import { beginTrial } from '../../src/commands/upstream/trial.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { troubles } from '../commands/doctor/world.ts'
import { type Browser, createBrowser, type Page } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { signUpThere } from '../support/upstream.ts'

/**
 * A Keycloak in development mode, with its bootstrap admin: LATCHKEY_TEST_KEYCLOAK=http://admin:password@127.0.0.1:8180.
 * Without it nothing here runs: it takes minutes to start, and 600 MB.
 */
const GIVEN = process.env.LATCHKEY_TEST_KEYCLOAK
const where = new URL(GIVEN ?? 'http://admin:none@127.0.0.1:1')
const { origin: KEYCLOAK } = where
const REALM = 'latchkey-test'
const SECRET = 'a secret of thirty-two letters or more'
const PASSWORD = 'correct horse'

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]

/** The recipe that operators copy. */
async function recipe(): Promise<ProviderInput & { id: string }> {
  const page = await Bun.file(new URL('../../docs/upstream.md', import.meta.url)).text()
  const [, text = ''] = /### Keycloak\n[\s\S]*?```yaml\n([\s\S]*?)```/.exec(page) ?? []
  return (parse(text) as { upstream_oauth2: { providers: (ProviderInput & { id: string })[] } })
    .upstream_oauth2.providers[0] as ProviderInput & { id: string }
}

async function admin(path: string, body?: object): Promise<unknown> {
  const login = await fetch(`${KEYCLOAK}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({
      client_id: 'admin-cli',
      grant_type: 'password',
      username: where.username,
      password: where.password,
    }),
  })
  const { access_token } = (await login.json()) as { access_token: string }
  const response = await fetch(`${KEYCLOAK}/admin/realms${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  const text = await response.text()
  return text === '' ? undefined : JSON.parse(text)
}

/** Browsers there follow 302 like 303. */
const browserThere = (): Browser =>
  createBrowser(
    async (request) => {
      const response = await fetch(request, { redirect: 'manual' })
      return response.status === 302
        ? new Response(null, { status: 303, headers: response.headers })
        : response
    },
    { origin: KEYCLOAK },
  )

/** Signs in there; gives where that leads. */
const signInThere = async (url: URL, browser = browserThere()): Promise<Page> => {
  const page = await browser.open(url.href)
  return page.url.origin === KEYCLOAK && page.text.includes('name="password"')
    ? page.submit({ username: 'ada', password: PASSWORD })
    : page
}

describe.skipIf(GIVEN === undefined)('sign-in through Keycloak', () => {
  let probe: Harness
  let door: Bun.Server<undefined>
  let harness: Harness
  let provider: ProviderInput & { id: string }

  async function latchkey(changes: ProviderInput = {}): Promise<Harness> {
    const made = await createHarness({
      beside: probe,
      config: { upstream_oauth2: { providers: [{ ...provider, ...changes }] } },
    })
    await syncProviders(made.deps)
    return made
  }

  beforeAll(async () => {
    probe = await createHarness({ start: new Date().toISOString() })
    const copied = await recipe()
    provider = { ...copied, issuer: `${KEYCLOAK}/realms/${REALM}`, client_secret: SECRET }
    harness = await latchkey()
    // Keycloak tells about a logout here.
    door = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) =>
        harness.app.handle(new Request(`http://auth.test${new URL(request.url).pathname}`, request)),
    })
    await fetch(`${KEYCLOAK}/realms/${REALM}`).then(async (there) => {
      if (there.ok) throw new Error(`${REALM} is there already: remove it, or start Keycloak anew`)
    })
    await admin('', { realm: REALM, enabled: true, sslRequired: 'none' })
    await admin(`/${REALM}/clients`, {
      clientId: copied.client_id,
      secret: SECRET,
      enabled: true,
      publicClient: false,
      redirectUris: [`http://auth.test/upstream/callback/${copied.id}`],
      attributes: {
        'backchannel.logout.url': `${door.url.origin}/upstream/backchannel-logout/${copied.id}`,
        'backchannel.logout.session.required': 'true',
      },
    })
    await admin(`/${REALM}/users`, {
      username: 'ada',
      enabled: true,
      email: 'ada@example.com',
      emailVerified: true,
      firstName: 'Ada',
      lastName: 'Byron',
      credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
    })
  }, 120_000)
  afterAll(async () => {
    await door?.stop(true)
    await harness?.close()
    await probe?.close()
  })

  test('latchkey doctor upstream finds it in order', async () => {
    const { config, clock, random } = harness.deps
    const reach = createReach({
      connects: new Map(),
      proxyOf: () => undefined,
      signal: new AbortController().signal,
    })
    const findings = await checkUpstream(
      createSite({ config, reach, clock, random, running: true }, undefined),
    )
    expect(troubles(findings)).toEqual([])
    expect(findings.map(({ check }) => check)).toContain('upstream_client')
    const wrong = await latchkey({ client_secret: 'another' })
    const site = createSite({ config: wrong.deps.config, reach, clock, random, running: true }, undefined)
    expect(troubles(await checkUpstream(site))).toEqual([`upstream_client ${provider.id} failed`])
  }, 60_000)

  test('latchkey upstream try shows its claims', async () => {
    const { deps } = harness
    const known = deps.upstream.provider(provider.id)
    if (!known) throw new Error('no provider')
    const trial = await beginTrial(deps, known)
    const result = await trial.finish((await signInThere(trial.url)).url.href)
    expect(result).toMatchObject({
      imports: {
        localpart: { value: 'ada' },
        displayname: { value: 'Ada Byron' },
        email: { value: 'ada@example.com' },
      },
    })
  }, 60_000)

  test('by the recipe: a new account, the same one the next time, and a logout there ends the session here', async () => {
    const browser = harness.browser()
    const there = browserThere()
    const back = await signInThere((await browser.open(`/upstream/authorize/${provider.id}`)).url, there)
    const page = await browser.open(back.url.href)
    expect(page.text).toContain('ada@example.com')
    await signUpThere(page, { import_email: 'on', import_display_name: 'on' })
    expect((await browser.open('/account/')).text).toContain('Ada Byron')
    const second = harness.browser()
    const again = await signInThere((await second.open(`/upstream/authorize/${provider.id}`)).url, there)
    await second.open(again.url.href)
    expect((await second.open('/account/')).text).toContain('Ada Byron')
    const [ada] = (await admin(`/${REALM}/users?username=ada`)) as { id: string }[]
    await admin(`/${REALM}/users/${ada?.id}/logout`, {})
    for (const gone of [browser, second]) expect((await gone.open('/account/')).url.pathname).toBe('/login')
  }, 60_000)

  test.each<[string, ProviderInput]>([
    ['client_secret_post', { token_endpoint_auth_method: 'client_secret_post' }],
    ['PKCE always', { pkce_method: 'always' }],
    ['userinfo', { fetch_userinfo: true }],
    ['the answer as a form', { response_mode: 'form_post' }],
  ])(
    '%s',
    async (_, changes) => {
      const own = await latchkey(changes)
      const browser = own.browser()
      const back = await signInThere((await browser.open(`/upstream/authorize/${provider.id}`)).url)
      if (changes.response_mode === 'form_post') {
        const fields = [...back.text.matchAll(/TYPE="HIDDEN" NAME="([^"]+)" VALUE="([^"]*)"/g)]
        const answer = Object.fromEntries(fields.map(([, name = '', value = '']) => [name, value]))
        await browser.post(`/upstream/callback/${provider.id}`, answer)
      } else await browser.open(back.url.href)
      expect(own.logged.filter(({ event }) => event === 'upstream.failed')).toEqual([])
      expect((await browser.open('/account/')).text).toContain('Ada Byron')
      await own.close()
    },
    60_000,
  )
})

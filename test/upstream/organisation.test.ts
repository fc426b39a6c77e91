import { afterEach, describe, expect, test } from 'bun:test'
import { findUserByName } from '../../sql/users.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { templateFaults } from '../../src/upstream/upstream.ts'
import { createHarness } from '../support/harness.ts'
import { codeIn, mailConfig, startMailServer } from '../support/mail-server.ts'
import { authorizeUrl, registerClient } from '../support/oauth.ts'
import { PROVIDER, SUGGEST, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

const everything = { import_email: 'on', import_display_name: 'on' }
let world: UpstreamWorld
afterEach(() => world.close())

const start = async (...args: Parameters<typeof upstreamWorld>) => {
  world = await upstreamWorld(...args)
}
const user = async (name: string) => (await findUserByName(world.harness.deps.sql, name, name))[0]
/** Signs up, and gives the browser. */
async function newPerson(claims: Record<string, unknown>) {
  world.fake.claims = { name: 'Somebody', ...claims }
  const browser = world.harness.browser()
  await signUpThere(await world.through(browser), {
    username: String(claims.preferred_username),
    ...everything,
  })
  return browser
}

describe('allow_if', () => {
  test('lets in whom it holds for, and turns the others away with the operator’s sentence, also who has an account', async () => {
    await start({
      allow_if: "'crew' in user.groups and user.email.endswith('@harbour.example')",
      allow_if_message: 'Only the crew comes aboard.',
    })
    const claims = { sub: 'a', preferred_username: 'anna', email: 'anna@harbour.example', groups: ['crew'] }
    const browser = await newPerson(claims)
    expect(browser.cookies.has('session')).toBe(true)
    for (const changed of [{ groups: ['guests'] }, { groups: undefined }, { email: 'anna@evil.example' }]) {
      world.fake.claims = { ...claims, ...changed }
      const other = world.harness.browser()
      const page = await world.through(other)
      expect(page.status).toBe(403)
      expect(page.text).toContain('Only the crew comes aboard.')
      expect(other.cookies.has('session')).toBe(false)
    }
  })

  test('turns away in the language of the person, where the operator wrote it', async () => {
    await start({
      allow_if: "'crew' in user.groups",
      allow_if_message: 'Only the crew comes aboard.',
      allow_if_messages: { de: 'Nur die Besatzung kommt an Bord.' },
    })
    world.fake.claims = { sub: 'a', preferred_username: 'a' }
    for (const [lang, sentence] of [
      ['de-AT', 'Nur die Besatzung kommt an Bord.'],
      ['fr', 'Only the crew comes aboard.'],
    ] as const) {
      const page = await world.through(world.harness.browser({ 'accept-language': lang }))
      expect(page.text).toContain(sentence)
    }
  })

  test('that fails lets nobody in', async () => {
    await start({ allow_if: 'user.groups.nothing.like.this' })
    world.fake.claims = { sub: 'a', preferred_username: 'anna' }
    const page = await world.through(world.harness.browser())
    expect(page.status).toBe(403)
    expect(page.text).toContain('do not let you in with Harbour')
  })
})

test('allow_registration: false signs in and links, and creates no account', async () => {
  await start({ allow_registration: false, claims_imports: SUGGEST })
  world.fake.claims = { sub: 'a', preferred_username: 'anna' }
  const page = await world.through(world.harness.browser())
  expect(page.status).toBe(403)
  expect(page.text).toContain('cannot be used to create one')
  expect(page.text).toContain('/login?kind=link_upstream')
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const forced = await world.harness.form(page.url.pathname, { csrf, action: 'register', username: 'anna' })
  expect(forced.status).toBeGreaterThanOrEqual(400)
  expect(await user('anna')).toBeUndefined()
})

test('sync_on_login takes name and address over again, and admin_if gives and takes the right', async () => {
  await start({ sync_on_login: ['displayname', 'email'], admin_if: "'officers' in user.groups" })
  const claims = { sub: 'a', preferred_username: 'anna', email: 'anna@harbour.example', email_verified: true }
  await newPerson({ ...claims, groups: ['officers'] })
  expect(await user('anna')).toMatchObject({ display_name: 'Somebody', is_admin: true })
  world.fake.claims = { ...claims, name: 'Anna B.', email: 'anna.b@harbour.example', groups: [] }
  const browser = world.harness.browser()
  await world.through(browser)
  expect(await user('anna')).toMatchObject({ display_name: 'Anna B.', is_admin: false })
  expect((await browser.open('/account/emails')).text).toContain('anna.b@harbour.example')
})

test('admin_if holds from the sign-up on, also where steps are left to the person', async () => {
  const claims_imports = { localpart: { action: 'require' as const } }
  await start({ admin_if: "'captains' in user.groups", claims_imports })
  const { harness, fake } = world
  // The first account is an admin by itself.
  await newPerson({ sub: 'first', preferred_username: 'first', groups: ['captains'] })
  for (const [name, groups] of [
    ['captain', ['captains']],
    ['sailor', []],
  ] as const) {
    fake.claims = { sub: name, preferred_username: name, groups }
    const browser = harness.browser()
    const step = await signUpThere(await world.through(browser), {})
    expect(step.url.pathname).toEndWith('/display-name')
    expect(await user(name)).toBeUndefined()
    await step.submit({ display_name: name, action: 'set' })
    expect((await browser.open('/account/')).url.pathname).toBe('/account/')
    const made = await user(name)
    expect(made?.is_admin).toBe(name === 'captain')
    const given = await harness.deps.sql`
      select kind from latchkey.security_events where user_id = ${made?.id ?? ''} and kind = 'admin_given'`
    expect(given).toHaveLength(name === 'captain' ? 1 : 0)
  }
})

describe('max_age and prompt=login, where the provider says when somebody signed in there (auth_time)', () => {
  const seconds = () => Math.floor(world.harness.clock.now().getTime() / 1000)

  test('are asked of the provider too, and an old sign-in there is not taken', async () => {
    await start()
    const { harness, fake } = world
    const claims = { sub: 'anna', preferred_username: 'anna' }
    await newPerson(claims)
    const { client_id } = await registerClient(harness)
    for (const [params, asked] of [
      [{ max_age: '60' }, ['max_age', '60']],
      [{ prompt: 'login' }, ['prompt', 'login']],
    ] as const) {
      const address = authorizeUrl(client_id, params)
      const go = async (age: number | undefined) => {
        fake.claims = { ...claims, ...(age !== undefined && { auth_time: seconds() - age }) }
        const browser = harness.browser()
        const login = await browser.open(address)
        const id = login.url.searchParams.get('id') ?? ''
        const start = `/upstream/authorize/${PROVIDER}?kind=continue_authorization_grant&id=${id}`
        const away = await browser.open(start)
        expect(away.url.searchParams.get(asked[0])).toBe(asked[1])
        return { browser, page: await browser.open(fake.answer(away.url).href) }
      }
      const old = await go(3600)
      expect(old.page.url.pathname).toBe('/login')
      expect(old.page.text).toContain('Signing in with Harbour did not work.')
      expect(old.browser.cookies.has('session')).toBe(false)
      for (const age of [0, 120, undefined])
        expect((await go(age)).page.url.pathname).toStartWith('/consent/')
    }
  })

  test('an old sign-in there is as good as any where the request does not ask', async () => {
    await start()
    const claims = { sub: 'anna', preferred_username: 'anna', auth_time: seconds() - 86_400 }
    const browser = await newPerson(claims)
    expect((await browser.open('/account/')).url.pathname).toBe('/account/')
  })
})

describe('an address that the provider calls unverified', () => {
  const claims = {
    sub: 'a',
    preferred_username: 'anna',
    email: 'anna@harbour.example',
    email_verified: false,
  }
  const emails = (unverified: 'verify' | 'drop' | 'accept') => ({
    claims_imports: { ...SUGGEST, email: { action: 'suggest' as const, unverified } },
  })
  const smtp = {
    config: { email: { transport: 'smtp' as const, hostname: '127.0.0.1', port: 1, mode: 'plain' as const } },
  }

  test('verify: a code proves it before there is an account', async () => {
    await start(emails('verify'), smtp)
    world.fake.claims = { name: 'Anna', ...claims }
    const page = await signUpThere(await world.through(world.harness.browser()), {
      username: 'anna',
      ...everything,
    })
    expect(page.url.pathname).toEndWith('/verify-email')
    expect(await user('anna')).toBeUndefined()
  })

  test('verify: the code is the last step where the provider said the name, and without the address none is needed', async () => {
    const server = await startMailServer()
    const account = { password_registration_enabled: true, password_registration_email_required: true }
    await start(emails('verify'), { config: { email: mailConfig(server), account } })
    world.fake.claims = { name: 'Anna B.', ...claims }
    const browser = world.harness.browser()
    const fields = { username: 'anna', ...everything }
    const step = await signUpThere(await world.through(browser), fields)
    await world.harness.runJobs()
    const code = codeIn(server.last(claims.email))
    const done = await step.submit({ code }, { action: 'verify-email' })
    expect(done.url.pathname).toBe('/')
    expect(await user('anna')).toMatchObject({ display_name: 'Anna B.' })
    expect((await browser.open('/account/emails')).text).toContain(claims.email)
    // The rule is one for sign-ups with a password.
    world.fake.claims = { sub: 'b', preferred_username: 'berta' }
    const named = await signUpThere(await world.through(world.harness.browser()), { username: 'berta' })
    await named.submit({ display_name: 'Berta' }, { action: 'display-name', button: ['action', 'set'] })
    expect(await user('berta')).toMatchObject({ display_name: 'Berta' })
    await server.close()
  })

  test('drop: it is left out', async () => {
    await start(emails('drop'), smtp)
    world.fake.claims = claims
    expect((await world.through(world.harness.browser())).text).not.toContain('anna@harbour.example')
  })

  test('accept: it is taken, as MAS does', async () => {
    await start(emails('accept'), smtp)
    const browser = await newPerson(claims)
    expect((await browser.open('/account/emails')).text).toContain('anna@harbour.example')
  })
})

describe('the provider is chosen', () => {
  test.each([
    ['upstream_idp in the query of /login', `/login?upstream_idp=${PROVIDER}`],
    ['the domain of login_hint', '/login?login_hint=anna%40harbour.example'],
  ])('by %s', async (_, address) => {
    await start({ email_domains: ['harbour.example'] })
    const page = await world.harness.browser().open(address)
    expect(page.url.origin).toBe(world.fake.issuer)
  })

  test.each([
    ['upstream_idp', { upstream_idp: PROVIDER }],
    ['acr_values', { acr_values: `a urn:latchkey:idp:${PROVIDER}` }],
    ['the domain of login_hint', { login_hint: 'anna@harbour.example' }],
  ])('by %s in the authorization request', async (_, params) => {
    await start({ email_domains: ['harbour.example'] })
    const { client_id } = await registerClient(world.harness)
    const page = await world.harness.browser().open(authorizeUrl(client_id, params))
    expect(page.url.origin).toBe(world.fake.issuer)
  })

  test('by nobody who names one that is not there', async () => {
    await start()
    const page = await world.harness.browser().open('/login?upstream_idp=01J00000000000000000000000')
    expect(page.url.pathname).toBe('/login')
  })

  test('by the configuration, where it is the only way in; a failure leads to a page and not round in circles', async () => {
    await start({}, { config: { passwords: { enabled: false } } })
    const browser = world.harness.browser()
    const page = await world.through(browser, '/login', { code: undefined, error: 'access_denied' })
    expect(page.url.pathname).toBe('/login')
    expect(page.text).toContain('You did not sign in with Harbour.')
    expect(page.text).not.toContain('name="password"')
  })
})

describe('sign-up without passwords', () => {
  const closed = { account: { password_registration_enabled: false } }
  const OTHER = '01JDFX2V9S6QK3W4Z5Y7T8R9PB'
  const promptValues = async () => {
    const answer = await world.harness.request('/.well-known/openid-configuration')
    return ((await answer.json()) as { prompt_values_supported: string[] }).prompt_values_supported
  }

  test('prompt=create, the links to sign up and discovery lead to the provider that lets people in', async () => {
    await start({}, { config: closed })
    const { harness, fake } = world
    const { client_id } = await registerClient(harness)
    const asked = await harness.browser().open(authorizeUrl(client_id, { prompt: 'create' }))
    expect(asked.url.origin).toBe(fake.issuer)
    for (const path of ['/', '/login'])
      expect((await harness.browser().open(path)).text).toContain('Create account')
    expect(await promptValues()).toContain('create')
    expect((await world.through(harness.browser(), '/register')).text).toContain('Create your account')
  })

  test('is not offered through a provider that creates no accounts (allow_registration)', async () => {
    await start({ allow_registration: false }, { config: closed })
    const { harness } = world
    const { client_id } = await registerClient(harness)
    const asked = await harness.browser().open(authorizeUrl(client_id, { prompt: 'create' }))
    expect(asked.url.pathname).toBe('/register')
    expect(asked.text).not.toContain('/upstream/authorize/')
    for (const path of ['/', '/login'])
      expect((await harness.browser().open(path)).text).not.toContain('Create account')
    expect(await promptValues()).not.toContain('create')
  })

  test('offers a choice among several, without those that create no accounts, unless the request chooses', async () => {
    await start({}, { config: closed })
    const given = {
      issuer: world.fake.issuer,
      client_id: 'latchkey',
      token_endpoint_auth_method: 'none' as const,
    }
    const harness = await createHarness({
      beside: world.harness,
      config: {
        ...closed,
        upstream_oauth2: {
          providers: [
            { id: PROVIDER, human_name: 'Harbour', ...given },
            { id: OTHER, human_name: 'Wharf', ...given },
            { id: '01JDFX2V9S6QK3W4Z5Y7T8R9PC', human_name: 'Closed', allow_registration: false, ...given },
          ],
        },
      },
    })
    await syncProviders(harness.deps)
    const page = await harness.browser().open('/register')
    expect(page.url.pathname).toBe('/register')
    for (const name of ['Harbour', 'Wharf']) expect(page.text).toContain(name)
    expect(page.text).not.toContain('Closed')
    const { client_id } = await registerClient(harness)
    const chosen = authorizeUrl(client_id, { prompt: 'create', upstream_idp: OTHER })
    const away = await harness.browser().open(chosen)
    expect(away.url.searchParams.get('redirect_uri')).toEndWith(OTHER)
    await harness.close()
  })
})

test('additional parameters are templates over the request and over a sign-out', async () => {
  await start({
    additional_authorization_parameters: {
      hd: 'harbour.example',
      login_hint: '{{ params.login_hint }}',
      prompt: "{{ 'login' if logged_out }}",
      broken: '{{ nothing.at.all }}',
    },
  })
  const browser = world.harness.browser()
  const { client_id } = await registerClient(world.harness)
  const login = await browser.open(authorizeUrl(client_id, { login_hint: 'mxid:@anna:example.test' }))
  const way = /href="(\/upstream\/authorize\/[^"]*)"/.exec(login.text)?.[1]?.replace('&amp;', '&') ?? ''
  const { searchParams } = (await browser.open(way)).url
  expect(Object.fromEntries(searchParams)).toMatchObject({
    hd: 'harbour.example',
    login_hint: 'mxid:@anna:example.test',
  })
  expect(searchParams.has('prompt') || searchParams.has('broken')).toBe(false)
  await newPerson({ sub: 'a', preferred_username: 'anna' })
  const person = world.harness.browser()
  world.fake.claims = { sub: 'a' }
  await world.through(person)
  await (await person.open('/account/')).submit({}, { action: '/logout' })
  expect((await person.open(`/upstream/authorize/${PROVIDER}`)).url.searchParams.get('prompt')).toBe('login')
})

test('a template that cannot be read is a warning at the start, with its key', async () => {
  await start()
  const { deps } = world.harness
  const [provider] = deps.config.upstream_oauth2.providers
  const broken = {
    ...provider,
    allow_if: "'crew' in",
    additional_authorization_parameters: { hd: '{{ 1 + }}' },
  }
  const config = { ...deps.config, upstream_oauth2: { providers: [broken] } } as typeof deps.config
  const faults = templateFaults(deps.upstream, config)
  expect(faults.map((fault) => /: (\S+) cannot be read/.exec(fault)?.[1])).toEqual([
    'allow_if',
    'additional_authorization_parameters.hd',
  ])
})

test('POST /logout: rp_initiated_logout signs out at the provider too, with proof of who it is', async () => {
  await start({ rp_initiated_logout: true })
  world.fake.metadata = { end_session_endpoint: `${world.fake.issuer}/logout` }
  const browser = await newPerson({ sub: 'a', preferred_username: 'anna' })
  const page = await (await browser.open('/account/')).submit({}, { action: '/logout' })
  expect(page.status).toBe(200)
  const url = new URL(page.headers.get('refresh')?.replace('0; url=', '') ?? '')
  expect(url.pathname).toBe('/logout')
  expect(url.searchParams.get('post_logout_redirect_uri')).toBe('http://auth.test/')
  expect(url.searchParams.get('id_token_hint')).toStartWith('eyJ')
})

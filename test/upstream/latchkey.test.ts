import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { syncClients } from '../../src/commands/static-clients.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { type Browser, createBrowser, type Page, readForms } from '../support/browser.ts'
import { selfSigned } from '../support/certificate.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { signUp } from '../support/oauth.ts'
import { PROVIDER, SUGGEST, signUpThere } from '../support/upstream.ts'

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]
type ClientInput = NonNullable<ConfigInput['clients']>[number]

const SECRET = 'a secret of sixty-four letters or more, as HMAC with SHA-512 wants it'

/** One way after the other in which one Latchkey may be the client of another one. */
interface Way {
  id: string
  name: string
  provider: ProviderInput
  client: ClientInput
}
const way = (
  id: string,
  name: string,
  method: NonNullable<ProviderInput['token_endpoint_auth_method']> & ClientInput['client_auth_method'],
  { provider = {}, client = {} }: { provider?: ProviderInput; client?: Partial<ClientInput> } = {},
): Way => {
  const shared = method?.startsWith('client_secret') ? { client_secret: SECRET } : {}
  return {
    id,
    name,
    provider: { token_endpoint_auth_method: method, ...shared, ...provider },
    client: { client_auth_method: method, ...shared, ...client },
  }
}
const signed = (idToken: 'ES256' | 'ES384' | 'EdDSA' | 'PS384', userinfo?: 'PS256' | 'ES256') => ({
  id_token_signed_response_alg: idToken,
  ...(userinfo && { userinfo_signed_response_alg: userinfo }),
})
const WAYS: Way[] = [
  way(PROVIDER, 'client_secret_basic', 'client_secret_basic'),
  way('01JDFX2V9S6QK3W4Z5Y7T8R9P1', 'client_secret_post, ES256, the answer as a form', 'client_secret_post', {
    provider: { ...signed('ES256'), response_mode: 'form_post' },
    client: signed('ES256'),
  }),
  way('01JDFX2V9S6QK3W4Z5Y7T8R9P2', 'client_secret_jwt, ES384, signed userinfo', 'client_secret_jwt', {
    provider: { ...signed('ES384', 'PS256'), token_endpoint_auth_signing_alg: 'HS512' },
    client: signed('ES384', 'PS256'),
  }),
  way('01JDFX2V9S6QK3W4Z5Y7T8R9P3', 'private_key_jwt, EdDSA, the answer in the query', 'private_key_jwt', {
    provider: {
      ...signed('EdDSA', 'ES256'),
      token_endpoint_auth_signing_alg: 'PS256',
      response_mode: 'query',
    },
    client: signed('EdDSA', 'ES256'),
  }),
  way('01JDFX2V9S6QK3W4Z5Y7T8R9P4', 'no authentication, PS384, PKCE', 'none', {
    provider: { ...signed('PS384'), pkce_method: 'always' },
    client: signed('PS384'),
  }),
]
/** Our id there: any, but another one than that of the provider here. */
const clientOf = ({ id }: Way): string => `01J0000000000000000000000${id.slice(-1)}`

let there: Harness
let here: Harness
/** Where the one that we are clients of can be asked, and where it tells us of a sign-out. */
let server: Bun.Server<undefined>
let ourServer: Bun.Server<undefined>
let handle: (request: Request) => Promise<Response> = async () => new Response(null, { status: 503 })

beforeAll(async () => {
  const start = new Date().toISOString()
  const { cert, key } = await selfSigned('localhost')
  server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request) => handle(request) })
  ourServer = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    fetch: (request) => here.app.handle(request),
  })
  const issuer = `http://127.0.0.1:${server.port}/`
  here = await createHarness({
    start,
    config: {
      upstream_oauth2: {
        providers: WAYS.map((one) => ({
          id: one.id,
          issuer,
          human_name: one.name,
          client_id: clientOf(one),
          scope: 'openid profile',
          fetch_userinfo: true,
          claims_imports: SUGGEST,
          rp_initiated_logout: true,
          on_backchannel_logout: 'logout_browser_only' as const,
          ...one.provider,
        })),
      },
    },
  })
  // Keys of its own: what is believed here is believed because it was fetched.
  const keys = await generateSigningKeys()
  there = await createHarness({
    start,
    clientAuthority: cert,
    config: {
      http: { public_base: issuer },
      secrets: { keys: keys.map(({ kid, pem }) => ({ kid, key: pem })) },
      clients: WAYS.map((one) => ({
        client_id: clientOf(one),
        redirect_uris: [`http://auth.test/upstream/callback/${one.id}`],
        post_logout_redirect_uris: ['http://auth.test/'],
        backchannel_logout_uri: `https://localhost:${ourServer.port}/upstream/backchannel-logout/${one.id}`,
        ...(one.client.client_auth_method === 'private_key_jwt' && { jwks: here.deps.keys.jwks }),
        ...one.client,
      })) as ClientInput[],
    },
  })
  handle = there.app.handle
  await syncClients(there.deps)
  await syncProviders(here.deps)
})
afterAll(async () => {
  await server.stop(true)
  await ourServer.stop(true)
  await here.close()
  await there.close()
})

test('one Latchkey signs in at another: discovery, PKCE, code, ID token, userinfo, and a new account', async () => {
  const theirs = createBrowser(there.app.handle, { origin: new URL(there.origin).origin })
  await signUp(theirs, 'alice')
  const ours = here.browser()
  const away = await ours.open(`/upstream/authorize/${PROVIDER}`)
  expect(away.url.origin).toBe(there.origin)
  const consent = await theirs.open(away.url.pathname + away.url.search)
  const answered = await consent.submit({}, { action: 'consent/', button: ['action', 'consent'] })
  expect(answered.url.pathname).toBe(`/upstream/callback/${PROVIDER}`)
  expect(answered.url.searchParams.get('iss')).toBe(`${there.origin}/`)
  const page = await ours.open(answered.url.href)
  expect(page.text).toContain('alice')
  await signUpThere(page, { username: 'alice', import_display_name: 'on' })
  expect((await ours.open('/account/')).text).toContain('@alice:example.test')
  expect(here.logged.filter(({ level }) => level === 'error')).toEqual([])
  expect(there.logged.filter(({ level }) => level === 'error')).toEqual([])
})

test('and knows the person again', async () => {
  const theirs = createBrowser(there.app.handle, { origin: there.origin })
  await signUp(theirs, 'bob')
  for (let visit = 0; visit < 2; visit++) {
    const ours = here.browser()
    const away = await ours.open(`/upstream/authorize/${PROVIDER}`)
    const first = await theirs.open(away.url.pathname + away.url.search)
    const answered = first.url.pathname.includes('/consent/')
      ? await first.submit({}, { action: 'consent/', button: ['action', 'consent'] })
      : first
    const page = await ours.open(answered.url.href)
    if (visit === 0) await signUpThere(page, { username: 'bob', import_display_name: 'on' })
    expect((await ours.open('/account/')).text).toContain('@bob:example.test')
  }
})

let people = 0
/** Signs in here through the other one, with a browser that has an account there. */
async function through(one: Way, ours: Browser, theirs: Browser): Promise<Page> {
  const away = await ours.open(`/upstream/authorize/${one.id}`)
  const first = await theirs.open(away.url.pathname + away.url.search)
  const answered = first.url.pathname.includes('/consent/')
    ? await first.submit({}, { action: 'consent/', button: ['action', 'consent'] })
    : first
  const [form] = readForms(answered.text).filter(({ action }) => action.includes('/upstream/callback/'))
  return form ? ours.post(form.action, form.hidden) : ours.open(answered.url.href)
}

describe.each(WAYS)('one Latchkey as a client of another: $name', (one) => {
  const signedIn = async () => {
    const name = `person${++people}`
    const theirs = createBrowser(there.app.handle, { origin: there.origin })
    await signUp(theirs, name)
    const ours = here.browser()
    await signUpThere(await through(one, ours, theirs), { username: name, import_display_name: 'on' })
    expect((await ours.open('/account/')).text).toContain(`@${name}:example.test`)
    return { ours, theirs }
  }
  const isSignedIn = async (browser: Browser): Promise<boolean> =>
    (await browser.open('/account/')).url.pathname === '/account/'
  const failures = () =>
    [...here.logged, ...there.logged].filter(({ level }) => level === 'error' || level === 'warn')

  test('a new account, and who signs out here is signed out there and comes back', async () => {
    const { ours, theirs } = await signedIn()
    const left = await (await ours.open('/account/')).submit({}, { action: '/logout' })
    const onward = new URL(/^0; url=(.*)$/.exec(left.headers.get('refresh') ?? '')?.[1] ?? 'about:nothing')
    expect(onward.origin + onward.pathname).toBe(`${there.origin}/end-session`)
    const back = await theirs.open(onward.pathname + onward.search)
    expect(back.url.href).toStartWith('http://auth.test/')
    expect([await isSignedIn(ours), await isSignedIn(theirs)]).toEqual([false, false])
    expect(failures()).toEqual([])
  })

  test('who signs out there is signed out here (Back-Channel Logout), and nobody else is', async () => {
    const { ours, theirs } = await signedIn()
    const other = await signedIn()
    await (await theirs.open('/account/')).submit({}, { action: '/logout' })
    await there.runJobs()
    expect([await isSignedIn(ours), await isSignedIn(other.ours)]).toEqual([false, true])
    expect(failures()).toEqual([])
  })
})

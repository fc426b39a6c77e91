import { afterAll, beforeAll, expect, test } from 'bun:test'
import { syncClients } from '../../src/commands/static-clients.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import { createBrowser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { signUp } from '../support/oauth.ts'
import { PROVIDER, SUGGEST, signUpThere } from '../support/upstream.ts'

const CLIENT = '01J00000000000000000000001'
const SECRET = 'a secret of thirty-two letters or more'

let there: Harness
let here: Harness
let server: Bun.Server<undefined>
let handle: (request: Request) => Promise<Response> = async () => new Response(null, { status: 503 })

beforeAll(async () => {
  const start = new Date().toISOString()
  server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request) => handle(request) })
  const issuer = `http://127.0.0.1:${server.port}/`
  there = await createHarness({
    start,
    config: {
      http: { public_base: issuer },
      clients: [
        {
          client_id: CLIENT,
          client_auth_method: 'client_secret_basic',
          client_secret: SECRET,
          redirect_uris: [`http://auth.test/upstream/callback/${PROVIDER}`],
        },
      ],
    },
  })
  handle = there.app.handle
  await syncClients(there.deps)
  here = await createHarness({
    start,
    config: {
      upstream_oauth2: {
        providers: [
          {
            id: PROVIDER,
            issuer,
            human_name: 'The other one',
            client_id: CLIENT,
            client_secret: SECRET,
            token_endpoint_auth_method: 'client_secret_basic',
            scope: 'openid profile',
            fetch_userinfo: true,
            claims_imports: SUGGEST,
          },
        ],
      },
    },
  })
  await syncProviders(here.deps)
})
afterAll(async () => {
  await server.stop(true)
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

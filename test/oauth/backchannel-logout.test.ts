import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { postPublic } from '../../src/http/fetch-public.ts'
import { deactivate, killSessions, lock } from '../../src/identity/lifecycle.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import type { Browser } from '../support/browser.ts'
import { selfSigned } from '../support/certificate.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { exchange, obtainCode, PASSWORD, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

interface Received {
  path: string
  method: string
  type: string | null
  body: URLSearchParams
}

let harness: Harness
let receiver: Bun.Server<undefined>
let certificate: string
let received: Received[] = []
let answer: (path: string) => Response | Promise<Response> = () => new Response(null, { status: 200 })
beforeAll(async () => {
  const { cert, key } = await selfSigned('localhost')
  certificate = cert
  receiver = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    async fetch(request) {
      const path = new URL(request.url).pathname
      received.push({
        path,
        method: request.method,
        type: request.headers.get('content-type'),
        body: new URLSearchParams(await request.text()),
      })
      return answer(path)
    },
  })
  harness = await createHarness({
    clientAuthority: cert,
    // The receiver is on this machine.
    config: {
      policy: { data: { client_registration: { allow_host_mismatch: true, allow_insecure_uris: true } } },
    },
  })
})
afterAll(async () => {
  await receiver.stop(true)
  await harness.close()
})

let counter = 0
let browser: Browser
let username: string
beforeEach(async () => {
  await harness.database.sql`delete from latchkey_jobs.job`.catch(() => {})
  received = []
  answer = () => new Response(null, { status: 200 })
  username = `person-${++counter}`
  browser = harness.browser()
  await signUp(browser, username)
})

interface App {
  clientId: string
  path: string
  idToken: Record<string, unknown>
  refreshToken: string
}

/** The person of the test is signed in to an app of its own. */
async function app(metadata: object = {}, scope = 'openid', by = browser): Promise<App> {
  const path = `/logout-${++counter}`
  const { client_id: clientId } = await registerClient(harness, {
    ...WEB_CLIENT,
    client_name: `App ${counter}`,
    backchannel_logout_uri: `https://localhost:${receiver.port}${path}`,
    ...metadata,
  })
  const tokens = await exchange(harness, clientId, await obtainCode(by, clientId, { scope }))
  const idToken = JSON.parse(
    atob((tokens.id_token ?? '').split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/') ?? ''),
  )
  return { clientId, path, idToken, refreshToken: tokens.refresh_token }
}

const signOut = async () => {
  const page = await browser.open('/')
  await page.submit({}, { action: 'logout' })
}
const tokenOf = (entry: Received | undefined): string => entry?.body.get('logout_token') ?? ''
const userId = (one: App): string => uuidFromUlid(String(one.idToken.sub)) ?? ''
const skipDelay = () =>
  harness.database.sql`update latchkey_jobs.job set start_after = now() where state = 'retry'`
const jobStates = async (): Promise<unknown[]> => {
  const rows = await harness.database
    .sql`select state::text, retry_count from latchkey_jobs.job where name = 'backchannel-logout'`
  return rows.map((row) => ({ ...row }))
}

async function verify(token: string, one: App) {
  const response = await harness.request('/oauth2/keys.json')
  return jwtVerify(token, createLocalJWKSet((await response.json()) as JSONWebKeySet), {
    issuer: 'http://auth.test/',
    audience: one.clientId,
    typ: 'logout+jwt',
    currentDate: harness.clock.now(),
  })
}

describe('the logout token (Back-Channel Logout 2.4, 2.5)', () => {
  test('is posted as a form and says who signed out of which session of which client', async () => {
    const one = await app()
    await signOut()
    expect(received).toEqual([])
    await harness.runJobs()
    expect(received).toHaveLength(1)
    const [entry] = received
    expect(entry).toMatchObject({
      path: one.path,
      method: 'POST',
      type: 'application/x-www-form-urlencoded',
    })
    expect([...(entry?.body.keys() ?? [])]).toEqual(['logout_token'])
    const { payload, protectedHeader } = await verify(tokenOf(entry), one)
    const seconds = Math.floor(harness.clock.now().getTime() / 1000)
    expect(payload).toEqual({
      iss: 'http://auth.test/',
      aud: one.clientId,
      sub: String(one.idToken.sub),
      sid: String(one.idToken.sid),
      iat: seconds,
      exp: seconds + 120,
      jti: expect.stringMatching(/^[\w-]{22}$/),
      events: { [EVENT]: {} },
    })
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'logout+jwt' })
  })

  test('is signed as the client’s ID tokens are', async () => {
    const one = await app({ id_token_signed_response_alg: 'ES256' })
    await signOut()
    await harness.runJobs()
    expect(decodeProtectedHeader(tokenOf(received[0])).alg).toBe('ES256')
    await verify(tokenOf(received[0]), one)
  })

  test('is no id_token_hint', async () => {
    const one = await app()
    await signOut()
    await harness.runJobs()
    await (await browser.open('/login')).submit({ username, password: PASSWORD }, { action: 'login' })
    const page = await browser.open(`/end-session?id_token_hint=${tokenOf(received[0])}`)
    expect(page.text).toContain('Sign out of your account?')
    expect(page.text).not.toContain(`App ${one.path.slice(8)}`)
  })

  test('is in no log', async () => {
    await app()
    await signOut()
    await harness.runJobs()
    expect(tokenOf(received[0])).not.toBe('')
    expect(JSON.stringify(harness.logged)).not.toContain(tokenOf(received[0]))
    expect(harness.logged.map(({ event }) => event)).toContain('client.logout_sent')
  })
})

describe('who is told', () => {
  test('every client of the session that registered for it, each with its own sid, and nobody else', async () => {
    const first = await app()
    const second = await app()
    const silent = await app({ backchannel_logout_uri: undefined })
    const elsewhere = harness.browser()
    await (await elsewhere.open('/login')).submit({ username, password: PASSWORD }, { action: 'login' })
    const other = await app({}, 'openid', elsewhere)
    await signOut()
    await harness.runJobs()
    expect(received.map(({ path }) => path).sort()).toEqual([first.path, second.path].sort())
    expect(new Set([first, second, other, silent].map(({ idToken }) => idToken.sid)).size).toBe(4)
  })

  test('a client with several apps of the session is told once', async () => {
    const one = await app()
    await exchange(harness, one.clientId, await obtainCode(browser, one.clientId, { scope: 'openid' }))
    await signOut()
    await harness.runJobs()
    expect(received).toHaveLength(1)
  })

  test('not a client that signed out before', async () => {
    const one = await app()
    await harness.form('/oauth2/revoke', { client_id: one.clientId, token: one.refreshToken })
    await signOut()
    await harness.runJobs()
    expect(received).toEqual([])
  })

  test('not a client that took the address back since', async () => {
    const one = await app()
    await signOut()
    await harness.database.sql`
      update latchkey.clients set metadata = metadata - 'backchannel_logout_uri'
      where id = ${uuidFromUlid(one.clientId) ?? ''}`
    await harness.runJobs()
    expect(received).toEqual([])
    expect(await jobStates()).toEqual([{ state: 'completed', retry_count: 0 }])
  })
})

describe('when', () => {
  test.each<[string, (one: App) => Promise<unknown>]>([
    ['a sign-out', signOut],
    [
      'a client’s sign-out',
      () => browser.open('/end-session').then((page) => page.submit({}, { action: 'confirm' })),
    ],
    ['the end of this browser’s session on the account page', () => endOnAccountPage()],
    ['another sign-in over the session', () => signInOver()],
    ['every session is killed', (one) => killSessions(harness.deps, userId(one))],
    ['the account is deactivated', (one) => deactivate(harness.deps, userId(one), false)],
  ])('%s', async (_name, end) => {
    const one = await app()
    await end(one)
    await harness.runJobs()
    expect(received.map(({ path }) => path)).toEqual([one.path])
  })

  test('the initiating client is told too, though its own session ends in the same step', async () => {
    const one = await app()
    const hint = await exchange(
      harness,
      one.clientId,
      await obtainCode(browser, one.clientId, { scope: 'openid' }),
    )
    await browser.open(`/end-session?id_token_hint=${hint.id_token}`)
    await harness.runJobs()
    expect(received.map(({ path }) => path)).toEqual([one.path])
  })

  test('not when the account is locked: its sessions go on later', async () => {
    const one = await app()
    await lock(harness.deps, userId(one))
    await harness.runJobs()
    expect(received).toEqual([])
  })

  test('not twice for one session', async () => {
    const one = await app()
    await signOut()
    await killSessions(harness.deps, userId(one))
    await harness.runJobs()
    expect(received).toHaveLength(1)
  })
})

describe('delivery', () => {
  test.each([200, 204])('%d is success (section 2.8)', async (status) => {
    await app()
    answer = () => new Response(null, { status })
    await signOut()
    await harness.runJobs()
    expect(await jobStates()).toEqual([{ state: 'completed', retry_count: 0 }])
  })

  test.each<[string, () => Response]>([
    ['400', () => new Response('{"error":"invalid_request"}', { status: 400 })],
    ['500', () => new Response(null, { status: 500 })],
    [
      'a redirect, which is not followed',
      () => Response.redirect(`https://localhost:${receiver.port}/elsewhere`, 302),
    ],
  ])('%s is tried again with a new token, which then arrives', async (_name, failure) => {
    const one = await app()
    answer = failure
    await signOut()
    await harness.runJobs()
    expect(received.map(({ path }) => path)).toEqual([one.path])
    answer = () => new Response(null, { status: 200 })
    harness.clock.advance(600)
    await skipDelay()
    await harness.runJobs()
    expect(received).toHaveLength(2)
    const [first, second] = received.map((entry) => tokenOf(entry))
    expect(second).not.toBe(first)
    const { payload } = await verify(second ?? '', one)
    expect(payload.iat).toBe(Math.floor(harness.clock.now().getTime() / 1000))
    expect(await jobStates()).toEqual([{ state: 'completed', retry_count: 1 }])
  })

  test('a client that never agrees is given up after ten more tries', async () => {
    await app()
    answer = () => new Response(null, { status: 503 })
    await signOut()
    for (let tries = 0; tries < 15; tries++) {
      await harness.runJobs()
      await skipDelay()
    }
    expect(received).toHaveLength(11)
    expect(await jobStates()).toEqual([{ state: 'failed', retry_count: 10 }])
    const failures = harness.logged.filter(({ fields }) => fields.job === 'backchannel-logout')
    expect(String(failures.at(-1)?.fields.error)).toContain('503')
  })

  test('a client that does not answer does not hold up the others', async () => {
    const [slow, quick] = [await app(), await app()]
    answer = (path) => (path === slow.path ? new Promise(() => {}) : new Response(null))
    await signOut()
    await harness.runJobs()
    expect(received.map(({ path }) => path)).toContain(quick.path)
    const states = (await jobStates()) as { state: string }[]
    expect(states.map(({ state }) => state).sort()).toEqual(['completed', 'retry'])
  }, 180_000)

  test('an answer of any size is not read', async () => {
    await app()
    answer = () => new Response('x'.repeat(5_000_000))
    await signOut()
    await harness.runJobs()
    expect(await jobStates()).toEqual([{ state: 'completed', retry_count: 0 }])
  })
})

describe('private addresses', () => {
  test.each([
    ['a registered client', false],
    ['a client of the configuration', true],
  ])('%s: may be in a private network: %p', async (_name, configured) => {
    const one = await app()
    await harness.database.sql`
      update latchkey.clients set is_static = ${configured} where id = ${uuidFromUlid(one.clientId) ?? ''}`
    await signOut()
    // A process that knows neither this network nor this certificate.
    const strict = await createHarness({ beside: harness })
    await strict.runJobs()
    const failure = strict.logged.find(({ event }) => event === 'job.failed')
    expect(/not public/.test(String(failure?.fields.error))).toBe(!configured)
    expect(received).toEqual([])
    await strict.close()
  })
})

describe('postPublic: addresses that strangers name (reference edge 25)', () => {
  const post = (url: string, options: object = {}) =>
    postPublic(new URL(url), { a: 'b c&d' }, { timeoutMs: 3000, ca: certificate, ...options })

  test('sends the form', async () => {
    expect(await post(`https://localhost:${receiver.port}/x`, { allows: () => true })).toBe(200)
    expect(received[0]?.body.get('a')).toBe('b c&d')
  })

  test.each([
    'https://localhost',
    'https://127.0.0.1',
    'https://[::1]',
    'https://10.0.0.1',
    'https://169.254.169.254',
  ])('%s is not connected to', async (origin) => {
    await expect(post(`${origin}:${receiver.port}/x`)).rejects.toThrow(/not (a )?public/)
    expect(received).toEqual([])
  })

  test('http is refused', async () => {
    await expect(post('http://example.com/')).rejects.toThrow('not https')
  })

  test('a certificate that nobody vouches for is refused', async () => {
    const url = new URL(`https://localhost:${receiver.port}/x`)
    await expect(postPublic(url, {}, { timeoutMs: 3000, allows: () => true })).rejects.toThrow()
    expect(received).toEqual([])
  })
})

describe('registration (Back-Channel Logout 2.2, RP-Initiated Logout 3.1)', () => {
  let strict: Harness
  beforeAll(async () => {
    strict = await createHarness({ beside: harness })
  })
  afterAll(() => strict.close())

  const register = async (metadata: object) => {
    const response = await strict.request('/oauth2/registration', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...WEB_CLIENT, ...metadata }),
    })
    return [response.status, (await response.json()) as Record<string, unknown>] as const
  }

  test('the members are kept and echoed', async () => {
    const members = {
      backchannel_logout_uri: 'https://app.example.com/logout?x=1',
      backchannel_logout_session_required: true,
      post_logout_redirect_uris: ['https://app.example.com', 'https://app.example.com/b'],
    }
    const [status, answered] = await register(members)
    expect(status).toBe(201)
    expect(answered).toMatchObject(members)
  })

  test.each<[string, object]>([
    ['http', { backchannel_logout_uri: 'http://app.example.com/logout' }],
    ['a fragment', { backchannel_logout_uri: 'https://app.example.com/logout#x' }],
    ['another host', { backchannel_logout_uri: 'https://evil.test/logout' }],
    ['this machine', { backchannel_logout_uri: 'https://localhost/logout' }],
    ['a private address', { backchannel_logout_uri: 'https://10.1.2.3/logout' }],
    ['a private IPv6 address', { backchannel_logout_uri: 'https://[fd00::1]/logout' }],
    ['no URI', { backchannel_logout_uri: 'logout' }],
    ['no boolean', { backchannel_logout_session_required: 'true' }],
    ['a way back that is no URI', { post_logout_redirect_uris: ['out'] }],
    ['a way back with a fragment', { post_logout_redirect_uris: ['https://app.example.com/#x'] }],
    ['a way back to another host', { post_logout_redirect_uris: ['https://evil.test/'] }],
    ['a way back over http', { post_logout_redirect_uris: ['http://app.example.com/'] }],
    ['a way back that runs', { post_logout_redirect_uris: ['javascript:alert(1)'] }],
    [
      'a way back to a foreign app',
      { application_type: 'native', post_logout_redirect_uris: ['org.evil:/x'] },
    ],
    [
      'a way back on a public suffix',
      {
        client_uri: 'https://github.io/',
        redirect_uris: ['https://a.github.io/'],
        post_logout_redirect_uris: ['https://github.io/'],
      },
    ],
  ])('refused: %s', async (_name, metadata) => {
    const [status, answered] = await register(metadata)
    expect([status, answered.error]).toEqual([400, 'invalid_client_metadata'])
  })

  test('discovery says that it works here (Back-Channel Logout 2.1)', async () => {
    const response = await harness.request('/.well-known/openid-configuration')
    expect(await response.json()).toMatchObject({
      end_session_endpoint: 'http://auth.test/end-session',
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      claims_supported: expect.arrayContaining(['sid', 'amr']),
    })
  })
})

async function endOnAccountPage(): Promise<void> {
  const account = await browser.open('/account/sessions')
  const own = /account\/sessions\/([0-9A-Z]{26})\/end/g
  for (const [, id] of account.text.matchAll(own)) {
    const page = await browser.open(`/account/sessions/${id}/end`)
    if (!page.text.includes('the browser that you use right now')) continue
    await page.submit({}, { action: '/end' })
    return
  }
  throw new Error('The session of this browser is not on the page.')
}

async function signInOver(): Promise<void> {
  const other = `over-${++counter}`
  await signUp(harness.browser(), other)
  const { text } = await browser.open('/')
  const csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
  await browser.post('/login', { csrf, username: other, password: PASSWORD })
}

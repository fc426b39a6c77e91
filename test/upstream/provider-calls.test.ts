import { afterAll, afterEach, beforeAll, describe, expect, spyOn, test } from 'bun:test'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Provider } from '../../src/identity/providers.ts'
import { createAsk } from '../../src/upstream/ask.ts'
import { createMetadataCache } from '../../src/upstream/metadata.ts'
import { ProviderError } from '../../src/upstream/provider-error.ts'
import { syncProviders } from '../../src/upstream/sync.ts'
import type { Page } from '../support/browser.ts'
import { testClock } from '../support/clock.ts'
import { type FakeProvider, startFakeProvider } from '../support/fake-provider.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { PROVIDER } from '../support/upstream.ts'

type ProviderInput = NonNullable<NonNullable<ConfigInput['upstream_oauth2']>['providers']>[number]

const DISCOVERY = '/.well-known/openid-configuration'
const START = `/upstream/authorize/${PROVIDER}`

let base: Harness
beforeAll(async () => {
  base = await createHarness()
})
afterAll(() => base.close())

const fakes: FakeProvider[] = []
const opened: Harness[] = []
afterEach(async () => {
  for (const harness of opened.splice(0)) await harness.close()
  for (const fake of fakes.splice(0)) fake.stop()
})
async function newFake(): Promise<FakeProvider> {
  const fake = await startFakeProvider({ clock: base.clock })
  fakes.push(fake)
  return fake
}
/** A process of its own, which has asked the provider nothing yet. */
async function newProcess(fake: FakeProvider, provider: ProviderInput = {}): Promise<Harness> {
  const needed = { id: PROVIDER, issuer: fake.issuer, human_name: 'Harbour', client_id: 'latchkey' }
  const harness = await createHarness({
    beside: base,
    config: {
      upstream_oauth2: { providers: [{ ...needed, token_endpoint_auth_method: 'none', ...provider }] },
    },
  })
  opened.push(harness)
  await syncProviders(harness.deps)
  return harness
}
async function signIn(harness: Harness, fake: FakeProvider): Promise<Page> {
  const browser = harness.browser()
  const away = await browser.open(START)
  return away.url.origin === fake.issuer ? browser.open(fake.answer(away.url).href) : away
}
const works = (page: Page) => expect(page.url.pathname).toStartWith('/upstream/link/')
const fails = (page: Page) => expect(page.text).toContain('Signing in with Harbour did not work.')
const times = (fake: FakeProvider, path: string) => fake.asked.filter((asked) => asked === path).length

describe('endpoints that the configuration names, beside discovery', () => {
  test.each(['oidc', 'insecure'] as const)('go before those of the metadata (%s)', async (discovery_mode) => {
    const [fake, other] = [await newFake(), await newFake()]
    const harness = await newProcess(fake, {
      discovery_mode,
      fetch_userinfo: true,
      token_endpoint: `${other.issuer}/token`,
      userinfo_endpoint: `${other.issuer}/userinfo`,
      jwks_uri: `${other.issuer}/jwks`,
    })
    other.claims = { iss: fake.issuer }
    const browser = harness.browser()
    // The way there is the metadata’s still.
    const away = await browser.open(START)
    expect(away.url.href).toStartWith(`${fake.issuer}/authorize?`)
    works(await browser.open(other.answer(away.url).href))
    expect(fake.asked).toEqual([DISCOVERY])
    expect(other.asked.toSorted()).toEqual(['/jwks', '/token', '/userinfo'])
  })

  test.each(['token_endpoint', 'userinfo_endpoint', 'jwks_uri'] as const)(
    '%s alone leaves the others where they are',
    async (key) => {
      const [fake, other] = [await newFake(), await newFake()]
      const path = { token_endpoint: '/token', userinfo_endpoint: '/userinfo', jwks_uri: '/jwks' }[key]
      const harness = await newProcess(fake, { fetch_userinfo: true, [key]: `${other.issuer}${path}` })
      await signIn(harness, fake)
      expect(other.asked).toEqual([path])
      expect(fake.asked).not.toContain(path)
    },
  )
})

describe('metadata', () => {
  test('is asked for once in fifteen minutes, and then beside the sign-in that goes on with what is known', async () => {
    const fake = await newFake()
    const harness = await newProcess(fake)
    await Promise.all([1, 2, 3].map(() => harness.browser().open(START)))
    expect(times(fake, DISCOVERY)).toBe(1)
    base.clock.advance(899)
    works(await signIn(harness, fake))
    expect(times(fake, DISCOVERY)).toBe(1)
    base.clock.advance(1)
    // What it says now is broken: known is what it said before.
    fake.answers.set(DISCOVERY, () => new Response('gone', { status: 500 }))
    works(await signIn(harness, fake))
    expect(times(fake, DISCOVERY)).toBe(2)
    works(await signIn(harness, fake))
    expect(times(fake, DISCOVERY)).toBe(2)
  })

  test('of a provider that did not answer is asked for again after ten seconds, not at every click', async () => {
    const fake = await newFake()
    const harness = await newProcess(fake)
    fake.answers.set(DISCOVERY, () => new Response('', { status: 503 }))
    for (const _ of [1, 2, 3])
      expect((await signIn(harness, fake)).text).toContain('Harbour does not answer just now.')
    expect(times(fake, DISCOVERY)).toBe(1)
    fake.answers.clear()
    base.clock.advance(9)
    expect((await signIn(harness, fake)).text).toContain('Harbour does not answer just now.')
    base.clock.advance(1)
    works(await signIn(harness, fake))
    expect(times(fake, DISCOVERY)).toBe(2)
  })

  test('of each provider is its own, though two have the same issuer', async () => {
    const fake = await newFake()
    fake.metadata = { issuer: 'https://another.example' }
    const OTHER = '01JDFX2V9S6QK3W4Z5Y7T8R9PB'
    const given = { issuer: fake.issuer, client_id: 'latchkey', token_endpoint_auth_method: 'none' as const }
    const loose = { ...given, id: OTHER, discovery_mode: 'insecure' as const }
    const providers = [loose, { ...given, id: PROVIDER, human_name: 'Harbour' }]
    const harness = await createHarness({ beside: base, config: { upstream_oauth2: { providers } } })
    opened.push(harness)
    await syncProviders(harness.deps)
    const away = await harness.browser().open(`/upstream/authorize/${OTHER}`)
    expect(away.url.origin).toBe(fake.issuer)
    fails(await signIn(harness, fake))
  })
})

describe('keys', () => {
  test('are fetched once, and kept as long as the provider says', async () => {
    const fake = await newFake()
    const harness = await newProcess(fake)
    works(await signIn(harness, fake))
    works(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(1)
    base.clock.advance(599)
    works(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(1)
    const keys = { keys: [fake.jwk] }
    fake.answers.set('/jwks', () => Response.json(keys, { headers: { 'cache-control': 'max-age=7200' } }))
    base.clock.advance(1)
    works(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(2)
    base.clock.advance(7199)
    works(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(2)
  })

  test('are fetched again for a kid that is not among them, at most twice a minute', async () => {
    const fake = await newFake()
    const harness = await newProcess(fake)
    works(await signIn(harness, fake))
    await fake.rotate()
    // Fresh a moment ago: whoever makes up key ids cannot make us ask at will.
    for (const _ of [1, 2, 3]) fails(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(1)
    base.clock.advance(30)
    works(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(2)
    // Nobody has this key.
    fake.sign = (claims) => fake.jwt(claims, { kid: 'made-up' })
    for (const _ of [1, 2, 3]) fails(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(2)
    base.clock.advance(30)
    for (const _ of [1, 2, 3]) fails(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(3)
  })

  test('are not fetched again for a signature that is wrong, whose kid is known', async () => {
    const fake = await newFake()
    const harness = await newProcess(fake)
    works(await signIn(harness, fake))
    base.clock.advance(60)
    fake.sign = async (claims) => `${(await fake.jwt(claims)).slice(0, -8)}AAAAAAAA`
    for (const _ of [1, 2, 3]) fails(await signIn(harness, fake))
    expect(times(fake, '/jwks')).toBe(1)
  })
})

describe('a provider that takes a call and never answers', () => {
  let silent: Server
  const sockets: Socket[] = []
  let url: URL
  /** Resolves once somebody is waiting. */
  let called: () => Promise<void>
  beforeAll(async () => {
    let waiting: () => void = () => undefined
    silent = createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      socket.once('data', () => waiting())
    })
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    url = new URL(`http://127.0.0.1:${(silent.address() as AddressInfo).port}/`)
    called = () =>
      new Promise((resolve) => {
        waiting = resolve
      })
  })
  afterAll(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  /** Runs a call whose deadline passes when it is under way; gives its milliseconds, and what came of it. */
  async function pastDeadline(call: () => Promise<unknown>): Promise<{ after: unknown; error: unknown }> {
    const deadline = new AbortController()
    const timeout = spyOn(AbortSignal, 'timeout').mockImplementation(() => deadline.signal)
    try {
      const reached = called()
      const outcome = call().then(
        () => undefined,
        (error: unknown) => error,
      )
      await reached
      deadline.abort(new DOMException('The operation timed out.', 'TimeoutError'))
      return { after: timeout.mock.calls[0]?.[0], error: await outcome }
    } finally {
      timeout.mockRestore()
    }
  }
  const named = () => ({ id: PROVIDER, issuer: url.origin, discovery_mode: 'oidc' }) as Provider

  test('is given up after ten seconds', async () => {
    const ask = createAsk(fetch, {})
    const { after, error } = await pastDeadline(() => ask(named(), url, { method: 'GET' }))
    expect(after).toBe(10_000)
    expect(error).toBeInstanceOf(ProviderError)
    expect((error as ProviderError).problem).toBe('unreachable')
  })

  test('is given up after ten seconds also at a host that its metadata names', async () => {
    const ask = createAsk(fetch, { allows: () => true })
    const elsewhere = { ...named(), issuer: 'https://harbour.example' } as Provider
    const https = new URL(url.href.replace('http:', 'https:'))
    const { after, error } = await pastDeadline(() => ask(elsewhere, https, { method: 'GET' }))
    expect(after).toBe(10_000)
    expect((error as ProviderError).problem).toBe('unreachable')
  })

  test('is given up after three seconds where nothing is wanted but a sign of life (sign-out)', async () => {
    const log = { debug() {}, info() {}, warn() {}, error() {} } as never
    const metadata = createMetadataCache({ clock: testClock(), ask: createAsk(fetch, {}), log })
    const { after, error } = await pastDeadline(() => metadata.now(named()))
    expect(after).toBe(3000)
    expect((error as ProviderError).problem).toBe('unreachable')
  })
})

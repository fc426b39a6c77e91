import { describe, expect, test } from 'bun:test'
import { createHomeserver } from '../../../src/matrix/homeserver/create.ts'
import {
  type Fetch,
  HomeserverError,
  type MatrixSettings,
} from '../../../src/matrix/homeserver/homeserver.ts'
import { createFakeHomeserver, type FakeHomeserver } from '../../support/fake-homeserver.ts'
import { describeHomeserver } from './contract.ts'

const SECRET = 'a-very-secret-secret'

function setUp(settings: Partial<MatrixSettings> = {}, fetch?: Fetch) {
  const fake = createFakeHomeserver({ serverName: 'example.test', secret: SECRET })
  const matrix = {
    kind: 'synapse',
    homeserver: 'example.test',
    endpoint: fake.endpoint,
    secret: SECRET,
  } as const
  const homeserver = createHomeserver({ ...matrix, ...settings }, { fetch: fetch ?? fake.fetch })
  return { fake, homeserver }
}

/** The error of a call that must fail. */
async function failure(call: Promise<unknown>): Promise<HomeserverError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(outcome instanceof HomeserverError)) throw new Error(`expected a HomeserverError, got ${outcome}`)
  return outcome
}

/** A client whose every call gets `response`, with the requests it made. */
function answering(response: () => Response, settings: Partial<MatrixSettings> = {}) {
  const requests: Request[] = []
  const { homeserver } = setUp(settings, async (input, init) => {
    requests.push(new Request(input, init))
    return response()
  })
  return { homeserver, requests }
}

const shared = setUp()
shared.fake.introspect = async (token) => /^as-(.+)$/.exec(token)?.[1]
describeHomeserver('the Synapse client against the fake', () => ({
  homeserver: shared.homeserver,
  devicesOf: shared.fake.devicesOf,
  accountOf: shared.fake.accountOf,
  tokenOf: (localpart) => `as-${localpart}`,
}))

describe('what is sent', () => {
  test('the endpoint keeps its path, with or without a slash at its end', async () => {
    for (const endpoint of ['http://hs.test/sub/path', 'http://hs.test/sub/path/']) {
      const { homeserver, requests } = answering(() => Response.json({}), { endpoint })
      await homeserver.isLocalpartAvailable('ada')
      expect(requests[0]?.url).toBe(
        'http://hs.test/sub/path/_synapse/mas/is_localpart_available?localpart=ada',
      )
    }
  })

  test('the secret goes into the Authorization header only, beside a User-Agent', async () => {
    const { homeserver, requests } = answering(() => Response.json({}))
    await homeserver.setDisplayName('ada', 'Ada')
    const [request] = requests
    expect(request?.headers.get('authorization')).toBe(`Bearer ${SECRET}`)
    expect(request?.headers.get('user-agent')).toMatch(/^Latchkey\/\d+\.\d+\.\d+/)
    expect(request?.url).not.toContain(SECRET)
    expect(await request?.text()).toBe('{"localpart":"ada","displayname":"Ada"}')
  })

  test('a localpart is one query parameter, whatever is in it', async () => {
    const { homeserver, requests } = answering(() => Response.json({}, { status: 404 }))
    await failure(homeserver.queryUser('a&access_token=b#c'))
    expect([...new URL(requests[0]?.url ?? '').searchParams]).toEqual([['localpart', 'a&access_token=b#c']])
  })

  test('provision_user always has `locked`, and an empty list of emails is a set one (edge 39)', async () => {
    const { fake, homeserver } = setUp()
    await homeserver.provisionUser({ localpart: 'ada', sub: 'S', emails: [], locked: true })
    await homeserver.provisionUser({ localpart: 'ada', sub: 'S', displayName: null, locked: false })
    expect(fake.calls.map((call) => call.parameters)).toEqual([
      { localpart: 'ada', locked: true, set_emails: [] },
      { localpart: 'ada', locked: false, unset_displayname: true },
    ])
  })

  test('is_localpart_available: a name outside ASCII is not asked for', async () => {
    const { fake, homeserver } = setUp()
    expect(await homeserver.isLocalpartAvailable('zoë')).toBe(false)
    expect(fake.calls).toEqual([])
  })
})

describe('what goes wrong', () => {
  const cases: Array<[string, (fake: FakeHomeserver) => unknown, string, number | undefined]> = [
    ['nothing listens', (fake) => Object.assign(fake, { down: true }), 'unreachable', undefined],
    ['a page of HTML', (fake) => Object.assign(fake, { nonsense: true }), 'unreachable', 200],
    ['an error inside the homeserver', (fake) => fake.failOnce('upsert_device'), 'unreachable', 500],
    ['a wrong secret', (fake) => Object.assign(fake, { secret: 'another' }), 'refused', 403],
  ]
  for (const [title, breakIt, kind, status] of cases) {
    test(`${title}: ${kind}, and the message does not hold the secret`, async () => {
      const { fake, homeserver } = setUp()
      breakIt(fake)
      const error = await failure(homeserver.upsertDevice('ada', 'D'))
      expect(error).toMatchObject({ kind, status })
      expect(error.message).toContain('upsert_device')
      expect(Bun.inspect(error)).not.toContain(SECRET)
    })
  }

  test('failOnce: the call after it works', async () => {
    const { fake, homeserver } = setUp()
    await homeserver.provisionUser({ localpart: 'ada', sub: 'S', locked: false })
    fake.failOnce('upsert_device')
    await failure(homeserver.upsertDevice('ada', 'D'))
    await homeserver.upsertDevice('ada', 'D')
    expect(fake.devicesOf('ada')).toEqual(['D'])
  })

  test('no answer within the deadline: unreachable', async () => {
    const { fake, homeserver } = setUp()
    fake.slow = true
    const error = await failure(homeserver.queryUser('ada', { timeoutMs: 20 }))
    expect(error).toMatchObject({ kind: 'unreachable', status: undefined })
    expect(error.message).toContain('no answer in time')
  })

  test('the signal of the caller gives a call up', async () => {
    const { fake, homeserver } = setUp()
    fake.slow = true
    const error = await failure(homeserver.queryUser('ada', { signal: AbortSignal.abort() }))
    expect(error).toMatchObject({ kind: 'unreachable' })
    expect(error.message).toContain('given up')
  })

  test('a body that stalls after its headers meets the deadline too', async () => {
    using server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () =>
        new Response(
          new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode('{')) }),
        ),
    })
    const { homeserver } = setUp({ endpoint: server.url.href }, fetch)
    expect(await failure(homeserver.queryUser('ada', { timeoutMs: 100 }))).toMatchObject({
      kind: 'unreachable',
    })
    await server.stop(true)
  })

  test('a redirect is not followed, so the secret stays here: refused', async () => {
    let followed = false
    using target = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => {
        followed = true
        return Response.json({})
      },
    })
    using source = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => Response.redirect(target.url.href),
    })
    const { homeserver } = setUp({ endpoint: source.url.href }, fetch)
    const error = await failure(homeserver.isLocalpartAvailable('ada'))
    expect(error).toMatchObject({ kind: 'refused', status: 302 })
    expect(followed).toBe(false)
  })

  test('an answer longer than 1 MiB is not read: unreachable', async () => {
    const { homeserver } = answering(() => new Response(`"${'x'.repeat(1_100_000)}"`))
    expect(await failure(homeserver.queryUser('ada'))).toMatchObject({ kind: 'unreachable', status: 200 })
  })

  test('query_user: 404 of something that lacks the API is an error, not an absent user', async () => {
    const { homeserver } = answering(() => Response.json({ errcode: 'M_UNRECOGNIZED' }, { status: 404 }))
    const error = await failure(homeserver.queryUser('ada'))
    expect(error).toMatchObject({ kind: 'refused', status: 404, errcode: 'M_UNRECOGNIZED' })
    expect(error.message).toContain('matrix_authentication_service')
  })

  test('query_user: an answer without the flags is not taken for an active user', async () => {
    const { homeserver } = answering(() => Response.json({ user_id: '@ada:example.test' }))
    expect(await failure(homeserver.queryUser('ada'))).toMatchObject({ kind: 'unreachable' })
  })

  test('is_localpart_available: a 400 that is not about the name is an error (reference 10.1)', async () => {
    const { homeserver } = answering(() => Response.json({ errcode: 'M_UNKNOWN' }, { status: 400 }))
    expect(await failure(homeserver.isLocalpartAvailable('ada'))).toMatchObject({
      kind: 'rejected',
      status: 400,
    })
  })

  test('is_localpart_available: a name of an application service is not available', async () => {
    const { fake, homeserver } = setUp()
    fake.exclusive.add('bridge')
    expect(await homeserver.isLocalpartAvailable('bridge')).toBe(false)
  })

  test('provision_user: a 2xx other than 200 and 201 is an error (reference 10.1)', async () => {
    const { homeserver } = answering(() => Response.json({}, { status: 202 }))
    const call = homeserver.provisionUser({ localpart: 'ada', sub: 'S', locked: false })
    expect(await failure(call)).toMatchObject({ kind: 'unreachable', status: 202 })
  })
})

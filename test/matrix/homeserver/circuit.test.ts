import { describe, expect, test } from 'bun:test'
import { createHomeserver } from '../../../src/matrix/homeserver/create.ts'
import type { CallOptions, Fetch, HomeserverError } from '../../../src/matrix/homeserver/homeserver.ts'
import { testClock } from '../../support/clock.ts'
import { createFakeHomeserver } from '../../support/fake-homeserver.ts'

/** A client of a fake homeserver, with the requests that were tried and the events that were logged. */
function setUp() {
  const fake = createFakeHomeserver({ serverName: 'example.test', secret: 'secret' })
  const clock = testClock()
  const events: string[] = []
  const state = { tried: 0, fetch: fake.fetch }
  const counting: Fetch = (input, init) => {
    state.tried += 1
    return state.fetch(input, init)
  }
  const log = { warn: (event: string) => events.push(event), info: (event: string) => events.push(event) }
  const homeserver = createHomeserver(
    { kind: 'synapse', homeserver: 'example.test', endpoint: fake.endpoint, secret: 'secret' },
    { fetch: counting, clock, log: log as never },
  )
  const ask = (options?: CallOptions): Promise<'answered' | string> =>
    homeserver.queryUser('ada', options).then(
      () => 'answered',
      (error: HomeserverError) => (error.message.startsWith('nothing was sent') ? 'not sent' : 'failed'),
    )
  return { fake, clock, events, state, homeserver, ask }
}

const times = async <T>(count: number, run: () => Promise<T>): Promise<T[]> => {
  const results: T[] = []
  for (let at = 0; at < count; at++) results.push(await run())
  return results
}

describe('a lost connection', () => {
  test('is tried again, up to three times in all, and the caller does not notice', async () => {
    const { fake, state, homeserver } = setUp()
    await homeserver.provisionUser({ localpart: 'ada', sub: 'S', locked: false })
    for (const lost of [1, 2]) {
      let left = lost
      state.tried = 0
      state.fetch = async (input, init) => {
        if (left-- > 0) throw new TypeError('connection reset')
        return fake.fetch(input, init)
      }
      await homeserver.syncDevices('ada', [`D${lost}`])
      expect(state.tried).toBe(lost + 1)
      expect(fake.devicesOf('ada')).toEqual([`D${lost}`])
    }
  })

  test('that stays lost is an error after the third try', async () => {
    const { fake, state, ask } = setUp()
    fake.down = true
    expect(await ask()).toBe('failed')
    expect(state.tried).toBe(3)
  })

  test('an answer is not asked for again, whatever it says', async () => {
    const { fake, state, homeserver } = setUp()
    fake.failOnce('query_user')
    await homeserver.queryUser('ada').catch(() => {})
    fake.nonsense = true
    await homeserver.queryUser('ada').catch(() => {})
    expect(state.tried).toBe(2)
  })

  test('the deadline ends the tries', async () => {
    const { fake, state, ask } = setUp()
    fake.slow = true
    expect(await ask({ timeoutMs: 20 })).toBe('failed')
    expect(state.tried).toBe(1)
  })

  test('a call that a page can do without is made once', async () => {
    const { fake, state, ask } = setUp()
    fake.down = true
    expect(await ask({ optional: true })).toBe('failed')
    expect(state.tried).toBe(1)
  })
})

describe('the circuit', () => {
  test('after 3 calls without an answer nothing is sent for 5 seconds', async () => {
    const { fake, clock, events, state, ask } = setUp()
    fake.down = true
    await times(3, ask)
    state.tried = 0
    clock.advance(4)
    expect(await times(5, ask)).toEqual(Array(5).fill('not sent'))
    expect(state.tried).toBe(0)
    expect(events).toEqual(['homeserver.away'])
  })

  test('then one call tries; it fails: another 5 seconds, it works: everybody goes on, without a hand', async () => {
    const { fake, clock, events, ask } = setUp()
    fake.down = true
    await times(3, ask)
    clock.advance(5)
    expect(await times(2, ask)).toEqual(['failed', 'not sent'])
    clock.advance(5)
    fake.down = false
    expect(await times(3, ask)).toEqual(['answered', 'answered', 'answered'])
    expect(events).toEqual(['homeserver.away', 'homeserver.back'])
    // And it counts from the beginning again.
    fake.down = true
    expect(await times(4, ask)).toEqual(['failed', 'failed', 'failed', 'not sent'])
  })

  test('while the one call is on its way, others do not wait for it', async () => {
    const { fake, clock, ask } = setUp()
    fake.down = true
    await times(3, ask)
    clock.advance(5)
    fake.down = false
    fake.slow = true
    const probe = ask({ timeoutMs: 100 })
    expect(await times(3, ask)).toEqual(['not sent', 'not sent', 'not sent'])
    expect(await probe).toBe('failed')
  })

  test('calls that wait for their deadline count', async () => {
    const { fake, ask } = setUp()
    fake.slow = true
    await times(3, () => ask({ timeoutMs: 10 }))
    expect(await ask({ timeoutMs: 10 })).toBe('not sent')
  })

  test('what a proxy says in its place counts, what the homeserver says does not', async () => {
    const { fake, homeserver, ask, state } = setUp()
    for (let at = 0; at < 5; at++) {
      fake.failOnce('query_user')
      expect(await ask()).toBe('failed')
    }
    expect(await ask()).toBe('answered')
    state.fetch = async () => new Response('<h1>Bad Gateway</h1>', { status: 502 })
    await times(3, ask)
    await expect(homeserver.isLocalpartAvailable('ada')).rejects.toThrow('nothing was sent')
  })

  test('a refusal or a rejection between failures begins the count anew', async () => {
    const { fake, ask } = setUp()
    fake.down = true
    await times(2, ask)
    fake.down = false
    fake.secret = 'another'
    expect(await ask()).toBe('failed')
    fake.down = true
    expect(await times(3, ask)).toEqual(['failed', 'failed', 'failed'])
  })

  test('what the caller gave up says nothing', async () => {
    const { fake, ask } = setUp()
    fake.slow = true
    const gone = AbortSignal.abort()
    await times(5, () => ask({ signal: gone }))
    fake.slow = false
    expect(await ask()).toBe('answered')
  })

  test('optional calls that come too late stop each other, and nothing else', async () => {
    const { fake, clock, ask } = setUp()
    fake.slow = true
    await times(3, () => ask({ optional: true, timeoutMs: 10 }))
    fake.slow = false
    expect(await ask({ optional: true })).toBe('not sent')
    expect(await ask()).toBe('answered')
    clock.advance(5)
    expect(await ask({ optional: true })).toBe('answered')
  })
})

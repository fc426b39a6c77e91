import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { syncDevices } from '../../src/identity/devices.ts'
import type { Browser } from '../support/browser.ts'
import type { FakeHomeserver } from '../support/fake-homeserver.ts'
import { createGate, type Gate } from '../support/gate.ts'
import type { Harness } from '../support/harness.ts'
import { API_SCOPE, deviceScope, obtainCode, pkce, signUp, type TokenBody } from '../support/oauth.ts'
import {
  createWorld,
  type Process,
  present,
  recover,
  startProcess,
  stopProcess,
  use,
  type World,
} from '../support/world.ts'

let world: World
let harness: Harness
let homeserver: FakeHomeserver
let browser: Browser
/** A process whose calls to the homeserver can be held back. */
let held: Process
let upserts: Gate
let syncs: Gate
beforeAll(async () => {
  world = await createWorld()
  harness = world.harness
  homeserver = harness.homeserver
  upserts = createGate(homeserver.fetch, 'upsert_device')
  syncs = createGate(upserts.fetch, 'sync_devices')
  held = await startProcess(harness, syncs.fetch)
  browser = harness.browser()
  await signUp(browser, 'alice')
})
afterAll(async () => {
  await stopProcess(held)
  await world.close()
})
beforeEach(async () => {
  await harness.runJobs()
  homeserver.calls.length = 0
})

let devices = 0
/** A code for a device of its own. */
async function newCode(): Promise<{ code: string; deviceId: string }> {
  const deviceId = `DEVICE${String(++devices).padStart(6, '0')}`
  const scope = `openid ${API_SCOPE} ${deviceScope(deviceId)}`
  return { code: await obtainCode(browser, world.clientId, { scope }), deviceId }
}

interface Outcome {
  status: number
  error: string | undefined
  retryAfter: string | null
  tokens: TokenBody
}

async function exchangeAt(process: Pick<Process, 'form'>, code: string): Promise<Outcome> {
  const response = await process.form('/oauth2/token', {
    grant_type: 'authorization_code',
    client_id: world.clientId,
    code,
    code_verifier: pkce().verifier,
  })
  const body = (await response.json()) as TokenBody & { error?: string }
  return {
    status: response.status,
    error: body.error,
    retryAfter: response.headers.get('retry-after'),
    tokens: body,
  }
}

/** Sessions with a device that have not ended. */
const sessionsOf = async (deviceId: string): Promise<number> => {
  const rows = await harness.database.sql`
    select 1 from latchkey.oauth_sessions where device_id = ${deviceId} and finished_at is null`
  return rows.length
}
const userId = async (): Promise<string> => {
  const [row] = await harness.database.sql`select id from latchkey.users where username = 'alice'`
  return String(row?.id)
}
const UNAVAILABLE = { status: 503, error: 'temporarily_unavailable', retryAfter: expect.any(String) }

describe('two exchanges of one code', () => {
  test('at the same instant in several processes: one gets tokens, the others invalid_grant, and it stays signed in', async () => {
    for (let round = 0; round < 4; round++) {
      const { code, deviceId } = await newCode()
      const [one, other] = world.processes
      const outcomes = await Promise.all([one, other, one, other].map((at) => exchangeAt(at, code)))
      const winners = outcomes.filter(({ status }) => status === 200)
      expect(winners).toHaveLength(1)
      expect(outcomes.filter(({ error }) => error === 'invalid_grant')).toHaveLength(3)
      expect(await sessionsOf(deviceId)).toBe(1)
      expect(await use(one, winners[0]?.tokens.access_token ?? '')).toBe(true)
    }
  })

  test('a retry while the first one waits for a slow homeserver is not told that the code is bad', async () => {
    const { code, deviceId } = await newCode()
    upserts.close()
    const first = exchangeAt(held, code)
    await upserts.reached()
    let answered = false
    const retry = exchangeAt(world.processes[0], code).finally(() => {
      answered = true
    })
    await Bun.sleep(100)
    expect(answered).toBe(false)
    homeserver.failOnce('upsert_device')
    upserts.open()
    expect(await first).toMatchObject(UNAVAILABLE)
    expect((await retry).status).toBe(200)
    expect(await sessionsOf(deviceId)).toBe(1)
  })

  test('the retry of an exchange that succeeded meanwhile is invalid_grant, and within 20 s the session stays', async () => {
    const { code, deviceId } = await newCode()
    upserts.close()
    const first = exchangeAt(held, code)
    await upserts.reached()
    const retry = exchangeAt(world.processes[0], code)
    harness.clock.advance(19)
    upserts.open()
    const { tokens } = await first
    expect((await retry).error).toBe('invalid_grant')
    expect(await use(world.processes[0], tokens.access_token)).toBe(true)
    expect(await sessionsOf(deviceId)).toBe(1)
  })
})

describe('a code that comes back', () => {
  test('within 20 s leaves the session, later ends it, and the homeserver is told once (edges 19, 38)', async () => {
    const { code, deviceId } = await newCode()
    const { tokens } = await exchangeAt(harness, code)
    harness.clock.advance(20)
    expect((await exchangeAt(harness, code)).error).toBe('invalid_grant')
    expect(await use(world.processes[0], tokens.access_token)).toBe(true)
    harness.clock.advance(1)
    const replays = await Promise.all(world.processes.map((at) => exchangeAt(at, code)))
    expect(replays.map(({ error }) => error)).toEqual(['invalid_grant', 'invalid_grant'])
    expect(await use(world.processes[0], tokens.access_token)).toBe(false)
    expect((await present(world, world.processes[0], tokens.refresh_token)).error).toBe('invalid_grant')
    await harness.runJobs()
    expect(homeserver.devicesOf('alice')).not.toContain(deviceId)
    expect(homeserver.callsOf('sync_devices')).toHaveLength(1)
    expect((await exchangeAt(harness, code)).error).toBe('invalid_grant')
    await harness.runJobs()
    expect(homeserver.callsOf('sync_devices')).toHaveLength(1)
  })

  test('late, from somebody without the verifier, ends nothing: a code that was found in a log is not a key', async () => {
    const { code, deviceId } = await newCode()
    const { tokens } = await exchangeAt(harness, code)
    harness.clock.advance(21)
    for (const more of [{}, { code_verifier: pkce('w'.repeat(43)).verifier }]) {
      const form = { grant_type: 'authorization_code', client_id: world.clientId, code, ...more }
      const response = await harness.form('/oauth2/token', form)
      expect([response.status, await response.json()]).toEqual([
        400,
        expect.objectContaining({ error: 'invalid_grant' }),
      ])
    }
    await harness.runJobs()
    expect(await use(world.processes[0], tokens.access_token)).toBe(true)
    expect(homeserver.devicesOf('alice')).toContain(deviceId)
  })

  test('late ends its own session only', async () => {
    const [stays, leaves] = [await newCode(), await newCode()]
    await exchangeAt(harness, stays.code)
    await exchangeAt(harness, leaves.code)
    harness.clock.advance(21)
    await exchangeAt(harness, leaves.code)
    await harness.runJobs()
    expect(homeserver.devicesOf('alice')).toContain(stays.deviceId)
    expect(homeserver.devicesOf('alice')).not.toContain(leaves.deviceId)
  })
})

describe('a homeserver in trouble', () => {
  const troubles: [string, (on: boolean) => void][] = [
    [
      'is down',
      (on) => {
        homeserver.down = on
      },
    ],
    [
      'answers nonsense',
      (on) => {
        homeserver.nonsense = on
      },
    ],
    ['fails once', (on) => on && homeserver.failOnce('upsert_device')],
    [
      'has lost the user',
      (on) => {
        const user = homeserver.users.get('alice') ?? lost
        if (on) homeserver.users.delete('alice')
        else if (user) homeserver.users.set('alice', user)
        lost = on ? user : undefined
      },
    ],
  ]
  let lost: ReturnType<FakeHomeserver['users']['get']>

  for (const [name, trouble] of troubles)
    test(`that ${name}: 503 with Retry-After, no session and no device left, and the code works later`, async () => {
      const { code, deviceId } = await newCode()
      trouble(true)
      expect(await exchangeAt(harness, code)).toMatchObject(UNAVAILABLE)
      trouble(false)
      expect(await sessionsOf(deviceId)).toBe(0)
      await harness.runJobs()
      expect(homeserver.devicesOf('alice')).not.toContain(deviceId)
      const { status, tokens } = await exchangeAt(harness, code)
      expect(status).toBe(200)
      expect(await use(world.processes[0], tokens.access_token)).toBe(true)
      expect(homeserver.devicesOf('alice')).toContain(deviceId)
      await harness.runJobs()
      expect(homeserver.devicesOf('alice')).toContain(deviceId)
      expect(await sessionsOf(deviceId)).toBe(1)
    })

  test('that is in trouble until the code has expired: the client is told to start again', async () => {
    const { code } = await newCode()
    homeserver.down = true
    expect(await exchangeAt(harness, code)).toMatchObject(UNAVAILABLE)
    homeserver.down = false
    harness.clock.advance(600)
    expect((await exchangeAt(harness, code)).error).toBe('invalid_grant')
  })

  test('a device that was made although its answer was lost goes away with the failed exchange', async () => {
    const { code, deviceId } = await newCode()
    const lossy = await startProcess(harness, async (input, init) => {
      const response = await homeserver.fetch(input, init)
      if (new URL(new Request(input).url).pathname.endsWith('upsert_device'))
        throw new TypeError('socket closed')
      return response
    })
    expect(await exchangeAt(lossy, code)).toMatchObject(UNAVAILABLE)
    expect(homeserver.devicesOf('alice')).toContain(deviceId)
    await harness.runJobs()
    expect(homeserver.devicesOf('alice')).not.toContain(deviceId)
    await stopProcess(lossy)
  })
})

describe('device syncs around an exchange', () => {
  test('a sync while the device is being made waits for it, and keeps it (decision 9)', async () => {
    const { code, deviceId } = await newCode()
    upserts.close()
    const exchanging = exchangeAt(held, code)
    await upserts.reached()
    const syncing = syncDevices(harness.deps, await userId())
    await Bun.sleep(60)
    expect(homeserver.callsOf('sync_devices')).toEqual([])
    upserts.open()
    expect((await exchanging).status).toBe(200)
    await syncing
    expect(homeserver.devicesOf('alice')).toContain(deviceId)
  })

  test('an exchange while a sync without the device is on its way waits for it', async () => {
    const { code, deviceId } = await newCode()
    syncs.close()
    const syncing = syncDevices(held.deps, await userId())
    await syncs.reached()
    const exchanging = exchangeAt(world.processes[0], code)
    await Bun.sleep(60)
    expect(homeserver.callsOf('upsert_device')).toEqual([])
    syncs.open()
    await syncing
    expect((await exchanging).status).toBe(200)
    expect(homeserver.devicesOf('alice')).toContain(deviceId)
  })
})

describe('a process that dies', () => {
  test('in an exchange keeps the code for half a minute: a retry waits for that, and gets its tokens then', async () => {
    const { code, deviceId } = await newCode()
    upserts.close()
    const dead = exchangeAt(held, code)
    await upserts.reached()
    harness.clock.advance(29)
    let answered = false
    const retry = exchangeAt(world.processes[0], code).finally(() => {
      answered = true
    })
    await Bun.sleep(80)
    expect(answered).toBe(false)
    harness.clock.advance(1)
    const { status, tokens } = await retry
    expect(status).toBe(200)
    expect(await use(world.processes[0], tokens.access_token)).toBe(true)
    expect(await sessionsOf(deviceId)).toBe(1)
    upserts.open()
    await dead
  })

  test('only seemed to: it wakes up after another exchange took the code, and gets nothing', async () => {
    const { code, deviceId } = await newCode()
    upserts.close()
    const asleep = exchangeAt(held, code)
    await upserts.reached()
    harness.clock.advance(31)
    const { status, tokens } = await exchangeAt(world.processes[0], code)
    expect(status).toBe(200)
    upserts.open()
    expect((await asleep).error).toBe('invalid_grant')
    await harness.runJobs()
    expect(await use(world.processes[0], tokens.access_token)).toBe(true)
    expect(await sessionsOf(deviceId)).toBe(1)
    expect(homeserver.devicesOf('alice')).toContain(deviceId)
  })
})

test('the database goes away at any point of an exchange: 503, and half a minute later the code works', async () => {
  const [broken, other] = world.processes
  const counts = { ok: 0, unavailable: 0 }
  for (let answers = 0; answers < 30; answers++) {
    const { code, deviceId } = await newCode()
    broken.way.breakAfter(answers)
    const first = await exchangeAt(broken, code)
    await recover(broken)
    if (first.status === 200) {
      counts.ok++
      expect(await use(other, first.tokens.access_token)).toBe(true)
      continue
    }
    counts.unavailable++
    expect(first).toMatchObject(UNAVAILABLE)
    harness.clock.advance(30)
    const second = await exchangeAt(other, code)
    expect({ answers, status: second.status }).toEqual({ answers, status: 200 })
    expect(await use(other, second.tokens.access_token)).toBe(true)
    await harness.runJobs()
    expect(homeserver.devicesOf('alice')).toContain(deviceId)
    expect(await sessionsOf(deviceId)).toBe(1)
  }
  expect(counts.ok).toBeGreaterThan(0)
  expect(counts.unavailable).toBeGreaterThan(10)
}, 180_000)

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { listDevices } from '../../sql/devices.ts'
import { killSessions } from '../../src/identity/lifecycle.ts'
import { endSession } from '../../src/identity/sessions.ts'
import type { Browser } from '../support/browser.ts'
import { createGate, type Gate } from '../support/gate.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { createPerson, introspectLegacy, legacyLogin, passwordLogin, postMatrix } from '../support/legacy.ts'
import {
  API_SCOPE,
  deviceScope,
  exchange,
  introspect,
  obtainCode,
  PASSWORD,
  pkce,
  registerClient,
} from '../support/oauth.ts'
import { personalToken } from '../support/personal.ts'
import { startProcess, stopProcess } from '../support/world.ts'

let here: Harness
/** Another process of the same deployment. */
let there: Harness
let clientId: string
beforeAll(async () => {
  here = await createHarness()
  there = await createHarness({ beside: here })
  ;({ client_id: clientId } = await registerClient(here))
})
afterAll(async () => {
  await there.close()
  await here.close()
})

let people = 0
let username: string
let userId: string
let browser: Browser
beforeEach(async () => {
  await here.runJobs()
  ;({ username, userId, browser } = await person(here))
})

/** Somebody with a signed-in browser and no app. */
async function person(harness: Harness): Promise<{ username: string; userId: string; browser: Browser }> {
  const name = `person${++people}`
  const id = await createPerson(harness, name)
  const visitor = harness.browser()
  await (await visitor.open('/login')).submit({ username: name, password: PASSWORD }, { action: 'login' })
  return { username: name, userId: id, browser: visitor }
}

const scopeFor = (device: string) => `${API_SCOPE} ${deviceScope(device)}`
const codeFor = (device: string) => obtainCode(browser, clientId, { scope: scopeFor(device) })
const appOn = async (device: string): Promise<string> =>
  (await exchange(here, clientId, await codeFor(device))).access_token
const legacyOn = async (device: string): Promise<string> =>
  (await legacyLogin(here, username, { device_id: device })).access_token
const tokenOn = async (device: string): Promise<string> =>
  (await personalToken(here, userId, { maker: 'admin', scope: scopeFor(device).split(' ') })).token
const isActive = async (token: string): Promise<boolean> =>
  token.startsWith('mct')
    ? (await introspectLegacy(here, token)).active === true
    : (await introspect(here, token)).active === true

/** Active sessions of the person, by device, of every kind. */
async function sessionsByDevice(): Promise<Record<string, number>> {
  const rows = await here.database.sql<{ device_id: string; count: number }[]>`
    select device_id, count(*)::int as count from (
      select device_id from latchkey.oauth_sessions where user_id = ${userId} and finished_at is null
      union all
      select device_id from latchkey.compat_sessions where user_id = ${userId} and finished_at is null
      union all
      select device_id from latchkey.personal_sessions where user_id = ${userId} and finished_at is null) s
    where device_id is not null group by device_id`
  return Object.fromEntries(rows.map((row) => [row.device_id, row.count]))
}

/** Exchanges a code in a process; gives the token, or undefined where it was refused. */
async function exchangeIn(process: Pick<Harness, 'form'>, code: string): Promise<string | undefined> {
  const response = await process.form('/oauth2/token', {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    code_verifier: pkce().verifier,
  })
  const body = (await response.json()) as { access_token?: string; error?: string }
  if (body.access_token === undefined) expect([response.status, body.error]).toEqual([400, 'invalid_grant'])
  return body.access_token
}

const DEVICE = 'SAMEDEVICE'

describe('one session for each device', () => {
  test.each([
    ['an app', appOn],
    ['a legacy client', legacyOn],
    ['a personal token', tokenOn],
  ] as const)(
    'POST /oauth2/token: a sign-in on the device of %s ends that one, and the device stays',
    async (_way, before) => {
      const old = await before(DEVICE)
      const other = await appOn('OTHERDEVICE')
      const next = await appOn(DEVICE)
      expect([await isActive(old), await isActive(next), await isActive(other)]).toEqual([false, true, true])
      await here.runJobs()
      expect(here.homeserver.devicesOf(username)).toEqual(['OTHERDEVICE', DEVICE])
    },
  )

  test('a personal token on the device of an app ends that one', async () => {
    const old = await appOn(DEVICE)
    const next = await tokenOn(DEVICE)
    expect([await isActive(old), await isActive(next)]).toEqual([false, true])
  })

  test('the device of somebody else is not touched', async () => {
    const old = await appOn(DEVICE)
    ;({ username, userId, browser } = await person(here))
    await appOn(DEVICE)
    expect(await isActive(old)).toBe(true)
  })

  test('a sign-in that fails takes nothing from anybody', async () => {
    const old = await appOn(DEVICE)
    const code = await codeFor(DEVICE)
    here.homeserver.failOnce('upsert_device')
    await expect(exchange(here, clientId, code)).rejects.toThrow('503')
    expect(await isActive(old)).toBe(true)
    const { access_token: next } = await exchange(here, clientId, code)
    expect([await isActive(old), await isActive(next)]).toEqual([false, true])
  })

  test('two at once in two processes: one gets tokens, and its session is the only one', async () => {
    for (let round = 0; round < 4; round++) {
      const codes = [await codeFor(DEVICE), await codeFor(DEVICE)]
      const got = await Promise.all([exchangeIn(here, codes[0] ?? ''), exchangeIn(there, codes[1] ?? '')])
      const active = await Promise.all(
        got.map(async (token) => token !== undefined && (await isActive(token))),
      )
      expect(active.filter(Boolean)).toHaveLength(1)
      expect(await sessionsByDevice()).toEqual({ [DEVICE]: 1 })
      await here.runJobs()
      expect(here.homeserver.devicesOf(username)).toEqual([DEVICE])
    }
  })

  test('whatever signs in where and when: a device has one session, and the homeserver knows those devices', async () => {
    const way = fc.constantFrom('app', 'legacy', 'token')
    const device = fc.constantFrom('AAAAAAAAAA', 'BBBBBBBBBB')
    const round = fc.array(fc.record({ way, device }), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 3 }), async (rounds) => {
        ;({ username, userId, browser } = await person(here))
        for (const signIns of rounds) {
          const codes: Record<number, string> = {}
          for (const [index, signIn] of signIns.entries())
            if (signIn.way === 'app') codes[index] = await codeFor(signIn.device)
          const tokens = await Promise.all(
            signIns.map(async (signIn, index) => {
              const process = index % 2 === 0 ? here : there
              if (signIn.way === 'app') return exchangeIn(process, codes[index] ?? '')
              if (signIn.way === 'legacy') {
                const body = passwordLogin(username, { device_id: signIn.device })
                const { status, body: answer } = await postMatrix(process, 'login', body)
                expect([200, 503]).toContain(status)
                return answer.access_token as string | undefined
              }
              const made = personalToken(process, userId, {
                maker: 'admin',
                scope: scopeFor(signIn.device).split(' '),
              })
              return made.then(
                ({ token }) => token,
                () => undefined,
              )
            }),
          )
          const counts = await sessionsByDevice()
          for (const count of Object.values(counts)) expect(count).toBe(1)
          // Whoever was last to get a token on a device still has it: nobody is left without any.
          const given = await Promise.all(
            tokens.filter((token) => token !== undefined).map(async (token) => isActive(token)),
          )
          const devices = new Set(signIns.map((signIn) => signIn.device))
          expect(given.filter(Boolean)).toHaveLength(devices.size)
          await here.runJobs()
          const rows = await listDevices(here.deps.sql, userId)
          expect(here.homeserver.devicesOf(username)).toEqual(rows.map((row) => row.device_id))
        }
      }),
      { numRuns: 12 },
    )
  }, 180_000)

  test('all sessions end while a code is exchanged: no tokens, and the device goes', async () => {
    const upserts: Gate = createGate(here.homeserver.fetch, 'upsert_device')
    const slow = await startProcess(here, upserts.fetch)
    try {
      const code = await codeFor(DEVICE)
      upserts.close()
      const exchanging = exchangeIn(slow, code)
      await upserts.reached()
      await killSessions(here.deps, userId)
      upserts.open()
      expect(await exchanging).toBeUndefined()
      await here.runJobs()
      expect(here.homeserver.devicesOf(username)).toEqual([])
    } finally {
      await stopProcess(slow)
    }
  })
})

describe('experimental.session_limit.hard_limit', () => {
  const limited = async (extra: object, fn: (one: Harness, two: Harness) => Promise<void>): Promise<void> => {
    const config = { experimental: { session_limit: { soft_limit: 3, hard_limit: 3, ...extra } } }
    const one = await createHarness({ beside: here, config })
    const two = await createHarness({ beside: here, config })
    try {
      await fn(one, two)
    } finally {
      await one.close()
      await two.close()
    }
  }
  const total = async () => Object.values(await sessionsByDevice()).reduce((sum, count) => sum + count, 0)

  test('POST /oauth2/token: six sign-ins at once, all approved, in two processes: three get in', async () => {
    const codes: string[] = []
    for (let index = 0; index < 6; index++) codes.push(await codeFor(`DEVICE000${index}`))
    await limited({}, async (one, two) => {
      const got = await Promise.all(codes.map((code, index) => exchangeIn(index % 2 === 0 ? one : two, code)))
      expect(got.filter((token) => token !== undefined)).toHaveLength(3)
      expect(await total()).toBe(3)
      // A code that was refused is not spent: it works when the person has ended something.
      const refused = codes[got.indexOf(undefined)] ?? ''
      const [session] = await here.database.sql<{ id: string }[]>`
        select id from latchkey.oauth_sessions where user_id = ${userId} and finished_at is null limit 1`
      await endSession(here.deps, userId, session?.id ?? '')
      expect(await exchangeIn(one, refused)).toBeDefined()
      expect(await total()).toBe(3)
    })
  })

  test('a sign-in on a device that is signed in takes no room', async () => {
    for (const device of ['DEVICE0001', 'DEVICE0002', 'DEVICE0003']) await legacyOn(device)
    const code = await codeFor('DEVICE0002')
    await limited({}, async (one) => {
      expect(await exchangeIn(one, code)).toBeDefined()
      expect(await total()).toBe(3)
    })
  })

  test('POST …/login: eight logins at once in two processes: three get in, the others are told why', async () => {
    await limited({}, async (one, two) => {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          postMatrix(index % 2 === 0 ? one : two, 'login', passwordLogin(username)),
        ),
      )
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(3)
      for (const { status, body } of answers.filter((answer) => answer.status !== 200))
        expect([status, body.errcode, String(body.error)]).toEqual([
          403,
          'M_FORBIDDEN',
          expect.stringContaining('too many devices'),
        ])
      expect(await total()).toBe(3)
    })
  })

  test('accounts above max_session_threshold are left alone', async () => {
    for (let index = 0; index < 5; index++) await legacyOn(`DEVICE000${index}`)
    await limited({ max_session_threshold: 4 }, async (one) => {
      expect((await postMatrix(one, 'login', passwordLogin(username))).status).toBe(200)
    })
  })

  describe('with dangerous_hard_limit_eviction', () => {
    const evicting = { dangerous_hard_limit_eviction: true }

    test('the legacy client that was idle for the longest time makes room; apps and tokens stay', async () => {
      const app = await appOn('DEVICEAPP1')
      const token = await tokenOn('DEVICETOK1')
      here.clock.advance(10)
      const idle = await legacyOn('DEVICEIDLE')
      here.clock.advance(10)
      await limited({ ...evicting, hard_limit: 4 }, async (one) => {
        const busy = await legacyOn('DEVICEBUSY')
        const next = await postMatrix(one, 'login', passwordLogin(username, { device_id: 'DEVICENEXT' }))
        expect(next.status).toBe(200)
        expect(await Promise.all([idle, app, token, busy].map(isActive))).toEqual([false, true, true, true])
        await here.runJobs()
        expect(here.homeserver.devicesOf(username)).not.toContain('DEVICEIDLE')
      })
    })

    test('many at once never leave more than the limit', async () => {
      await limited(evicting, async (one, two) => {
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_, index) =>
            postMatrix(index % 2 === 0 ? one : two, 'login', passwordLogin(username)),
          ),
        )
        expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
        expect(await total()).toBeLessThanOrEqual(3)
        await here.runJobs()
        const rows = await listDevices(here.deps.sql, userId)
        expect(here.homeserver.devicesOf(username)).toEqual(rows.map((row) => row.device_id))
      })
    })

    test('where only apps are signed in there is nobody to make room: 403, and nothing ends', async () => {
      for (let index = 0; index < 3; index++) await appOn(`DEVICE000${index}`)
      await limited(evicting, async (one) => {
        const { status, body } = await postMatrix(one, 'login', passwordLogin(username))
        expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
        expect(await total()).toBe(3)
      })
    })
  })
})

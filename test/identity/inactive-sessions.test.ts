import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { insertBrowserSession } from '../../sql/browser-sessions.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { endInactiveSessions } from '../../src/identity/inactive-sessions.ts'
import { newId } from '../../src/lib/ulid.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { createPerson, introspectLegacy, legacyLogin } from '../support/legacy.ts'
import {
  API_SCOPE,
  deviceScope,
  introspect,
  signedInApp,
  staticClient,
  type TokenBody,
} from '../support/oauth.ts'
import { personalToken } from '../support/personal.ts'

const TTL = 3600

let harness: Harness
beforeAll(async () => {
  harness = await createHarness({ config: rule() })
})
afterAll(() => harness.close())

function rule(extra: object = {}): ConfigInput {
  return { experimental: { access_token_ttl: 86_400, inactive_session_expiration: { ttl: TTL, ...extra } } }
}

let people = 0
let username: string
let tokens: TokenBody
let browserIs: () => Promise<boolean>
beforeEach(async () => {
  username = `person${++people}`
  const app = await signedInApp(harness, username)
  tokens = app.tokens
  browserIs = async () => (await app.browser.open('/account/')).url.pathname === '/account/'
  await harness.deps.activity.flush()
})

const userId = async (name = username): Promise<string> => {
  const [row] = await harness.database.sql<{ id: string }[]>`
    select id from latchkey.users where username = ${name}`
  return row?.id ?? ''
}
const isActive = async (token = tokens.access_token) => (await introspect(harness, token)).active
const run = async (one: Pick<Harness, 'deps'> = harness) => {
  await one.deps.activity.flush()
  await endInactiveSessions(one.deps)
}

test('sessions that nobody used for as long as configured end, and their devices go', async () => {
  harness.clock.advance(TTL)
  await run()
  await harness.runJobs()
  expect(harness.homeserver.devicesOf(username)).toEqual(['AAAAAAAAAA'])
  harness.clock.advance(1)
  await run()
  await harness.runJobs()
  expect([await isActive(), await browserIs()]).toEqual([false, false])
  expect(harness.homeserver.devicesOf(username)).toEqual([])
  expect(harness.logged.filter(({ event }) => event === 'sessions.expired')).toHaveLength(1)
})

test('each kind counts by its own use: an app goes on when its browser ends', async () => {
  harness.clock.advance(TTL - 10)
  expect(await isActive()).toBe(true)
  await harness.deps.activity.flush()
  harness.clock.advance(11)
  await run()
  expect([await isActive(), await browserIs()]).toEqual([true, false])
})

test('a legacy client that was never used counts from its login', async () => {
  const name = `legacy${people}`
  await createPerson(harness, name)
  const { access_token: token } = await legacyLogin(harness, name)
  await harness.database.sql`update latchkey.compat_sessions set last_active_at = null`
  await run()
  expect((await introspectLegacy(harness, token)).active).toBe(true)
  await harness.deps.activity.flush()
  await harness.database.sql`update latchkey.compat_sessions set last_active_at = null`
  harness.clock.advance(TTL + 1)
  await run()
  expect((await introspectLegacy(harness, token)).active).toBe(false)
})

test.each([
  ['expire_oauth_sessions', true, false],
  ['expire_user_sessions', false, true],
])('%s: false leaves that kind alone', async (key, app, browser) => {
  const one = await createHarness({ beside: harness, config: rule({ [key]: false }) })
  harness.clock.advance(TTL + 1)
  await run(one)
  expect([await isActive(), await browserIs()]).toEqual([app, browser])
  await one.close()
})

test('expire_compat_sessions: false leaves legacy clients alone', async () => {
  const one = await createHarness({ beside: harness, config: rule({ expire_compat_sessions: false }) })
  const name = `legacy${people}`
  await createPerson(harness, name)
  const { access_token: token } = await legacyLogin(harness, name)
  await harness.deps.activity.flush()
  harness.clock.advance(TTL + 1)
  await run(one)
  expect((await introspectLegacy(harness, token)).active).toBe(true)
  await one.close()
})

test('clients of the configuration, personal tokens and a server without the rule: nothing ends', async () => {
  const { client_id } = await staticClient(harness, ['https://static.example/cb'])
  await harness.database.sql`update latchkey.oauth_sessions set client_id = (
    select id from latchkey.clients where is_static limit 1) where user_id = ${await userId()}`
  expect(client_id).not.toBe('')
  const { token } = await personalToken(harness, await userId(), {
    scope: [API_SCOPE, deviceScope('SCRIPTDEVC')],
  })
  harness.clock.advance(TTL + 1)
  await run()
  expect([await isActive(), await isActive(token)]).toEqual([true, true])
  const without = await createHarness({ beside: harness })
  const other = await signedInApp(harness, `other${people}`)
  await harness.deps.activity.flush()
  harness.clock.advance(TTL + 1)
  await run(without)
  expect(await isActive(other.tokens.access_token)).toBe(true)
  await without.close()
})

test('more than a batch at once: all end in one run, and again nothing is left to do', async () => {
  const { clock, random, sql } = harness.deps
  const id = await userId()
  for (let index = 0; index < 250; index++)
    await insertBrowserSession(sql, {
      id: newId(clock.now(), random),
      userId: id,
      secretHash: random.bytes(32),
      userAgent: null,
      ip: null,
      method: 'password',
      now: clock.now(),
    })
  harness.clock.advance(TTL + 1)
  await run()
  const [row] = await harness.database.sql<{ left: number }[]>`
    select count(*)::int as left from latchkey.browser_sessions where finished_at is null`
  expect(row?.left).toBe(0)
})

test('a client that asked for it is told that a browser session ended', async () => {
  await harness.database.sql`update latchkey.clients
    set metadata = metadata || '{"backchannel_logout_uri": "https://app.example.com/logout"}'::jsonb
    where id = (select client_id from latchkey.oauth_sessions where user_id = ${await userId()})`
  harness.clock.advance(TTL + 1)
  await run()
  const [job] = await harness.database.sql<{ count: number }[]>`
    select count(*)::int as count from latchkey_jobs.job
    where name = 'backchannel-logout' and data->>'user_id' = ${await userId()}`
  expect(job?.count).toBe(1)
})

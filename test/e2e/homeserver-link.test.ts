import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createClient, type MatrixClient } from 'matrix-js-sdk'
import { upsertStaticClient } from '../../sql/clients.ts'
import { checkDrift } from '../../src/identity/drift.ts'
import { deactivate, lock, reactivate, setPassword, unlock } from '../../src/identity/lifecycle.ts'
import { setDisplayName } from '../../src/identity/profile.ts'
import { uuidFromUlid } from '../../src/lib/ulid.ts'
import { sleep } from '../../src/lib/waiting.ts'
import type { Fetch } from '../../src/matrix/homeserver/homeserver.ts'
import { sealClientSecret } from '../../src/oauth/client-secret.ts'
import type { Browser } from '../support/browser.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { SILENT } from '../support/matrix-client.ts'
import {
  API_SCOPE,
  authorizeUrl,
  deviceScope,
  exchange,
  obtainCode,
  PASSWORD,
  pkce,
  registerClient,
  signedInApp,
  signUp,
  type TokenBody,
} from '../support/oauth.ts'
import { SYNAPSE_START_MS, startTestSynapse, type TestSynapse } from '../support/synapse.ts'

/** The secret that `introspect` of the harness and Synapse use. */
const SECRET = 'test-shared-secret-of-matrix'
const LONG = 240_000
/** How long Synapse is away; the clock of Latchkey goes on by a minute however short it is. `LATCHKEY_TEST_OUTAGE=60000` for a real one. */
const OUTAGE_MS = Number(process.env.LATCHKEY_TEST_OUTAGE ?? 0)

let synapse: TestSynapse
let harness: Harness
let server: Bun.Server<undefined>
let clientId: string
/** Requests that were tried towards Synapse. */
let tried = 0

const counting: Fetch = (input, init) => {
  tried += 1
  return fetch(input, init)
}

beforeAll(async () => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request) => harness?.app.handle(request) ?? new Response(null, { status: 503 }),
  })
  synapse = await startTestSynapse({ latchkeyUrl: server.url.href, secret: SECRET })
  harness = await createHarness({
    config: {
      matrix: {
        kind: 'synapse',
        homeserver: synapse.serverName,
        endpoint: synapse.url,
        secret: SECRET,
      },
    },
    fetch: counting,
  })
  clientId = (await registerClient(harness)).client_id
}, SYNAPSE_START_MS)

afterAll(async () => {
  await harness?.close()
  await synapse?.stop()
  await server?.stop(true)
}, LONG)

/** A person with one signed-in app, whose access token was not used yet. */
interface Person {
  browser: Browser
  id: string
  username: string
  deviceId: string
  tokens: TokenBody
}

const scopeOf = (deviceId: string) => `openid ${API_SCOPE} ${deviceScope(deviceId)}`

async function newPerson(username: string): Promise<Person> {
  const browser = harness.browser()
  await signUp(browser, username)
  const deviceId = `DEVICE${username.toUpperCase()}`
  const code = await obtainCode(browser, clientId, { scope: scopeOf(deviceId) })
  const tokens = await exchange(harness, clientId, code)
  await harness.runJobs()
  const [row] = await harness.deps.sql`select id from latchkey.users where username = ${username}`
  return { browser, id: String(row?.id), username, deviceId, tokens }
}

const clientOf = ({ username, deviceId }: Person, accessToken: string): MatrixClient =>
  createClient({
    baseUrl: synapse.url,
    accessToken,
    userId: `@${username}:${synapse.serverName}`,
    deviceId,
    logger: SILENT,
  })

/** Whose device a token is as Synapse sees it, or the error that the app is shown. */
async function whoami(person: Person, accessToken = person.tokens.access_token): Promise<string> {
  try {
    return (await clientOf(person, accessToken).whoami()).device_id ?? 'no device'
  } catch (error) {
    return String((error as { errcode?: string }).errcode)
  }
}

const refresh = (person: Person): Promise<Response> =>
  harness.form('/oauth2/token', {
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: person.tokens.refresh_token,
  })

/** Refreshes as an app does, and keeps the new pair. */
async function refreshed(person: Person): Promise<string> {
  const response = await refresh(person)
  if (response.status !== 200) return `${response.status} ${(await response.json()).error}`
  person.tokens = (await response.json()) as TokenBody
  return person.tokens.access_token
}

/** Makes the jobs that failed due at once, as time would. */
async function retryJobs(): Promise<void> {
  await harness.deps.sql`update latchkey_jobs.job set start_after = now() where state = 'retry'`
  await harness.runJobs()
}

async function night(): Promise<void> {
  const before = new Date(harness.clock.now().getTime() - 3_600_000)
  await harness.deps.sql`update latchkey.oauth_sessions set created_at = ${before}`
  expect(await checkDrift(harness.deps, {})).toMatchObject({ done: true })
  await harness.runJobs()
}

describe('an account seen from its app, with Synapse', () => {
  test(
    'locked: the token is refused; unlocked: the app goes on with the same device, nobody signed in again',
    async () => {
      const alma = await newPerson('alma')
      await lock(harness.deps, alma.id)
      await harness.runJobs()
      expect(await whoami(alma)).toBe('M_UNKNOWN_TOKEN')
      expect((await refresh(alma)).status).not.toBe(200)
      await unlock(harness.deps, alma.id)
      await harness.runJobs()
      // Synapse remembers for two minutes that the old token was refused; a new one it asks about.
      expect(await whoami(alma, await refreshed(alma))).toBe('DEVICEALMA')
    },
    LONG,
  )

  test(
    'deactivated: even a token that Synapse remembers is refused; reactivated: a new sign-in works, by the old name',
    async () => {
      const bert = await newPerson('bert')
      expect(await whoami(bert)).toBe('DEVICEBERT')
      await deactivate(harness.deps, bert.id, false)
      await harness.runJobs()
      expect(await whoami(bert)).toBe('M_UNKNOWN_TOKEN')
      expect(await refreshed(bert)).toBe('400 invalid_grant')
      expect(await harness.deps.homeserver.queryUser('bert')).toMatchObject({ deactivated: true })

      await reactivate(harness.deps, bert.id)
      const hash = await harness.deps.passwords.hash(PASSWORD)
      await setPassword(harness.deps, bert.id, hash)
      await harness.runJobs()
      expect(await harness.deps.homeserver.queryUser('bert')).toMatchObject({
        deactivated: false,
        displayName: 'bert Example',
      })
      expect(await whoami(bert)).toBe('M_UNKNOWN_TOKEN')
      const browser = harness.browser()
      const page = await browser.open(authorizeUrl(clientId, { scope: scopeOf('DEVICENEWB') }))
      await page.submit({ username: 'bert', password: PASSWORD }, { action: 'login' })
      const code = await obtainCode(browser, clientId, { scope: scopeOf('DEVICENEWB') })
      expect(await whoami(bert, (await exchange(harness, clientId, code)).access_token)).toBe('DEVICENEWB')
    },
    LONG,
  )

  test(
    'a display name that is set here is the one that others see there',
    async () => {
      const cara = await newPerson('cara')
      await setDisplayName(harness.deps, cara.id, 'Cara Ångström')
      const client = clientOf(cara, cara.tokens.access_token)
      expect(await client.getProfileInfo(`@cara:${synapse.serverName}`)).toMatchObject({
        displayname: 'Cara Ångström',
      })
    },
    LONG,
  )

  test(
    'a device that is deleted here is gone there, at once',
    async () => {
      const dora = await newPerson('dora')
      expect(await whoami(dora)).toBe('DEVICEDORA')
      const { access_token: token } = dora.tokens
      expect((await harness.form('/oauth2/revoke', { token, client_id: clientId })).status).toBe(200)
      await harness.runJobs()
      expect(await whoami(dora)).toBe('M_UNKNOWN_TOKEN')
    },
    LONG,
  )

  test(
    'a device that is deleted there: its app is signed out at once, its session here by the check of the night',
    async () => {
      const emil = await newPerson('emil')
      const other = await newPerson('other')
      expect(await whoami(emil)).toBe('DEVICEEMIL')
      await harness.deps.homeserver.deleteDevice('emil', 'DEVICEEMIL')
      expect(await whoami(emil)).toBe('M_UNKNOWN_TOKEN')
      // Nobody told us.
      expect(await whoami(emil, await refreshed(emil))).toBe('M_UNKNOWN_TOKEN')
      await night()
      expect(await refreshed(emil)).toBe('400 invalid_grant')
      expect(await whoami(other, await refreshed(other))).toBe('DEVICEOTHER')
    },
    LONG,
  )

  test(
    'a device that only Synapse has goes in the night',
    async () => {
      const fred = await newPerson('fred')
      await harness.deps.homeserver.upsertDevice('fred', 'GHOST')
      await night()
      const client = clientOf(fred, await refreshed(fred))
      const { devices } = await client.getDevices()
      expect(devices.map(({ device_id }) => device_id)).toEqual(['DEVICEFRED'])
    },
    LONG,
  )
})

describe('Synapse is stopped in the middle of everything, and comes back', () => {
  test(
    'everything converges, nothing is lost, nobody is signed out, pages stay fast',
    async () => {
      const [stays, leaves, locked, codes] = [
        await newPerson('stays'),
        await newPerson('leaves'),
        await newPerson('locked'),
        await newPerson('codes'),
      ]
      const code = await obtainCode(codes.browser, clientId, { scope: scopeOf('DEVICESECOND') })
      const newcomer = harness.browser()
      const form = await newcomer.open('/register')
      await harness.runJobs()
      await synapse.pause()

      // A sign-up keeps what was typed.
      const typed = { username: 'newcomer', password: PASSWORD, password_confirm: PASSWORD }
      const held = await form.submit(typed, { action: 'register/password' })
      expect(held.status).toBe(503)
      expect(held.text).toContain('value="newcomer"')
      // A code exchange is an outage, not a refusal.
      const exchanging = () =>
        harness.form('/oauth2/token', {
          grant_type: 'authorization_code',
          client_id: clientId,
          code,
          code_verifier: pkce().verifier,
        })
      const outage = await exchanging()
      expect([outage.status, outage.headers.has('retry-after')]).toEqual([503, true])
      // Signing out and locking work here at once.
      const { access_token: token } = leaves.tokens
      expect((await harness.form('/oauth2/revoke', { token, client_id: clientId })).status).toBe(200)
      await lock(harness.deps, locked.id)
      expect(await refreshed(leaves)).toBe('400 invalid_grant')
      // Who is signed in goes on.
      expect(await refreshed(stays)).toMatch(/^mat_/)
      // The queue tries, and keeps what it could not do.
      await harness.runJobs()
      expect(harness.logged.some(({ event }) => event === 'job.failed')).toBe(true)
      // By now nobody asks any more: pages with a name on them and forms are there at once.
      tried = 0
      for (let visit = 0; visit < 5; visit++) {
        const consent = await codes.browser.open(authorizeUrl(clientId, { scope: scopeOf('DEVICETHIRD') }))
        expect(consent.status).toBe(200)
        expect((await form.submit(typed, { action: 'register/password' })).status).toBe(503)
      }
      // Three lookups that a page can do without, and no more.
      expect(tried).toBeLessThanOrEqual(3)
      // A minute goes by: whoever is signed in goes on, and the queue tries again.
      for (let second = 0; second < 60; second += 5) {
        await sleep(OUTAGE_MS / 12)
        harness.clock.advance(5)
        expect(await refreshed(stays)).toMatch(/^mat_/)
        // Far less often than that, or this would use up the tries of the queue, which last for days.
        if (second % 30 === 0) await retryJobs()
      }

      await synapse.start()
      harness.clock.advance(5)
      await retryJobs()
      await retryJobs()
      expect(harness.logged.some(({ event }) => event === 'homeserver.back')).toBe(true)
      // The same code, the same form.
      const exchanged = await exchanging()
      expect(exchanged.status).toBe(200)
      expect(await whoami(codes, ((await exchanged.json()) as TokenBody).access_token)).toBe('DEVICESECOND')
      const name = await form.submit(typed, { action: 'register/password' })
      await name.submit({ display_name: 'New' }, { action: 'display-name', button: ['action', 'set'] })
      expect(await harness.deps.homeserver.queryUser('newcomer')).toMatchObject({ displayName: 'New' })
      // What ended has ended there too, what went on goes on, with its device.
      expect(await whoami(leaves)).toBe('M_UNKNOWN_TOKEN')
      expect(await whoami(locked)).toBe('M_UNKNOWN_TOKEN')
      expect(await whoami(stays)).toBe('DEVICESTAYS')
      expect(await whoami(codes, await refreshed(codes))).toBe('DEVICECODES')
      await unlock(harness.deps, locked.id)
      expect(await whoami(locked, await refreshed(locked))).toBe('DEVICELOCKED')
      const waiting = await harness.deps.sql`
        select name from latchkey_jobs.job where state in ('created', 'retry') and name <> 'provision-user'`
      expect([...waiting]).toEqual([])
    },
    LONG,
  )
})

describe('Synapse before 1.136, as docs/homeserver.md connects it', () => {
  const client = { id: '0000000000000000000SYNAPSE', secret: 'secret-of-the-client' }
  let old: TestSynapse
  let beside: Harness
  let door: Bun.Server<undefined>
  beforeAll(async () => {
    door = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request) => beside?.app.handle(request) ?? new Response(null, { status: 503 }),
    })
    old = await startTestSynapse({ latchkeyUrl: door.url.href, secret: SECRET, legacyClient: client })
    beside = await createHarness({
      config: {
        matrix: {
          kind: 'synapse_legacy',
          homeserver: old.serverName,
          endpoint: old.url,
          secret: SECRET,
        },
      },
      fetch,
    })
    const id = uuidFromUlid(client.id) ?? ''
    await upsertStaticClient(beside.deps.sql, {
      id,
      authMethod: 'client_secret_basic',
      sealedSecret: await sealClientSecret(beside.deps.secrets, id, client.secret),
      redirectUris: [],
      grantTypes: [],
      metadata: {},
      now: beside.clock.now(),
    })
  }, SYNAPSE_START_MS)
  afterAll(async () => {
    await beside?.close()
    await old?.stop()
    await door?.stop(true)
  }, LONG)

  test(
    'a person signs up and uses an app; the check of the night ends the session of a deleted device',
    async () => {
      const scope = scopeOf('DEVICEOLD1')
      const { tokens, clientId: app } = await signedInApp(beside, 'grace', { scope })
      const ask = async (accessToken: string) => {
        const matrix = createClient({ baseUrl: old.url, accessToken, logger: SILENT })
        return matrix.whoami().catch((error: { errcode?: string }) => error.errcode)
      }
      expect(await ask(tokens.access_token)).toMatchObject({
        user_id: '@grace:localhost',
        device_id: 'DEVICEOLD1',
      })
      await beside.deps.homeserver.deleteDevice('grace', 'DEVICEOLD1')
      // It does not look whether the device is there: the token works until its answer about it is too old.
      expect(await ask(tokens.access_token)).toMatchObject({ device_id: 'DEVICEOLD1' })
      const before = new Date(beside.clock.now().getTime() - 3_600_000)
      await beside.deps.sql`update latchkey.oauth_sessions set created_at = ${before}`
      expect(await checkDrift(beside.deps, {})).toMatchObject({ done: true })
      const again = await beside.form('/oauth2/token', {
        grant_type: 'refresh_token',
        client_id: app,
        refresh_token: tokens.refresh_token,
      })
      expect(await again.json()).toMatchObject({ error: 'invalid_grant' })
    },
    LONG,
  )
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type MatrixError, OAuth2HTTPError } from 'matrix-js-sdk'
import type { Stack } from '../../src/commands/demo/demo.ts'
import {
  CHROMIUM_START_MS,
  consent,
  signIn,
  signUp,
  startChromium,
  type TestChromium,
  type Visitor,
} from '../support/chromium.ts'
import { type RedirectTarget, startHttpsClient } from '../support/loopback-client.ts'
import {
  type App,
  beginSignIn,
  type Device,
  type Discovered,
  devicesOnce,
  discover,
  openDevice,
  readMessage,
  registerApp,
} from '../support/matrix-client.ts'
import { SYNAPSE_START_MS } from '../support/synapse.ts'
import { startTestStack } from './stack.ts'

/** A test here opens several pages of a browser. */
const LONG = 240_000

let stack: Stack
let chromium: TestChromium
let target: RedirectTarget

beforeAll(async () => {
  target = await startHttpsClient('app.example.com')
  chromium = await startChromium({ 'app.example.com:443': target.port })
  stack = await startTestStack()
}, SYNAPSE_START_MS + CHROMIUM_START_MS)

afterAll(async () => {
  await chromium?.stop()
  await stack?.stop()
  await target?.stop()
}, LONG)

/** Each test goes on where the one before it ended: it is one person's story. */
describe('a person with two devices, matrix-js-sdk, Chromium and Synapse', () => {
  let server: Discovered
  let app: App
  let laptop: Visitor
  let phone: Visitor
  let first: Device
  let second: Device
  let roomId: string

  afterAll(async () => {
    for (const device of [first, second]) device?.client.stopClient()
    await laptop?.close()
    await phone?.close()
  })

  /** Asks Latchkey about a token as Synapse does. */
  async function introspect(token: string): Promise<Record<string, unknown>> {
    const response = await fetch(`${stack.latchkeyUrl}/oauth2/introspect`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.secret}` },
      body: new URLSearchParams({ token }),
    })
    return (await response.json()) as Record<string, unknown>
  }

  /** What Synapse says of a token once it refuses it, at most 30 seconds from now. */
  async function whenRefused(token: string): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      const response = await fetch(`${stack.frontUrl}/_matrix/client/v3/account/whoami`, {
        headers: { authorization: `Bearer ${token}` },
      })
      const answer = await response.json()
      if (!response.ok || attempt >= 150) return answer
      await Bun.sleep(200)
    }
  }

  test('discovery: /.well-known/matrix/client, Synapse’s auth_metadata and Latchkey agree (MSC2965)', async () => {
    server = await discover(stack.frontUrl)
    expect(server.baseUrl).toBe(stack.frontUrl)
    expect(server.wellKnown).toEqual({
      issuer: `${stack.latchkeyUrl}/`,
      account: `${stack.latchkeyUrl}/account/`,
    })
    const own = await fetch(`${stack.latchkeyUrl}/.well-known/openid-configuration`)
    expect(await own.json()).toEqual(JSON.parse(JSON.stringify(server.metadata)))
    expect(server.metadata.issuer).toBe(`${stack.latchkeyUrl}/`)
    expect(server.metadata.account_management_uri).toBe(`${stack.latchkeyUrl}/account/`)
    expect(server.metadata.prompt_values_supported).toContain('create')
    expect(server.metadata.account_management_actions_supported).toContain('org.matrix.device_delete')
  })

  test('registration: the SDK’s metadata of a web application is accepted (RFC 7591)', async () => {
    app = await registerApp(server, {
      name: 'Test Messenger',
      redirectUri: 'https://app.example.com/callback',
      type: 'web',
    })
    expect(app.clientId).not.toBe('')
  })

  test(
    'prompt=create: sign up, consent, exchange, and Synapse knows who it is',
    async () => {
      laptop = await chromium.visitor()
      const signingIn = await beginSignIn(app, { prompt: 'create' })
      await laptop.page.goto(signingIn.url)
      expect(new URL(laptop.page.url()).pathname).toBe('/register')
      await signUp(laptop.page, 'ada', 'Ada Lovelace')
      await consent(laptop.page, app.name)
      first = await signingIn.finish(await target.callback())
      expect(await first.client.whoami()).toEqual({
        user_id: '@ada:localhost',
        device_id: first.id,
        is_guest: false,
      })
      expect(await first.client.getProfileInfo('@ada:localhost')).toMatchObject({
        displayname: 'Ada Lovelace',
      })
      expect(laptop.problems).toEqual([])
    },
    LONG,
  )

  test(
    'a message that the first device sends is in the room',
    async () => {
      roomId = (await first.client.createRoom({ name: 'Engine room' })).room_id
      await first.client.sendTextMessage(roomId, 'the engine runs')
      expect(await readMessage(first.client, 'the engine runs')).toEqual({ sender: '@ada:localhost' })
    },
    LONG,
  )

  test('refresh: the SDK gets new tokens by itself when Synapse refuses the old one, and goes on with them', async () => {
    const before = { ...first.tokens }
    // As an application that was closed for long: its access token is none any more, its refresh token is good.
    first = openDevice(app, first.oauth, { ...before, accessToken: 'mat_expired_long_ago' })
    expect(await first.client.whoami()).toMatchObject({ user_id: '@ada:localhost' })
    expect(first.tokens.accessToken).not.toBe(before.accessToken)
    expect(first.tokens.refreshToken).not.toBe(before.refreshToken)
    expect(first.client.getAccessToken()).toBe(first.tokens.accessToken)
    expect(await introspect(first.tokens.accessToken)).toMatchObject({ active: true, username: 'ada' })
    expect(await introspect(before.accessToken)).toEqual({ active: false })
    await first.client.sendTextMessage(roomId, 'with a new token')
  })

  test('refresh: once the successor was used, the old refresh token is invalid_grant and the device stays (decision 7)', async () => {
    const fresh = await first.oauth.performRefreshTokenGrant(first.tokens.refreshToken)
    const old = first
    first = openDevice(app, old.oauth, {
      ...old.tokens,
      accessToken: fresh.access_token,
      refreshToken: fresh.refresh_token ?? '',
    })
    expect(await first.client.whoami()).toMatchObject({ device_id: first.id })
    const replay = old.oauth.performRefreshTokenGrant(old.tokens.refreshToken)
    await expect(replay).rejects.toBeInstanceOf(OAuth2HTTPError)
    await expect(replay).rejects.toMatchObject({ error: 'invalid_grant', httpStatus: 400 })
    expect(await introspect(first.tokens.accessToken)).toMatchObject({ active: true })
  })

  test(
    'a second device signs in with the password in another browser and reads the message',
    async () => {
      phone = await chromium.visitor()
      // As Element Web asks: the answer in the fragment, where the application’s script reads it.
      const signingIn = await beginSignIn(app, { responseMode: 'fragment' })
      await phone.page.goto(signingIn.url)
      await signIn(phone.page, 'ada')
      await consent(phone.page, app.name)
      await target.callback()
      await phone.page.getByRole('heading', { name: 'Back in the app' }).waitFor()
      second = await signingIn.finish(new URL(phone.page.url()))
      expect(await second.client.whoami()).toMatchObject({ user_id: '@ada:localhost', device_id: second.id })
      expect(await readMessage(second.client, 'with a new token')).toEqual({ sender: '@ada:localhost' })
      expect(await devicesOnce(second.client, () => true)).toEqual([first.id, second.id].sort())
      expect(phone.problems).toEqual([])
    },
    LONG,
  )

  test(
    'the account page signs the first device out, and it is gone in Synapse',
    async () => {
      const { page } = phone
      await page.goto(new URL('sessions', server.metadata.account_management_uri).href)
      await page
        .getByRole('listitem')
        .filter({ hasText: first.id })
        .getByRole('link', { name: 'Sign out' })
        .click()
      await page.getByRole('heading', { level: 1, name: 'Sign out of this device?' }).waitFor()
      await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
      await page.getByText('That device is signed out.').waitFor()
      expect(await page.getByRole('listitem').filter({ hasText: first.id }).count()).toBe(0)
      // A job tells Synapse, within moments.
      expect(await devicesOnce(second.client, (ids) => !ids.includes(first.id))).toEqual([second.id])
      await expect(first.client.whoami()).rejects.toMatchObject({
        errcode: 'M_UNKNOWN_TOKEN',
        httpStatus: 401,
      } satisfies Partial<MatrixError>)
      expect(phone.problems).toEqual([])
    },
    LONG,
  )

  test('the signed-out device gets no new tokens', async () => {
    const refresh = first.oauth.performRefreshTokenGrant(first.tokens.refreshToken)
    await expect(refresh).rejects.toMatchObject({ error: 'invalid_grant', httpStatus: 400 })
    expect(await introspect(first.tokens.accessToken)).toEqual({ active: false })
  })

  test(
    'the deep link of an application to a device leads to signing out that one (MSC4191)',
    async () => {
      const { page } = laptop
      const link = new URL(server.metadata.account_management_uri ?? '')
      link.searchParams.set('action', 'org.matrix.device_delete')
      link.searchParams.set('device_id', second.id)
      await page.goto(link.href)
      await page.getByRole('heading', { level: 1, name: 'Sign out of this device?' }).waitFor()
      expect(await page.getByRole('main').textContent()).toContain(second.id)
    },
    LONG,
  )

  test(
    'new cross-signing keys: Synapse sends the application to our page, and takes them after it (MSC4312)',
    async () => {
      const { page } = laptop
      const upload = async (): Promise<{ status: number; text: string }> => {
        const pair = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
        const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
        const key = raw.toBase64({ omitPadding: true })
        const response = await fetch(`${stack.frontUrl}/_matrix/client/v3/keys/device_signing/upload`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${second.tokens.accessToken}`,
            'content-type': 'application/json',
          },
          body: JSON.stringify({
            master_key: {
              user_id: second.client.getUserId(),
              usage: ['master'],
              keys: { [`ed25519:${key}`]: key },
            },
          }),
        })
        return { status: response.status, text: await response.text() }
      }
      // The first keys need no proof (MSC3967).
      expect((await upload()).status).toBe(200)
      const refused = await upload()
      expect(refused.status).toBe(401)
      const link = /"url":\s*"([^"]*cross_signing_reset[^"]*)"/.exec(refused.text)?.[1] ?? ''
      expect(link).toStartWith(server.metadata.account_management_uri ?? '')
      await page.goto(link)
      await page.getByRole('button', { name: 'Allow new keys' }).click()
      await page.getByRole('heading', { level: 1, name: 'New keys are allowed' }).waitFor()
      expect((await upload()).status).toBe(200)
    },
    LONG,
  )

  test(
    'an application that signs itself out takes its device with it (RFC 7009)',
    async () => {
      const { accessToken } = second.tokens
      await second.client.logout(true)
      expect(await introspect(accessToken)).toEqual({ active: false })
      // Synapse remembers a good token for two minutes, unless its device goes.
      expect(await whenRefused(accessToken)).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
    },
    LONG,
  )
})

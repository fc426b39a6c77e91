import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createApp } from '../../src/app.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { formatUserCode, newUserCode, readUserCode } from '../../src/oauth/user-code.ts'
import { type Browser, copyCookies } from '../support/browser.ts'
import {
  answer,
  approve,
  DEVICE_CLIENT,
  DEVICE_GRANT,
  enterCode,
  poll,
  registerDeviceClient,
  requestDevice,
} from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import {
  API_SCOPE,
  basic,
  deviceScope,
  introspect,
  registerClient,
  signUp,
  WEB_CLIENT,
} from '../support/oauth.ts'

let harness: Harness
let clientId: string
let browser: Browser
beforeAll(async () => {
  harness = await createHarness()
  clientId = await registerDeviceClient(harness)
  browser = harness.browser()
  await signUp(browser, 'alice')
})
afterAll(() => harness.close())

/** Tests stand in one another's way at the limits of one address, so each begins some minutes after the other. */
const fresh = async (fields?: Record<string, string>) => {
  harness.clock.advance(120)
  return requestDevice(harness, clientId, fields)
}

const outcome = async (deviceCode: string, client = clientId): Promise<[number, string | undefined]> => {
  const { status, body } = await poll(harness, client, deviceCode)
  return [status, body.error]
}

describe('POST /oauth2/device (RFC 8628 section 3.2, reference 8)', () => {
  test('gives two codes, where to enter one, and how often to ask with the other', async () => {
    const response = await harness.form('/oauth2/device', { client_id: clientId, scope: 'openid' })
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(await response.json()).toEqual({
      device_code: expect.stringMatching(/^[0-9A-Za-z]{32}$/),
      user_code: expect.stringMatching(/^[2-9CDFHJKMNPQRTVWX]{4}-[2-9CDFHJKMNPQRTVWX]{4}$/),
      verification_uri: 'http://auth.test/link',
      expires_in: 1200,
      interval: 5,
    })
  })

  test('the link with the code is given out only where the operator wants it', async () => {
    const filling = await createHarness({
      beside: harness,
      config: {
        http: { public_base: 'https://example.com/auth/' },
        oauth: { device_code_user_code_auto_fill_enabled: true },
      },
    })
    const given = await requestDevice(filling, clientId)
    expect(given.verification_uri).toBe('https://example.com/auth/link')
    expect(given.verification_uri_complete).toBe(`https://example.com/auth/link?code=${given.user_code}`)
    await filling.close()
  })

  test('neither code is in the database as it is', async () => {
    const { device_code, user_code } = await fresh()
    const rows = JSON.stringify(await harness.database.sql`select * from latchkey.device_grants`)
    for (const secret of [device_code, user_code, user_code.replace('-', '')])
      expect(rows).not.toContain(secret)
    expect(JSON.stringify(harness.logged)).not.toContain(device_code)
    expect(JSON.stringify(harness.logged)).not.toContain(user_code)
  })

  test('a scope is not needed; a malformed one is invalid_scope', async () => {
    expect((await requestDevice(harness, clientId, {})).interval).toBe(5)
    for (const scope of ['a  b', ' a', 'ä', '"'])
      expect(
        await (await harness.form('/oauth2/device', { client_id: clientId, scope })).json(),
      ).toMatchObject({ error: 'invalid_scope' })
  })

  test.each<[string, (client: string) => [Record<string, string>, Record<string, string>?], number, string]>([
    ['no client', () => [{ scope: 'openid' }], 400, 'invalid_request'],
    ['an unknown client', () => [{ client_id: '01J00000000000000000000000' }], 401, 'invalid_client'],
    ['a client that is no id', () => [{ client_id: "'" }], 401, 'invalid_client'],
    [
      'another method of authentication',
      (id) => [{ client_id: id, client_secret: 'x' }],
      401,
      'invalid_client',
    ],
    ['a header in place of nothing', (id) => [{}, basic(id, 'x')], 401, 'invalid_client'],
  ])('%s: refused as at the token endpoint (reference 4.1)', async (_name, build, status, error) => {
    const [fields, headers] = build(clientId)
    const response = await harness.form('/oauth2/device', fields, headers)
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ error })])
  })

  test('bodies that are no form, and parameters twice, are invalid_request', async () => {
    for (const [body, type] of [
      [JSON.stringify({ client_id: clientId }), 'application/json'],
      [`client_id=${clientId}&scope=openid&scope=email`, 'application/x-www-form-urlencoded'],
      [`client_id=${clientId}&scope=%00`, 'application/x-www-form-urlencoded'],
      ['', 'application/x-www-form-urlencoded'],
    ] as const) {
      const response = await harness.request('/oauth2/device', {
        method: 'POST',
        body,
        headers: { 'content-type': type },
      })
      expect([response.status, await response.json()]).toEqual([
        400,
        expect.objectContaining({ error: 'invalid_request' }),
      ])
    }
  })

  test('a client without the grant is unauthorized_client, here and at the token endpoint', async () => {
    const { client_id } = await registerClient(harness)
    const response = await harness.form('/oauth2/device', { client_id })
    expect([response.status, await response.json()]).toEqual([
      401,
      expect.objectContaining({ error: 'unauthorized_client' }),
    ])
    const { device_code } = await fresh()
    expect(await outcome(device_code, client_id)).toEqual([401, 'unauthorized_client'])
  })

  test('a confidential client authenticates, here and when it asks', async () => {
    const { client_id, client_secret = '' } = await registerClient(harness, {
      ...DEVICE_CLIENT,
      token_endpoint_auth_method: 'client_secret_basic',
    })
    const wrong = await harness.form('/oauth2/device', {}, basic(client_id, 'wrong'))
    expect(wrong.status).toBe(401)
    const right = await harness.form('/oauth2/device', {}, basic(client_id, client_secret))
    const { device_code } = (await right.json()) as { device_code: string }
    expect(await outcome(device_code, client_id)).toEqual([401, 'invalid_client'])
    const asked = await poll(harness, client_id, device_code, basic(client_id, client_secret))
    expect([asked.status, asked.body.error]).toEqual([403, 'authorization_pending'])
  })

  test('many requests of one address are limited', async () => {
    const flood = await createHarness({ config: { http: { trusted_proxies: [] } } })
    const client = await registerDeviceClient(flood)
    const statuses: number[] = []
    for (let i = 0; i < 302; i++)
      statuses.push((await flood.form('/oauth2/device', { client_id: client })).status)
    expect(statuses).toEqual([...Array<number>(300).fill(200), 429, 429])
    flood.clock.advance(12)
    expect((await flood.form('/oauth2/device', { client_id: client })).status).toBe(200)
    await flood.close()
  })
})

describe('the grant switched off', () => {
  test('is refused before anybody is authenticated, dropped from registrations, and has no pages', async () => {
    const off = await createHarness({
      beside: harness,
      config: { oauth: { device_code_grant_enabled: false } },
    })
    const { device_code, user_code } = await fresh()
    const asked = await off.form('/oauth2/device', { client_id: 'nobody' })
    expect([asked.status, await asked.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_request' }),
    ])
    const polled = await poll(off, clientId, device_code)
    expect([polled.status, polled.body.error]).toEqual([400, 'unsupported_grant_type'])
    const registered = await off.request('/oauth2/registration', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...DEVICE_CLIENT, client_name: 'Off' }),
    })
    expect(await registered.json()).toMatchObject({ grant_types: ['refresh_token'], redirect_uris: [] })
    const page = (await enterCode(browser, user_code)).url.pathname
    const visitor = copyCookies(browser, off.browser())
    for (const path of ['/link', page]) {
      expect([path, (await visitor.open(path)).status]).toEqual([path, 404])
      expect([path, (await visitor.post(path, { code: user_code })).status]).toEqual([path, 404])
    }
    const discovery = (await (await off.request('/.well-known/openid-configuration')).json()) as object
    expect(Object.keys(discovery)).not.toContain('device_authorization_endpoint')
    expect(JSON.stringify(discovery)).not.toContain(DEVICE_GRANT)
    await off.close()
  })

  test('discovery names it where it is on', async () => {
    const discovery = await (await harness.request('/.well-known/openid-configuration')).json()
    expect(discovery).toMatchObject({
      device_authorization_endpoint: 'http://auth.test/oauth2/device',
      grant_types_supported: expect.arrayContaining([DEVICE_GRANT]),
    })
  })

  test('registration keeps it, and asks for no redirect URI', async () => {
    const response = await harness.request('/oauth2/registration', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...DEVICE_CLIENT, client_name: 'Kept' }),
    })
    expect([response.status, await response.json()]).toEqual([
      201,
      expect.objectContaining({ grant_types: ['refresh_token', DEVICE_GRANT], redirect_uris: [] }),
    ])
  })
})

describe('polling (RFC 8628 section 3.5, with the statuses of MAS: edge 22)', () => {
  test('before the answer: 403 authorization_pending', async () => {
    const { device_code } = await fresh()
    expect(await outcome(device_code)).toEqual([403, 'authorization_pending'])
    harness.clock.advance(5)
    expect(await outcome(device_code)).toEqual([403, 'authorization_pending'])
  })

  test('too early: 400 slow_down, and from then on five seconds more', async () => {
    const { device_code } = await fresh()
    expect(await outcome(device_code)).toEqual([403, 'authorization_pending'])
    harness.clock.advance(3)
    expect(await outcome(device_code)).toEqual([400, 'slow_down'])
    harness.clock.advance(5)
    expect(await outcome(device_code)).toEqual([400, 'slow_down'])
    harness.clock.advance(15)
    expect(await outcome(device_code)).toEqual([403, 'authorization_pending'])
    harness.clock.advance(14)
    expect(await outcome(device_code)).toEqual([403, 'authorization_pending'])
  })

  test('a device that never slows down is never made to wait for longer than a minute', async () => {
    const { device_code } = await fresh()
    for (let i = 0; i < 30; i++) await outcome(device_code)
    harness.clock.advance(60)
    expect(await outcome(device_code)).toEqual([403, 'authorization_pending'])
  })

  test('two at once are one in time and one too early', async () => {
    const { device_code } = await fresh()
    const both = await Promise.all([outcome(device_code), outcome(device_code)])
    expect(both.map(([, error]) => error).sort()).toEqual(['authorization_pending', 'slow_down'])
  })

  test('too early, but there is an answer: told at once', async () => {
    const { device_code, user_code } = await fresh()
    await outcome(device_code)
    await approve(browser, user_code)
    expect(await outcome(device_code)).toEqual([200, undefined])
  })

  test('rejected: 403 access_denied, again and again', async () => {
    const { device_code, user_code } = await fresh()
    await answer(await enterCode(browser, user_code), 'reject')
    for (let i = 0; i < 3; i++) expect(await outcome(device_code)).toEqual([403, 'access_denied'])
  })

  test('after twenty minutes: 403 expired_token, whatever the answer was', async () => {
    const waiting = await fresh()
    const [approved, rejected, used] = [await fresh(), await fresh(), await fresh()]
    await approve(browser, approved.user_code)
    await answer(await enterCode(browser, rejected.user_code), 'reject')
    await approve(browser, used.user_code)
    expect(await outcome(used.device_code)).toEqual([200, undefined])
    harness.clock.advance(1200)
    for (const { device_code } of [waiting, approved, rejected, used])
      expect(await outcome(device_code)).toEqual([403, 'expired_token'])
  })

  test('one second before, it still works', async () => {
    const { device_code, user_code } = await fresh()
    harness.clock.advance(1199)
    await approve(browser, user_code)
    expect(await outcome(device_code)).toEqual([200, undefined])
  })

  test('unknown, malformed and foreign codes: 400 invalid_grant', async () => {
    const { device_code, user_code } = await fresh()
    const other = await registerDeviceClient(harness, { client_name: 'Other' })
    await approve(browser, user_code)
    expect(await outcome(device_code, other)).toEqual([400, 'invalid_grant'])
    for (const code of ['x'.repeat(32), 'x', "'", '\ud83d\udca5', 'a'.repeat(10_000)])
      expect(await outcome(code)).toEqual([400, 'invalid_grant'])
    expect(await outcome('')).toEqual([400, 'invalid_request'])
    // The foreign client has spoilt nothing.
    expect(await outcome(device_code)).toEqual([200, undefined])
  })

  test('a user code is no device code', async () => {
    const { user_code } = await fresh()
    expect(await outcome(user_code)).toEqual([400, 'invalid_grant'])
  })

  test('used: 400 invalid_grant, and the session stays', async () => {
    const { device_code, user_code } = await fresh()
    await approve(browser, user_code)
    const { body } = await poll(harness, clientId, device_code)
    expect(await outcome(device_code)).toEqual([400, 'invalid_grant'])
    expect(await introspect(harness, body.access_token ?? '')).toMatchObject({ active: true })
  })

  test('two at once after the answer: one gets tokens', async () => {
    for (let round = 0; round < 5; round++) {
      const { device_code, user_code } = await fresh()
      await approve(browser, user_code)
      const all = await Promise.all(Array.from({ length: 4 }, () => outcome(device_code)))
      expect(all.map(([status]) => status).sort()).toEqual([200, 400, 400, 400])
    }
  })
})

describe('what the device gets', () => {
  test('tokens for the scopes that it asked for, and a device at the homeserver (edge 36)', async () => {
    const scope = `openid ${API_SCOPE} ${deviceScope('LIVINGROOM')}`
    const { device_code, user_code } = await fresh({ scope })
    await approve(browser, user_code)
    const { status, body } = await poll(harness, clientId, device_code, {
      'user-agent': 'Television/1.0 (Model 7; Android 16)',
    })
    expect([status, body]).toEqual([
      200,
      {
        access_token: expect.stringMatching(/^mat_/),
        refresh_token: expect.stringMatching(/^mar_/),
        id_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 300,
        scope,
      },
    ])
    expect(await introspect(harness, body.access_token ?? '')).toMatchObject({
      active: true,
      username: 'alice',
      client_id: clientId,
      scope: expect.stringContaining(deviceScope('LIVINGROOM')),
    })
    expect(harness.homeserver.users.get('alice')?.devices.get('LIVINGROOM')).toBe(
      'Test Television on Model 7, Android',
    )
    const claims = JSON.parse(atob((body.id_token ?? '').split('.')[1] ?? '')) as Record<string, unknown>
    expect(claims).toMatchObject({ aud: clientId, iss: 'http://auth.test/' })
    for (const name of ['nonce', 'c_hash']) expect(Object.keys(claims)).not.toContain(name)
  })

  test('the refresh token works', async () => {
    const { device_code, user_code } = await fresh()
    await approve(browser, user_code)
    const { body } = await poll(harness, clientId, device_code)
    const refreshed = await harness.form('/oauth2/token', {
      grant_type: 'refresh_token',
      client_id: clientId,
      refresh_token: body.refresh_token ?? '',
    })
    expect(refreshed.status).toBe(200)
  })

  test('no refresh token for a client without that grant, no ID token without openid, no scope without scopes', async () => {
    const client = await registerDeviceClient(harness, { grant_types: [DEVICE_GRANT] })
    harness.clock.advance(120)
    const { device_code, user_code } = await requestDevice(harness, client, {})
    await approve(browser, user_code)
    const { body } = await poll(harness, client, device_code)
    expect(body as object).toEqual({
      access_token: expect.stringMatching(/^mat_/),
      token_type: 'Bearer',
      expires_in: 300,
    })
    expect(await introspect(harness, body.access_token ?? '')).toMatchObject({ active: true })
  })

  test('a homeserver that is down is 503, and the device code works afterwards', async () => {
    const { device_code, user_code } = await fresh()
    await approve(browser, user_code)
    harness.homeserver.down = true
    expect(await outcome(device_code)).toEqual([503, 'temporarily_unavailable'])
    harness.homeserver.down = false
    expect(await outcome(device_code)).toEqual([200, undefined])
  })
})

describe('whose approval counts (edge 21)', () => {
  const set = (what: 'locked_at' | 'deactivated_at', value: Date | null) =>
    harness.database
      .sql`update latchkey.users set ${harness.database.sql({ [what]: value })} where username = 'bob'`

  test('not that of an account that is locked or deactivated by now', async () => {
    const bob = harness.browser()
    await signUp(bob, 'bob')
    const { device_code, user_code } = await fresh()
    await approve(bob, user_code)
    for (const what of ['locked_at', 'deactivated_at'] as const) {
      await set(what, harness.clock.now())
      expect(await outcome(device_code)).toEqual([403, 'access_denied'])
      await set(what, null)
    }
    expect(await outcome(device_code)).toEqual([200, undefined])
  })

  test('not that of a browser that signed out', async () => {
    const carol = harness.browser()
    await signUp(carol, 'carol')
    const { device_code, user_code } = await fresh()
    await approve(carol, user_code)
    const account = await carol.open('/account/')
    await account.submit({}, { action: '/logout' })
    expect(await outcome(device_code)).toEqual([400, 'invalid_grant'])
  })
})

test('an OAuth client written elsewhere can use it', async () => {
  const oauth = await import('oauth4webapi')
  const options = {
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: (url: string, init: unknown) =>
      createApp(harness.deps, harness.deps.config.http.listeners[0] ?? { resources: [] }).handle(
        new Request(url, init as RequestInit),
      ),
  }
  const server = await oauth.processDiscoveryResponse(
    new URL('http://auth.test/'),
    await oauth.discoveryRequest(new URL('http://auth.test/'), options),
  )
  harness.clock.advance(120)
  // It has no other clock than that of the machine: the skew is a property of the client.
  const skew = Math.round((harness.clock.now().getTime() - Date.now()) / 1000)
  const client = { client_id: clientId, [oauth.clockSkew]: skew, [oauth.clockTolerance]: 300 }
  const codes = await oauth.processDeviceAuthorizationResponse(
    server,
    client,
    await oauth.deviceAuthorizationRequest(server, client, oauth.None(), { scope: 'openid' }, options),
  )
  const ask = () => oauth.deviceCodeGrantRequest(server, client, oauth.None(), codes.device_code, options)
  await approve(browser, codes.user_code)
  const tokens = await oauth.processDeviceCodeResponse(server, client, await ask())
  expect(tokens.access_token).toMatch(/^mat_/)
})

describe('the user code', () => {
  test('is read in any case, with any dashes, spaces and dots, wide or narrow', () => {
    for (const typed of [
      'CDFH2345',
      'cdfh-2345',
      ' cdfh 2345 ',
      'CdFh–2345',
      'c d f h . 2 3 4 5',
      'ＣＤＦＨ２３４５',
      'cdfh\u200b2345',
      '\u2068CDFH-2345\u2069',
    ])
      expect([typed, readUserCode(typed)]).toEqual([typed, 'CDFH2345'])
  })

  test('may be misread where a letter looks like a digit: the digit is meant', () => {
    expect(readUserCode('zsgb-cdfh')).toBe('2568CDFH')
  })

  test('is nothing else', () => {
    for (const typed of [
      '',
      'CDFH234',
      'CDFH23456',
      'CDFH2340',
      'ADFH2345',
      'LDFH2345',
      'бDFH2345',
      'CDFH/2345',
      '\0',
      ' '.repeat(200),
    ])
      expect([typed, readUserCode(typed)]).toEqual([typed, undefined])
  })

  test('has no characters that are taken for others, and all of them are used', () => {
    const drawn = Array.from({ length: 400 }, () => newUserCode(systemRandom))
    const used = new Set(drawn.join(''))
    expect([...used].sort().join('')).toBe('23456789CDFHJKMNPQRTVWX')
    for (const code of drawn) expect(readUserCode(formatUserCode(code))).toBe(code)
  })

  test('that is in use already is drawn again', async () => {
    const codes = ['CDFH2345', 'CDFH2345', 'HJKM6789']
    const bytes = (code: string) =>
      Uint8Array.from([...code].map((letter) => '23456789CDFHJKMNPQRTVWX'.indexOf(letter)))
    let drawing = false
    const random = {
      // A user code is what ten bytes are asked for after the device code; everything else is as random as ever.
      bytes: (length: number) => {
        if (length === 34) drawing = true
        if (length !== 10 || !drawing) return systemRandom.bytes(length)
        const drawn = new Uint8Array(10)
        drawn.set(bytes(codes.shift() ?? 'CDFH2345'))
        return drawn
      },
    }
    const app = createApp(
      { ...harness.deps, random },
      harness.deps.config.http.listeners[0] ?? { resources: [] },
    )
    const ask = async () => {
      drawing = false
      const response = await app.handle(
        new Request('http://auth.test/oauth2/device', {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ client_id: clientId }).toString(),
        }),
      )
      return [response.status, ((await response.json()) as { user_code?: string }).user_code]
    }
    expect(await ask()).toEqual([200, 'CDFH-2345'])
    expect(await ask()).toEqual([200, 'HJKM-6789'])
    expect(await ask()).toEqual([500, undefined])
  })
})

test('a client of the web cannot use the grant by accident', async () => {
  const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Web only' })
  expect((await harness.form('/oauth2/device', { client_id })).status).toBe(401)
})

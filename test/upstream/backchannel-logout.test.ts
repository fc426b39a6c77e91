import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { decodeJwt, exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose'
import type { Browser } from '../support/browser.ts'
import { exchange, introspect, obtainCode, registerClient } from '../support/oauth.ts'
import { PROVIDER, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const PATH = `/upstream/backchannel-logout/${PROVIDER}`

let world: UpstreamWorld
beforeAll(async () => {
  world = await upstreamWorld({ on_backchannel_logout: 'logout_browser_only' })
})
afterAll(() => world.close())

let people = 0
let name: string
let browser: Browser
beforeEach(async () => {
  name = `person${++people}`
  browser = await signedIn(world)
})

async function signedIn({ fake, harness, through }: UpstreamWorld): Promise<Browser> {
  fake.claims = { sub: name, sid: `session-of-${name}`, preferred_username: name }
  const one = harness.browser()
  await (await signUpThere(await through(one), { username: name })).submit({ display_name: 'Me' })
  return one
}

let serial = 0
function token(claims: Record<string, unknown> = {}, { fake, harness } = world): Promise<string> {
  const iat = Math.floor(harness.clock.now().getTime() / 1000)
  const right = {
    iss: fake.issuer,
    aud: 'latchkey',
    iat,
    exp: iat + 120,
    jti: `j${++serial}`,
    events: { [EVENT]: {} },
  }
  return fake.jwt({ ...right, sub: name, ...claims }, { typ: 'logout+jwt' })
}

const send = async (logout_token: string) => world.harness.form(PATH, { logout_token })
const isSignedIn = async (one = browser): Promise<boolean> =>
  (await one.open('/account/')).url.pathname === '/account/'

describe('POST /upstream/backchannel-logout/{id}', () => {
  test('ends the browser sessions of the subject, and nobody else’s', async () => {
    const [mine, myName] = [browser, name]
    name = `${name}-other`
    const other = await signedIn(world)
    name = myName
    const response = await send(await token())
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await isSignedIn(mine)).toBe(false)
    expect(await isSignedIn(other)).toBe(true)
  })

  test('with a session ends that one alone', async () => {
    world.fake.claims = { sub: name, sid: `another-session-of-${name}`, preferred_username: name }
    const second = world.harness.browser()
    await world.through(second)
    expect((await send(await token({ sub: undefined, sid: `session-of-${name}` }))).status).toBe(200)
    expect(await isSignedIn()).toBe(false)
    expect(await isSignedIn(second)).toBe(true)
  })

  test('counts once: a replayed token is refused (jti)', async () => {
    const sent = await token()
    expect((await send(sent)).status).toBe(200)
    await world.through(browser)
    expect(await isSignedIn()).toBe(true)
    expect((await send(sent)).status).toBe(400)
    expect(await isSignedIn()).toBe(true)
  })

  test.each([
    ['without the event', { events: {} }],
    ['with an event that is no object', { events: { [EVENT]: 'yes' } }],
    ['with a nonce, as ID tokens have', { nonce: 'n' }],
    ['about nobody', { sub: undefined }],
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'another' }],
    ['without an end', { exp: undefined }],
    ['that ran out', { exp: 1 }],
    ['without an id', { jti: undefined }],
  ])('refuses a token %s (OpenID Connect Back-Channel Logout section 2.6)', async (_, claims) => {
    const response = await send(await token(claims))
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: 'invalid_request' })
    expect(await isSignedIn()).toBe(true)
  })

  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const unsigned = async (header: object) => `${encoded(header)}.${(await token()).split('.')[1]}`
  test.each<[string, () => Promise<string>]>([
    ['without a signature (alg none)', async () => `${await unsigned({ alg: 'none' })}.`],
    [
      'signed with HS256 under the public key',
      async () => {
        const { jwk } = world.fake
        const pem = await exportSPKI((await importJWK(jwk, 'RS256', { extractable: true })) as CryptoKey)
        return new SignJWT(decodeJwt(await token()))
          .setProtectedHeader({ alg: 'HS256', typ: 'logout+jwt', kid: String(jwk.kid) })
          .sign(new TextEncoder().encode(pem))
      },
    ],
    [
      'signed with a key of somebody else',
      async () => {
        const { privateKey } = await generateKeyPair('RS256')
        return new SignJWT(decodeJwt(await token()))
          .setProtectedHeader({ alg: 'RS256', typ: 'logout+jwt', kid: String(world.fake.jwk.kid) })
          .sign(privateKey)
      },
    ],
  ])('refuses a token %s', async (_, forged) => {
    const response = await send(await forged())
    expect([response.status, await response.json()]).toMatchObject([400, { error: 'invalid_request' }])
    expect(await isSignedIn()).toBe(true)
  })

  test('refuses an ID token, none at all, and an unknown provider', async () => {
    expect((await world.harness.form(PATH, {})).status).toBe(400)
    expect((await send('x')).status).toBe(400)
    const other = await world.harness.form('/upstream/backchannel-logout/01J00000000000000000000000', {
      logout_token: await token(),
    })
    expect(other.status).toBe(404)
    expect(await other.json()).toMatchObject({ error: 'invalid_request' })
  })
})

test.each([
  ['do_nothing', true, true],
  ['logout_browser_only', false, true],
  ['logout_all', false, false],
] as const)(
  'on_backchannel_logout: %s leaves the browser signed in: %p, its apps: %p',
  async (mode, browserStays, appStays) => {
    const own = await upstreamWorld({ on_backchannel_logout: mode })
    const one = await signedIn(own)
    const { client_id } = await registerClient(own.harness)
    const code = await obtainCode(one, client_id)
    const { access_token } = await exchange(own.harness, client_id, code)
    const logout_token = await token({}, own)
    expect((await own.harness.form(PATH, { logout_token })).status).toBe(200)
    expect(await isSignedIn(one)).toBe(browserStays)
    expect((await introspect(own.harness, access_token)).active).toBe(appStays)
    await own.close()
  },
)

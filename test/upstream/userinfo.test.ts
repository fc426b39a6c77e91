import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose'
import { PROVIDER, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

type Claims = Record<string, unknown>

let world: UpstreamWorld
beforeAll(async () => {
  world = await upstreamWorld({ fetch_userinfo: true, userinfo_signed_response_alg: 'RS256' })
})
afterAll(() => world.close())
afterEach(() => {
  world.fake.answers.clear()
  world.harness.logged.length = 0
})

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const right = (): Claims => ({ iss: world.fake.issuer, aud: 'latchkey', sub: 'somebody', name: 'Ada Byron' })
const answerWith = (body: string, type = 'application/jwt') =>
  world.fake.answers.set('/userinfo', () => new Response(body, { headers: { 'content-type': type } }))
const signIn = () => world.through(world.harness.browser(), `/upstream/authorize/${PROVIDER}`)

describe('userinfo that must be signed (userinfo_signed_response_alg, OpenID Connect Core section 5.3.2)', () => {
  test('is taken when everything about it is right', async () => {
    answerWith(await world.fake.jwt(right()))
    const page = await signIn()
    expect(page.url.pathname).toStartWith('/upstream/link/')
    expect(page.text).toContain('Ada Byron')
  })

  test.each<[string, () => Promise<[body: string, type?: string]>, string]>([
    [
      'signed with a key of somebody else',
      async () => {
        const { privateKey } = await generateKeyPair('RS256')
        const kid = String(world.fake.jwk.kid)
        return [await new SignJWT(right()).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey)]
      },
      'does not verify with RS256',
    ],
    [
      'with claims that were changed',
      async () => {
        const [header, , signature] = (await world.fake.jwt(right())).split('.')
        return [`${header}.${base64({ ...right(), name: 'Eve' })}.${signature}`]
      },
      'does not verify with RS256',
    ],
    [
      'with alg none',
      async () => [`${base64({ alg: 'none' })}.${base64(right())}.`],
      'does not verify with RS256 (its header says none)',
    ],
    [
      'signed with HS256 under the public key',
      async () => {
        const key = (await importJWK(world.fake.jwk, 'RS256', { extractable: true })) as CryptoKey
        const secret = new TextEncoder().encode(await exportSPKI(key))
        const kid = String(world.fake.jwk.kid)
        return [await new SignJWT(right()).setProtectedHeader({ alg: 'HS256', kid }).sign(secret)]
      },
      'does not verify with RS256 (its header says HS256)',
    ],
    ['for another client', async () => [await world.fake.jwt({ ...right(), aud: 'another' })], 'a wrong aud'],
    ['for nobody', async () => [await world.fake.jwt({ ...right(), aud: undefined })], 'a wrong aud'],
    [
      'of another issuer',
      async () => [await world.fake.jwt({ ...right(), iss: 'https://evil.example' })],
      'a wrong iss',
    ],
    ['that ran out', async () => [await world.fake.jwt({ ...right(), exp: 1 })], 'out of its time'],
    [
      'about somebody else',
      async () => [await world.fake.jwt({ ...right(), sub: 'another' })],
      'about somebody else than the ID token',
    ],
    ['as plain JSON', async () => [JSON.stringify(right()), 'application/json'], 'not a JWT'],
    ['as JSON that says it is a JWT', async () => [JSON.stringify(right())], 'does not verify with RS256'],
    ['as nothing', async () => [''], 'does not verify with RS256'],
  ])('%s is refused', async (_, make, why) => {
    answerWith(...(await make()))
    const page = await signIn()
    expect(page.url.pathname).toBe('/login')
    expect(page.text).toContain('Signing in with Harbour did not work.')
    const said = world.harness.logged.find(({ event }) => event === 'upstream.failed')
    expect(String(said?.fields.error)).toContain(why)
  })
})

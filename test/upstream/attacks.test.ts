import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { CompactEncrypt, exportSPKI, importJWK, SignJWT } from 'jose'
import { syncProviders } from '../../src/upstream/sync.ts'
import { startFakeProvider } from '../support/fake-provider.ts'
import { createHarness } from '../support/harness.ts'
import { PROVIDER, signUpThere, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

let world: UpstreamWorld
beforeAll(async () => {
  world = await upstreamWorld({ fetch_userinfo: true })
})
afterAll(() => world.close())
afterEach(() => {
  const { fake } = world
  Object.assign(fake, { claims: {}, sign: undefined, userinfo: {}, metadata: {} })
  fake.answers.clear()
})

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The sign-in page with a sentence about the provider; nobody is signed in, and the log does not say secrets. */
async function expectRefused(changes?: Record<string, string | undefined>): Promise<void> {
  const browser = world.harness.browser()
  const start = `/upstream/authorize/${PROVIDER}?kind=manage_account&page=apps`
  const page = await world.through(browser, start, changes)
  expect(page.url.pathname + page.url.search).toBe('/login?kind=manage_account&page=apps')
  expect(page.text).toContain('Signing in with Harbour did not work.')
  expect(browser.cookies.has('session')).toBe(false)
  const again = await browser.open('/login')
  expect(again.text).not.toContain('did not work')
}

describe('an ID token', () => {
  test('is taken when everything about it is right', async () => {
    const page = await world.through(world.harness.browser())
    expect(page.url.pathname).toStartWith('/upstream/link/')
  })

  test.each([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'somebody-else' }],
    ['for several clients without an authorized party', { aud: ['latchkey', 'another'] }],
    ['with another authorized party', { azp: 'another' }],
    ['with another nonce', { nonce: 'another' }],
    ['without a nonce', { nonce: undefined }],
    ['for another access token', { at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ['for another code', { c_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ['that ran out', { exp: 1 }],
    ['without an end', { exp: undefined }],
    ['without a beginning', { iat: undefined }],
    ['without a subject', { sub: undefined }],
    ['with a NUL character', { name: 'a\u0000b' }],
    ['with an endless subject', { sub: 'x'.repeat(300) }],
  ])('%s is refused (OpenID Connect Core section 3.1.3.7)', async (_, claims) => {
    world.fake.claims = claims
    await expectRefused()
  })

  test('with alg none is refused', async () => {
    world.fake.sign = async (claims) => `${base64({ alg: 'none' })}.${base64(claims)}.`
    await expectRefused()
  })

  test('signed with HS256 under the public key is refused', async () => {
    world.fake.sign = async (claims) => {
      const pem = await exportSPKI(
        (await importJWK(world.fake.jwk, 'RS256', { extractable: true })) as CryptoKey,
      )
      return new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid: String(world.fake.jwk.kid) })
        .sign(new TextEncoder().encode(pem))
    }
    await expectRefused()
  })

  test('signed with a key of somebody else is refused', async () => {
    const { key, jwk } = world.fake
    await world.fake.rotate()
    const { key: other } = world.fake
    Object.assign(world.fake, { key, jwk })
    world.fake.sign = (claims) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: String(jwk.kid) }).sign(other)
    await expectRefused()
  })

  test('signed with a key that is newer than the key set we have makes us fetch it again', async () => {
    await world.through(world.harness.browser())
    world.harness.clock.advance(60)
    await world.fake.rotate()
    const page = await world.through(world.harness.browser())
    expect(page.url.pathname).toStartWith('/upstream/link/')
  })

  test.each([
    ['RSA', 'RSA-OAEP-256'],
    ['EC', 'ECDH-ES'],
  ])('encrypted to our %s key is opened, and its signature still counts', async (kty, alg) => {
    const { fake, harness } = world
    const jwk = harness.deps.keys.jwks.keys.find((key) => key.kty === kty)
    const encrypt = async (text: string) => {
      const key = await importJWK({ ...jwk } as never, alg)
      return new CompactEncrypt(new TextEncoder().encode(text))
        .setProtectedHeader({ alg, enc: 'A256GCM', kid: String(jwk?.kid), cty: 'JWT' })
        .encrypt(key)
    }
    fake.sign = async (claims) => encrypt(await fake.jwt(claims))
    expect((await world.through(harness.browser())).url.pathname).toStartWith('/upstream/link/')
    fake.sign = async (claims) => encrypt(`${base64({ alg: 'none' })}.${base64(claims)}.`)
    await expectRefused()
    fake.sign = async (claims) => encrypt(JSON.stringify(claims))
    await expectRefused()
  })

  test('that is missing although it was asked for is refused', async () => {
    world.fake.answers.set('/token', () => Response.json({ access_token: 'a' }))
    await expectRefused()
  })
})

describe('an answer', () => {
  test('of another issuer is refused (RFC 9207, mix-up)', async () => {
    const before = world.fake.forms.length
    await expectRefused({ iss: 'https://evil.example' })
    expect(world.fake.forms.length).toBe(before)
  })

  test('with the state of another browser is refused, and stays good there', async () => {
    const theirs = world.harness.browser()
    const away = await theirs.open(`/upstream/authorize/${PROVIDER}`)
    const answer = world.fake.answer(away.url)
    const mine = world.harness.browser()
    await mine.open(`/upstream/authorize/${PROVIDER}`)
    const page = await mine.open(answer.href)
    expect(page.status).toBe(400)
    expect(page.text).toContain('This sign-in is over')
    expect((await theirs.open(answer.href)).url.pathname).toStartWith('/upstream/link/')
  })

  test('counts once: a replayed code is not even exchanged', async () => {
    const browser = world.harness.browser()
    const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
    const answer = world.fake.answer(away.url)
    await browser.open(answer.href)
    const before = world.fake.forms.length
    expect((await browser.open(answer.href)).status).toBe(400)
    expect(world.fake.forms.length).toBe(before)
  })

  test('that comes after an hour is refused', async () => {
    const browser = world.harness.browser()
    const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
    world.harness.clock.advance(3601)
    expect((await browser.open(world.fake.answer(away.url).href)).status).toBe(400)
  })

  test.each([
    ['access_denied', 'You did not sign in with Harbour. Nothing was changed.'],
    ['temporarily_unavailable', 'Harbour does not answer just now.'],
    ['<script>', 'Signing in with Harbour did not work.'],
  ])('with the error %s leads back to sign-in, and on from there', async (error, sentence) => {
    const page = await world.through(
      world.harness.browser(),
      `/upstream/authorize/${PROVIDER}?kind=manage_account&page=apps`,
      { code: undefined, error },
    )
    expect(page.url.search).toBe('?kind=manage_account&page=apps')
    expect(page.text).toContain(sentence)
    expect(page.text).not.toContain('<script>alert')
  })

  test('of one provider at the callback of another is not an answer there', async () => {
    const browser = world.harness.browser()
    const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
    const url = world.fake.answer(away.url)
    url.pathname = '/upstream/callback/01J00000000000000000000000'
    expect((await browser.open(url.href)).status).toBe(404)
  })

  test('of one provider at the callback of another that is enabled too is shown to neither (mix-up)', async () => {
    const own = await upstreamWorld()
    const hostile = await startFakeProvider({ clock: own.harness.clock })
    const OTHER = '01JDFX2V9S6QK3W4Z5Y7T8R9PB'
    const provider = { client_id: 'latchkey', token_endpoint_auth_method: 'none' as const }
    const harness = await createHarness({
      beside: own.harness,
      config: {
        upstream_oauth2: {
          providers: [
            { ...provider, id: PROVIDER, issuer: own.fake.issuer },
            { ...provider, id: OTHER, issuer: hostile.issuer },
          ],
        },
      },
    })
    await syncProviders(harness.deps)
    const browser = harness.browser()
    const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
    const answer = own.fake.answer(away.url)
    answer.pathname = `/upstream/callback/${OTHER}`
    expect((await browser.open(answer.href)).status).toBe(400)
    expect([...own.fake.forms, ...hostile.forms]).toEqual([])
    // And the way that it belongs to is as good as before.
    answer.pathname = `/upstream/callback/${PROVIDER}`
    expect((await browser.open(answer.href)).url.pathname).toStartWith('/upstream/link/')
    expect(hostile.forms).toEqual([])
    hostile.stop()
    await harness.close()
    await own.close()
  })

  test('that names nobody is refused where the provider says that it names itself (RFC 9207)', async () => {
    const own = await upstreamWorld()
    own.fake.metadata = { authorization_response_iss_parameter_supported: true }
    const refused = await own.through(own.harness.browser())
    expect(refused.text).toContain('Signing in with Harbour did not work.')
    expect(own.fake.forms).toEqual([])
    const named = await own.through(own.harness.browser(), undefined, { iss: own.fake.issuer })
    expect(named.url.pathname).toStartWith('/upstream/link/')
    await own.close()
  })

  test.each([
    ['query', 'in a form'],
    ['form_post', 'in the address'],
  ] as const)('that was wanted as %s and comes %s is refused, and uses nothing up', async (response_mode) => {
    const own = await upstreamWorld({ response_mode })
    const browser = own.harness.browser()
    const { pathname, searchParams, href } = own.fake.answer(
      (await browser.open(`/upstream/authorize/${PROVIDER}`)).url,
    )
    const posted = () => browser.post(pathname, Object.fromEntries(searchParams))
    const inQuery = () => browser.open(href)
    const [wrong, right] = response_mode === 'query' ? [posted, inQuery] : [inQuery, posted]
    expect((await wrong()).status).toBe(405)
    expect(own.fake.forms).toEqual([])
    expect((await right()).url.pathname).toStartWith('/upstream/link/')
    await own.close()
  })

  test('posted by the provider comes without cookies, and is posted once more by us (SameSite=Lax)', async () => {
    const browser = world.harness.browser()
    const away = await browser.open(`/upstream/authorize/${PROVIDER}`)
    const { searchParams, pathname } = world.fake.answer(away.url)
    const fields = Object.fromEntries(searchParams)
    const relay = await world.harness.form(pathname, fields)
    expect(relay.status).toBe(200)
    expect(relay.headers.getSetCookie()).toEqual([])
    expect(await relay.text()).toContain('name="did_mas_repost_to_itself" value="true"')
    const stranger = await world.harness.form(pathname, { ...fields, did_mas_repost_to_itself: 'true' })
    expect(stranger.status).toBe(400)
    const page = await browser.post(pathname, { ...fields, did_mas_repost_to_itself: 'true' })
    expect(page.url.pathname).toStartWith('/upstream/link/')
  })
})

describe('a provider', () => {
  test('whose userinfo is about somebody else is refused (OpenID Connect Core section 5.3.2)', async () => {
    world.fake.userinfo = { sub: 'somebody-else' }
    await expectRefused()
  })

  test.each([
    ['of another issuer', { issuer: 'https://evil.example' }],
    ['without an endpoint', { token_endpoint: undefined }],
    ['with an endpoint without TLS', { token_endpoint: 'http://harbour.example/token' }],
    ['without keys', { jwks_uri: undefined }],
    ['with a fragment in an endpoint', { authorization_endpoint: 'https://harbour.example/authorize#a' }],
    ['without the scope openid', { scopes_supported: ['profile'] }],
  ])('with metadata %s costs its button alone', async (_, metadata) => {
    const own = await upstreamWorld()
    own.fake.metadata = metadata
    const page = await own.harness.browser().open(`/upstream/authorize/${PROVIDER}`)
    expect(page.url.pathname).toBe('/login')
    expect(page.text).toContain('Signing in with Harbour did not work.')
    await own.close()
  })

  test.each([
    ['this machine', 'https://127.0.0.1:1/token'],
    ['a private address', 'https://10.0.0.1/token'],
    ['the metadata of a cloud', 'https://169.254.169.254/latest'],
    ['a name that leads there', 'https://localhost:1/token'],
  ])('whose metadata leads to %s has us ask nobody there (SSRF)', async (_, endpoint) => {
    const own = await upstreamWorld()
    own.fake.metadata = { token_endpoint: endpoint }
    const page = await own.through(own.harness.browser())
    expect(page.text).toContain('Harbour does not answer just now.')
    const said = own.harness.logged.find(({ event }) => event === 'upstream.failed')
    expect(String(said?.fields.error)).toMatch(/is not a? ?public/)
    await own.close()
  })

  test('with ten megabytes of metadata is not read to the end', async () => {
    const own = await upstreamWorld()
    own.fake.answers.set('/.well-known/openid-configuration', () => new Response('x'.repeat(10_000_000)))
    const page = await own.harness.browser().open(`/upstream/authorize/${PROVIDER}`)
    expect(page.text).toContain('Harbour does not answer just now.')
    await own.close()
  })

  test('that is down costs its own button: the page stands, and metadata that was read before goes on', async () => {
    const own = await upstreamWorld()
    own.fake.stop()
    const down = await own.harness.browser().open(`/upstream/authorize/${PROVIDER}`)
    expect(down.url.pathname).toBe('/login')
    expect(down.status).toBe(200)
    expect(down.text).toContain('Harbour does not answer just now.')
    await own.harness.close()
    world.harness.clock.advance(3600)
    world.fake.answers.set('/.well-known/openid-configuration', () => new Response('', { status: 503 }))
    const page = await world.through(world.harness.browser())
    expect(page.url.pathname).toStartWith('/upstream/link/')
  })

  test('whose metadata redirects is not followed (SSRF)', async () => {
    const own = await upstreamWorld()
    const { fake, harness } = own
    fake.answers.set('/.well-known/openid-configuration', () =>
      Response.redirect(`${fake.issuer}/inside`, 302),
    )
    const page = await harness.browser().open(`/upstream/authorize/${PROVIDER}`)
    expect(page.text).toContain('Harbour does not answer just now.')
    expect(fake.asked).toEqual(['/.well-known/openid-configuration'])
    await own.close()
  })

  test('that redirects its token endpoint is refused', async () => {
    world.fake.answers.set('/token', () => Response.redirect('http://127.0.0.1:1/', 307))
    await expectRefused()
  })
})

describe('an account', () => {
  test('cannot be taken over through an address that the provider calls unverified', async () => {
    const own = await upstreamWorld()
    const { harness, fake } = own
    fake.claims = {
      sub: 'victim',
      preferred_username: 'victim',
      name: 'Victim',
      email: 'victim@harbour.example',
      email_verified: true,
    }
    const victim = harness.browser()
    await signUpThere(await own.through(victim), {
      username: 'victim',
      import_email: 'on',
      import_display_name: 'on',
    })
    fake.claims = {
      sub: 'attacker',
      preferred_username: 'att',
      email: 'victim@harbour.example',
      email_verified: false,
    }
    const page = await own.through(harness.browser())
    expect(page.text).not.toContain('victim@harbour.example')
    fake.claims = { ...fake.claims, email_verified: true }
    const verified = await own.through(harness.browser())
    expect(verified.url.pathname).toStartWith('/upstream/link/')
    expect(verified.text).not.toContain('victim@harbour.example')
    await own.close()
  })

  test('is not entered through a name that the provider gives, unless the operator says so (on_conflict)', async () => {
    const own = await upstreamWorld({ claims_imports: { localpart: { action: 'force' } } })
    own.fake.claims = { sub: 'a', preferred_username: 'admin1' }
    await signUpThere(await own.through(own.harness.browser()), {})
    own.fake.claims = { sub: 'b', preferred_username: 'admin1' }
    const browser = own.harness.browser()
    const page = await own.through(browser)
    expect(page.status).toBe(403)
    expect(page.text).toContain('there is an account of that name here already')
    expect(browser.cookies.has('session')).toBe(false)
    await own.close()
  })

  test('with an account of its own gets into no other one by a new name there (on_conflict: set)', async () => {
    const own = await upstreamWorld({
      claims_imports: {
        localpart: { action: 'force', on_conflict: 'set' },
        displayname: { action: 'force' },
      },
    })
    const { fake, harness } = own
    const as = async (sub: string, preferred_username: string) => {
      fake.claims = { sub, preferred_username, name: sub }
      const browser = harness.browser()
      return { browser, page: await own.through(browser, `/upstream/authorize/${PROVIDER}`) }
    }
    for (const name of ['victim', 'attacker']) await signUpThere((await as(name, name)).page, {})
    // Whoever may choose a name there chooses that of somebody else: it stays the account that it was.
    const renamed = await as('attacker', 'victim')
    expect((await renamed.browser.open('/account/')).text).toContain('@attacker:')
    // Nor with another identity there, once the account has one.
    const fresh = await as('attacker-2', 'victim')
    expect(fresh.page.status).toBe(403)
    expect(fresh.browser.cookies.has('session')).toBe(false)
    await own.close()
  })

  test('is not named in the log with what would open it', async () => {
    const said = JSON.stringify(world.harness.logged, (_, value) =>
      value instanceof Error ? { message: value.message, cause: value.cause } : value,
    )
    for (const secret of ['an-access-token', 'code-', 'eyJ']) expect(said).not.toContain(secret)
  })
})

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { PassThrough } from 'node:stream'
import type { Context } from '../../src/commands/context.ts'
import { printTrial } from '../../src/commands/upstream/print.ts'
import { beginTrial, requireProvider, type Trial } from '../../src/commands/upstream/trial.ts'
import tryProvider from '../../src/commands/upstream/try.ts'
import type { Provider } from '../../src/identity/providers.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { ProviderError } from '../../src/upstream/provider-error.ts'
import { PROVIDER, type UpstreamWorld, upstreamWorld } from '../support/upstream.ts'

let world: UpstreamWorld
beforeAll(async () => {
  world = await upstreamWorld({
    fetch_userinfo: true,
    allow_if: "'staff' in user.groups",
    admin_if: 'user.nothing.below',
    claims_imports: {
      localpart: { action: 'require', template: '{{ user.login }}' },
      displayname: { action: 'suggest', template: '{{ user.name | nonsense }}' },
      email: { action: 'suggest' },
    },
  })
})
afterAll(() => world.close())
afterEach(() => {
  const { fake } = world
  Object.assign(fake, { claims: {}, sign: undefined, userinfo: {}, metadata: {} })
})

const providerOf = (changes: Partial<Provider> = {}): Provider => {
  const provider = world.harness.deps.upstream.provider(PROVIDER)
  if (!provider) throw new Error('no provider')
  return { ...provider, ...changes }
}
const begin = (changes?: Partial<Provider>): Promise<Trial> =>
  beginTrial(world.harness.deps, providerOf(changes))
/** Everything that a sign-in could write. */
const written = () => world.harness.deps.sql`
  select (select count(*)::int from latchkey.upstream_sessions) as ways,
    (select count(*)::int from latchkey.upstream_links) as links,
    (select count(*)::int from latchkey.users) as users`

describe('latchkey upstream try', () => {
  test('goes the way of a sign-in, says what each template makes of the claims, and writes nothing', async () => {
    const { fake } = world
    fake.claims = { groups: ['staff'], login: 'ada', email: 'ada@harbour.example' }
    fake.userinfo = { email_verified: false, secret: 'an-access-token' }
    const before = await written()
    const trial = await begin()
    expect(trial.url.searchParams.get('redirect_uri')).toBe(`http://auth.test/upstream/callback/${PROVIDER}`)
    expect(trial.url.searchParams.get('code_challenge_method')).toBe('S256')
    const back = fake.answer(trial.url, { extra: 'more' })
    // Where the browser ends up: the server knows nothing of it.
    const page = await world.harness.browser().open(back.href)
    expect(page.status).toBe(400)
    const result = await trial.finish(` ${back.href}\n`)
    expect(result).toMatchObject({
      provider_id: PROVIDER,
      claims: { id_token_claims: { login: 'ada' }, extra_callback_parameters: { extra: 'more' } },
      allow_if: true,
      admin_if: false,
      imports: {
        subject: { template: '{{ user.sub }}', value: 'somebody' },
        localpart: { action: 'require', value: 'ada' },
        displayname: { value: null, error: expect.stringContaining('nonsense') },
        email: { value: 'ada@harbour.example' },
        account_name: null,
      },
    })
    expect(result.outcome).toStartWith(
      'Whoever has an account with this identity is signed in; somebody new may',
    )
    const text = printTrial('Harbour', result)
    expect(text).toMatch(/^localpart +ada\n +from \{\{ user\.login \}\}, action require$/m)
    expect(text).toMatch(/^displayname +fails: /m)
    expect(text).toMatch(/^admin_if +does not hold$/m)
    expect(await written()).toEqual(before)
  })

  test.each<[string, Record<string, unknown>, Partial<Provider>, RegExp]>([
    ['whom allow_if turns away', { groups: ['other'] }, {}, /^Turned away by allow_if\.$/],
    ['where allow_if fails', {}, { allow_if: 'user.a.b.c' }, /^Turned away by allow_if, which fails: /],
    ['without a claim that is required', { groups: ['staff'] }, {}, /localpart is required and missing\.$/],
    [
      'where nobody may register',
      { groups: ['staff'] },
      { allow_registration: false },
      /nobody else gets one \(allow_registration\)\.$/,
    ],
  ])('says what becomes of somebody %s', async (_, claims, changes, outcome) => {
    world.fake.claims = claims
    const trial = await begin(changes)
    expect((await trial.finish(world.fake.answer(trial.url).href)).outcome).toMatch(outcome)
  })

  test('says that an account of the name is given (on_conflict), also where nobody may register', async () => {
    const { claims_imports: claims } = providerOf()
    const localpart = { ...claims.localpart, on_conflict: 'add' as const }
    world.fake.claims = { groups: ['staff'], login: 'ada' }
    const trial = await begin({ allow_registration: false, claims_imports: { ...claims, localpart } })
    expect((await trial.finish(world.fake.answer(trial.url).href)).outcome).toBe(
      'Whoever has an account with this identity is signed in, and into the account ada if there is one (on_conflict); nobody else gets one (allow_registration).',
    )
  })

  test('refuses the answer of another attempt, of another issuer (mix-up), and an error', async () => {
    const { fake } = world
    const [trial, other] = [await begin(), await begin()]
    const forms = fake.forms.length
    await expect(trial.finish(fake.answer(other.url).href)).rejects.toThrow('does not belong to this attempt')
    await expect(trial.finish('nonsense')).rejects.toThrow('does not belong to this attempt')
    await expect(
      trial.finish(fake.answer(trial.url, { iss: 'https://evil.example' }).href),
    ).rejects.toBeInstanceOf(ProviderError)
    await expect(
      trial.finish(fake.answer(trial.url, { error: 'access_denied', error_description: 'Not you' }).href),
    ).rejects.toThrow('The provider answered access_denied: Not you')
    // None of their codes was shown to anybody.
    expect(fake.forms).toHaveLength(forms)
  })

  test('asks for an answer by address where the configuration wants a form; Apple then tells no scope', async () => {
    const posted = await begin({ response_mode: 'form_post' })
    expect(posted.isByAddress).toBe(true)
    expect(posted.url.searchParams.get('response_mode')).toBe('query')
    expect(posted.url.searchParams.get('scope')).toBe('openid profile')
    const apple = await begin({
      response_mode: 'form_post',
      token_endpoint_auth_method: 'sign_in_with_apple',
    })
    expect(apple.url.searchParams.get('scope')).toBe('')
  })

  test('finds the provider by its id in either case, and names those that there are', () => {
    const { config, upstream } = world.harness.deps
    expect(requireProvider(config, upstream.provider, PROVIDER.toLowerCase()).id).toBe(PROVIDER)
    expect(requireProvider(config, upstream.provider, undefined).id).toBe(PROVIDER)
    expect(() => requireProvider(config, upstream.provider, 'other')).toThrow(
      `There is no provider other: ${PROVIDER} (Harbour)`,
    )
    const none = { upstream_oauth2: { providers: [] } }
    expect(() => requireProvider(none, () => undefined, undefined)).toThrow('There is no provider')
  })

  test.each([
    ['prints no token, no code and no secret, also where a claim repeats one', false],
    ['at a terminal asks once more for what is no address of this attempt', true],
  ])('%s', async (_, isTTY) => {
    const { fake } = world
    // The command has the clock of this machine.
    const iat = Math.floor(systemClock.now().getTime() / 1000)
    fake.claims = { iat, exp: iat + 300, leak: 'x an-access-token y', kept: 'hunter-secret-of-ours' }
    const config = {
      http: { public_base: 'http://auth.test/', listeners: [] },
      matrix: { homeserver: 'example.test', secret: 'hunter-secret-of-ours' },
      secrets: { encryption: '0123456789abcdef'.repeat(4) },
      upstream_oauth2: {
        providers: [
          {
            id: PROVIDER,
            issuer: fake.issuer,
            client_id: 'latchkey',
            client_secret: 'there-is-a-secret',
            token_endpoint_auth_method: 'client_secret_post',
          },
        ],
      },
    }
    const path = `${process.env.TMPDIR ?? '/tmp'}/upstream-try-${process.pid}.yaml`
    await Bun.write(path, JSON.stringify(config))
    const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode() {} })
    // What the person pastes, one prompt after the other.
    const pasted = isTTY ? ['nonsense\n'] : []
    let out = ''
    let err = ''
    let code = ''
    const context = {
      process: {
        stdout: {
          write: (text: string) => {
            out += text
          },
        },
        stderr: {
          write: (text: string) => {
            err += text
            // The person: opens the address, and pastes the one that it leads to.
            const asked = /http:\S+\/authorize\S+/.exec(text)?.[0]
            if (text === 'The address: ') stdin.write(pasted.shift() ?? '')
            if (asked === undefined) return
            const back = fake.answer(new URL(asked))
            code = back.searchParams.get('code') ?? ''
            pasted.push(`${back.href}\n`)
          },
        },
      },
      env: {},
      stdin,
      isTerminal: false,
      signal: new AbortController().signal,
      onHangup() {},
    } as unknown as Context
    try {
      await tryProvider.call(context, { config: [path], json: true })
    } finally {
      await Bun.file(path).delete()
    }
    const shown = JSON.parse(out)
    expect(shown.claims.id_token_claims).toMatchObject({ leak: 'x [secret] y', kept: '[secret]' })
    expect(shown.secrets).toBeUndefined()
    expect(err.includes('Copy it once more, please.')).toBe(isTTY)
    expect(code).not.toBe('')
    for (const secret of ['an-access-token', code, 'eyJ', 'there-is-a-secret', 'hunter-secret-of-ours'])
      expect(out + err).not.toContain(secret)
  })

  test('says in one sentence why a sign-in does not work', async () => {
    world.fake.claims = { nonce: 'another' }
    const trial = await begin()
    await expect(trial.finish(world.fake.answer(trial.url).href)).rejects.toThrow('wrong nonce')
  })
})

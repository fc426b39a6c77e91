import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as rules from '../../src/oauth/assertion-claims.ts'
import { type ClientKey, clientKey, signWithSecret } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { registerClient, WEB_CLIENT } from '../support/oauth.ts'

/**
 * The rules of a client assertion, each by the name of its function: each is broken alone, in an assertion that keeps all
 * others, and the log says which it was. So no test passes because another rule caught it.
 */
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const CONFIDENTIAL = { ...WEB_CLIENT, grant_types: ['client_credentials', 'authorization_code'] }
const SIGNATURE = 'the signature does not hold under any key of the client, or its time is over'

let harness: Harness
let other: Harness
let key: ClientKey
let clientId: string
let secretClient: { client_id: string; client_secret?: string }
beforeAll(async () => {
  harness = await createHarness()
  // A second process on the same database.
  other = await createHarness({ beside: harness })
  key = await clientKey('PS256')
  clientId = await registerKey()
  secretClient = await registerClient(harness, {
    ...CONFIDENTIAL,
    token_endpoint_auth_method: 'client_secret_jwt',
  })
})
afterAll(async () => {
  await other.close()
  await harness.close()
})

/** A client with the key, in whatever algorithm it can sign unless it registers one. */
async function registerKey(more: object = {}): Promise<string> {
  const { alg: _, ...jwk } = key.jwk
  const metadata = { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] }, ...more }
  return (await registerClient(harness, { ...CONFIDENTIAL, ...metadata })).client_id
}

type Claims = Record<string, unknown>
const seconds = () => Math.floor(harness.clock.now().getTime() / 1000)
let counter = 0
/** Claims that keep every rule, but for these changes; what is undefined is left out. */
const claimsOf = (id: string, changes: Claims = {}): Claims =>
  JSON.parse(
    JSON.stringify({
      iss: id,
      sub: id,
      aud: 'http://auth.test/',
      iat: seconds(),
      exp: seconds() + 60,
      jti: `jti-${counter++}`,
      ...changes,
    }),
  )

/** `ok`, or why the log says that the client was rejected. */
async function verdict(assertion: string, at = harness): Promise<unknown> {
  at.logged.length = 0
  const response = await at.form('/oauth2/token', {
    grant_type: 'client_credentials',
    client_assertion_type: JWT_BEARER,
    client_assertion: assertion,
  })
  if (response.status === 200) return 'ok'
  const { error } = (await response.json()) as { error: string }
  expect([response.status, error]).toEqual([401, 'invalid_client'])
  return at.logged.find(({ event }) => event === 'client.rejected')?.fields.reason
}

type Rule = Exclude<keyof typeof rules, 'SKEW' | 'brokenRule'>
/** What breaks a rule, what just keeps it, and what the log says. */
const CLAIM_RULES: Record<Rule, { reason: string; breaks: () => Claims[]; keeps: () => Claims[] }> = {
  isFromClient: {
    reason: 'iss is not the client',
    breaks: () => [
      { iss: secretClient.client_id },
      { iss: undefined },
      { iss: '' },
      { iss: clientId.toLowerCase() },
    ],
    keeps: () => [{}],
  },
  isAboutClient: {
    reason: 'sub is not the client',
    // Whose it is, it says by its sub: any other is the assertion of another client.
    breaks: () => [{ sub: clientId.toLowerCase() }],
    keeps: () => [{}],
  },
  // For clients of FAPI 2.0 it is another one: fapi2.test.ts, section 5.3.2.1, point 8.
  isForUs: {
    reason: 'aud is not this server',
    breaks: () => [
      { aud: 'https://other.test/' },
      { aud: undefined },
      { aud: [] },
      { aud: 'http://auth.test/authorize' },
      { aud: 'http://auth.test.other/' },
      { aud: [['http://auth.test/']] },
    ],
    keeps: () => [
      { aud: 'http://auth.test/' },
      { aud: 'http://auth.test' },
      { aud: 'http://auth.test/oauth2/token' },
      { aud: ['https://other.test/', 'http://auth.test/'] },
    ],
  },
  endsSoon: {
    reason: 'exp is missing or too far away',
    breaks: () => [{ exp: undefined }, { exp: seconds() + 3600 + 31 }],
    keeps: () => [{ exp: seconds() + 3600 + 30 }, { exp: seconds() + 1 }],
  },
  isMadeBefore: {
    reason: 'iat lies in the future',
    breaks: () => [{ iat: seconds() + 31 }],
    keeps: () => [{ iat: seconds() + 30 }, { iat: undefined }, { iat: seconds() - 3000 }],
  },
  hasName: {
    reason: 'jti is missing',
    breaks: () => [{ jti: undefined }, { jti: '' }, { jti: 7 }],
    keeps: () => [{ jti: 'one' }],
  },
}

describe('the claims (RFC 7523 section 3, OpenID Connect Core section 9)', () => {
  test.each(Object.entries(CLAIM_RULES))(
    '%s: what breaks it alone is refused, what just keeps it is taken',
    async (_name, { reason, breaks, keeps }) => {
      for (const changes of breaks())
        expect([changes, await verdict(await key.sign(claimsOf(clientId, changes)))]).toEqual([
          changes,
          reason,
        ])
      for (const changes of keeps())
        expect([changes, await verdict(await key.sign(claimsOf(clientId, changes)))]).toEqual([changes, 'ok'])
    },
  )

  test('every rule has its test', () => {
    const written = Object.keys(rules).filter((name) => !['SKEW', 'brokenRule'].includes(name))
    expect(Object.keys(CLAIM_RULES).sort()).toEqual(written.sort())
  })

  test('each rule holds for a shared secret too', async () => {
    const { client_id: id, client_secret: secret = '' } = secretClient
    for (const [name, { reason, breaks }] of Object.entries(CLAIM_RULES)) {
      if (name === 'isAboutClient') continue
      const [changes = {}] = breaks()
      const own = 'iss' in changes ? { iss: clientId } : changes
      expect([name, await verdict(await signWithSecret(claimsOf(id, own), secret))]).toEqual([name, reason])
    }
    expect(await verdict(await signWithSecret(claimsOf(id), secret))).toBe('ok')
  })
})

describe('its time (RFC 7523 section 3, points 4 and 5)', () => {
  test('it is over: exp, with half a minute for clocks', async () => {
    expect(await verdict(await key.sign(claimsOf(clientId, { exp: seconds() - 30 })))).toBe(SIGNATURE)
    expect(await verdict(await key.sign(claimsOf(clientId, { exp: seconds() - 28 })))).toBe('ok')
  })

  test('it has yet to begin: nbf, with half a minute for clocks', async () => {
    expect(await verdict(await key.sign(claimsOf(clientId, { nbf: seconds() + 31 })))).toBe(SIGNATURE)
    expect(await verdict(await key.sign(claimsOf(clientId, { nbf: seconds() + 29 })))).toBe('ok')
  })
})

describe('the signature (RFC 7523 section 3, point 9)', () => {
  test('another key of the same kind, with the same name', async () => {
    const stranger = await clientKey('PS256')
    expect(await verdict(await stranger.sign(claimsOf(clientId)))).toBe(SIGNATURE)
  })

  test('none, and a public key taken for a secret (RFC 8725 sections 2.1 and 3.1)', async () => {
    const [, payload] = (await key.sign(claimsOf(clientId))).split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    expect(await verdict(`${none}.${payload}.`)).toBe(SIGNATURE)
    expect(await verdict(await signWithSecret(claimsOf(clientId), JSON.stringify(key.jwk)))).toBe(SIGNATURE)
  })

  test('changed after it was signed', async () => {
    const [head, , signature] = (await key.sign(claimsOf(clientId))).split('.')
    const changed = Buffer.from(JSON.stringify(claimsOf(clientId))).toString('base64url')
    expect(await verdict(`${head}.${changed}.${signature}`)).toBe(SIGNATURE)
  })
})

describe('assertionAlgorithms: token_endpoint_auth_signing_alg (OpenID Connect Registration section 2)', () => {
  test('the key that the client registered signs in the registered algorithm only', async () => {
    const ps256 = await registerKey({ token_endpoint_auth_signing_alg: 'PS256' })
    expect(await verdict(await key.sign(claimsOf(ps256)))).toBe('ok')
    for (const alg of ['RS256', 'PS384', 'RS512'])
      expect([alg, await verdict(await key.sign(claimsOf(ps256), { alg }))]).toEqual([alg, SIGNATURE])
  })

  test('without one, the same key signs in every way that it can', async () => {
    for (const alg of ['PS256', 'RS256', 'PS384', 'RS512'])
      expect([alg, await verdict(await key.sign(claimsOf(clientId), { alg }))]).toEqual([alg, 'ok'])
  })

  test('the same for a secret', async () => {
    const { client_id: id, client_secret: secret = '' } = await registerClient(harness, {
      ...CONFIDENTIAL,
      token_endpoint_auth_method: 'client_secret_jwt',
      token_endpoint_auth_signing_alg: 'HS384',
    })
    expect(await verdict(await signWithSecret(claimsOf(id), secret, 'HS384'))).toBe('ok')
    for (const alg of ['HS256', 'HS512'])
      expect(await verdict(await signWithSecret(claimsOf(id), secret, alg))).toBe(
        'the signature does not hold',
      )
    const free = secretClient.client_secret ?? ''
    for (const alg of ['HS256', 'HS384', 'HS512'])
      expect(await verdict(await signWithSecret(claimsOf(secretClient.client_id), free, alg))).toBe('ok')
  })
})

test('checkOnce: a jti is good once, in whichever process, also at the same instant (RFC 7523 section 3, point 7)', async () => {
  const assertion = await key.sign(claimsOf(clientId))
  const answers = await Promise.all([verdict(assertion), verdict(assertion, other)])
  expect(answers.toSorted()).toEqual(['jti was used before', 'ok'])
  expect(await verdict(assertion)).toBe('jti was used before')
  // Another client may use the same name.
  const jti = `shared-${counter++}`
  const second = await registerKey({ client_name: 'Second' })
  expect(await verdict(await key.sign(claimsOf(clientId, { jti })))).toBe('ok')
  expect(await verdict(await key.sign(claimsOf(second, { jti })))).toBe('ok')
  expect(await verdict(await key.sign(claimsOf(second, { jti })))).toBe('jti was used before')
})

import { afterAll, beforeAll, expect, test } from 'bun:test'
import { decodeProtectedHeader } from 'jose'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { createKeyring, KEY_SET_LIFETIME, removeKey, rotateKeys } from '../../src/oauth/keyring.ts'
import { signWithSecret } from '../support/client-keys.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { basic, registerClient, WEB_CLIENT } from '../support/oauth.ts'

let harness: Harness
let other: Harness
beforeAll(async () => {
  harness = await createHarness()
  other = await createHarness({ beside: harness })
})
afterAll(async () => {
  await other.close()
  await harness.close()
})

const signerOf = async (at: Harness, alg: string): Promise<string> =>
  decodeProtectedHeader(await at.deps.keys.sign({ iss: 'http://auth.test/' }, { alg })).kid ?? ''
const published = async (at: Harness): Promise<string[]> => {
  const document = (await (await at.request('/oauth2/keys.json')).json()) as { keys: { kid: string }[] }
  return document.keys.map(({ kid }) => kid)
}

test('keys rotate: new keys are published at once and sign after one lifetime of the key set, in every process (decision 15)', async () => {
  const before = await published(harness)
  const old = await signerOf(harness, 'RS256')
  const token = await harness.deps.keys.sign({ iss: 'http://auth.test/' }, { alg: 'RS256' })
  const { kids } = await rotateKeys(harness.deps)
  for (const at of [harness, other]) {
    await at.deps.keys.reload()
    expect((await published(at)).sort()).toEqual([...before, ...kids].sort())
    expect(await signerOf(at, 'RS256')).toBe(old)
  }
  harness.clock.advance(KEY_SET_LIFETIME)
  await harness.deps.keys.reload()
  expect(await signerOf(harness, 'RS256')).toBe(old)
  harness.clock.advance(60)
  for (const at of [harness, other]) {
    await at.deps.keys.reload()
    for (const alg of ['RS256', 'ES256', 'ES384', 'EdDSA']) expect(kids).toContain(await signerOf(at, alg))
    expect(at.deps.keys.algorithms).toEqual(harness.deps.keys.algorithms)
    // What a retired key signed is still believed.
    const now = at.clock.now()
    expect(await at.deps.keys.verify(token, { issuer: 'http://auth.test/', now })).toBeDefined()
  }
})

test('keys remove: the key is published no more, and the one before signs again', async () => {
  const signer = await signerOf(harness, 'ES256')
  expect(await removeKey(harness.deps, signer)).toBe(true)
  expect(await removeKey(harness.deps, signer)).toBe(false)
  await harness.deps.keys.reload()
  expect(await published(harness)).not.toContain(signer)
  expect(await signerOf(harness, 'ES256')).not.toBe(signer)
})

test('discovery names what the keys of the moment can sign: more once rotated ones do, less when they are removed', async () => {
  const keys = (await generateSigningKeys()).slice(0, 1).map(({ kid, pem }) => ({ kid, key: pem }))
  const process = await createHarness({ config: { secrets: { keys } } })
  const registers = async (alg: string): Promise<boolean> => {
    const response = await process.request('/oauth2/registration', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...WEB_CLIENT, id_token_signed_response_alg: alg }),
    })
    return response.status === 201
  }
  const expectAlgorithms = async (algorithms: string[]): Promise<void> => {
    const document = await (await process.request('/.well-known/openid-configuration')).json()
    for (const what of ['id_token', 'userinfo'])
      expect(document[`${what}_signing_alg_values_supported`].toSorted()).toEqual(algorithms)
    for (const alg of ['RS256', 'ES256', 'ES384', 'EdDSA'])
      expect([alg, await registers(alg)]).toEqual([alg, algorithms.includes(alg)])
  }
  const OF_RSA = ['PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512']
  try {
    await expectAlgorithms(OF_RSA)
    const { kids } = await rotateKeys(process.deps)
    await process.deps.keys.reload()
    await expectAlgorithms(OF_RSA)
    process.clock.advance(KEY_SET_LIFETIME + 60)
    await process.deps.keys.reload()
    await expectAlgorithms([...OF_RSA, 'ES256', 'ES384', 'EdDSA'].sort())
    for (const kid of kids) await removeKey(process.deps, kid)
    await process.deps.keys.reload()
    await expectAlgorithms(OF_RSA)
  } finally {
    await process.close()
  }
})

test('the private parts are sealed in the database', async () => {
  const rows = await harness.database.sql`select * from latchkey.signing_keys`
  expect(rows.length).toBeGreaterThan(0)
  expect(JSON.stringify(rows)).not.toContain('PRIVATE KEY')
})

test('a key that cannot be opened is named and left out; the others go on', async () => {
  await harness.database.sql`
    insert into latchkey.signing_keys (kid, sealed_key, created_at, signs_from)
    values ('foreign', 'v1.00000000.AAAA', ${harness.clock.now()}, ${harness.clock.now()})`
  expect(await harness.deps.keys.reload()).toEqual({ unreadable: ['foreign'] })
  expect(await published(harness)).not.toContain('foreign')
  expect(await signerOf(harness, 'RS256')).not.toBe('')
})

test('without keys in the database the keyring is the configuration alone', async () => {
  const { keyring } = await createKeyring(harness.deps, harness.deps.config.secrets.keys)
  expect(keyring.jwks.keys.length).toBe(harness.deps.config.secrets.keys.length)
})

test('another secrets.encryption with the old one in previous_encryption: client secrets and keys still open', async () => {
  const before = await harness.deps.secrets.seal('a client secret', 'client:x')
  const rotated = await createHarness({
    beside: harness,
    config: {
      secrets: { encryption: 'f'.repeat(64), previous_encryption: [harness.deps.config.secrets.encryption] },
    },
  })
  try {
    expect(await rotated.deps.secrets.open(before, 'client:x')).toBe('a client secret')
    const after = await rotated.deps.secrets.seal('another', 'client:x')
    expect(await harness.deps.secrets.open(after, 'client:x')).toBeUndefined()
  } finally {
    await rotated.close()
  }
})

test('after that rotation apps sign in with the secrets that they have, and keys that rotate made still sign; without the old value nothing is taken for a wrong secret', async () => {
  const clients = await Promise.all(
    (['client_secret_basic', 'client_secret_post', 'client_secret_jwt'] as const).map(async (method) => {
      const { client_id: id, client_secret: secret = '' } = await registerClient(harness, {
        ...WEB_CLIENT,
        client_name: method,
        grant_types: ['client_credentials'],
        response_types: [],
        token_endpoint_auth_method: method,
      })
      return { method, id, secret }
    }),
  )
  const { kids } = await rotateKeys(harness.deps)
  harness.clock.advance(KEY_SET_LIFETIME + 60)
  const present = async (at: Harness, { method, id, secret }: (typeof clients)[number]) => {
    const seconds = Math.floor(at.clock.now().getTime() / 1000)
    const claims = { iss: id, sub: id, aud: 'http://auth.test/', exp: seconds + 60, jti: crypto.randomUUID() }
    const fields: Record<string, string> =
      method === 'client_secret_post'
        ? { client_id: id, client_secret: secret }
        : method === 'client_secret_jwt'
          ? {
              client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
              client_assertion: await signWithSecret(claims, secret),
            }
          : {}
    const headers = method === 'client_secret_basic' ? basic(id, secret) : {}
    const response = await at.form('/oauth2/token', { grant_type: 'client_credentials', ...fields }, headers)
    const { error } = (await response.json()) as { error?: string }
    return [response.status, error]
  }
  const old = harness.deps.config.secrets.encryption
  const rotated = await createHarness({
    beside: harness,
    config: { secrets: { encryption: 'e'.repeat(64), previous_encryption: [old] } },
  })
  const forgetful = await createHarness({
    beside: harness,
    config: { secrets: { encryption: 'e'.repeat(64), previous_encryption: [] } },
  })
  try {
    for (const client of clients) {
      expect(await present(rotated, client)).toEqual([200, undefined])
      expect(await present(forgetful, client)).toEqual([500, 'server_error'])
    }
    expect((await rotated.deps.keys.reload()).unreadable).not.toContain(kids[0])
    expect(kids).toContain(await signerOf(rotated, 'ES384'))
    expect((await forgetful.deps.keys.reload()).unreadable).toEqual(expect.arrayContaining(kids))

    // What is sealed from now on is under the new value alone.
    const { client_id: id, client_secret: secret = '' } = await registerClient(rotated, {
      ...WEB_CLIENT,
      client_name: 'Registered after it',
      grant_types: ['client_credentials'],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    })
    const later = { method: 'client_secret_post', id, secret } as const
    expect(await present(forgetful, later)).toEqual([200, undefined])
    expect(await present(harness, later)).toEqual([500, 'server_error'])
  } finally {
    await rotated.close()
    await forgetful.close()
  }
})

import { expect, test } from 'bun:test'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { generateSigningKeys, loadKeystore } from '../../src/crypto/keystore.ts'
import { publishedKeySet } from '../../src/oauth/key-set.ts'
import { createHarness } from '../support/harness.ts'

const provider = {
  id: '01JDFX2V9S6QK3W4Z5Y7T8R9PA',
  issuer: 'https://harbour.example',
  client_id: 'latchkey',
  token_endpoint_auth_method: 'none' as const,
}
const encrypted = (...algs: string[]) =>
  ({
    upstream_oauth2: {
      providers: algs.map((alg) => ({ enabled: true, id_token_encrypted_response_alg: alg })),
    },
  }) as never

const sources = (await generateSigningKeys()).map(({ kid, pem }) => ({ kid, key: pem }))
const { keystore } = await loadKeystore(sources)

test('GET /oauth2/keys.json: has keys to encrypt to only where a provider encrypts to us', async () => {
  const harness = await createHarness({ config: { upstream_oauth2: { providers: [provider] } } })
  const uses = async (of: typeof harness) => {
    const { keys } = (await (await of.request('/oauth2/keys.json')).json()) as JSONWebKeySet
    return keys.map(({ use }) => use)
  }
  expect(new Set(await uses(harness))).toEqual(new Set(['sig']))
  const own = { ...provider, id_token_encrypted_response_alg: 'RSA-OAEP-256' as const }
  const beside = await createHarness({ beside: harness, config: { upstream_oauth2: { providers: [own] } } })
  expect(new Set(await uses(beside))).toEqual(new Set(['sig', 'enc']))
  await beside.close()
  await harness.close()
})

test('keys to encrypt to come last, of the type that fits, under kids of their own, public members only', () => {
  const { keys } = publishedKeySet(encrypted('RSA-OAEP', 'RSA-OAEP', 'ECDH-ES'), keystore)
  expect(keys.slice(0, keystore.jwks.keys.length)).toEqual(keystore.jwks.keys)
  const added = keys.slice(keystore.jwks.keys.length)
  expect(added.map(({ kty, use, alg }) => [kty, use, alg].join(' '))).toEqual([
    'RSA enc RSA-OAEP',
    'EC enc ECDH-ES',
    'EC enc ECDH-ES',
  ])
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length)
  for (const key of keys)
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi']) expect(key).not.toHaveProperty(secret)
})

test('whoever verifies what we signed finds the same key as before, by kid and without one', async () => {
  const set = publishedKeySet(encrypted('RSA-OAEP-256'), keystore)
  const jwt = await keystore.sign({ sub: 'a' }, { alg: 'RS256' })
  const { payload } = await jwtVerify(jwt, createLocalJWKSet(set as JSONWebKeySet))
  expect(payload.sub).toBe('a')
  const candidates = set.keys.filter(({ kty, use }) => kty === 'RSA' && use !== 'enc')
  expect(candidates).toHaveLength(1)
})

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { compactVerify, createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { generateSigningKeys } from '../../src/crypto/keystore.ts'
import { P521, pkcs8 } from '../crypto/fixtures.ts'
import type { Browser } from '../support/browser.ts'
import { approve, DEVICE_CLIENT, poll, requestDevice } from '../support/device.ts'
import { createHarness, type Harness } from '../support/harness.ts'
import { exchange, obtainCode, registerClient, signUp, WEB_CLIENT } from '../support/oauth.ts'

/**
 * Each algorithm that discovery names, from the registration of a client to a verification by jose under the published
 * keys. The hashes are computed here, not with what made them.
 */
const HASHES: Record<string, string> = {
  RS256: 'sha256',
  RS384: 'sha384',
  RS512: 'sha512',
  PS256: 'sha256',
  PS384: 'sha384',
  PS512: 'sha512',
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  // Ed25519 uses it inside.
  EdDSA: 'sha512',
}
const ALGORITHMS = Object.keys(HASHES)

let harness: Harness
let browser: Browser
let jwks: JSONWebKeySet
beforeAll(async () => {
  const keys = (await generateSigningKeys()).map(({ kid, pem }) => ({ kid, key: pem }))
  harness = await createHarness({
    config: { secrets: { keys: [...keys, { kid: 'p-521', key: pkcs8(P521) }] } },
  })
  browser = harness.browser()
  await signUp(browser, 'alice')
  jwks = (await (await harness.request('/oauth2/keys.json')).json()) as JSONWebKeySet
})
afterAll(() => harness.close())

const half = (alg: string, value: string): string => {
  const digest = createHash(HASHES[alg] ?? '')
    .update(value)
    .digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

/** What a token says, when it is signed with this algorithm by one of the keys that are published. */
async function verified(jwt: string, alg: string, audience: string) {
  const { payload, protectedHeader } = await jwtVerify(jwt, createLocalJWKSet(jwks), {
    algorithms: [alg],
    issuer: harness.deps.urls.issuer,
    audience,
    currentDate: harness.clock.now(),
  })
  expect(jwks.keys.map(({ kid }) => kid)).toContain(protectedHeader.kid ?? '')
  return { payload, header: protectedHeader }
}

test('discovery names these, for ID tokens and for userinfo', async () => {
  const document = await (await harness.request('/.well-known/openid-configuration')).json()
  expect([...document.id_token_signing_alg_values_supported].sort()).toEqual([...ALGORITHMS].sort())
  expect([...document.userinfo_signing_alg_values_supported].sort()).toEqual([...ALGORITHMS].sort())
})

describe.each(ALGORITHMS)('a client that registers %s', (alg) => {
  const register = (metadata: object) =>
    registerClient(harness, {
      ...metadata,
      id_token_signed_response_alg: alg,
      userinfo_signed_response_alg: alg,
    })

  test('gets ID tokens and userinfo signed with it, and no others', async () => {
    const { client_id } = await register(WEB_CLIENT)
    const code = await obtainCode(browser, client_id, { scope: 'openid profile', nonce: 'a-nonce' })
    const issued = await exchange(harness, client_id, code)
    const { payload, header } = await verified(issued.id_token ?? '', alg, client_id)
    expect(Object.keys(header).sort()).toEqual(['alg', 'kid'])
    expect(payload).toMatchObject({
      nonce: 'a-nonce',
      preferred_username: 'alice',
      at_hash: half(alg, issued.access_token),
      c_hash: half(alg, code),
    })
    const response = await harness.request('/oauth2/userinfo', {
      headers: { authorization: `Bearer ${issued.access_token}` },
    })
    expect(response.headers.get('content-type')).toBe('application/jwt')
    const said = await verified(await response.text(), alg, client_id)
    expect(said.payload).toMatchObject({ sub: payload.sub, username: 'alice' })

    // The signature is over what it says, and under its own key alone.
    const [head, body = '', signature] = (issued.id_token ?? '').split('.')
    const other = Buffer.from(JSON.stringify({ ...payload, sub: 'somebody' })).toString('base64url')
    const changed = compactVerify(`${head}.${other}.${signature}`, createLocalJWKSet(jwks))
    await expect(changed).rejects.toMatchObject({ code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' })
    expect(body).not.toBe(other)
    const without = { keys: jwks.keys.filter(({ kid }) => kid !== header.kid) }
    const foreign = compactVerify(issued.id_token ?? '', createLocalJWKSet(without))
    await expect(foreign).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' })
  })

  test('by the device grant too, without nonce and c_hash (reference 4.6)', async () => {
    const { client_id } = await register({ ...DEVICE_CLIENT, client_name: `Television ${alg}` })
    const asked = await requestDevice(harness, client_id, { scope: 'openid' })
    await approve(browser, asked.user_code)
    const { body } = await poll(harness, client_id, asked.device_code)
    const { payload } = await verified(body.id_token ?? '', alg, client_id)
    expect(payload.at_hash).toBe(half(alg, body.access_token ?? ''))
    expect(payload).not.toHaveProperty('nonce')
    expect(payload).not.toHaveProperty('c_hash')
  })
})

test('a client that registers none gets RS256 (OpenID Connect Registration section 2)', async () => {
  const { client_id } = await registerClient(harness, { ...WEB_CLIENT, client_name: 'Says nothing' })
  const { id_token = '' } = await exchange(
    harness,
    client_id,
    await obtainCode(browser, client_id, { scope: 'openid' }),
  )
  expect((await verified(id_token, 'RS256', client_id)).header.alg).toBe('RS256')
})

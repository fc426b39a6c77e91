import { describe, expect, test } from 'bun:test'
import { algorithmsOf, idTokenHash, SIGNING_ALGORITHMS, thumbprint } from '../../src/crypto/jwt.ts'

test('thumbprint: the RSA example of RFC 7638 section 3.1', async () => {
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
  expect(await thumbprint({ kty: 'RSA', n, e: 'AQAB' })).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
})

test('thumbprint: the Ed25519 example of RFC 8037 appendix A.3', async () => {
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
  expect(await thumbprint({ kty: 'OKP', crv: 'Ed25519', x })).toBe(
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
  )
})

describe('idTokenHash', () => {
  test('at_hash and c_hash of the examples in OIDC Core appendix A', () => {
    expect(idTokenHash('RS256', 'jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y')).toBe('77QmUPtjPfzWtF2AnpK9RQ')
    const code = 'Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk'
    expect(idTokenHash('RS256', code)).toBe('LDktKdoQak3Pk0cnXxCltA')
  })

  test.each([
    ['RS256', 16],
    ['ES256', 16],
    ['PS384', 24],
    ['ES384', 24],
    ['RS512', 32],
    ['ES512', 32],
    ['EdDSA', 32],
    // Not ours: providers may sign with the client's secret.
    ['HS256', 16],
    ['Ed25519', 32],
  ])('%s: the left %d bytes of the hash of its size', (alg, bytes) => {
    const full = new Bun.CryptoHasher(`sha${bytes * 16}` as 'sha256').update('token').digest()
    expect(idTokenHash(alg, 'token')).toBe(Buffer.from(full.subarray(0, bytes)).toString('base64url'))
  })

  test.each(['none', 'ES256K', ''])('%p is refused: no ID token is signed with it', (alg) => {
    expect(() => idTokenHash(alg, 'token')).toThrow(TypeError)
  })
})

test('algorithmsOf: every algorithm belongs to exactly one kind of key, others have none', () => {
  const jwks = [
    { kty: 'RSA' },
    { kty: 'EC', crv: 'P-256' },
    { kty: 'EC', crv: 'P-384' },
    { kty: 'EC', crv: 'P-521' },
    { kty: 'OKP', crv: 'Ed25519' },
  ]
  expect(jwks.flatMap(algorithmsOf).toSorted()).toEqual(SIGNING_ALGORITHMS.toSorted())
  expect(
    [{ kty: 'EC', crv: 'secp256k1' }, { kty: 'OKP', crv: 'X25519' }, { kty: 'oct' }].flatMap(algorithmsOf),
  ).toEqual([])
})

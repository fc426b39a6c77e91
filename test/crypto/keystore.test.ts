import { describe, expect, test } from 'bun:test'
import { createPublicKey } from 'node:crypto'
import { compactVerify, createLocalJWKSet, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose'
import { generateSigningKeys, loadKeystore } from '../../src/crypto/keystore.ts'
import { KeyError } from '../../src/crypto/private-key.ts'
import * as keys from './fixtures.ts'

const { RSA, P256, P384, P521, ED25519, pkcs8 } = keys
const NOW = new Date('2026-11-01T12:00:00Z')
const SECONDS = NOW.getTime() / 1000
const ISSUER = 'https://auth.test/'
const CLAIMS = { iss: ISSUER, sub: '01ABC', aud: 'client', iat: SECONDS, exp: SECONDS + 3600 }

const load = async (...sources: Parameters<typeof loadKeystore>[0]) => (await loadKeystore(sources)).keystore
const everyKind = () => load(...[RSA, P256, P384, P521, ED25519].map((key) => ({ key: pkcs8(key) })))

describe('loadKeystore: encodings', () => {
  const cases: [string, typeof RSA, keys.Encoding][] = [
    ['RSA', RSA, { type: 'pkcs1', format: 'pem' }],
    ['RSA', RSA, { type: 'pkcs1', format: 'der' }],
    ['RSA', RSA, { type: 'pkcs8', format: 'pem' }],
    ['RSA', RSA, { type: 'pkcs8', format: 'der' }],
    ['RSA', RSA, { type: 'pkcs8', format: 'pem', encrypted: true }],
    ['RSA', RSA, { type: 'pkcs8', format: 'der', encrypted: true }],
    ...[P256, P384, P521].flatMap((key): typeof cases => [
      ['EC', key, { type: 'sec1', format: 'pem' }],
      ['EC', key, { type: 'sec1', format: 'der' }],
      ['EC', key, { type: 'pkcs8', format: 'pem' }],
      ['EC', key, { type: 'pkcs8', format: 'der', encrypted: true }],
    ]),
    ['OKP', ED25519, { type: 'pkcs8', format: 'pem' }],
    ['OKP', ED25519, { type: 'pkcs8', format: 'der' }],
    ['OKP', ED25519, { type: 'pkcs8', format: 'pem', encrypted: true }],
  ]
  test.each(cases)('%s as %#: %o is read', async (kty, key, encoding) => {
    const password = encoding.encrypted ? keys.PASSWORD : undefined
    const { jwks } = await load({ key: keys.encode(key, encoding), password })
    expect(jwks.keys[0]).toMatchObject({ ...createPublicKey(key).export({ format: 'jwk' }), kty } as object)
  })

  test('a PEM file is read from bytes too, its password from bytes, with text before the key', async () => {
    const key = new TextEncoder().encode(
      `Bag Attributes\n${keys.encode(RSA, { type: 'pkcs8', format: 'pem', encrypted: true })}`,
    )
    const { jwks } = await load({ key, password: new TextEncoder().encode(keys.PASSWORD) })
    expect(jwks.keys).toHaveLength(1)
  })
})

describe('loadKeystore: what is published', () => {
  test('the members of the reference, in load order, and no private one', async () => {
    const { jwks } = await everyKind()
    expect(jwks.keys.map((jwk) => Object.keys(jwk).toSorted().join())).toEqual([
      'e,kid,kty,n,use',
      'crv,kid,kty,use,x,y',
      'crv,kid,kty,use,x,y',
      'crv,kid,kty,use,x,y',
      'crv,kid,kty,use,x',
    ])
    expect(jwks.keys.map(({ use }) => use)).toEqual(Array(5).fill('sig'))
  })

  test('algorithms come in discovery’s order, whatever the order of the keys (protocol 2.1)', async () => {
    const all = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'PS256', 'PS384', 'PS512', 'ES512', 'EdDSA']
    expect((await everyKind()).algorithms).toEqual(all)
    const backwards = await load(...[ED25519, P521, P384, P256, RSA].map((key) => ({ key: pkcs8(key) })))
    expect(backwards.algorithms).toEqual(all)
    expect((await load({ key: pkcs8(P256) })).algorithms).toEqual(['ES256'])
  })

  test('kid is the configured one, else the RFC 7638 thumbprint of the RFC 8037 example key', async () => {
    const rfc8037 =
      '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
    const { jwks } = await load({ key: Uint8Array.fromHex(rfc8037) }, { kid: 'mine', key: pkcs8(P256) })
    expect(jwks.keys.map(({ kid }) => kid)).toEqual(['kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', 'mine'])
  })
})

describe('loadKeystore: what is left out or refused', () => {
  test.each([
    ['SEC1 PEM', keys.pem(keys.SECP256K1_SEC1, 'EC PRIVATE KEY')],
    ['PKCS#8 PEM', keys.pem(keys.SECP256K1_PKCS8)],
    ['PKCS#8 DER', keys.der(keys.SECP256K1_PKCS8)],
    ['SEC1 DER', keys.der(keys.SECP256K1_SEC1)],
  ])('secp256k1 in %s, as MAS generates it, is left out with a warning', async (_form, key) => {
    const { keystore, warnings } = await loadKeystore([{ key: pkcs8(RSA) }, { kid: 'k1', key }])
    expect(keystore.jwks.keys).toHaveLength(1)
    expect(warnings).toEqual([
      'Signing key 2 (kid k1) is of type secp256k1 and was left out, so nothing can be signed with ES256K. No Matrix client asks for that; the key can be removed.',
    ])
    expect(keystore.algorithms).not.toContain('ES256K')
  })

  test('an encrypted secp256k1 key is left out with a warning too', async () => {
    const source = { key: keys.der(keys.SECP256K1_ENCRYPTED), password: keys.PASSWORD }
    const { keystore, warnings } = await loadKeystore([{ key: pkcs8(RSA) }, source])
    expect(keystore.jwks.keys).toHaveLength(1)
    expect(warnings).toEqual([expect.stringMatching(/secp256k1/)])
  })

  test('without an RSA key there is a warning, since clients expect RS256', async () => {
    expect((await loadKeystore([{ key: pkcs8(P256) }])).warnings).toEqual([expect.stringMatching(/RS256/)])
    expect((await loadKeystore([{ key: pkcs8(RSA) }])).warnings).toEqual([])
  })

  const encrypted = keys.encode(RSA, { type: 'pkcs8', format: 'pem', encrypted: true })
  const publicPem = String(createPublicKey(RSA).export({ type: 'spki', format: 'pem' }))
  test.each([
    ['a small RSA key', { key: pkcs8(keys.SMALL_RSA) }, /1024 bits\. Use at least 2048/],
    ['an encrypted key without password', { key: encrypted }, /is encrypted\. Give its password/],
    ['a wrong password', { key: encrypted, password: 'hunter3' }, /the password is wrong/],
    [
      'a password with a line break',
      { key: encrypted, password: 'hunter2\n' },
      /line break at the end counts/,
    ],
    ['scrypt', { key: keys.der(keys.P256_SCRYPT), password: keys.PASSWORD }, /openssl pkcs8 -topk8/],
    ['X25519', { key: pkcs8(keys.X25519) }, /cannot sign/],
    ['Ed448', { key: keys.der(keys.ED448_PKCS8) }, /cannot sign/],
    ['a public key', { key: publicPem }, /could not be read as a private key/],
    ['half a file', { key: pkcs8(RSA).slice(0, 600) }, /could not be read as a private key/],
    ['empty text', { key: '' }, /-----BEGIN/],
    ['no bytes', { key: new Uint8Array() }, /-----BEGIN/],
    ['random bytes', { key: Uint8Array.of(0x30, 1, 2, 3) }, /could not be read as a private key/],
  ])('%s is refused with a sentence that names the key', async (_what, source, message) => {
    const error = await loadKeystore([{ key: pkcs8(P256) }, { kid: 'second', ...source }]).catch((e) => e)
    expect(error).toBeInstanceOf(KeyError)
    expect(error.message).toMatch(message)
    expect(error.message).toStartWith('Signing key 2 (kid second) ')
  })

  test('two keys with one kid are refused, also when it is the same key twice', async () => {
    const same = [{ key: pkcs8(P256) }, { key: pkcs8(P256) }]
    await expect(loadKeystore(same)).rejects.toThrow(/^Signing key 2 has the same kid as an earlier key/)
    const named = [
      { kid: 'a', key: pkcs8(P256) },
      { kid: 'a', key: pkcs8(RSA) },
    ]
    await expect(loadKeystore(named)).rejects.toThrow(KeyError)
  })

  test('a damaged key loads or is refused as a KeyError, which never shows a part of it or of its password', async () => {
    const password = 'correct-horse-battery'
    for (const key of [P256, ED25519]) {
      const whole = String(
        key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: password }),
      )
      for (const text of [whole, pkcs8(key)]) {
        const body = text.split('\n').slice(1, -2).join('')
        const pieces = Array.from({ length: body.length - 8 }, (_, at) => body.slice(at, at + 8))
        for (let at = 28; at < text.length; at += 7) {
          const damaged = `${text.slice(0, at)}${text[at] === 'B' ? 'C' : 'B'}${text.slice(at + 1)}`
          const error = await loadKeystore([{ key: damaged, password }]).then(
            () => undefined,
            (caught) => caught,
          )
          if (error === undefined) continue
          expect(error).toBeInstanceOf(KeyError)
          expect(error.cause).toBeUndefined()
          const shown = Bun.inspect(error, { depth: 5 }) + error.message
          expect([password, ...pieces].filter((piece) => error.message.includes(piece))).toEqual([])
          expect(shown).not.toContain('OPENSSL')
        }
      }
    }
  })
})

describe('sign', () => {
  test.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    '%s: verifies with the published keys alone; the header holds alg and kid only',
    async (alg) => {
      const keystore = await everyKind()
      const jwt = await keystore.sign(CLAIMS, { alg })
      const { payload, protectedHeader } = await jwtVerify(jwt, createLocalJWKSet(keystore.jwks), {
        currentDate: NOW,
      })
      expect(payload).toEqual(CLAIMS)
      expect(Object.keys(protectedHeader).toSorted()).toEqual(['alg', 'kid'])
      expect(protectedHeader.alg).toBe(alg)
    },
  )

  test('typ is in the header when it is asked for', async () => {
    const keystore = await everyKind()
    const jwt = await keystore.sign(CLAIMS, { alg: 'ES256', typ: 'at+jwt' })
    expect(decodeProtectedHeader(jwt).typ).toBe('at+jwt')
  })

  test('of two keys that can do it the last one signs, both verify (protocol 13)', async () => {
    const [old, young] = await Promise.all([generateSigningKeys(), generateSigningKeys()])
    const both = await load(
      ...old.map(({ pem }) => ({ key: pem })),
      ...young.map(({ pem }) => ({ key: pem })),
    )
    const before = await load(...old.map(({ pem }) => ({ key: pem })))
    const jwt = await both.sign(CLAIMS, { alg: 'RS256' })
    expect(decodeProtectedHeader(jwt).kid).toBe(young[0]?.kid)
    expect(
      await both.verify(await before.sign(CLAIMS, { alg: 'RS256' }), { issuer: ISSUER, now: NOW }),
    ).toEqual(CLAIMS)
    expect(await before.verify(jwt, { issuer: ISSUER, now: NOW })).toBeUndefined()
  })

  test.each(['none', 'HS256', 'ES256K', 'ES384', '', 'rs256', 'toString'])(
    '%p: no key, a KeyError',
    async (alg) => {
      const keystore = await load({ key: pkcs8(RSA) }, { key: pkcs8(P256) })
      await expect(keystore.sign(CLAIMS, { alg })).rejects.toThrow(KeyError)
    },
  )
})

describe('verify', () => {
  const expected = { issuer: ISSUER, audience: 'client', now: NOW }

  test('gives the claims of a token of ours', async () => {
    const keystore = await everyKind()
    const jwt = await keystore.sign(CLAIMS, { alg: 'RS256' })
    expect(await keystore.verify(jwt, expected)).toEqual(CLAIMS)
    expect(await keystore.verify(jwt, { ...expected, audience: 'another' })).toBeUndefined()
    expect(await keystore.verify(jwt, { ...expected, issuer: 'https://other.test/' })).toBeUndefined()
    expect(await keystore.verify(jwt, { ...expected, typ: 'at+jwt' })).toBeUndefined()
    expect(await keystore.verify(jwt, { ...expected, now: new Date(CLAIMS.exp * 1000) })).toBeUndefined()
    expect(await keystore.verify(jwt.slice(0, -8), expected)).toBeUndefined()
  })

  test('an unsigned token, one signed with a public key as HMAC secret, and noise are nothing', async () => {
    const keystore = await everyKind()
    const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const unsigned = `${base64url({ alg: 'none' })}.${base64url(CLAIMS)}.`
    const secret = createPublicKey(RSA).export({ type: 'spki', format: 'pem' })
    const [{ kid } = { kid: '' }] = keystore.jwks.keys
    const confused = await new SignJWT(CLAIMS)
      .setProtectedHeader({ alg: 'HS256', kid })
      .sign(new TextEncoder().encode(String(secret)))
    for (const jwt of [unsigned, confused, '', 'a.b.c', '..', 'é.é.é', 'x'.repeat(20_000)]) {
      expect(await keystore.verify(jwt, expected)).toBeUndefined()
    }
  })
})

describe('generateSigningKeys', () => {
  test('makes RSA 2048, P-256, P-384 and Ed25519 that load without warning under their kids', async () => {
    const generated = await generateSigningKeys()
    const { keystore, warnings } = await loadKeystore(generated.map(({ pem }) => ({ key: pem })))
    expect(warnings).toEqual([])
    expect(keystore.jwks.keys.map(({ kid }) => kid)).toEqual(generated.map(({ kid }) => kid))
    expect(keystore.jwks.keys.map((jwk) => ('crv' in jwk ? jwk.crv : jwk.n.length))).toEqual([
      342,
      'P-256',
      'P-384',
      'Ed25519',
    ])
    expect(
      generated.every(({ pem }) =>
        /^-----BEGIN PRIVATE KEY-----\n([\w+/=]{1,64}\n)+-----END PRIVATE KEY-----\n$/.test(pem),
      ),
    ).toBe(true)
  })

  test('signs with each of them', async () => {
    const keystore = await load(...(await generateSigningKeys()).map(({ pem }) => ({ key: pem })))
    for (const alg of keystore.algorithms) {
      const jwt = await keystore.sign(CLAIMS, { alg })
      expect((await compactVerify(jwt, createLocalJWKSet(keystore.jwks))).protectedHeader.alg).toBe(alg)
    }
  })
})

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { deriveToken, newToken, parseToken, type TokenKind, tokenDigest } from '../../src/crypto/tokens.ts'
import { systemRandom } from '../../src/lib/random.ts'

const KINDS: TokenKind[] = ['mat', 'mar', 'mct', 'mcr', 'mpt']
const KEY = Uint8Array.from({ length: 32 }, (_, index) => index)
const kind = fc.constantFrom(...KINDS)

/** A Random that gives `bytes` over and over. */
const fixedRandom = (...bytes: number[]) => ({
  bytes: (length: number) => Uint8Array.from({ length }, (_, index) => bytes[index % bytes.length] ?? 0),
})

describe('newToken', () => {
  test('the published vectors: base-62 digits least significant first, padded on the left (5.1, edge 13)', () => {
    expect(newToken('mat', fixedRandom(10))).toBe(`mat_${'A'.repeat(30)}_96elV4`)
    expect(newToken('mct', fixedRandom(0))).toBe(`mct_${'0'.repeat(30)}_yh9234`)
    const letters = [...Array.from({ length: 26 }, (_, index) => 36 + index), 0, 1, 2, 3]
    expect(newToken('mar', fixedRandom(...letters))).toBe('mar_abcdefghijklmnopqrstuvwxyz0123_07fk9G')
  })

  test('every token is recognised as its kind', () => {
    fc.assert(fc.property(kind, (given) => parseToken(newToken(given, systemRandom)) === given))
  })

  test('no two tokens are the same', () => {
    expect(new Set(Array.from({ length: 500 }, () => newToken('mat', systemRandom))).size).toBe(500)
  })
})

describe('deriveToken', () => {
  test('the same key, kind and material give the same token (decision 7; computed with another implementation)', () => {
    expect(deriveToken('mat', KEY, 'row-1')).toBe('mat_8MVTlFc0WMeqcrPBMskMUNkl6ux9Mh_DvHPE3')
    expect(deriveToken('mar', KEY, 'row-1')).toBe('mar_3rPzSUoAOvXWgFbiXffiecvbvz1gaS_oSfeo1')
  })

  test('another key, kind or material gives another token, each well-formed', () => {
    const tokens = [
      ...KINDS.map((given) => deriveToken(given, KEY, 'row-1').slice(4, 34)),
      deriveToken('mat', KEY, 'row-2').slice(4, 34),
      deriveToken('mat', KEY.toReversed(), 'row-1').slice(4, 34),
    ]
    expect(new Set(tokens).size).toBe(tokens.length)
    fc.assert(
      fc.property(kind, fc.string(), (given, text) => parseToken(deriveToken(given, KEY, text)) === given),
    )
  })
})

describe('parseToken', () => {
  test('one changed character makes it nobody’s token', () => {
    const changed = fc.record({
      given: kind,
      at: fc.nat(40),
      replacement: fc.string({ minLength: 1, maxLength: 1 }),
    })
    fc.assert(
      fc.property(changed, ({ given, at, replacement }) => {
        const token = newToken(given, systemRandom)
        fc.pre(token[at] !== replacement)
        return parseToken(token.slice(0, at) + replacement + token.slice(at + 1)) === undefined
      }),
    )
  })

  test('tokens of Synapse pass by their form, without a checksum (edge 14)', () => {
    expect(parseToken('syt_YWxpY2U_abcdefghijklmnopqrst_0aBcDe')).toBe('syt')
    expect(parseToken('syr_YWxpY2U_abcdefghijklmnopqrst_0aBcDe')).toBe('syr')
    const packet = '0018location example.org\n0010cid key\n'
    const macaroon = new TextEncoder().encode(packet).toBase64({ alphabet: 'base64url', omitPadding: true })
    expect(parseToken(macaroon)).toBe('macaroon')
    expect(parseToken(macaroon.slice(0, 18))).toBe('macaroon')
  })

  test.each([
    ['empty', ''],
    ['a bare prefix', 'mat'],
    ['a wrong checksum', `mat_${'A'.repeat(30)}_96elV5`],
    ['a fourth part', `mat_${'A'.repeat(30)}_96elV4_`],
    ['a line break at the end', `mat_${'A'.repeat(30)}_96elV4\n`],
    ['a NUL', `mat_${'A'.repeat(30)}_96elV4\0`],
    ['an unknown prefix', `xyz_${'A'.repeat(30)}_96elV4`],
    ['a prefix in upper case', `MAT_${'A'.repeat(30)}_96elV4`],
    ['a character outside ASCII', 'syt_naïve'],
    ['a space', 'syt_a b'],
    ['4,097 characters', `syt_${'a'.repeat(4093)}`],
    ['too short for a macaroon', 'MDAxOGxvY2F0aW9uI'],
    ['another first packet', 'MDAxOGlkZW50aWZpZXIgZXhhbXBsZQ'],
    ['a padded macaroon', 'MDAxOGxvY2F0aW9uIGV4YW1wbGUub3JnCg=='],
  ])('%s: no token', (_what, text) => {
    expect(parseToken(text)).toBeUndefined()
  })

  test('any text gives an answer, never an exception', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect([undefined, 'syt', 'syr', 'macaroon', ...KINDS]).toContain(parseToken(text))
      }),
    )
  })
})

test('tokenDigest: what is stored is the SHA-256 (FIPS 180-2 vector for "abc")', () => {
  expect(tokenDigest('abc').toHex()).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

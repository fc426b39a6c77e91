import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { deriveSecrets } from '../../src/crypto/seal.ts'

const HEX = '000102030405060708090a0b0c0d0e0f'.repeat(2)
const OTHER = 'ff'.repeat(32)

describe('deriveSecrets', () => {
  test('a key for each purpose, the same at every start (HKDF-SHA-256, computed with another implementation)', async () => {
    const { csrf, refresh, limits } = await deriveSecrets(HEX)
    expect(csrf.toHex()).toBe('5cee2f72b7f827a8ee8a5823efb377418c4cb1e61f783ced4a25f6178f1f65cd')
    expect(refresh.toHex()).toBe('c47d05ca9b119d481433c2b759bdae78ee5204f8317ce098d839007f69ceeacc')
    expect(limits.toHex()).toBe('8e44d96d07b1e5a35418dd4e0be57e0eb48f54e1fb12839e5e74ef8e21fa8ee5')
  })

  test.each(['', HEX.slice(1), `${HEX}\n`, `${HEX.slice(1)}g`, `${HEX}00`])(
    '%p is refused, without being shown',
    async (value) => {
      const error = await deriveSecrets(value).catch((caught) => caught)
      expect(error).toBeInstanceOf(RangeError)
      expect(error.message).toContain('64 hexadecimal characters')
      if (value) expect(error.message).not.toContain(value.slice(0, 8))
    },
  )
})

describe('seal and open', () => {
  test('a value sealed by another implementation of AES-256-GCM opens', async () => {
    const { open } = await deriveSecrets(HEX)
    const sealed = 'v1.kL5FlTLP.CQkJCQkJCQkJCQkJBeDrdTaL5yMavO5BIvJJ4EE0gsV0sw'
    expect(await open(sealed, 'client_secret:01')).toBe('s3cret')
  })

  test('whatever is sealed opens in its own context only', async () => {
    const { seal, open } = await deriveSecrets(HEX)
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme' }),
        fc.string(),
        fc.string(),
        async (plain, context, wrong) => {
          const sealed = await seal(plain, context)
          expect(sealed).toMatch(/^v1\.[\w-]{8}\.[\w-]+$/)
          expect(await open(sealed, context)).toBe(plain)
          if (wrong !== context) expect(await open(sealed, wrong)).toBeUndefined()
        },
      ),
      { numRuns: 50 },
    )
  })

  test('the same value never looks the same twice', async () => {
    const { seal } = await deriveSecrets(HEX)
    expect(await seal('value', 'context')).not.toBe(await seal('value', 'context'))
  })

  test('one changed character and nothing opens', async () => {
    const { seal, open } = await deriveSecrets(HEX)
    const sealed = await seal('a value of some length', 'context')
    const opened = Array.from(sealed.slice(0, -1), (character, at) => {
      const changed = sealed.slice(0, at) + (character === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
      return open(changed, 'context')
    })
    expect((await Promise.all(opened)).filter((value) => value !== undefined)).toEqual([])
  })

  test.each([
    '',
    'v1',
    'v1.kL5FlTLP',
    'v1.kL5FlTLP.',
    'v1.kL5FlTLP.AAAA',
    'v1.kL5FlTLP.%%%%',
    'v2.kL5FlTLP.AAAA',
    'plain text',
  ])('%p gives nothing, and no exception', async (text) => {
    const { open } = await deriveSecrets(HEX)
    expect(await open(text, 'context')).toBeUndefined()
  })

  test('after a rotation old values open, new ones use the new key; without the old key they do not', async () => {
    const before = await deriveSecrets(HEX)
    const sealed = await before.seal('value', 'context')
    const rotated = await deriveSecrets(OTHER, [HEX])
    expect(await rotated.open(sealed, 'context')).toBe('value')
    const fresh = await rotated.seal('value', 'context')
    expect(fresh.split('.')[1]).not.toBe(sealed.split('.')[1])
    expect(await before.open(fresh, 'context')).toBeUndefined()
    expect(await (await deriveSecrets(OTHER)).open(sealed, 'context')).toBeUndefined()
  })
})

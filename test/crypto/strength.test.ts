import { describe, expect, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { passwordStrength, warmStrength } from '../../src/crypto/strength.ts'
import { createStrengthCheck, strengthDictionaries } from '../../src/crypto/strength-options.ts'

describe('passwordStrength', () => {
  test('the most common passwords score 0 and say why by key, not by sentence', async () => {
    await warmStrength()
    expect(await passwordStrength('password', [])).toEqual({
      score: 0,
      warning: 'topTen',
      suggestions: ['anotherWord'],
    })
    expect((await passwordStrength('P4$$w0rd', [])).score).toBe(0)
    expect((await passwordStrength('qwertyuiop', [])).score).toBe(0)
  })

  test('a strong password scores 4 and has no warning', async () => {
    expect(await passwordStrength('vK7#qTz!m2Lx', [])).toEqual({ score: 4, suggestions: [] })
    expect((await passwordStrength('correct horse battery staple', [])).score).toBe(4)
  })

  test('username, address and server name are what an attacker tries first, also in their parts', async () => {
    expect((await passwordStrength('zaphodbb1978', [])).score).toBeGreaterThanOrEqual(3)
    const strength = await passwordStrength('zaphodbb1978', ['@zaphodbb:example.org'])
    expect(strength.score).toBeLessThan(3)
    expect(strength.warning).toBe('userInputs')
    expect((await passwordStrength('zaphodbb1978', ['ZaphodBB@example.org'])).score).toBeLessThan(3)
    expect((await passwordStrength('zaphodbb1978', ['', 'ab'])).score).toBeGreaterThanOrEqual(3)
  })

  test('what follows the first 128 characters is not looked at', async () => {
    const weak = 'a'.repeat(128)
    expect(await passwordStrength(`${weak}vK7#qTz!m2Lx`, [])).toEqual(await passwordStrength(weak, []))
  })

  test.each(['', '\0', '\ud800', '__proto__', 'constructor', '🙂'])(
    '%p has a score like any other',
    async (text) => {
      const { score } = await passwordStrength(text, ['__proto__'])
      expect([0, 1, 2, 3, 4]).toContain(score)
    },
  )
})

test('a word of a passphrase counts by the size of its list, not by its place in the alphabet', () => {
  // As the second word of the list "abacus" would be worth one bit, and this would score 2.
  expect(createStrengthCheck()('zoom abacus', []).score).toBe(3)
})

test('the word lists are the small set: no last names, no Wikipedia', () => {
  expect(Object.keys(strengthDictionaries).filter((name) => /lastnames|wikipedia/i.test(name))).toEqual([])
  expect(Object.values(strengthDictionaries).every((list) => list.length > 0)).toBe(true)
})

test('strength-options.ts bundles for a browser without a node module', async () => {
  const built = await Bun.build({
    entrypoints: [fileURLToPath(new URL('../../src/crypto/strength-options.ts', import.meta.url))],
    target: 'browser',
    minify: true,
  })
  const code = (await built.outputs[0]?.text()) ?? ''
  expect(code).not.toMatch(/["'](node|bun):/)
  expect(Bun.gzipSync(code).length).toBeLessThan(500_000)
})

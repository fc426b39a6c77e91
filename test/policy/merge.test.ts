import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { MergeError, mergePolicyData, withoutNulls } from '../../src/policy/merge.ts'

describe('policy data over policy data (reference operations 6.1)', () => {
  test.each<[unknown, unknown, unknown]>([
    [{ a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    [{ a: { b: 1 } }, { a: { c: 2 } }, { a: { b: 1, c: 2 } }],
    [{ a: ['x'] }, { a: ['y'] }, { a: ['x', 'y'] }],
    [{ a: 1 }, { a: 'x' }, { a: 'x' }],
    [{ a: ['x'] }, { a: null }, { a: null }],
    [{ a: null }, { a: ['y'] }, { a: ['y'] }],
    [{ a: {} }, {}, { a: {} }],
  ])('%j and %j: %j', (base, over, merged) => {
    expect(mergePolicyData(base, over)).toEqual(merged)
  })

  test.each([
    [{ a: { b: ['x'] } }, { a: { b: 'x' } }, 'a.b'],
    [{ a: {} }, { a: [] }, 'a'],
    [{ a: 1 }, { a: {} }, 'a'],
    [{}, [], ''],
  ])('%j and %j do not fit', (base, over, path) => {
    expect(() => mergePolicyData(base, over)).toThrow(MergeError)
    try {
      mergePolicyData(base, over)
    } catch (error) {
      expect(error).toMatchObject({ path })
    }
  })

  test('a key called __proto__ is data', () => {
    const merged = mergePolicyData({ a: 1 }, JSON.parse('{"__proto__":{"admin_users":["eve"]}}'))
    expect((merged as { admin_users?: unknown }).admin_users).toBeUndefined()
    expect(JSON.stringify(merged)).toBe('{"a":1,"__proto__":{"admin_users":["eve"]}}')
  })

  test('nothing over anything changes nothing, and neither argument is changed', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
        const before = JSON.stringify(data)
        const merged = mergePolicyData(data, {})
        mergePolicyData({}, data)
        expect(JSON.stringify(merged)).toBe(before)
        expect(JSON.stringify(data)).toBe(before)
      }),
    )
  })

  test('null is the same as never said', () => {
    expect(withoutNulls({ a: null, b: { c: null, d: [1, null] } })).toEqual({ b: { d: [1] } })
  })
})

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  consentScope,
  deviceOf,
  isMatrixScope,
  normaliseScope,
  parseScope,
  spellingOf,
} from '../../src/lib/scope.ts'

const API = 'urn:matrix:client:api:*'
const UNSTABLE_API = 'urn:matrix:org.matrix.msc2967.client:api:*'
const device = (id: string) => `urn:matrix:client:device:${id}`
const unstableDevice = (id: string) => `urn:matrix:org.matrix.msc2967.client:device:${id}`

describe('scopes', () => {
  test.each(['', ' ', 'a  b', ' a', 'a ', 'a\tb', 'a"b', 'a\\b', 'ü', 'a\nb', 'a\0b'])(
    '%j is no scope (RFC 6749 3.3)',
    (text) => {
      expect(parseScope(text)).toBeUndefined()
    },
  )

  test('a parsed scope is a sorted set', () => {
    expect(parseScope('b a b')).toEqual(['a', 'b'])
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[!#-[\]-~]{1,8}$/), { minLength: 1 }), (scopes) => {
        expect(parseScope(scopes.join(' '))).toEqual([...new Set(scopes)].sort())
      }),
    )
  })

  test('introspection tells every Matrix scope in both spellings, sorted by byte (reference 5.3)', () => {
    const both = [UNSTABLE_API, API, device('ABC'), unstableDevice('ABC')].sort().join(' ')
    expect(normaliseScope([API, device('ABC')])).toBe(both)
    expect(normaliseScope([UNSTABLE_API, unstableDevice('ABC')])).toBe(both)
    expect(normaliseScope(['openid', 'Z', 'urn:synapse:admin:*'])).toBe('Z openid urn:synapse:admin:*')
    expect(normaliseScope([])).toBe('')
  })

  test('the device, the spelling, and what a consent is remembered for', () => {
    expect(deviceOf([API, device('X')])).toBe('X')
    expect(deviceOf([UNSTABLE_API, unstableDevice('Y')])).toBe('Y')
    expect(deviceOf([API])).toBeUndefined()
    expect([spellingOf(API), spellingOf(unstableDevice('X')), spellingOf('openid')]).toEqual([
      'stable',
      'unstable',
      undefined,
    ])
    expect(consentScope([API, device('X'), 'openid'])).toBe(`${API} openid`)
    expect([isMatrixScope(API), isMatrixScope(device('')), isMatrixScope('urn:mas:admin')]).toEqual([
      true,
      true,
      false,
    ])
  })
})

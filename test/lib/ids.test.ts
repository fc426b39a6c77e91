import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { base64url, fromBase64url } from '../../src/lib/base64url.ts'
import { addSeconds, epochSeconds } from '../../src/lib/clock.ts'
import { equalBytes, equalSecrets, sha256 } from '../../src/lib/digest.ts'
import { fold } from '../../src/lib/fold.ts'
import { pickCharacters, randomString, systemRandom } from '../../src/lib/random.ts'
import { newId, ulidFromUuid, uuidFromUlid } from '../../src/lib/ulid.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

describe('ids', () => {
  test('a ULID and its uuid are the same 128 bits, in either case', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        const ulid = ulidFromUuid(uuid)
        expect(ulid).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
        expect(uuidFromUlid(ulid)).toBe(uuid)
        expect(uuidFromUlid(ulid.toLowerCase())).toBe(uuid)
      }),
    )
  })

  test('a known ULID (github.com/ulid/spec)', () => {
    expect(uuidFromUlid('01ARZ3NDEKTSV4RRFFQ69G5FAV')).toBe('01563e3a-b5d3-d676-4c61-efb99302bd5b')
  })

  test('an id keeps its time, and ids sort by it as text and as uuid', () => {
    const time = fc.date({ min: new Date(0), max: new Date(2 ** 48 - 1), noInvalidDate: true })
    fc.assert(
      fc.property(time, time, (a, b) => {
        const [first, second] = [newId(a, systemRandom), newId(b, systemRandom)]
        expect(Number.parseInt(first.replaceAll('-', '').slice(0, 12), 16)).toBe(a.getTime())
        if (a < b) expect(first < second && ulidFromUuid(first) < ulidFromUuid(second)).toBe(true)
      }),
    )
  })

  test('what is no ULID is none', () => {
    const near = [
      '',
      '01ARZ3NDEKTSV4RRFFQ69G5FA',
      '01ARZ3NDEKTSV4RRFFQ69G5FAVX',
      '81ARZ3NDEKTSV4RRFFQ69G5FAV',
    ]
    const odd = ['01ARZ3NDEKTSV4RRFFQ69G5FAU', '01ARZ3NDEKTSV4RRFFQ69G5FAV\n', '01ARZ3NDEKTSV4RRFFQ69G5FAı']
    for (const text of [...near, ...odd]) expect([text, uuidFromUlid(text)]).toEqual([text, undefined])
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const uuid = uuidFromUlid(text)
        if (uuid !== undefined) expect(ulidFromUuid(uuid)).toBe(text.toUpperCase())
      }),
    )
  })
})

describe('bytes and text', () => {
  test('base64url there and back, without padding', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (data) => {
        const text = base64url(data)
        expect(text).toMatch(/^[\w-]*$/)
        expect(fromBase64url(text)).toEqual(new Uint8Array(data))
      }),
    )
    expect(fromBase64url('%%%')).toBeUndefined()
  })

  test('secrets are equal only when they are', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(equalSecrets(a, b)).toBe(a === b)
        expect(equalSecrets(a, a)).toBe(true)
      }),
    )
    expect(equalBytes(sha256('a'), sha256('a').subarray(1))).toBe(false)
  })

  test('random strings have the alphabet and the length, and no bias towards its start', () => {
    expect(randomString(systemRandom, 32)).toMatch(/^[0-9A-Za-z]{32}$/)
    const counts = new Map<string, number>()
    const every = Uint8Array.from({ length: 256 }, (_, index) => index)
    const text = pickCharacters(() => every, 250, 'abcde')
    for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
    expect([...counts.values()]).toEqual([50, 50, 50, 50, 50])
    fc.assert(fc.property(bytes(64), (data) => pickCharacters(() => data, 4, 'ab').length === 4))
  })

  test('folding is idempotent and joins what people take for the same', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => fold(fold(text)) === fold(text)))
    expect(fold('ＡLICE')).toBe('alice')
    expect(fold('É')).toBe(fold('E\u0301'))
  })

  test('seconds', () => {
    const date = new Date('2026-01-01T00:00:00.999Z')
    expect(epochSeconds(date)).toBe(1767225600)
    expect(addSeconds(date, -1.5).getTime()).toBe(date.getTime() - 1500)
  })
})

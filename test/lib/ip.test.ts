import { describe, expect, test } from 'bun:test'
import { isIP } from 'node:net'
import fc from 'fast-check'
import { contains, formatIp, parseIp, parseNetwork } from '../../src/lib/ip.ts'

const address = fc.oneof(fc.ipV4(), fc.ipV6())
const parse = (text: string): Uint8Array => {
  const bytes = parseIp(text)
  if (!bytes) throw new Error(`${text} is an address`)
  return bytes
}
const network = (text: string) => {
  const parsed = parseNetwork(text)
  if (!parsed) throw new Error(`${text} is a network`)
  return parsed
}

describe('addresses', () => {
  test('parses exactly what the platform takes for an address', () => {
    const almost = fc.stringMatching(/^[0-9a-f:.]{0,24}$/)
    fc.assert(
      fc.property(fc.oneof(address, almost, fc.string()), (text) => {
        // Leading zeros (010.0.0.1) are octal to some and decimal to others: ours are decimal, as in inet.
        if (/(^|\.)0\d/.test(text) || text.includes('%')) return
        expect([text, parseIp(text) !== undefined]).toEqual([text, isIP(text) !== 0])
      }),
      { numRuns: 2000 },
    )
  })

  test('the canonical text is stable, and parses to the same address', () => {
    fc.assert(
      fc.property(address, (text) => {
        const canonical = formatIp(parse(text))
        expect(parse(canonical)).toEqual(parse(text))
        expect(formatIp(parse(canonical))).toBe(canonical)
      }),
    )
  })

  test('an IPv4-mapped address is the IPv4 address', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => expect(formatIp(parse(`::ffff:${text}`))).toBe(formatIp(parse(text)))),
    )
  })

  test.each([
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '1.2.3.4:80',
    '1::2::3',
    ':::',
    '1:2:3:4:5:6:7',
    'fe80::1%eth0',
    '::1.2.3',
    '12345::',
  ])('%j is none', (text) => {
    expect(parseIp(text)).toBeUndefined()
  })
})

describe('networks', () => {
  test('an address lies in every network of its own bits, and the bits decide', () => {
    fc.assert(
      fc.property(address, fc.nat(128), fc.nat(127), (text, bits, flip) => {
        const bytes = parse(text)
        const own = { address: bytes, bits }
        expect(contains(own, bytes)).toBe(true)
        const other = Uint8Array.from(bytes)
        const index = flip >> 3
        other[index] = (other[index] ?? 0) ^ (128 >> (flip & 7))
        expect(contains(own, other)).toBe(flip >= bits)
      }),
    )
  })

  test.each([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['172.16.0.0/12', '172.31.1.1', true],
    ['172.16.0.0/12', '172.32.1.1', false],
    ['10.0.0.0/8', '::ffff:10.1.1.1', true],
    ['::/0', '10.1.1.1', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
  ])('%s and %s: %p', (text, inside, expected) => {
    expect(contains(network(text), parse(inside))).toBe(expected)
  })

  test.each([
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '::/129',
    '10.0.0.0/8/8',
    'x/8',
    '10.0.0.0/8 ',
  ])('%j is none', (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  })
})

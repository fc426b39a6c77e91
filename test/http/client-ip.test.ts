import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { clientIp } from '../../src/http/client-ip.ts'
import { parseNetwork } from '../../src/lib/ip.ts'
import { testConfig } from '../support/config.ts'

const trusted = (await testConfig()).http.trusted_proxies
  .map(parseNetwork)
  .filter((network) => network !== undefined)

describe('the address of a client (reference operations 9, corrected)', () => {
  test.each<[string | undefined, string | null, string | undefined]>([
    ['10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', '1.1.1.1,203.0.113.9', '203.0.113.9'],
    // What nginx appends: items are trimmed.
    ['10.0.0.1', '1.1.1.1, 203.0.113.9', '203.0.113.9'],
    // The peer is no proxy of ours: its header is hearsay.
    ['203.0.113.9', '1.1.1.1', '203.0.113.9'],
    ['203.0.113.9', null, '203.0.113.9'],
    // The whole of 10/8 is private.
    ['10.200.0.1', '203.0.113.9', '203.0.113.9'],
    ['127.0.0.1', '203.0.113.9, 10.1.2.3, 192.168.0.4', '203.0.113.9'],
    // Nobody but proxies: the first of them.
    ['10.0.0.1', '10.0.0.2, 10.0.0.3', '10.0.0.2'],
    ['10.0.0.1', null, '10.0.0.1'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['::1', '2001:DB8::1', '2001:db8::1'],
    ['fd00::1', '[2001:db8::1]:443', '2001:db8::1'],
    ['10.0.0.1', '203.0.113.9:51234', '203.0.113.9'],
    ['::ffff:10.0.0.1', '::ffff:203.0.113.9', '203.0.113.9'],
    // What stands left of an item that is no address was not written by a proxy of ours.
    ['10.0.0.1', '1.1.1.1, unknown, 10.0.0.2', '10.0.0.2'],
    ['10.0.0.1', '203.0.113.9, unknown', '10.0.0.1'],
    // A Unix socket is trusted.
    [undefined, '203.0.113.9', '203.0.113.9'],
    [undefined, null, undefined],
    ['not an address', '203.0.113.9', undefined],
  ])('peer %j, X-Forwarded-For %j: %j', (peer, header, expected) => {
    expect(clientIp(peer, header, trusted)).toBe(expected)
  })

  test('several header lines are one list', () => {
    const headers = new Headers([
      ['x-forwarded-for', '1.1.1.1'],
      ['x-forwarded-for', '203.0.113.9'],
    ])
    expect(clientIp('10.0.0.1', headers.get('x-forwarded-for'), trusted)).toBe('203.0.113.9')
  })

  test('no header of a stranger ever changes the answer', () => {
    fc.assert(
      fc.property(fc.string(), fc.ipV4(), (header, claimed) => {
        expect(clientIp('203.0.113.9', `${claimed}, ${header}`, trusted)).toBe('203.0.113.9')
      }),
    )
  })

  test('whatever the client sends, the last hop that our proxy saw is the answer', () => {
    fc.assert(
      fc.property(fc.string(), (sent) => {
        expect(clientIp('10.0.0.1', `${sent}, 203.0.113.9`, trusted)).toBe('203.0.113.9')
      }),
    )
  })
})

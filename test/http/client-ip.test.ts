import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { clientIp } from '../../src/http/client-ip.ts'
import { parseNetwork } from '../../src/lib/ip.ts'
import { testConfig } from '../support/config.ts'

const trusted = (await testConfig()).http.trusted_proxies
  .map(parseNetwork)
  .filter((network) => network !== undefined)

const headersOf = (name: string, value: string | null): Headers =>
  new Headers(value === null ? {} : { [name]: value })

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
    expect(clientIp(peer, headersOf('x-forwarded-for', header), trusted)).toBe(expected)
  })

  test.each<[string | undefined, string, string | undefined]>([
    ['10.0.0.1', 'for=203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', 'For="203.0.113.9:4711";Proto=http;by=10.0.0.1', '203.0.113.9'],
    ['10.0.0.1', 'proto=https; for=203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', 'for="[2001:db8:cafe::17]:4711"', '2001:db8:cafe::17'],
    ['10.0.0.1', 'for=1.1.1.1, for=203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', 'for=203.0.113.9;secret="a, for=1.1.1.1", for=10.0.0.2', '203.0.113.9'],
    // The peer is no proxy of ours.
    ['203.0.113.9', 'for=1.1.1.1', '203.0.113.9'],
    [undefined, 'for=203.0.113.9', '203.0.113.9'],
    // Hidden on purpose (RFC 7239 sections 6.2 and 6.3), left out, or rubbish: what stands left of it is hearsay.
    ['10.0.0.1', 'for=1.1.1.1, for=unknown', '10.0.0.1'],
    ['10.0.0.1', 'for=1.1.1.1, for=_hidden, for=10.0.0.2', '10.0.0.2'],
    ['10.0.0.1', 'for=1.1.1.1, proto=https', '10.0.0.1'],
    ['10.0.0.1', 'for=1.1.1.1, xfor=203.0.113.9', '10.0.0.1'],
    ['10.0.0.1', 'for="1.1.1.1, for=203.0.113.9', '10.0.0.1'],
    ['10.0.0.1', 'for="1.1.1.1\\", for=203.0.113.9', '10.0.0.1'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['10.0.0.1', `for=1.1.1.1;x=${'y'.repeat(5000)}, for=203.0.113.9`, '10.0.0.1'],
  ])('peer %j, Forwarded %j: %j (RFC 7239)', (peer, header, expected) => {
    expect(clientIp(peer, headersOf('forwarded', header), trusted)).toBe(expected)
  })

  test('X-Forwarded-For goes before Forwarded, which a client can send through a proxy that writes the former', () => {
    const headers = new Headers({ 'x-forwarded-for': '203.0.113.9', forwarded: 'for=1.1.1.1' })
    expect(clientIp('10.0.0.1', headers, trusted)).toBe('203.0.113.9')
  })

  test('several header lines are one list', () => {
    const headers = new Headers([
      ['x-forwarded-for', '1.1.1.1'],
      ['x-forwarded-for', '203.0.113.9'],
    ])
    expect(clientIp('10.0.0.1', headers, trusted)).toBe('203.0.113.9')
  })

  const printable = fc.string({ unit: 'grapheme-ascii' })

  test('no header of a stranger ever changes the answer', () => {
    fc.assert(
      fc.property(printable, fc.ipV4(), (header, claimed) => {
        for (const [name, value] of [
          ['x-forwarded-for', `${claimed}, ${header}`],
          ['forwarded', `for=${claimed}, ${header}`],
        ] as const)
          expect(clientIp('203.0.113.9', headersOf(name, value), trusted)).toBe('203.0.113.9')
      }),
    )
  })

  test('whatever the client sends in X-Forwarded-For, the last hop that our proxy saw is the answer', () => {
    fc.assert(
      fc.property(printable, (sent) => {
        const headers = headersOf('x-forwarded-for', `${sent}, 203.0.113.9`)
        expect(clientIp('10.0.0.1', headers, trusted)).toBe('203.0.113.9')
      }),
    )
  })

  test('whatever the client sends in Forwarded, the answer is the last hop that our proxy saw, or the proxy', () => {
    fc.assert(
      fc.property(printable, (sent) => {
        const headers = headersOf('forwarded', `${sent}, for=203.0.113.9`)
        expect(['203.0.113.9', '10.0.0.1']).toContain(clientIp('10.0.0.1', headers, trusted) ?? '')
      }),
    )
  })
})

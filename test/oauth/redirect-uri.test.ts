import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isProvenRedirect, isRegistered } from '../../src/oauth/redirect-uri.ts'

const port = fc.integer({ min: 1, max: 65535 })

describe('matching redirect URIs (reference 3.7, RFC 8252 section 7.3)', () => {
  test.each<[string, string, boolean]>([
    ['https://a.test/cb', 'https://a.test/cb', true],
    ['https://a.test/cb', 'https://a.test:443/cb', true],
    ['https://a.test', 'https://a.test/', true],
    ['https://a.test/cb', 'https://A.TEST/cb', true],
    ['https://a.test/cb', 'https://a.test/x/../cb', true],
    ['https://a.test/cb', 'https://a.test/cb/', false],
    ['https://a.test/cb', 'https://a.test/cb?x', false],
    ['https://a.test/cb', 'https://a.test:8443/cb', false],
    ['https://a.test/cb', 'http://a.test/cb', false],
    ['https://a.test/cb', 'https://a.test.evil.test/cb', false],
    ['https://a.test/cb', 'https://user@a.test/cb', false],
    ['https://a.test/cb', '/cb', false],
    ['http://localhost/cb', 'http://localhost:5000/cb', true],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:5000/cb', true],
    ['http://[::1]/cb', 'http://[::1]:5000/cb', true],
    ['http://localhost:4000/cb', 'http://localhost:4000/cb', true],
    ['http://localhost:4000/cb', 'http://localhost:5000/cb', false],
    ['http://localhost/cb', 'http://127.0.0.1:5000/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1.evil.test/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:5000@evil.test/cb', false],
    ['http://127.0.0.1/cb', 'http://user@127.0.0.1:5000/cb', false],
    ['http://localhost/cb', 'http://localhost:5000/cb?x=1', false],
    ['com.example:/cb', 'com.example:/cb', true],
    ['com.example:/cb', 'com.example:/cb2', false],
    ['com.example:/cb', 'com.example://cb', false],
  ])('registered %s, asked for %s: %p', (registered, requested, expected) => {
    expect(isRegistered([registered], requested)).toBe(expected)
    expect(isRegistered(['https://other.test/', registered], requested)).toBe(expected)
  })

  test('nothing is registered: nothing matches', () => {
    fc.assert(fc.property(fc.webUrl(), (uri) => expect(isRegistered([], uri)).toBe(false)))
  })

  test('what matches is the registered one, or differs from it in the port of a loopback address alone', () => {
    const uri = fc.oneof(
      fc.webUrl({ withQueryParameters: true }),
      fc
        .tuple(
          fc.constantFrom('localhost', '127.0.0.1', '[::1]', '127.0.0.2', 'localhost.test'),
          fc.option(port),
          fc.webPath(),
        )
        .map(([host, number, path]) => `http://${host}${number === null ? '' : `:${number}`}${path}`),
    )
    fc.assert(
      fc.property(uri, uri, (registered, requested) => {
        if (!isRegistered([registered], requested)) return
        const [a, b] = [new URL(registered), new URL(requested)]
        if (a.href === b.href) return
        expect(b.origin).toMatch(/^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/)
        expect(a.port).toBe('')
        b.port = ''
        expect(b.href).toBe(a.href)
      }),
      { numRuns: 1000 },
    )
    fc.assert(
      fc.property(port, fc.webPath(), (number, path) => {
        expect(isRegistered([`http://[::1]${path}`], `http://[::1]:${number}${path}`)).toBe(true)
      }),
    )
  })

  test.each<[string, string | undefined, boolean]>([
    ['https://app.test/cb', 'https://app.test/', true],
    ['https://sub.app.test/cb', 'https://app.test/', true],
    ['https://notapp.test/cb', 'https://app.test/', false],
    ['https://app.test/cb', 'https://sub.app.test/', false],
    ['http://app.test/cb', 'https://app.test/', false],
    ['https://app.test/cb', 'http://app.test/', false],
    ['https://app.test/cb', undefined, false],
    ['test.app:/cb', 'https://app.test/', false],
  ])('%s is proven by %s: %p (decision 10)', (uri, clientUri, expected) => {
    expect(isProvenRedirect(uri, clientUri)).toBe(expected)
  })
})

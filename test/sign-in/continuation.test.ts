import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { readContinuation, withContinuation } from '../../src/identity/continuation.ts'
import { limitSubject } from '../../src/identity/limits.ts'
import { formatIp } from '../../src/lib/ip.ts'

const kind = fc.constantFrom(
  'continue_authorization_grant',
  'continue_device_code_grant',
  'continue_compat_sso_login',
  'manage_account',
  'link_upstream',
  'x',
  '',
)
const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.webUrl(),
  fc.constantFrom(
    '//evil.test',
    '\\\\evil.test',
    '/\t/evil.test',
    '..//evil.test',
    '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    'org.matrix.profile',
  ),
)

describe('continuations', () => {
  test('whatever the query says, the person stays on this site (reference 1.4)', () => {
    fc.assert(
      fc.property(kind, anything, anything, anything, (kindValue, id, action, device_id) => {
        const continuation = readContinuation({ kind: kindValue, id, action, device_id })
        const target = new URL(continuation.path, 'https://auth.test/')
        expect(target.origin).toBe('https://auth.test')
        expect(target.pathname).toMatch(
          /^\/((consent|device|complete-compat-sso|upstream\/link)\/[0-9A-Z]{26}|account\/)?$/,
        )
        expect(continuation.path).not.toMatch(/^\/[/\\]|[\s\\]/)
      }),
      { numRuns: 2000 },
    )
  })

  test('its text reads back to the same continuation, from a query and from hidden fields', () => {
    fc.assert(
      fc.property(kind, anything, anything, anything, (kindValue, id, action, device_id) => {
        const once = readContinuation({ kind: kindValue, id, action, device_id })
        const { searchParams } = new URL(withContinuation('/login', once), 'https://auth.test')
        expect(readContinuation(Object.fromEntries(searchParams))).toEqual(once)
      }),
    )
  })

  test.each([
    [
      { kind: 'continue_authorization_grant', id: '01arz3ndektsv4rrffq69g5fav' },
      '/consent/01ARZ3NDEKTSV4RRFFQ69G5FAV',
    ],
    [
      { kind: 'continue_device_code_grant', id: '01arz3ndektsv4rrffq69g5fav' },
      '/device/01ARZ3NDEKTSV4RRFFQ69G5FAV',
    ],
    [
      { kind: 'continue_compat_sso_login', id: '01arz3ndektsv4rrffq69g5fav' },
      '/complete-compat-sso/01ARZ3NDEKTSV4RRFFQ69G5FAV',
    ],
    [
      { kind: 'link_upstream', id: '01arz3ndektsv4rrffq69g5fav' },
      '/upstream/link/01ARZ3NDEKTSV4RRFFQ69G5FAV',
    ],
    [{ kind: 'link_upstream', id: '../login' }, '/'],
    [{ kind: 'continue_device_code_grant', id: '../login' }, '/'],
    [{ kind: 'manage_account' }, '/account/'],
    [
      { kind: 'manage_account', action: 'org.matrix.session_end', device_id: 'A/B' },
      '/account/?action=org.matrix.session_end&device_id=A%2FB',
    ],
    [{ kind: 'manage_account', action: 'javascript:x' }, '/account/'],
    [{ kind: 'change_password' }, '/'],
    [{}, '/'],
  ])('%j goes to %s', (params, path) => {
    expect(readContinuation(params as Record<string, string>).path).toBe(path)
  })
})

describe('whom a limit counts', () => {
  test('IPv4 one by one, IPv6 by /64, however it is written', () => {
    expect(limitSubject('203.0.113.9')).toBe('203.0.113.9')
    expect(limitSubject(undefined)).toBe('unknown')
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(127), (bytes, flip) => {
        const [address, other] = [Uint8Array.from(bytes), Uint8Array.from(bytes)]
        other[flip >> 3] = (other[flip >> 3] ?? 0) ^ (128 >> (flip & 7))
        const texts = [formatIp(address), formatIp(other)]
        if (texts.some((text) => !text.includes(':'))) return
        expect(limitSubject(texts[0]) === limitSubject(texts[1])).toBe(flip >= 64)
      }),
    )
    expect(limitSubject('2a00:0:0:5::1')).toBe(limitSubject('2a00::5:1:2:3:4'))
    expect(limitSubject('2a00:0:0:5::1')).not.toBe(limitSubject('2a00:0:0:6::1'))
  })
})

import { expect, test } from 'bun:test'
import { foldEmail, parseEmail } from '../../src/identity/email-address.ts'

test.each([
  'alice@example.org',
  ' alice@example.org ',
  'alice+matrix@example.org',
  "o'hara.x_y-z@mail.example.co.uk",
  'josé@exämple.test',
  'root@localhost',
  'a@b.c',
  `${'a'.repeat(60)}@${'b'.repeat(60)}.example`,
])('parseEmail: %j is an address', (text) => {
  expect(parseEmail(text)).toBe(text.trim())
})

test.each([
  '',
  'alice',
  '@example.org',
  'alice@',
  'alice@@example.org',
  'alice@example..org',
  'alice@.example.org',
  'alice@example.org.',
  'alice@-example.org',
  'al..ice@example.org',
  'alice.@example.org',
  '.alice@example.org',
  '-oQ@example.org',
  'alice@example.org, eve@evil.test',
  'alice@example.org;eve@evil.test',
  'eve@evil.test@example.org',
  '"eve@evil.test x"@example.org',
  'alice <alice@example.org>',
  'alice@example.org\r\nBcc: eve@evil.test',
  'alice\u0000@example.org',
  'alice\u202e@example.org',
  'al ice@example.org',
  'alice(comment)@example.org',
  'alice@[192.0.2.1]',
  `${'a'.repeat(250)}@example.org`,
  `${'a.'.repeat(100_000)}@example.org`,
])('parseEmail: %j is refused', (text) => {
  expect(parseEmail(text)).toBeUndefined()
})

test('foldEmail: case and compatibility forms do not make another address', () => {
  expect(foldEmail('Alice@EXAMPLE.org')).toBe('alice@example.org')
  expect(foldEmail('mi\u212ae@example.org')).toBe('mike@example.org')
})

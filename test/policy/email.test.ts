import { describe, expect, test } from 'bun:test'
import type { PolicyData } from '../../src/policy/constraints.ts'
import { checkEmailPolicy, matchesDomain } from '../../src/policy/email.ts'
import { checkRegisterPolicy } from '../../src/policy/register.ts'

const NOBODY = { ip: undefined, userAgent: undefined }
const withData = (data: PolicyData) => ({ data, serverName: 'example.test', sessionLimit: undefined })
const check = (email: string, data: PolicyData = {}) =>
  checkEmailPolicy(withData(data), email, NOBODY).map(({ code }) => code)

describe('domains as globs (reference operations 6.3)', () => {
  test.each([
    ['example.org', 'example.org', true],
    ['example.org', 'sub.example.org', false],
    ['example.org', 'example.orgs', false],
    ['example.org', 'exampleXorg', false],
    // One label and no more.
    ['*.example.org', 'sub.example.org', true],
    ['*.example.org', 'a.b.example.org', false],
    ['*.example.org', 'example.org', false],
    ['**.example.org', 'a.b.example.org', true],
    ['mail-?.example.org', 'mail-1.example.org', true],
    ['mail-?.example.org', 'mail-12.example.org', false],
    ['*', 'localhost', true],
    ['*', 'example.org', false],
    ['EXAMPLE.org.', 'example.org', true],
    ['bücher.example', 'xn--bcher-kva.example', true],
    ['(a|b).example', 'a.example', false],
  ])('%s and %s: %p', (glob, domain, expected) => {
    expect(matchesDomain(glob, domain)).toBe(expected)
  })
})

describe('email addresses (reference operations 6.3, defect 15 mended)', () => {
  test('nothing said: every address is fine, and what is none is not', () => {
    expect(check('alice@example.org')).toEqual([])
    for (const none of ['', 'alice', '@example.org', 'alice@', `${'a'.repeat(250)}@b.org`])
      expect([none, check(none)]).toEqual([none, ['email-invalid']])
  })

  test.each([
    'a@evil.test',
    'a@EVIL.TEST',
    'A@Evil.Test ',
    // The domain follows the last @: a quoted local part may hold others.
    '"a@good.test"@evil.test',
    'a@good.test@evil.test',
    'a@evil.test.',
    'a@ｅｖｉｌ.test',
  ])('a banned domain is banned however it is written: %j', (address) => {
    expect(check(address, { banned_domains: ['Evil.test'] })).toEqual(['email-domain-banned'])
  })

  test.each([
    ['a@good.test', []],
    ['a@GOOD.test', []],
    ['a@sub.good.test', ['email-domain-not-allowed']],
    ['"x@good.test"@evil.test', ['email-domain-not-allowed']],
    ['a@evil.test', ['email-domain-not-allowed']],
  ] as const)('only allowed domains: %s', (address, expected) => {
    expect(check(address, { allowed_domains: ['good.test'] })).toEqual([...expected])
  })

  test.each([
    [{ literals: ['A@Example.org'] }, true],
    [{ prefixes: ['A@'] }, true],
    [{ suffixes: ['@EXAMPLE.ORG'] }, true],
    [{ substrings: ['@Ex'] }, true],
    [{ regexes: ['^A@'] }, true],
    [{ regexes: ['(?s)^A@'] }, true],
    [{ literals: ['b@example.org'] }, false],
  ])('lists of addresses compare without case: %j', (constraints, listed) => {
    expect(check('a@example.org', { emails: { banned_addresses: constraints } })).toEqual(
      listed ? ['email-banned'] : [],
    )
    expect(check('a@example.org', { emails: { allowed_addresses: constraints } })).toEqual(
      listed ? [] : ['email-not-allowed'],
    )
  })

  test('an empty list of what is allowed allows nothing', () => {
    expect(check('a@example.org', { allowed_domains: [] })).toEqual(['email-domain-not-allowed'])
  })

  test('an address that is too long does not reach the regular expressions of the operator', () => {
    const data = { emails: { banned_addresses: { regexes: ['^a+@'] } } }
    expect(check(`${'a'.repeat(300)}@b.org`, data)).toEqual(['email-invalid'])
  })

  test('a banned requester may not add one either', () => {
    const rules = withData({ requester: { banned_ips: ['192.0.2.0/24'] } })
    const requester = { ip: '192.0.2.9', userAgent: undefined }
    expect(checkEmailPolicy(rules, 'a@b.org', requester)).toMatchObject([{ code: 'requester-banned' }])
  })

  test('at sign-up they are violations of the field `email`', () => {
    const asked = { username: 'alice', email: 'a@evil.test', method: 'password' as const }
    expect(checkRegisterPolicy(withData({ banned_domains: ['evil.test'] }), asked, NOBODY)).toMatchObject([
      { field: 'email', code: 'email-domain-banned' },
    ])
  })
})

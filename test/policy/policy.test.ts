import { describe, expect, test } from 'bun:test'
import { checkRegistrationPolicy, type RegistrationInput } from '../../src/policy/client-registration.ts'
import {
  isBannedRequester,
  matches,
  type PolicyData,
  type PolicyRules,
} from '../../src/policy/constraints.ts'
import { checkGrantPolicy } from '../../src/policy/grant.ts'
import { checkRegisterPolicy, registrationEnabled } from '../../src/policy/register.ts'
import { testConfig } from '../support/config.ts'

const NOBODY = { ip: undefined, userAgent: undefined }
const withData = (data: PolicyData): PolicyRules => ({
  data,
  serverName: 'example.test',
  sessionLimit: undefined,
})

describe('constraints (reference operations 6.4)', () => {
  test.each([
    [{ literals: ['a'] }, 'a', true],
    [{ literals: ['a'] }, 'ab', false],
    [{ substrings: ['b'] }, 'abc', true],
    [{ prefixes: ['a'] }, 'abc', true],
    [{ prefixes: ['b'] }, 'abc', false],
    [{ suffixes: ['c'] }, 'abc', true],
    [{ regexes: ['^a.c$'] }, 'abc', true],
    [{ regexes: ['b'] }, 'abc', true],
    // As RE2 writes it, which policies of MAS were made for.
    [{ regexes: ['(?i)^ABC$'] }, 'abc', true],
    [{ regexes: ['^ABC$'] }, 'abc', false],
    [{ regexes: ['('] }, '(', false],
    [{ regexes: ['('], literals: ['x'] }, 'x', true],
    [{}, '', false],
  ])('%j and %j: %p', (constraints, text, expected) => {
    expect(matches(constraints, text)).toBe(expected)
  })

  test('nothing is banned when nothing is said', () => {
    expect(matches(undefined, 'x')).toBe(false)
    expect(isBannedRequester({}, { ip: '192.0.2.1', userAgent: 'x' })).toBe(false)
  })

  test.each([
    ['192.0.2.7', undefined, true],
    ['192.0.3.1', undefined, false],
    ['::ffff:192.0.2.7', undefined, true],
    ['2001:db8::5', undefined, true],
    [undefined, undefined, false],
    [undefined, 'curl/8', true],
  ])('requester %j %j: %p', (ip, userAgent, expected) => {
    const requester = {
      banned_ips: ['192.0.2.0/24', '2001:db8::/32', 'nonsense'],
      banned_user_agents: { prefixes: ['curl/'] },
    }
    expect(isBannedRequester({ requester }, { ip, userAgent })).toBe(expected)
  })
})

describe('usernames (reference operations 6.3)', () => {
  const check = (username: string, data: PolicyData = {}) =>
    checkRegisterPolicy(withData(data), { username, method: 'password' }, NOBODY).map(({ code }) => code)
  const LONGEST = 255 - '@:example.test'.length

  test.each([
    ['a', []],
    ['a.b=c_d/e+f-9', []],
    ['', ['username-too-short']],
    ['A', ['username-invalid-chars']],
    ['ä', ['username-invalid-chars']],
    ['a b', ['username-invalid-chars']],
    ['a\n', ['username-invalid-chars']],
    ['007', ['username-all-numeric']],
    ['x'.repeat(LONGEST), []],
    ['x'.repeat(LONGEST + 1), ['username-too-long']],
  ] as const)('%j', (username, violations) => {
    expect(check(username)).toEqual([...violations])
  })

  test('what the operator bans and allows', () => {
    const data = {
      registration: { banned_usernames: { literals: ['root'] }, allowed_usernames: { suffixes: ['-x'] } },
    }
    expect(check('root', data)).toEqual(['username-banned', 'username-not-allowed'])
    expect(check('a', data)).toEqual(['username-not-allowed'])
    expect(check('a-x', data)).toEqual([])
  })

  test('a name that is too long does not reach the regular expressions of the operator', () => {
    const data = { registration: { banned_usernames: { regexes: ['^x+$'] } } }
    expect(check('x', data)).toEqual(['username-banned'])
    expect(check('x'.repeat(LONGEST + 1), data)).toEqual(['username-too-long'])
  })

  test('a banned requester', () => {
    const config = withData({ requester: { banned_ips: ['192.0.2.1'] } })
    const banned = { ip: '192.0.2.1', userAgent: undefined }
    expect(checkRegisterPolicy(config, { username: 'a', method: 'password' }, banned)).toMatchObject([
      { code: 'requester-banned' },
    ])
  })
})

describe('client registration, relaxed (reference 7.2)', () => {
  const CLIENT: RegistrationInput = {
    client_uri: 'https://app.test/',
    redirect_uris: ['https://app.test/cb'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'none',
  }
  const check = (client: Partial<RegistrationInput>, relaxed: object = {}) =>
    checkRegistrationPolicy(withData({ client_registration: relaxed }), { ...CLIENT, ...client }, NOBODY).map(
      ({ redirect_uri }) => (redirect_uri === undefined ? 'invalid_client_metadata' : 'invalid_redirect_uri'),
    )
  const { client_uri: _, ...WITHOUT_URI } = CLIENT

  test.each([
    [{}, 'https://app.test/x', []],
    [{}, 'http://app.test/', ['invalid_redirect_uri']],
    [{ allow_insecure_uris: true }, 'http://app.test/', []],
    [{ allow_insecure_uris: true }, 'http://else.test/', ['invalid_redirect_uri']],
    [{ allow_host_mismatch: true }, 'https://else.test/', []],
    [{ allow_host_mismatch: true }, 'http://else.test/', ['invalid_redirect_uri']],
    [{ allow_insecure_uris: true, allow_host_mismatch: true }, 'http://else.test/', []],
  ] as const)('%j, redirect to %s: %j', (relaxed, uri, expected) => {
    expect(check({ redirect_uris: [uri] }, relaxed)).toEqual([...expected])
  })

  test.each([
    'localhost',
    'app.localhost',
    'localhost.',
    '127.0.0.2',
    '127.1',
    '0',
    '[::]',
    '[::ffff:127.0.0.1]',
  ])('https://%s is on the machine of the person, and no home of an app (RFC 6761 section 6.3)', (host) => {
    expect(check({ client_uri: `https://${host}/`, redirect_uris: [`https://${host}/cb`] })).toEqual([
      'invalid_client_metadata',
      'invalid_redirect_uri',
    ])
  })

  test('a missing client_uri may be allowed, and does not switch off the host check of others (edge 26)', () => {
    const relaxed = { client_registration: { allow_missing_client_uri: true } }
    expect(checkRegistrationPolicy(withData(relaxed), WITHOUT_URI, NOBODY)).toEqual([])
    expect(checkRegistrationPolicy(withData({}), WITHOUT_URI, NOBODY)).toHaveLength(1)
    expect(check({ redirect_uris: ['https://evil.test/'] }, relaxed.client_registration)).toEqual([
      'invalid_redirect_uri',
    ])
  })

  test('however relaxed, what a page could run is refused', () => {
    const relaxed = { allow_host_mismatch: true, allow_insecure_uris: true, allow_missing_client_uri: true }
    for (const uri of [
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'blob:https://a/b',
      'about:blank',
      'JavaScript:x',
    ])
      expect([uri, check({ redirect_uris: [uri], application_type: 'native' }, relaxed)]).toEqual([
        uri,
        ['invalid_redirect_uri'],
      ])
  })
})

describe('grants (reference 6)', () => {
  const check = (
    scope: string,
    user: { username?: string; is_admin?: boolean } = {},
    data: PolicyData = {},
  ) =>
    checkGrantPolicy(
      withData(data),
      { scope: scope.split(' '), user: { username: 'alice', is_admin: false, ...user } },
      NOBODY,
    ).map(({ code }) => code)

  test('admin scopes are for admins, of the account or of the configuration', () => {
    expect(check('urn:mas:admin')).toEqual(['scope-not-allowed'])
    expect(check('urn:mas:admin', { is_admin: true })).toEqual([])
    expect(check('urn:synapse:admin:*', {}, { admin_users: ['alice'] })).toEqual([])
    expect(check('urn:synapse:admin:*', {}, { admin_users: ['ALICE', 'alice2'] })).toEqual([
      'scope-not-allowed',
    ])
  })
})

describe('whether people may sign up', () => {
  test.each([
    [{}, true],
    [{ account: { password_registration_enabled: false } }, false],
    [{ account: { password_registration_email_required: true } }, false],
    [{ account: { password_registration_token_required: true } }, true],
    [{ captcha: { service: 'altcha' as const } }, true],
    [{ passwords: { enabled: false } }, false],
  ])('%j: %p', async (overrides, expected) => {
    expect(registrationEnabled(await testConfig(overrides))).toBe(expected)
  })
})

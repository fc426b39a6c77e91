import { describe, expect, test } from 'bun:test'
import type { PolicyRules } from '../../src/policy/constraints.ts'
import { checkGrantPolicy } from '../../src/policy/grant.ts'
import { checkLegacyLoginPolicy, type LegacyLogin } from '../../src/policy/legacy-login.ts'

const NOBODY = { ip: undefined, userAgent: undefined }
const LIMIT = { soft_limit: 3, hard_limit: 5, dangerous_hard_limit_eviction: false }
const rules = (limit: object = {}): PolicyRules => ({
  data: { requester: { banned_ips: ['192.0.2.1'] } },
  serverName: 'example.test',
  sessionLimit: { ...LIMIT, ...limit },
})
const counts = (total: number) => ({ total, oauth2: total, compat: 0, personal: 0 })
const SSO: LegacyLogin = { type: 'm.login.sso', redirect_uri: 'https://app.test/' }
const PASSWORD: LegacyLogin = { type: 'm.login.password' }
const TOKEN: LegacyLogin = { type: 'm.login.token' }

describe('the limit of sessions (reference operations 6.3)', () => {
  const user = { username: 'alice', is_admin: false }
  test.each([
    [2, undefined],
    [3, 1],
    [9, 7],
  ])('a grant with %i sessions: %p too many', (total, tooMany) => {
    const found = checkGrantPolicy(rules(), { scope: ['openid'], user, sessions: counts(total) }, NOBODY)
    expect(found.map(({ code, need_to_remove }) => [code, need_to_remove])).toEqual(
      tooMany === undefined ? [] : [['too-many-sessions', tooMany]],
    )
  })

  test.each([
    [SSO, 2, undefined],
    [SSO, 3, 1],
    [PASSWORD, 4, undefined],
    [PASSWORD, 5, 1],
    [TOKEN, 4, undefined],
    [TOKEN, 6, 2],
  ])('legacy login %j with %i sessions: %p too many', (login, total, tooMany) => {
    const asked = { login, sessionReplaced: false, sessions: counts(total) }
    expect(checkLegacyLoginPolicy(rules(), asked, NOBODY).map((one) => one.need_to_remove)).toEqual(
      tooMany === undefined ? [] : [tooMany],
    )
    expect(checkLegacyLoginPolicy(rules(), { ...asked, sessionReplaced: true }, NOBODY)).toEqual([])
  })

  test('accounts above the threshold are left alone', () => {
    const above = rules({ max_session_threshold: 10 })
    const asked = (total: number) => ({ login: PASSWORD, sessionReplaced: false, sessions: counts(total) })
    expect(checkLegacyLoginPolicy(above, asked(10), NOBODY)).toHaveLength(1)
    expect(checkLegacyLoginPolicy(above, asked(11), NOBODY)).toEqual([])
  })

  test('a banned requester does not log in, whatever is replaced', () => {
    const asked = { login: PASSWORD, sessionReplaced: true, sessions: counts(0) }
    const banned = { ip: '192.0.2.1', userAgent: undefined }
    expect(checkLegacyLoginPolicy(rules(), asked, banned)).toMatchObject([{ code: 'requester-banned' }])
  })
})

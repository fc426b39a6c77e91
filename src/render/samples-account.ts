import type { AccountArea, AccountContexts, AccountSectionKey, AccountSession } from './contexts-account.ts'
import { ALICE, GRANT, HOSTILE, LONG, NO_ERRORS, RTL_NAME, type Sample } from './sample-base.ts'

const session = (fields: Partial<AccountSession> & Pick<AccountSession, 'id' | 'kind'>): AccountSession => ({
  current: false,
  created_at: '2026-10-02T08:00:00.000Z',
  ...fields,
})

const SESSIONS: AccountSession[] = [
  session({
    id: '01JDFX2V9S6QK3W4Z5Y7T8R9P1',
    kind: 'browser',
    current: true,
    last_active_at: '2026-11-24T07:59:40.000Z',
    last_active_ip: '192.0.2.17',
    user_agent: 'Firefox on Linux',
  }),
  session({
    id: '01JDFX2V9S6QK3W4Z5Y7T8R9P2',
    kind: 'oauth',
    name: 'Tern on Pixel 9',
    client_name: 'Tern',
    device_id: 'XKQZPLMVWA',
    last_active_at: '2026-11-24T05:12:00.000Z',
    last_active_ip: '2001:db8:85a3::8a2e:370:7334',
    user_agent: 'Android 16',
  }),
  session({ id: '01JDFX2V9S6QK3W4Z5Y7T8R9P3', kind: 'compat', device_id: 'OLDDEVICE' }),
]

/** What every page of the area is given, in `section`. */
export const sampleArea = (section: AccountSectionKey, flash?: string): AccountArea => ({
  sections: [
    { key: 'overview', path: '' },
    { key: 'profile', path: 'profile' },
    { key: 'emails', path: 'emails' },
    { key: 'password', path: 'password/change' },
    { key: 'sessions', path: 'sessions' },
    { key: 'apps', path: 'apps' },
    { key: 'tokens', path: 'tokens' },
    { key: 'security', path: 'security' },
    { key: 'data', path: 'data' },
  ],
  section,
  ...(flash !== undefined && { flash: { code: flash, count: 2 } }),
})
const PAGE = 'kind=manage_account&page=password/change'
const AREA = sampleArea('sessions')

/** Pages of the account area. */
export const accountSamples: { [P in keyof AccountContexts]: Sample<P>[] } = {
  account: [
    {
      label: 'plain',
      context: { ...sampleArea('overview'), counts: { browsers: 1, apps: 2 } },
      base: { session: ALICE },
    },
    {
      label: 'after something',
      context: { ...sampleArea('overview', 'session_ended'), counts: { browsers: 2, apps: 0 } },
      base: { session: { username: 'bob', mxid: '@bob:example.org' }, standalone: true },
    },
    {
      label: 'hostile',
      context: { ...sampleArea('overview'), counts: { browsers: 1, apps: 1 } },
      base: { session: { username: HOSTILE, mxid: HOSTILE, display_name: HOSTILE } },
    },
  ],
  account_confirm: [
    {
      label: 'password',
      context: { ...sampleArea('overview'), way: 'password', form: NO_ERRORS, continuation: PAGE },
      base: { session: ALICE },
    },
    {
      label: 'wrong password',
      context: {
        ...sampleArea('overview'),
        way: 'password',
        form: { errors: {}, form_error: { code: 'invalid_password' } },
        continuation: PAGE,
      },
      base: { session: ALICE },
    },
    {
      label: 'nothing typed',
      context: {
        ...sampleArea('overview'),
        way: 'password',
        form: { errors: { password: [{ code: 'required' }] } },
        continuation: PAGE,
      },
      base: { session: ALICE },
    },
    {
      label: 'no password',
      context: { ...sampleArea('overview'), way: 'sign_in', form: NO_ERRORS, continuation: PAGE },
      base: { session: ALICE },
    },
  ],
  account_sessions: [
    {
      label: 'sessions',
      context: { ...sampleArea('sessions', 'session_ended'), sessions: SESSIONS },
      base: { session: ALICE },
    },
    { label: 'none', context: { ...AREA, sessions: [] }, base: { session: ALICE, standalone: true } },
    {
      label: 'long and right-to-left names',
      context: {
        ...AREA,
        sessions: [
          session({
            id: GRANT,
            kind: 'oauth',
            name: LONG,
            client_name: LONG,
            device_id: LONG,
            user_agent: LONG,
          }),
          session({ id: GRANT, kind: 'oauth', name: RTL_NAME, current: true }),
        ],
      },
      base: {
        dir: 'rtl',
        session: { username: 'nora', mxid: `@${LONG.toLowerCase()}:example.org`, display_name: RTL_NAME },
      },
    },
    {
      label: 'hostile',
      context: {
        ...AREA,
        sessions: [
          session({
            id: HOSTILE,
            kind: 'oauth',
            name: HOSTILE,
            client_name: HOSTILE,
            device_id: HOSTILE,
            last_active_ip: HOSTILE,
            user_agent: HOSTILE,
          }),
        ],
      },
      base: { session: ALICE },
    },
  ],
  account_end_session: [
    {
      label: 'app',
      context: { ...AREA, target: session({ ...SESSIONS[1], id: GRANT, kind: 'oauth' }) },
      base: { session: ALICE },
    },
    {
      label: 'this browser',
      context: {
        ...AREA,
        target: session({ id: GRANT, kind: 'browser', current: true, user_agent: 'Firefox on Linux' }),
      },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        ...AREA,
        target: session({ id: HOSTILE, kind: 'compat', name: HOSTILE, device_id: HOSTILE }),
      },
      base: { session: ALICE },
    },
  ],
}

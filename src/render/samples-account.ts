import type { AccountSession } from './contexts.ts'
import { ALICE, GRANT, HOSTILE, LONG, RTL_NAME, type Sample } from './sample-base.ts'

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

/** Pages of the account area. */
export const accountSamples: {
  account: Sample<'account'>[]
  account_end_session: Sample<'account_end_session'>[]
} = {
  account: [
    { label: 'sessions', context: { sessions: SESSIONS, flash: 'session_ended' }, base: { session: ALICE } },
    { label: 'none', context: { sessions: [] }, base: { session: ALICE, standalone: true } },
    {
      label: 'long and right-to-left names',
      context: {
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
      context: { target: session({ ...SESSIONS[1], id: GRANT, kind: 'oauth' }) },
      base: { session: ALICE },
    },
    {
      label: 'this browser',
      context: {
        target: session({ id: GRANT, kind: 'browser', current: true, user_agent: 'Firefox on Linux' }),
      },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: { target: session({ id: HOSTILE, kind: 'compat', name: HOSTILE, device_id: HOSTILE }) },
      base: { session: ALICE },
    },
  ],
}

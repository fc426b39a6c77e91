import type { AccountSession } from './contexts-account.ts'
import type { SessionLimitContexts } from './contexts-session-limit.ts'
import { ALICE, ELEMENT, GRANT, HOSTILE, LONG, type Sample } from './sample-base.ts'

const session = (fields: Partial<AccountSession> = {}): AccountSession => ({
  id: GRANT,
  kind: 'oauth',
  name: 'Tern on Pixel 9',
  client_name: 'Tern',
  device_id: 'XKQZPLMVWA',
  current: false,
  created_at: '2026-10-02T08:00:00.000Z',
  last_active_at: '2026-10-24T05:12:00.000Z',
  ...fields,
})
const SESSIONS: AccountSession[] = [
  session(),
  session({ id: '01JDFX2V9S6QK3W4Z5Y7T8R9PB', kind: 'compat', name: LONG }),
  {
    id: '01JDFX2V9S6QK3W4Z5Y7T8R9PC',
    kind: 'personal',
    name: 'Reminders',
    current: false,
    created_at: '2026-10-02T08:00:00.000Z',
  },
]
const PLAIN = { need: 1, sessions: SESSIONS, chosen: [], too_few: false, client: ELEMENT }
const base = { session: ALICE }

/** The page that lets a person end sessions to go on. */
export const sessionLimitSamples: { [P in keyof SessionLimitContexts]: Sample<P>[] } = {
  session_limit: [
    { label: 'one', context: { ...PLAIN, grant_id: GRANT }, base },
    {
      label: 'too few chosen',
      context: {
        ...PLAIN,
        need: 2,
        chosen: [GRANT],
        too_few: true,
        device_grant_id: GRANT,
      },
      base,
    },
    {
      label: 'hostile',
      context: {
        need: 1,
        sessions: [session({ name: HOSTILE, client_name: HOSTILE, device_id: HOSTILE })],
        chosen: [HOSTILE],
        too_few: false,
        client: { name: HOSTILE },
        compat_login_id: HOSTILE,
      },
      base,
    },
  ],
}

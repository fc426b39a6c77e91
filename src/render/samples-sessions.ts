import type { ScopeLine } from './contexts.ts'
import type { AccountContexts, AccountSession, ConnectedApp } from './contexts-account.ts'
import {
  ALICE,
  ELEMENT,
  GRANT,
  HOSTILE,
  HOSTILE_URI,
  LONG,
  NO_ERRORS,
  RTL_NAME,
  type Sample,
  sampleArea,
} from './sample-base.ts'

const session = (fields: Partial<AccountSession> & Pick<AccountSession, 'id' | 'kind'>): AccountSession => ({
  current: false,
  created_at: '2026-10-02T08:00:00.000Z',
  ...fields,
})

const BROWSER = session({
  id: '01JDFX2V9S6QK3W4Z5Y7T8R9P1',
  kind: 'browser',
  current: true,
  last_active_at: '2026-11-24T07:59:40.000Z',
  last_active_ip: '192.0.2.17',
  user_agent: 'Firefox on Linux',
})
const PHONE = session({
  id: '01JDFX2V9S6QK3W4Z5Y7T8R9P2',
  kind: 'oauth',
  name: 'Tern on Pixel 9',
  client_name: 'Tern',
  device_id: 'XKQZPLMVWA',
  last_active_at: '2026-11-24T05:12:00.000Z',
  last_active_ip: '2001:db8:85a3::8a2e:370:7334',
  user_agent: 'Android 16',
})
const TOKEN = session({ id: '01JDFX2V9S6QK3W4Z5Y7T8R9P4', kind: 'personal', name: 'Backup script' })
const SESSIONS = [
  BROWSER,
  PHONE,
  session({ id: '01JDFX2V9S6QK3W4Z5Y7T8R9P3', kind: 'compat', device_id: 'OLDDEVICE' }),
  TOKEN,
]
const HOSTILE_SESSION = session({
  id: HOSTILE,
  kind: 'oauth',
  name: HOSTILE,
  client_name: HOSTILE,
  device_id: HOSTILE,
  last_active_ip: HOSTILE,
  user_agent: HOSTILE,
})
/** A list on one page, without a search. */
const LIST = {
  search: { kind: '', text: '', sort: 'active' },
  tabs: [
    { kind: '', query: '' },
    { kind: 'browser', query: 'kind=browser' },
    { kind: 'apps', query: 'kind=apps' },
    { kind: 'tokens', query: 'kind=tokens' },
  ],
  at: 1,
  pages: 1,
} satisfies Partial<AccountContexts['account_sessions']>
const SCOPES: ScopeLine[] = [
  { code: 'openid', dangerous: false },
  { code: 'matrix_api', dangerous: false },
  { code: 'device', dangerous: false },
]
const TERN: ConnectedApp = {
  id: GRANT,
  client: { ...ELEMENT, tos_uri: 'https://tern.example/', policy_uri: 'https://tern.example/privacy' },
  scopes: SCOPES,
  sessions: 2,
  since: '2026-03-02T08:00:00.000Z',
  last_active_at: '2026-11-24T05:12:00.000Z',
}
const BRIDGE: ConnectedApp = {
  id: '01JDFX2V9S6QK3W4Z5Y7T8R9P8',
  client: { name: 'Admin console' },
  scopes: [{ code: 'synapse_admin', dangerous: true }],
  sessions: 0,
  since: '2026-11-20T08:00:00.000Z',
}

const AREA = sampleArea('sessions')

type SessionPage =
  | 'account_sessions'
  | 'account_session'
  | 'account_end_session'
  | 'account_end_sessions'
  | 'account_end_others'
  | 'account_apps'
  | 'account_revoke_app'

/** Pages of the account area about sessions, and about the apps that have them. */
export const sessionSamples: { [P in SessionPage]: Sample<P>[] } = {
  account_sessions: [
    {
      label: 'sessions',
      context: { ...AREA, ...LIST, sessions: SESSIONS, total: 4 },
      base: { session: ALICE },
    },
    {
      label: 'many',
      context: {
        ...sampleArea('sessions', 'nothing_selected'),
        ...LIST,
        search: { kind: 'apps', text: 'phone', sort: 'name' },
        sessions: [
          ...SESSIONS,
          ...Array.from({ length: 6 }, (_, index) => ({ ...PHONE, id: `01JDFX2V9S6QK3W4Z5Y7T8R9Q${index}` })),
        ],
        total: 60,
        at: 2,
        pages: 6,
        previous: 'kind=apps&q=phone&sort=name',
        next: 'kind=apps&q=phone&sort=name&page=3',
      },
      base: { session: ALICE },
    },
    {
      label: 'nothing found',
      context: {
        ...AREA,
        ...LIST,
        search: { kind: '', text: 'zzz', sort: 'active' },
        sessions: [],
        total: 0,
      },
      base: { session: ALICE },
    },
    {
      label: 'none',
      context: { ...AREA, ...LIST, sessions: [], total: 0 },
      base: { session: ALICE, standalone: true },
    },
    {
      label: 'long and right-to-left names',
      context: {
        ...sampleArea('sessions', 'session_ended'),
        ...LIST,
        total: 2,
        sessions: [
          session({
            id: GRANT,
            kind: 'oauth',
            name: LONG,
            client_name: LONG,
            device_id: LONG,
            user_agent: LONG,
          }),
          session({ id: '01JDFX2V9S6QK3W4Z5Y7T8R9P9', kind: 'oauth', name: RTL_NAME, current: true }),
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
        ...LIST,
        total: 6,
        search: { kind: '', text: HOSTILE, sort: 'active' },
        sessions: [HOSTILE_SESSION],
      },
      base: { session: ALICE },
    },
  ],
  account_session: [
    {
      label: 'app',
      context: {
        ...AREA,
        target: PHONE,
        scopes: SCOPES,
        app: { id: GRANT, ...ELEMENT },
        ...(SESSIONS[0] && { begun_in: SESSIONS[0] }),
        form: { name: 'Tern on Pixel 9', ...NO_ERRORS },
      },
      base: { session: ALICE, time_zone: 'Europe/Berlin' },
    },
    {
      label: 'this browser',
      context: {
        ...sampleArea('sessions', 'session_renamed'),
        target: { ...BROWSER, name: 'Laptop in the kitchen' },
        scopes: [],
        form: { name: 'Laptop in the kitchen', ...NO_ERRORS },
      },
      base: { session: ALICE },
    },
    {
      label: 'token of somebody else',
      context: {
        ...AREA,
        target: TOKEN,
        scopes: SCOPES,
        token: { expires_at: '2027-01-24T08:00:00.000Z', expired: false, made_by: '@admin:example.org' },
        form: { name: 'Backup script', ...NO_ERRORS },
      },
      base: { session: ALICE },
    },
    {
      label: 'token that ran out',
      context: {
        ...AREA,
        target: TOKEN,
        scopes: SCOPES,
        token: { expires_at: '2026-10-24T08:00:00.000Z', expired: true, made_by: '' },
        form: { name: 'Backup script', ...NO_ERRORS },
      },
      base: { session: ALICE },
    },
    {
      label: 'no name',
      context: {
        ...AREA,
        target: PHONE,
        scopes: SCOPES,
        form: { name: '', errors: { name: [{ code: 'required' }] } },
      },
      base: { session: ALICE },
    },
    {
      label: 'homeserver down',
      context: {
        ...AREA,
        target: session({ id: GRANT, kind: 'compat', device_id: 'OLDDEVICE' }),
        scopes: SCOPES,
        form: { name: 'Phone', errors: {}, form_error: { code: 'unavailable' } },
      },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        ...AREA,
        target: HOSTILE_SESSION,
        scopes: [{ code: 'other', text: HOSTILE, dangerous: false }],
        app: { id: HOSTILE, name: HOSTILE, host: HOSTILE, logo_uri: HOSTILE_URI },
        begun_in: HOSTILE_SESSION,
        form: { name: HOSTILE, ...NO_ERRORS },
      },
      base: { session: ALICE },
    },
  ],
  account_end_session: [
    {
      label: 'app',
      context: { ...AREA, apps: 0, with_apps: false, target: PHONE },
      base: { session: ALICE },
    },
    {
      label: 'this browser',
      context: {
        ...AREA,
        apps: 3,
        with_apps: false,
        target: session({ id: GRANT, kind: 'browser', current: true, user_agent: 'Firefox on Linux' }),
      },
      base: { session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        ...AREA,
        apps: 3,
        with_apps: true,
        target: session({ id: HOSTILE, kind: 'compat', name: HOSTILE, device_id: HOSTILE }),
      },
      base: { session: ALICE },
    },
  ],
  account_end_sessions: [
    {
      label: 'two, too old',
      context: { ...AREA, targets: SESSIONS.slice(1) },
      base: { session: ALICE, expired_form: true },
    },
    { label: 'hostile', context: { ...AREA, targets: [HOSTILE_SESSION] }, base: { session: ALICE } },
  ],
  account_end_others: [
    {
      label: 'both',
      context: {
        ...AREA,
        counts: { browsers: 2, apps: 3, tokens: 1 },
        chosen: { browsers: true, apps: false, tokens: true },
        form: NO_ERRORS,
      },
      base: { session: ALICE },
    },
    {
      label: 'apps only',
      context: {
        ...AREA,
        counts: { browsers: 0, apps: 1, tokens: 0 },
        chosen: { browsers: false, apps: true, tokens: false },
        form: NO_ERRORS,
      },
      base: { session: ALICE },
    },
    {
      label: 'nothing ticked',
      context: {
        ...AREA,
        counts: { browsers: 1, apps: 1, tokens: 0 },
        chosen: { browsers: false, apps: false, tokens: false },
        form: { errors: { browsers: [{ code: 'required' }] } },
      },
      base: { session: ALICE },
    },
    {
      label: 'nothing ticked, apps only',
      context: {
        ...AREA,
        counts: { browsers: 0, apps: 2, tokens: 0 },
        chosen: { browsers: false, apps: false, tokens: false },
        form: { errors: { browsers: [{ code: 'required' }] } },
      },
      base: { session: ALICE },
    },
  ],
  account_apps: [
    { label: 'apps', context: { ...sampleArea('apps'), apps: [TERN, BRIDGE] }, base: { session: ALICE } },
    {
      label: 'a page of many',
      context: {
        ...sampleArea('apps'),
        apps: Array.from({ length: 10 }, (_, index) => ({
          ...TERN,
          id: `01JDFX2V9S6QK3W4Z5Y7T8R9T${index}`,
        })),
        previous: 'page=2',
        next: 'page=4',
      },
      base: { session: ALICE },
    },
    { label: 'none', context: { ...sampleArea('apps', 'app_revoked'), apps: [] }, base: { session: ALICE } },
    {
      label: 'hostile',
      context: {
        ...sampleArea('apps'),
        apps: [
          {
            ...TERN,
            id: HOSTILE,
            client: { name: HOSTILE, host: HOSTILE, logo_uri: HOSTILE_URI, tos_uri: HOSTILE_URI },
          },
        ],
      },
      base: { session: ALICE },
    },
  ],
  account_revoke_app: [
    { label: 'two sessions', context: { ...sampleArea('apps'), app: TERN }, base: { session: ALICE } },
    { label: 'no session', context: { ...sampleArea('apps'), app: BRIDGE }, base: { session: ALICE } },
    {
      label: 'hostile',
      context: { ...sampleArea('apps'), app: { ...TERN, client: { name: HOSTILE } } },
      base: { session: ALICE },
    },
  ],
}

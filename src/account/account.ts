import { findAccountSummary } from '../../sql/account-summary.ts'
import { countActiveSessions, findActiveDevice } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { accountPage, goTo, type Opened, openAccount } from './area.ts'
import { type AccountAction, accountAction } from './deep-links.ts'

/** GET /account/: how things stand. Deep links of MSC4191 lead on from here. */
async function account(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { action, device_id: deviceId } = readPageQuery(request)
  const path = await pathOf(deps, opened, accountAction(action), deviceId)
  if (path !== '') return goTo(deps, opened, path)
  return overview(deps, opened)
}

async function overview(deps: Deps, opened: Opened): Promise<Response> {
  const { session } = opened
  const [[counts], [row]] = await Promise.all([
    countActiveSessions(deps.sql, session.user_id),
    findAccountSummary(deps.sql, session.user_id),
  ])
  return accountPage(deps, opened, 'overview', 'account', {
    counts: {
      browsers: counts?.browser ?? 0,
      apps: (counts?.oauth ?? 0) + (counts?.compat ?? 0),
      emails: row?.emails ?? 0,
      clients: row?.apps ?? 0,
      tokens: row?.tokens ?? 0,
    },
    ...(row?.email && { email: row.email }),
    ...(row?.in_directory && deps.config.ldap && { password_elsewhere: true }),
    ...(row?.password_set_at && { password_set_at: row.password_set_at.toISOString() }),
    ...(row?.event_kind &&
      row.event_at && { last_event: { kind: row.event_kind, at: row.event_at.toISOString() } }),
  })
}

/** The pages of actions that need no device. */
const PAGES: Partial<Record<AccountAction, string>> = {
  profile: 'profile',
  devices_list: 'sessions',
  cross_signing_reset: 'reset-cross-signing',
  account_deactivate: 'deactivate',
  plan_management: 'plan',
}

/** Where an action leads, after `/account/`. A device that is not there leads to the list. */
async function pathOf(
  deps: Deps,
  { session }: Opened,
  action: AccountAction | undefined,
  deviceId: string | undefined,
): Promise<string> {
  const page = action === undefined ? '' : PAGES[action]
  if (page !== undefined) return page
  const [found] = deviceId === undefined ? [] : await findActiveDevice(deps.sql, session.user_id, deviceId)
  if (!found) return 'sessions'
  if (found.kind === 'token')
    return action === 'device_delete' ? `tokens/${ulidFromUuid(found.id)}/revoke` : 'tokens'
  return `sessions/${ulidFromUuid(found.id)}${action === 'device_delete' ? '/end' : ''}`
}

export const accountRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/account',
    handle: (request) => redirect(`${deps.urls.path('/account/')}${new URL(request.url).search}`),
  },
  { method: 'GET', path: '/account/', handle: (request) => account(deps, request) },
]

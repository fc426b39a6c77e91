import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import { findActiveSession, listActiveSessions, type SessionRow } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import { noSessionCookie } from '../http/browser.ts'
import { NotFound } from '../http/errors.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { readContinuation, withContinuation } from '../identity/continuation.ts'
import { endSession } from '../identity/sessions.ts'
import { describeUserAgent } from '../identity/user-agent.ts'
import { activeSession, openVisit, page, readOwnForm, type Visit } from '../identity/visit.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import type { AccountSession } from '../render/contexts.ts'

/** Sessions on the page; people with more see the most recent ones. */
const LIMIT = 200

/** A visit with a session, or the way to one: sign-in comes back to the same place. */
async function open(
  deps: Deps,
  request: Request,
): Promise<Response | { visit: Visit; session: BrowserSessionRow }> {
  const visit = await openVisit(deps, request)
  const session = activeSession(visit)
  if (session) return { visit, session }
  const { action, device_id } = readPageQuery(request)
  const continuation = readContinuation({
    kind: 'manage_account',
    ...(action !== undefined && { action }),
    ...(device_id !== undefined && { device_id }),
  })
  return redirect(deps.urls.path(withContinuation('/login', continuation)), visit.browser.cookies)
}

/** GET /account/: who am I, and where am I signed in. Deep links of MSC4191 to a device open its session. */
async function account(deps: Deps, request: Request): Promise<Response> {
  const opened = await open(deps, request)
  if (opened instanceof Response) return opened
  const { visit, session } = opened
  const rows = await listActiveSessions(deps.sql, session.user_id, LIMIT)
  const { device_id: deviceId, flash } = readPageQuery(request)
  const linked = deviceId === undefined ? undefined : rows.find((row) => row.device_id === deviceId)
  if (linked)
    return redirect(deps.urls.path(`/account/sessions/${ulidFromUuid(linked.id)}/end`), visit.browser.cookies)
  return page(deps, visit, 'account', {
    sessions: rows.map((row) => describe(row, session)),
    ...((flash === 'session_ended' || flash === 'session_gone') && { flash }),
  })
}

function describe(row: SessionRow, current: BrowserSessionRow): AccountSession {
  const agent = describeUserAgent(row.user_agent ?? undefined)
  return {
    id: ulidFromUuid(row.id),
    kind: row.kind,
    ...(row.human_name !== null && { name: row.human_name }),
    ...(row.client_name !== null && { client_name: row.client_name }),
    ...(row.device_id !== null && { device_id: row.device_id }),
    current: row.kind === 'browser' && row.id === current.id,
    created_at: row.created_at.toISOString(),
    ...(row.last_active_at !== null && { last_active_at: row.last_active_at.toISOString() }),
    ...(row.last_active_ip !== null && { last_active_ip: row.last_active_ip }),
    ...(agent !== undefined && { user_agent: agent }),
  }
}

/** GET /account/sessions/{id}/end: says what ending this session means. */
async function confirmEnd(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await open(deps, request)
  if (opened instanceof Response) return opened
  const { visit, session } = opened
  const uuid = uuidFromUlid(id)
  const [row] = uuid === undefined ? [] : await findActiveSession(deps.sql, uuid, session.user_id)
  if (!row) return redirect(deps.urls.path('/account/?flash=session_gone'), visit.browser.cookies)
  return page(deps, visit, 'account_end_session', { target: describe(row, session) })
}

/** POST /account/sessions/{id}/end: signs out one session; the homeserver forgets its device. */
async function end(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await open(deps, request)
  if (opened instanceof Response) return opened
  const { visit, session } = opened
  const uuid = uuidFromUlid(id)
  if (uuid === undefined) throw new NotFound()
  const { form, own } = await readOwnForm(deps, visit)
  // From the list, or with a stale token: the page that says what this means comes (again) first.
  if (!own || form.confirm === undefined)
    return redirect(deps.urls.path(`/account/sessions/${id}/end`), visit.browser.cookies)
  const ended = await endSession(deps, session.user_id, uuid)
  if (uuid === session.id)
    return redirect(deps.urls.path('/login'), [...visit.browser.cookies, noSessionCookie(deps.urls)])
  const flash = ended ? 'session_ended' : 'session_gone'
  return redirect(deps.urls.path(`/account/?flash=${flash}`), visit.browser.cookies)
}

export const accountRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/account',
    handle: (request) => redirect(`${deps.urls.path('/account/')}${new URL(request.url).search}`),
  },
  { method: 'GET', path: '/account/', handle: (request) => account(deps, request) },
  {
    method: 'GET',
    path: '/account/sessions/{id}/end',
    handle: (request, params) => confirmEnd(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/sessions/{id}/end',
    handle: (request, params) => end(deps, request, params),
  },
]

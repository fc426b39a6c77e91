import { findActiveSession, listActiveSessions } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import { noSessionCookie } from '../http/browser.ts'
import { NotFound } from '../http/errors.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { endSession } from '../identity/sessions.ts'
import { readOwnForm } from '../identity/visit.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { accountPage, goTo, openAccount } from './area.ts'
import { describeSession } from './describe-session.ts'

/** Sessions on the page; people with more see the most recent ones. */
const LIMIT = 200

/** GET /account/sessions: where am I signed in. */
async function list(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { session } = opened
  const rows = await listActiveSessions(deps.sql, session.user_id, LIMIT)
  return accountPage(deps, opened, 'sessions', 'account_sessions', {
    sessions: rows.map((row) => describeSession(row, session)),
  })
}

/** GET /account/sessions/{id}/end: says what ending this session means. */
async function confirmEnd(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { session } = opened
  const uuid = uuidFromUlid(id)
  const [row] = uuid === undefined ? [] : await findActiveSession(deps.sql, uuid, session.user_id)
  if (!row) return goTo(deps, opened, 'sessions', { code: 'session_gone' })
  return accountPage(deps, opened, 'sessions', 'account_end_session', {
    target: describeSession(row, session),
  })
}

/** POST /account/sessions/{id}/end: signs out one session; the homeserver forgets its device. */
async function end(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { visit, session } = opened
  const uuid = uuidFromUlid(id)
  if (uuid === undefined) throw new NotFound()
  const { form, own } = await readOwnForm(deps, visit)
  // From the list, or with a stale token: the page that says what this means comes (again) first.
  if (!own || form.confirm === undefined) return goTo(deps, opened, `sessions/${id}/end`)
  const ended = await endSession(deps, session.user_id, uuid)
  if (uuid === session.id)
    return redirect(deps.urls.path('/login'), [...visit.browser.cookies, noSessionCookie(deps.urls)])
  return goTo(deps, opened, 'sessions', { code: ended ? 'session_ended' : 'session_gone' })
}

export const accountSessionRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/sessions', handle: (request) => list(deps, request) },
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

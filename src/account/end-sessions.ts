import { countAppsOf } from '../../sql/logout.ts'
import { findActiveSession, listActiveSessions, type SessionRow } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import { noSessionCookie } from '../http/browser.ts'
import type { Params } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { describeSession } from '../identity/describe-session.ts'
import { endOtherSessions, endSessions, sortOf } from '../identity/sessions.ts'
import { readOwnForm } from '../identity/visit.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { accountPage, goTo, type Opened, openAccount } from './area.ts'

/** Sessions that one form can end: more than the list shows at once. */
const AT_ONCE = 100

/** GET /account/sessions/{id}/end: says what ending this session means. */
async function confirmEnd(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  return confirmPage(deps, opened, [id])
}

/** POST /account/sessions/{id}/end: signs out one session; the homeserver forgets its device. */
async function end(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { form, own } = await readOwnForm(deps, opened.visit)
  const withApps = form.end_apps !== undefined
  // With a stale token, and from elsewhere: the page that says what this means comes (again) first.
  if (!own || form.confirm === undefined) return confirmPage(deps, opened, [id], { expired: !own, withApps })
  return endAll(deps, opened, [id], { withApps })
}

/** POST /account/sessions/end: those with a tick in the list, after a page that says what this means. */
async function endSelected(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { form, own } = await readOwnForm(deps, opened.visit)
  const ids = selected(form)
  if (ids.length === 0) return goTo(deps, opened, 'sessions', { code: 'nothing_selected' })
  if (own && form.confirm !== undefined) return endAll(deps, opened, ids)
  return confirmPage(deps, opened, ids, { expired: !own })
}

/** The sessions that a form names, in fields `end_<id>`. */
const selected = (form: Params): string[] =>
  Object.keys(form)
    .map((name) => /^end_([0-9A-Za-z]{26})$/.exec(name)?.[1])
    .filter((id) => id !== undefined)
    .slice(0, AT_ONCE)

async function confirmPage(
  deps: Deps,
  opened: Opened,
  ids: string[],
  { expired = false, withApps = false }: { expired?: boolean; withApps?: boolean } = {},
): Promise<Response> {
  const { session } = opened
  const rows: SessionRow[] = []
  for (const uuid of uuidsOf(ids)) rows.push(...(await findActiveSession(deps.sql, uuid, session.user_id)))
  if (rows.length === 0) return goTo(deps, opened, 'sessions', { code: 'session_gone' })
  const token = tokenAlone(rows)
  if (token) return goTo(deps, opened, `tokens/${token}/revoke`)
  const targets = rows.map((row) => describeSession(row, session))
  const [target] = targets
  if (ids.length === 1 && target) {
    const [row] = target.kind === 'browser' ? await countAppsOf(deps.sql, rows[0]?.id ?? '') : []
    const context = { target, apps: row?.apps ?? 0, with_apps: withApps }
    return accountPage(deps, opened, 'sessions', 'account_end_session', context, { expired })
  }
  return accountPage(deps, opened, 'sessions', 'account_end_sessions', { targets }, { expired })
}

async function endAll(
  deps: Deps,
  opened: Opened,
  ids: string[],
  options: { withApps?: boolean } = {},
): Promise<Response> {
  const { visit, session } = opened
  const uuids = uuidsOf(ids)
  const token =
    uuids[0] && !uuids[1] && tokenAlone(await findActiveSession(deps.sql, uuids[0], session.user_id))
  if (token) return goTo(deps, opened, `tokens/${token}/revoke`)
  const count = await endSessions(deps, session.user_id, uuids, visit.requester, options)
  if (uuids.includes(session.id))
    return redirect(deps.urls.path('/login'), [...visit.browser.cookies, noSessionCookie(deps.urls)])
  if (count === 0) return goTo(deps, opened, 'sessions', { code: 'session_gone' })
  return goTo(deps, opened, 'sessions', { code: count === 1 ? 'session_ended' : 'sessions_ended', count })
}

/** The id of a token that is all there is to end: that has a page and a mail of its own (`tokens.ts`). */
const tokenAlone = ([row, ...others]: readonly SessionRow[]): string | undefined =>
  row?.kind === 'personal' && others.length === 0 ? ulidFromUuid(row.id) : undefined

const uuidsOf = (ids: readonly string[]): string[] =>
  ids.map(uuidFromUlid).filter((uuid) => uuid !== undefined)

/** GET /account/sessions/end-others: which of the other sessions to end. */
async function askOthers(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  return opened instanceof Response ? opened : othersPage(deps, opened)
}

/** POST /account/sessions/end-others: `browsers`, `apps`, `tokens` or several of them. */
async function endOthers(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { form, own } = await readOwnForm(deps, opened.visit)
  const kinds = {
    browsers: form.browsers !== undefined,
    apps: form.apps !== undefined,
    tokens: form.tokens !== undefined,
  }
  if (!own || !Object.values(kinds).includes(true)) return othersPage(deps, opened, { own, kinds })
  const count = await endOtherSessions(
    deps,
    opened.session.user_id,
    opened.session.id,
    kinds,
    opened.visit.requester,
  )
  return goTo(deps, opened, 'sessions', { code: 'sessions_ended', count })
}

/** The page, fresh or after a form that came to nothing: too old, or without a choice. */
async function othersPage(
  deps: Deps,
  opened: Opened,
  sent?: { own: boolean; kinds: { browsers: boolean; apps: boolean; tokens: boolean } },
): Promise<Response> {
  const { session } = opened
  const rows = await listActiveSessions(deps.sql, session.user_id, 1000)
  const others = rows.filter(({ id }) => id !== session.id).map(sortOf)
  const [browsers = 0, apps = 0, tokens = 0] = (['browser', 'app', 'token'] as const).map(
    (sort) => others.filter((other) => other === sort).length,
  )
  if (browsers + apps + tokens === 0) return goTo(deps, opened, 'sessions', { code: 'no_others' })
  return accountPage(
    deps,
    opened,
    'sessions',
    'account_end_others',
    {
      counts: { browsers, apps, tokens },
      chosen: sent?.kinds ?? { browsers: browsers > 0, apps: browsers === 0 && apps > 0, tokens: false },
      form: {
        errors: sent?.own ? { browsers: [{ code: 'required' }] } : {},
        ...(sent?.own === false && { form_error: { code: 'expired_form' } }),
      },
    },
    { status: sent ? 422 : 200 },
  )
}

export const endSessionsRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/account/sessions/end',
    handle: () => redirect(deps.urls.path('/account/sessions')),
  },
  { method: 'POST', path: '/account/sessions/end', handle: (request) => endSelected(deps, request) },
  { method: 'GET', path: '/account/sessions/end-others', handle: (request) => askOthers(deps, request) },
  { method: 'POST', path: '/account/sessions/end-others', handle: (request) => endOthers(deps, request) },
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

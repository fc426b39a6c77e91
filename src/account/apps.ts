import { type ConnectedAppRow, findConnectedApp, listConnectedApps } from '../../sql/connected-apps.ts'
import type { Deps } from '../deps.ts'
import { readPageQuery } from '../http/params.ts'
import type { PathParams, Route } from '../http/route.ts'
import { revokeApp } from '../identity/sessions.ts'
import { readOwnForm } from '../identity/visit.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { clientSummary } from '../oauth/grant-context.ts'
import { scopeLine } from '../oauth/scope-line.ts'
import type { ClientSummary } from '../render/contexts.ts'
import type { ConnectedApp } from '../render/contexts-account.ts'
import { accountPage, goTo, openAccount } from './area.ts'
import { PAGE, pageOf, readPage } from './paging.ts'

const GONE = { code: 'app_gone' }

/** GET /account/apps?page=: which apps have this account in their hands, and what they may do. */
async function list(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const at = readPage(readPageQuery(request))
  const found = await listConnectedApps(deps.sql, opened.session.user_id, PAGE + 1, (at - 1) * PAGE)
  if (found.length === 0 && at > 1) return goTo(deps, opened, 'apps')
  const { shown, pager } = pageOf(at, found)
  return accountPage(deps, opened, 'apps', 'account_apps', { apps: shown.map(describe), ...pager })
}

/** Without its picture: whoever looks through their apps tells none of their servers so. */
function summaryOf({ client_metadata, redirect_uris: [redirect_uri] }: ConnectedAppRow): ClientSummary {
  const { logo_uri: _, ...summary } = clientSummary({
    client_metadata,
    ...(redirect_uri !== undefined && { redirect_uri }),
  })
  return summary
}

function describe(row: ConnectedAppRow): ConnectedApp {
  return {
    id: ulidFromUuid(row.client_id),
    client: summaryOf(row),
    scopes: row.scope.map(scopeLine).filter(isFirst),
    sessions: row.sessions,
    since: row.since.toISOString(),
    ...(row.last_active_at !== null && { last_active_at: row.last_active_at.toISOString() }),
  }
}

/** Several sessions have a device scope each, and some scopes two spellings: one line says it. */
const isFirst = (
  { code, text }: ConnectedApp['scopes'][number],
  index: number,
  all: ConnectedApp['scopes'],
) => all.findIndex((line) => line.code === code && line.text === text) === index

/** GET /account/apps/{id}/revoke: says what taking the account back means. */
async function confirm(
  deps: Deps,
  request: Request,
  { id = '' }: PathParams,
  expired = false,
): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const uuid = uuidFromUlid(id)
  const [row] = uuid === undefined ? [] : await findConnectedApp(deps.sql, opened.session.user_id, uuid)
  if (!row) return goTo(deps, opened, 'apps', GONE)
  return accountPage(deps, opened, 'apps', 'account_revoke_app', { app: describe(row) }, { expired })
}

/** POST /account/apps/{id}/revoke: ends its sessions and forgets what was agreed to. */
async function revoke(deps: Deps, request: Request, params: PathParams): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return confirm(deps, request, params, true)
  const uuid = uuidFromUlid(params.id ?? '')
  const revoked = uuid !== undefined && (await revokeApp(deps, opened.session.user_id, uuid))
  return goTo(deps, opened, 'apps', revoked ? { code: 'app_revoked' } : GONE)
}

export const accountAppsRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/apps', handle: (request) => list(deps, request) },
  {
    method: 'GET',
    path: '/account/apps/{id}/revoke',
    handle: (request, params) => confirm(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/apps/{id}/revoke',
    handle: (request, params) => revoke(deps, request, params),
  },
]

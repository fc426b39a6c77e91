import type { Deps } from '../deps.ts'
import { readPageQuery } from '../http/params.ts'
import type { Route } from '../http/route.ts'
import { listSecurityEvents } from '../identity/security-log.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { accountPage, openAccount } from './area.ts'

/** Events on one page; its weight has a limit (`test/render/weight.test.ts`). */
const PAGE = 25

/** GET /account/security?before=: what happened to the account, newest first. */
async function log(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const before = uuidFromUlid(readPageQuery(request).before ?? '')
  const events = await listSecurityEvents(deps, opened.session.user_id, {
    ...(before !== undefined && { before }),
    limit: PAGE + 1,
  })
  const shown = events.slice(0, PAGE)
  const last = shown.at(-1)
  return accountPage(deps, opened, 'security', 'account_security', {
    events: shown.map(({ kind, at, actor, ip, device, details }) => ({
      kind,
      at: at.toISOString(),
      by_admin: actor === 'admin',
      ...(ip !== undefined && { ip }),
      ...(device !== undefined && { device }),
      ...(details.email !== undefined && { about: details.email }),
      ...(details.name !== undefined && { about: details.name }),
    })),
    first: before === undefined,
    ...(events.length > PAGE && last && { older: last.id }),
  })
}

export const accountSecurityRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/security', handle: (request) => log(deps, request) },
]

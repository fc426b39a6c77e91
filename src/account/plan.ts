import type { Deps } from '../deps.ts'
import type { Route } from '../http/route.ts'
import { accountPage, goTo, openAccount } from './area.ts'

/**
 * GET /account/plan: a page of the operator inside the area (`experimental.plan_management_iframe_uri`), and a link to it
 * for browsers that keep frames of other sites apart.
 */
async function plan(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const uri = deps.config.experimental.plan_management_iframe_uri
  if (uri === undefined) return goTo(deps, opened, '')
  return accountPage(deps, opened, 'plan', 'account_plan', { uri }, { frames: [uri] })
}

export const accountPlanRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/plan', handle: (request) => plan(deps, request) },
]

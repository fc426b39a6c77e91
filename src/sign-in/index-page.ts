import type { Deps } from '../deps.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { readContinuation } from '../identity/continuation.ts'
import { signUpOffered } from '../identity/providers.ts'
import { openVisit, page } from '../identity/visit.ts'
import { interstitial } from './interstitial.ts'

/** GET /: who is signed in, and the ways in. */
async function index(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  return (
    (await interstitial(deps, visit, readContinuation({}))) ??
    page(deps, visit, 'index', { registration_enabled: signUpOffered(deps.config) })
  )
}

export const indexRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/', handle: (request) => index(deps, request) },
  {
    method: 'GET',
    path: '/.well-known/change-password',
    handle: () => redirect(deps.urls.path('/account/password/change')),
  },
]

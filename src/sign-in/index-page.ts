import type { Deps } from '../deps.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { readContinuation } from '../identity/continuation.ts'
import { returnFromLogout } from '../identity/provider-logout.ts'
import { signUpOffered } from '../identity/providers.ts'
import { openVisit, page } from '../identity/visit.ts'
import { interstitial } from './interstitial.ts'

/** GET /: who is signed in, and the ways in. Who comes from the sign-out of a provider goes on to the app that wanted it. */
async function index(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const { state } = readPageQuery(request)
  // HEAD only looks.
  const onward =
    state && request.method === 'GET' ? await returnFromLogout(deps, visit.browser, state) : undefined
  if (onward !== undefined) return redirect(onward, visit.browser.cookies)
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

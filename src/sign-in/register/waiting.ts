import { findUserByName } from '../../../sql/users.ts'
import type { Deps } from '../../deps.ts'
import { redirect } from '../../http/reply.ts'
import type { PathParams, Route } from '../../http/route.ts'
import { withContinuation } from '../../identity/continuation.ts'
import { waitingPage } from '../../identity/stopped-page.ts'
import { openVisit } from '../../identity/visit.ts'
import { fold } from '../../lib/fold.ts'
import { findStep, nextPath, stepPath } from './step.ts'

/** GET …/waiting: the sign-up is done, and an admin has to look at it. Once that is decided it leads to the sign-in. */
async function show(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  const step = await findStep(deps, visit, id)
  const { registration, continuation, flow } = step
  const next = nextPath(deps, step)
  if (next !== stepPath(registration.id, 'waiting'))
    return redirect(deps.urls.path(next), visit.browser.cookies)
  const { username } = registration
  const [user] = await findUserByName(deps.sql, username, fold(username))
  if (user && !user.approval_requested_at)
    return redirect(deps.urls.path(withContinuation('/login', continuation)), visit.browser.cookies)
  return waitingPage(deps, flow.visit, continuation, username, user ? 'waiting' : 'rejected')
}

export const registerWaitingRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/register/steps/{id}/waiting',
    handle: (request, params) => show(deps, request, params),
  },
]

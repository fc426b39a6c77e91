import type { Deps } from '../deps.ts'
import { noSessionCookie } from '../http/browser.ts'
import { PageError } from '../http/errors.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { readContinuation } from '../identity/continuation.ts'
import { endSession } from '../identity/sessions.ts'
import { openVisit, readOwnForm } from '../identity/visit.ts'
import { loggedOutPage } from '../oauth/end-session.ts'

/**
 * POST /logout: ends this browser's session, not the apps that it signed in (edge 60), and goes on with what
 * the form carries.
 */
async function logout(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const { form, own } = await readOwnForm(deps, visit)
  if (!own) throw new PageError('expired_form', 403)
  const continuation = readContinuation(form)
  const { session } = visit
  if (session.state !== 'none') await endSession(deps, session.session.user_id, session.session.id)
  if (continuation.text === '') return loggedOutPage(deps, visit)
  return redirect(deps.urls.path(continuation.path), [...visit.browser.cookies, noSessionCookie(deps.urls)])
}

export const logoutRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/logout', handle: (request) => logout(deps, request) },
]

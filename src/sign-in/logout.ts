import type { Deps } from '../deps.ts'
import { leftCookie, noSessionCookie } from '../http/browser.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { readContinuation } from '../identity/continuation.ts'
import { providerLogout } from '../identity/provider-logout.ts'
import { endSession } from '../identity/sessions.ts'
import { openVisit, page, readOwnForm, summary } from '../identity/visit.ts'
import { loggedOutPage } from '../oauth/end-session.ts'

/**
 * POST /logout: ends this browser's session, not the apps that it signed in (edge 60), and goes on with what
 * the form carries.
 */
async function logout(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const { form, own } = await readOwnForm(deps, visit)
  const continuation = readContinuation(form)
  const { session } = visit
  // A form of another site comes without our cookies: an answer that took them away would be what it wants.
  if (!own) {
    if (session.state === 'none') return redirect(deps.urls.path('/'))
    const { mxid } = summary(deps, session.session)
    return page(deps, visit, 'sign_out', { mxid, continuation: continuation.text }, { expired: true })
  }
  const isLeaving = continuation.text === ''
  if (session.state !== 'none') await endSession(deps, session.session.user_id, session.session.id)
  if (!isLeaving)
    return redirect(deps.urls.path(continuation.path), [
      ...visit.browser.cookies,
      noSessionCookie(deps.urls),
      leftCookie(deps.urls),
    ])
  const onward =
    session.state === 'none' ? undefined : await providerLogout(deps, visit.browser, session.session.id)
  return loggedOutPage(deps, visit, { onward })
}

export const logoutRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/logout', handle: (request) => logout(deps, request) },
]

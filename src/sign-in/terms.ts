import { insertTerms } from '../../sql/terms.ts'
import type { Deps } from '../deps.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { readContinuation, withContinuation } from '../identity/continuation.ts'
import { openVisit, readOwnForm } from '../identity/visit.ts'
import { termsOf } from '../policy/terms.ts'
import { termsPage } from './interstitial.ts'

/**
 * POST /terms: accepts the terms, and goes on. Their page stands in for others until then (`interstitial.ts`); a form that
 * is not ours leads to it again.
 */
async function accept(deps: Deps, request: Request): Promise<Response> {
  const continuation = readContinuation(readPageQuery(request))
  const visit = await openVisit(deps, request)
  const { form, own } = await readOwnForm(deps, visit)
  const terms = termsOf(deps.config)
  const login = redirect(deps.urls.path(withContinuation('/login', continuation)), visit.browser.cookies)
  if (visit.session.state !== 'terms' || !terms) return login
  if (!own) return termsPage(deps, visit, continuation, visit.session.session, true)
  // What the page showed: terms that changed while it was open are shown first.
  if (form.terms_uri !== terms.uri || (form.terms_version ?? '') !== terms.version) return login
  const { user_id: userId } = visit.session.session
  await insertTerms(deps.sql, userId, terms, deps.clock.now())
  deps.log.info('terms.accepted', { user_id: userId, terms_uri: terms.uri, version: terms.version })
  return redirect(deps.urls.path(continuation.path), visit.browser.cookies)
}

export const termsRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/terms', handle: (request) => accept(deps, request) },
]

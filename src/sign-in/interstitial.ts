import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import { hasAcceptedTerms } from '../../sql/terms.ts'
import type { Deps } from '../deps.ts'
import type { Continuation } from '../identity/continuation.ts'
import { stoppedPage } from '../identity/stopped-page.ts'
import { page, type Visit } from '../identity/visit.ts'
import { openFlow } from '../oauth/grant-context.ts'
import { termsOf } from '../policy/terms.ts'

/**
 * The page that stands in for another one when the browser's session may not act: the account is locked or
 * deactivated, the session was ended from elsewhere (reference flows 0.5), or there are terms to accept. Undefined when
 * nothing is in the way.
 */
export async function interstitial(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
): Promise<Response | undefined> {
  const { session } = visit
  if (session.state === 'none' || session.state === 'active') return undefined
  if (session.state === 'ended')
    return page(deps, visit, 'session_ended', { continuation: continuation.text })
  if (session.state === 'terms') return termsPage(deps, visit, continuation, session.session)
  return stoppedPage(deps, visit, continuation, session.state, session.session.username)
}

/** The page of terms that the person has not accepted, or not in this version. Its form may lead on to the app. */
export async function termsPage(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  { user_id: userId, username }: BrowserSessionRow,
  expired = false,
): Promise<Response> {
  const terms = termsOf(deps.config)
  if (!terms) throw new Error('there are no terms to accept')
  const [[accepted], flow] = await Promise.all([
    hasAcceptedTerms(deps.sql, userId),
    openFlow(deps, visit, continuation),
  ])
  return page(
    deps,
    flow.visit,
    'terms',
    {
      mxid: deps.homeserver.mxid(username),
      terms_uri: terms.uri,
      terms_version: terms.version,
      accepted_before: accepted?.exists === true,
      continuation: continuation.text,
    },
    { formAction: flow.formAction, expired },
  )
}

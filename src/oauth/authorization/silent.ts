import type { BrowserSessionRow } from '../../../sql/browser-sessions.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import { activeSession, type Visit } from '../../identity/visit.ts'
import { type Consentable, isRemembered, maySkip, refusalOf } from './approve.ts'
import { hintsAtAnother } from './hints.ts'
import type { CheckedRequest } from './rules.ts'
import { type SignInDemand, signInNeeded } from './sign-in-needed.ts'

/**
 * The session that answers `prompt=none`: its person signed in recently enough, is who is asked for, and agreed before to
 * something that may be answered without a page (OpenID Connect Core section 3.1.2.6, decision 10).
 *
 * @throws OAuthError login_required, account_selection_required, consent_required, interaction_required; invalid_scope,
 *   access_denied
 */
export async function silentSession(
  deps: Pick<Deps, 'config' | 'sql' | 'policy'>,
  visit: Visit,
  checked: CheckedRequest,
  asked: Consentable,
  demand: SignInDemand,
): Promise<BrowserSessionRow> {
  const session = inForeignFrame(visit.request) ? undefined : activeSession(visit)
  if (!session || signInNeeded(demand, session)) throw new OAuthError('login_required')
  if (await hintsAtAnother(deps, checked.params.login_hint, session))
    throw new OAuthError('account_selection_required')
  const violations = await deps.policy.grant(
    { scope: asked.scope, clientId: asked.client_id, user: session, grantType: 'authorization_code' },
    visit.requester,
  )
  if (violations.length > 0) {
    const { error, error_description: description } = refusalOf(violations)
    throw new OAuthError(error, { description })
  }
  if (!(await isRemembered(deps, asked, session))) throw new OAuthError('consent_required')
  if (!maySkip(asked)) throw new OAuthError('interaction_required')
  return session
}

/** A page of somebody else shows this one inside of it: it must not learn who is signed in here (decision 10). */
function inForeignFrame({ headers }: Request): boolean {
  const framed = ['iframe', 'frame', 'fencedframe', 'embed', 'object'].includes(
    headers.get('sec-fetch-dest') ?? '',
  )
  return framed && headers.get('sec-fetch-site') === 'cross-site'
}

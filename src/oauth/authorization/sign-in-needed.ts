import type { BrowserSessionRow } from '../../../sql/browser-sessions.ts'
import type { GrantRow } from '../../../sql/grants.ts'
import type { SessionState } from '../../identity/sessions.ts'
import { addSeconds } from '../../lib/clock.ts'
import { acrOf } from '../acr.ts'
import type { CheckedRequest } from './rules.ts'

/** Seconds that the clocks of two of our processes may differ. */
const CLOCK_SKEW = 30

/** What a request says about the sign-in behind its answer. */
export type SignInDemand = Pick<
  GrantRow,
  'created_at' | 'authenticated_after' | 'stale_session_id' | 'expected_user_id' | 'acr_required'
>

/** What `prompt=login`, `max_age`, hints and an essential `acr` demand, seen from the session that the browser came with. */
export function signInDemand(
  { prompt, maxAge, claims }: Pick<CheckedRequest, 'prompt' | 'maxAge' | 'claims'>,
  expectedUserId: string | undefined,
  came: SessionState,
  now: Date,
): SignInDemand {
  // OpenID Connect Core section 3.1.2.1: no age at all is what prompt=login means.
  const always = prompt.includes('login') || maxAge === 0
  const after = always ? now : maxAge === undefined ? null : addSeconds(now, -maxAge)
  const stale = after !== null && came.state !== 'none' && (always || came.session.authenticated_at < after)
  return {
    created_at: now,
    authenticated_after: after,
    stale_session_id: stale ? came.session.id : null,
    expected_user_id: expectedUserId ?? null,
    acr_required: claims.acrRequired,
  }
}

/**
 * Why a session may not answer a request yet: its person must prove once more who they are (`again`), or somebody else
 * is asked for (`other_person`).
 */
export function signInNeeded(
  demand: SignInDemand,
  session: Pick<BrowserSessionRow, 'id' | 'user_id' | 'authenticated_at' | 'authentication_method'>,
): 'again' | 'other_person' | undefined {
  if (demand.expected_user_id !== null && demand.expected_user_id !== session.user_id) return 'other_person'
  return isFresh(demand, session) && hasAcr(demand, session) ? undefined : 'again'
}

/** OpenID Connect Core section 5.5.1.1, for the one class that there is here. */
const hasAcr = (
  demand: Pick<SignInDemand, 'acr_required'>,
  session: Pick<BrowserSessionRow, 'authentication_method'>,
): boolean => !demand.acr_required || acrOf(session.authentication_method) !== undefined

/**
 * Whether somebody signed in for a request, and in a way that is no answer to it (section 5.5.1.1: a failed sign-in).
 * Only through a provider, where they may have no password: whoever came with a link from a mail has just set one, and is
 * asked for it.
 */
export const failedAcr = (
  demand: Pick<SignInDemand, 'acr_required' | 'created_at'>,
  session: Pick<BrowserSessionRow, 'authenticated_at' | 'authentication_method'>,
): boolean =>
  !hasAcr(demand, session) &&
  session.authentication_method === 'provider' &&
  session.authenticated_at > demand.created_at

/**
 * The session that the browser came with must be signed in to anew; any other one began later, and must not be an older
 * one that was put back. Of two requests that both ask, one sign-in after both is enough.
 */
function isFresh(
  { created_at, authenticated_after: after, stale_session_id: stale }: SignInDemand,
  session: Pick<BrowserSessionRow, 'id' | 'authenticated_at'>,
): boolean {
  if (after === null || session.authenticated_at > created_at) return true
  return session.id !== stale && session.authenticated_at >= addSeconds(after, -CLOCK_SKEW)
}

import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import { cancelGrant, findGrant } from '../../sql/grants.ts'
import type { Deps } from '../deps.ts'
import { authorizationResponse } from '../http/authorization-response.ts'
import { AuthorizeError, PageError } from '../http/errors.ts'
import { formActionSource } from '../http/headers.ts'
import type { PageOptions } from '../http/page-response.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { readContinuation, withContinuation } from '../identity/continuation.ts'
import { activeSession, openVisit, page, readOwnForm, summary, type Visit } from '../identity/visit.ts'
import { isMatrixScope } from '../lib/scope.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { answeredBy, approve, isRemembered, maySkip, refusalOf } from '../oauth/authorization/approve.ts'
import { hintsAtAnother } from '../oauth/authorization/hints.ts'
import { failedAcr, signInNeeded } from '../oauth/authorization/sign-in-needed.ts'
import { mayReturnAtOnce } from '../oauth/authorization/trusted-return.ts'
import {
  assertPending,
  clientSummary,
  type GrantWithClient,
  hostOf,
  inLanguageOf,
  noteAppOf,
  targetOf,
} from '../oauth/grant-context.ts'
import { scopeLine } from '../oauth/scope-line.ts'
import type { Violation } from '../policy/violation.ts'
import { interstitial } from './interstitial.ts'
import { endChosen, isOverLimitOnly, sessionLimitPage } from './session-limit.ts'
import { violationLine } from './violations.ts'

/** What both methods find before anything else: the request, the person, whether the policy allows it. */
async function open(
  deps: Deps,
  request: Request,
  ulid: string,
): Promise<
  Response | { visit: Visit; grant: GrantWithClient; session: BrowserSessionRow; violations: Violation[] }
> {
  const continuation = readContinuation({ kind: 'continue_authorization_grant', id: ulid })
  const opened = await openVisit(deps, request)
  const [found] = continuation.grantId === undefined ? [] : await findGrant(deps.sql, continuation.grantId)
  const visit = found ? inLanguageOf(opened, found) : opened
  if (found) noteAppOf(visit, found)
  const instead = await interstitial(deps, visit, continuation)
  if (instead) return instead
  const grant = assertPending(deps, visit, found)
  const session = activeSession(visit)
  if (session && failedAcr(grant, session)) throw await unmetAcr(deps, visit, grant)
  if (!session || signInNeeded(grant, session))
    return redirect(deps.urls.path(withContinuation('/login', continuation)), visit.browser.cookies)
  const violations = await deps.policy.grant(
    { scope: grant.scope, clientId: grant.client_id, user: session, grantType: 'authorization_code' },
    visit.requester,
  )
  return { visit, grant, session, violations }
}

/** The client asked for another kind of sign-in than the person gave: an answer to its request, so there is no second one. */
async function unmetAcr(deps: Deps, visit: Visit, grant: GrantWithClient): Promise<AuthorizeError> {
  await cancelGrant(deps.sql, grant.id, deps.clock.now())
  const client = { id: grant.client_id, is_static: grant.client_is_static }
  return new AuthorizeError('unmet_authentication_requirements', targetOf(grant), {
    asksFirst: !(await mayReturnAtOnce(deps, visit, client, grant.redirect_uri)),
  })
}

/** GET /consent/{id} (reference 3.6, decision 10). */
async function showConsent(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await open(deps, request, id)
  if (opened instanceof Response) return opened
  const { visit, grant, session, violations } = opened
  if (violations.length > 0) return deny(deps, visit, grant, session, violations)
  if (await needsNoPage(deps, grant, session)) return approve(deps, visit, grant, session)
  return consentPage(deps, visit, grant, session)
}

/** Whether the person agreed to this before, and the client asks for no page and for nobody else (decision 10). */
const needsNoPage = async (
  deps: Deps,
  grant: GrantWithClient,
  session: BrowserSessionRow,
): Promise<boolean> =>
  maySkip(grant) &&
  grant.prompt.length === 0 &&
  (await isRemembered(deps, grant, session)) &&
  !(await hintsAtAnother(deps, grant.login_hint, session))

/** POST /consent/{id}: `action=consent` (or none, as automation sends) or `cancel`. */
async function answerConsent(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await open(deps, request, id)
  if (opened instanceof Response) return opened
  const { visit, grant, session, violations } = opened
  const { form, own } = await readOwnForm(deps, visit)
  if (!own) return consentPage(deps, visit, grant, session, { expired: true })
  if (form.action === 'cancel') {
    const [cancelled] = await cancelGrant(deps.sql, grant.id, deps.clock.now())
    if (!cancelled) throw new PageError('grant_not_pending', 409)
    const refusal = { error: 'access_denied', error_description: 'The person declined.' }
    return authorizationResponse(deps, request, targetOf(grant), refusal, answeredBy(visit))
  }
  if (isOverLimitOnly(violations) && form.action === 'end_sessions') {
    const chosen = await endChosen(deps, session, violations, form, visit.requester)
    return chosen.ended
      ? redirect(deps.urls.path(`/consent/${ulidFromUuid(grant.id)}`), visit.browser.cookies)
      : deny(deps, visit, grant, session, violations, chosen.chosen)
  }
  if (violations.length > 0) return deny(deps, visit, grant, session, violations)
  return approve(deps, visit, grant, session)
}

async function consentPage(
  deps: Deps,
  visit: Visit,
  grant: GrantWithClient,
  session: BrowserSessionRow,
  options: PageOptions = {},
): Promise<Response> {
  const { client_uri, policy_uri, tos_uri, logo_uri } = grant.client_metadata
  const url = new URL(grant.redirect_uri)
  const isWeb = url.protocol === 'https:'
  const displayName = await displayNameOf(deps, session)
  return page(
    deps,
    visit,
    'consent',
    {
      client: {
        ...clientSummary(grant),
        ...(client_uri !== undefined && { client_uri }),
        ...(policy_uri !== undefined && { policy_uri }),
        ...(tos_uri !== undefined && { tos_uri }),
        redirect_host: hostOf(grant.redirect_uri) ?? url.protocol.slice(0, -1),
        redirect_kind: isWeb ? 'web' : 'app',
      },
      user: {
        mxid: summary(deps, session).mxid,
        ...(displayName !== undefined && { display_name: displayName }),
      },
      scopes: grant.scope.map(scopeLine),
      grant_id: ulidFromUuid(grant.id),
      remembered: maySkip(grant),
    },
    { ...options, formAction: [formActionSource(grant.redirect_uri)], images: [logo_uri] },
  )
}

/** The name at the homeserver, where the person may have changed it; ours when it does not answer at once. */
export async function displayNameOf(deps: Deps, session: BrowserSessionRow): Promise<string | undefined> {
  const known = session.display_name ?? undefined
  try {
    const user = await deps.homeserver.queryUser(session.username, { optional: true })
    return user ? (user.displayName ?? undefined) : known
  } catch {
    return known
  }
}

/**
 * The policy said no. Where only sessions are too many, the person chooses some to end (`chosen`: too few the last time)
 * and goes on. Else a request with Matrix scopes gets a page and not a redirect, with status 200, since clients rely
 * on it, and so does one of a client that the person never agreed to; any other goes back to the client (decision 11,
 * edge 1).
 */
async function deny(
  deps: Deps,
  visit: Visit,
  grant: GrantWithClient,
  session: BrowserSessionRow,
  violations: Violation[],
  chosen?: string[],
): Promise<Response> {
  const about = { client: clientSummary(grant), grant_id: ulidFromUuid(grant.id) }
  const options = {
    formAction: [formActionSource(grant.redirect_uri)],
    images: [grant.client_metadata.logo_uri],
  }
  if (isOverLimitOnly(violations)) {
    const limit = { ...options, ...(chosen && { chosen }) }
    const choice = await sessionLimitPage(deps, visit, session, violations, about, limit)
    if (choice) return choice
  }
  deps.log.warn('policy.denied', { client_id: ulidFromUuid(grant.client_id), violations })
  const client = { id: grant.client_id, is_static: grant.client_is_static }
  const mayReturn = await mayReturnAtOnce(deps, visit, client, grant.redirect_uri)
  if (!grant.scope.some(isMatrixScope) && mayReturn) {
    await cancelGrant(deps.sql, grant.id, deps.clock.now())
    return authorizationResponse(
      deps,
      visit.request,
      targetOf(grant),
      refusalOf(violations),
      answeredBy(visit),
    )
  }
  const context = { violations: violations.map(violationLine), ...about }
  return page(deps, visit, 'policy_violation', context, options)
}

export const consentRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/consent/{id}', handle: (request, params) => showConsent(deps, request, params) },
  {
    method: 'POST',
    path: '/consent/{id}',
    handle: (request, params) => answerConsent(deps, request, params),
  },
]

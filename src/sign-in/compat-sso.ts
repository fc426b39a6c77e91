import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import {
  type CompatLoginRow,
  cancelCompatLogin,
  findCompatLogin,
  fulfilCompatLogin,
} from '../../sql/compat-logins.ts'
import type { Deps } from '../deps.ts'
import { PageError } from '../http/errors.ts'
import { formActionSource } from '../http/headers.ts'
import type { PageOptions } from '../http/page-response.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { type Continuation, readContinuation, withContinuation } from '../identity/continuation.ts'
import { ensureProvisioned } from '../identity/devices.ts'
import { signUpOffered } from '../identity/providers.ts'
import { ssoTarget, withLoginToken } from '../identity/sso-redirect.ts'
import { activeSession, openVisit, page, readOwnForm, summary, type Visit } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { randomString } from '../lib/random.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import type { Violation } from '../policy/violation.ts'
import { displayNameOf } from './consent.ts'
import { interstitial } from './interstitial.ts'
import { endChosen, isOverLimitOnly, sessionLimitPage } from './session-limit.ts'
import { violationLine } from './violations.ts'

/** Seconds that a person has from the client to the answer (reference 9.3). */
const LIFETIME = 1800

/** What both methods find before anything else: the login, the person, whether the policy allows it. */
async function open(
  deps: Deps,
  request: Request,
  ulid: string,
): Promise<
  Response | { visit: Visit; login: CompatLoginRow; session: BrowserSessionRow; violations: Violation[] }
> {
  const continuation = readContinuation({ kind: 'continue_compat_sso_login', id: ulid })
  const visit = await openVisit(deps, request)
  const id = uuidFromUlid(ulid)
  const [found] = id === undefined ? [] : await findCompatLogin(deps.sql, id)
  const instead = await interstitial(deps, visit, continuation)
  if (instead) return instead
  const login = assertPending(deps, found)
  const session = activeSession(visit)
  if (!session)
    return redirect(deps.urls.path(signInPath(deps, request, continuation)), visit.browser.cookies)
  const asked = {
    user: session,
    login: { type: 'm.login.sso' as const, redirect_uri: login.redirect_uri },
    // No device is known yet.
    sessionReplaced: false,
  }
  const violations = await deps.policy.legacyLogin(asked, visit.requester)
  return { visit, login, session, violations }
}

/** @throws PageError when a login is unknown, too old or answered */
function assertPending(deps: Pick<Deps, 'clock'>, login: CompatLoginRow | undefined): CompatLoginRow {
  if (!login) throw new PageError('grant_not_found', 404)
  if (login.fulfilled_at || login.cancelled_at) throw new PageError('grant_not_pending', 409)
  if (addSeconds(login.created_at, LIFETIME) <= deps.clock.now())
    throw new PageError('grant_not_found', 410, { code: 'compat_sso_login_expired' })
  return login
}

/** Sign-in or, where the person chose that in the client, sign-up; with the provider that they chose, if they did. */
function signInPath(deps: Pick<Deps, 'config'>, request: Request, continuation: Continuation): string {
  const query = readPageQuery(request)
  const action = query.action ?? query['org.matrix.msc3824.action']
  const start = action === 'register' && signUpOffered(deps.config) ? '/register' : '/login'
  const idp = uuidFromUlid(query.upstream_idp ?? '')
  const path = withContinuation(start, continuation)
  return idp === undefined ? path : `${path}&upstream_idp=${ulidFromUuid(idp)}`
}

/** GET /complete-compat-sso/{id}: asks whether the client at the address may sign in (edge 44). */
async function showSso(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await open(deps, request, id)
  if (opened instanceof Response) return opened
  const { visit, login, session, violations } = opened
  return violations.length > 0
    ? denied(deps, visit, login, session, violations)
    : ssoPage(deps, visit, login, session)
}

/** POST /complete-compat-sso/{id}: `action=cancel`, or anything else to go on. */
async function answerSso(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await open(deps, request, id)
  if (opened instanceof Response) return opened
  const { visit, login, session, violations } = opened
  const { form, own } = await readOwnForm(deps, visit)
  if (!own) return ssoPage(deps, visit, login, session, { expired: true })
  if (form.action === 'cancel') {
    const [cancelled] = await cancelCompatLogin(deps.sql, login.id, deps.clock.now())
    if (!cancelled) throw new PageError('grant_not_pending', 409)
    return page(deps, visit, 'compat_sso_cancelled', ssoTarget(login.redirect_uri))
  }
  if (isOverLimitOnly(violations) && form.action === 'end_sessions') {
    const chosen = await endChosen(deps, session, violations, form, visit.requester)
    return chosen.ended
      ? redirect(deps.urls.path(`/complete-compat-sso/${ulidFromUuid(login.id)}`), visit.browser.cookies)
      : denied(deps, visit, login, session, violations, chosen.chosen)
  }
  if (violations.length > 0) return denied(deps, visit, login, session, violations)
  return approve(deps, visit, login, session)
}

/** Makes the login token, which is good for half a minute and once, and takes it to the client. */
async function approve(
  deps: Deps,
  visit: Visit,
  login: CompatLoginRow,
  session: BrowserSessionRow,
): Promise<Response> {
  await ensureProvisioned(deps, session.user_id)
  const token = randomString(deps.random, 32)
  const now = deps.clock.now()
  const [fulfilled] = await fulfilCompatLogin(deps.sql, login.id, {
    browserSessionId: session.id,
    tokenHash: sha256(token),
    since: addSeconds(now, -LIFETIME),
    now,
  })
  if (!fulfilled) throw new PageError('grant_not_pending', 409)
  deps.log.info('legacy_login.approved', { user_id: session.user_id, login_id: ulidFromUuid(login.id) })
  return redirect(withLoginToken(login.redirect_uri, token), visit.browser.cookies)
}

async function ssoPage(
  deps: Deps,
  visit: Visit,
  login: CompatLoginRow,
  session: BrowserSessionRow,
  options: PageOptions = {},
): Promise<Response> {
  const displayName = await displayNameOf(deps, session)
  return page(
    deps,
    visit,
    'compat_sso',
    {
      login_id: ulidFromUuid(login.id),
      ...ssoTarget(login.redirect_uri),
      user: {
        mxid: summary(deps, session).mxid,
        ...(displayName !== undefined && { display_name: displayName }),
      },
    },
    { ...options, formAction: [formActionSource(login.redirect_uri)] },
  )
}

/** The policy said no. Where only sessions are too many, the person chooses some to end and goes on. */
async function denied(
  deps: Deps,
  visit: Visit,
  login: CompatLoginRow,
  session: BrowserSessionRow,
  violations: Violation[],
  chosen?: string[],
): Promise<Response> {
  const about = {
    client: { name: ssoTarget(login.redirect_uri).target },
    compat_login_id: ulidFromUuid(login.id),
  }
  const options = { status: 403, formAction: [formActionSource(login.redirect_uri)] }
  if (isOverLimitOnly(violations)) {
    const limit = { ...options, ...(chosen && { chosen }) }
    const choice = await sessionLimitPage(deps, visit, session, violations, about, limit)
    if (choice) return choice
  }
  deps.log.warn('policy.denied', { login_id: ulidFromUuid(login.id), violations })
  const context = { violations: violations.map(violationLine), ...about }
  return page(deps, visit, 'policy_violation', context, options)
}

export const compatSsoPageRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/complete-compat-sso/{id}',
    handle: (request, params) => showSso(deps, request, params),
  },
  {
    method: 'POST',
    path: '/complete-compat-sso/{id}',
    handle: (request, params) => answerSso(deps, request, params),
  },
]

import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import {
  type DeviceGrantRow,
  findDeviceGrant,
  fulfilDeviceGrant,
  rejectDeviceGrant,
} from '../../sql/device-grants.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { PageError } from '../http/errors.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { readContinuation, withContinuation } from '../identity/continuation.ts'
import { ensureProvisioned } from '../identity/devices.ts'
import { describeUserAgent } from '../identity/user-agent.ts'
import { activeSession, openVisit, page, readOwnForm, summary, type Visit } from '../identity/visit.ts'
import { equalBytes } from '../lib/digest.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { DEVICE_CODE_GRANT, userCodeContext } from '../oauth/device.ts'
import { clientSummary } from '../oauth/grant-context.ts'
import { scopeLine } from '../oauth/scope-line.ts'
import { formatUserCode } from '../oauth/user-code.ts'
import type { Violation } from '../policy/violation.ts'
import type { DeviceDonePage, FieldErrors, FormError } from '../render/contexts.ts'
import { displayNameOf } from './consent.ts'
import { assertEnabled } from './device-link.ts'
import { interstitial } from './interstitial.ts'
import { endChosen, isOverLimitOnly, sessionLimitPage } from './session-limit.ts'
import { violationLine } from './violations.ts'

/** What both methods find before anything else: the request, the person, whether the policy allows it. */
async function open(
  deps: Deps,
  request: Request,
  ulid: string,
): Promise<
  Response | { visit: Visit; grant: DeviceGrantRow; session: BrowserSessionRow; violations: Violation[] }
> {
  assertEnabled(deps)
  const visit = await openVisit(deps, request)
  const continuation = readContinuation({ kind: 'continue_device_code_grant', id: ulid })
  const instead = await interstitial(deps, visit, continuation)
  if (instead) return instead
  const id = uuidFromUlid(ulid)
  const [grant] = id === undefined ? [] : await findDeviceGrant(deps.sql, id)
  if (!grant) throw new PageError('grant_not_found', 404)
  // Only where the code was typed in: a link that somebody sends leads nowhere.
  if (!grant.browser_hash || !equalBytes(grant.browser_hash, browserHash(visit.browser)))
    throw new PageError('grant_other_browser', 403)
  const outcome = outcomeOf(grant, deps.clock.now())
  if (outcome) return page(deps, visit, 'device_done', { outcome, client: clientSummary(grant) })
  const session = activeSession(visit)
  if (!session)
    return redirect(deps.urls.path(withContinuation('/login', continuation)), visit.browser.cookies)
  const violations = await deps.policy.grant(
    { scope: grant.scope, clientId: grant.client_id, user: session, grantType: DEVICE_CODE_GRANT },
    visit.requester,
  )
  return { visit, grant, session, violations }
}

/** How a request ended; undefined while it waits for an answer. A device that never came for its tokens is too late. */
function outcomeOf(grant: DeviceGrantRow, now: Date): DeviceDonePage['outcome'] | undefined {
  if (grant.rejected_at) return 'rejected'
  if (grant.exchanged_at) return 'approved'
  if (grant.expires_at <= now) return 'expired'
  return grant.fulfilled_at ? 'approved' : undefined
}

/** GET /device/{id}: who asks, and for what; afterwards how it ended (reference section 8). */
async function showDevice(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await open(deps, request, id)
  if (opened instanceof Response) return opened
  const { visit, grant, session, violations } = opened
  if (violations.length > 0) return deny(deps, visit, grant, session, violations)
  return devicePage(deps, visit, grant, session)
}

/**
 * POST /device/{id}: `action=consent` with `confirm_device`, or `action=reject`. Any other form changes nothing, and
 * one that comes after the answer is told what it was.
 */
async function answerDevice(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await open(deps, request, id)
  if (opened instanceof Response) return opened
  const { visit, grant, session, violations } = opened
  const { form, own } = await readOwnForm(deps, visit)
  const again = (state: { errors?: FieldErrors; formError?: FormError }) =>
    devicePage(deps, visit, grant, session, { ...state, status: 422 })
  if (own && form.action === 'reject') {
    await rejectDeviceGrant(deps.sql, grant.id, browserHash(visit.browser), deps.clock.now())
    deps.log.info('device.rejected', { grant_id: grant.id, user_id: session.user_id })
    return backTo(deps, visit, grant)
  }
  if (own && isOverLimitOnly(violations) && form.action === 'end_sessions') {
    const chosen = await endChosen(deps, session, violations, form, visit.requester)
    return chosen.ended
      ? backTo(deps, visit, grant)
      : deny(deps, visit, grant, session, violations, chosen.chosen)
  }
  if (violations.length > 0) return deny(deps, visit, grant, session, violations)
  if (!own) return again({ formError: { code: 'expired_form' } })
  if (form.action !== 'consent') return again({})
  if (!form.confirm_device) return again({ errors: { confirm_device: [{ code: 'required' }] } })
  return approve(deps, visit, grant, session)
}

/** Lets the device in. The homeserver must know the person first (reference edge 37). */
async function approve(
  deps: Deps,
  visit: Visit,
  grant: DeviceGrantRow,
  session: BrowserSessionRow,
): Promise<Response> {
  await ensureProvisioned(deps, session.user_id)
  const answer = { browserSessionId: session.id, locale: visit.lang, now: deps.clock.now() }
  const [fulfilled] = await fulfilDeviceGrant(deps.sql, grant.id, browserHash(visit.browser), answer)
  if (fulfilled)
    deps.log.info('device.approved', {
      grant_id: grant.id,
      user_id: session.user_id,
      client_id: ulidFromUuid(grant.client_id),
      ip: visit.requester.ip,
    })
  return backTo(deps, visit, grant)
}

/** The page of a request once more, by GET: it tells how the request ended, also when it is loaded again. */
const backTo = (deps: Deps, visit: Visit, grant: DeviceGrantRow): Response =>
  redirect(deps.urls.path(`/device/${ulidFromUuid(grant.id)}`), visit.browser.cookies)

async function devicePage(
  deps: Deps,
  visit: Visit,
  grant: DeviceGrantRow,
  session: BrowserSessionRow,
  state: { errors?: FieldErrors; formError?: FormError; status?: number } = {},
): Promise<Response> {
  const code = await deps.secrets.open(grant.sealed_user_code, userCodeContext(grant.id))
  // Sealed under a key that is gone, and so is the digest that the code is looked up by.
  if (code === undefined) throw new PageError('grant_not_found', 404)
  const client = clientSummary(grant)
  const userAgent = describeUserAgent(grant.user_agent ?? undefined)
  const displayName = await displayNameOf(deps, session)
  return page(
    deps,
    visit,
    'device_consent',
    {
      form: { errors: state.errors ?? {}, ...(state.formError && { form_error: state.formError }) },
      client,
      device: {
        ...(userAgent !== undefined && { user_agent: userAgent.slice(0, 100) }),
        ...(grant.ip !== null && { ip: grant.ip }),
        requested_at: grant.created_at.toISOString(),
        user_code: formatUserCode(code),
      },
      user: {
        mxid: summary(deps, session).mxid,
        ...(displayName !== undefined && { display_name: displayName }),
      },
      scopes: grant.scope.map(scopeLine),
      device_grant_id: ulidFromUuid(grant.id),
    },
    { status: state.status ?? 200, images: [client.logo_uri] },
  )
}

/**
 * The policy said no. There is no address to send the device an answer to, so this is a page whatever the scopes, with
 * status 200 as in MAS; the request goes on waiting, for another account or for the person's refusal. Where only sessions
 * are too many, the person chooses some to end (`chosen`: too few the last time) and goes on.
 */
async function deny(
  deps: Deps,
  visit: Visit,
  grant: DeviceGrantRow,
  session: BrowserSessionRow,
  violations: Violation[],
  chosen?: string[],
): Promise<Response> {
  const client = clientSummary(grant)
  const about = { client, device_grant_id: ulidFromUuid(grant.id) }
  const options = { images: [client.logo_uri] }
  if (isOverLimitOnly(violations)) {
    const limit = { ...options, ...(chosen && { chosen }) }
    const choice = await sessionLimitPage(deps, visit, session, violations, about, limit)
    if (choice) return choice
  }
  deps.log.warn('policy.denied', { client_id: ulidFromUuid(grant.client_id), violations })
  const context = { violations: violations.map(violationLine), ...about }
  return page(deps, visit, 'policy_violation', context, options)
}

export const deviceRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/device/{id}', handle: (request, params) => showDevice(deps, request, params) },
  { method: 'POST', path: '/device/{id}', handle: (request, params) => answerDevice(deps, request, params) },
]

import { bindDeviceGrant } from '../../sql/device-grants.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { NotFound, RateLimited } from '../http/errors.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { limitSubject, takeAll } from '../identity/limits.ts'
import { openVisit, page, readOwnForm, type Visit } from '../identity/visit.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { deviceGrantEnabled } from '../oauth/device.ts'
import { formatUserCode, readUserCode, userCodeHash } from '../oauth/user-code.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'

/** Codes that one browser may try: a person mistypes a few times. */
export const LINK_BROWSER_LIMIT = { burst: 10, per_second: 1 / 30 }
/** Codes that one address may try: many people may stand behind it. */
export const LINK_ADDRESS_LIMIT = { burst: 30, per_second: 1 / 10 }

/** GET /link: where the code of a device is typed in (RFC 8628 section 3.3). Needs nobody to be signed in. */
async function showLink(deps: Deps, request: Request): Promise<Response> {
  assertEnabled(deps)
  const visit = await openVisit(deps, request)
  const { code } = readPageQuery(request)
  return linkPage(deps, visit, { code: prefilled(deps, code) })
}

/** A code from the address fills the field where the operator allows it, and never more than that. */
function prefilled(deps: Pick<Deps, 'config'>, given = ''): string {
  if (!deps.config.oauth.device_code_user_code_auto_fill_enabled) return ''
  const code = readUserCode(given)
  return code === undefined ? '' : formatUserCode(code)
}

/**
 * POST /link: ties the request of a code to this browser and goes on to its page. Every code that may be one counts
 * against the limits before it is looked up, right or wrong: otherwise guesses sent all at once would all be answered.
 */
async function enterCode(deps: Deps, request: Request): Promise<Response> {
  assertEnabled(deps)
  const visit = await openVisit(deps, request)
  const { form, own } = await readOwnForm(deps, visit)
  const typed = form.code ?? ''
  // A form that another site sent must not fill the field: that would be the link with a code that is off.
  if (!own) {
    const kept = request.headers.get('sec-fetch-site') === 'same-origin' ? typed : prefilled(deps, typed)
    return linkPage(deps, visit, { code: kept, formError: { code: 'expired_form' } })
  }
  if (typed.trim() === '')
    return linkPage(deps, visit, { code: '', errors: { code: [{ code: 'required' }] } })
  const code = readUserCode(typed)
  const unknown = () => linkPage(deps, visit, { code: typed, errors: { code: [{ code: 'invalid' }] } })
  if (code === undefined) return unknown()
  try {
    await takeAll(
      deps,
      ['device-link.browser', visit.browser.id, LINK_BROWSER_LIMIT],
      ['device-link.ip', limitSubject(visit.requester.ip), LINK_ADDRESS_LIMIT],
    )
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    const wait = { code: 'rate_limited', retry_after_seconds: error.retryAfter } as const
    return linkPage(deps, visit, { code: typed, formError: wait })
  }
  const hash = userCodeHash(deps.secrets, code)
  const [grant] = await bindDeviceGrant(deps.sql, hash, browserHash(visit.browser), deps.clock.now())
  if (!grant) {
    deps.log.warn('device.code_unknown', { ip: visit.requester.ip })
    return unknown()
  }
  return redirect(deps.urls.path(`/device/${ulidFromUuid(grant.id)}`), visit.browser.cookies)
}

/** @throws NotFound when the grant is off: its pages then do not exist */
export function assertEnabled(deps: Pick<Deps, 'config'>): void {
  if (!deviceGrantEnabled(deps.config)) throw new NotFound()
}

function linkPage(
  deps: Deps,
  visit: Visit,
  state: { code: string; errors?: FieldErrors; formError?: FormError },
): Response {
  const { code, errors = {}, formError } = state
  const retryAfter = formError?.retry_after_seconds
  const wrong = formError !== undefined || Object.keys(errors).length > 0
  return page(
    deps,
    visit,
    'device_link',
    // Whatever was typed comes back, but not a novel.
    { form: { code: code.slice(0, 40), errors, ...(formError && { form_error: formError }) } },
    { status: retryAfter !== undefined ? 429 : wrong ? 422 : 200, retryAfter },
  )
}

export const deviceLinkRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/link', handle: (request) => showLink(deps, request) },
  { method: 'POST', path: '/link', handle: (request) => enterCode(deps, request) },
]

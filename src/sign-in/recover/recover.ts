import { findRecovery, type RecoveryRow } from '../../../sql/recoveries.ts'
import type { Deps } from '../../deps.ts'
import { browserHash } from '../../http/browser.ts'
import { RateLimited } from '../../http/errors.ts'
import { readPageQuery } from '../../http/params.ts'
import { redirect } from '../../http/reply.ts'
import type { PathParams, Route } from '../../http/route.ts'
import { type Continuation, readContinuation, storedContinuation } from '../../identity/continuation.ts'
import { parseEmail } from '../../identity/email-address.ts'
import { recoveryEnabled, repeatRecovery, requestRecovery, TICKET_LIFETIME } from '../../identity/recovery.ts'
import { openVisit, page, readOwnForm, type Visit } from '../../identity/visit.ts'
import { equalBytes } from '../../lib/digest.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import { openFlow } from '../../oauth/grant-context.ts'
import type { FieldErrors, FormError } from '../../render/contexts.ts'

/** Characters of an address that are shown again. */
const SHOWN = 254

interface State {
  errors?: FieldErrors
  formError?: FormError
}

/** GET /recover (reference flows 5.1): asks for the address. */
async function show(deps: Deps, request: Request): Promise<Response> {
  const query = readPageQuery(request)
  const continuation = readContinuation(query)
  const { visit } = await openFlow(deps, await openVisit(deps, request), continuation)
  if (!recoveryEnabled(deps))
    return page(deps, visit, 'recover_disabled', { continuation: continuation.text })
  return recoverPage(deps, visit, continuation, query.email ?? '')
}

/**
 * POST /recover: whether the address is known or not, the answer and the work are the same; a job looks for accounts
 * afterwards.
 */
async function ask(deps: Deps, request: Request): Promise<Response> {
  const continuation = readContinuation(readPageQuery(request))
  const { visit } = await openFlow(deps, await openVisit(deps, request), continuation)
  if (!recoveryEnabled(deps))
    return page(deps, visit, 'recover_disabled', { continuation: continuation.text }, { status: 403 })
  const { form, own } = await readOwnForm(deps, visit)
  const typed = form.email ?? ''
  if (!own) return recoverPage(deps, visit, continuation, typed, { formError: { code: 'expired_form' } })
  const email = parseEmail(typed)
  if (email === undefined) {
    const code = typed.trim() === '' ? 'required' : 'invalid'
    return recoverPage(deps, visit, continuation, typed, { errors: { email: [{ code }] } })
  }
  try {
    const id = await requestRecovery(deps, visit, email, continuation)
    return redirect(deps.urls.path(`/recover/progress/${ulidFromUuid(id)}`), visit.browser.cookies)
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    return recoverPage(deps, visit, continuation, typed, { formError: limited(error) })
  }
}

const limited = (error: RateLimited): FormError => ({
  code: 'rate_limited',
  retry_after_seconds: error.retryAfter,
})

/** 200 for a fresh page; 429 for one that a limit stopped, 422 for any other that is shown again. */
const statusOf = ({ errors, formError }: State): number =>
  formError?.code === 'rate_limited' ? 429 : errors || formError ? 422 : 200

function recoverPage(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  email: string,
  state: State = {},
): Response {
  const { errors = {}, formError } = state
  return page(
    deps,
    visit,
    'recover',
    {
      form: { email: email.slice(0, SHOWN), errors, ...(formError && { form_error: formError }) },
      continuation: continuation.text,
    },
    { status: statusOf(state), retryAfter: formError?.retry_after_seconds },
  )
}

/** The request of an id, if this browser made it; else the way to ask. */
async function openOwn(
  deps: Deps,
  request: Request,
  ulid: string,
): Promise<Response | { visit: Visit; recovery: RecoveryRow }> {
  const opened = await openVisit(deps, request)
  const id = uuidFromUlid(ulid)
  const [recovery] = id === undefined ? [] : await findRecovery(deps.sql, id)
  const isOwn = recovery && equalBytes(recovery.browser_hash, browserHash(opened.browser))
  if (!isOwn || !recoveryEnabled(deps)) return redirect(deps.urls.path('/recover'), opened.browser.cookies)
  const { visit } = await openFlow(deps, opened, storedContinuation(recovery.continuation))
  return { visit, recovery }
}

/** GET /recover/progress/{id}: what to do next. */
async function showProgress(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const own = await openOwn(deps, request, id)
  if (own instanceof Response) return own
  const { visit, recovery } = own
  return progressPage(deps, visit, recovery, readPageQuery(request).resent !== undefined)
}

/** POST /recover/progress/{id}: sends the mail again. */
async function resend(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const found = await openOwn(deps, request, id)
  if (found instanceof Response) return found
  const { visit, recovery } = found
  const { own } = await readOwnForm(deps, visit)
  if (!own) return progressPage(deps, visit, recovery, false, { formError: { code: 'expired_form' } })
  try {
    await repeatRecovery(deps, recovery, visit.requester)
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    return progressPage(deps, visit, recovery, false, { formError: limited(error) })
  }
  return redirect(deps.urls.path(`/recover/progress/${id}?resent=1`), visit.browser.cookies)
}

function progressPage(
  deps: Deps,
  visit: Visit,
  recovery: RecoveryRow,
  resent: boolean,
  state: State = {},
): Response {
  const { formError } = state
  return page(
    deps,
    visit,
    'recover_progress',
    {
      recovery_id: ulidFromUuid(recovery.id),
      email: recovery.email,
      minutes: TICKET_LIFETIME / 60,
      resent,
      form: { errors: {}, ...(formError && { form_error: formError }) },
      continuation: recovery.continuation,
    },
    { status: statusOf(state), retryAfter: formError?.retry_after_seconds },
  )
}

export const recoverRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/recover', handle: (request) => show(deps, request) },
  { method: 'POST', path: '/recover', handle: (request) => ask(deps, request) },
  {
    method: 'GET',
    path: '/recover/progress/{id}',
    handle: (request, params) => showProgress(deps, request, params),
  },
  {
    method: 'POST',
    path: '/recover/progress/{id}',
    handle: (request, params) => resend(deps, request, params),
  },
]

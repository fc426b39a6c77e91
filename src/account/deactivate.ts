import { findMailRecipient } from '../../sql/security-events.ts'
import type { Deps } from '../deps.ts'
import { noSessionCookie } from '../http/browser.ts'
import type { Route } from '../http/route.ts'
import { requestDeactivation } from '../identity/deactivation.ts'
import { localpartOf } from '../identity/usernames.ts'
import { page, readOwnForm, summary } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { fold } from '../lib/fold.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'
import { accountPage, goTo, type Opened, openFresh } from './area.ts'

/** A visit that may deactivate its account, or the response. */
async function open(deps: Deps, request: Request): Promise<Response | Opened> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response || deps.config.account.account_deactivation_allowed) return opened
  return goTo(deps, opened, 'data', { code: 'deactivation_not_allowed' })
}

/** GET /account/deactivate: what it means, and what shall become of the messages. */
async function explain(deps: Deps, request: Request): Promise<Response> {
  const opened = await open(deps, request)
  if (opened instanceof Response) return opened
  return accountPage(deps, opened, 'data', 'account_deactivate', {
    step: 'explain',
    erase: false,
    ...(await graceOf(deps, opened.session.user_id)),
    ...NO_ERRORS,
  })
}

/** Until when it could be taken back, and whether a mail could say how. */
async function graceOf(deps: Deps, userId: string): Promise<{ grace?: { until: string; mail: boolean } }> {
  const seconds = deps.config.account.deactivation_grace_period
  if (seconds === 0) return {}
  return {
    grace: {
      until: addSeconds(deps.clock.now(), seconds).toISOString(),
      mail: await canBeMailed(deps, userId),
    },
  }
}

async function canBeMailed(deps: Deps, userId: string): Promise<boolean> {
  const [owner] = await findMailRecipient(deps.sql, userId)
  return deps.config.email.transport !== 'blackhole' && owner !== undefined && owner.email !== null
}

const NO_ERRORS: { form: { errors: FieldErrors; form_error?: FormError } } = { form: { errors: {} } }

/**
 * POST /account/deactivate: first the second page, which asks for the name to be typed; with the right name (`confirm`)
 * the account goes. The name keeps a browser or a password manager from sending the form by itself.
 */
async function go(deps: Deps, request: Request): Promise<Response> {
  const opened = await open(deps, request)
  if (opened instanceof Response) return opened
  const { visit, session } = opened
  const { form, own } = await readOwnForm(deps, visit)
  const erase = form.erase !== undefined
  const ask = (errors: FieldErrors, status: number, formError?: FormError) =>
    accountPage(
      deps,
      opened,
      'data',
      'account_deactivate',
      { step: 'confirm', erase, form: { errors, ...(formError && { form_error: formError }) } },
      { status },
    )
  if (!own) return ask({}, 422, { code: 'expired_form' })
  if (form.confirm === undefined) return ask({}, 200)
  const typed = localpartOf(form.confirm.trim(), deps.config.matrix.homeserver)
  if (typed === '') return ask({ confirm: [{ code: 'required' }] }, 422)
  if (fold(typed) !== fold(session.username)) return ask({ confirm: [{ code: 'mismatch' }] }, 422)
  const dueAt = await requestDeactivation(deps, session.user_id, erase, visit.requester)
  return gone(deps, opened, dueAt)
}

/** The last page: nobody is signed in any more. */
async function gone(deps: Deps, { visit, session }: Opened, dueAt: Date | undefined): Promise<Response> {
  const signedOut = {
    ...visit,
    session: { state: 'none' } as const,
    browser: { ...visit.browser, sessionSecret: undefined },
  }
  const { mxid } = summary(deps, session)
  const options = { cookies: [noSessionCookie(deps.urls)] }
  if (dueAt) {
    const pending = { mxid, due_at: dueAt.toISOString(), mailed: await canBeMailed(deps, session.user_id) }
    return page(deps, signedOut, 'deactivation_pending', pending, options)
  }
  return page(deps, signedOut, 'account_deactivated', { mxid, continuation: '' }, options)
}

export const accountDeactivateRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/deactivate', handle: (request) => explain(deps, request) },
  { method: 'POST', path: '/account/deactivate', handle: (request) => go(deps, request) },
]

import type { Deps } from '../deps.ts'
import { sessionCookie } from '../http/browser.ts'
import { PageError, RateLimited } from '../http/errors.ts'
import { type Params, readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { type Continuation, readContinuation } from '../identity/continuation.ts'
import { endSession, startSession } from '../identity/sessions.ts'
import { checkPassword } from '../identity/sign-in.ts'
import { localpartOf } from '../identity/usernames.ts'
import { activeSession, openVisit, page, readOwnForm, type Visit } from '../identity/visit.ts'
import { describeGrant } from '../oauth/grant-context.ts'
import { registrationEnabled } from '../policy/register.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'
import { interstitial, stoppedPage } from './interstitial.ts'

/** GET /login (reference flows 2.1). */
async function showLogin(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const query = readPageQuery(request)
  const continuation = readContinuation(query)
  if (activeSession(visit)) return redirect(deps.urls.path(continuation.path), visit.browser.cookies)
  return (
    interstitial(deps, visit, continuation) ??
    loginPage(deps, visit, continuation, { username: hintedName(deps, query.login_hint) })
  )
}

/** `mxid:@name:server` of this server, or an address where those sign in, fills the field (reference 3.5). */
function hintedName(deps: Pick<Deps, 'config'>, hint = ''): string {
  const server = deps.config.matrix.homeserver
  if (hint.startsWith('mxid:')) {
    const localpart = localpartOf(hint.slice(5), server)
    return localpart.startsWith('@') ? '' : localpart
  }
  return deps.config.account.login_with_email_allowed && /^[^\s@]+@[^\s@]+$/.test(hint) ? hint : ''
}

/** POST /login (reference flows 2.2, with its defects mended). */
async function login(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const continuation = readContinuation(readPageQuery(request))
  if (!deps.config.passwords.enabled) throw new PageError('bad_request', 405)
  const { form, own } = await readOwnForm(deps, visit)
  if (!own) return again(deps, visit, continuation, form, { code: 'expired_form' })
  const errors: FieldErrors = {}
  for (const name of ['username', 'password']) if (!form[name]?.trim()) errors[name] = [{ code: 'required' }]
  if (Object.keys(errors).length > 0)
    return loginPage(deps, visit, continuation, { username: form.username ?? '', errors, status: 422 })
  try {
    return await signIn(deps, visit, continuation, form)
  } catch (error) {
    if (error instanceof RateLimited)
      return again(deps, visit, continuation, form, {
        code: 'rate_limited',
        retry_after_seconds: error.retryAfter,
      })
    throw error
  }
}

async function signIn(deps: Deps, visit: Visit, continuation: Continuation, form: Params): Promise<Response> {
  const { username = '', password = '' } = form
  const result = await checkPassword(deps, { username, password }, visit.requester)
  if (result.result === 'wrong')
    return again(deps, visit, continuation, form, { code: 'invalid_credentials' })
  if (result.result !== 'ok')
    return stoppedPage(deps, visit, continuation, result.result, result.user.username)
  // Somebody who signs in over a session leaves none behind that no cookie leads to.
  const before = activeSession(visit)
  if (before) await endSession(deps, before.user_id, before.id)
  const session = await startSession(deps, deps.sql, result.user.id, visit.requester)
  deps.log.info('login.succeeded', {
    user_id: result.user.id,
    session_id: session.id,
    ip: visit.requester.ip,
  })
  return redirect(deps.urls.path(continuation.path), [
    ...visit.browser.cookies,
    sessionCookie(deps.urls, session.secret),
  ])
}

/** The form once more, with what was typed but for the password. */
function again(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  form: Params,
  formError: FormError,
): Promise<Response> {
  const limited = formError.code === 'rate_limited'
  return loginPage(deps, visit, continuation, {
    username: form.username ?? '',
    formError,
    status: limited ? 429 : 422,
    retryAfter: formError.retry_after_seconds,
  })
}

async function loginPage(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  state: {
    username: string
    errors?: FieldErrors
    formError?: FormError
    status?: number
    retryAfter?: number | undefined
  },
): Promise<Response> {
  const { client, formAction, images } = await describeGrant(deps, visit, continuation.grantId)
  return page(
    deps,
    visit,
    'login',
    {
      form: {
        username: state.username,
        errors: state.errors ?? {},
        ...(state.formError && { form_error: state.formError }),
      },
      continuation: continuation.text,
      registration_enabled: registrationEnabled(deps.config),
      ...(client && { client }),
    },
    { formAction, images, status: state.status ?? 200, retryAfter: state.retryAfter },
  )
}

export const loginRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/login', handle: (request) => showLogin(deps, request) },
  { method: 'POST', path: '/login', handle: (request) => login(deps, request) },
]

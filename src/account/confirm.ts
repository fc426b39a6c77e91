import { findPassword } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { sessionCookie } from '../http/browser.ts'
import { RateLimited, Unavailable } from '../http/errors.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { type Continuation, keepsOpener, readContinuation } from '../identity/continuation.ts'
import { isDirectoryAccount } from '../identity/directory.ts'
import { isFresh, reauthenticate } from '../identity/reauthentication.ts'
import { checkOwnPassword } from '../identity/sign-in.ts'
import { readOwnForm } from '../identity/visit.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'
import { accountContinuation, accountPage, type Opened, openAccount } from './area.ts'

/** What the page is shown with, after a form that was refused. */
interface State {
  errors?: FieldErrors
  formError?: FormError
  status?: number
}

/** Where a confirmed person goes on: a page of the account area, or the linking that asked for it. */
function goalOf(request: Request): Continuation {
  const { page = '', ...query } = readPageQuery(request)
  if (query.kind === 'link_upstream') return readContinuation(query)
  return page.startsWith('confirm') ? readContinuation({ kind: 'manage_account' }) : accountContinuation(page)
}

/** GET /account/confirm?page=: asks who it is, before something that a stranger at an open screen must not do. */
async function show(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const goal = goalOf(request)
  if (isFresh(deps, opened.session)) return redirect(deps.urls.path(goal.path), opened.visit.browser.cookies)
  return confirmPage(deps, opened, goal)
}

/** POST /account/confirm: the password makes the sign-in fresh. Guesses count as those of a sign-in. */
async function confirm(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { visit, session } = opened
  const goal = goalOf(request)
  const { form, own } = await readOwnForm(deps, visit)
  if (!own) return confirmPage(deps, opened, goal, { formError: { code: 'expired_form' } })
  const { password = '' } = form
  if (password === '')
    return confirmPage(deps, opened, goal, { errors: { password: [{ code: 'required' }] } })
  try {
    const { result } = await checkOwnPassword(deps, session, password, visit.requester)
    if (result !== 'ok') return confirmPage(deps, opened, goal, { formError: { code: 'invalid_password' } })
  } catch (error) {
    if (error instanceof Unavailable && error.part === 'directory')
      return confirmPage(deps, opened, goal, { formError: { code: 'directory_unavailable' }, status: 503 })
    if (!(error instanceof RateLimited)) throw error
    const formError: FormError = { code: 'rate_limited', retry_after_seconds: error.retryAfter }
    return confirmPage(deps, opened, goal, { formError, status: 429 })
  }
  const secret = await reauthenticate(deps, session, 'password')
  const cookies = secret === undefined ? [] : [sessionCookie(deps.urls, secret)]
  return redirect(deps.urls.path(goal.path), [...visit.browser.cookies, ...cookies])
}

async function confirmPage(deps: Deps, opened: Opened, goal: Continuation, state?: State): Promise<Response> {
  const { user_id: userId } = opened.session
  const [password] = deps.config.passwords.enabled ? await findPassword(deps.sql, userId) : []
  const isDirectorys = await isDirectoryAccount(deps, userId)
  return accountPage(
    deps,
    opened,
    'overview',
    'account_confirm',
    {
      way: password || isDirectorys ? 'password' : 'sign_in',
      form: { errors: state?.errors ?? {}, ...(state?.formError && { form_error: state.formError }) },
      continuation: goal.text,
    },
    {
      status: state ? (state.status ?? 422) : 200,
      retryAfter: state?.status === 503 ? 5 : state?.formError?.retry_after_seconds,
      keepsOpener: keepsOpener(goal),
    },
  )
}

export const accountConfirmRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/confirm', handle: (request) => show(deps, request) },
  { method: 'POST', path: '/account/confirm', handle: (request) => confirm(deps, request) },
]

import { findPassword } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { sessionCookie } from '../http/browser.ts'
import { RateLimited } from '../http/errors.ts'
import type { Params } from '../http/params.ts'
import type { Route } from '../http/route.ts'
import { isDirectoryAccount } from '../identity/directory.ts'
import { setPassword } from '../identity/lifecycle.ts'
import { checkNewPassword } from '../identity/new-password.ts'
import { reauthenticate } from '../identity/reauthentication.ts'
import { endOtherSessions } from '../identity/sessions.ts'
import { checkOwnPassword } from '../identity/sign-in.ts'
import { readOwnForm } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { timeOfId } from '../lib/ulid.ts'
import type { FieldErrors, FormError, PasswordFeedback } from '../render/contexts.ts'
import { accountPage, goTo, type Opened, openAccount } from './area.ts'
import { passwordChangeAllowed } from './sections.ts'

interface FormState {
  errors?: FieldErrors
  formError?: FormError
  feedback?: PasswordFeedback | undefined
  form?: Params
  status?: number
}

/** Seconds in which a form may come a second time. */
const TWICE = 30

/** GET /account/password/change */
async function show(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  return opened instanceof Response ? opened : passwordPage(deps, opened)
}

/**
 * POST /account/password/change: `current_password`, `password`, `password_confirm`, and which sessions end
 * with it. Tries at the current one count as those of a sign-in.
 */
async function change(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { form, own } = await readOwnForm(deps, opened.visit)
  const again = (state: FormState) => passwordPage(deps, opened, { form, ...state })
  if (!passwordChangeAllowed(deps.config)) return again({ formError: { code: 'not_allowed' } })
  if (await isDirectoryAccount(deps, opened.session.user_id))
    return again({ formError: { code: 'not_allowed' } })
  if (!own) return again({ formError: { code: 'expired_form' } })
  const { errors, feedback } = await checkForm(deps, opened, form)
  if (Object.keys(errors).length > 0) return again({ errors, feedback })
  try {
    const current = form.current_password ?? ''
    const { result } = await checkOwnPassword(deps, opened.session, current, opened.visit.requester)
    if (result !== 'ok') {
      if (await wasJustSet(deps, opened, form)) return goOn(deps, opened, 0)
      return again({ errors: { current_password: [{ code: 'invalid' }] } })
    }
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    const formError: FormError = { code: 'rate_limited', retry_after_seconds: error.retryAfter }
    return again({ formError, status: 429 })
  }
  return setAndGoOn(deps, opened, form)
}

async function checkForm(
  deps: Deps,
  { session }: Opened,
  form: Params,
): Promise<{ errors: FieldErrors; feedback?: PasswordFeedback | undefined }> {
  const { current_password: current = '', password = '' } = form
  const { errors, feedback } = await checkNewPassword(deps, form, [session.username])
  if (current === '') errors.current_password = [{ code: 'required' }]
  if (password !== '' && password === current) errors.password = [{ code: 'unchanged' }]
  return { errors, feedback }
}

async function setAndGoOn(deps: Deps, opened: Opened, form: Params): Promise<Response> {
  const { session, visit } = opened
  const by = { actor: 'self', requester: visit.requester } as const
  await setPassword(deps, session.user_id, await deps.passwords.hash(form.password ?? ''), by)
  const kinds = {
    browsers: form.end_browsers !== undefined,
    apps: form.end_apps !== undefined,
    tokens: form.end_tokens !== undefined,
  }
  const count = await endOtherSessions(deps, session.user_id, session.id, kinds, visit.requester)
  return goOn(deps, opened, count)
}

/**
 * Whether the new password is the account's, since a moment ago: the form was sent twice, as without script a double click
 * does, and whoever did that is to hear that it worked.
 */
async function wasJustSet(deps: Deps, { session, visit }: Opened, form: Params): Promise<boolean> {
  const [stored] = await findPassword(deps.sql, session.user_id)
  if (!stored || addSeconds(timeOfId(stored.id), TWICE) <= deps.clock.now()) return false
  return (await checkOwnPassword(deps, session, form.password ?? '', visit.requester)).result === 'ok'
}

async function goOn(deps: Deps, opened: Opened, count: number): Promise<Response> {
  // The password was just proved: the sign-in is fresh, and its cookie changes.
  const secret = await reauthenticate(deps, opened.session, 'password')
  const cookies = secret === undefined ? [] : [sessionCookie(deps.urls, secret)]
  return goTo(deps, opened, 'password/change', { code: 'password_changed', count }, cookies)
}

async function passwordPage(deps: Deps, opened: Opened, state?: FormState): Promise<Response> {
  const { form } = state ?? {}
  const way = await wayOf(deps, opened.session.user_id)
  const url = way === 'directory' ? deps.config.ldap?.password_url : undefined
  return accountPage(
    deps,
    opened,
    'password',
    'account_password',
    {
      way,
      ...(url !== undefined && { password_url: url }),
      form: {
        end_browsers: form ? form.end_browsers !== undefined : true,
        end_apps: form?.end_apps !== undefined,
        end_tokens: form?.end_tokens !== undefined,
        errors: state?.errors ?? {},
        ...(state?.formError && { form_error: state.formError }),
      },
      minimum_complexity: deps.passwords.minimumComplexity,
      ...(state?.feedback && { password_feedback: state.feedback }),
    },
    { status: state ? (state.status ?? 422) : 200, retryAfter: state?.formError?.retry_after_seconds },
  )
}

/** Where the password of an account is changed, if it has one. */
async function wayOf(deps: Deps, userId: string): Promise<'change' | 'none' | 'not_allowed' | 'directory'> {
  if (await isDirectoryAccount(deps, userId)) return 'directory'
  if (!passwordChangeAllowed(deps.config)) return 'not_allowed'
  const [stored] = await findPassword(deps.sql, userId)
  return stored ? 'change' : 'none'
}

export const accountPasswordRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/password/change', handle: (request) => show(deps, request) },
  { method: 'POST', path: '/account/password/change', handle: (request) => change(deps, request) },
]

import { reopenEmailVerification } from '../../../sql/email-verifications.ts'
import {
  findRegistration,
  type RegistrationRow,
  renameRegistration,
  setRegistrationToken,
} from '../../../sql/registrations.ts'
import type { Deps } from '../../deps.ts'
import { PageError, RateLimited, Unavailable } from '../../http/errors.ts'
import type { Params } from '../../http/params.ts'
import { redirect } from '../../http/reply.ts'
import type { PathParams, Route } from '../../http/route.ts'
import { uselessHash } from '../../identity/email-verification.ts'
import { limitSubject, take } from '../../identity/limits.ts'
import { DISPLAY_NAME_LIMIT } from '../../identity/profile.ts'
import { completeSignUp, cookiesAgain, FORM_LIMIT } from '../../identity/sign-up.ts'
import { checkSignUpName } from '../../identity/sign-up-names.ts'
import { usernameError } from '../../identity/username-errors.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { openVisit, page, readOwnForm, type Visit } from '../../identity/visit.ts'
import { fold } from '../../lib/fold.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import type { FieldErrors, FormError } from '../../render/contexts.ts'
import { assertProven } from './email.ts'
import { findStep, nextPath, type Step, stepPath } from './step.ts'

/** GET …/finish: on to the step that is next, or to where the finished sign-up leads. Changes nothing (flows 13). */
async function goOn(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  return redirect(deps.urls.path(nextPath(deps, await findStep(deps, visit, id))), visit.browser.cookies)
}

/** GET …/display-name: the last step. */
async function show(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  const step = await findStep(deps, visit, id)
  const next = nextPath(deps, step)
  if (next !== stepPath(step.registration.id, 'display-name'))
    return redirect(deps.urls.path(next), visit.browser.cookies)
  return stepPage(deps, step, step.registration.display_name ?? '', {})
}

/** POST …/display-name: takes the name and creates the account. */
async function finish(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const step = await findStep(deps, await openVisit(deps, request), id)
  const { visit } = step.flow
  const next = nextPath(deps, step)
  const { form, own } = await readOwnForm(deps, visit)
  if (step.registration.completed_at && own) return doneAlready(deps, visit, step.registration)
  if (next !== stepPath(step.registration.id, 'display-name'))
    return redirect(deps.urls.path(next), visit.browser.cookies)
  assertProven(deps, step)
  const typed = form.display_name?.trim() ?? ''
  if (!own) {
    const { username } = form
    const state = { formError: { code: 'expired_form' }, status: 422 } as const
    return stepPage(deps, step, typed, { ...state, ...(username !== undefined && { username }) })
  }
  const skip = form.action === 'skip'
  const error = skip ? undefined : nameError(typed)
  if (error) return stepPage(deps, step, typed, { errors: { display_name: [error] }, status: 422 })
  const username = usernameOf(deps, step, form)
  const refused = await usernameRefusal(deps, visit, step, username, typed)
  if (refused) return refused
  return create(
    deps,
    visit,
    { ...step, registration: { ...step.registration, username } },
    skip ? username : typed,
  )
}

/** The last form came twice: on to where the sign-up leads, signed in by the cookie that the first answer had. */
const doneAlready = (deps: Deps, visit: Visit, registration: RegistrationRow): Response =>
  redirect(deps.urls.path(stepPath(registration.id, 'finish')), [
    ...visit.browser.cookies,
    ...(registration.needs_approval
      ? []
      : cookiesAgain(deps, visit, registration, registration.completed_at)),
  ])

/** Somebody was faster with the name: the page then asks for another one beside the display name. */
const usernameOf = (deps: Deps, { registration }: Step, form: Params): string =>
  localpartOf(form.username ?? '', deps.config.matrix.homeserver) || registration.username

function nameError(
  name: string,
): { code: 'required' } | { code: 'too_long'; args: { max: number } } | undefined {
  if (name === '') return { code: 'required' }
  if (new TextEncoder().encode(name).length > DISPLAY_NAME_LIMIT)
    return { code: 'too_long', args: { max: DISPLAY_NAME_LIMIT } }
  return undefined
}

/** The name is checked once more: an hour may have passed. The answer is the page again, with all that was typed. */
async function usernameRefusal(
  deps: Deps,
  visit: Visit,
  step: Step,
  username: string,
  typed: string,
): Promise<Response | undefined> {
  try {
    await take(deps, 'sign-up-form.ip', limitSubject(visit.requester.ip), FORM_LIMIT)
    const email = step.verification?.email
    const about = email === undefined ? {} : { email }
    const answer = await checkSignUpName(deps, visit, username, about, step.registration.id)
    if (answer.available) {
      if (username !== step.registration.username)
        await renameRegistration(deps.sql, step.registration.id, username, fold(username))
      return undefined
    }
    // Taken by this very sign-up, sent twice: on to where it leads.
    const [now] = await findRegistration(deps.sql, step.registration.id)
    if (now?.completed_at) return doneAlready(deps, visit, now)
    return stepPage(deps, step, typed, {
      username,
      errors: { username: [usernameError(answer, deps.config.matrix.homeserver)] },
      status: 422,
    })
  } catch (error) {
    if (error instanceof RateLimited)
      return stepPage(deps, step, typed, {
        formError: { code: 'rate_limited', retry_after_seconds: error.retryAfter },
        status: 429,
        retryAfter: error.retryAfter,
      })
    if (!(error instanceof Unavailable)) throw error
    return stepPage(deps, step, typed, {
      formError: { code: 'unavailable' },
      status: 503,
      retryAfter: 5,
    })
  }
}

/** Creates the account and goes on, or says which step came to nothing. */
async function create(deps: Deps, visit: Visit, step: Step, displayName: string): Promise<Response> {
  const { registration, verification, continuation } = step
  const created = await completeSignUp(deps, visit, registration, verification?.email, displayName)
  if (created.result === 'done') {
    const [now] = await findRegistration(deps.sql, registration.id)
    return doneAlready(deps, visit, now ?? registration)
  }
  if (created.result === 'waits')
    return redirect(deps.urls.path(stepPath(registration.id, 'finish')), visit.browser.cookies)
  if (created.result === 'token_spent') return tokenSpent(deps, visit, step)
  if (created.result === 'email_taken') return emailTaken(deps, visit, step)
  if (created.result === 'taken')
    return stepPage(deps, step, displayName, {
      username: registration.username,
      errors: { username: [{ code: 'taken' }] },
      status: 422,
    })
  if (created.result === 'link_gone') throw new PageError('registration_not_found', 409)
  return redirect(deps.urls.path(continuation.path), [...visit.browser.cookies, ...created.cookies])
}

/** Others were faster with the invitation, or it was revoked: another one is needed. */
async function tokenSpent(deps: Deps, visit: Visit, { registration }: Step): Promise<Response> {
  await setRegistrationToken(deps.sql, registration.id, null)
  return redirect(deps.urls.path(`${stepPath(registration.id, 'token')}?spent=1`), visit.browser.cookies)
}

/** Somebody was faster with the address. Whoever proved that it is theirs may know: back to its page. */
async function emailTaken(deps: Deps, visit: Visit, { registration, verification }: Step): Promise<Response> {
  if (verification)
    await reopenEmailVerification(deps.sql, verification.id, uselessHash(deps), deps.clock.now())
  const path = `${stepPath(registration.id, 'verify-email')}?taken=1`
  return redirect(deps.urls.path(path), visit.browser.cookies)
}

async function stepPage(
  deps: Deps,
  { registration, flow }: Step,
  displayName: string,
  state: {
    username?: string
    errors?: FieldErrors
    formError?: FormError
    status?: number
    retryAfter?: number
  },
): Promise<Response> {
  return page(
    deps,
    flow.visit,
    'register_display_name',
    {
      form: {
        display_name: displayName,
        errors: state.errors ?? {},
        ...(state.formError && { form_error: state.formError }),
      },
      username: state.username ?? registration.username,
      ...(state.username !== undefined && { rename: true as const }),
      registration_id: ulidFromUuid(registration.id),
    },
    { formAction: flow.formAction, status: state.status ?? 200, retryAfter: state.retryAfter },
  )
}

export const displayNameRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/register/steps/{id}/display-name',
    handle: (request, params) => show(deps, request, params),
  },
  {
    method: 'POST',
    path: '/register/steps/{id}/display-name',
    handle: (request, params) => finish(deps, request, params),
  },
  {
    method: 'GET',
    path: '/register/steps/{id}/finish',
    handle: (request, params) => goOn(deps, request, params),
  },
]

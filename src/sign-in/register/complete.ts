import { reopenEmailVerification } from '../../../sql/email-verifications.ts'
import {
  findRegistration,
  type RegistrationRow,
  renameRegistration,
  setRegistrationToken,
} from '../../../sql/registrations.ts'
import type { Deps } from '../../deps.ts'
import { PageError, RateLimited, Unavailable } from '../../http/errors.ts'
import { redirect } from '../../http/reply.ts'
import { uselessHash } from '../../identity/email-verification.ts'
import { limitSubject, take } from '../../identity/limits.ts'
import { completeSignUp, cookiesAgain, FORM_LIMIT } from '../../identity/sign-up.ts'
import { checkSignUpName } from '../../identity/sign-up-names.ts'
import { usernameError } from '../../identity/username-errors.ts'
import { page, type Visit } from '../../identity/visit.ts'
import { fold } from '../../lib/fold.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import type { FieldErrors, FormError } from '../../render/contexts.ts'
import { findStep, nextPath, type Step, stepPath } from './step.ts'

/**
 * After a step that was done: on to the next one. A provider that said the display name left nothing else to ask
 * (reference flows 3.5), so the account is made here, by the form that was just sent.
 */
export async function goOnFrom(deps: Deps, visit: Visit, { registration }: Step): Promise<Response> {
  const step = await findStep(deps, visit, ulidFromUuid(registration.id))
  const { display_name, username } = step.registration
  const isLast = nextPath(deps, step) === stepPath(registration.id, 'display-name')
  if (!isLast || display_name === null)
    return redirect(deps.urls.path(stepPath(registration.id, 'finish')), visit.browser.cookies)
  const refused = await usernameRefusal(deps, visit, step, username, display_name)
  return refused ?? create(deps, visit, step, display_name)
}

/** The last form came twice: on to where the sign-up leads, signed in by the cookie that the first answer had. */
export const doneAlready = (deps: Deps, visit: Visit, registration: RegistrationRow): Response =>
  redirect(deps.urls.path(stepPath(registration.id, 'finish')), [
    ...visit.browser.cookies,
    ...(registration.needs_approval
      ? []
      : cookiesAgain(deps, visit, registration, registration.completed_at)),
  ])

/** The name is checked once more: an hour may have passed. The answer is the page again, with all that was typed. */
export async function usernameRefusal(
  deps: Deps,
  visit: Visit,
  step: Step,
  username: string,
  typed: string,
): Promise<Response | undefined> {
  // Another name than the one that was taken is asked for again with the page.
  const renamed = username === step.registration.username ? {} : { username }
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
    if (step.registration.username_decided) throw new PageError('upstream_gone', 409)
    return displayNamePage(deps, step, typed, {
      username,
      errors: { username: [usernameError(answer, deps.config.matrix.homeserver)] },
      status: 422,
    })
  } catch (error) {
    if (error instanceof RateLimited)
      return displayNamePage(deps, step, typed, {
        ...renamed,
        formError: { code: 'rate_limited', retry_after_seconds: error.retryAfter },
        status: 429,
        retryAfter: error.retryAfter,
      })
    if (!(error instanceof Unavailable)) throw error
    return displayNamePage(deps, step, typed, {
      ...renamed,
      formError: { code: 'unavailable' },
      status: 503,
      retryAfter: 5,
    })
  }
}

/** Creates the account and goes on, or says which step came to nothing. */
export async function create(deps: Deps, visit: Visit, step: Step, displayName: string): Promise<Response> {
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
  // The person can choose no other: the provider's page says what there is to do, the next time.
  if (created.result === 'taken' && registration.username_decided) throw new PageError('upstream_gone', 409)
  if (created.result === 'taken')
    return displayNamePage(deps, step, displayName, {
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

export function displayNamePage(
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
): Response {
  const renamed = registration.username_decided ? undefined : state.username
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
      username: renamed ?? registration.username,
      ...(renamed !== undefined && { rename: true as const }),
      ...(registration.display_name_decided && { decided: true as const }),
      registration_id: ulidFromUuid(registration.id),
    },
    { formAction: flow.formAction, status: state.status ?? 200, retryAfter: state.retryAfter },
  )
}

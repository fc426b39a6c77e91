import type { EmailVerificationRow } from '../../../sql/email-verifications.ts'
import type { Deps } from '../../deps.ts'
import { PageError, RateLimited } from '../../http/errors.ts'
import { type Params, readPageQuery } from '../../http/params.ts'
import { redirect } from '../../http/reply.ts'
import type { PathParams, Route } from '../../http/route.ts'
import { checkEmail } from '../../identity/email-address.ts'
import {
  CODE_LIFETIME,
  confirmCode,
  parseCode,
  renewVerification,
  takeAttempt,
  takeResendLimits,
} from '../../identity/email-verification.ts'
import { openVisit, page, readOwnForm, type Visit } from '../../identity/visit.ts'
import { transact } from '../../lib/transact.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import type { FieldErrors, FormError } from '../../render/contexts.ts'
import type { RegisterEmailPage } from '../../render/contexts-email.ts'
import { goOnFrom } from './complete.ts'
import { findStep, nextPath, type Step, stepPath } from './step.ts'

interface State {
  /** The code that was typed. */
  code?: string
  /** The address that was typed to take the place of the first one. */
  typed?: string
  errors?: FieldErrors
  formError?: FormError
}

/** Characters of a typed code that come back. */
const CODE_SHOWN = 12

/** A sign-up whose address is still to be proven. */
type EmailStep = Step & { verification: EmailVerificationRow }

/** The step of a request, or where the sign-up stands instead. */
async function openStep(deps: Deps, visit: Visit, ulid: string): Promise<EmailStep | Response> {
  const step = await findStep(deps, visit, ulid)
  const { verification } = step
  if (step.registration.completed_at || !verification || verification.completed_at)
    return redirect(deps.urls.path(nextPath(deps, step)), visit.browser.cookies)
  return { ...step, verification }
}

/** GET …/verify-email: where the code goes in. */
async function show(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  const step = await openStep(deps, visit, id)
  if (step instanceof Response) return step
  const { sent, taken } = readPageQuery(request)
  // Only `emailTaken` makes a code that was never good: the link alone says nothing.
  const isTaken = taken !== undefined && step.verification.code_expires_at <= deps.clock.now()
  const state: State = isTaken ? { errors: { email: [{ code: 'taken' }] } } : {}
  return emailPage(deps, step, state, sent !== undefined)
}

/** POST …/verify-email: takes the code (reference flows 3.5), sends another one, or sends it to another address. */
async function submit(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const step = await openStep(deps, await openVisit(deps, request), id)
  if (step instanceof Response) return step
  const { visit } = step.flow
  const { form, own } = await readOwnForm(deps, visit)
  if (!own) {
    const { code = '', email } = form
    const kept = { code, ...(email !== undefined && { typed: email }) }
    return emailPage(deps, step, { ...kept, formError: { code: 'expired_form' } })
  }
  try {
    if (form.action === 'resend') return await resend(deps, visit, step, step.verification.email)
    if (form.action === 'change') return await change(deps, visit, step, form)
    return await verify(deps, visit, step, form)
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    const formError: FormError = { code: 'rate_limited', retry_after_seconds: error.retryAfter }
    return emailPage(deps, step, { formError, ...(form.email !== undefined && { typed: form.email }) })
  }
}

async function verify(deps: Deps, visit: Visit, step: EmailStep, form: Params): Promise<Response> {
  const code = parseCode(form.code)
  if (code === undefined) {
    const empty = (form.code ?? '').trim() === ''
    return emailPage(deps, step, {
      errors: { code: [{ code: empty ? 'code_required' : 'wrong_code' }] },
    })
  }
  await takeAttempt(deps, step.verification)
  const answer = await transact(deps.sql, (tx) => confirmCode(deps, tx, step.verification, code))
  if (answer !== 'ok') {
    // Sent twice, and the first one was right: on to the next step.
    const now = await findStep(deps, visit, ulidFromUuid(step.registration.id))
    if (!now.verification?.completed_at)
      return emailPage(deps, step, {
        errors: { code: [{ code: answer === 'wrong' ? 'wrong_code' : 'code_expired' }] },
      })
  }
  return goOnFrom(deps, visit, step)
}

/** The address was mistyped: the code goes to another one. */
async function change(deps: Deps, visit: Visit, step: EmailStep, form: Params): Promise<Response> {
  const typed = form.email ?? ''
  if (step.registration.email_decided) return emailPage(deps, step, {})
  const checked = await checkEmail(deps, typed, visit.requester)
  if ('error' in checked) return emailPage(deps, step, { typed, errors: { email: [checked.error] } })
  return resend(deps, visit, step, checked.email)
}

async function resend(deps: Deps, visit: Visit, step: EmailStep, email: string): Promise<Response> {
  const { registration, verification } = step
  await takeResendLimits(deps, visit.requester, verification, email)
  const { username } = registration
  const claimant = { username, lang: visit.lang, requester: visit.requester }
  await transact(deps.sql, (tx) =>
    renewVerification(deps, tx, { registrationId: registration.id }, verification, email, claimant),
  )
  return redirect(
    deps.urls.path(`${stepPath(registration.id, 'verify-email')}?sent=1`),
    visit.browser.cookies,
  )
}

async function emailPage(
  deps: Deps,
  { registration, verification, continuation, flow }: EmailStep,
  state: State,
  resent = false,
): Promise<Response> {
  const { errors = {}, formError } = state
  const limited = formError?.code === 'rate_limited'
  const context: RegisterEmailPage = {
    registration_id: ulidFromUuid(registration.id),
    email: verification.email,
    minutes: CODE_LIFETIME / 60,
    resent,
    fixed: registration.email_decided,
    continuation: continuation.text,
    form: {
      code: (state.code ?? '').slice(0, CODE_SHOWN),
      email: state.typed ?? '',
      errors,
      ...(formError && { form_error: formError }),
    },
  }
  return page(deps, flow.visit, 'register_email', context, {
    formAction: flow.formAction,
    status: limited ? 429 : state.errors || formError ? 422 : 200,
    retryAfter: formError?.retry_after_seconds,
  })
}

/** @throws PageError for a sign-up with a password that must prove an address and has none: the rule came after it began */
export function assertProven({ config }: Pick<Deps, 'config'>, { registration, verification }: Step): void {
  if (registration.upstream_session_id !== null) return
  if (config.account.password_registration_email_required && !verification?.completed_at)
    throw new PageError('registration_expired', 410)
}

export const registerEmailRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/register/steps/{id}/verify-email',
    handle: (request, params) => show(deps, request, params),
  },
  {
    method: 'POST',
    path: '/register/steps/{id}/verify-email',
    handle: (request, params) => submit(deps, request, params),
  },
]

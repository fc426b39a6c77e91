import { setRegistrationToken } from '../../../sql/registrations.ts'
import type { Deps } from '../../deps.ts'
import { RateLimited } from '../../http/errors.ts'
import { readPageQuery } from '../../http/params.ts'
import { redirect } from '../../http/reply.ts'
import type { PathParams, Route } from '../../http/route.ts'
import { checkRegistrationToken } from '../../identity/registration-tokens.ts'
import { openVisit, page, readOwnForm, type Visit } from '../../identity/visit.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import type { FieldErrors, FormError } from '../../render/contexts.ts'
import { goOnFrom } from './complete.ts'
import { findStep, nextPath, type Step, stepPath } from './step.ts'

interface State {
  typed?: string
  errors?: FieldErrors
  formError?: FormError
}

/** The step of a request, or where the sign-up stands instead. */
async function openStep(deps: Deps, visit: Visit, ulid: string): Promise<Step | Response> {
  const step = await findStep(deps, visit, ulid)
  const next = nextPath(deps, step)
  return next === stepPath(step.registration.id, 'token')
    ? step
    : redirect(deps.urls.path(next), visit.browser.cookies)
}

/** GET …/token: where the invitation goes in. */
async function show(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  const step = await openStep(deps, visit, id)
  if (step instanceof Response) return step
  const spent = readPageQuery(request).spent !== undefined
  return tokenPage(deps, step, spent ? { errors: { token: [{ code: 'invalid' }] } } : {})
}

/** POST …/token: takes the invitation. It is counted when the account is made. */
async function submit(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  const step = await openStep(deps, visit, id)
  if (step instanceof Response) return step
  const { form, own } = await readOwnForm(deps, visit)
  const typed = form.token?.trim() ?? ''
  if (!own) return tokenPage(deps, step, { typed, formError: { code: 'expired_form' } })
  if (typed === '') return tokenPage(deps, step, { errors: { token: [{ code: 'required' }] } })
  try {
    const tokenId = await checkRegistrationToken(deps, typed, visit.requester)
    if (tokenId === undefined)
      return tokenPage(deps, step, { typed, errors: { token: [{ code: 'invalid' }] } })
    await setRegistrationToken(deps.sql, step.registration.id, tokenId)
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    const formError: FormError = { code: 'rate_limited', retry_after_seconds: error.retryAfter }
    return tokenPage(deps, step, { typed, formError })
  }
  return goOnFrom(deps, visit, step)
}

async function tokenPage(
  deps: Deps,
  { registration, flow }: Step,
  { typed = '', errors = {}, formError }: State,
): Promise<Response> {
  const limited = formError?.code === 'rate_limited'
  const isWrong = Object.keys(errors).length > 0 || formError !== undefined
  return page(
    deps,
    flow.visit,
    'register_token',
    {
      registration_id: ulidFromUuid(registration.id),
      form: { token: typed, errors, ...(formError && { form_error: formError }) },
    },
    {
      formAction: flow.formAction,
      status: limited ? 429 : isWrong ? 422 : 200,
      retryAfter: formError?.retry_after_seconds,
    },
  )
}

export const registerTokenRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/register/steps/{id}/token',
    handle: (request, params) => show(deps, request, params),
  },
  {
    method: 'POST',
    path: '/register/steps/{id}/token',
    handle: (request, params) => submit(deps, request, params),
  },
]

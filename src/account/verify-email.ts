import { type EmailVerificationRow, findUserVerification } from '../../sql/email-verifications.ts'
import type { Deps } from '../deps.ts'
import { RateLimited } from '../http/errors.ts'
import { type Params, readPageQuery } from '../http/params.ts'
import type { PathParams, Route } from '../http/route.ts'
import {
  CODE_LIFETIME,
  parseCode,
  renewVerification,
  takeResendLimits,
} from '../identity/email-verification.ts'
import { confirmEmail } from '../identity/emails.ts'
import { readOwnForm } from '../identity/visit.ts'
import { transact } from '../lib/transact.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'
import { accountPage, goTo, type Opened, openAccount } from './area.ts'
import { claimantOf, mayProve } from './emails.ts'

interface State {
  /** The code that was typed. */
  code?: string
  errors?: FieldErrors
  formError?: FormError
}

/** Characters of a typed code that come back. */
const CODE_SHOWN = 12

/** Somebody who adds an address. */
interface Adding {
  opened: Opened
  verification: EmailVerificationRow
}

/** The address of a link, while it waits for its code; else the way to the list. */
async function openAdding(deps: Deps, request: Request, ulid: string): Promise<Adding | Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const id = uuidFromUlid(ulid)
  const [verification] =
    id === undefined ? [] : await findUserVerification(deps.sql, id, opened.session.user_id)
  if (!verification || !mayProve(deps, verification))
    return goTo(deps, opened, 'emails', { code: 'email_gone' })
  if (verification.completed_at) return goTo(deps, opened, 'emails', { code: 'email_added' })
  return { opened, verification }
}

/** GET /account/emails/{id}/verify: where the code goes in. */
async function show(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const adding = await openAdding(deps, request, id)
  if (adding instanceof Response) return adding
  return verifyPage(deps, adding, {}, readPageQuery(request).sent !== undefined)
}

/** POST /account/emails/{id}/verify: takes the code, or sends another one. */
async function submit(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const adding = await openAdding(deps, request, id)
  if (adding instanceof Response) return adding
  const { form, own } = await readOwnForm(deps, adding.opened.visit)
  if (!own) return verifyPage(deps, adding, { code: form.code ?? '', formError: { code: 'expired_form' } })
  try {
    return form.action === 'resend' ? await resend(deps, adding) : await verify(deps, adding, form)
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    return verifyPage(deps, adding, {
      formError: { code: 'rate_limited', retry_after_seconds: error.retryAfter },
    })
  }
}

async function verify(deps: Deps, adding: Adding, form: Params): Promise<Response> {
  const { opened, verification } = adding
  const code = parseCode(form.code)
  if (code === undefined) {
    const empty = (form.code ?? '').trim() === ''
    return verifyPage(deps, adding, { errors: { code: [{ code: empty ? 'code_required' : 'wrong_code' }] } })
  }
  const { user_id: userId } = opened.session
  const answer = await confirmEmail(deps, userId, verification, code, opened.visit.requester)
  if (answer === 'ok') return goTo(deps, opened, 'emails', { code: 'email_added' })
  if (answer === 'taken') return goTo(deps, opened, 'emails', { code: 'email_taken' })
  // Sent twice, and the first one was right.
  const [now] = await findUserVerification(deps.sql, verification.id, userId)
  if (now?.completed_at) return goTo(deps, opened, 'emails', { code: 'email_added' })
  const errors = { code: [{ code: answer === 'wrong' ? 'wrong_code' : 'code_expired' } as const] }
  return verifyPage(deps, adding, { errors })
}

async function resend(deps: Deps, { opened, verification }: Adding): Promise<Response> {
  const { email } = verification
  const owner = { userId: opened.session.user_id }
  await takeResendLimits(deps, opened.visit.requester, verification, email)
  await transact(deps.sql, (tx) =>
    renewVerification(deps, tx, owner, verification, email, claimantOf(opened)),
  )
  return goTo(deps, opened, `emails/${ulidFromUuid(verification.id)}/verify?sent=1`)
}

function verifyPage(
  deps: Deps,
  { opened, verification }: Adding,
  { code = '', errors, formError }: State,
  resent = false,
): Response {
  const limited = formError?.code === 'rate_limited'
  return accountPage(
    deps,
    opened,
    'emails',
    'account_email_verify',
    {
      verification_id: ulidFromUuid(verification.id),
      email: verification.email,
      minutes: CODE_LIFETIME / 60,
      resent,
      form: {
        code: code.slice(0, CODE_SHOWN),
        errors: errors ?? {},
        ...(formError && { form_error: formError }),
      },
    },
    {
      status: limited ? 429 : errors || formError ? 422 : 200,
      retryAfter: formError?.retry_after_seconds,
    },
  )
}

export const accountVerifyEmailRoutes = (deps: Deps): Route[] => [
  {
    method: 'GET',
    path: '/account/emails/{id}/verify',
    handle: (request, params) => show(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/emails/{id}/verify',
    handle: (request, params) => submit(deps, request, params),
  },
]

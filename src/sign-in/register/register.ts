import { insertRegistration } from '../../../sql/registrations.ts'
import type { Deps } from '../../deps.ts'
import { browserHash } from '../../http/browser.ts'
import { RateLimited, Unavailable } from '../../http/errors.ts'
import { type Params, readPageQuery } from '../../http/params.ts'
import { json, redirect } from '../../http/reply.ts'
import type { Route } from '../../http/route.ts'
import { type Continuation, readContinuation } from '../../identity/continuation.ts'
import { checkEmail, parseEmail } from '../../identity/email-address.ts'
import { beginVerification, takeCodeLimits } from '../../identity/email-verification.ts'
import { limitSubject, take } from '../../identity/limits.ts'
import { checkNewPassword } from '../../identity/new-password.ts'
import { checkRegistrationToken } from '../../identity/registration-tokens.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { activeSession, openVisit, page, readOwnForm, type Visit } from '../../identity/visit.ts'
import { fold } from '../../lib/fold.ts'
import { transact } from '../../lib/transact.ts'
import { newId } from '../../lib/ulid.ts'
import { hintedName } from '../../oauth/authorization/hints.ts'
import { type Flow, openFlow } from '../../oauth/grant-context.ts'
import { registrationEnabled } from '../../policy/register.ts'
import type { FieldErrors, FormError, PasswordFeedback, UsernameStatus } from '../../render/contexts.ts'
import { asksForToken, stepPath } from './step.ts'
import { checkSignUpName, suggestNames } from './username.ts'
import { usernameError, usernameStatus } from './username-errors.ts'

/** Live checks of one address: a person types a few names, a script tries thousands. */
const CHECK_LIMIT = { burst: 60, per_second: 1 }
/** Forms of one address, in order or not: a class of people sends a hundred, a script thousands. */
export const FORM_LIMIT = { burst: 120, per_second: 1 }

/** What was found out about a sign-up form. */
interface FormState {
  errors: FieldErrors
  formError?: FormError
  feedback?: PasswordFeedback
  /** Free names like one that is taken. */
  suggestions?: string[]
  /** The homeserver could not be asked: the form is kept, and sent again later. */
  outage?: boolean
}

/** GET /register and /register/password (reference flows 3.1): one page, since passwords are the only way in yet. */
async function showRegister(deps: Deps, request: Request): Promise<Response> {
  const query = readPageQuery(request)
  const continuation = readContinuation(query)
  const flow = await openFlow(deps, await openVisit(deps, request), continuation)
  const { visit } = flow
  if (activeSession(visit)) return redirect(deps.urls.path(continuation.path), visit.browser.cookies)
  if (!registrationEnabled(deps.config))
    return page(deps, visit, 'register_disabled', { continuation: continuation.text })
  // An invitation may be a link: its token goes along with the form.
  const invitation = query.token === undefined ? {} : { token: query.token }
  // A name in `login_hint` is the one that the person wants; an address is none (reference section 3.5).
  const hinted = hintedName(deps, flow.grant?.login_hint)
  const username = query.username ?? (hinted.includes('@') ? '' : hinted)
  return registerPage(deps, flow, continuation, { username, ...invitation }, { errors: {} }, 200)
}

/**
 * POST /register/password (reference flows 3.2). The limit of accounts is taken only for a form that is in order; another
 * one is taken for each, since a form asks for a name at the homeserver and may hold a password that takes 0.1 s to
 * judge.
 */
async function register(deps: Deps, request: Request): Promise<Response> {
  const continuation = readContinuation(readPageQuery(request))
  const flow = await openFlow(deps, await openVisit(deps, request), continuation)
  const { visit } = flow
  if (!registrationEnabled(deps.config))
    return page(deps, visit, 'register_disabled', { continuation: continuation.text }, { status: 403 })
  const { form, own } = await readOwnForm(deps, visit)
  if (!own) {
    const state: FormState = { errors: {}, formError: { code: 'expired_form' } }
    return registerPage(deps, flow, continuation, form, state, 422)
  }
  const username = localpartOf(form.username ?? '', deps.config.matrix.homeserver)
  try {
    await take(deps, 'sign-up-form.ip', limitSubject(visit.requester.ip), FORM_LIMIT)
    const state = await checkForm(deps, visit, username, form)
    if (state.outage) return registerPage(deps, flow, continuation, form, state, 503, 5)
    if (Object.keys(state.errors).length > 0) return registerPage(deps, flow, continuation, form, state, 422)
    await take(
      deps,
      'registration.ip',
      limitSubject(visit.requester.ip),
      deps.config.rate_limiting.registration,
    )
    if (asksForEmail(deps)) await takeCodeLimits(deps, visit.requester, form.email?.trim() ?? '')
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    const formError: FormError = { code: 'rate_limited', retry_after_seconds: error.retryAfter }
    return registerPage(deps, flow, continuation, form, { errors: {}, formError }, 429, error.retryAfter)
  }
  const id = await begin(deps, visit, continuation, username, form, await invitationOf(deps, visit, form))
  return redirect(deps.urls.path(stepPath(id, 'finish')), visit.browser.cookies)
}

/** Whether the sign-up asks for an address, and proves it. */
const asksForEmail = ({ config }: Pick<Deps, 'config'>): boolean =>
  config.account.password_registration_email_required

/** Everything that can be wrong with the form, each field on its own. */
async function checkForm(deps: Deps, visit: Visit, username: string, form: Params): Promise<FormState> {
  const errors: FieldErrors = {}
  let formError: FormError | undefined
  let outage = false
  let suggestions: string[] = []
  if (username === '') errors.username = [{ code: 'required' }]
  else
    try {
      const answer = await checkSignUpName(deps, visit, username, aboutAddress(deps, form))
      if (!answer.available) {
        const { reason, message = '' } = answer
        if (reason === 'email' && !asksForEmail(deps)) formError = { code: 'not_allowed', message }
        else if (reason === 'email') errors.email = [{ code: 'not_allowed', message }]
        else if (answer.reason === 'requester_banned') formError = { code: 'not_allowed' }
        else errors.username = [usernameError(answer, deps.config.matrix.homeserver)]
        if (answer.reason === 'taken') suggestions = await suggestNames(deps, visit, username)
        if (formError) errors.username ??= [{ code: 'not_allowed' }]
      }
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      deps.log.warn('registration.homeserver_unavailable', { error })
      formError = { code: 'unavailable' }
      outage = true
    }
  if (asksForEmail(deps)) {
    const checked = await checkEmail(deps, form.email ?? '', visit.requester)
    if ('error' in checked) errors.email = [checked.error]
  }
  const personal = [username, form.email?.trim() ?? '']
  const { errors: wrong, feedback } = await checkNewPassword(deps, form, personal)
  Object.assign(errors, wrong)
  if (deps.config.branding.tos_uri !== undefined && form.accept_terms === undefined)
    errors.accept_terms = [{ code: 'terms_required' }]
  return { errors, outage, suggestions, ...(formError && { formError }), ...(feedback && { feedback }) }
}

/** The invitation of the link that led here, if it is good; else the sign-up asks for one. */
async function invitationOf(deps: Deps, visit: Visit, { token }: Params): Promise<string | null> {
  if (token === undefined || !asksForToken(deps)) return null
  try {
    return (await checkRegistrationToken(deps, token, visit.requester)) ?? null
  } catch (error) {
    if (error instanceof RateLimited) return null
    throw error
  }
}

/** The address of the form, where it asks for one and it is one; otherwise its field says what is wrong with it. */
function aboutAddress(deps: Pick<Deps, 'config'>, form: Params): { email?: string } {
  const email = asksForEmail(deps) ? parseEmail(form.email ?? '') : undefined
  return email === undefined ? {} : { email }
}

/** Hashes the password and stores the sign-up, bound to this browser, with the mail that proves its address. */
async function begin(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  username: string,
  { password = '', email = '' }: Params,
  registrationTokenId: string | null,
): Promise<string> {
  const { version, hash } = await deps.passwords.hash(password)
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const registration = {
    id,
    browserHash: browserHash(visit.browser),
    username,
    usernameFolded: fold(username),
    registrationTokenId,
    passwordVersion: version,
    passwordHash: hash,
    termsUri: deps.config.branding.tos_uri ?? null,
    continuation: continuation.text,
    ip: visit.requester.ip ?? null,
    userAgent: visit.requester.userAgent ?? null,
    now,
  }
  await transact(deps.sql, async (tx) => {
    await insertRegistration(tx, registration)
    if (!asksForEmail(deps)) return
    const claimant = { username, lang: visit.lang, requester: visit.requester }
    await beginVerification(deps, tx, { registrationId: id }, email.trim(), claimant)
  })
  return id
}

async function registerPage(
  deps: Deps,
  { visit, client, formAction, images }: Flow,
  continuation: Continuation,
  form: Params,
  state: FormState,
  status: number,
  retryAfter?: number,
): Promise<Response> {
  const { tos_uri } = deps.config.branding
  return page(
    deps,
    visit,
    'register',
    {
      form: {
        username: form.username ?? '',
        ...(asksForEmail(deps) && { email: form.email ?? '' }),
        accept_terms: form.accept_terms !== undefined,
        errors: state.errors,
        ...(form.token !== undefined && asksForToken(deps) && { token: form.token }),
        ...(state.formError && { form_error: state.formError }),
      },
      ...(state.suggestions && state.suggestions.length > 0 && { suggestions: state.suggestions }),
      minimum_complexity: deps.passwords.minimumComplexity,
      ...(state.feedback && { password_feedback: state.feedback }),
      ...(tos_uri !== undefined && { terms_uri: tos_uri }),
      continuation: continuation.text,
      ...(client && { client }),
    },
    { formAction, images, status, retryAfter },
  )
}

/** GET /register/check?username=: the live check of the sign-up page. */
async function check(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  if (!registrationEnabled(deps.config)) return json({ status: 'unavailable', message: '' }, 403)
  const username = localpartOf(readPageQuery(request).username ?? '', deps.config.matrix.homeserver)
  let status: UsernameStatus
  try {
    await take(deps, 'username-check.ip', limitSubject(visit.requester.ip), CHECK_LIMIT)
    const answer = await checkSignUpName(deps, visit, username, { nameOnly: true })
    status = answer.available ? 'available' : usernameStatus(answer.reason)
  } catch (error) {
    if (!(error instanceof RateLimited) && !(error instanceof Unavailable)) throw error
    status = 'unavailable'
  }
  return json({ status, message: deps.translate.text(visit.lang, `username_status.${status}`) })
}

export const registerRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/register', handle: (request) => showRegister(deps, request) },
  { method: 'GET', path: '/register/check', handle: (request) => check(deps, request) },
  { method: 'GET', path: '/register/password', handle: (request) => showRegister(deps, request) },
  { method: 'POST', path: '/register/password', handle: (request) => register(deps, request) },
]

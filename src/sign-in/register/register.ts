import { findRegistrationVerification } from '../../../sql/email-verifications.ts'
import { insertRegistration } from '../../../sql/registrations.ts'
import type { Deps } from '../../deps.ts'
import { browserHash } from '../../http/browser.ts'
import { RateLimited, Unavailable } from '../../http/errors.ts'
import { type Params, readPageQuery } from '../../http/params.ts'
import { json, redirect } from '../../http/reply.ts'
import type { Route } from '../../http/route.ts'
import { asksForCaptcha, captchaBox, captchaPolicy, checkCaptcha, claimPass } from '../../identity/captcha.ts'
import { chosenProvider } from '../../identity/chosen-provider.ts'
import { type Continuation, readContinuation, withContinuation } from '../../identity/continuation.ts'
import { beginVerification, takeCodeLimits } from '../../identity/email-verification.ts'
import { limitSubject, take } from '../../identity/limits.ts'
import { signUpButtons } from '../../identity/providers.ts'
import { checkRegistrationToken } from '../../identity/registration-tokens.ts'
import { asksForToken, FORM_LIMIT } from '../../identity/sign-up.ts'
import { checkSignUpName, suggestNames } from '../../identity/sign-up-names.ts'
import { usernameStatus } from '../../identity/username-errors.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { activeSession, openVisit, page, readOwnForm, type Visit } from '../../identity/visit.ts'
import { fold } from '../../lib/fold.ts'
import { transact } from '../../lib/transact.ts'
import { newId } from '../../lib/ulid.ts'
import { hintedName } from '../../oauth/authorization/hints.ts'
import { type Flow, openFlow } from '../../oauth/grant-context.ts'
import { registrationEnabled } from '../../policy/register.ts'
import { termsOf } from '../../policy/terms.ts'
import type { FormError, UsernameStatus } from '../../render/contexts.ts'
import { asksForEmail, checkForm, type FormState } from './form.ts'
import { liveRegistration, resumePage } from './resume.ts'
import { stepPath } from './step.ts'

/** Live checks of one address: a person types a few names, a script tries thousands. */
const CHECK_LIMIT = { burst: 60, per_second: 1 }

/** GET /register and /register/password (reference flows 3.1): one page, with passwords and with providers. */
async function showRegister(deps: Deps, request: Request): Promise<Response> {
  const query = readPageQuery(request)
  const continuation = readContinuation(query)
  const flow = await openFlow(deps, await openVisit(deps, request), continuation)
  const { visit } = flow
  if (activeSession(visit)) return redirect(deps.urls.path(continuation.path), visit.browser.cookies)
  if (!registrationEnabled(deps.config)) return registerElsewhere(deps, flow, continuation, query)
  const live = await liveRegistration(deps, visit)
  if (live) return resumePage(deps, flow, continuation, live, query.token)
  // An invitation may be a link: its token goes along with the form.
  const invitation = query.token === undefined ? {} : { token: query.token }
  // A name in `login_hint` is the one that the person wants; an address is none (reference section 3.5).
  const hinted = hintedName(deps, flow.grant?.login_hint)
  const username = query.username ?? (hinted.includes('@') ? '' : hinted)
  return registerPage(deps, flow, continuation, { username, ...invitation }, { errors: {} }, 200)
}

/** Nobody signs up with a password here: on to the provider that is chosen, or the only one, or to the choice. */
async function registerElsewhere(
  deps: Deps,
  { visit, grant }: Flow,
  continuation: Continuation,
  query: Params,
): Promise<Response> {
  const providers = signUpButtons(deps.config)
  const chosen = await chosenProvider(deps, query, grant?.id)
  const first = providers.find(({ id }) => id === chosen?.id) ?? providers[0]
  if (!first) return page(deps, visit, 'register_disabled', { continuation: continuation.text })
  if (providers.length > 1 && first.id !== chosen?.id)
    return page(deps, visit, 'register_providers', { providers, continuation: continuation.text })
  const path = withContinuation(`/upstream/authorize/${first.id}`, continuation)
  return redirect(deps.urls.path(path), visit.browser.cookies)
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
  let admission: Admission = { invitation: undefined }
  try {
    await take(deps, 'sign-up-form.ip', limitSubject(visit.requester.ip), FORM_LIMIT)
    const twin = await sameForm(deps, visit, username, form)
    if (twin !== undefined) return redirect(deps.urls.path(stepPath(twin, 'finish')), visit.browser.cookies)
    const state = await checkForm(deps, visit, username, form)
    admission = await admit(deps, visit, form, state)
    const again = (status: number, retryAfter?: number) =>
      registerPage(deps, flow, continuation, form, state, status, { retryAfter, admission })
    if (state.outage) return again(503, 5)
    if (Object.keys(state.errors).length > 0) return again(422)
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
    const how = { retryAfter: error.retryAfter, admission }
    return registerPage(deps, flow, continuation, form, { errors: {}, formError }, 429, how)
  }
  const id = await begin(deps, visit, continuation, username, form, admission)
  if (id === undefined) {
    const twin = await sameForm(deps, visit, username, form)
    if (twin !== undefined) return redirect(deps.urls.path(stepPath(twin, 'finish')), visit.browser.cookies)
    const state: FormState = { errors: { captcha: [{ code: 'failed' }] } }
    return registerPage(deps, flow, continuation, form, state, 422)
  }
  return redirect(deps.urls.path(stepPath(id, 'finish')), visit.browser.cookies)
}

/** The sign-up that this very form began, when it comes twice: a double click, or back and once more. */
async function sameForm(
  deps: Deps,
  visit: Visit,
  username: string,
  { password = '', email }: Params,
): Promise<string | undefined> {
  const live = await liveRegistration(deps, visit)
  if (live?.username !== username || live.password_version === null || live.password_hash === null)
    return undefined
  const [verification] = await findRegistrationVerification(deps.sql, live.id)
  if (verification?.email !== (asksForEmail(deps) ? email?.trim() : undefined)) return undefined
  const stored = { version: live.password_version, hash: live.password_hash }
  return (await deps.passwords.verify(password, stored)).ok ? live.id : undefined
}

/** What lets a sign-up begin, as far as the form has it. */
interface Admission {
  /** The id of an invitation that may be used. */
  invitation: string | undefined
  /** The check against robots was passed. */
  pass?: string
}

/**
 * The invitation of the link that led here, if it is good, and the check against robots. A good invitation spares that
 * check: somebody here gave it out, and it lets in as many as it says. What is wrong is added to `state`.
 */
async function admit(deps: Deps, visit: Visit, form: Params, state: FormState): Promise<Admission> {
  const invitation = await invitationOf(deps, visit, form)
  if (invitation !== undefined || !asksForCaptcha(deps)) return { invitation }
  const captcha = await checkCaptcha(deps, visit, form)
  if (captcha.result === 'passed') return { invitation, pass: captcha.pass }
  if (captcha.result === 'failed') state.errors.captcha = [captcha.error]
  else Object.assign(state, { formError: captcha.formError, outage: true })
  return { invitation }
}

/** The invitation of the link that led here, if it is good; else the sign-up asks for one where it needs one. */
async function invitationOf(deps: Deps, visit: Visit, { token }: Params): Promise<string | undefined> {
  if (token === undefined || !takesInvitation(deps)) return undefined
  try {
    return await checkRegistrationToken(deps, token, visit.requester)
  } catch (error) {
    if (error instanceof RateLimited) return undefined
    throw error
  }
}

/** Whether an invitation in a link means anything: it is needed, or spares the check against robots. */
const takesInvitation = (deps: Deps): boolean => asksForToken(deps) || asksForCaptcha(deps)

/**
 * Hashes the password and stores the sign-up, bound to this browser, with the mail that proves its address. Gives its id;
 * undefined when what passed the check against robots was used before.
 */
async function begin(
  deps: Deps,
  visit: Visit,
  continuation: Continuation,
  username: string,
  { password = '', email = '' }: Params,
  { invitation, pass }: Admission,
): Promise<string | undefined> {
  const { version, hash } = await deps.passwords.hash(password)
  const terms = termsOf(deps.config)
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const registration = {
    id,
    browserHash: browserHash(visit.browser),
    username,
    usernameFolded: fold(username),
    registrationTokenId: invitation ?? null,
    invited: invitation !== undefined && asksForCaptcha(deps),
    passwordVersion: version,
    passwordHash: hash,
    termsUri: terms?.uri ?? null,
    termsVersion: terms?.version ?? '',
    continuation: continuation.text,
    ip: visit.requester.ip ?? null,
    userAgent: visit.requester.userAgent ?? null,
    now,
  }
  return transact(deps.sql, async (tx) => {
    if (pass !== undefined && !(await claimPass(deps, tx, visit, pass))) return undefined
    await insertRegistration(tx, registration)
    if (!asksForEmail(deps)) return id
    const claimant = { username, lang: visit.lang, requester: visit.requester }
    await beginVerification(deps, tx, { registrationId: id }, email.trim(), claimant)
    return id
  })
}

async function registerPage(
  deps: Deps,
  { visit, client, formAction, images }: Flow,
  continuation: Continuation,
  form: Params,
  state: FormState,
  status: number,
  { retryAfter, admission }: { retryAfter?: number | undefined; admission?: Admission } = {},
): Promise<Response> {
  const { tos_uri } = deps.config.branding
  // Until it was sent, an invitation counts as good: one that is not brings the check with the answer.
  const isInvited =
    form.token !== undefined && (admission === undefined || admission.invitation !== undefined)
  const token = takesInvitation(deps) && (isInvited || asksForToken(deps)) ? form.token : undefined
  const box = isInvited
    ? undefined
    : await captchaBox(deps, visit, { pass: admission?.pass, challenge: form.altcha_challenge })
  const providers = signUpButtons(deps.config)
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
        ...(token !== undefined && { token }),
        ...(state.formError && { form_error: state.formError }),
      },
      ...(state.suggestions && state.suggestions.length > 0 && { suggestions: state.suggestions }),
      minimum_complexity: deps.passwords.minimumComplexity,
      ...(state.feedback && { password_feedback: state.feedback }),
      ...(tos_uri !== undefined && { terms_uri: tos_uri }),
      continuation: continuation.text,
      ...(client && { client }),
      ...(box && { captcha: box }),
      ...(providers.length > 0 && { providers }),
    },
    { formAction, images, status, retryAfter, ...captchaPolicy(box) },
  )
}

/** GET /register/check?username=: the live check of the sign-up page. */
async function check(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  if (!registrationEnabled(deps.config)) return json({ status: 'unavailable', message: '' }, 403)
  const username = localpartOf(readPageQuery(request).username ?? '', deps.config.matrix.homeserver)
  let status: UsernameStatus
  let suggestions: string[] = []
  try {
    await take(deps, 'username-check.ip', limitSubject(visit.requester.ip), CHECK_LIMIT)
    const answer = await checkSignUpName(deps, visit, username, { nameOnly: true })
    status = answer.available ? 'available' : usernameStatus(answer.reason)
    if (status === 'taken') suggestions = await suggestNames(deps, visit, username)
  } catch (error) {
    if (!(error instanceof RateLimited) && !(error instanceof Unavailable)) throw error
    status = 'unavailable'
  }
  return json({ status, message: deps.translate.text(visit.lang, `username_status.${status}`), suggestions })
}

export const registerRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/register', handle: (request) => showRegister(deps, request) },
  { method: 'GET', path: '/register/check', handle: (request) => check(deps, request) },
  { method: 'GET', path: '/register/password', handle: (request) => showRegister(deps, request) },
  { method: 'POST', path: '/register/password', handle: (request) => register(deps, request) },
]

import { insertProvenVerification } from '../../sql/email-verifications.ts'
import { findLiveRegistration, findRegistration, insertRegistration } from '../../sql/registrations.ts'
import { findUserByEmail, findUserByName, type UserRow } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { PageError, RateLimited, Unavailable } from '../http/errors.ts'
import type { Params } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import { asksForCaptcha, captchaBox, captchaPolicy, checkCaptcha, claimPass } from '../identity/captcha.ts'
import { foldEmail } from '../identity/email-address.ts'
import { beginVerification, takeCodeLimits, uselessHash } from '../identity/email-verification.ts'
import { limitSubject, take } from '../identity/limits.ts'
import { providerName } from '../identity/providers.ts'
import { completeSignUp, FORM_LIMIT, SIGN_UP_LIFETIME } from '../identity/sign-up.ts'
import { checkSignUpName } from '../identity/sign-up-names.ts'
import { stoppedPage, stopReason } from '../identity/stopped-page.ts'
import { adoptThrough } from '../identity/upstream.ts'
import { usernameError } from '../identity/username-errors.ts'
import { localpartOf, type UsernameAnswer } from '../identity/usernames.ts'
import { page } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { fold } from '../lib/fold.ts'
import { transact } from '../lib/transact.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import { termsOf } from '../policy/terms.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'
import type { UpstreamProblemPage } from '../render/contexts-upstream.ts'
import { type Arrival, goOn, identityOf } from './arrival.ts'
import { type Imported, importClaims } from './claims.ts'
import { syncPerson } from './sync-person.ts'

/** What the provider says of a new person, as far as it can be used here. */
interface Newcomer {
  username?: Imported
  displayName?: Imported
  email?: Imported
}

/** What the person chose, or the provider for them. */
interface Choice {
  username: string
  displayName: string | undefined
  email: string | undefined
  /** A code must prove it. */
  unproven: boolean
}

/** The page of somebody whose identity is nobody's yet; without questions where the operator wants none. */
export async function showRegister(deps: Deps, arrival: Arrival): Promise<Response> {
  const newcomer = await meetNewcomer(deps, arrival)
  if (newcomer instanceof Response) return newcomer
  const { username, displayName, email } = newcomer
  if (arrival.provider.claims_imports.skip_confirmation && username) {
    await takeRegistration(deps, arrival.visit.requester.ip)
    return begin(deps, arrival, newcomer, {
      username: username.value,
      displayName: displayName?.value ?? username.value,
      email: email?.value,
      unproven: email?.unproven ?? false,
    })
  }
  const form = { username: username?.value ?? '', import_email: 'on', import_display_name: 'on' }
  return registerPage(deps, arrival, newcomer, form)
}

/** How many times `rate_limiting.registration` a provider's people may be: it knows them, and an office has one address. */
const VOUCHED = 10

/** @throws RateLimited when so many accounts were made through providers from one address */
export function takeRegistration(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'secrets' | 'log'>,
  ip: string | undefined,
): Promise<void> {
  const { burst, per_second } = deps.config.rate_limiting.registration
  const limit = { burst: burst * VOUCHED, per_second: per_second * VOUCHED }
  return take(deps, 'registration.provider', limitSubject(ip), limit)
}

/** POST with `action=register` (reference flows 4.8). */
export async function register(deps: Deps, arrival: Arrival, form: Params, own: boolean): Promise<Response> {
  const newcomer = await meetNewcomer(deps, arrival, { suggests: false })
  if (newcomer instanceof Response) return newcomer
  if (!own) return registerPage(deps, arrival, newcomer, form, { formError: { code: 'expired_form' } })
  const { displayName, email } = newcomer
  const typed = localpartOf(form.username ?? '', deps.config.matrix.homeserver)
  const choice: Choice = {
    username: newcomer.username?.fixed ? newcomer.username.value : typed,
    displayName: displayName?.fixed || form.import_display_name ? displayName?.value : undefined,
    email: email?.fixed || form.import_email ? email?.value : undefined,
    unproven: email?.unproven ?? false,
  }
  let pass: string | undefined
  try {
    await take(deps, 'sign-up-form.ip', limitSubject(arrival.visit.requester.ip), FORM_LIMIT)
    const errors = await checkChoice(deps, arrival, form, choice)
    const captcha = asksForCaptcha(deps) ? await checkCaptcha(deps, arrival.visit, form) : undefined
    if (captcha?.result === 'passed') pass = captcha.pass
    if (captcha?.result === 'failed') errors.captcha = [captcha.error]
    if (captcha?.result === 'unavailable')
      return registerPage(deps, arrival, newcomer, form, { errors, formError: captcha.formError })
    if (Object.keys(errors).length > 0) return registerPage(deps, arrival, newcomer, form, { errors, pass })
    await takeRegistration(deps, arrival.visit.requester.ip)
    if (choice.email !== undefined && choice.unproven)
      await takeCodeLimits(deps, arrival.visit.requester, choice.email)
  } catch (error) {
    if (error instanceof RateLimited) {
      const formError: FormError = { code: 'rate_limited', retry_after_seconds: error.retryAfter }
      return registerPage(deps, arrival, newcomer, form, { formError, pass })
    }
    if (!(error instanceof Unavailable)) throw error
    return registerPage(deps, arrival, newcomer, form, { formError: { code: 'unavailable' }, pass })
  }
  return begin(deps, arrival, newcomer, choice, { fields: form, pass })
}

async function checkChoice(deps: Deps, arrival: Arrival, form: Params, choice: Choice): Promise<FieldErrors> {
  const errors: FieldErrors = {}
  if (choice.username === '') errors.username = [{ code: 'required' }]
  else {
    const answer = await nameAnswer(deps, arrival, choice.username, choice.email)
    if (!answer.available) errors.username = [usernameError(answer, deps.config.matrix.homeserver)]
  }
  if (deps.config.branding.tos_uri !== undefined && form.accept_terms === undefined)
    errors.accept_terms = [{ code: 'terms_required' }]
  return errors
}

const nameAnswer = (
  deps: Deps,
  { visit }: Arrival,
  username: string,
  email: string | undefined,
): Promise<UsernameAnswer> =>
  checkSignUpName(deps, visit, username, { method: 'upstream-oauth2', ...(email !== undefined && { email }) })

/**
 * What the templates make of what the provider says, or the page for a person who cannot go on with that. A form that
 * was sent needs no suggestion, and so no homeserver for it.
 */
async function meetNewcomer(
  deps: Deps,
  arrival: Arrival,
  { suggests = true }: { suggests?: boolean } = {},
): Promise<Newcomer | Response> {
  const { provider, way } = arrival
  const { allow_registration: isOpen } = provider
  const claims = importClaims(deps, provider, way.said)
  if ('missing' in claims)
    return isOpen
      ? problemPage(deps, arrival, { problem: 'claim_missing', missing: claims.missing })
      : closedPage(deps, arrival)
  const { localpart, displayname, email } = claims
  const [user] = localpart ? await findUserByName(deps.sql, localpart.value, fold(localpart.value)) : []
  // Before anything that only a new account needs: the address that the provider says may be that of this very account.
  if (user && localpart?.fixed && (isOpen || provider.claims_imports.localpart.on_conflict !== 'fail'))
    return conflict(deps, arrival, user)
  if (!isOpen) return closedPage(deps, arrival)
  const newcomer: Newcomer = { ...(displayname && { displayName: displayname }) }
  const [known] = email ? await findUserByEmail(deps.sql, foldEmail(email.value)) : []
  // Of an address that nobody proved yet nothing is told: the code does that.
  if (email?.fixed && known && !email.unproven) return problemPage(deps, arrival, { problem: 'email_taken' })
  if (email && (!known || email.unproven)) newcomer.email = email
  if (!localpart) return newcomer
  const { value } = localpart
  if (!localpart.fixed) {
    const isFree = suggests && !user && (await nameAnswer(deps, arrival, value, undefined)).available
    return isFree ? { ...newcomer, username: localpart } : newcomer
  }
  const answer = await nameAnswer(deps, arrival, value, newcomer.email?.value)
  if (answer.available) return { ...newcomer, username: localpart }
  return problemPage(deps, arrival, {
    problem: answer.reason === 'taken' ? 'name_taken' : 'name_refused',
    username: value,
    ...(answer.message !== undefined && { message: answer.message }),
  })
}

const closedPage = (deps: Deps, arrival: Arrival): Response =>
  problemPage(deps, arrival, { problem: 'registration_closed' })

/** The provider decides about the name, and an account has it: `on_conflict` (reference flows 4.7). */
async function conflict(deps: Deps, arrival: Arrival, user: UserRow): Promise<Response> {
  const { provider, visit, way, link, continuation } = arrival
  const mode = provider.claims_imports.localpart.on_conflict
  if (mode === 'fail') return problemPage(deps, arrival, { problem: 'name_taken', username: user.username })
  const stopped = stopReason(user)
  if (stopped) return stoppedPage(deps, visit, continuation, stopped, user.username)
  const name = providerName(provider)
  const cookies = await adoptThrough(deps, visit, way.id, link, user.id, { mode, name })
  if (cookies === 'conflict')
    return problemPage(deps, arrival, { problem: 'already_linked', username: user.username })
  if (!cookies) throw new PageError('upstream_gone', 409)
  await syncPerson(deps, arrival, user.id)
  return goOn(deps, arrival, cookies)
}

/** Stores the sign-up, and finishes it at once when no step is left to the person. */
async function begin(
  deps: Deps,
  arrival: Arrival,
  newcomer: Newcomer,
  choice: Choice,
  form?: { fields: Params; pass: string | undefined },
): Promise<Response> {
  const { visit, provider, way, continuation } = arrival
  const { username, displayName, email, unproven } = choice
  const terms = termsOf(deps.config)
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const tokenRequired =
    provider.registration_token_required || deps.config.account.registration_token_required
  const begun = await transact(deps.sql, async (tx) => {
    if (form?.pass !== undefined && !(await claimPass(deps, tx, visit, form.pass))) return false
    await insertRegistration(tx, {
      id,
      browserHash: browserHash(visit.browser),
      username,
      usernameFolded: fold(username),
      registrationTokenId: null,
      passwordVersion: null,
      passwordHash: null,
      displayName: displayName ?? null,
      upstreamSessionId: way.id,
      decided: {
        username: newcomer.username?.fixed ?? false,
        displayName: newcomer.displayName?.fixed ?? false,
        email: newcomer.email?.fixed ?? false,
      },
      invited: tokenRequired,
      // Nobody accepts what was not shown.
      termsUri: (form && terms?.uri) ?? null,
      termsVersion: terms?.version ?? '',
      continuation: continuation.text,
      ip: visit.requester.ip ?? null,
      userAgent: visit.requester.userAgent ?? null,
      now,
    })
    if (email === undefined) return true
    if (unproven) {
      const claimant = { username, lang: visit.lang, requester: visit.requester }
      await beginVerification(deps, tx, { registrationId: id }, email, claimant)
      return true
    }
    const verification = {
      id: newId(now, deps.random),
      registrationId: id,
      email,
      codeHash: uselessHash(deps),
      now,
    }
    await insertProvenVerification(tx, verification)
    return true
  })
  if (!begun && form) {
    // The same form twice: the check against robots let the first one in, and this one goes on with it.
    const since = addSeconds(now, -SIGN_UP_LIFETIME)
    const [twin] = await findLiveRegistration(deps.sql, browserHash(visit.browser), since)
    if (twin?.upstream_session_id === way.id)
      return redirect(deps.urls.path(stepsOf(twin.id)), visit.browser.cookies)
    const errors: FieldErrors = { captcha: [{ code: 'failed' }] }
    return registerPage(deps, arrival, newcomer, form.fields, { errors })
  }
  const steps = redirect(deps.urls.path(stepsOf(id)), visit.browser.cookies)
  const isAsked = tokenRequired || displayName === undefined || (email !== undefined && unproven)
  const [registration] = isAsked ? [] : await findRegistration(deps.sql, id)
  if (!registration || displayName === undefined) return steps
  const done = await completeSignUp(deps, visit, registration, email, displayName)
  if (done.result === 'created') {
    await syncPerson(deps, arrival, done.userId)
    return goOn(deps, arrival, done.cookies)
  }
  if (done.result === 'taken' && form) {
    const errors: FieldErrors = { username: [{ code: 'taken' }] }
    return registerPage(deps, arrival, newcomer, form.fields, { errors })
  }
  if (done.result === 'link_gone') throw new PageError('upstream_gone', 409)
  return steps
}

/** The steps of a sign-up that are left. */
const stepsOf = (id: string): string => `/register/steps/${ulidFromUuid(id)}/finish`

/** `pass`: the check against robots was passed, and is not asked for again. */
async function registerPage(
  deps: Deps,
  arrival: Arrival,
  { username, displayName, email }: Newcomer,
  form: Params,
  state?: { errors?: FieldErrors; formError?: FormError; pass?: string | undefined },
): Promise<Response> {
  const { tos_uri } = deps.config.branding
  const { flow, link } = arrival
  const limited = state?.formError?.retry_after_seconds
  const away = ['unavailable', 'captcha_unavailable'].includes(state?.formError?.code ?? '')
  const known = { pass: state?.pass, challenge: form.altcha_challenge }
  const box = await captchaBox(deps, arrival.visit, known)
  return page(
    deps,
    arrival.visit,
    'upstream_register',
    {
      link_id: ulidFromUuid(link.id),
      identity: identityOf(arrival),
      form: {
        username: username?.fixed ? username.value : (form.username ?? ''),
        import_email: form.import_email !== undefined,
        import_display_name: form.import_display_name !== undefined,
        accept_terms: form.accept_terms !== undefined,
        errors: state?.errors ?? {},
        ...(state?.formError && { form_error: state.formError }),
      },
      fixed_username: username?.fixed ?? false,
      ...(email && { email }),
      ...(displayName && { display_name: displayName }),
      ...(tos_uri !== undefined && { terms_uri: tos_uri }),
      ...(flow.client && { client: flow.client }),
      ...(box && { captcha: box }),
    },
    {
      ...captchaPolicy(box),
      formAction: flow.formAction,
      images: flow.images,
      status: state === undefined ? 200 : limited !== undefined ? 429 : away ? 503 : 422,
      retryAfter: away ? 5 : limited,
    },
  )
}

/** Why the identity leads into no account. */
export const problemPage = (
  deps: Deps,
  arrival: Arrival,
  problem: Omit<UpstreamProblemPage, 'identity' | 'continuation' | 'link_id'>,
): Response =>
  page(
    deps,
    arrival.visit,
    'upstream_problem',
    {
      ...problem,
      identity: identityOf(arrival),
      link_id: ulidFromUuid(arrival.link.id),
      continuation: arrival.continuation.text,
    },
    { status: 403 },
  )

import { findUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { sessionCookie } from '../http/browser.ts'
import { PageError, RateLimited, Unavailable } from '../http/errors.ts'
import { type Params, readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { beginSession } from '../identity/begin-session.ts'
import { addressesLeadOn, chosenProvider, providerOfAddress } from '../identity/chosen-provider.ts'
import { type Continuation, keepsOpener, readContinuation } from '../identity/continuation.ts'
import { refusalMessage } from '../identity/directory.ts'
import { noProviderNotice, type ProviderNotice, readProviderNotice } from '../identity/provider-notice.ts'
import {
  enabledProviders,
  type Provider,
  providerButtons,
  providerName,
  signUpOffered,
} from '../identity/providers.ts'
import { reauthenticate } from '../identity/reauthentication.ts'
import { recoveryEnabled } from '../identity/recovery.ts'
import { endSession } from '../identity/sessions.ts'
import { checkPassword, type PasswordProof, passwordStands } from '../identity/sign-in.ts'
import { stoppedPage } from '../identity/stopped-page.ts'
import { activeSession, openVisit, page, readOwnForm, summary } from '../identity/visit.ts'
import { transact } from '../lib/transact.ts'
import { hintedName } from '../oauth/authorization/hints.ts'
import { signInNeeded } from '../oauth/authorization/sign-in-needed.ts'
import { type Flow, openFlow } from '../oauth/grant-context.ts'
import type { FieldErrors, FormError, LoginPage, SessionSummary } from '../render/contexts.ts'
import { interstitial } from './interstitial.ts'

/** GET /login (reference flows 2.1). */
async function showLogin(deps: Deps, request: Request): Promise<Response> {
  const query = readPageQuery(request)
  const continuation = readContinuation(query)
  const flow = await openFlow(deps, await openVisit(deps, request), continuation)
  if (activeSession(flow.visit) && !demandOf(flow))
    return redirect(deps.urls.path(continuation.path), flow.visit.browser.cookies)
  const username = hintedName(deps, query.login_hint ?? flow.grant?.login_hint)
  return (
    (await interstitial(deps, flow.visit, continuation)) ??
    (await sentOn(deps, flow, continuation, query)) ??
    loginPage(deps, flow, continuation, { username })
  )
}

/** On to the provider that the request, the person or the configuration names; unless that just led back here. */
async function sentOn(
  deps: Deps,
  { visit, grant }: Flow,
  continuation: Continuation,
  query: Params,
): Promise<Response | undefined> {
  if (readProviderNotice(deps, visit.request)) return undefined
  const provider = (await chosenProvider(deps, query, grant?.id)) ?? onlyProvider(deps)
  return (
    provider && redirect(toProvider(deps, provider, continuation, query.login_hint), visit.browser.cookies)
  )
}

/** Where there is one way in, no page asks which. */
function onlyProvider({ config }: Pick<Deps, 'config'>): Provider | undefined {
  const [provider, ...others] = enabledProviders(config)
  return config.passwords.enabled || others.length > 0 ? undefined : provider
}

/** The way to a provider, with the address that the person typed, if they did. */
function toProvider(
  deps: Pick<Deps, 'urls'>,
  { id }: Provider,
  continuation: Continuation,
  address: string | undefined,
): string {
  const query = new URLSearchParams(continuation.text)
  if (address !== undefined) query.set('login_hint', address)
  return deps.urls.path(`/upstream/authorize/${id}${query.size > 0 ? `?${query}` : ''}`)
}

/** What the request on the way wants although somebody is signed in. */
function demandOf({ visit, grant }: Flow): ReturnType<typeof signInNeeded> {
  const session = activeSession(visit)
  return grant && session ? signInNeeded(grant, session) : undefined
}

/** POST /login (reference flows 2.2, with its defects mended). */
async function login(deps: Deps, request: Request): Promise<Response> {
  const continuation = readContinuation(readPageQuery(request))
  const flow = await openFlow(deps, await openVisit(deps, request), continuation)
  if (!deps.config.passwords.enabled) throw new PageError('bad_request', 405)
  const { form, own } = await readOwnForm(deps, flow.visit)
  if (!own) return again(deps, flow, continuation, form, { code: 'expired_form' })
  const provider = providerOfAddress(deps, form.username)
  if (provider) return leadToProvider(deps, flow, continuation, provider, form.username ?? '')
  const errors: FieldErrors = {}
  for (const name of ['username', 'password']) if (!form[name]?.trim()) errors[name] = [{ code: 'required' }]
  // The same for every name and address that leads nowhere else, whether somebody has it or not.
  if (errors.password && !errors.username && addressesLeadOn(deps)) errors.password = [{ code: 'needed' }]
  if (Object.keys(errors).length > 0)
    return loginPage(deps, flow, continuation, { username: form.username ?? '', errors, status: 422 })
  try {
    return await signIn(deps, flow, continuation, form)
  } catch (error) {
    if (error instanceof RateLimited)
      return again(deps, flow, continuation, form, {
        code: 'rate_limited',
        retry_after_seconds: error.retryAfter,
      })
    if (error instanceof Unavailable && error.part === 'directory')
      return again(deps, flow, continuation, form, { code: 'directory_unavailable' })
    throw error
  }
}

/**
 * On to the provider of a typed address, by a page and no redirect: no page asks a provider where its own form may lead.
 * Its button is there for who is not led on.
 */
const leadToProvider = (
  deps: Deps,
  flow: Flow,
  continuation: Continuation,
  provider: Provider,
  address: string,
): Promise<Response> =>
  loginPage(deps, flow, continuation, {
    username: address,
    notice: { code: 'elsewhere', name: providerName(provider) },
    onward: toProvider(deps, provider, continuation, address.trim()),
  })

async function signIn(deps: Deps, flow: Flow, continuation: Continuation, form: Params): Promise<Response> {
  const { visit } = flow
  const { username = '', password = '' } = form
  const result = await checkPassword(deps, { username, password }, visit.requester)
  if (result.result === 'wrong') return again(deps, flow, continuation, form, { code: 'invalid_credentials' })
  if (result.result === 'refused') {
    const { reason } = result
    const code = reason === 'turned_away' ? 'not_allowed' : reason
    const message = refusalMessage(deps, reason, visit.lang)
    return again(deps, flow, continuation, form, { code, ...(message !== undefined && { message }) })
  }
  if (result.result !== 'ok')
    return stoppedPage(deps, visit, continuation, result.result, result.user.username)
  const cookies = (await renew(deps, flow, result.user.id)) ?? (await begin(deps, flow, result))
  // Another password was set meanwhile.
  if (!cookies) return again(deps, flow, continuation, form, { code: 'invalid_credentials' })
  return redirect(deps.urls.path(continuation.path), [...visit.browser.cookies, ...cookies])
}

/** The same person once more, because a request asks for it: the session goes on. Gives its new cookie. */
async function renew(deps: Deps, flow: Flow, userId: string): Promise<string[] | undefined> {
  const session = activeSession(flow.visit)
  if (!flow.grant || session?.user_id !== userId || demandOf(flow) !== 'again') return undefined
  const secret = await reauthenticate(deps, session, 'password', flow.grant.id)
  return secret === undefined ? undefined : [sessionCookie(deps.urls, secret)]
}

/** A new session. Somebody who signs in over another one leaves none behind that no cookie leads to. */
async function begin(
  deps: Deps,
  { visit }: Flow,
  { user: { id: userId }, proof }: { user: { id: string }; proof: PasswordProof },
): Promise<string[] | undefined> {
  const begun = await transact(deps.sql, async (tx) =>
    (await passwordStands(tx, userId, proof))
      ? beginSession(deps, tx, visit, userId, { method: 'password' })
      : undefined,
  )
  if (!begun) return undefined
  const before = visit.session.state === 'terms' ? visit.session.session : activeSession(visit)
  if (before) await endSession(deps, before.user_id, before.id)
  deps.log.info('login.succeeded', { user_id: userId, session_id: begun.id, ip: visit.requester.ip })
  return begun.cookies
}

/** The form once more, with what was typed but for the password. */
function again(
  deps: Deps,
  flow: Flow,
  continuation: Continuation,
  form: Params,
  formError: FormError,
): Promise<Response> {
  const { code, retry_after_seconds: wait } = formError
  const away = code === 'directory_unavailable'
  return loginPage(deps, flow, continuation, {
    username: form.username ?? '',
    formError,
    status: away ? 503 : code === 'rate_limited' ? 429 : 422,
    retryAfter: away ? 5 : wait,
  })
}

/** Where the name is not in question. */
const WRONG_PASSWORD: FormError = { code: 'invalid_password' }

async function loginPage(
  deps: Deps,
  flow: Flow,
  continuation: Continuation,
  state: {
    username: string
    errors?: FieldErrors
    formError?: FormError
    status?: number
    retryAfter?: number | undefined
    notice?: { code: ProviderNotice; name: string }
    onward?: string
  },
): Promise<Response> {
  const { visit, client, formAction, images } = flow
  const known = await knownPerson(deps, flow)
  const providers = providerButtons(deps.config)
  const said = readProviderNotice(deps, visit.request)
  const notice = state.notice ?? said
  const error = known && state.formError?.code === 'invalid_credentials' ? WRONG_PASSWORD : state.formError
  return page(
    deps,
    visit,
    'login',
    {
      form: {
        username: known?.person.username ?? state.username,
        errors: state.errors ?? {},
        ...(error && { form_error: error }),
      },
      continuation: continuation.text,
      registration_enabled: offersSignUp(deps.config) && !known,
      recovery_enabled: recoveryEnabled(deps),
      ...(client && { client }),
      ...known,
      ...(providers.length > 0 && { providers, providers_only: !deps.config.passwords.enabled }),
      ...(notice && { provider_notice: notice }),
      ...(addressesLeadOn(deps) && { address_alone: true }),
    },
    {
      formAction,
      images,
      cookies: said ? [noProviderNotice(deps)] : [],
      status: state.status ?? 200,
      retryAfter: state.retryAfter,
      onward: state.onward,
      keepsOpener: keepsOpener(continuation),
    },
  )
}

/** Where there are only providers, their buttons are the way into a new account too. */
const offersSignUp = (config: Deps['config']): boolean => config.passwords.enabled && signUpOffered(config)

/** Who must type the password, where the request says it: the person who is signed in, or another one that it names. */
async function knownPerson(
  deps: Deps,
  flow: Flow,
): Promise<(Pick<LoginPage, 'notice' | 'other_account'> & { person: SessionSummary }) | undefined> {
  const session = activeSession(flow.visit)
  const expected = flow.grant?.expected_user_id ?? undefined
  if (demandOf(flow) === 'again' && session)
    return { person: summary(deps, session), notice: 'reauthenticate', other_account: expected === undefined }
  const [user] = expected === undefined ? [] : await findUser(deps.sql, expected)
  return (
    user && {
      person: summary(deps, { ...user, display_name: null }),
      notice: 'expected',
      other_account: false,
    }
  )
}

export const loginRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/login', handle: (request) => showLogin(deps, request) },
  { method: 'POST', path: '/login', handle: (request) => login(deps, request) },
]

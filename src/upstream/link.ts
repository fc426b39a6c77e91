import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import type { UpstreamLinkRow } from '../../sql/upstream-links.ts'
import { findJustConsumedSession } from '../../sql/upstream-sessions.ts'
import { findUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { PageError } from '../http/errors.ts'
import type { PageOptions } from '../http/page-response.ts'
import { redirect } from '../http/reply.ts'
import type { PathParams, Route } from '../http/route.ts'
import { storedContinuation } from '../identity/continuation.ts'
import { providerName, turnedAwayMessage } from '../identity/providers.ts'
import { isFresh } from '../identity/reauthentication.ts'
import { cookiesAgain, TWICE } from '../identity/sign-up.ts'
import { stoppedPage, stopReason } from '../identity/stopped-page.ts'
import { linkThrough, renewThrough, signInThrough } from '../identity/upstream.ts'
import { activeSession, openVisit, page, readOwnForm, summary, type Visit } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { signInNeeded } from '../oauth/authorization/sign-in-needed.ts'
import { type Arrival, goOn, identityOf, openArrival } from './arrival.ts'
import { holds } from './claims.ts'
import { TOLERANCE } from './id-token.ts'
import { ProviderError } from './provider-error.ts'
import { problemPage, register, showRegister } from './register.ts'
import { syncPerson } from './sync-person.ts'
import { turnBack } from './way.ts'

/** GET /upstream/link/{id}: signs in, asks whether to link, or begins a sign-up (reference flows 4.7). */
async function show(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const arrival = await openArrival(deps, await openVisit(deps, request), id)
  const refused = refusal(deps, arrival)
  if (refused) return refused
  const session = activeSession(arrival.visit)
  const { user_id: ownerId } = arrival.link
  if (ownerId === null) return session ? suggestPage(deps, arrival, session) : showRegister(deps, arrival)
  if (session && session.user_id !== ownerId) return mismatchPage(deps, arrival, session)
  const link = { ...arrival.link, user_id: ownerId }
  const cookies = session
    ? await renewThrough(deps, arrival.way.id, link.id, session, arrival.flow.grant?.id)
    : await signIn(deps, arrival, link)
  if (cookies instanceof Response) return cookies
  if (!cookies) throw new PageError('upstream_gone', 404)
  if (!session) deps.metrics.upstreamLogins.add(arrival.provider.id)
  await syncPerson(deps, arrival, ownerId)
  return goOn(deps, arrival, cookies)
}

/** Whoever the operator does not let in, and whoever signed in there too long ago for the request on the way. */
function refusal(deps: Deps, arrival: Arrival): Response | undefined {
  const { provider, way, visit, continuation } = arrival
  if (holds(deps, provider, 'allow_if', way.said) === false) return turnedAway(deps, arrival)
  if (!isTooOld(arrival)) return undefined
  deps.log.warn('upstream.failed', {
    provider_id: provider.id,
    error: new ProviderError('failed', 'the sign-in there (auth_time) is older than the request allows'),
  })
  return turnBack(deps, visit, continuation, 'failed', provider)
}

/**
 * `prompt=login` and `max_age` are about the person, who may have been signed in at the provider for weeks. One that says
 * when that was (OpenID Connect Core section 2, auth_time) is taken by its word.
 */
function isTooOld({ way, visit, flow: { grant } }: Arrival): boolean {
  const session = activeSession(visit)
  const { auth_time: at } = way.said.id_token_claims ?? {}
  if (!grant || grant.authenticated_after === null || typeof at !== 'number') return false
  if (session && signInNeeded(grant, session) !== 'again') return false
  return at * 1000 < addSeconds(grant.authenticated_after, -TOLERANCE).getTime()
}

/** The provider knows who it is, and the operator does not let them in. */
function turnedAway(deps: Deps, arrival: Arrival): Response {
  const { provider, link } = arrival
  deps.log.warn('upstream.turned_away', { provider_id: provider.id, link_id: link.id })
  const message = turnedAwayMessage(provider, arrival.visit.lang)
  return problemPage(deps, arrival, { problem: 'not_allowed', ...(message !== undefined && { message }) })
}

/** A session for the owner of a link, or the page that says why there is none. */
async function signIn(
  deps: Deps,
  { visit, way, continuation }: Arrival,
  link: UpstreamLinkRow & { user_id: string },
): Promise<Response | string[] | undefined> {
  const [user] = await findUser(deps.sql, link.user_id)
  if (!user) throw new PageError('upstream_gone', 404)
  const stopped = stopReason(user)
  if (stopped) return stoppedPage(deps, visit, continuation, stopped, user.username)
  return signInThrough(deps, visit, way.id, link)
}

/** POST /upstream/link/{id}: what its page asks; a form that comes twice goes on to where the first one led. */
async function answer(deps: Deps, request: Request, params: PathParams): Promise<Response> {
  const visit = await openVisit(deps, request)
  try {
    const response = await answerOnce(deps, request, visit, params)
    return response.status < 400 ? response : ((await doneAlready(deps, visit, params)) ?? response)
  } catch (error) {
    const done = error instanceof PageError ? await doneAlready(deps, visit, params) : undefined
    if (!done) throw error
    return done
  }
}

/** Where the way just led that a form belongs to, with the cookie of the sign-up that it ended in. */
async function doneAlready(deps: Deps, visit: Visit, { id = '' }: PathParams): Promise<Response | undefined> {
  const uuid = uuidFromUlid(id)
  const since = addSeconds(deps.clock.now(), -TWICE)
  const [way] =
    uuid === undefined ? [] : await findJustConsumedSession(deps.sql, uuid, browserHash(visit.browser), since)
  if (!way) return undefined
  const signUp = { id: way.id, upstream_session_id: way.id, username: way.username }
  const cookies = cookiesAgain(deps, visit, signUp, way.consumed_at)
  const { path } = storedContinuation(way.continuation)
  return redirect(deps.urls.path(path), [...visit.browser.cookies, ...cookies])
}

/** `action=link` for who is signed in, `action=register` for who is not. */
async function answerOnce(deps: Deps, request: Request, visit: Visit, params: PathParams): Promise<Response> {
  const arrival = await openArrival(deps, visit, params.id ?? '')
  const refused = refusal(deps, arrival)
  if (refused) return refused
  const { form, own } = await readOwnForm(deps, arrival.visit)
  const session = activeSession(arrival.visit)
  if (arrival.link.user_id !== null) return show(deps, request, params)
  if (!session)
    return form.action === 'register' ? register(deps, arrival, form, own) : showRegister(deps, arrival)
  if (!own) return suggestPage(deps, arrival, session, { expired: true })
  if (form.action !== 'link' || !isFresh(deps, session))
    return suggestPage(deps, arrival, session, { status: 422 })
  const { provider } = arrival
  const linked = await linkThrough(deps, arrival.visit, arrival.way.id, session, providerName(provider))
  if (!linked) throw new PageError('upstream_gone', 409)
  await syncPerson(deps, arrival, session.user_id)
  return goOn(deps, arrival, [])
}

const personOf = (deps: Deps, session: BrowserSessionRow) => {
  const { mxid, display_name } = summary(deps, session)
  return { mxid, ...(display_name !== undefined && { display_name }) }
}

const suggestPage = (
  deps: Deps,
  arrival: Arrival,
  session: BrowserSessionRow,
  options: PageOptions = {},
): Response =>
  page(
    deps,
    arrival.visit,
    'upstream_suggest',
    {
      link_id: ulidFromUuid(arrival.link.id),
      identity: identityOf(arrival),
      user: personOf(deps, session),
      stale: !isFresh(deps, session),
    },
    { ...options, formAction: arrival.flow.formAction },
  )

const mismatchPage = (deps: Deps, arrival: Arrival, session: BrowserSessionRow): Response =>
  page(
    deps,
    arrival.visit,
    'upstream_mismatch',
    {
      link_id: ulidFromUuid(arrival.link.id),
      identity: identityOf(arrival),
      user: personOf(deps, session),
      continuation: arrival.continuation.text,
    },
    { status: 409, formAction: arrival.flow.formAction },
  )

export const upstreamLinkRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/upstream/link/{id}', handle: (request, params) => show(deps, request, params) },
  { method: 'POST', path: '/upstream/link/{id}', handle: (request, params) => answer(deps, request, params) },
]

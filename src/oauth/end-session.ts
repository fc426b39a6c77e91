import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import { countAppsOf } from '../../sql/logout.ts'
import type { Deps } from '../deps.ts'
import { leftCookie, noSessionCookie } from '../http/browser.ts'
import { OAuthError, PageError } from '../http/errors.ts'
import { formActionSource } from '../http/headers.ts'
import { type Params, readForm, readQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { type ProviderLogout, providerLogout } from '../identity/provider-logout.ts'
import { endSession, endSessionFor } from '../identity/sessions.ts'
import { inLanguage, languageFor, openVisit, page, readOwnForm, type Visit } from '../identity/visit.ts'
import { clientSummary, hostOf } from './grant-context.ts'
import { sessionIdFor } from './id-token.ts'
import { LOGOUT_PARAMETERS, type LogoutRequest, readLogoutRequest } from './logout-request.ts'
import { isLoopback } from './redirect-uri.ts'

/**
 * GET /end-session (OpenID Connect RP-Initiated Logout 1.0). A client that proves with an ID token of this very browser
 * session that the person signed out there is believed at once, unless it names an address that it did not register:
 * the page that asks says so. Everybody else could be anybody, so the person is asked; and where there is nobody to sign
 * out, no one is sent on without a click: clients register themselves, so their addresses are not ours to vouch for.
 */
async function endSessionRequest(deps: Deps, request: Request): Promise<Response> {
  const params = await readParams(request)
  const visit = await openLogoutVisit(deps, request, params)
  const logout = await readLogoutRequest(deps, params)
  const session = signedIn(visit)
  // HEAD only looks.
  const believed = isOfThisSession(visit, logout) && !logout.refused
  if (request.method === 'GET' && believed) return signOut(deps, visit, logout)
  if (session || logout.target !== undefined) return confirmPage(deps, visit, logout)
  return loggedOutPage(deps, visit)
}

/**
 * POST /end-session: goes on as GET. Our cookies do not come with a form of another site (SameSite=Lax), but they do
 * with the redirect that follows.
 */
async function endSessionForm(deps: Deps, request: Request): Promise<Response> {
  const params = await readParams(request)
  const query = new URLSearchParams()
  for (const name of LOGOUT_PARAMETERS) if (params[name] !== undefined) query.set(name, params[name])
  return redirect(`${deps.urls.path('/end-session')}?${query}`)
}

/** POST /end-session/confirm: the person agreed. A form that is not ours, or too old, is shown again. */
async function confirmEndSession(deps: Deps, request: Request): Promise<Response> {
  const opened = await openVisit(deps, request)
  const { form, own } = await readOwnForm(deps, opened)
  const params: Params = Object.create(null)
  for (const name of LOGOUT_PARAMETERS) if (form[name]) params[name] = form[name]
  const visit = inLanguage(opened, languageFor(deps, opened, params.ui_locales))
  const logout = await readLogoutRequest(deps, params)
  return own
    ? signOut(deps, visit, logout, { withApps: form.end_apps !== undefined })
    : confirmPage(deps, visit, logout, { expired: true, withApps: form.end_apps !== undefined })
}

async function readParams(request: Request): Promise<Params> {
  try {
    return request.method === 'POST' ? await readForm(request) : readQuery(request)
  } catch (error) {
    if (error instanceof OAuthError)
      throw new PageError('bad_request', error.status, { code: error.description, cause: error })
    throw error
  }
}

async function openLogoutVisit(deps: Deps, request: Request, params: Params): Promise<Visit> {
  const visit = await openVisit(deps, request)
  return inLanguage(visit, languageFor(deps, visit, params.ui_locales))
}

/** The session that there is to end: one that may not act can be left too. */
function signedIn({ session }: Visit): BrowserSessionRow | undefined {
  return ['active', 'locked', 'terms'].includes(session.state) && session.state !== 'none'
    ? session.session
    : undefined
}

/** Whether the hint was made in this browser session, even if that has ended since. */
function isOfThisSession({ session }: Visit, { client, sid }: LogoutRequest): boolean {
  if (session.state === 'none' || !client || sid === undefined) return false
  return sid === sessionIdFor(client.id, session.session.id)
}

/** Ends the session of this browser, at its provider too, and goes where the client asked for. */
async function signOut(
  deps: Deps,
  visit: Visit,
  logout: LogoutRequest,
  options: { withApps?: boolean } = {},
): Promise<Response> {
  const { session, browser } = visit
  let onward: ProviderLogout | undefined
  if (session.state !== 'none') {
    const { user_id: userId, id } = session.session
    if (logout.client && isOfThisSession(visit, logout))
      await endSessionFor(deps, userId, id, logout.client.id, options)
    else await endSession(deps, userId, id, options)
    onward = await providerLogout(deps, browser, id, logout.target)
  }
  if (onward || logout.target === undefined)
    return loggedOutPage(deps, visit, {
      appsEnded: options.withApps,
      onward,
      keepsOpener: logout.target !== undefined,
    })
  return redirect(logout.target, [
    ...visit.browser.cookies,
    noSessionCookie(deps.urls),
    leftCookie(deps.urls),
  ])
}

/** Asks whether to sign out; somebody who is signed out already is only asked whether to go on to the client. */
async function confirmPage(
  deps: Deps,
  visit: Visit,
  logout: LogoutRequest,
  { expired = false, withApps = false }: { expired?: boolean; withApps?: boolean } = {},
): Promise<Response> {
  const { client, target, refused, carried } = logout
  const session = signedIn(visit)
  const [row] = session ? await countAppsOf(deps.sql, session.id) : []
  return page(
    deps,
    visit,
    'end_session',
    {
      apps: row?.apps ?? 0,
      with_apps: withApps,
      signed_in: session !== undefined,
      ...(session && { mxid: deps.homeserver.mxid(session.username) }),
      ...(client && { client: clientSummary({ client_metadata: client.metadata }) }),
      ...(target !== undefined && { returns_to: describeTarget(target) }),
      return_refused: refused,
      carried,
    },
    {
      expired,
      formAction: target === undefined ? [] : [formActionSource(target)],
      // The app may have opened a window for it, which comes back to it.
      keepsOpener: target !== undefined,
      images: [client?.metadata.logo_uri],
    },
  )
}

/** A loopback address is an app on this device too. */
function describeTarget(target: string): { kind: 'web'; host: string } | { kind: 'app' } {
  const host = hostOf(target)
  return host === undefined || isLoopback(new URL(target)) ? { kind: 'app' } : { kind: 'web', host }
}

/**
 * The page for somebody who is signed out now; the cookie goes too. `onward`: it leads to the sign-out of the provider, and
 * not by a redirect: browsers follow a form only to where its page says that it may lead, and the form may be an app's.
 * `keepsOpener`: an app waits behind that, maybe with a window that it opened.
 */
export function loggedOutPage(
  deps: Deps,
  visit: Visit,
  {
    appsEnded = false,
    onward,
    keepsOpener = false,
  }: {
    appsEnded?: boolean | undefined
    onward?: ProviderLogout | undefined
    keepsOpener?: boolean
  } = {},
): Response {
  const signedOut = {
    ...visit,
    session: { state: 'none' } as const,
    browser: { ...visit.browser, sessionSecret: undefined },
  }
  return page(
    deps,
    signedOut,
    'logged_out',
    { continuation: '', apps_ended: appsEnded, ...(onward && { provider: onward }) },
    { cookies: [noSessionCookie(deps.urls), leftCookie(deps.urls)], keepsOpener, onward: onward?.url },
  )
}

export const endSessionRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/end-session', handle: (request) => endSessionRequest(deps, request) },
  { method: 'POST', path: '/end-session', handle: (request) => endSessionForm(deps, request) },
  { method: 'POST', path: '/end-session/confirm', handle: (request) => confirmEndSession(deps, request) },
]

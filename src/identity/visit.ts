import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import type { Deps } from '../deps.ts'
import { type Browser, readBrowser } from '../http/browser.ts'
import { csrfToken, isOwnForm } from '../http/csrf.ts'
import { chosenLanguage, languageOf, type PageOptions, pageResponse } from '../http/page-response.ts'
import { type Params, readFileForm, readPageForm } from '../http/params.ts'
import { type Requester, requesterOf } from '../http/requester.ts'
import { isForApp, wayBack } from '../http/way-back.ts'
import { noteWho } from '../lib/current-request.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import type { Contexts, PageName, SessionSummary } from '../render/contexts.ts'
import { loadSession, type SessionState } from './sessions.ts'

/** One visit of a person to a page: the browser, where it is, its language, its session. */
export interface Visit {
  request: Request
  browser: Browser
  requester: Requester
  lang: string
  /** Somebody chose the language, for the account or in this browser: what apps ask for does not change it. */
  languageChosen: boolean
  session: SessionState
}

/** Begins a visit: reads the cookies and looks up the session. */
export async function openVisit(deps: Deps, request: Request): Promise<Visit> {
  const browser = readBrowser(deps.urls, deps.random, request)
  const requester = requesterOf(deps, request)
  const session = await loadSession(deps, browser, requester)
  if (session.state !== 'none') noteWho(`user ${ulidFromUuid(session.session.user_id)}`)
  const own = session.state === 'none' ? undefined : session.session.locale
  const chosen = deps.translate.languages.find((tag) => tag === own) ?? chosenLanguage(deps, request)
  const lang = chosen ?? languageOf(deps, request)
  const visit = { request, browser, requester, lang, languageChosen: chosen !== undefined, session }
  return inLanguage(visit, lang)
}

/** A visit whose pages are in a language, and with them the mails about what is done there (an account's own goes before). */
export const inLanguage = (visit: Visit, lang: string): Visit => ({
  ...visit,
  lang,
  requester: { ...visit.requester, acceptLanguage: lang },
})

/** The language of a visit on the way to an app that asks for some (`ui_locales`). */
export const languageFor = (deps: Deps, visit: Visit, uiLocales: string | undefined): string =>
  visit.languageChosen ? visit.lang : languageOf(deps, visit.request, uiLocales)

/** The session of a visit if it may act, else undefined. */
export const activeSession = (visit: Visit): BrowserSessionRow | undefined =>
  visit.session.state === 'active' ? visit.session.session : undefined

/** Renders a page for a visit, with its cookies, its CSRF token and who is signed in. */
export function page<P extends PageName>(
  deps: Deps,
  visit: Visit,
  name: P,
  context: Contexts[P],
  options: PageOptions = {},
): Response {
  const session = activeSession(visit)
  return pageResponse(deps, visit.lang, csrfToken(deps.secrets.csrf, visit.browser), name, context, {
    ...options,
    keepsOpener: options.keepsOpener || isForApp(visit.request),
    cookies: [...visit.browser.cookies, ...(options.cookies ?? [])],
    session: session && summary(deps, session),
    back: wayBack(deps, visit.request),
    timeZone: session?.time_zone ?? undefined,
  })
}

/** What pages say about who is signed in. */
export const summary = (
  deps: Pick<Deps, 'homeserver'>,
  session: { username: string; display_name: string | null },
): SessionSummary => ({
  username: session.username,
  mxid: deps.homeserver.mxid(session.username),
  ...(session.display_name !== null && { display_name: session.display_name }),
})

/** A form of a page, and whether it is one of ours: a stale one is shown again with what was typed, never acted on. */
export async function readOwnForm(deps: Deps, visit: Visit): Promise<{ form: Params; own: boolean }> {
  const form = await readPageForm(visit.request)
  return { form, own: await isOwn(deps, visit, form) }
}

/** The same of a form with a file, which is undefined where none was chosen. */
export async function readOwnFileForm(
  deps: Deps,
  visit: Visit,
  limit: number,
): Promise<{ file: Uint8Array<ArrayBuffer> | undefined; own: boolean }> {
  const { form, file } = await readFileForm(visit.request, limit)
  return { file, own: await isOwn(deps, visit, form) }
}

const isOwn = async (deps: Deps, visit: Visit, form: Params): Promise<boolean> =>
  isOwnForm(deps.secrets.csrf, visit.browser, visit.request, form.csrf) && (await stillStands(deps, visit))

/**
 * Whether the session of a visit may act now as it could when the visit began. Whoever sends a form decides how long that
 * takes: one that was begun before all sessions were ended must not be finished afterwards.
 */
async function stillStands(deps: Deps, { session, browser, requester }: Visit): Promise<boolean> {
  if (session.state !== 'active' && session.state !== 'terms') return true
  const now = await loadSession(deps, browser, requester)
  return now.state === session.state && now.session.is_admin === session.session.is_admin
}

import type { BrowserSessionRow } from '../../sql/browser-sessions.ts'
import type { Deps } from '../deps.ts'
import { readCookie, writeCookie } from '../http/cookies.ts'
import type { PageOptions } from '../http/page-response.ts'
import { readPageQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import { type Continuation, readContinuation, withContinuation } from '../identity/continuation.ts'
import { isFresh } from '../identity/reauthentication.ts'
import { activeSession, openVisit, page, type Visit } from '../identity/visit.ts'
import type { Contexts, PageName } from '../render/contexts.ts'
import type { AccountArea, AccountSectionKey } from '../render/contexts-account.ts'
import { accountSections } from './sections.ts'

/** Seconds that a message waits for the page that shows it. */
const FLASH_LIFETIME = 60

/** A visit to the account area by somebody who is signed in. */
export interface Opened {
  visit: Visit
  session: BrowserSessionRow
}

/**
 * A visit with a session, or the way to one: sign-in comes back to the same place. A POST whose page has another address
 * than its own says which in `back`, a path after `/account/`.
 */
export async function openAccount(deps: Deps, request: Request, back?: string): Promise<Response | Opened> {
  const visit = await openVisit(deps, request)
  const session = activeSession(visit)
  if (session) return { visit, session }
  const way = withContinuation('/login', hereOf(deps, request, back))
  const hint = readPageQuery(request)['org.matrix.msc4198.login_hint']
  const query = hint === undefined ? '' : `&login_hint=${encodeURIComponent(hint)}`
  return redirect(deps.urls.path(way + query), visit.browser.cookies)
}

/**
 * A visit of somebody who proved less than ten minutes ago who they are, or the way to the page that asks: for whatever
 * a stranger at an open screen must not do. `back` as for `openAccount`.
 */
export async function openFresh(deps: Deps, request: Request, back?: string): Promise<Response | Opened> {
  const opened = await openAccount(deps, request, back)
  if (opened instanceof Response || isFresh(deps, opened.session)) return opened
  return redirect(
    deps.urls.path(withContinuation('/account/confirm', hereOf(deps, request, back))),
    opened.visit.browser.cookies,
  )
}

/** The continuation to a page of the account area; `path` goes on after `/account/`. */
export const accountContinuation = (path: string): Continuation =>
  readContinuation({ kind: 'manage_account', page: path })

/** Where a request is in the account area: a page, or the start with the action of a deep link. */
function hereOf({ urls }: Pick<Deps, 'urls'>, request: Request, back?: string): Continuation {
  if (back !== undefined) return accountContinuation(back)
  const { pathname } = new URL(request.url)
  // A proxy may have taken the prefix away, or not, or the listener has another one (decision 4).
  const route = pathname.startsWith(`${urls.prefix}/account/`) ? pathname.slice(urls.prefix.length) : pathname
  const path = route.slice(route.indexOf('/account/') + '/account/'.length)
  if (path !== '') return accountContinuation(path)
  const { action, device_id } = readPageQuery(request)
  return readContinuation({
    kind: 'manage_account',
    ...(action !== undefined && { action }),
    ...(device_id !== undefined && { device_id }),
  })
}

/** A page of the account area: with its navigation, and with the message of what was just done, once. */
export function accountPage<P extends AccountPageName>(
  deps: Deps,
  { visit }: Opened,
  section: AccountSectionKey,
  name: P,
  context: Omit<Contexts[P], keyof AccountArea>,
  options: PageOptions = {},
): Response {
  const flash = readFlash(deps, visit)
  const area: AccountArea = { sections: accountSections(deps.config), section, ...(flash && { flash }) }
  const forget = flash ? [writeCookie(deps.urls, 'flash', '', 0)] : []
  return page(deps, visit, name, { ...context, ...area } as Contexts[P], {
    ...options,
    cookies: [...forget, ...(options.cookies ?? [])],
  })
}

/** The pages that have what the area gives. */
type AccountPageName = { [P in PageName]: Contexts[P] extends AccountArea ? P : never }[PageName]

/** A message for the next page: the text `account.flash.<code>`, with a number where it takes one. */
export interface Flash {
  code: string
  count?: number
}

/** Goes to a page of the account area (`path` after `/account/`), after a form; says there what was done. */
export const goTo = (
  deps: Pick<Deps, 'urls'>,
  { visit }: Pick<Opened, 'visit'>,
  path: string,
  flash?: Flash,
  cookies: string[] = [],
): Response =>
  redirect(deps.urls.path(`/account/${path}`), [
    ...visit.browser.cookies,
    ...(flash ? [writeCookie(deps.urls, 'flash', `${flash.code}.${flash.count ?? 0}`, FLASH_LIFETIME)] : []),
    ...cookies,
  ])

/** The message that waits. A cookie and not the query: a link cannot make the page say something that did not happen. */
function readFlash(deps: Pick<Deps, 'urls' | 'translate'>, visit: Visit): AccountArea['flash'] {
  const [, code = '', count = ''] =
    /^([a-z_]{1,40})\.(\d{1,6})$/.exec(readCookie(deps.urls, visit.request, 'flash') ?? '') ?? []
  if (!deps.translate.has(visit.lang, `account.flash.${code}`)) return undefined
  return { code, count: Number(count) }
}

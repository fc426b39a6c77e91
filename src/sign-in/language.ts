import { setLocale } from '../../sql/preferences.ts'
import type { Deps } from '../deps.ts'
import { languageCookie } from '../http/browser.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { activeSession, openVisit, readOwnForm } from '../identity/visit.ts'

/** POST /language: the selector in the footer. The choice is the browser's, and the account's of who is signed in. */
async function choose(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const { form, own } = await readOwnForm(deps, visit)
  const back = pageBefore(deps, request)
  const locale = deps.translate.languages.find((tag) => tag === form.locale)
  // Error pages set no cookies, so their form may have no token that fits; where it came from is enough here.
  const isOurs = own || request.headers.get('sec-fetch-site') === 'same-origin'
  if (!isOurs || locale === undefined) return redirect(back, visit.browser.cookies)
  const session = activeSession(visit)
  if (session) await setLocale(deps.sql, session.user_id, locale)
  return redirect(back, [...visit.browser.cookies, languageCookie(deps.urls, locale)])
}

/** Addresses that only a form leads to: what they show cannot be shown again. */
const ANSWERS = ['/logout', '/end-session/confirm']

/** The page that the form stood on, from the Referer: a path of ours, or the start. */
function pageBefore({ urls }: Pick<Deps, 'urls'>, request: Request): string {
  const referer = request.headers.get('referer') ?? ''
  const url = URL.canParse(referer) ? new URL(referer) : undefined
  const start = urls.path('/')
  const isOurs =
    url &&
    !ANSWERS.includes(url.pathname.slice(urls.prefix.length)) &&
    url.origin === new URL(urls.base).origin &&
    url.pathname.startsWith(start) &&
    !url.pathname.startsWith('//')
  return isOurs ? url.pathname + url.search : start
}

export const languageRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/language', handle: (request) => choose(deps, request) },
]

import type { Deps } from '../deps.ts'
import type { BaseContext, Contexts, PageName, SessionSummary, WayBack } from '../render/contexts.ts'
import { chooseLanguage, directionOf } from '../render/translate.ts'
import { brandingOf } from './branding.ts'
import { readBrowser } from './browser.ts'
import { readCookie } from './cookies.ts'
import { csrfToken } from './csrf.ts'
import { type PagePolicy, pageHeaders } from './headers.ts'
import { isForApp, wayBack } from './way-back.ts'

/** How a page goes out, besides its content. */
export interface PageOptions extends PagePolicy {
  status?: number
  /** Set-Cookie values. */
  cookies?: readonly string[]
  /** Seconds, becomes `Retry-After`. */
  retryAfter?: number | undefined
  referenceId?: string | undefined
  session?: SessionSummary | undefined
  /** The form of the page came with a token that is too old: status 422, and a sentence that says so. */
  expired?: boolean | undefined
  /**
   * Where the page leads on to at once by itself (a `Refresh` header), after a form: browsers follow a redirect of a form
   * only to where the page with the form said that it may lead.
   */
  onward?: string | undefined
  /** The app that the person came from, and how to get back there. */
  back?: WayBack | undefined
  /** The language of a page outside of a visit, where more is known than the request says. */
  lang?: string
  /** IANA name of the zone that times are shown in; UTC without one. */
  timeZone?: string | undefined
}

type Needs = Pick<Deps, 'config' | 'urls' | 'clock' | 'views' | 'translate' | 'assets' | 'homeserver'>

/** Renders a page in a language, with the headers that every page has. */
export function pageResponse<P extends PageName>(
  deps: Needs,
  lang: string,
  csrf: string,
  name: P,
  context: Contexts[P],
  options: PageOptions = {},
): Response {
  const { branding } = deps.config
  const html = deps.views.page(name, context, baseContext(deps, lang, csrf, options))
  const headers = pageHeaders(deps.urls, {
    ...(options.formAction !== undefined && { formAction: options.formAction }),
    ...(options.referrerPolicy !== undefined && { referrerPolicy: options.referrerPolicy }),
    images: [...(options.images ?? []), branding.logo_uri, branding.favicon_uri],
    ...(options.frames !== undefined && { frames: options.frames }),
    ...(options.thirdParty && { thirdParty: options.thirdParty }),
    ...(options.keepsOpener !== undefined && { keepsOpener: options.keepsOpener }),
  })
  headers.set('content-language', lang)
  for (const cookie of options.cookies ?? []) headers.append('set-cookie', cookie)
  if (options.retryAfter !== undefined) headers.set('retry-after', String(options.retryAfter))
  if (options.onward !== undefined) headers.set('refresh', `0; url=${options.onward}`)
  return new Response(html, { status: options.status ?? (options.expired ? 422 : 200), headers })
}

function baseContext(deps: Needs, lang: string, csrf: string, options: PageOptions): BaseContext {
  return {
    lang,
    dir: directionOf(lang),
    csrf,
    branding: brandingOf(deps.config),
    server_name: deps.homeserver.serverName,
    standalone: deps.homeserver.kind === 'standalone',
    base: `${deps.urls.prefix}/`,
    assets: (asset) => deps.assets.url(asset),
    languages: deps.translate.names,
    now: deps.clock.now().toISOString(),
    ...(options.timeZone !== undefined && { time_zone: options.timeZone }),
    ...(options.session && { session: options.session }),
    ...(options.back && { back: options.back }),
    ...(options.expired && { expired_form: true }),
    ...(options.referenceId !== undefined && { reference_id: options.referenceId }),
  }
}

/**
 * A page outside of a visit, which shows nobody as signed in: errors, and `form_post`. It looks nothing up, so it can
 * say that the database is away.
 */
export function plainPage<P extends PageName>(
  deps: Needs & Pick<Deps, 'random' | 'secrets'>,
  request: Request,
  name: P,
  context: Contexts[P],
  options: PageOptions = {},
): Response {
  const csrf = csrfToken(deps.secrets.csrf, readBrowser(deps.urls, deps.random, request))
  const back = options.back ?? wayBack(deps, request)
  return pageResponse(deps, options.lang ?? languageOf(deps, request), csrf, name, context, {
    ...options,
    keepsOpener: options.keepsOpener || isForApp(request),
    back,
  })
}

/**
 * The language of a request: the one chosen in the footer first, then `ui_locales` of the authorization request, then
 * the browser's. What an account says goes before all of them: `identity/visit.ts`.
 */
export const languageOf = (
  deps: Pick<Deps, 'translate' | 'urls'>,
  request: Request,
  uiLocales?: string,
): string =>
  chosenLanguage(deps, request) ??
  chooseLanguage(request.headers.get('accept-language'), deps.translate.languages, uiLocales)

/** The language that was chosen in the footer of a page in this browser. */
export function chosenLanguage(
  { translate, urls }: Pick<Deps, 'translate' | 'urls'>,
  request: Request,
): string | undefined {
  const chosen = readCookie(urls, request, 'language')
  return translate.languages.find((tag) => tag === chosen)
}

import type { Deps } from '../deps.ts'
import type { WayBack } from '../render/contexts.ts'
import { answerAddress, answerPairs } from './answer-address.ts'
import type { OAuthCode, RedirectTarget } from './errors.ts'

/** The app that a request belongs to, as far as we keep it ourselves: nothing here was read from the address. */
export interface AskingApp {
  name: string
  /** Where it waits for the answer; absent when it has got one. */
  target?: RedirectTarget
  /** Its own page. */
  site?: string
}

const apps = new WeakMap<Request, AskingApp>()

/** Notes the app that a request is on the way to, for pages that stop the person before they get there. */
export const noteApp = (request: Request, app: AskingApp): void => {
  apps.set(request, app)
}

/**
 * Whether a request is on the way to an app. Apps may have opened a window for it, and wait there for it to come back to
 * them: a page that parts the two would let them wait for ever.
 */
export const isForApp = (request: Request): boolean => apps.has(request)

/**
 * The way back to the app of a request: the answer `code` where it still waits for one (RFC 6749 section 4.1.2.1, RFC 9207),
 * else its own page; undefined without either. A link, so an answer that only a form could bring (`form_post`) is none.
 */
export function wayBack(
  { urls }: Pick<Deps, 'urls'>,
  request: Request,
  code: OAuthCode = 'access_denied',
): WayBack | undefined {
  const app = apps.get(request)
  if (!app) return undefined
  const { name, target, site } = app
  if (target && target.responseMode !== 'form_post') {
    const result = { error: code, error_description: 'The person went back to the app.' }
    return { name, url: answerAddress(target, answerPairs(urls, target, result)) }
  }
  return site === undefined ? undefined : { name, url: site }
}

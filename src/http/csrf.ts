import { base64url } from '../lib/base64url.ts'
import { equalSecrets, hmacSha256 } from '../lib/digest.ts'
import type { Browser } from './browser.ts'

/**
 * The CSRF token of a page: an HMAC over the browser's own cookie and its session, so that it changes at every
 * sign-in and sign-out and cannot be made by a neighbour domain.
 */
export const csrfToken = (key: Uint8Array, browser: Browser): string =>
  base64url(hmacSha256(key, `${browser.id}\n${browser.sessionSecret ?? ''}`))

/**
 * Whether a form came from one of our pages in this browser (decision 2): the token must match, and the browser must
 * not say that another site sent it. A null Origin passes with a valid token.
 */
export function isOwnForm(
  key: Uint8Array,
  browser: Browser,
  request: Request,
  token: string | undefined,
): boolean {
  if (request.headers.get('sec-fetch-site') === 'cross-site') return false
  return token !== undefined && equalSecrets(token, csrfToken(key, browser))
}

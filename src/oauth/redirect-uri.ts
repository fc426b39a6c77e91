/** Names of the person's own machine (RFC 8252 section 7.3). */
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Whether a URL leads back to the machine of the person (RFC 8252 section 7.3). */
export const isLoopback = (url: URL): boolean => url.protocol === 'http:' && LOOPBACK.has(url.hostname)

/**
 * Whether a redirect URI is one of the registered ones: equal in WHATWG-normal form, or a loopback one that was
 * registered without a port and is asked for with any (RFC 8252 section 7.3). The loopback names are not
 * interchangeable (reference 3.7).
 */
export function isRegistered(registered: readonly string[], requested: string): boolean {
  const url = parse(requested)
  if (!url) return false
  const wanted = [url.href]
  if (LOOPBACK.has(url.hostname)) {
    url.port = ''
    wanted.push(url.href)
  }
  return registered.some((uri) => wanted.includes(parse(uri)?.href ?? ''))
}

/**
 * Whether the query of a redirect URI is the form that an answer is added to (reference 3.2): one that is not UTF-8 under
 * its percent signs is read by every server in another way, or by none.
 */
export function hasReadableQuery(uri: string): boolean {
  try {
    decodeURIComponent(parse(uri)?.search ?? '')
    return true
  } catch {
    return false
  }
}

const parse = (text: string): URL | undefined => (URL.canParse(text) ? new URL(text) : undefined)

/**
 * Whether nobody but the client itself can receive what is sent to a redirect URI: https on the host that the
 * `client_uri` names, or below it. A consent may be remembered only then (decision 10).
 */
export function isProvenRedirect(redirectUri: string, clientUri: string | undefined): boolean {
  const url = parse(redirectUri)
  const home = clientUri === undefined ? undefined : parse(clientUri)
  if (url?.protocol !== 'https:' || home?.protocol !== 'https:') return false
  return url.hostname === home.hostname || url.hostname.endsWith(`.${home.hostname}`)
}

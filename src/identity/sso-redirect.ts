/** Characters of an address that a client may be sent back to. */
const LONGEST = 4096

/**
 * Schemes that name no app of their own, but run or show something in the browser or hand over to anything else; among
 * them those with which other browsers open any site that follows: the page would call that "an app on this device".
 */
const UNSAFE = new Set([
  'about:',
  'blob:',
  'android-app:',
  'chrome:',
  'content:',
  'data:',
  'file:',
  'filesystem:',
  'ftp:',
  'intent:',
  'javascript:',
  'brave:',
  'edge:',
  'firefox:',
  'firefox-focus:',
  'googlechrome:',
  'googlechromes:',
  'microsoft-edge:',
  'microsoft-edge-http:',
  'microsoft-edge-https:',
  'opera-http:',
  'opera-https:',
  'touch-http:',
  'touch-https:',
  'vivaldi:',
  'x-safari-http:',
  'x-safari-https:',
  'jar:',
  'mailto:',
  'resource:',
  'sms:',
  'tel:',
  'vbscript:',
  'view-source:',
  'ws:',
  'wss:',
])

/**
 * Where a legacy client wants the person sent back to after SSO, as the browser will understand it; undefined when it
 * is no absolute address, names a user, or has a scheme that no app has. Any other is good: these clients are not
 * registered, and the page that names the address is what protects people (edge 44).
 */
export function parseSsoRedirect(text: string | undefined): URL | undefined {
  if (text === undefined || text.length > LONGEST || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (UNSAFE.has(url.protocol) || url.username !== '' || url.password !== '') return undefined
  return url
}

/**
 * Where a login leads, as pages name it: the host of a site, or the scheme of an app on this device. Without encryption
 * whoever listens on the way can take the token: then it is no more "that site", and its name says so.
 */
export function ssoTarget(redirectUri: string): { target: string; kind: 'web' | 'app' } {
  const { protocol, host } = new URL(redirectUri)
  if (protocol === 'https:') return { target: host, kind: 'web' }
  if (protocol === 'http:') return { target: `http://${host}`, kind: 'web' }
  return { target: protocol.slice(0, -1), kind: 'app' }
}

/** The address of a client with the login token added to its query; the rest keeps its spelling. */
export function withLoginToken(redirectUri: string, token: string): string {
  const url = new URL(redirectUri)
  // One that was there already would be read in place of ours.
  if (url.searchParams.has('loginToken')) url.searchParams.delete('loginToken')
  url.search = `${url.search}${url.search === '' ? '?' : '&'}loginToken=${token}`
  return url.href
}

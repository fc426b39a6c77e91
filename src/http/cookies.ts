import type { Urls } from './urls.ts'

/**
 * Cookies (decision 3): `__Host-` on https at the root, `__Secure-` with a Path below a prefix, plain on http. The
 * header is read and written here and nowhere else.
 */
export type CookieName = 'session' | 'browser' | 'language' | 'flash' | 'known' | 'notice' | 'left'

const fullName = (urls: Urls, name: CookieName): string =>
  urls.secure ? (urls.prefix === '' ? `__Host-${name}` : `__Secure-${name}`) : name

/** The value of a cookie; undefined when it is not sent, or is sent twice with different values. */
export function readCookie(urls: Urls, request: Request, name: CookieName): string | undefined {
  const wanted = fullName(urls, name)
  let found: string | undefined
  for (const pair of (request.headers.get('cookie') ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || pair.slice(0, at).trim() !== wanted) continue
    const value = pair.slice(at + 1).trim()
    if (found !== undefined && found !== value) return undefined
    found = value
  }
  return found
}

/** A Set-Cookie value. `maxAge` in seconds; 0 removes the cookie. */
export function writeCookie(urls: Urls, name: CookieName, value: string, maxAge: number): string {
  const path = urls.prefix === '' ? '/' : urls.prefix
  const secure = urls.secure ? '; Secure' : ''
  return `${fullName(urls, name)}=${value}; Path=${path}; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure}`
}

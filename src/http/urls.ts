/** Where this deployment lives. Addresses come from the configuration alone, never from the Host header. */
export interface Urls {
  /** `http.public_base`, ends with a slash. */
  base: string
  /** `http.issuer`. */
  issuer: string
  /** Path of the base without its last slash: `''` or `/auth`. */
  prefix: string
  /** The base is https: cookies are Secure, HSTS is sent. */
  secure: boolean
  /** The absolute URL of a route such as `/login`. */
  absolute(route: string): string
  /** The path of a route such as `/login`, below the prefix. */
  path(route: string): string
}

/** The addresses of a deployment. */
export function createUrls(http: { public_base: string; issuer: string }): Urls {
  const base = new URL(http.public_base)
  const prefix = base.pathname.replace(/\/+$/, '')
  return {
    base: base.href,
    issuer: http.issuer,
    prefix,
    secure: base.protocol === 'https:',
    absolute: (route) => `${base.origin}${prefix}${route}`,
    path: (route) => `${prefix}${route}`,
  }
}

/**
 * Whether a request was sent to the name of `public_base`, to `localhost` or to an address. A page elsewhere whose name
 * leads to this machine (DNS rebinding) sends its own, and its browser lets it read and fill in our forms.
 */
export function isOwnName(urls: Pick<Urls, 'base'>, request: Request): boolean {
  const { hostname } = new URL(request.url)
  return hostname === new URL(urls.base).hostname || hostname === 'localhost' || /^[\d.]+$|^\[/.test(hostname)
}

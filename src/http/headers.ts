import type { Urls } from './urls.ts'

/** Hosts that a CSP source can name. WHATWG's may hold `;` and `,`, which would begin another directive or policy. */
const NAMEABLE = /^[a-z0-9._-]+$/

/**
 * The source that CSP `form-action` needs for a redirect URI (decision 1): browsers check the whole redirect chain
 * after a form. CSP cannot name IPv6 literals or private-scheme hosts, so there the scheme stands alone.
 */
export function formActionSource(redirectUri: string): string {
  const url = new URL(redirectUri)
  const web = url.protocol === 'https:' || url.protocol === 'http:'
  return web && NAMEABLE.test(url.hostname) ? url.origin : url.protocol
}

/** What a page loads from a service of others. */
export interface ThirdParty {
  script: string[]
  frame: string[]
  style?: string[]
  connect?: string[]
}

/** What a page needs beyond itself. */
export interface PagePolicy {
  /** Only the page with the check against robots has one (decision 5). */
  thirdParty?: ThirdParty
  /** Sources of `form-action` besides `'self'`; `false` leaves the directive out (the `form_post` page). */
  formAction?: string[] | false
  /** Pictures that the page shows from elsewhere: logos of the client and of the operator. */
  images?: (string | undefined)[]
  /** `no-referrer` for a page whose address holds a secret (decision 2). */
  referrerPolicy?: 'same-origin' | 'no-referrer'
  /** Pages that this one shows in a frame. */
  frames?: string[]
  /** An app of another origin opened the page and waits for its message: the two must stay connected. */
  keepsOpener?: boolean
}

const directive = (name: string, others: readonly string[] = []): string =>
  [name, "'self'", ...others].join(' ')

/** The headers of an HTML page. */
export function pageHeaders(
  urls: Urls,
  {
    formAction = [],
    images = [],
    referrerPolicy = 'same-origin',
    keepsOpener = false,
    frames = [],
    thirdParty,
  }: PagePolicy = {},
): Headers {
  const pictures = images
    .filter((image) => image !== undefined)
    .map((image) => new URL(image))
    .filter((url) => url.protocol === 'https:' && NAMEABLE.test(url.hostname))
    .map((url) => url.origin)
  const policy = [
    "default-src 'none'",
    directive('script-src', thirdParty?.script),
    directive('style-src', thirdParty?.style),
    `img-src ${["'self'", ...new Set(pictures)].join(' ')}`,
    "font-src 'self'",
    directive('connect-src', thirdParty?.connect),
    "manifest-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]
  const framed = [...frames.map((frame) => new URL(frame).origin), ...(thirdParty?.frame ?? [])]
  if (framed.length > 0) policy.push(`frame-src ${framed.join(' ')}`)
  if (formAction !== false) policy.push(`form-action ${["'self'", ...formAction].join(' ')}`)
  const headers = new Headers({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': policy.join('; '),
    'referrer-policy': referrerPolicy,
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': keepsOpener ? 'unsafe-none' : 'same-origin-allow-popups',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  })
  if (urls.secure) headers.set('strict-transport-security', 'max-age=31536000')
  return headers
}

/** What a web client of another origin may send to an endpoint (reference 1.0). Never with credentials. */
export interface CorsRule {
  headers: string
}

/** Seconds that a preflight answer may be kept. */
const MAX_AGE = 3600

const COMMON = 'authorization, accept, accept-language, content-language, content-type'

/** Discovery documents. */
export const discoveryCors: CorsRule = { headers: COMMON }
/** OAuth endpoints and those of the Matrix API; `dpop` is a proof of RFC 9449. */
export const apiCors: CorsRule = { headers: `${COMMON}, x-requested-with, dpop` }

/** The admin API: scripts in a page may also send what makes a creation happen once. */
export const adminCors: CorsRule = { headers: `${COMMON}, x-requested-with, idempotency-key, dpop` }

/** The answer to a preflight request for an endpoint that has `methods`. */
export function preflight(rule: CorsRule, methods: string[]): Response {
  const headers = {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers': rule.headers,
    'access-control-max-age': String(MAX_AGE),
  }
  return new Response(null, { status: 204, headers })
}

/** Marks a response as readable from any origin, its WWW-Authenticate and Retry-After included. */
export function allowAnyOrigin(response: Response): Response {
  response.headers.set('access-control-allow-origin', '*')
  response.headers.set('access-control-expose-headers', 'retry-after, www-authenticate')
  return response
}

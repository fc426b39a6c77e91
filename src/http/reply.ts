/** Responses of every surface, in one place so that their cache headers are never forgotten. */

const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }

// Made once: a response copies Headers in half the time that a record takes, and introspection is the hot path.
const JSON_HEADERS = new Headers({ 'content-type': 'application/json', ...NO_STORE })

/** JSON that must not be kept: tokens, introspection, errors (RFC 6749 section 5.1). */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  const response = new Response(JSON.stringify(body), { status, headers: JSON_HEADERS })
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
  return response
}

/** JSON that anybody may keep for `maxAge` seconds: discovery, keys. */
export const publicJson = (body: unknown, maxAge: number): Response =>
  new Response(JSON.stringify(body), {
    headers: {
      'content-type': 'application/json',
      'cache-control': `public, max-age=${maxAge}, stale-while-revalidate=${maxAge}`,
    },
  })

/** A redirect that the browser follows with GET, whatever the request was (303). */
export function redirect(location: string, cookies: string[] = []): Response {
  const headers = new Headers({ location, ...NO_STORE })
  for (const cookie of cookies) headers.append('set-cookie', cookie)
  return new Response(null, { status: 303, headers })
}

/** An empty answer. */
export const empty = (status: number, headers: Record<string, string> = {}): Response =>
  new Response(null, { status, headers: { ...NO_STORE, ...headers } })

import { expect } from 'bun:test'
import type { App } from '../../src/app.ts'
import { surfaceOf } from '../../src/http/boundary.ts'
import { type FuzzedRequest, MARKUP } from './fuzz.ts'
import { CALLBACK, SIGNED_OUT } from './fuzz-site.ts'
import type { Harness } from './harness.ts'

/** Sends a request to the route of a path, whose segments it fills in. */
export function sendFuzzed(
  harness: Pick<Harness, 'origin'>,
  app: Pick<App, 'handle'>,
  path: string,
  { method, segment, query, headers, body }: FuzzedRequest,
): Promise<Response> {
  const filled = path.replace('{version}', 'v3')
  const address = filled.replace(/\{\w+\}/g, () => segment.slice(0, 2000) || 'x')
  const url = `${harness.origin}${address}${query === '' ? '' : `?${query}`}`
  return app.handle(new Request(url, { method, headers, ...(body !== undefined && { body }) }))
}

/** Whether an address may be named in an answer: ours, or one that a client registered. */
function mayGoTo({ origin }: Pick<Harness, 'origin'>, location: string): boolean {
  const url = new URL(location, origin)
  if (url.origin === origin) return !location.includes('\\') && !location.startsWith('//')
  return [CALLBACK, SIGNED_OUT].includes(url.origin + url.pathname)
}

/** What holds for every answer, whatever was sent: no 5xx, no markup, nobody led elsewhere, errors in the form of their surface. */
export async function checkAnswer(
  harness: Pick<Harness, 'origin'>,
  path: string,
  request: FuzzedRequest,
  response: Response,
): Promise<void> {
  const { status, headers } = response
  const text = await response.text()
  const type = headers.get('content-type') ?? ''
  expect(status).toBeLessThan(500)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('set-cookie') ?? '').not.toContain('injected')
  const location = headers.get('location')
  if (location !== null && status !== 201)
    expect([location, mayGoTo(harness, location)]).toEqual([location, true])
  for (const cookie of headers.getSetCookie()) expect(cookie).toMatch(/; HttpOnly/)
  if (type.startsWith('text/html')) {
    expect(MARKUP.exec(text)?.[0]).toBeUndefined()
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    if (status >= 400 && request.method !== 'HEAD') expect(text).toContain('<h1>')
  }
  if (status >= 400) checkError(path, request, status, type, text, headers)
}

/** An error has the form of its surface: JSON of OAuth, of Matrix or of the admin API, a page, a sentence. */
function checkError(
  path: string,
  { method }: FuzzedRequest,
  status: number,
  type: string,
  text: string,
  headers: Headers,
): void {
  const surface = surfaceOf(path)
  if (status === 405) expect(headers.get('allow')).toMatch(/^[A-Z, ]+$/)
  else expect(headers.get('cache-control')).toBe('no-store')
  if (status === 429 || status === 503) expect(headers.get('retry-after')).toMatch(/^\d+$/)
  if (method === 'HEAD') return
  if (surface === 'page') {
    // A page that asks by script is answered in its own form.
    expect(type).toMatch(/^(?:text\/html; charset=utf-8|application\/json|text\/plain; charset=utf-8)$/)
    return
  }
  if (surface === 'probe') return
  if (text === '') {
    expect([400, 401, 403]).toContain(status)
    return
  }
  expect(type).toBe('application/json')
  const body = JSON.parse(text) as Record<string, unknown>
  if (surface === 'matrix') {
    expect(body.errcode).toMatch(/^M_[A-Z_]+$/)
    expect(body.error).toBeString()
  } else if (Array.isArray(body.errors)) {
    for (const { title } of body.errors as { title: unknown }[]) expect(title).toBeString()
  } else {
    expect(body.error).toMatch(/^[a-z_]+$/)
    // RFC 6749 section 5.2.
    expect(body.error_description ?? 'x').toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  }
}

import { afterAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createApp, type Resource } from '../../src/app.ts'
import { surfaceOf } from '../../src/http/boundary.ts'
import { type FuzzedRequest, fuzzedRequests, MARKUP, parameterNames } from '../support/fuzz.ts'
import { CALLBACK, createSite, SIGNED_OUT } from '../support/fuzz-site.ts'
import { createHarness } from '../support/harness.ts'

/**
 * Every route of the table, with whatever somebody might send to it. A new route is tried without being named here.
 * `LATCHKEY_RUNS=1000 bun test test/app/fuzz.test.ts` is a long search, of so many requests for each route, and `LATCHKEY_SEED=…` repeats one that failed.
 */
const RESOURCES = [
  'discovery',
  'human',
  'oauth',
  'compat',
  'adminapi',
  'graphql',
  'assets',
  'health',
  'prometheus',
  'connection-info',
  'well-known',
].map((name) => ({ name }) as Resource)
// Here and not in `beforeAll`: the tests are made from the table.
const harness = await createHarness()
const app = createApp(harness.deps, { resources: RESOURCES })
const names = await parameterNames()

/** Requests altogether, if nothing else is asked for: the more routes there are, the fewer each gets. */
const REQUESTS = 3000
const { LATCHKEY_RUNS: runs, LATCHKEY_SEED: seed } = process.env
const RUNS = runs === undefined ? Math.max(12, Math.round(REQUESTS / app.routes.length)) : Number(runs)
const OPTIONS = { numRuns: RUNS, ...(seed !== undefined && { seed: Number(seed) }) }
const LIMIT = 180_000 + RUNS * 500

const site = await createSite(harness, app)
afterAll(() => harness.close())

const send = (path: string, { method, segment, query, headers, body }: FuzzedRequest): Promise<Response> => {
  const filled = path.replace('{version}', 'v3')
  const address = filled.replace(/\{\w+\}/g, () => segment.slice(0, 2000) || 'x')
  const url = `${harness.origin}${address}${query === '' ? '' : `?${query}`}`
  return app.handle(new Request(url, { method, headers, ...(body !== undefined && { body }) }))
}

/** Whether an address may be named in an answer: ours, or one that a client registered. */
function mayGoTo(location: string): boolean {
  const url = new URL(location, harness.origin)
  if (url.origin === harness.origin) return !location.includes('\\') && !location.startsWith('//')
  return [CALLBACK, SIGNED_OUT].includes(url.origin + url.pathname)
}

async function checkAnswer(path: string, request: FuzzedRequest, response: Response): Promise<void> {
  const { status, headers } = response
  const text = await response.text()
  const type = headers.get('content-type') ?? ''
  expect(status).toBeLessThan(500)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('set-cookie') ?? '').not.toContain('injected')
  const location = headers.get('location')
  if (location !== null && status !== 201) expect([location, mayGoTo(location)]).toEqual([location, true])
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

describe('whatever is sent, every route answers in the form of its surface, and nothing goes wrong inside', () => {
  for (const { method, path } of app.routes)
    test(
      `${method} ${path}`,
      async () => {
        const known = await site.knowledge(path)
        const requests = fuzzedRequests(method, {
          names: { own: names.of(path), all: names.all },
          ...known,
        })
        await fc.assert(
          fc.asyncProperty(requests, async (request) => {
            const before = harness.logged.length
            const response = await send(path, request)
            await checkAnswer(path, request, response)
            const errors = harness.logged.slice(before).filter(({ level }) => level === 'error')
            expect(errors.map(({ event, fields }) => `${event} ${fields.error}`)).toEqual([])
          }),
          OPTIONS,
        )
      },
      LIMIT,
    )
})

test('parameters are found where they are read', () => {
  expect(names.of('/oauth2/token')).toContain('grant_type')
  expect(names.of('/login')).toContain('username')
  for (const name of ['client_id', 'redirect_uri', 'code_verifier', 'csrf', 'login_hint', 'request_uri'])
    expect(names.all).toContain(name)
})

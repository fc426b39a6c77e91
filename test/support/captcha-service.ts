import type { Fetch } from '../../src/matrix/homeserver/homeserver.ts'

/** What the services of others say, in their own shapes, as their documentation shows them. */
const SHAPES: Record<string, (fields: object) => object> = {
  'www.recaptcha.net/recaptcha/api/siteverify': (fields) => ({
    challenge_ts: '2026-11-24T12:00:00Z',
    ...fields,
  }),
  'api.hcaptcha.com/siteverify': (fields) => ({
    challenge_ts: '2026-11-24T12:00:00.000000Z',
    credit: false,
    ...fields,
  }),
  'challenges.cloudflare.com/turnstile/v0/siteverify': (fields) => ({
    challenge_ts: '2026-11-24T12:00:00.000Z',
    'error-codes': [],
    action: 'sign-up',
    cdata: '',
    metadata: { interactive: true },
    ...fields,
  }),
}

/** A server on loopback that plays every service of others which tells people from robots. */
export interface CaptchaService {
  /** Sends what is meant for one of them here; everything else fails. */
  fetch: Fetch
  /** What was asked, in order. */
  asked: { service: string; fields: Record<string, string> }[]
  /** The body of each answer from now on, as it is; back to the usual ones with `undefined`. */
  say(body: string | undefined): void
  /** Answers nothing at all. */
  hang: boolean
  stop(): Promise<void>
}

/**
 * Starts it. An answer of a widget is a text that says what it is: `good` (once), or the error code that it provokes;
 * `elsewhere` was given on another page. `hostOf` is where the answers of a service are given, by its address.
 */
export function startCaptchaService({
  secret,
  hostOf,
}: {
  secret: string
  hostOf: (service: string) => string
}): CaptchaService {
  let fixed: string | undefined
  const used = new Set<string>()
  const judge = (service: string, fields: Record<string, string>): object => {
    const { response = '' } = fields
    const wrong = (code: string) => ({ success: false, 'error-codes': [code] })
    if (fields.secret !== secret) return wrong('invalid-input-secret')
    if (response.startsWith('elsewhere')) return { success: true, hostname: 'elsewhere.example.net' }
    if (!response.startsWith('good')) return wrong(response)
    if (used.has(response)) return wrong('timeout-or-duplicate')
    used.add(response)
    return { success: true, hostname: hostOf(service) }
  }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const service = new URL(request.url).pathname.slice(1)
      const fields = Object.fromEntries(new URLSearchParams(await request.text()))
      service_.asked.push({ service, fields })
      if (service_.hang) return new Promise<Response>(() => {})
      if (fixed !== undefined) return new Response(fixed, { status: fixed.startsWith('{') ? 200 : 502 })
      const shape = SHAPES[service]
      return shape ? Response.json(shape(judge(service, fields))) : new Response('', { status: 404 })
    },
  })
  const service_: CaptchaService = {
    asked: [],
    hang: false,
    say(body) {
      fixed = body
    },
    fetch: (input, init) => {
      const { host: of, pathname } = new URL(input instanceof Request ? input.url : input)
      if (!Object.hasOwn(SHAPES, `${of}${pathname}`))
        throw new Error(`Nothing else may be reached: ${of}${pathname}`)
      return fetch(`http://127.0.0.1:${server.port}/${of}${pathname}`, init)
    },
    stop: () => server.stop(true),
  }
  return service_
}

import packageFile from '../../../package.json' with { type: 'json' }
import { type CallOptions, type Fetch, HomeserverError, type MatrixSettings } from './homeserver.ts'

/** Milliseconds before a call is given up, unless the caller says otherwise. */
const DEFAULT_TIMEOUT_MS = 10_000

/** The largest answer that is read, in bytes. The longest real one lists the devices of a person, 300 bytes each. */
const MAX_ANSWER_BYTES = 1024 * 1024

/** An accepted answer of the homeserver. */
export interface Answer {
  status: number
  body: Record<string, unknown>
}

/** One request to the homeserver. */
export interface Call {
  /** What it is called in messages; it has no secret and nothing of the person in it. */
  name: string
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `matrix.endpoint`, each part encoded (`pathOf`). */
  path: string
  query?: Record<string, string>
  /** Sent as JSON; members that are undefined are left out. */
  body?: Record<string, unknown>
  /** The statuses that are a success. */
  accepted: readonly number[]
}

/** Calls the homeserver. @throws HomeserverError */
export type Caller = (call: Call, options?: CallOptions) => Promise<Answer>

/** What an operator has to look at when the homeserver refuses us; it differs between its APIs. */
export interface Hints {
  /** When the secret is not taken. */
  secret: string
  /** When the API is not there. */
  api: string
}

/**
 * The one way to the homeserver: a call with the shared secret, a deadline, no redirects, a bounded JSON answer.
 * Resolves when the status is an accepted one, else throws HomeserverError.
 */
export function createCaller(
  matrix: Pick<MatrixSettings, 'endpoint' | 'secret'>,
  { fetch, hints }: { fetch: Fetch; hints: Hints },
): Caller {
  const base = new URL(matrix.endpoint.endsWith('/') ? matrix.endpoint : `${matrix.endpoint}/`)
  const where = `${base.origin}${base.pathname}`

  return async function call({ name, method, path, query, body: sent, accepted }, options = {}) {
    const url = new URL(path, base)
    for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, value)
    const init: RequestInit = {
      method,
      redirect: 'manual',
      signal: limit(options),
      headers: {
        authorization: `Bearer ${matrix.secret}`,
        accept: 'application/json',
        'user-agent': `Latchkey/${packageFile.version}`,
        ...(sent && { 'content-type': 'application/json' }),
      },
      ...(sent && { body: JSON.stringify(sent) }),
    }

    let status: number
    let text: string | undefined
    try {
      const response = await fetch(url, init)
      status = response.status
      text = await readCapped(response)
    } catch (cause) {
      throw new HomeserverError('unreachable', `${name}: ${whyNoAnswer(cause)} (${where})`, { cause })
    }

    const body = status === 204 ? {} : parseObject(text)
    if (accepted.includes(status) && body) return { status, body }
    throw failure({ name, where, hints }, status, body)
  }
}

/** A path of encoded parts, each of which stays one part whatever is in it. */
export const pathOf = (...parts: string[]): string => parts.map(encodePart).join('/')

/** A part that is `.` or `..` would be resolved away: encoded dots too, so they cannot be sent. */
function encodePart(part: string): string {
  if (part === '' || part === '.' || part === '..')
    throw new HomeserverError('rejected', `nothing was sent: "${part}" cannot be a part of a path`, {
      status: 404,
    })
  return encodeURIComponent(part)
}

/** One deadline for several calls that make one step: the rest of the time is left to those that come later. */
export const sharedDeadline = (options: CallOptions = {}): CallOptions => ({ signal: limit(options) })

function limit({ signal, timeoutMs }: CallOptions): AbortSignal {
  if (signal && timeoutMs === undefined) return signal
  const deadline = AbortSignal.timeout(timeoutMs ?? DEFAULT_TIMEOUT_MS)
  return signal ? AbortSignal.any([signal, deadline]) : deadline
}

/** The text of an answer; undefined when it is longer than any real one. */
async function readCapped(response: Response): Promise<string | undefined> {
  if (!response.body) return ''
  const decoder = new TextDecoder()
  let text = ''
  let length = 0
  // Leaving the loop early cancels the stream, and with it the connection.
  for await (const chunk of response.body) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) return undefined
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

function parseObject(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function whyNoAnswer(cause: unknown): string {
  if (cause instanceof Error && cause.name === 'TimeoutError') return 'no answer in time'
  if (cause instanceof Error && cause.name === 'AbortError') return 'given up before the answer came'
  return 'could not be reached'
}

function failure(
  { name, where, hints }: { name: string; where: string; hints: Hints },
  status: number,
  body: Record<string, unknown> | undefined,
): HomeserverError {
  const errcode = typeof body?.errcode === 'string' ? body.errcode : undefined
  const reason = typeof body?.error === 'string' ? `: ${body.error.slice(0, 200)}` : ''
  const said = `${name}: ${status}${errcode ? ` ${errcode}` : ''}${reason} (${where})`
  const details = { status, errcode }
  if (status === 401 || status === 403) {
    return new HomeserverError('refused', `${said}; ${hints.secret}`, details)
  }
  if (status >= 300 && status < 400) {
    return new HomeserverError('refused', `${said}; matrix.endpoint answers with a redirect`, details)
  }
  // A 404 that is not about the user: the API is off there, or something else answers at this address.
  if (status === 404 && errcode !== 'M_NOT_FOUND') {
    return new HomeserverError('refused', `${said}; ${hints.api}`, details)
  }
  if (status >= 500 || status === 429 || !body) {
    return new HomeserverError(
      'unreachable',
      body ? said : `${said}; the answer is not a homeserver's`,
      details,
    )
  }
  if (status < 300) {
    return new HomeserverError('unreachable', `${said}; an unexpected success, so it may not be one`, details)
  }
  return new HomeserverError('rejected', said, details)
}

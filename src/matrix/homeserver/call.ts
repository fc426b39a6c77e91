import packageFile from '../../../package.json' with { type: 'json' }
import { type Clock, systemClock } from '../../lib/clock.ts'
import { sleep } from '../../lib/waiting.ts'
import type { Log } from '../../telemetry/log.ts'
import { homeserverCircuit } from './circuit.ts'
import { type CallOptions, type Fetch, HomeserverError, type MatrixSettings } from './homeserver.ts'

/** Milliseconds before a call is given up, unless the caller says otherwise. */
const DEFAULT_TIMEOUT_MS = 10_000

/** Milliseconds for a call that is `optional`: a page waits for it. */
const OPTIONAL_TIMEOUT_MS = 1_000

/** Milliseconds before the second and the third try of a call that found no connection. */
const PAUSES_MS = [50, 250]

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

/** What calls are made with. */
export interface Tools {
  fetch: Fetch
  /** For the circuit; the machine's clock if not given. */
  clock?: Clock
  log?: Pick<Log, 'warn' | 'info'>
  /** Told when the homeserver answers after it was taken to be away. */
  onBack?: () => void
}

/**
 * The one way to the homeserver: a call with the shared secret, a deadline, no redirects, a bounded JSON answer.
 * Resolves when the status is an accepted one, else throws HomeserverError. A call that finds no connection is made
 * up to twice more within its deadline (Synapse restarts, a connection that was kept is gone): all of them may be
 * repeated. While the homeserver is away, calls fail at once (`circuit.ts`); those that are `optional` have a circuit
 * of their own, since their short deadline says less.
 */
export function createCaller(
  matrix: Pick<MatrixSettings, 'endpoint' | 'secret'>,
  { fetch, clock = systemClock, log, onBack, hints }: Tools & { hints: Hints },
): Caller {
  const needed = homeserverCircuit({ clock, log, onBack })
  const optional = homeserverCircuit({ clock })
  const base = new URL(matrix.endpoint.endsWith('/') ? matrix.endpoint : `${matrix.endpoint}/`)
  const where = `${base.origin}${base.pathname}`

  return (call, options = {}) => (options.optional ? optional : needed).run(() => send(call, options))

  async function send(call: Call, options: CallOptions): Promise<Answer> {
    const { name, method, path, query, body: sent, accepted } = call
    const url = new URL(path, base)
    for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, value)
    const signal = limit(options)
    const init: RequestInit = {
      method,
      redirect: 'manual',
      signal,
      headers: {
        authorization: `Bearer ${matrix.secret}`,
        accept: 'application/json',
        'user-agent': `Latchkey/${packageFile.version}`,
        ...(sent && { 'content-type': 'application/json' }),
      },
      ...(sent && { body: JSON.stringify(sent) }),
    }

    const pauses = options.optional ? [] : PAUSES_MS
    const { status, text } = await connecting(pauses, signal, async () => {
      const response = await fetch(url, init)
      return { status: response.status, text: await readCapped(response) }
    }).catch((cause: unknown) => {
      throw new HomeserverError('unreachable', `${name}: ${whyNoAnswer(cause)} (${where})`, { cause })
    })

    const body = status === 204 ? {} : parseObject(text)
    if (accepted.includes(status) && body) return { status, body }
    throw failure({ name, where, hints }, status, body)
  }
}

/** Tries again after each pause, until the signal gives up. */
async function connecting<T>(
  pauses: readonly number[],
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  for (const pause of pauses) {
    try {
      return await attempt()
    } catch (error) {
      if (signal.aborted) throw error
    }
    await sleep(pause)
    signal.throwIfAborted()
  }
  return attempt()
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
export const sharedDeadline = (options: CallOptions = {}): CallOptions => ({
  ...options,
  signal: limit(options),
})

function limit({ signal, timeoutMs, optional }: CallOptions): AbortSignal {
  const deadline = AbortSignal.timeout(timeoutMs ?? (optional ? OPTIONAL_TIMEOUT_MS : DEFAULT_TIMEOUT_MS))
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

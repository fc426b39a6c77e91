import packageFile from '../../../package.json' with { type: 'json' }
import { type CallOptions, type Fetch, HomeserverError, type MatrixSettings } from './homeserver.ts'

/** Milliseconds before a call is given up, unless the caller says otherwise. */
const DEFAULT_TIMEOUT_MS = 10_000

/** The largest answer that is read, in bytes. The real ones are under 1 kB. */
const MAX_ANSWER_BYTES = 64 * 1024

/** An accepted answer of the homeserver. */
export interface Answer {
  status: number
  body: Record<string, unknown>
}

/**
 * The one way to Synapse's `/_synapse/mas` API: a call with the shared secret, a deadline, no redirects, a bounded
 * JSON answer. GET parameters go into the query, POST ones into a JSON body (members that are undefined are left
 * out). Resolves when the status is one of `accepted`, else throws HomeserverError.
 */
export function createCaller(
  matrix: Pick<MatrixSettings, 'endpoint' | 'secret'>,
  { fetch }: { fetch: Fetch },
) {
  const base = new URL(matrix.endpoint.endsWith('/') ? matrix.endpoint : `${matrix.endpoint}/`)
  const where = `${base.origin}${base.pathname}`

  return async function call(
    method: 'GET' | 'POST',
    name: string,
    parameters: Record<string, unknown>,
    accepted: readonly number[],
    options: CallOptions = {},
  ): Promise<Answer> {
    const url = new URL(`_synapse/mas/${name}`, base)
    const init: RequestInit = {
      method,
      redirect: 'manual',
      signal: limit(options),
      headers: {
        authorization: `Bearer ${matrix.secret}`,
        accept: 'application/json',
        'user-agent': `Latchkey/${packageFile.version}`,
        ...(method === 'POST' && { 'content-type': 'application/json' }),
      },
    }
    if (method === 'POST') init.body = JSON.stringify(parameters)
    else for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, String(value))

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
    throw failure(name, where, status, body)
  }
}

function limit({ signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions): AbortSignal {
  const deadline = AbortSignal.timeout(timeoutMs)
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
  name: string,
  where: string,
  status: number,
  body: Record<string, unknown> | undefined,
): HomeserverError {
  const errcode = typeof body?.errcode === 'string' ? body.errcode : undefined
  const reason = typeof body?.error === 'string' ? `: ${body.error.slice(0, 200)}` : ''
  const said = `${name}: ${status}${errcode ? ` ${errcode}` : ''}${reason} (${where})`
  const details = { status, errcode }
  if (status === 401 || status === 403) {
    return new HomeserverError('refused', `${said}; is matrix.secret the one in homeserver.yaml?`, details)
  }
  if (status >= 300 && status < 400) {
    return new HomeserverError('refused', `${said}; matrix.endpoint answers with a redirect`, details)
  }
  // A 404 that is not about the user: the API is off there, or something else answers at this address.
  if (status === 404 && errcode !== 'M_NOT_FOUND') {
    const hint =
      'is matrix_authentication_service enabled in homeserver.yaml, and matrix.endpoint its address?'
    return new HomeserverError('refused', `${said}; ${hint}`, details)
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

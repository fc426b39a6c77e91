import { isOutage } from '../../sql/outage.ts'
import type { Deps } from '../deps.ts'
import { Overloaded } from '../lib/overloaded.ts'
import { randomString } from '../lib/random.ts'
import type { LogFields } from '../telemetry/log.ts'
import { answerAddress, answerPairs } from './answer-address.ts'
import { authorizationResponse } from './authorization-response.ts'
import {
  AdminError,
  AuthorizeError,
  MatrixError,
  NotFound,
  type OAuthCode,
  OAuthError,
  PageError,
  type PageProblem,
  RateLimited,
  Unavailable,
} from './errors.ts'
import { noteReference } from './observe.ts'
import { languageOf, type PageOptions, plainPage } from './page-response.ts'
import { json } from './reply.ts'
import { wayBack } from './way-back.ts'

/** Seconds after which an outage is worth another try. */
const RETRY_AFTER = 5
/** No 0/O, 1/I/L: people read these aloud. */
const REFERENCE_ALPHABET = '23456789ABCDEFGHJKMNPQRSTUVWXYZ'

/** Which form errors take. */
export type Surface = 'oauth' | 'matrix' | 'admin' | 'page' | 'probe'

const SSO_REDIRECT = /^\/_matrix\/client\/[^/]+\/login\/sso\/redirect(\/[^/]*)?$/

/** The surface of a path (without prefix): decided by the address, since an unknown one has no handler to say it. */
export function surfaceOf(path: string): Surface {
  // The one address of the Matrix API that people open in a browser.
  if (SSO_REDIRECT.test(path)) return 'page'
  if (path === '/health' || path === '/ready' || path === '/metrics') return 'probe'
  if (path.startsWith('/_matrix/')) return 'matrix'
  if (path.startsWith('/api/')) return 'admin'
  if (path.startsWith('/oauth2/') || path.startsWith('/upstream/backchannel-logout/')) return 'oauth'
  if (path.startsWith('/.well-known/') && path !== '/.well-known/change-password') return 'oauth'
  return 'page'
}

/**
 * The one place where errors become responses. Classes of `errors.ts` say what the caller may know; everything else is
 * logged under a reference id and answered as a 500 without its message. An outage is always a 503 with Retry-After.
 * Never throws: a page that cannot be rendered (an operator's own template) becomes a sentence.
 */
export function errorResponse(deps: Deps, request: Request, surface: Surface, error: unknown): Response {
  try {
    return describeError(deps, request, surface, error)
  } catch (cause) {
    const reference = newReference(deps)
    deps.log.error('error_page.failed', { reference, ...describe(request), error, cause })
    return text(`Something went wrong on this server. Reference: ${reference}`, 500)
  }
}

/** Whether an error says what its answer is, or is an outage; any other one is a mistake of this program. */
export const isForeseen = (error: unknown): boolean =>
  FORESEEN.some((kind) => error instanceof kind) || isOutage(error)

const FORESEEN = [
  OAuthError,
  AuthorizeError,
  MatrixError,
  AdminError,
  PageError,
  RateLimited,
  NotFound,
  Unavailable,
  Overloaded,
]

function describeError(deps: Deps, request: Request, surface: Surface, error: unknown): Response {
  if (!isForeseen(error)) return internal(deps, request, surface, error)
  if (error instanceof OAuthError) {
    const { code, cause } = error
    if (code === 'server_error') return internal(deps, request, surface, error)
    if (surface === 'page')
      return refused(deps, request, new PageError('bad_request', error.status, { code, cause }))
    return oauthError(code, error.description, error.status, error.retryAfter)
  }
  if (error instanceof AuthorizeError) return authorizeError(deps, request, error)
  if (error instanceof MatrixError)
    return json(
      {
        errcode: error.errcode,
        error: error.description,
        ...(error.softLogout && { soft_logout: true }),
      },
      error.status,
      retryHeader(error.retryAfter),
    )
  if (error instanceof AdminError)
    return adminError(error.code, error.title, error.status, { ...error, headers: error.headers })
  if (error instanceof PageError) return refused(deps, request, error)
  if (error instanceof RateLimited) return rateLimited(deps, request, surface, error.retryAfter)
  if (error instanceof NotFound) return notFound(deps, request, surface)
  // What is left of the foreseen: ours, that of a server which we need, or too much to do.
  return outage(deps, request, surface, error)
}

/**
 * The error at the client, or a page with the way there, which is named by its host: the client chose its own name. What
 * is our own fault is in the log under a reference that both of them show.
 */
function authorizeError(deps: Deps, request: Request, error: AuthorizeError): Response {
  const { code, target } = error
  const failure = code === 'server_error' ? noteFailure(deps, request, error.cause ?? error) : undefined
  const reference = failure === undefined ? '' : ` Reference: ${failure}`
  const result = { error: code, error_description: error.description + reference }
  if (!error.asksFirst) return authorizationResponse(deps, request, target, result)
  const address = answerAddress(target, answerPairs(deps.urls, target, result))
  const [problem, status] = STOPPED[code] ?? ['untrusted_return', 400]
  const referenceId = failure ?? noteProblem(deps, request, problem, { code })
  return problemPage(deps, request, problem, status, {
    code,
    keepsOpener: true,
    referenceId,
    ...(status === 503 && { retryAfter: error.retryAfter ?? RETRY_AFTER }),
    ...(target.responseMode !== 'form_post' && {
      back: { name: new URL(target.redirectUri).host, url: address },
    }),
  })
}

/** What the page on the way to a client says and is, where the request was as good as any. */
const STOPPED: Partial<Record<OAuthCode, [PageProblem, number]>> = {
  server_error: ['internal', 500],
  temporarily_unavailable: ['unavailable', 503],
}

const newReference = (deps: Pick<Deps, 'random'>): string =>
  noteReference(randomString(deps.random, 8, REFERENCE_ALPHABET))

/** What a person asked for cannot be done: the page says why, and the log more about it under the same reference. */
function refused(deps: Deps, request: Request, error: PageError): Response {
  const { problem, code, status, retryAfter } = error
  const more = {
    ...(code !== undefined && { code }),
    ...(error.cause !== undefined && { error: error.cause }),
  }
  const reference = noteProblem(deps, request, problem, more)
  return problemPage(deps, request, problem, status, {
    code,
    referenceId: reference,
    ...(retryAfter !== undefined && { retryAfter }),
  })
}

/** Logs what a page says, under the reference that the page has; gives that. */
function noteProblem(deps: Deps, request: Request, problem: string, more: LogFields = {}): string {
  const reference = newReference(deps)
  deps.log.info('page.problem', { reference, ...describe(request), problem, ...more })
  return reference
}

function outage(deps: Deps, request: Request, surface: Surface, error: unknown): Response {
  const reference = newReference(deps)
  deps.log.error('outage', { reference, ...describe(request), error })
  if (surface === 'oauth') return oauthError('temporarily_unavailable', undefined, 503, RETRY_AFTER)
  if (surface === 'admin')
    return adminError('unavailable', 'The service is not available just now. Try again shortly.', 503, {
      reference,
      headers: retryHeader(RETRY_AFTER),
    })
  if (surface === 'probe') return text('unavailable', 503, { 'retry-after': String(RETRY_AFTER) })
  if (surface === 'matrix')
    return matrixError(
      'M_UNKNOWN',
      'The service is not available just now. Try again shortly.',
      503,
      RETRY_AFTER,
    )
  const homeserver = error instanceof Unavailable && error.part === 'homeserver'
  return problemPage(deps, request, homeserver ? 'homeserver_unavailable' : 'unavailable', 503, {
    retryAfter: RETRY_AFTER,
    referenceId: reference,
    back: wayBack(deps, request, 'temporarily_unavailable'),
  })
}

/** Logs a failure of ours; gives the reference that it stands under. */
function noteFailure(deps: Deps, request: Request, error: unknown): string {
  const reference = newReference(deps)
  deps.log.error('request.failed', { reference, ...describe(request), error })
  return reference
}

function internal(deps: Deps, request: Request, surface: Surface, error: unknown): Response {
  const reference = noteFailure(deps, request, error)
  if (surface === 'oauth')
    return oauthError('server_error', `Something went wrong on this server. Reference: ${reference}`, 500)
  if (surface === 'matrix')
    return matrixError('M_UNKNOWN', `Internal server error. Reference: ${reference}`, 500)
  if (surface === 'admin')
    return adminError('internal', 'Something went wrong on this server.', 500, { reference })
  if (surface === 'probe') return text(`failed, reference ${reference}`, 500)
  return problemPage(deps, request, 'internal', 500, {
    referenceId: reference,
    back: wayBack(deps, request, 'server_error'),
  })
}

/** The path only: queries of these pages hold codes and tickets. */
const describe = (request: Request) => ({ method: request.method, path: new URL(request.url).pathname })

function rateLimited(deps: Deps, request: Request, surface: Surface, seconds: number): Response {
  if (surface === 'oauth')
    return oauthError(
      'temporarily_unavailable',
      `Too many requests. Try again in ${seconds} seconds.`,
      429,
      seconds,
    )
  if (surface === 'matrix')
    return json(
      { errcode: 'M_LIMIT_EXCEEDED', error: 'Too many requests', retry_after_ms: seconds * 1000 },
      429,
      retryHeader(seconds),
    )
  if (surface === 'admin')
    return adminError('rate_limited', `Too many requests. Try again in ${seconds} seconds.`, 429, {
      headers: retryHeader(seconds),
    })
  const options = {
    status: 429,
    retryAfter: seconds,
    referenceId: noteProblem(deps, request, 'rate_limited'),
  }
  return plainPage(deps, request, 'rate_limited', { retry_after_seconds: seconds }, options)
}

function notFound(deps: Deps, request: Request, surface: Surface): Response {
  if (surface === 'matrix') return matrixError('M_UNRECOGNIZED', 'Unrecognized request', 404)
  if (surface === 'admin') return adminError('not_found', 'There is nothing at this address.', 404)
  if (surface === 'oauth')
    return json({ error: 'not_found', error_description: 'There is nothing here.' }, 404)
  const referenceId = noteProblem(deps, request, 'not_found')
  return plainPage(deps, request, 'not_found', {}, { status: 404, referenceId })
}

/** Known path, another method: 405 with the methods that there are (RFC 9110 section 15.5.6). */
export function methodNotAllowed(surface: Surface, methods: string[]): Response {
  const allow = { allow: methods.join(', ') }
  if (surface === 'matrix')
    return json({ errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' }, 405, allow)
  const sentence = 'This method is not supported here.'
  if (surface === 'oauth') return json({ error: 'invalid_request', error_description: sentence }, 405, allow)
  if (surface === 'admin') return adminError('method_not_allowed', sentence, 405, { headers: allow })
  return text(sentence, 405, allow)
}

/** The page of a problem. */
function problemPage(
  deps: Deps,
  request: Request,
  problem: PageProblem,
  status: number,
  {
    code,
    ...options
  }: Pick<PageOptions, 'retryAfter' | 'referenceId' | 'back' | 'keepsOpener'> & {
    code?: string | undefined
  } = {},
): Response {
  const lang = languageOf(deps, request)
  const context = {
    title: deps.translate.text(lang, `problem.${problem}.title`),
    description: deps.translate.text(lang, `problem.${problem}.lead`),
    ...(code !== undefined && { code }),
  }
  return plainPage(deps, request, 'error', context, { status, ...options })
}

const retryHeader = (seconds: number | undefined): Record<string, string> =>
  seconds === undefined ? {} : { 'retry-after': String(seconds) }

/** For probes, and for the case that no page can be rendered. */
const text = (sentence: string, status: number, headers: Record<string, string> = {}): Response =>
  new Response(`${sentence}\n`, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers },
  })

function oauthError(
  error: string,
  description: string | undefined,
  status: number,
  retryAfter?: number,
): Response {
  const body = {
    error,
    error_description: description ?? 'The service is not available just now. Try again shortly.',
  }
  return json(body, status, retryHeader(retryAfter))
}

function matrixError(errcode: string, error: string, status: number, retryAfter?: number): Response {
  return json({ errcode, error }, status, retryHeader(retryAfter))
}

/** The errors of the admin API have MAS's envelope, and in it what scripts miss there (reference operations 2.1). */
function adminError(
  code: string,
  title: string,
  status: number,
  more: {
    detail?: string | undefined
    source?: { pointer: string } | { parameter: string } | undefined
    reference?: string
    headers?: Record<string, string>
  } = {},
): Response {
  const { detail, source, reference, headers } = more
  return json({ errors: [{ title, code, detail, source, reference }] }, status, headers)
}

/**
 * What a handler throws. `description` (or a page's context) is for the person or client that asked; `cause` is for
 * the log. They never mix. The boundary turns each class into a response of its surface.
 */

interface ErrorOptions {
  description?: string
  cause?: unknown
  /** Seconds that the caller should wait: becomes `Retry-After`. */
  retryAfter?: number
}

/** The codes of RFC 6749, 6750, 7009, 7591, 8628, 8707, 9126, 9449 and OpenID Connect that we answer, with their usual status. */
const OAUTH_STATUS = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 401,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  unsupported_token_type: 400,
  invalid_scope: 400,
  access_denied: 403,
  server_error: 500,
  temporarily_unavailable: 503,
  login_required: 400,
  consent_required: 400,
  interaction_required: 400,
  account_selection_required: 400,
  unmet_authentication_requirements: 400,
  invalid_request_object: 400,
  invalid_request_uri: 400,
  request_not_supported: 400,
  request_uri_not_supported: 400,
  registration_not_supported: 400,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  invalid_software_statement: 400,
  unapproved_software_statement: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  // RFC 8628 section 3.5 says 400 for all three; MAS, and so the apps that know it, say this.
  authorization_pending: 403,
  slow_down: 400,
  expired_token: 403,
  invalid_dpop_proof: 400,
  invalid_target: 400,
} as const

export type OAuthCode = keyof typeof OAUTH_STATUS

const OAUTH_DESCRIPTION: Record<OAuthCode, string> = {
  invalid_request: 'The request lacks a parameter, repeats one, or has one of the wrong form.',
  invalid_client: 'The client is unknown, or its credentials are wrong.',
  invalid_grant: 'The code or token is not valid, has expired, was used, or was issued to another client.',
  unauthorized_client: 'This client may not do this.',
  unsupported_grant_type: 'This grant type is not supported.',
  unsupported_response_type: 'This response type is not supported.',
  unsupported_token_type: 'This token type cannot be revoked.',
  invalid_scope: 'The scope is not valid, or may not be granted.',
  access_denied: 'The request was denied.',
  server_error: 'Something went wrong on this server.',
  temporarily_unavailable: 'The service is not available just now. Try again shortly.',
  login_required: 'The person must sign in first.',
  consent_required: 'The person must agree first.',
  interaction_required: 'The person must act first.',
  account_selection_required: 'The person must choose an account first.',
  unmet_authentication_requirements: 'People cannot sign in here in the way that was asked for.',
  invalid_request_object: 'The request object is not valid.',
  invalid_request_uri: 'The request_uri is not valid.',
  request_not_supported: 'The request parameter is not supported.',
  request_uri_not_supported: 'The request_uri parameter is not supported.',
  registration_not_supported: 'The registration parameter is not supported.',
  invalid_redirect_uri: 'A redirect URI is not acceptable.',
  invalid_client_metadata: 'The client metadata is not acceptable.',
  invalid_software_statement: 'The software statement is not valid.',
  unapproved_software_statement: 'The software statement is not approved here.',
  invalid_token: 'The access token is not valid.',
  insufficient_scope: 'The access token does not allow this.',
  authorization_pending: 'The person has not answered yet.',
  slow_down: 'The device asks too often. Wait 5 seconds longer between two requests.',
  expired_token: 'The device code has expired. Ask for a new one.',
  invalid_dpop_proof: 'The DPoP proof is not valid.',
  invalid_target: 'The resource is not a URI that a token can be for.',
}

/** What `error_description` may hold (RFC 6749 section 5.2); a description may name what the caller sent. */
const wireText = (text: string): string => text.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?')

/** An error of an OAuth endpoint: JSON with `error` and `error_description` (RFC 6749 section 5.2). */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: OAuthCode
  readonly status: number
  readonly description: string
  readonly retryAfter: number | undefined

  constructor(code: OAuthCode, options: ErrorOptions & { status?: number } = {}) {
    super(code, { cause: options.cause })
    this.code = code
    this.status = options.status ?? OAUTH_STATUS[code]
    this.description = wireText(options.description ?? OAUTH_DESCRIPTION[code])
    this.retryAfter = options.retryAfter
  }
}

/** An error of the authorization endpoint whose redirect target was verified: it goes back to the client. */
export class AuthorizeError extends Error {
  override readonly name = 'AuthorizeError'
  readonly code: OAuthCode
  readonly description: string
  readonly target: RedirectTarget
  /** Seconds until the next try. */
  readonly retryAfter: number | undefined
  /** The person decides whether to go there: the address is a stranger's. */
  readonly asksFirst: boolean

  constructor(code: OAuthCode, target: RedirectTarget, options: ErrorOptions & { asksFirst?: boolean } = {}) {
    super(code, { cause: options.cause })
    this.code = code
    this.description = wireText(options.description ?? OAUTH_DESCRIPTION[code])
    this.target = target
    this.retryAfter = options.retryAfter
    this.asksFirst = options.asksFirst ?? false
  }
}

/** Where the answer of an authorization request goes, once the redirect URI is known to be the client's. */
export interface RedirectTarget {
  redirectUri: string
  responseMode: 'query' | 'fragment' | 'form_post'
  state: string | undefined
}

/**
 * An error of the Matrix API: JSON with `errcode` and `error`. `softLogout` tells the client to keep what it has of the
 * session, since it can come back (Matrix specification, soft logout).
 */
export class MatrixError extends Error {
  override readonly name = 'MatrixError'
  readonly errcode: string
  readonly status: number
  readonly description: string
  readonly retryAfter: number | undefined
  readonly softLogout: boolean

  constructor(
    errcode: string,
    status: number,
    description: string,
    options: ErrorOptions & { softLogout?: boolean } = {},
  ) {
    super(errcode, { cause: options.cause })
    this.softLogout = options.softLogout ?? false
    this.errcode = errcode
    this.status = status
    this.description = description
    this.retryAfter = options.retryAfter
  }
}

/** An error of the admin API: a status, a code for scripts, a sentence for people. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly status: number
  readonly code: string
  readonly title: string
  /** More about it: what to do, or where in the body it is. */
  readonly detail: string | undefined
  /** JSON Pointer (RFC 6901) into the body, or the name of the parameter. */
  readonly source: { pointer: string } | { parameter: string } | undefined
  readonly headers: Record<string, string>

  constructor(
    status: number,
    code: string,
    title: string,
    options: {
      detail?: string
      source?: { pointer: string } | { parameter: string }
      headers?: Record<string, string>
      cause?: unknown
    } = {},
  ) {
    super(code, { cause: options.cause })
    this.status = status
    this.code = code
    this.title = title
    this.detail = options.detail
    this.source = options.source
    this.headers = options.headers ?? {}
  }
}

/** What an error page can say; the texts are in the catalogues. */
export type PageProblem =
  | 'bad_request'
  | 'unknown_client'
  | 'bad_redirect_uri'
  | 'untrusted_return'
  | 'grant_not_found'
  | 'grant_not_pending'
  | 'grant_other_browser'
  | 'registration_not_found'
  | 'registration_expired'
  | 'upstream_gone'
  | 'homeserver_unavailable'
  | 'unavailable'
  | 'internal'

/** An error that a person sees as a page. */
export class PageError extends Error {
  override readonly name = 'PageError'
  readonly problem: PageProblem
  readonly status: number
  /** A protocol code or parameter name for the small print. */
  readonly code: string | undefined
  /** Seconds until the next try. */
  readonly retryAfter: number | undefined

  constructor(
    problem: PageProblem,
    status: number,
    options: { code?: string; cause?: unknown; retryAfter?: number | undefined } = {},
  ) {
    super(problem, { cause: options.cause })
    this.problem = problem
    this.status = status
    this.code = options.code
    this.retryAfter = options.retryAfter
  }
}

/** There is nothing at this address. The boundary answers in the form of the surface. */
export class NotFound extends Error {
  override readonly name = 'NotFound'
}

/** A request that was refused because its secret checks were too many. */
export class RateLimited extends Error {
  override readonly name = 'RateLimited'
  /** Seconds until the next try. */
  readonly retryAfter: number

  constructor(retryAfter: number) {
    super('rate limited')
    this.retryAfter = retryAfter
  }
}

/** A part that we need is down; later may work. Always 503 with Retry-After, never a 4xx that logs people out. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
  readonly part: 'database' | 'homeserver' | 'directory'

  constructor(part: 'database' | 'homeserver' | 'directory', options: { cause?: unknown } = {}) {
    super(`${part} unavailable`, { cause: options.cause })
    this.part = part
  }
}

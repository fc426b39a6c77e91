import { type ClientRow, findClient } from '../../sql/clients.ts'
import { insertGrant } from '../../sql/grants.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { AuthorizeError, OAuthError, PageError, type RedirectTarget } from '../http/errors.ts'
import { languageOf } from '../http/page-response.ts'
import { type Params, readForm, readQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { readContinuation, withContinuation } from '../identity/continuation.ts'
import { activeSession, openVisit, type Visit } from '../identity/visit.ts'
import { parseScope } from '../lib/scope.ts'
import { newId, ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { isChallenge } from './pkce.ts'
import { isRegistered } from './redirect-uri.ts'

/** Characters of one parameter (`state`, `nonce`, …) that are kept. */
const PARAMETER_LIMIT = 4096
/** Characters of all parameters that are kept as they came: anybody can make rows of this table. */
const RAW_LIMIT = 8192

/**
 * GET and POST /authorize (OpenID Connect Core section 3.1.2, RFC 7636, reference 3). The checks run in two
 * parts: what is wrong before the redirect URI is known to be the client's is a page, what is wrong after it goes back
 * to the client. Then the person signs in, signs up or consents.
 */
async function authorize(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const params = await readParams(request)
  const client = await findClientOf(deps, params)
  const target = redirectTarget(client, params)
  const checked = checkRequest(client, target, params)

  const now = deps.clock.now()
  const id = newId(now, deps.random)
  await insertGrant(deps.sql, {
    id,
    clientId: client.id,
    browserHash: browserHash(visit.browser),
    redirectUri: target.redirectUri,
    responseMode: target.responseMode,
    scope: checked.scope,
    state: params.state ?? null,
    nonce: params.nonce ?? null,
    codeChallenge: params.code_challenge ?? null,
    loginHint: params.login_hint ?? null,
    locale: languageOf(deps, request, params.ui_locales),
    rawParameters: withinLimit(params),
    now,
  })
  return redirect(deps.urls.path(nextPage(visit, id, checked.prompt, params)), visit.browser.cookies)
}

/** The first parameters, up to the limit of a row. */
function withinLimit(params: Params): Params {
  let length = 0
  return Object.fromEntries(
    Object.entries(params).filter(([name, value]) => {
      length += name.length + value.length
      return length <= RAW_LIMIT
    }),
  )
}

async function readParams(request: Request): Promise<Params> {
  try {
    return request.method === 'POST' ? await readForm(request) : readQuery(request)
  } catch (error) {
    if (error instanceof OAuthError)
      throw new PageError('bad_request', 400, { code: error.description, cause: error })
    throw error
  }
}

async function findClientOf(deps: Pick<Deps, 'sql'>, params: Params): Promise<ClientRow> {
  const id = uuidFromUlid(params.client_id ?? '')
  const [client] = id === undefined ? [] : await findClient(deps.sql, id)
  if (!client) throw new PageError('unknown_client', 400, { code: 'client_id' })
  return client
}

/** Where the answer goes. @throws PageError: nothing may be sent to an address that is not the client's */
function redirectTarget(client: ClientRow, params: Params): RedirectTarget {
  const [only, ...others] = client.redirect_uris
  const redirectUri = params.redirect_uri ?? (others.length === 0 ? only : undefined)
  if (
    redirectUri === undefined ||
    redirectUri.includes('#') ||
    !isRegistered(client.redirect_uris, redirectUri)
  )
    throw new PageError('bad_redirect_uri', 400, { code: 'redirect_uri' })
  const mode = params.response_mode ?? 'query'
  if (mode !== 'query' && mode !== 'fragment' && mode !== 'form_post')
    throw new PageError('bad_request', 400, { code: 'response_mode' })
  return { redirectUri: new URL(redirectUri).href, responseMode: mode, state: params.state }
}

/** Everything else, in the order of reference 3.2. @throws AuthorizeError */
function checkRequest(
  client: ClientRow,
  target: RedirectTarget,
  params: Params,
): { scope: string[]; prompt: string[] } {
  const refuse = (code: ConstructorParameters<typeof AuthorizeError>[0], description?: string) =>
    new AuthorizeError(code, target, description === undefined ? {} : { description })
  if (params.request !== undefined) throw refuse('request_not_supported')
  if (params.request_uri !== undefined) throw refuse('request_uri_not_supported')
  if (params.response_type === undefined)
    throw refuse('invalid_request', 'The parameter response_type is missing.')
  if (params.response_type !== 'code') throw refuse('unsupported_response_type')
  if (params.registration !== undefined) throw refuse('registration_not_supported')
  const prompt = params.prompt?.split(' ') ?? []
  // No page may be shown, and without one nobody can agree.
  if (prompt.includes('none')) throw refuse('login_required')
  if (!client.grant_types.includes('authorization_code')) throw refuse('unauthorized_client')
  checkPkce(client, params, refuse)
  for (const name of ['state', 'nonce', 'login_hint', 'scope'])
    if ((params[name]?.length ?? 0) > PARAMETER_LIMIT)
      throw refuse('invalid_request', `The parameter ${name} is too long.`)
  const scope = params.scope === undefined ? undefined : parseScope(params.scope)
  if (!scope) throw refuse('invalid_scope', 'The parameter scope is missing or malformed.')
  return { scope, prompt }
}

/** S256 for everybody who uses PKCE, and PKCE for every client that cannot keep a secret (edges 3 and 4). */
function checkPkce(
  client: ClientRow,
  { code_challenge, code_challenge_method }: Params,
  refuse: (code: 'invalid_request', description: string) => AuthorizeError,
): void {
  if (code_challenge === undefined && code_challenge_method === undefined) {
    if (client.auth_method === 'none')
      throw refuse(
        'invalid_request',
        'This client must use PKCE: code_challenge and code_challenge_method=S256.',
      )
    return
  }
  if (code_challenge_method !== 'S256') throw refuse('invalid_request', 'code_challenge_method must be S256.')
  if (code_challenge === undefined || !isChallenge(code_challenge))
    throw refuse('invalid_request', 'code_challenge must be 32 bytes in base64url.')
}

/** Sign-up, sign-in or consent. */
function nextPage(visit: Visit, grantId: string, prompt: string[], params: Params): string {
  const ulid = ulidFromUuid(grantId)
  const continuation = readContinuation({ kind: 'continue_authorization_grant', id: ulid })
  if (activeSession(visit)) return `/consent/${ulid}`
  if (prompt.includes('create')) return withContinuation('/register', continuation)
  const hint =
    params.login_hint === undefined ? '' : `&${new URLSearchParams({ login_hint: params.login_hint })}`
  return withContinuation('/login', continuation) + hint
}

export const authorizeRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/authorize', handle: (request) => authorize(deps, request) },
  { method: 'POST', path: '/authorize', handle: (request) => authorize(deps, request) },
]

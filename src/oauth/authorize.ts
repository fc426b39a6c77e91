import { type ClientRow, findClient } from '../../sql/clients.ts'
import { findGrant, insertGrant } from '../../sql/grants.ts'
import type { Deps } from '../deps.ts'
import { isForeseen } from '../http/boundary.ts'
import { browserHash } from '../http/browser.ts'
import { AuthorizeError, OAuthError, PageError, type RedirectTarget, Unavailable } from '../http/errors.ts'
import { type Params, readForm, readQuery } from '../http/params.ts'
import { redirect } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { readContinuation, withContinuation } from '../identity/continuation.ts'
import { activeSession, languageFor, openVisit, type Visit } from '../identity/visit.ts'
import { newId, ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { approve } from './authorization/approve.ts'
import { expectedPerson } from './authorization/hints.ts'
import { type AuthorizationRequest, resolveRequest } from './authorization/request.ts'
import { type CheckedRequest, checkRequest } from './authorization/rules.ts'
import { type SignInDemand, signInDemand, signInNeeded } from './authorization/sign-in-needed.ts'
import { silentSession } from './authorization/silent.ts'
import { redirectTarget } from './authorization/target.ts'
import { mayReturnAtOnce } from './authorization/trusted-return.ts'

/**
 * GET and POST /authorize (OpenID Connect Core section 3.1.2, RFC 7636, RFC 9101, RFC 9126, reference section 3). The
 * steps run in two parts: what is wrong before the redirect URI is known to be the client's is a page, what is wrong
 * after it goes back to the client. Then the person signs in, signs up or consents; or nothing is shown at all.
 */
async function authorize(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const asked = await readParams(request)
  const client = await findClientOf(deps, asked)
  const resolved = await resolve(deps, visit, client, asked)
  const target = redirectTarget(client, resolved.params)
  try {
    const checked = checkRequest(deps, client, resolved)
    const expected = await expectedPerson(deps, client, checked)
    const demand = signInDemand(checked, expected?.id, visit.session, deps.clock.now())
    if (checked.prompt.includes('none'))
      return await answerSilently(deps, visit, client, target, checked, demand)
    const id = await store(deps, visit, client, target, checked, demand)
    return redirect(deps.urls.path(nextPage(visit, id, checked, demand)), visit.browser.cookies)
  } catch (error) {
    if (!(error instanceof OAuthError) && isForeseen(error)) throw error
    const answer = error instanceof OAuthError ? error : new OAuthError('server_error', { cause: error })
    throw await toClient(deps, visit, client, answer, target)
  }
}

/** The same error, sent back to where the client waits; by way of a page where nobody knows whose address that is. */
const toClient = async (
  deps: Deps,
  visit: Visit,
  client: ClientRow,
  error: OAuthError,
  target: RedirectTarget,
): Promise<AuthorizeError> =>
  new AuthorizeError(error.code, target, {
    description: error.description,
    cause: error.cause,
    ...(error.retryAfter !== undefined && { retryAfter: error.retryAfter }),
    asksFirst: !(await mayReturnAtOnce(deps, visit, client, target.redirectUri)),
  })

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

/**
 * The request behind the parameters. An error goes back to the client if the parameters themselves say where; when only
 * what could not be read says it, it is a page.
 */
async function resolve(
  deps: Deps,
  visit: Visit,
  client: ClientRow,
  asked: Params,
): Promise<AuthorizationRequest> {
  try {
    return await resolveRequest(deps, client, asked)
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    if (asked.redirect_uri === undefined && client.redirect_uris.length !== 1) throw pageOf(error)
    throw await toClient(deps, visit, client, error, redirectTarget(client, asked))
  }
}

/** The error as a page, for a request that does not say where its client waits. */
const pageOf = (error: OAuthError): PageError =>
  new PageError(error.status === 503 ? 'unavailable' : 'bad_request', error.status, {
    code: error.code,
    cause: error,
    retryAfter: error.retryAfter,
  })

/** `prompt=none`: the code at once, or an error that says what is missing. */
async function answerSilently(
  deps: Deps,
  visit: Visit,
  client: ClientRow,
  target: RedirectTarget,
  checked: CheckedRequest,
  demand: SignInDemand,
): Promise<Response> {
  const asked = {
    client_id: client.id,
    client_is_static: client.is_static,
    client_metadata: client.metadata,
    redirect_uri: target.redirectUri,
    scope: checked.scope,
  }
  const session = await silentSession(deps, visit, checked, asked, demand)
  const [grant] = await findGrant(deps.sql, await store(deps, visit, client, target, checked, demand))
  if (!grant) throw new OAuthError('server_error', { cause: 'a request was stored and is not there' })
  try {
    return await approve(deps, visit, grant, session)
  } catch (error) {
    // Nobody looks: a page of ours would be a client that waits.
    if (error instanceof Unavailable) throw new OAuthError('temporarily_unavailable', { cause: error })
    throw error
  }
}

/** Stores the request for the pages that follow. */
async function store(
  deps: Deps,
  visit: Visit,
  client: ClientRow,
  target: RedirectTarget,
  { params, responseType, prompt, scope, claims, acrRequested, pushedDigest }: CheckedRequest,
  demand: SignInDemand,
): Promise<string> {
  const id = newId(demand.created_at, deps.random)
  await insertGrant(deps.sql, {
    id,
    clientId: client.id,
    browserHash: browserHash(visit.browser),
    redirectUri: target.redirectUri,
    responseType,
    responseMode: target.responseMode,
    scope,
    state: params.state ?? null,
    nonce: params.nonce ?? null,
    codeChallenge: params.code_challenge ?? null,
    loginHint: params.login_hint ?? null,
    locale: languageFor(deps, visit, params.ui_locales),
    rawParameters: keptParameters(params),
    prompt: prompt.filter((value) => value === 'consent' || value === 'select_account'),
    authenticatedAfter: demand.authenticated_after,
    staleSessionId: demand.stale_session_id,
    expectedUserId: demand.expected_user_id,
    acrRequested,
    acrRequired: claims.acrRequired,
    dpopJkt: params.dpop_jkt ?? null,
    pushedDigest: pushedDigest ?? null,
    now: demand.created_at,
  })
  return id
}

/** Characters of all parameters that are kept as they came, for providers that people sign in through. */
const RAW_LIMIT = 8192

/** Tokens are not kept, nor more than a row should hold: anybody can make us store a request. */
function keptParameters(params: Params): Params {
  let length = 0
  return Object.fromEntries(
    Object.entries(params).filter(([name, value]) => {
      if (name === 'id_token_hint' || name === 'request') return false
      length += name.length + value.length
      return length <= RAW_LIMIT
    }),
  )
}

/** Sign-up, sign-in or consent. */
function nextPage(
  visit: Visit,
  grantId: string,
  { prompt, params }: CheckedRequest,
  demand: SignInDemand,
): string {
  const ulid = ulidFromUuid(grantId)
  const continuation = readContinuation({ kind: 'continue_authorization_grant', id: ulid })
  const session = activeSession(visit)
  if (session && !signInNeeded(demand, session)) return `/consent/${ulid}`
  if (!session && prompt.includes('create')) return withContinuation('/register', continuation)
  const hint =
    params.login_hint === undefined ? '' : `&${new URLSearchParams({ login_hint: params.login_hint })}`
  return withContinuation('/login', continuation) + hint
}

export const authorizeRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/authorize', handle: (request) => authorize(deps, request) },
  { method: 'POST', path: '/authorize', handle: (request) => authorize(deps, request) },
]

import type { ClientRow } from '../../sql/clients.ts'
import { insertPushedRequest } from '../../sql/pushed-requests.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError, PageError } from '../http/errors.ts'
import { type Params, readForm } from '../http/params.ts'
import { json } from '../http/reply.ts'
import type { Route } from '../http/route.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { PUSHED_PREFIX, resolveRequest } from './authorization/request.ts'
import { checkRequest } from './authorization/rules.ts'
import { redirectTarget } from './authorization/target.ts'
import { authenticateClient } from './client-auth.ts'
import { keyOfRequest, takeProof } from './dpop.ts'
import { GRANT_LIFETIME } from './grant-context.ts'

/** Seconds from the push to the browser's arrival (RFC 9126 section 2.2). */
const LIFETIME = 60

/** How the client authenticates is no part of its request (RFC 9126 section 2.1). */
const CREDENTIALS = ['client_secret', 'client_assertion', 'client_assertion_type']

/**
 * POST /oauth2/par (RFC 9126): takes an authorization request from the client itself, checks it as `/authorize` would,
 * and gives a reference that is good for one answer.
 */
export async function pushRequest(deps: Deps, request: Request): Promise<Response> {
  const form = await readForm(request)
  const client = await authenticateClient(deps, request, form)
  if (form.request_uri !== undefined)
    throw new OAuthError('invalid_request', {
      description: 'A pushed request must not refer to another one.',
    })
  const proof = await takeProof(deps, request, deps.urls.absolute('/oauth2/par'))
  const resolved = await resolveRequest(deps, client, requestOf(client, form))
  checkTarget(client, resolved.params)
  checkRequest(deps, client, { ...resolved, pushed: true })
  const jkt = keyOfRequest(resolved.params.dpop_jkt, proof)

  const uri = PUSHED_PREFIX + base64url(deps.random.bytes(32))
  const now = deps.clock.now()
  await insertPushedRequest(deps.sql, {
    digest: sha256(uri),
    clientId: client.id,
    parameters: { ...resolved.params, ...(jkt !== undefined && { dpop_jkt: jkt }) },
    signed: resolved.signed,
    over: addSeconds(now, -GRANT_LIFETIME),
    expiresAt: addSeconds(now, LIFETIME),
  })
  return json({ request_uri: uri, expires_in: LIFETIME }, 201)
}

const requestOf = (client: ClientRow, form: Params): Params =>
  Object.assign(
    Object.create(null),
    Object.fromEntries(Object.entries(form).filter(([name]) => !CREDENTIALS.includes(name))),
    { client_id: ulidFromUuid(client.id) },
  )

/** What is a page at `/authorize` is an answer here: the client itself asks. */
function checkTarget(client: ClientRow, params: Params): void {
  try {
    redirectTarget(client, params)
  } catch (error) {
    if (!(error instanceof PageError)) throw error
    throw new OAuthError('invalid_request', {
      description: `The parameter ${error.code} is not one that this client may use.`,
      cause: error,
    })
  }
}

export const parRoutes = (deps: Deps): Route[] => [
  { method: 'POST', path: '/oauth2/par', cors: apiCors, handle: (request) => pushRequest(deps, request) },
]

import type { ClientRow } from '../../../sql/clients.ts'
import { findPushedRequest } from '../../../sql/pushed-requests.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import { fetchPublic } from '../../http/fetch-public.ts'
import type { Params } from '../../http/params.ts'
import { take } from '../../identity/limits.ts'
import { sha256 } from '../../lib/digest.ts'
import { readRequestObject } from './request-object.ts'

/** What a `request_uri` of ours begins with (RFC 9126 section 2.2). */
export const PUSHED_PREFIX = 'urn:ietf:params:oauth:request_uri:'

/** Fetches of request objects for one client: anybody may register an address that we then fetch. */
const FETCH_LIMIT = { burst: 100, per_second: 10 }

/** An authorization request, however it came. */
export interface AuthorizationRequest {
  params: Params
  /** It was pushed (RFC 9126). */
  pushed: boolean
  /** Of the reference that it was pushed under, which its answer uses up. */
  pushedDigest?: Uint8Array
  /** It came in a request object whose signature held (RFC 9101). */
  signed: boolean
}

type Needs = Pick<Deps, 'sql' | 'clock' | 'urls' | 'secrets' | 'clientKeys' | 'clientFetch' | 'log'>

/**
 * Finds the request behind the parameters of a page: the parameters themselves, what the client pushed, or a request
 * object by value or by registered reference.
 *
 * @throws OAuthError invalid_request, invalid_request_uri, invalid_request_object, temporarily_unavailable; RateLimited
 */
export async function resolveRequest(
  deps: Needs,
  client: ClientRow,
  asked: Params,
): Promise<AuthorizationRequest> {
  const { request, request_uri: uri } = asked
  if (request !== undefined && uri !== undefined)
    throw new OAuthError('invalid_request', { description: 'request and request_uri exclude each other.' })
  if (uri?.startsWith(PUSHED_PREFIX)) return findPushed(deps, client, asked, uri)
  if (uri !== undefined) return unpack(deps, client, asked, await fetchRequestObject(deps, client, uri))
  if (request !== undefined) return unpack(deps, client, asked, request)
  return { params: asked, pushed: false, signed: false }
}

/**
 * RFC 9126 section 4: of the client that pushed it, and nothing beside it counts. It is used up by the answer to the
 * request: whoever loads the page again, or something that looks at links ahead of people, must not take it from them.
 */
async function findPushed(
  deps: Pick<Deps, 'sql' | 'clock'>,
  client: ClientRow,
  asked: Params,
  uri: string,
): Promise<AuthorizationRequest> {
  const pushedDigest = sha256(uri)
  const [row] = await findPushedRequest(deps.sql, pushedDigest, client.id, deps.clock.now())
  if (!row)
    throw new OAuthError('invalid_request_uri', {
      description: 'The pushed request is unknown, was used, or has expired.',
    })
  return { params: withClient(row.parameters, asked), pushed: true, pushedDigest, signed: row.signed }
}

/**
 * What is in the request object wins. RFC 9101 section 6.3 takes nothing else; OpenID Connect Core section 6.1, which
 * the scope `openid` outside marks, also takes what is outside alone, unless the client insists on signatures.
 */
async function unpack(
  deps: Pick<Deps, 'clock' | 'urls' | 'clientKeys' | 'log'>,
  client: ClientRow,
  asked: Params,
  jwt: string,
): Promise<AuthorizationRequest> {
  const inside = await readRequestObject(deps, client, jwt)
  if (
    asked.response_type !== undefined &&
    inside.response_type !== undefined &&
    asked.response_type !== inside.response_type
  )
    throw new OAuthError('invalid_request', {
      description: 'The response_type of the request object is another one.',
    })
  const openid = asked.scope?.split(' ').includes('openid') === true
  const alsoOutside = openid && client.metadata.require_signed_request_object !== true
  const params = withClient({ ...(alsoOutside && asked), ...inside }, asked)
  delete params.request
  delete params.request_uri
  return { params, pushed: false, signed: true }
}

const withClient = (params: Record<string, string>, { client_id }: Params): Params =>
  Object.assign(Object.create(null), params, client_id !== undefined && { client_id })

/** OpenID Connect Core section 6.2: only an address that the client registered, exactly as it registered it. */
async function fetchRequestObject(
  deps: Pick<Deps, 'sql' | 'clock' | 'secrets' | 'clientFetch' | 'log'>,
  client: ClientRow,
  uri: string,
): Promise<string> {
  const registered = client.metadata.request_uris
  if (!Array.isArray(registered) || !registered.includes(uri) || !URL.canParse(uri))
    throw new OAuthError('invalid_request_uri', {
      description: 'The client did not register this request_uri.',
    })
  await take(deps, 'request-uri.client', client.id, FETCH_LIMIT)
  try {
    const { status, body } = await fetchPublic(new URL(uri), {
      timeoutMs: 5000,
      maxBytes: 65_536,
      ...deps.clientFetch,
    })
    if (status !== 200) throw new Error(`request_uri answered ${status}`)
    return body.trim()
  } catch (cause) {
    throw new OAuthError('invalid_request_uri', {
      description: 'The request object could not be fetched.',
      cause,
    })
  }
}

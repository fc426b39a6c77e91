import { type ClientRow, findClient } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'
import { OAuthError } from '../http/errors.ts'
import type { Params } from '../http/params.ts'
import { requesterOf } from '../http/requester.ts'
import { checkSecret, limitSubject } from '../identity/limits.ts'
import { noteWho } from '../lib/current-request.ts'
import { equalSecrets } from '../lib/digest.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { checkAssertion, claimedClient, JWT_BEARER } from './client-assertion.ts'
import { openClientSecret } from './client-secret.ts'

/** Wrong secrets of one client from one address. */
const GUESSES = { burst: 10, per_second: 1 / 10 }

/** How a client presented itself (RFC 6749 section 2.3, RFC 7521 section 4.2). */
type Credentials =
  | { clientId: string; method: 'none' }
  | { clientId: string; method: 'client_secret_basic' | 'client_secret_post'; secret: string }
  | { clientId: string; method: 'assertion'; assertion: string }

type Needs = Pick<
  Deps,
  'sql' | 'clock' | 'urls' | 'secrets' | 'guessers' | 'clientKeys' | 'peers' | 'trustedProxies' | 'log'
>

/**
 * Authenticates the client of a form-encoded request with exactly the method that it registered (reference 4.1).
 *
 * @throws OAuthError invalid_request (no or several credentials), invalid_grant (two client ids), invalid_client,
 *   temporarily_unavailable (its keys cannot be fetched); RateLimited
 */
export async function authenticateClient(deps: Needs, request: Request, form: Params): Promise<ClientRow> {
  const credentials = readCredentials(request.headers.get('authorization'), form)
  const id = uuidFromUlid(credentials.clientId)
  const [client] = id === undefined ? [] : await findClient(deps.sql, id)
  if (!client) throw invalidClient(deps, credentials, 'unknown client')
  const broken = await checkCredentials(deps, client, credentials, request)
  if (broken !== undefined) throw invalidClient(deps, credentials, broken)
  noteWho(`client ${credentials.clientId}`)
  return client
}

/** Undefined when the credentials are the client's; otherwise the rule that they break, for the log. */
async function checkCredentials(
  deps: Needs,
  client: ClientRow,
  credentials: Credentials,
  request: Request,
): Promise<string | undefined> {
  if (credentials.method === 'assertion') return checkJwt(deps, client, credentials.assertion, request)
  if (client.auth_method !== credentials.method) return `the client registered ${client.auth_method}`
  if (credentials.method === 'none') return undefined
  checkConfigured(client)
  const secret = await secretOf(deps, client)
  if (secret === undefined) return 'the client has no secret'
  const right = await checkLimited(deps, client, request, () => equalSecrets(secret, credentials.secret))
  return right ? undefined : 'wrong secret'
}

/** An assertion. One under a secret is a guess at the secret as good as any other; keys are not guessed at. */
async function checkJwt(
  deps: Needs,
  client: ClientRow,
  assertion: string,
  request: Request,
): Promise<string | undefined> {
  checkConfigured(client)
  const secret = await secretOf(deps, client)
  if (client.auth_method !== 'client_secret_jwt') return checkAssertion(deps, client, assertion, secret)
  let broken: string | undefined
  await checkLimited(deps, client, request, async () => {
    broken = await checkAssertion(deps, client, assertion, secret)
    return broken === undefined
  })
  return broken
}

/** Checks a secret of a client, with the limit of wrong ones that its ways of presenting it share. @throws RateLimited */
const checkLimited = (
  deps: Needs,
  client: ClientRow,
  request: Request,
  isRight: () => boolean | Promise<boolean>,
): Promise<boolean> => {
  const subject = `${client.id} ${limitSubject(requesterOf(deps, request).ip)}`
  return checkSecret(deps, 'client-secret', subject, GUESSES, isRight)
}

/**
 * A client that lacks what its method is checked with was spoilt on our side: no mistake of its own (reference 4.1).
 *
 * @throws OAuthError server_error
 */
function checkConfigured({ auth_method: method, sealed_secret: secret, metadata }: ClientRow): void {
  const hasKeys = metadata.jwks !== undefined || metadata.jwks_uri !== undefined
  const lacks = method === 'private_key_jwt' ? !hasKeys : method !== 'none' && secret === null
  if (lacks) throw new OAuthError('server_error', { cause: `the client has nothing for ${method}` })
}

/** The secret of a client, if it has one. @throws OAuthError server_error when no key opens it */
async function secretOf(deps: Needs, client: ClientRow): Promise<string | undefined> {
  if (client.sealed_secret === null) return undefined
  const secret = await openClientSecret(deps.secrets, client)
  if (secret === undefined)
    throw new OAuthError('server_error', { cause: 'the client secret cannot be unsealed' })
  return secret
}

/** The id (a uuid) of a client that presents nothing but its id; undefined for any other request. */
export function publicClientOf(request: Request, form: Params): string | undefined {
  const others = [form.client_secret, form.client_assertion, form.client_assertion_type]
  if (request.headers.has('authorization') || others.some((given) => given !== undefined)) return undefined
  return uuidFromUlid(form.client_id ?? '')
}

function invalidClient(deps: Pick<Deps, 'log'>, credentials: Credentials, reason: string): OAuthError {
  deps.log.warn('client.rejected', {
    client_id: credentials.clientId.slice(0, 64),
    method: credentials.method,
    reason,
  })
  return new OAuthError('invalid_client', { cause: reason })
}

function readCredentials(authorization: string | null, form: Params): Credentials {
  const body = form.client_id
  if (form.client_assertion !== undefined || form.client_assertion_type !== undefined)
    return readAssertion(authorization, form)
  if (authorization !== null) {
    const basic = readBasic(authorization)
    if (form.client_secret !== undefined)
      throw new OAuthError('invalid_request', {
        description: 'The client authenticates in two ways at once.',
      })
    if (body !== undefined && body !== basic.clientId)
      throw new OAuthError('invalid_grant', {
        description: 'The client_id of the body is not that of the header.',
      })
    return basic
  }
  if (body === undefined)
    throw new OAuthError('invalid_request', { description: 'The request has no client credentials.' })
  return form.client_secret === undefined
    ? { clientId: body, method: 'none' }
    : { clientId: body, method: 'client_secret_post', secret: form.client_secret }
}

/** RFC 7521 section 4.2: the assertion says whose it is; a client_id beside it must say the same. */
function readAssertion(authorization: string | null, form: Params): Credentials {
  const { client_assertion: assertion, client_assertion_type: type } = form
  if (authorization !== null || form.client_secret !== undefined)
    throw new OAuthError('invalid_request', { description: 'The client authenticates in two ways at once.' })
  if (assertion === undefined || type !== JWT_BEARER)
    throw new OAuthError('invalid_request', {
      description: 'A client assertion needs client_assertion and the client_assertion_type of RFC 7523.',
    })
  const clientId = claimedClient(assertion)
  if (clientId === undefined)
    throw new OAuthError('invalid_request', { description: 'The client assertion is not a JWT with a sub.' })
  if (form.client_id !== undefined && form.client_id !== clientId)
    throw new OAuthError('invalid_grant', {
      description: 'The client_id of the body is not that of the assertion.',
    })
  return { clientId, method: 'assertion', assertion }
}

/** RFC 6749 section 2.3.1: both parts are form-url-encoded before they are joined and encoded. */
function readBasic(authorization: string): Credentials & { method: 'client_secret_basic' } {
  const match = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization.trim())
  const decoded = match?.[1] === undefined ? undefined : decodeBase64(match[1])
  const at = decoded?.indexOf(':') ?? -1
  if (/^bearer /i.test(authorization))
    throw new OAuthError('invalid_client', { description: 'A bearer token is no client credential here.' })
  if (decoded === undefined || at < 0)
    throw new OAuthError('invalid_request', { description: 'The Authorization header is malformed.' })
  return {
    clientId: decodeForm(decoded.slice(0, at)),
    method: 'client_secret_basic',
    secret: decodeForm(decoded.slice(at + 1)),
  }
}

function decodeBase64(text: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.fromBase64(text))
  } catch {
    return undefined
  }
}

/** Text that was not encoded stays as it is: generated secrets have nothing to encode, and many clients do not. */
function decodeForm(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}

import {
  deleteClient,
  findManagedClient,
  listDeviceUsers,
  replaceRegistration,
} from '../../sql/client-registrations.ts'
import type { ClientRow } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'
import { apiCors } from '../http/cors.ts'
import { OAuthError } from '../http/errors.ts'
import { empty, json } from '../http/reply.ts'
import { requesterOf } from '../http/requester.ts'
import type { PathParams, Route } from '../http/route.ts'
import { limitSubject, take } from '../identity/limits.ts'
import { equalSecrets, sha256 } from '../lib/digest.ts'
import { transact } from '../lib/transact.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import {
  checkRegistration,
  columnsOf,
  describeClient,
  newSecret,
  REGISTRATION_LIMIT,
  readRegistration,
  SECRET_METHODS,
} from './registration.ts'

/** What we decide about a client, and what it may not send back (RFC 7592 section 2.2). */
const OURS = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
]

/** What a wrong token, a wrong client and no token have in common: nobody learns which it was. */
const unauthorized = (presented: boolean): Response =>
  empty(401, { 'www-authenticate': presented ? 'Bearer error="invalid_token"' : 'Bearer' })

/** A client that may be managed, and the token that it showed. */
interface Managed {
  client: ClientRow
  token: string
}

/** The client of the path, if the registration access token is its own (RFC 7592 sections 2 and 5). */
async function authenticate(
  deps: Pick<Deps, 'sql'>,
  request: Request,
  ulid: string,
): Promise<Managed | Response> {
  const token = /^bearer +([\x21-\x7e]{1,200})$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  if (token === undefined) return unauthorized(request.headers.has('authorization'))
  const id = uuidFromUlid(ulid)
  const [client] = id === undefined ? [] : await findManagedClient(deps.sql, id, sha256(token))
  return client ? { client, token } : unauthorized(true)
}

/** GET /oauth2/registration/{id} (RFC 7592 section 2.1). */
async function read(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const managed = await authenticate(deps, request, id)
  if (managed instanceof Response) return managed
  const { client, token } = managed
  return json(describeClient(deps, client, await secretOf(deps, client), token))
}

/**
 * PUT /oauth2/registration/{id} (RFC 7592 section 2.2): replaces everything, under every rule of a registration. What is
 * left out is taken away. The client keeps its id, its token and, as long as its method needs one, its secret.
 */
async function replace(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const managed = await authenticate(deps, request, id)
  if (managed instanceof Response) return managed
  const { client, token } = managed
  const requester = requesterOf(deps, request)
  await take(deps, 'client-registration.ip', limitSubject(requester.ip), REGISTRATION_LIMIT)
  const body = await readRegistration(request)
  const current = await secretOf(deps, client)
  checkOwnMembers(client, current, body)
  const columns = columnsOf(deps, await checkRegistration(deps, body, requester))
  const secret = SECRET_METHODS.includes(columns.authMethod) ? (current ?? newSecret(deps)) : undefined
  const [replaced] = await replaceRegistration(deps.sql, {
    ...columns,
    id: client.id,
    sealedSecret: secret === undefined ? null : await deps.secrets.seal(secret, `client:${client.id}`),
  })
  if (!replaced) return unauthorized(true)
  deps.log.info('client.replaced', { client_id: ulidFromUuid(client.id) })
  return json(describeClient(deps, replaced, secret, token))
}

/**
 * The members that say which client it is and what we gave it: the id must be there, the secret may be and only as it
 * is, the rest must not.
 *
 * @throws OAuthError invalid_request, invalid_client_metadata
 */
function checkOwnMembers(client: ClientRow, secret: string | undefined, body: unknown): void {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new OAuthError('invalid_request', { description: 'The body must be a JSON object.' })
  const members = body as Record<string, unknown>
  for (const name of OURS)
    if (Object.hasOwn(members, name))
      throw new OAuthError('invalid_request', { description: `${name} must not be sent.` })
  if (members.client_id !== ulidFromUuid(client.id))
    throw new OAuthError('invalid_request', { description: 'client_id must be that of this client.' })
  const given = Object.hasOwn(members, 'client_secret') ? members.client_secret : undefined
  if (given === undefined) return
  if (secret === undefined || typeof given !== 'string' || !equalSecrets(given, secret))
    throw new OAuthError('invalid_client_metadata', {
      description: 'client_secret must be the one that was given out, or left out.',
    })
}

/** DELETE /oauth2/registration/{id} (RFC 7592 section 2.3): the client, its sessions, its tokens and its consents. */
async function remove(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const managed = await authenticate(deps, request, id)
  if (managed instanceof Response) return managed
  const { client } = managed
  await transact(deps.sql, async (tx) => {
    for (const { user_id } of await listDeviceUsers(tx, client.id))
      await deps.jobs.enqueue(tx, 'sync-devices', { user_id })
    await deleteClient(tx, client.id)
  })
  deps.log.info('client.deleted', { client_id: ulidFromUuid(client.id) })
  return empty(204)
}

async function secretOf(deps: Pick<Deps, 'secrets'>, client: ClientRow): Promise<string | undefined> {
  if (client.sealed_secret === null) return undefined
  const secret = await deps.secrets.open(client.sealed_secret, `client:${client.id}`)
  if (secret === undefined)
    throw new OAuthError('server_error', { cause: 'the client secret cannot be unsealed' })
  return secret
}

/** Answers the error of RFC 6750 for anybody who does not manage the client of the path. */
export const registrationManagementRoutes = (deps: Deps): Route[] => {
  const path = '/oauth2/registration/{id}'
  return [
    { method: 'GET', path, cors: apiCors, handle: (request, params) => read(deps, request, params) },
    { method: 'PUT', path, cors: apiCors, handle: (request, params) => replace(deps, request, params) },
    { method: 'DELETE', path, cors: apiCors, handle: (request, params) => remove(deps, request, params) },
  ]
}

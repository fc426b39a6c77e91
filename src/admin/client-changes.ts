import { type Static, Type } from '@sinclair/typebox'
import { type AdminClientRow, findAdminClient } from '../../sql/admin-clients.ts'
import type { ClientMetadata } from '../../sql/clients.ts'
import { AdminError, OAuthError } from '../http/errors.ts'
import {
  createOperatorClient,
  deleteClientFor,
  renewOperatorSecret,
  replaceOperatorClient,
} from '../oauth/operator-clients.ts'
import { answers, CLIENT } from './clients.ts'
import { type Call, type Operation, operation, type Refusal, type Reply } from './operation.ts'
import { found, single } from './resource.ts'
import { nullable, oneOf } from './schemas.ts'

const METHODS = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
] as const

const Uri = (description: string) =>
  Type.String({ maxLength: 2000, pattern: '^[a-zA-Z][a-zA-Z0-9+.-]*:', description })
const maybe = (description: string) => Type.Optional(nullable(Uri(description)))
const uris = (description: string) =>
  Type.Optional(Type.Array(Uri('An address.'), { maxItems: 50, description }))

/** Names as in the registration of clients (RFC 7591). */
const MEMBERS = {
  client_name: Type.Optional(
    nullable(Type.String({ minLength: 1, maxLength: 200, description: 'On the consent page and in lists.' })),
  ),
  client_uri: maybe('Its home page.'),
  logo_uri: maybe('Its picture.'),
  policy_uri: maybe('Its privacy policy.'),
  tos_uri: maybe('Its terms of use.'),
  redirect_uris: uris('Where people may be sent back to.'),
  post_logout_redirect_uris: uris('Where people may be sent back to after signing out.'),
  backchannel_logout_uri: maybe('Where it is told that somebody signed out: https.'),
  grant_types: Type.Optional(
    Type.Array(Type.String({ maxLength: 100 }), {
      maxItems: 10,
      description: 'What it may ask for tokens with; `authorization_code` and `refresh_token` when absent.',
    }),
  ),
  token_endpoint_auth_method: Type.Optional(
    oneOf(METHODS, 'How it proves who it is; `client_secret_basic` when absent.'),
  ),
  jwks: Type.Optional(
    nullable(
      Type.Object(
        { keys: Type.Array(Type.Object({}, { additionalProperties: true }), { maxItems: 20 }) },
        { additionalProperties: false, description: 'Its public keys, for `private_key_jwt`.' },
      ),
    ),
  ),
  jwks_uri: maybe('Where its public keys are, instead of `jwks`: https.'),
}
const Body = Type.Object(MEMBERS, {
  additionalProperties: false,
  examples: [{ client_name: 'Intranet', redirect_uris: ['https://intranet.example.com/callback'] }],
})

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such client.' } as const
const INVALID: Refusal = {
  status: 400,
  code: 'invalid_client_metadata',
  when: 'The members do not go together, or an address is none.',
}
const CONFIGURED: Refusal = {
  status: 409,
  code: 'configured_client',
  when: 'The configuration names the client, and alone changes it.',
}
const REGISTERED: Refusal = {
  status: 409,
  code: 'registered_client',
  when: 'The client registered itself; others share its registration.',
}

/** What an admin wrote over what there was; null takes a member away. */
function mergeMetadata(before: ClientMetadata, body: Static<typeof Body>): ClientMetadata {
  const merged: Record<string, unknown> = { ...before, ...body }
  for (const [name, value] of Object.entries(merged)) if (value === null) delete merged[name]
  return merged
}

/** A refusal of the rules for clients as one of this API. @throws AdminError 400 */
const refuse = (error: unknown): never => {
  if (!(error instanceof OAuthError)) throw error
  const member = error.code === 'invalid_redirect_uri' ? { source: { pointer: '/redirect_uris' } } : {}
  throw new AdminError(400, 'invalid_client_metadata', 'The client is not valid.', {
    ...member,
    ...(error.description !== undefined && { detail: error.description }),
    cause: error,
  })
}

const rowOf = async ({ deps, params }: Call): Promise<AdminClientRow> =>
  found((await findAdminClient(deps.sql, params.id ?? ''))[0], 'client')

/** @throws AdminError 409 for a client that no admin made */
function requireOwn({ by_api, is_static }: AdminClientRow): void {
  if (by_api) return
  if (is_static) throw new AdminError(409, 'configured_client', 'This client is one of the configuration.')
  throw new AdminError(409, 'registered_client', 'This client registered itself.', {
    detail: 'It can be deleted, not changed.',
  })
}

/** The client as it is now, with a secret that is shown this once. */
async function shown(call: Call, id: string, secret: string | undefined, status: 200 | 201): Promise<Reply> {
  const [row] = await findAdminClient(call.deps.sql, id)
  return single(call, CLIENT, { ...found(row, 'client'), secret }, status)
}

export const clientChanges: Operation[] = [
  operation({
    method: 'POST',
    path: CLIENT.path,
    id: 'createOAuth2Client',
    area: 'clients',
    everythingOnly: true,
    summary: 'Make an OAuth 2.0 client',
    description:
      "One of the operator's own: people sign in to it without being asked. Its secret, where its method has one, is in " +
      'this answer only.',
    body: Body,
    success: { status: 201, description: 'The client.', schema: answers.single },
    refusals: [INVALID],
    async handle(call) {
      const defaults = { grant_types: ['authorization_code', 'refresh_token'] }
      const metadata = mergeMetadata(defaults, call.body)
      const made = await createOperatorClient(call.deps, metadata).catch(refuse)
      return shown(call, made.id, made.secret, 201)
    },
  }),
  operation({
    method: 'PUT',
    path: `${CLIENT.path}/{id}`,
    id: 'updateOAuth2Client',
    area: 'clients',
    everythingOnly: true,
    summary: 'Change an OAuth 2.0 client',
    description:
      'One that this API made. What is absent stays; null takes a member away. The secret stays, and one that it had not ' +
      'is in this answer only.',
    body: Body,
    success: { status: 200, description: 'The client.', schema: answers.single },
    refusals: [INVALID, NOT_FOUND, CONFIGURED, REGISTERED],
    async handle(call) {
      const row = await rowOf(call)
      requireOwn(row)
      const before = {
        ...row.metadata,
        redirect_uris: row.redirect_uris,
        grant_types: row.grant_types,
        token_endpoint_auth_method: row.auth_method,
      }
      const changed = await replaceOperatorClient(
        call.deps,
        { id: row.id, hasSecret: row.has_secret },
        mergeMetadata(before, call.body),
      ).catch(refuse)
      found(changed.found ? row : undefined, 'client')
      return shown(call, row.id, changed.secret, 200)
    },
  }),
  operation({
    method: 'POST',
    path: `${CLIENT.path}/{id}/regenerate-secret`,
    id: 'regenerateOAuth2ClientSecret',
    area: 'clients',
    everythingOnly: true,
    summary: 'Give an OAuth 2.0 client another secret',
    description: 'One that this API made. The secret before stops working at once.',
    success: { status: 201, description: 'The client with its new secret.', schema: answers.single },
    refusals: [
      NOT_FOUND,
      CONFIGURED,
      REGISTERED,
      { status: 409, code: 'no_secret', when: 'The client has no secret.' },
    ],
    async handle(call) {
      const row = await rowOf(call)
      requireOwn(row)
      const secret = await renewOperatorSecret(call.deps, row.id)
      if (secret === undefined) throw new AdminError(409, 'no_secret', 'This client has no secret.')
      return shown(call, row.id, secret, 201)
    },
  }),
  operation({
    method: 'DELETE',
    path: `${CLIENT.path}/{id}`,
    id: 'deleteOAuth2Client',
    area: 'clients',
    summary: 'Delete an OAuth 2.0 client',
    description:
      'With its sessions, tokens and consents; the homeserver forgets its devices. An app that registered itself may ' +
      'register again.',
    success: { status: 204, description: 'It is gone.' },
    refusals: [NOT_FOUND, CONFIGURED],
    async handle(call) {
      const row = await rowOf(call)
      const { target } = single(call, CLIENT, row)
      if (!(await deleteClientFor(call.deps, row.id)))
        throw new AdminError(409, 'configured_client', 'This client is one of the configuration.', {
          detail: 'Take it out there, then run: latchkey config sync --prune',
        })
      return { status: 204, target }
    },
  }),
]

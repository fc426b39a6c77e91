import { Type } from '@sinclair/typebox'
import { type AdminClientRow, countClients, findAdminClient, listClients } from '../../sql/admin-clients.ts'
import { type Operation, operation } from './operation.ts'
import { answersOf, found, idOf, list, type ResourceKind, single } from './resource.ts'
import { listQuery, nullable, oneOf, Ulid } from './schemas.ts'

/** A client, and its secret in the one answer that shows it. */
type Shown = AdminClientRow & { secret?: string | undefined }

export const CLIENT: ResourceKind<Shown> = {
  type: 'oauth2-client',
  path: '/oauth2-clients',
  attributes: (row) => ({
    client_id: idOf(row.id),
    client_name: row.metadata.client_name ?? null,
    client_uri: row.metadata.client_uri ?? null,
    logo_uri: row.metadata.logo_uri ?? null,
    redirect_uris: row.redirect_uris,
    grant_types: row.grant_types,
    is_static: row.is_static,
    origin: row.by_api ? 'api' : row.is_static ? 'configuration' : 'registration',
    token_endpoint_auth_method: row.auth_method,
    policy_uri: row.metadata.policy_uri ?? null,
    tos_uri: row.metadata.tos_uri ?? null,
    post_logout_redirect_uris: row.metadata.post_logout_redirect_uris ?? [],
    backchannel_logout_uri: row.metadata.backchannel_logout_uri ?? null,
    client_secret: row.secret,
  }),
}

export const answers = answersOf(
  'oauth2-client',
  Type.Object({
    client_id: Ulid(),
    client_name: nullable(Type.String({ examples: ['Element'] })),
    client_uri: nullable(Type.String()),
    logo_uri: nullable(Type.String()),
    redirect_uris: Type.Array(Type.String()),
    grant_types: Type.Array(Type.String()),
    is_static: Type.Boolean({
      description: "The operator's own: of the configuration, or made by this API.",
    }),
    origin: oneOf(
      ['api', 'configuration', 'registration'],
      'Who made it: this API, the configuration, which alone changes it, or itself.',
    ),
    token_endpoint_auth_method: Type.String({ examples: ['client_secret_basic'] }),
    policy_uri: nullable(Type.String()),
    tos_uri: nullable(Type.String()),
    post_logout_redirect_uris: Type.Array(Type.String()),
    backchannel_logout_uri: nullable(Type.String()),
    client_secret: Type.Optional(
      Type.String({ description: 'In this answer only: it is not shown again.', examples: ['Wd9kT2mQx7Lp'] }),
    ),
  }),
)

const listOperation = operation({
  method: 'GET',
  path: CLIENT.path,
  id: 'listOAuth2Clients',
  area: 'clients',
  summary: 'List OAuth 2.0 clients',
  query: listQuery({
    'filter[client-kind]': Type.Optional(
      oneOf(['dynamic', 'static'], 'Those that registered themselves, or those of the operator.'),
    ),
    'filter[client-name]': Type.Optional(
      Type.String({ minLength: 1, maxLength: 255, description: 'A part of it.' }),
    ),
    'filter[client-uri]': Type.Optional(
      Type.String({ minLength: 1, maxLength: 255, description: 'A part of it.' }),
    ),
    'filter[grant-type]': Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    'filter[has-active-sessions]': Type.Optional(Type.Boolean()),
  }),
  success: { status: 200, description: 'Clients in the order in which they came.', schema: answers.list },
  async handle(call) {
    const { deps, query } = call
    const kind = query['filter[client-kind]']
    const filter = {
      isStatic: kind === undefined ? undefined : kind === 'static',
      name: query['filter[client-name]'],
      uri: query['filter[client-uri]'],
      grantType: query['filter[grant-type]'],
      hasActiveSessions: query['filter[has-active-sessions]'],
    }
    return list(call, CLIENT, {
      rows: (page) => listClients(deps.sql, filter, page),
      count: (how) => countClients(deps.sql, filter, how),
    })
  },
})

const getOperation = operation({
  method: 'GET',
  path: `${CLIENT.path}/{id}`,
  id: 'getOAuth2Client',
  area: 'clients',
  summary: 'Get an OAuth 2.0 client',
  success: { status: 200, description: 'The client.', schema: answers.single },
  refusals: [{ status: 404, code: 'not_found', when: 'There is no such client.' }],
  async handle(call) {
    const [row] = await findAdminClient(call.deps.sql, call.params.id ?? '')
    return single(call, CLIENT, found(row, 'client'))
  },
})

export const clientOperations: Operation[] = [listOperation, getOperation]

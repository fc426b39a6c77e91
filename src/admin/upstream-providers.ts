import { Type } from '@sinclair/typebox'
import {
  countUpstreamProviders,
  findUpstreamProvider,
  listUpstreamProviders,
} from '../../sql/admin-upstream.ts'
import type { UpstreamProviderRow } from '../../sql/upstream-providers.ts'
import { type Operation, operation } from './operation.ts'
import { answersOf, found, list, type ResourceKind, single, timeOf } from './resource.ts'
import { listQuery, nullable, oneOf, Time } from './schemas.ts'

export const PROVIDER: ResourceKind<UpstreamProviderRow> = {
  type: 'upstream-oauth-provider',
  path: '/upstream-oauth-providers',
  attributes: (row) => ({
    issuer: row.issuer,
    human_name: row.human_name,
    brand_name: row.brand_name,
    created_at: row.created_at.toISOString(),
    disabled_at: timeOf(row.disabled_at),
    registration_token_required: row.registration_token_required,
    origin: row.by_api ? 'api' : 'configuration',
    settings: row.settings,
    has_secret: row.by_api ? row.has_secret : null,
  }),
}

export const answers = answersOf(
  PROVIDER.type,
  Type.Object({
    issuer: nullable(Type.String()),
    human_name: nullable(Type.String({ description: 'Name on the button.' })),
    brand_name: nullable(Type.String()),
    created_at: Time('When it was made, or first was in the configuration.'),
    disabled_at: nullable(Time('When it was switched off, or left the configuration.')),
    registration_token_required: Type.Boolean({ description: 'New accounts need an invitation.' }),
    origin: oneOf(
      ['api', 'configuration'],
      'Who made it: this API, or the configuration, which alone changes it.',
    ),
    settings: nullable(
      Type.Object(
        {},
        {
          additionalProperties: true,
          description:
            'What was said of it here, without its secrets; null for those of the configuration, where the rest stands.',
          examples: [{ client_id: 'latchkey', token_endpoint_auth_method: 'client_secret_basic' }],
        },
      ),
    ),
    has_secret: nullable(
      Type.Boolean({ description: 'Whether a secret is stored; null for those of the configuration.' }),
    ),
  }),
)

/** Providers, those of the configuration too; `provider-changes.ts` changes those that the API made. */
export const upstreamProviderOperations: Operation[] = [
  operation({
    method: 'GET',
    path: PROVIDER.path,
    id: 'listUpstreamOAuthProviders',
    area: 'users',
    summary: 'List providers that people may sign in with',
    query: listQuery({
      'filter[enabled]': Type.Optional(Type.Boolean({ description: 'Whether it is offered.' })),
    }),
    success: { status: 200, description: 'Providers.', schema: answers.list },
    async handle(call) {
      const { deps, query } = call
      const enabled = query['filter[enabled]']
      return list(call, PROVIDER, {
        rows: (page) => listUpstreamProviders(deps.sql, enabled, page),
        count: (how) => countUpstreamProviders(deps.sql, enabled, how),
      })
    },
  }),
  operation({
    method: 'GET',
    path: `${PROVIDER.path}/{id}`,
    id: 'getUpstreamOAuthProvider',
    area: 'users',
    summary: 'Get a provider',
    success: { status: 200, description: 'The provider.', schema: answers.single },
    refusals: [{ status: 404, code: 'not_found', when: 'There is no such provider.' }],
    async handle(call) {
      const [row] = await findUpstreamProvider(call.deps.sql, call.params.id ?? '')
      return single(call, PROVIDER, found(row, 'upstream provider'))
    },
  }),
]

import { Type } from '@sinclair/typebox'
import {
  countUpstreamProviders,
  findUpstreamProvider,
  listUpstreamProviders,
} from '../../sql/admin-upstream.ts'
import type { UpstreamProviderRow } from '../../sql/upstream-providers.ts'
import { type Operation, operation } from './operation.ts'
import { answersOf, found, list, type ResourceKind, single, timeOf } from './resource.ts'
import { listQuery, nullable, Time } from './schemas.ts'

const PROVIDER: ResourceKind<UpstreamProviderRow> = {
  type: 'upstream-oauth-provider',
  path: '/upstream-oauth-providers',
  attributes: (row) => ({
    issuer: row.issuer,
    human_name: row.human_name,
    brand_name: row.brand_name,
    created_at: row.created_at.toISOString(),
    disabled_at: timeOf(row.disabled_at),
    registration_token_required: row.registration_token_required,
  }),
}

const answers = answersOf(
  PROVIDER.type,
  Type.Object({
    issuer: nullable(Type.String()),
    human_name: nullable(Type.String({ description: 'Name on the button.' })),
    brand_name: nullable(Type.String()),
    created_at: Time('When it first was in the configuration.'),
    disabled_at: nullable(Time('When it left the configuration, or was switched off there.')),
    registration_token_required: Type.Boolean({ description: 'New accounts need an invitation.' }),
  }),
)

/** Providers stand in the configuration: here they are only read. */
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

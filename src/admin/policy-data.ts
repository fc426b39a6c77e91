import { Type } from '@sinclair/typebox'
import { findPolicyData, type PolicyDataRow } from '../../sql/policy-data.ts'
import { AdminError } from '../http/errors.ts'
import { currentPolicyData, PolicyDataError, setPolicyData } from '../identity/policy-data.ts'
import { type Operation, operation } from './operation.ts'
import { answersOf, found, type ResourceKind, single } from './resource.ts'
import { Time } from './schemas.ts'

const POLICY_DATA: ResourceKind<PolicyDataRow> = {
  type: 'policy-data',
  path: '/policy-data',
  attributes: (row) => ({ created_at: row.created_at.toISOString(), data: row.data }),
}

const Data = Type.Unknown({ description: 'As `policy.data` of the configuration.' })
const answers = answersOf('policy-data', Type.Object({ created_at: Time('When it was set.'), data: Data }))
const NONE = { status: 404, code: 'not_found', when: 'There is no such policy data.' } as const
const success = { status: 200, description: 'The policy data.', schema: answers.single } as const

export const policyDataOperations: Operation[] = [
  operation({
    method: 'POST',
    path: POLICY_DATA.path,
    id: 'setPolicyData',
    area: 'server',
    everythingOnly: true,
    summary: 'Set the policy data',
    description:
      'Takes the place of what was set before, and is merged over `policy.data` of the configuration: mappings key by ' +
      'key, lists appended, null takes a key away.',
    body: Type.Object({ data: Data }, { additionalProperties: false }),
    success: {
      status: 201,
      description: 'In force here at once, elsewhere in seconds.',
      schema: answers.single,
    },
    refusals: [{ status: 400, code: 'invalid_policy_data', when: 'The rules cannot work with it.' }],
    async handle(call) {
      try {
        return single(call, POLICY_DATA, await setPolicyData(call.deps, call.body.data), 201)
      } catch (error) {
        if (!(error instanceof PolicyDataError)) throw error
        throw new AdminError(400, 'invalid_policy_data', 'The rules cannot work with this data.', {
          detail: error.message,
          source: { pointer: '/data' },
          cause: error,
        })
      }
    },
  }),
  operation({
    method: 'GET',
    path: `${POLICY_DATA.path}/latest`,
    id: 'getLatestPolicyData',
    area: 'server',
    summary: 'Get the policy data that is in force',
    success,
    refusals: [NONE],
    handle: async (call) =>
      single(call, POLICY_DATA, found(await currentPolicyData(call.deps), 'policy data')),
  }),
  operation({
    method: 'GET',
    path: `${POLICY_DATA.path}/{id}`,
    id: 'getPolicyData',
    area: 'server',
    summary: 'Get policy data that was set once',
    description: 'The last ten are kept.',
    success,
    refusals: [NONE],
    async handle(call) {
      const [row] = await findPolicyData(call.deps.sql, call.params.id ?? '')
      return single(call, POLICY_DATA, found(row, 'policy data'))
    },
  }),
]

import { Type } from '@sinclair/typebox'
import { type AuditRow, countAuditEntries, findAuditEntry, listAuditEntries } from '../../sql/audit.ts'
import { timeOfId, uuidFromUlid } from '../lib/ulid.ts'
import { existingUser } from './existing.ts'
import { settledBefore, untilAny, Wait } from './follow.ts'
import { type Operation, operation } from './operation.ts'
import { answersOf, found, idOf, list, type ResourceKind, single } from './resource.ts'
import { listQuery, nullable, Time, Ulid } from './schemas.ts'

const ENTRY: ResourceKind<AuditRow> = {
  type: 'audit-entry',
  path: '/audit-log',
  attributes: (row) => ({
    at: timeOfId(row.id).toISOString(),
    action: row.action,
    actor_user_id: idOf(row.actor_user_id),
    actor_username: row.actor_username,
    actor_client_id: idOf(row.actor_client_id),
    target_type: row.target_type,
    target_id: idOf(row.target_id),
    ip: row.ip,
  }),
}

const answers = answersOf(
  ENTRY.type,
  Type.Object({
    at: Time('When it was done.'),
    action: Type.String({ description: 'The operation of this API.', examples: ['lockUser'] }),
    actor_user_id: nullable(Ulid('The admin, or as whom a personal token acts.')),
    actor_username: nullable(Type.String()),
    actor_client_id: nullable(Ulid('The client that was used.')),
    target_type: nullable(Type.String({ description: 'What was changed.', examples: ['user'] })),
    target_id: nullable(Ulid()),
    ip: nullable(Type.String()),
  }),
)

const listOperation = operation({
  method: 'GET',
  path: ENTRY.path,
  id: 'listAuditEntries',
  area: 'server',
  summary: 'List what admins did',
  description:
    'In the order in which it was done. To follow, ask with `page[after]` of the last entry and `wait`: the answer comes ' +
    'with the next entry (two seconds after it was made), or empty when the time is over.',
  query: listQuery({
    'filter[actor]': Type.Optional(Ulid('Done by this user.')),
    'filter[target]': Type.Optional(Ulid('Done to this resource, which may be gone.')),
    'filter[action]': Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    wait: Wait,
  }),
  success: { status: 200, description: 'Entries.', schema: answers.list },
  refusals: [{ status: 404, code: 'not_found', when: 'There is no such user.' }],
  async handle(call) {
    const { deps, query } = call
    const asked = {
      actorUserId: await existingUser(deps, query['filter[actor]']),
      targetId: query['filter[target]'] && uuidFromUlid(query['filter[target]']),
      action: query['filter[action]'],
    }
    const filter = () => ({ ...asked, settledBefore: settledBefore(deps, query) })
    await untilAny(query, (page) => listAuditEntries(deps.sql, filter(), page))
    return list(call, ENTRY, {
      rows: (page) => listAuditEntries(deps.sql, filter(), page),
      count: (how) => countAuditEntries(deps.sql, filter(), how),
    })
  },
})

const getOperation = operation({
  method: 'GET',
  path: `${ENTRY.path}/{id}`,
  id: 'getAuditEntry',
  area: 'server',
  summary: 'Get what an admin did',
  success: { status: 200, description: 'The entry.', schema: answers.single },
  refusals: [{ status: 404, code: 'not_found', when: 'There is no such entry.' }],
  async handle(call) {
    const [row] = await findAuditEntry(call.deps.sql, call.params.id ?? '')
    return single(call, ENTRY, found(row, 'entry'))
  },
})

export const auditOperations: Operation[] = [listOperation, getOperation]

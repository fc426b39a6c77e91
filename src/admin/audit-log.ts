import { Type } from '@sinclair/typebox'
import { type AuditRow, countAuditEntries, listAuditEntries } from '../../sql/audit.ts'
import { addSeconds } from '../lib/clock.ts'
import { firstIdOf, timeOfId, uuidFromUlid } from '../lib/ulid.ts'
import { poll } from '../lib/waiting.ts'
import { existingUser } from './existing.ts'
import { type Operation, operation } from './operation.ts'
import { readPage } from './page.ts'
import { answersOf, idOf, list, type ResourceKind } from './resource.ts'
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

/** Seconds that a follower waits at most. */
const LONGEST_WAIT = 30
/**
 * Seconds until a follower is told of an entry. Processes write at the same time, and their clocks differ: an entry that
 * comes late must not come before the cursor.
 */
const SETTLING = 2

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
    wait: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: LONGEST_WAIT,
        description: 'Seconds to wait for an entry when there is none.',
        errorMessage: `It must be a number of seconds from 0 to ${LONGEST_WAIT}.`,
      }),
    ),
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
    const filter = () => ({
      ...asked,
      settledBefore:
        query.wait === undefined ? undefined : firstIdOf(addSeconds(deps.clock.now(), -SETTLING)),
    })
    if (query.wait !== undefined)
      await poll(query.wait * 1000, async () => {
        const rows = await listAuditEntries(deps.sql, filter(), { ...readPage(query), size: 1 })
        return rows[0]
      })
    return list(call, ENTRY, {
      rows: (page) => listAuditEntries(deps.sql, filter(), page),
      count: () => countAuditEntries(deps.sql, filter()),
    })
  },
})

export const auditOperations: Operation[] = [listOperation]

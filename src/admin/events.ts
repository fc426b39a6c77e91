import { Type } from '@sinclair/typebox'
import { countEvents, type EventRow, findEvent, listEvents } from '../../sql/events.ts'
import { timeOfId } from '../lib/ulid.ts'
import { existingUser } from './existing.ts'
import { settledBefore, untilAny, Wait } from './follow.ts'
import { type Operation, operation } from './operation.ts'
import { answersOf, found, idOf, list, type ResourceKind, single } from './resource.ts'
import { listQuery, nullable, oneOf, Time, Ulid } from './schemas.ts'

const EVENT: ResourceKind<EventRow> = {
  type: 'event',
  path: '/events',
  attributes: (row) => ({
    at: timeOfId(row.id).toISOString(),
    source: row.source,
    kind: row.kind,
    actor: row.actor,
    actor_user_id: idOf(row.actor_user_id),
    actor_client_id: idOf(row.actor_client_id),
    target_type: row.target_type,
    target_id: idOf(row.target_id),
    ip: row.ip,
    user_agent: row.user_agent,
    details: row.details,
  }),
}

const answers = answersOf(
  EVENT.type,
  Type.Object({
    at: Time('When it happened.'),
    source: oneOf(['admin', 'account'], 'The log of this API, or the security logs of accounts.'),
    kind: Type.String({
      description: 'The operation of this API, or what happened to the account.',
      examples: ['lockUser', 'signed_in'],
    }),
    actor: oneOf(
      ['self', 'admin', 'system'],
      'The owner of the account, an admin, or this server by itself.',
    ),
    actor_user_id: nullable(Ulid('The admin, where this API was used.')),
    actor_client_id: nullable(Ulid('The client that was used.')),
    target_type: nullable(Type.String({ examples: ['user'] })),
    target_id: nullable(Ulid('What it happened to.')),
    ip: nullable(Type.String()),
    user_agent: nullable(Type.String()),
    details: Type.Record(Type.String(), Type.String(), { description: 'What it was about; never a secret.' }),
  }),
)

export const eventOperations: Operation[] = [
  operation({
    method: 'GET',
    path: EVENT.path,
    id: 'listEvents',
    area: 'server',
    summary: 'List what happened, and wait for more',
    description:
      'What admins did and what happened to accounts, in one list. To follow it, ask with `after` of the last event and ' +
      '`wait`: the answer comes with the next one (two seconds after it happened), or empty when the time is over.',
    query: listQuery({
      'filter[source]': Type.Optional(oneOf(['admin', 'account'], 'Of one of the two logs.')),
      'filter[kind]': Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
      'filter[user]': Type.Optional(Ulid('What happened to this user.')),
      after: Type.Optional(Ulid('The same as `page[after]`.')),
      wait: Wait,
    }),
    success: { status: 200, description: 'Events.', schema: answers.list },
    refusals: [{ status: 404, code: 'not_found', when: 'There is no such user.' }],
    async handle(call) {
      const { deps } = call
      const query = { ...call.query, 'page[after]': call.query['page[after]'] ?? call.query.after }
      const asked = {
        source: query['filter[source]'],
        kind: query['filter[kind]'],
        userId: await existingUser(deps, query['filter[user]']),
      }
      const filter = () => ({ ...asked, settledBefore: settledBefore(deps, query) })
      await untilAny(query, (page) => listEvents(deps.sql, filter(), page))
      return list({ ...call, query }, EVENT, {
        rows: (page) => listEvents(deps.sql, filter(), page),
        count: (how) => countEvents(deps.sql, filter(), how),
      })
    },
  }),
  operation({
    method: 'GET',
    path: `${EVENT.path}/{id}`,
    id: 'getEvent',
    area: 'server',
    summary: 'Get one thing that happened',
    success: { status: 200, description: 'The event.', schema: answers.single },
    refusals: [{ status: 404, code: 'not_found', when: 'There is no such event.' }],
    async handle(call) {
      const [row] = await findEvent(call.deps.sql, call.params.id ?? '')
      return single(call, EVENT, found(row, 'event'))
    },
  }),
]

import { Type } from '@sinclair/typebox'
import {
  type AdminPersonalSessionRow,
  countPersonalSessions,
  findAdminPersonalSession,
  listAdminPersonalSessions,
} from '../../sql/admin-personal-sessions.ts'
import { findUser } from '../../sql/users.ts'
import { AdminError } from '../http/errors.ts'
import {
  createPersonalToken,
  regeneratePersonalToken,
  revokePersonalSession,
  TOKEN_NAME_LIMIT,
} from '../identity/personal-tokens.ts'
import { parseScope } from '../lib/scope.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import type { Caller } from './caller.ts'
import { existingClient, existingUser, filteredScopes, filteredTime } from './existing.ts'
import { type Call, type Operation, operation, type Reply } from './operation.ts'
import { answersOf, found, idOf, list, type ResourceKind, single, timeOf } from './resource.ts'
import { listQuery, nullable, oneOf, Time, Ulid } from './schemas.ts'

/** A session, and its token in the one answer that shows it. */
type Shown = AdminPersonalSessionRow & { token?: string }

const PERSONAL: ResourceKind<Shown> = {
  type: 'personal-session',
  path: '/personal-sessions',
  attributes: (row) => ({
    created_at: row.created_at.toISOString(),
    revoked_at: timeOf(row.finished_at),
    owner_user_id: idOf(row.owner_user_id),
    owner_client_id: idOf(row.owner_client_id),
    actor_user_id: idOf(row.user_id),
    human_name: row.human_name,
    scope: row.scope.join(' '),
    last_active_at: timeOf(row.last_active_at),
    last_active_ip: row.last_active_ip,
    expires_at: timeOf(row.expires_at),
    access_token: row.token,
  }),
}

const answers = answersOf(
  'personal-session',
  Type.Object({
    created_at: Time('When it was made.'),
    revoked_at: nullable(Time('When it was revoked.')),
    owner_user_id: nullable(Ulid('Who made it; absent when a client did.')),
    owner_client_id: nullable(Ulid('The client that made it.')),
    actor_user_id: Ulid('Whom it acts as.'),
    human_name: Type.String({ examples: ['Backup script'] }),
    scope: Type.String({ examples: ['urn:mas:admin'] }),
    last_active_at: nullable(Time('When it was last used, to the minute.')),
    last_active_ip: nullable(Type.String()),
    expires_at: nullable(Time('When its token expires; null for never.')),
    access_token: Type.Optional(
      Type.String({ description: 'The token. In this answer only: it is not stored.', examples: ['mpt_…'] }),
    ),
  }),
)

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such session.' } as const
/** Seconds. Longer than anybody plans for, and an integer of the database all the same. */
const LONGEST = 100 * 365 * 24 * 3600
const ExpiresIn = Type.Optional(
  nullable(
    Type.Integer({
      minimum: 1,
      maximum: LONGEST,
      description: 'Seconds until the token expires; never when absent.',
    }),
  ),
)

const rowOf = async ({ deps, params }: Call): Promise<AdminPersonalSessionRow> =>
  found((await findAdminPersonalSession(deps.sql, params.id ?? ''))[0], 'session')

/** The owner of what a caller makes: the person that it acts as, or the client itself (reference operations 2.3). */
const ownerOf = (caller: Caller): { userId: string } | { clientId: string } =>
  caller.userId === undefined ? { clientId: caller.clientId ?? '' } : { userId: caller.userId }

const owns = (caller: Caller, row: AdminPersonalSessionRow): boolean =>
  caller.userId === undefined ? row.owner_client_id === caller.clientId : row.owner_user_id === caller.userId

const listOperation = operation({
  method: 'GET',
  path: PERSONAL.path,
  id: 'listPersonalSessions',
  area: 'sessions',
  summary: 'List personal sessions',
  query: listQuery({
    'filter[owner_user]': Type.Optional(Ulid('Made by this user.')),
    'filter[owner_client]': Type.Optional(Ulid('Made by this client.')),
    'filter[actor_user]': Type.Optional(Ulid('Acting as this user.')),
    'filter[user]': Type.Optional(Ulid('The same, as some consoles call it.')),
    'filter[scope]': Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { description: 'With all of these scopes.' }),
    ),
    'filter[status]': Type.Optional(oneOf(['active', 'revoked'], 'Whether they were revoked.')),
    'filter[expires_before]': Type.Optional(Time('With a token that expires before this time.')),
    'filter[expires_after]': Type.Optional(Time('With a token that expires after this time.')),
    'filter[expires]': Type.Optional(Type.Boolean({ description: 'Whether the token ever expires.' })),
  }),
  success: { status: 200, description: 'Sessions.', schema: answers.list },
  refusals: [
    { status: 404, code: 'not_found', when: 'What a filter names does not exist.' },
    { status: 400, code: 'invalid_scope', when: 'A scope of the filter is none.' },
  ],
  async handle(call) {
    const { deps, query } = call
    const filter = {
      ownerUserId: await existingUser(deps, query['filter[owner_user]']),
      ownerClientId: await existingClient(deps, query['filter[owner_client]']),
      actorUserId: await existingUser(deps, query['filter[actor_user]'] ?? query['filter[user]']),
      scopes: filteredScopes(query['filter[scope]']),
      status: query['filter[status]'],
      expiresBefore: filteredTime('filter[expires_before]', query['filter[expires_before]']),
      expiresAfter: filteredTime('filter[expires_after]', query['filter[expires_after]']),
      expires: query['filter[expires]'],
    }
    return list(call, PERSONAL, {
      rows: (page) => listAdminPersonalSessions(deps.sql, filter, page),
      count: (how) => countPersonalSessions(deps.sql, filter, how),
    })
  },
})

const createOperation = operation({
  method: 'POST',
  path: PERSONAL.path,
  id: 'createPersonalSession',
  area: 'sessions',
  everythingOnly: true,
  summary: 'Make a personal session and its token',
  description:
    'The token acts as the user. With a device scope the device exists at the homeserver when this answers.',
  body: Type.Object(
    {
      actor_user_id: Ulid('Whom it acts as.'),
      human_name: Type.String({ minLength: 1, maxLength: TOKEN_NAME_LIMIT }),
      scope: Type.String({ minLength: 1, maxLength: 2000, examples: ['urn:matrix:client:api:*'] }),
      expires_in: ExpiresIn,
    },
    { additionalProperties: false },
  ),
  success: { status: 201, description: 'The session with its token.', schema: answers.single },
  refusals: [
    { status: 400, code: 'invalid_scope', when: 'The scope is none, or its parts do not go together.' },
    { status: 404, code: 'not_found', when: 'There is no such user.' },
    { status: 410, code: 'user_deactivated', when: 'The user is deactivated.' },
  ],
  async handle(call) {
    const { deps, body, caller, requester } = call
    const [actor] = await findUser(deps.sql, uuidFromUlid(body.actor_user_id) ?? '')
    const made = await createPersonalToken(deps, {
      actor: found(actor, 'user'),
      owner: ownerOf(caller),
      maker: 'admin',
      name: body.human_name,
      scope: parseScope(body.scope) ?? invalidScope('It is not a list of scopes.'),
      expiresIn: body.expires_in ?? undefined,
      requester,
    })
    if (made.result === 'refused') return invalidScope(made.violations.map(({ msg }) => msg).join(' '))
    if (made.result !== 'issued')
      throw new AdminError(410, 'user_deactivated', 'The user is deactivated.', {
        source: { pointer: '/actor_user_id' },
      })
    return shown(call, made.session.id, made.token)
  },
})

function invalidScope(detail: string): never {
  throw new AdminError(400, 'invalid_scope', 'The scope is not valid.', {
    detail,
    source: { pointer: '/scope' },
  })
}

/** The answer with a token, whose own address is that of the session. */
async function shown(call: Call, id: string, token: string): Promise<Reply> {
  const [row] = await findAdminPersonalSession(call.deps.sql, id)
  return single(call, PERSONAL, { ...found(row, 'session'), token }, 201)
}

const getOperation = operation({
  method: 'GET',
  path: `${PERSONAL.path}/{id}`,
  id: 'getPersonalSession',
  area: 'sessions',
  summary: 'Get a personal session',
  success: { status: 200, description: 'The session.', schema: answers.single },
  refusals: [NOT_FOUND],
  handle: async (call) => single(call, PERSONAL, await rowOf(call)),
})

const revokeOperation = operation({
  method: 'POST',
  path: `${PERSONAL.path}/{id}/revoke`,
  id: 'revokePersonalSession',
  area: 'sessions',
  summary: 'Revoke a personal session',
  description: 'Its token stops working, and the homeserver forgets its device.',
  success: { status: 200, description: 'The session.', schema: answers.single },
  refusals: [NOT_FOUND, { status: 409, code: 'already_revoked', when: 'The session was revoked.' }],
  async handle(call) {
    if (!(await revokePersonalSession(call.deps, (await rowOf(call)).id)))
      throw new AdminError(409, 'already_revoked', 'The session was revoked before.')
    return single(call, PERSONAL, await rowOf(call))
  },
})

const regenerateOperation = operation({
  method: 'POST',
  path: `${PERSONAL.path}/{id}/regenerate`,
  id: 'regeneratePersonalSession',
  area: 'sessions',
  everythingOnly: true,
  summary: 'Give a personal session another token',
  description: 'The one before stops working at once. Only the owner may do this.',
  body: Type.Object({ expires_in: ExpiresIn }, { additionalProperties: false }),
  bodyOptional: true,
  success: { status: 201, description: 'The session with its new token.', schema: answers.single },
  refusals: [
    NOT_FOUND,
    { status: 403, code: 'not_the_owner', when: 'Somebody else made the session.' },
    { status: 422, code: 'already_revoked', when: 'The session was revoked.' },
  ],
  async handle(call) {
    const row = await rowOf(call)
    if (!owns(call.caller, row))
      throw new AdminError(403, 'not_the_owner', 'Somebody else made this session.', {
        detail: 'Revoke it and make another.',
      })
    const made = await regeneratePersonalToken(call.deps, row.id, call.body.expires_in ?? undefined)
    if (!made) throw new AdminError(422, 'already_revoked', 'The session was revoked.')
    return shown(call, row.id, made.token)
  },
})

export const personalSessionOperations: Operation[] = [
  listOperation,
  createOperation,
  getOperation,
  revokeOperation,
  regenerateOperation,
]

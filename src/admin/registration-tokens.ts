import { Type } from '@sinclair/typebox'
import {
  countRegistrationTokens,
  findRegistrationToken,
  listRegistrationTokens,
  type RegistrationTokenRow,
  revokeRegistrationToken,
  unrevokeRegistrationToken,
  updateRegistrationToken,
} from '../../sql/registration-tokens.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import {
  createRegistrationToken,
  isValidRegistrationToken,
  openRegistrationToken,
  REGISTRATION_TOKEN,
} from '../identity/registration-tokens.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { answersOf, found, list, type ResourceKind, single, timeOf } from './resource.ts'
import { listQuery, nullable, Time } from './schemas.ts'

/** An invitation with its text, and whether it is good now. */
type Shown = RegistrationTokenRow & { token: string; valid: boolean }

const TOKEN: ResourceKind<Shown> = {
  // As MAS writes it.
  type: 'user-registration_token',
  path: '/user-registration-tokens',
  attributes: (row) => ({
    token: row.token,
    valid: row.valid,
    usage_limit: row.usage_limit,
    times_used: row.times_used,
    created_at: row.created_at.toISOString(),
    last_used_at: timeOf(row.last_used_at),
    expires_at: timeOf(row.expires_at),
    revoked_at: timeOf(row.revoked_at),
  }),
}

const UsageLimit = (description: string) =>
  nullable(Type.Integer({ minimum: 1, maximum: 2_000_000_000, description }))

const answers = answersOf(
  TOKEN.type,
  Type.Object({
    token: Type.String({ description: 'What people type.', examples: ['Wd9kT2mQx7Lp'] }),
    valid: Type.Boolean({ description: 'Somebody may still sign up with it.' }),
    usage_limit: UsageLimit('How many accounts it makes; null for any number.'),
    times_used: Type.Integer(),
    created_at: Time('When it was made.'),
    last_used_at: nullable(Time('When somebody last signed up with it.')),
    expires_at: nullable(Time('When it stops working; null for never.')),
    revoked_at: nullable(Time('When it was revoked.')),
  }),
)

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such token.' } as const
const one = { status: 200, description: 'The token.', schema: answers.single } as const

async function show(deps: Deps, row: RegistrationTokenRow): Promise<Shown> {
  const token = (await openRegistrationToken(deps, row)) ?? ''
  return { ...row, token, valid: isValidRegistrationToken(row, deps.clock.now()) }
}

const rowOf = async ({ deps, params }: Call): Promise<RegistrationTokenRow> =>
  found((await findRegistrationToken(deps.sql, params.id ?? ''))[0], 'registration token')

/** A time in a body. @throws AdminError 400 */
function timeIn(text: string | null): Date | null {
  const time = text === null ? null : new Date(text)
  if (time !== null && Number.isNaN(time.getTime()))
    throw new AdminError(400, 'invalid_body', 'The body is not valid.', {
      detail: `${text} is no time.`,
      source: { pointer: '/expires_at' },
    })
  return time
}

const listOperation = operation({
  method: 'GET',
  path: TOKEN.path,
  id: 'listUserRegistrationTokens',
  area: 'users',
  summary: 'List registration tokens',
  query: listQuery({
    'filter[used]': Type.Optional(Type.Boolean({ description: 'Whether anybody signed up with it.' })),
    'filter[revoked]': Type.Optional(Type.Boolean()),
    'filter[expired]': Type.Optional(Type.Boolean()),
    'filter[valid]': Type.Optional(
      Type.Boolean({ description: 'Whether somebody may still sign up with it.' }),
    ),
  }),
  success: { status: 200, description: 'Registration tokens.', schema: answers.list },
  async handle(call) {
    const { deps, query } = call
    const filter = {
      used: query['filter[used]'],
      revoked: query['filter[revoked]'],
      expired: query['filter[expired]'],
      valid: query['filter[valid]'],
      now: deps.clock.now(),
    }
    return list(call, TOKEN, {
      rows: async (page) =>
        Promise.all((await listRegistrationTokens(deps.sql, filter, page)).map((row) => show(deps, row))),
      count: (how) => countRegistrationTokens(deps.sql, filter, how),
    })
  },
})

const createOperation = operation({
  method: 'POST',
  path: TOKEN.path,
  id: 'createUserRegistrationToken',
  area: 'users',
  summary: 'Make a registration token',
  body: Type.Object(
    {
      token: Type.Optional(
        nullable(
          Type.String({
            pattern: REGISTRATION_TOKEN.source,
            description: 'What people will type; a random one when absent.',
          }),
        ),
      ),
      usage_limit: Type.Optional(UsageLimit('How many accounts it makes; any number when absent.')),
      expires_at: Type.Optional(nullable(Time('When it stops working; never when absent.'))),
    },
    { additionalProperties: false },
  ),
  success: { status: 201, description: 'The new token.', schema: answers.single },
  refusals: [{ status: 409, code: 'token_taken', when: 'There is a token of this text.' }],
  async handle(call) {
    const { deps, body } = call
    const made = await createRegistrationToken(deps, {
      token: body.token ?? undefined,
      usageLimit: body.usage_limit ?? null,
      expiresAt: timeIn(body.expires_at ?? null),
    })
    if (!made)
      throw new AdminError(409, 'token_taken', 'There is a registration token of this text.', {
        source: { pointer: '/token' },
      })
    return single(call, TOKEN, await show(deps, made.row), 201)
  },
})

const getOperation = operation({
  method: 'GET',
  path: `${TOKEN.path}/{id}`,
  id: 'getUserRegistrationToken',
  area: 'users',
  summary: 'Get a registration token',
  success: one,
  refusals: [NOT_FOUND],
  handle: async (call) => single(call, TOKEN, await show(call.deps, await rowOf(call))),
})

const updateOperation = operation({
  method: 'PUT',
  path: `${TOKEN.path}/{id}`,
  id: 'updateUserRegistrationToken',
  area: 'users',
  summary: 'Change how often and how long a registration token works',
  description: 'What is absent stays; null takes the limit away.',
  body: Type.Object(
    {
      usage_limit: Type.Optional(UsageLimit('How many accounts it makes.')),
      expires_at: Type.Optional(nullable(Time('When it stops working.'))),
    },
    { additionalProperties: false },
  ),
  success: one,
  refusals: [NOT_FOUND],
  async handle(call) {
    const { deps, body } = call
    const row = await rowOf(call)
    const [changed] = await updateRegistrationToken(deps.sql, row.id, {
      usageLimit: body.usage_limit === undefined ? row.usage_limit : body.usage_limit,
      expiresAt: body.expires_at === undefined ? row.expires_at : timeIn(body.expires_at),
    })
    return single(call, TOKEN, await show(deps, found(changed, 'registration token')))
  },
})

const revokeOperation = operation({
  method: 'POST',
  path: `${TOKEN.path}/{id}/revoke`,
  id: 'revokeUserRegistrationToken',
  area: 'users',
  summary: 'Revoke a registration token',
  success: one,
  refusals: [NOT_FOUND, { status: 400, code: 'already_revoked', when: 'The token was revoked.' }],
  async handle(call) {
    const row = await rowOf(call)
    const [revoked] = await revokeRegistrationToken(call.deps.sql, row.id, call.deps.clock.now())
    if (!revoked) throw new AdminError(400, 'already_revoked', 'The token was revoked before.')
    return single(call, TOKEN, await show(call.deps, revoked))
  },
})

const unrevokeOperation = operation({
  method: 'POST',
  path: `${TOKEN.path}/{id}/unrevoke`,
  id: 'unrevokeUserRegistrationToken',
  area: 'users',
  summary: 'Take the revocation of a registration token back',
  success: one,
  refusals: [NOT_FOUND, { status: 400, code: 'not_revoked', when: 'The token is not revoked.' }],
  async handle(call) {
    const row = await rowOf(call)
    const [restored] = await unrevokeRegistrationToken(call.deps.sql, row.id)
    if (!restored) throw new AdminError(400, 'not_revoked', 'The token is not revoked.')
    return single(call, TOKEN, await show(call.deps, restored))
  },
})

export const registrationTokenOperations: Operation[] = [
  listOperation,
  createOperation,
  getOperation,
  updateOperation,
  revokeOperation,
  unrevokeOperation,
]

import { Type } from '@sinclair/typebox'
import { type AdminUserRow, findAdminUser } from '../../sql/admin-users.ts'
import type { Call, Reply } from './operation.ts'
import { answersOf, found, type ResourceKind, single, timeOf } from './resource.ts'
import { nullable, Time } from './schemas.ts'

/** An account on the wire. */
export const USER: ResourceKind<AdminUserRow> = {
  type: 'user',
  path: '/users',
  attributes: (row) => ({
    username: row.username,
    display_name: row.display_name,
    created_at: row.created_at.toISOString(),
    locked_at: timeOf(row.locked_at),
    deactivated_at: timeOf(row.deactivated_at),
    approval_requested_at: timeOf(row.approval_requested_at),
    admin: row.is_admin,
    legacy_guest: row.is_guest,
  }),
}

export const answers = answersOf(
  'user',
  Type.Object({
    username: Type.String({
      description: 'The part of the Matrix id before the colon.',
      examples: ['alice'],
    }),
    display_name: nullable(
      Type.String({ description: 'As it was set here; a Matrix client may have changed it.' }),
    ),
    created_at: Time('When the account was made.'),
    locked_at: nullable(Time('When it was locked; its sessions rest until it is unlocked.')),
    deactivated_at: nullable(Time('When it was deactivated.')),
    approval_requested_at: nullable(Time('Since when it waits for approval; until then it is locked.')),
    admin: Type.Boolean({ description: 'May ask for the scopes of the admin API.' }),
    legacy_guest: Type.Boolean({ description: 'A guest of the homeserver, from before the move.' }),
  }),
)

export const NO_USER = { status: 404, code: 'not_found', when: 'There is no such user.' } as const
export const one = { status: 200, description: 'The user.', schema: answers.single } as const

/** The user of a path. @throws AdminError 404 */
export async function userOf({ deps, params }: Call): Promise<AdminUserRow> {
  const [row] = await findAdminUser(deps.sql, params.id ?? '')
  return found(row, 'user')
}

/** The user as it is now, after a change. */
export const changed = async (call: Call): Promise<Reply> => single(call, USER, await userOf(call))

import { Type } from '@sinclair/typebox'
import {
  type AdminUserRow,
  countUsers,
  findAdminUser,
  findAdminUserByName,
  listUsers,
  type UserFilter,
} from '../../sql/admin-users.ts'
import { setAdmin } from '../../sql/users.ts'
import { PASSWORD_LIMIT } from '../crypto/passwords.ts'
import { passwordStrength } from '../crypto/strength.ts'
import type { Deps } from '../deps.ts'
import { AdminError, Unavailable } from '../http/errors.ts'
import { ensureProvisioned } from '../identity/devices.ts'
import { createUser, deactivate, lock, reactivate, setPassword, unlock } from '../identity/lifecycle.ts'
import { fold } from '../lib/fold.ts'
import { MAS_ADMIN } from '../lib/scope.ts'
import { transact } from '../lib/transact.ts'
import { existingClients } from './existing.ts'
import { type Call, operation, type Reply } from './operation.ts'
import { answersOf, found, list, type ResourceKind, single, timeOf } from './resource.ts'
import { listQuery, nullable, oneOf, Time, Ulid } from './schemas.ts'

const USER: ResourceKind<AdminUserRow> = {
  type: 'user',
  path: '/users',
  attributes: (row) => ({
    username: row.username,
    display_name: row.display_name,
    created_at: row.created_at.toISOString(),
    locked_at: timeOf(row.locked_at),
    deactivated_at: timeOf(row.deactivated_at),
    admin: row.is_admin,
    legacy_guest: row.is_guest,
  }),
}

const answers = answersOf(
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
    admin: Type.Boolean({ description: 'May ask for the scopes of the admin API.' }),
    legacy_guest: Type.Boolean({ description: 'A guest of the homeserver, from before the move.' }),
  }),
)

const NO_USER = { status: 404, code: 'not_found', when: 'There is no such user.' } as const
const one = { status: 200, description: 'The user.', schema: answers.single } as const

/** The user of a path. @throws AdminError 404 */
async function userOf({ deps, params }: Call): Promise<AdminUserRow> {
  const [row] = await findAdminUser(deps.sql, params.id ?? '')
  return found(row, 'user')
}

/** The user as it is now, after a change. */
const changed = async (call: Call): Promise<Reply> => single(call, USER, await userOf(call))

const listOperation = operation({
  method: 'GET',
  path: '/users',
  id: 'listUsers',
  area: 'users',
  summary: 'List users',
  query: listQuery({
    'filter[admin]': Type.Optional(Type.Boolean({ description: 'Admins, or all others.' })),
    'filter[legacy-guest]': Type.Optional(Type.Boolean()),
    'filter[search]': Type.Optional(
      Type.String({ minLength: 1, maxLength: 255, description: 'Part of the username, in any case.' }),
    ),
    'filter[status]': Type.Optional(
      oneOf(['active', 'locked', 'deactivated'], 'Active: neither locked nor deactivated.'),
    ),
    'filter[active-oauth2-client]': Type.Optional(
      Type.Array(Ulid(), { description: 'Signed in to one of these clients.' }),
    ),
    'filter[has-active-oauth2-session]': Type.Optional(Type.Boolean()),
    'filter[has-active-compat-session]': Type.Optional(Type.Boolean()),
  }),
  success: { status: 200, description: 'Users in the order in which they were made.', schema: answers.list },
  refusals: [{ status: 404, code: 'not_found', when: 'There is no such client.' }],
  async handle(call) {
    const { deps, query } = call
    const filter: UserFilter = {
      admin: query['filter[admin]'],
      guest: query['filter[legacy-guest]'],
      search: query['filter[search]'] && fold(query['filter[search]']),
      status: query['filter[status]'],
      clientIds: await existingClients(deps, query['filter[active-oauth2-client]']),
      hasOAuthSession: query['filter[has-active-oauth2-session]'],
      hasCompatSession: query['filter[has-active-compat-session]'],
    }
    return list(call, USER, {
      rows: (page) => listUsers(deps.sql, filter, page),
      count: () => countUsers(deps.sql, filter),
    })
  },
})

const getOperation = operation({
  method: 'GET',
  path: '/users/{id}',
  id: 'getUser',
  area: 'users',
  summary: 'Get a user',
  success: one,
  refusals: [NO_USER],
  handle: changed,
})

const byNameOperation = operation({
  method: 'GET',
  path: '/users/by-username/{username}',
  id: 'getUserByUsername',
  area: 'users',
  summary: 'Get a user by name',
  description: 'In any case of its letters, unless an import brought several names that differ in case only.',
  success: one,
  refusals: [NO_USER],
  async handle(call) {
    const { username = '' } = call.params
    const [row] = await findAdminUserByName(call.deps.sql, username, fold(username))
    return single(call, USER, found(row, 'user'))
  },
})

/** Names that an admin may give: what Matrix allows, and not what application services begin theirs with. */
const USERNAME = '^(?!_)[a-z0-9=_\\-./+]+$'

const createOperation = operation({
  method: 'POST',
  path: '/users',
  id: 'createUser',
  area: 'users',
  summary: 'Create a user',
  description: 'The policy for sign-ups does not apply. The homeserver is told at once.',
  body: Type.Object(
    {
      username: Type.String({
        pattern: USERNAME,
        maxLength: 255,
        examples: ['alice'],
        errorMessage: 'Only a to z, 0 to 9 and = _ - . / + are allowed, no _ at the beginning, 255 at most.',
      }),
      skip_homeserver_check: Type.Optional(
        Type.Boolean({ description: 'Also when the homeserver says that the name is taken.' }),
      ),
      displayname: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    },
    { additionalProperties: false },
  ),
  success: { status: 201, description: 'The new user.', schema: answers.single },
  refusals: [
    { status: 409, code: 'username_taken', when: 'There is a user of this name, in whichever case.' },
    { status: 409, code: 'username_reserved', when: 'The homeserver has given the name away.' },
  ],
  async handle(call) {
    const { deps, body } = call
    const [taken] = await findAdminUserByName(deps.sql, body.username, fold(body.username))
    if (taken) throw usernameTaken()
    if (!body.skip_homeserver_check && !(await isFree(deps, body.username)))
      throw new AdminError(409, 'username_reserved', 'The homeserver has given this name away.', {
        detail: 'Send skip_homeserver_check: true to take it over.',
      })
    const created = await transact(deps.sql, async (tx) => {
      const user = await createUser(deps, tx, {
        username: body.username,
        displayName: body.displayname ?? null,
        password: undefined,
        isAdmin: false,
        // Who may call this is an admin already.
        foreignName: true,
      })
      return user ?? usernameTaken()
    })
    // The account stands if this fails: a job goes on trying, and a script that tried again would find the name taken.
    await ensureProvisioned(deps, created.id).catch((error: unknown) =>
      deps.log.warn('admin.provision_later', { user_id: created.id, error }),
    )
    const [row] = await findAdminUser(deps.sql, created.id)
    return single(call, USER, found(row, 'user'), 201)
  },
})

/** @throws Unavailable */
const isFree = (deps: Pick<Deps, 'homeserver'>, username: string): Promise<boolean> =>
  deps.homeserver.isLocalpartAvailable(username).catch((cause: unknown) => {
    throw new Unavailable('homeserver', { cause })
  })

const usernameTaken = (): AdminError =>
  new AdminError(409, 'username_taken', 'There is a user of this name already.', {
    source: { pointer: '/username' },
  })

const setPasswordOperation = operation({
  method: 'POST',
  path: '/users/{id}/set-password',
  id: 'setUserPassword',
  area: 'users',
  summary: "Set a user's password",
  description: 'Sessions go on; finish them where the old password may be known.',
  body: Type.Object(
    {
      password: Type.String({ minLength: 1, maxLength: PASSWORD_LIMIT }),
      skip_password_check: Type.Optional(Type.Boolean({ description: 'Also when it is easy to guess.' })),
    },
    { additionalProperties: false },
  ),
  success: { status: 204, description: 'The password is set.' },
  refusals: [
    { status: 400, code: 'password_weak', when: 'The password is too easy to guess.' },
    { status: 403, code: 'passwords_off', when: 'Passwords are off on this server.' },
    { status: 403, code: 'admin_account', when: 'It is an admin, and the token is not good for everything.' },
    NO_USER,
  ],
  async handle(call) {
    const { deps, body } = call
    if (!deps.passwords.enabled)
      throw new AdminError(403, 'passwords_off', 'Passwords are off on this server (passwords.enabled).')
    const user = await userOf(call)
    requireRightsOver(call, user)
    if (!body.skip_password_check) await requireStrength(deps, body.password, user.username)
    await setPassword(deps, user.id, await deps.passwords.hash(body.password))
    return { status: 204, target: single(call, USER, user).target }
  },
})

/** Who may administer accounts only must not take over one that may do more. @throws AdminError 403 */
function requireRightsOver({ caller }: Call, user: AdminUserRow): void {
  if (!user.is_admin || caller.scope.includes(MAS_ADMIN)) return
  throw new AdminError(403, 'admin_account', `Changing the account of an admin needs the scope ${MAS_ADMIN}.`)
}

async function requireStrength(
  deps: Pick<Deps, 'config' | 'passwords'>,
  password: string,
  username: string,
): Promise<void> {
  const { score } = await passwordStrength(password, [username, deps.config.matrix.homeserver])
  if (score >= deps.passwords.minimumComplexity) return
  throw new AdminError(400, 'password_weak', 'The password is too easy to guess.', {
    detail: `It has ${score} of 4 points, and this server asks for ${deps.passwords.minimumComplexity}.`,
    source: { pointer: '/password' },
  })
}

const setAdminOperation = operation({
  method: 'POST',
  path: '/users/{id}/set-admin',
  id: 'setUserAdmin',
  area: 'users',
  everythingOnly: true,
  summary: 'Let a user administer, or not',
  description: 'Sessions keep the scopes that they were granted.',
  body: Type.Object({ admin: Type.Boolean() }, { additionalProperties: false }),
  success: one,
  refusals: [NO_USER],
  async handle(call) {
    const [row] = await setAdmin(call.deps.sql, (await userOf(call)).id, call.body.admin)
    found(row, 'user')
    return changed(call)
  },
})

/** An operation that changes the state of a user, and answers the user. */
const act = (
  verb: string,
  id: string,
  summary: string,
  description: string,
  change: (deps: Deps, userId: string) => Promise<unknown>,
) =>
  operation({
    method: 'POST',
    path: `/users/{id}/${verb}`,
    id,
    area: 'users',
    summary,
    description,
    success: one,
    refusals: [NO_USER],
    async handle(call) {
      await change(call.deps, (await userOf(call)).id)
      return changed(call)
    },
  })

const deactivateOperation = operation({
  method: 'POST',
  path: '/users/{id}/deactivate',
  id: 'deactivateUser',
  area: 'users',
  summary: 'Deactivate a user',
  description:
    'Ends every session, deletes passwords and addresses, and deactivates the user on the homeserver, which also hides ' +
    'what the user wrote unless `skip_erase` is true. The name stays taken.',
  body: Type.Object({ skip_erase: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
  bodyOptional: true,
  success: one,
  refusals: [NO_USER],
  async handle(call) {
    await deactivate(call.deps, (await userOf(call)).id, !call.body.skip_erase)
    return changed(call)
  },
})

export const userOperations = [
  listOperation,
  createOperation,
  getOperation,
  byNameOperation,
  setPasswordOperation,
  setAdminOperation,
  act(
    'lock',
    'lockUser',
    'Lock a user',
    'The user cannot sign in, and the sessions rest until the user is unlocked. A locked user stays as it was.',
    lock,
  ),
  act(
    'reactivate',
    'reactivateUser',
    'Reactivate a user',
    'Also at the homeserver. Addresses, passwords and sessions do not come back; a lock stays.',
    reactivate,
  ),
  act('unlock', 'unlockUser', 'Unlock a user', 'The sessions go on. Does not reactivate.', unlock),
  deactivateOperation,
]

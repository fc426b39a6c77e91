import { Type } from '@sinclair/typebox'
import { PASSWORD_LIMIT } from '../crypto/passwords.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { setAdminRight } from '../identity/admin-right.ts'
import { approve, reject } from '../identity/approvals.ts'
import { deleteAccount, renameAccount } from '../identity/delete-account.ts'
import { isDirectoryAccount } from '../identity/directory.ts'
import { deactivate, killSessions, lock, reactivate, setPassword, unlock } from '../identity/lifecycle.ts'
import { DISPLAY_NAME_LIMIT, setDisplayName } from '../identity/profile.ts'
import type { Operation } from './operation.ts'
import { operation } from './operation.ts'
import { found, single } from './resource.ts'
import { ADMIN_ACCOUNT, requireRightsOver, requireRightsOverName } from './rights.ts'
import { nullable } from './schemas.ts'
import { changed, NO_USER, one, USER, userOf } from './user.ts'
import { newPassword, Username, usernameTaken } from './users.ts'

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
    { status: 409, code: 'password_in_directory', when: 'The directory decides about this password.' },
    ADMIN_ACCOUNT,
    NO_USER,
  ],
  async handle(call) {
    const { deps, body } = call
    const user = await userOf(call)
    await requireRightsOver(call, user)
    if (await isDirectoryAccount(deps, user.id))
      throw new AdminError(409, 'password_in_directory', 'The directory decides about this password.')
    await setPassword(deps, user.id, await newPassword(deps, body, user.username))
    return { status: 204, target: single(call, USER, user).target }
  },
})

const setAdminOperation = operation({
  method: 'POST',
  path: '/users/{id}/set-admin',
  id: 'setUserAdmin',
  area: 'users',
  everythingOnly: true,
  summary: 'Let a user administer, or not',
  description:
    'Who is no admin any more loses at once what came of it: apps and tokens of theirs, and tokens that they made for ' +
    'others, go on without the admin scopes, and end where they had no others.',
  body: Type.Object({ admin: Type.Boolean() }, { additionalProperties: false }),
  success: one,
  refusals: [NO_USER],
  async handle(call) {
    if (!(await setAdminRight(call.deps, (await userOf(call)).id, call.body.admin))) found(undefined, 'user')
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
    refusals: [ADMIN_ACCOUNT, NO_USER],
    async handle(call) {
      const user = await userOf(call)
      await requireRightsOver(call, user)
      await change(call.deps, user.id)
      return changed(call)
    },
  })

const killOperation = operation({
  method: 'POST',
  path: '/users/{id}/kill-sessions',
  id: 'killUserSessions',
  area: 'sessions',
  summary: 'End every session of a user',
  description: 'Browsers, apps, older clients and personal tokens. The homeserver forgets their devices.',
  success: {
    status: 200,
    description: 'How many ended, by kind.',
    schema: Type.Object({ ended: Type.Record(Type.String(), Type.Integer()) }),
    example: { ended: { browsers: 1, apps: 2 } },
  },
  refusals: [NO_USER],
  async handle(call) {
    const user = await userOf(call)
    const ended = await killSessions(call.deps, user.id)
    return { body: { ended }, target: single(call, USER, user).target }
  },
})

const displayNameOperation = operation({
  method: 'POST',
  path: '/users/{id}/set-displayname',
  id: 'setUserDisplayName',
  area: 'users',
  summary: 'Set the name that others see',
  description: 'At the homeserver too; null takes the name away.',
  body: Type.Object(
    { displayname: nullable(Type.String({ minLength: 1, maxLength: DISPLAY_NAME_LIMIT })) },
    { additionalProperties: false },
  ),
  success: one,
  refusals: [ADMIN_ACCOUNT, NO_USER],
  async handle(call) {
    const user = await userOf(call)
    await requireRightsOver(call, user)
    if (!(await setDisplayName(call.deps, user.id, call.body.displayname))) found(undefined, 'user')
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
  refusals: [ADMIN_ACCOUNT, NO_USER],
  async handle(call) {
    const user = await userOf(call)
    await requireRightsOver(call, user)
    await deactivate(call.deps, user.id, !call.body.skip_erase)
    return changed(call)
  },
})

const NOT_WAITING = {
  status: 409,
  code: 'not_waiting',
  when: 'The user does not wait for approval.',
} as const
const notWaiting = (): AdminError =>
  new AdminError(NOT_WAITING.status, NOT_WAITING.code, 'This user does not wait for approval.')

const approveOperation = operation({
  method: 'POST',
  path: '/users/{id}/approve',
  id: 'approveUser',
  area: 'users',
  summary: 'Approve a user who waits',
  description: 'The user may sign in, and gets a mail. The homeserver hears of the user now.',
  success: one,
  refusals: [ADMIN_ACCOUNT, NO_USER, NOT_WAITING],
  async handle(call) {
    const user = await userOf(call)
    await requireRightsOver(call, user)
    if (!(await approve(call.deps, user.id))) throw notWaiting()
    return changed(call)
  },
})

const rejectOperation = operation({
  method: 'POST',
  path: '/users/{id}/reject',
  id: 'rejectUser',
  area: 'users',
  summary: 'Reject a user who waits',
  description: 'The account is deleted, its name and address are free, and the person gets a mail.',
  success: { status: 204, description: 'The account is gone.' },
  refusals: [ADMIN_ACCOUNT, NO_USER, NOT_WAITING],
  async handle(call) {
    const user = await userOf(call)
    await requireRightsOver(call, user)
    if (!(await reject(call.deps, user.id))) throw notWaiting()
    return { status: 204, target: single(call, USER, user).target }
  },
})

const renameOperation = operation({
  method: 'POST',
  path: '/users/{id}/set-username',
  id: 'setUserName',
  area: 'users',
  summary: 'Give a user another name',
  description:
    'Only without a homeserver (`matrix.kind: standalone`): for a homeserver it would be another person.',
  body: Type.Object({ username: Username }, { additionalProperties: false }),
  success: one,
  refusals: [
    NO_USER,
    ADMIN_ACCOUNT,
    { status: 409, code: 'homeserver_connected', when: 'There is a homeserver, where names stay.' },
    { status: 409, code: 'username_taken', when: 'Somebody has the name, or had it and was deleted.' },
  ],
  async handle(call) {
    const { deps, body } = call
    const user = await userOf(call)
    await requireRightsOver(call, user)
    await requireRightsOverName(call, body.username)
    if (deps.config.matrix.kind !== 'standalone')
      throw new AdminError(409, 'homeserver_connected', 'Names stay where there is a homeserver.', {
        detail: 'For the homeserver it would be another person. Set the display name instead.',
      })
    if (!(await renameAccount(deps, user.id, body.username))) throw usernameTaken()
    return changed(call)
  },
})

const deleteOperation = operation({
  method: 'DELETE',
  path: '/users/{id}',
  id: 'deleteUser',
  area: 'users',
  summary: 'Delete a deactivated user for good',
  description:
    'Everything that is stored about the user goes, and the homeserver hides what the user wrote. Id and name stay ' +
    'reserved for ever. It cannot be undone, so the user has to be deactivated first.',
  success: { status: 204, description: 'The user is gone.' },
  refusals: [
    NO_USER,
    ADMIN_ACCOUNT,
    { status: 409, code: 'not_deactivated', when: 'The user is not deactivated.' },
  ],
  async handle(call) {
    const user = await userOf(call)
    await requireRightsOver(call, user)
    const { target } = single(call, USER, user)
    if (!(await deleteAccount(call.deps, user.id)))
      throw new AdminError(409, 'not_deactivated', 'Only a deactivated user can be deleted.', {
        detail: 'Deactivate the user first.',
      })
    return { status: 204, target }
  },
})

export const userActions: Operation[] = [
  approveOperation,
  rejectOperation,
  setPasswordOperation,
  setAdminOperation,
  displayNameOperation,
  killOperation,
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
  act(
    'unlock',
    'unlockUser',
    'Unlock a user',
    'The sessions go on. Does not reactivate, and does not approve.',
    unlock,
  ),
  deactivateOperation,
  renameOperation,
  deleteOperation,
]

import { Type } from '@sinclair/typebox'
import {
  countUsers,
  findAdminUser,
  findAdminUserByName,
  listUsers,
  planForValues,
  type UserFilter,
} from '../../sql/admin-users.ts'
import type { Db } from '../../sql/connect.ts'
import { PASSWORD_LIMIT, type StoredPassword } from '../crypto/passwords.ts'
import { passwordStrength } from '../crypto/strength.ts'
import type { Deps } from '../deps.ts'
import { AdminError, Unavailable } from '../http/errors.ts'
import { ensureProvisioned } from '../identity/devices.ts'
import { foldEmail } from '../identity/email-address.ts'
import { addEmail } from '../identity/emails.ts'
import { createUser } from '../identity/lifecycle.ts'
import { fold } from '../lib/fold.ts'
import { MAS_ADMIN } from '../lib/scope.ts'
import { transact } from '../lib/transact.ts'
import { requireScope } from './caller.ts'
import { existingClients } from './existing.ts'
import type { Operation } from './operation.ts'
import { operation } from './operation.ts'
import { found, list, single } from './resource.ts'
import { ADMIN_ACCOUNT, requireRightsOverName } from './rights.ts'
import { listQuery, nullable, oneOf, Ulid } from './schemas.ts'
import { answers, changed, NO_USER, one, USER } from './user.ts'
import { emailIn, emailTaken } from './user-emails.ts'

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
      Type.String({
        minLength: 1,
        maxLength: 255,
        description:
          'Part of the username, in any case. One or two letters, or anything without three letters or digits in a ' +
          'row: its beginning.',
      }),
    ),
    'filter[status]': Type.Optional(
      oneOf(
        ['active', 'locked', 'deactivated', 'awaiting_approval'],
        'Active: neither locked nor deactivated. Locked: deactivated or not, but not those that wait for approval.',
      ),
    ),
    'filter[email]': Type.Optional(
      Type.String({ minLength: 1, maxLength: 254, description: 'With this address, whole, in any case.' }),
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
      email: query['filter[email]'] && foldEmail(query['filter[email]']),
      hasOAuthSession: query['filter[has-active-oauth2-session]'],
      hasCompatSession: query['filter[has-active-compat-session]'],
    }
    const read = <T>(ask: (db: Db) => PromiseLike<T[]>): PromiseLike<T[]> =>
      filter.search === undefined
        ? ask(deps.sql)
        : transact(deps.sql, async (tx) => {
            await planForValues(tx)
            return ask(tx)
          })
    return list(call, USER, {
      rows: (page) => read((db) => listUsers(db, filter, page)),
      count: (how) => read((db) => countUsers(db, filter, how)),
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
export const Username = Type.String({
  pattern: '^(?!_)[a-z0-9=_\\-./+]+$',
  maxLength: 255,
  examples: ['alice'],
  errorMessage: 'Only a to z, 0 to 9 and = _ - . / + are allowed, no _ at the beginning, 255 at most.',
})

const createOperation = operation({
  method: 'POST',
  path: '/users',
  id: 'createUser',
  area: 'users',
  summary: 'Create a user',
  description: 'The policy for sign-ups does not apply. The homeserver is told at once.',
  body: Type.Object(
    {
      username: Username,
      skip_homeserver_check: Type.Optional(
        Type.Boolean({
          description: `Also when the homeserver says that the name is taken: its user is taken over. Needs ${MAS_ADMIN}.`,
        }),
      ),
      displayname: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 255 }))),
      avatar_url: Type.Optional(
        nullable(
          Type.String({
            pattern: '^mxc://[A-Za-z0-9.:\\[\\]-]+/[A-Za-z0-9_-]+$',
            maxLength: 1000,
            description: 'A picture that the homeserver has. It is lost when the homeserver is away.',
            errorMessage: 'It must be an address of the media of the homeserver: mxc://example.com/abc',
          }),
        ),
      ),
      password: Type.Optional(Type.String({ minLength: 1, maxLength: PASSWORD_LIMIT })),
      skip_password_check: Type.Optional(Type.Boolean({ description: 'Also when it is easy to guess.' })),
      emails: Type.Optional(
        Type.Array(Type.String({ minLength: 1, maxLength: 254 }), {
          maxItems: 20,
          description: 'Addresses that count as proven.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  success: { status: 201, description: 'The new user.', schema: answers.single },
  refusals: [
    { status: 400, code: 'password_weak', when: 'The password is too easy to guess.' },
    { status: 400, code: 'invalid_email', when: 'One of the addresses is none.' },
    { status: 403, code: 'passwords_off', when: 'Passwords are off on this server.' },
    ADMIN_ACCOUNT,
    {
      status: 409,
      code: 'email_taken',
      when: 'Another account has one of the addresses; nothing was created.',
    },
    { status: 409, code: 'username_taken', when: 'There is a user of this name, in whichever case.' },
    { status: 409, code: 'username_reserved', when: 'The homeserver has given the name away.' },
  ],
  async handle(call) {
    const { deps, body } = call
    await requireRightsOverName(call, body.username)
    // Whoever has the name there may be a bridge, or may do more than people here.
    if (body.skip_homeserver_check) requireScope(call.caller, [MAS_ADMIN])
    const emails = (body.emails ?? []).map((text, index) => emailIn(text, `/emails/${index}`))
    const password = body.password === undefined ? undefined : await newPassword(deps, body, body.username)
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
        password,
        isAdmin: false,
        // Who may call this is an admin already.
        foreignName: true,
      })
      if (!user) throw usernameTaken()
      for (const [index, email] of emails.entries())
        if (!(await addEmail(deps, tx, user.id, email))) throw emailTaken(`/emails/${index}`)
      return user
    })
    // The account stands if this fails: a job goes on trying, and a script that tried again would find the name taken.
    const picture = body.avatar_url ? { avatarUrl: body.avatar_url } : {}
    await ensureProvisioned(deps, created.id, picture).catch((error: unknown) =>
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

export const usernameTaken = (): AdminError =>
  new AdminError(409, 'username_taken', 'There is a user of this name already.', {
    source: { pointer: '/username' },
  })

/** A password of a body, hashed. @throws AdminError 400, 403 */
export async function newPassword(
  deps: Pick<Deps, 'config' | 'passwords'>,
  { password = '', skip_password_check }: { password?: string; skip_password_check?: boolean },
  username: string,
): Promise<StoredPassword> {
  if (!deps.passwords.enabled)
    throw new AdminError(403, 'passwords_off', 'Passwords are off on this server (passwords.enabled).')
  if (!skip_password_check) await requireStrength(deps, password, username)
  return deps.passwords.hash(password)
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

export const userOperations: Operation[] = [listOperation, createOperation, getOperation, byNameOperation]

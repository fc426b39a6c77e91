import { Type } from '@sinclair/typebox'
import { type AdminEmailRow, countUserEmails, findUserEmail, listUserEmails } from '../../sql/admin-emails.ts'
import { findAdminUser } from '../../sql/admin-users.ts'
import { AdminError } from '../http/errors.ts'
import { foldEmail, parseEmail } from '../identity/email-address.ts'
import { addEmailUnproven, removeEmail } from '../identity/emails.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { existingUser } from './existing.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { answersOf, found, idOf, list, type ResourceKind, single } from './resource.ts'
import { ADMIN_ACCOUNT, requireRightsOver } from './rights.ts'
import { listQuery, Time, Ulid } from './schemas.ts'

const EMAIL: ResourceKind<AdminEmailRow> = {
  type: 'user-email',
  path: '/user-emails',
  attributes: (row) => ({
    created_at: row.created_at.toISOString(),
    user_id: idOf(row.user_id),
    email: row.email,
  }),
}

const answers = answersOf(
  EMAIL.type,
  Type.Object({
    created_at: Time('When it was added.'),
    user_id: Ulid('Whose it is.'),
    email: Type.String({ format: 'email', examples: ['alice@example.com'] }),
  }),
)

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such address.' } as const
const rowOf = async ({ deps, params }: Call): Promise<AdminEmailRow> =>
  found((await findUserEmail(deps.sql, params.id ?? ''))[0], 'email address')

/** An address in a body. @throws AdminError 400 */
export function emailIn(text: string, pointer: string): string {
  const email = parseEmail(text)
  if (email !== undefined) return email
  throw new AdminError(400, 'invalid_email', 'This is not an email address.', { source: { pointer } })
}

/** @throws AdminError 409 */
export function emailTaken(pointer: string): AdminError {
  return new AdminError(409, 'email_taken', 'An account has this address already.', { source: { pointer } })
}

export const userEmailOperations: Operation[] = [
  operation({
    method: 'GET',
    path: EMAIL.path,
    id: 'listUserEmails',
    area: 'users',
    summary: 'List email addresses',
    query: listQuery({
      'filter[user]': Type.Optional(Ulid('Of this user.')),
      'filter[email]': Type.Optional(
        Type.String({ minLength: 1, maxLength: 254, description: 'The whole address, in any case.' }),
      ),
    }),
    success: { status: 200, description: 'Addresses.', schema: answers.list },
    refusals: [{ status: 404, code: 'not_found', when: 'There is no such user.' }],
    async handle(call) {
      const { deps, query } = call
      const filter = {
        userId: await existingUser(deps, query['filter[user]']),
        folded: query['filter[email]'] && foldEmail(query['filter[email]']),
      }
      return list(call, EMAIL, {
        rows: (page) => listUserEmails(deps.sql, filter, page),
        count: (how) => countUserEmails(deps.sql, filter, how),
      })
    },
  }),
  operation({
    method: 'POST',
    path: EMAIL.path,
    id: 'createUserEmail',
    area: 'users',
    summary: 'Give a user an email address',
    description: 'It counts as proven: the policy for addresses does not apply, and no code is sent.',
    body: Type.Object(
      { user_id: Ulid('Whose it is.'), email: Type.String({ minLength: 1, maxLength: 254 }) },
      { additionalProperties: false },
    ),
    success: { status: 201, description: 'The address.', schema: answers.single },
    refusals: [
      { status: 400, code: 'invalid_email', when: 'It is not an email address.' },
      ADMIN_ACCOUNT,
      { status: 404, code: 'not_found', when: 'There is no such user.' },
      { status: 409, code: 'email_taken', when: 'An account has this address.' },
    ],
    async handle(call) {
      const { deps, body } = call
      const email = emailIn(body.email, '/email')
      const [user] = await findAdminUser(deps.sql, uuidFromUlid(body.user_id) ?? '')
      await requireRightsOver(call, found(user, 'user'))
      if (!(await addEmailUnproven(deps, found(user, 'user').id, email))) throw emailTaken('/email')
      const filter = { userId: user?.id, folded: foldEmail(email) }
      const page = { size: 1, backward: true, after: undefined, before: undefined }
      const [row] = await listUserEmails(deps.sql, filter, page)
      return single(call, EMAIL, found(row, 'email address'), 201)
    },
  }),
  operation({
    method: 'GET',
    path: `${EMAIL.path}/{id}`,
    id: 'getUserEmail',
    area: 'users',
    summary: 'Get an email address',
    success: { status: 200, description: 'The address.', schema: answers.single },
    refusals: [NOT_FOUND],
    handle: async (call) => single(call, EMAIL, await rowOf(call)),
  }),
  operation({
    method: 'DELETE',
    path: `${EMAIL.path}/{id}`,
    id: 'deleteUserEmail',
    area: 'users',
    summary: 'Take an email address from its user',
    success: { status: 204, description: 'It is gone.' },
    refusals: [NOT_FOUND, ADMIN_ACCOUNT],
    async handle(call) {
      const row = await rowOf(call)
      const [user] = await findAdminUser(call.deps.sql, row.user_id)
      await requireRightsOver(call, found(user, 'user'))
      const removed = await removeEmail(call.deps, row.user_id, row.id, { keepLast: false, actor: 'admin' })
      if (removed === 'gone') found(undefined, 'email address')
      return { status: 204, target: { type: EMAIL.type, id: ulidFromUuid(row.id) } }
    },
  }),
]

import { Type } from '@sinclair/typebox'
import {
  countUpstreamLinks,
  findUpstreamProvider,
  listUpstreamLinks,
  removeUpstreamLink,
} from '../../sql/admin-upstream.ts'
import { findAdminUser } from '../../sql/admin-users.ts'
import { findUpstreamLink, type UpstreamLinkRow } from '../../sql/upstream-links.ts'
import { AdminError } from '../http/errors.ts'
import { recordSecurityEvent } from '../identity/security-log.ts'
import { giveIdentity } from '../identity/upstream.ts'
import { transact } from '../lib/transact.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { existing, existingUser } from './existing.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { answersOf, found, idOf, list, type ResourceKind, single } from './resource.ts'
import { ADMIN_ACCOUNT, requireRightsOver } from './rights.ts'
import { listQuery, nullable, Time, Ulid } from './schemas.ts'

const LINK: ResourceKind<UpstreamLinkRow> = {
  type: 'upstream-oauth-link',
  path: '/upstream-oauth-links',
  attributes: (row) => ({
    created_at: row.created_at.toISOString(),
    provider_id: idOf(row.provider_id),
    subject: row.subject,
    user_id: idOf(row.user_id),
    human_account_name: row.human_account_name,
  }),
}

const Subject = Type.String({ minLength: 1, maxLength: 1000, description: 'Who it is at the provider.' })
const AccountName = Type.String({ maxLength: 255, description: 'What the account is called there.' })

const answers = answersOf(
  LINK.type,
  Type.Object({
    created_at: Time('When the person first came.'),
    provider_id: Ulid('Of which provider.'),
    subject: Subject,
    user_id: nullable(Ulid('Whose account it leads to; null for nobody’s yet.')),
    human_account_name: nullable(AccountName),
  }),
)

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such link.' } as const
const rowOf = async ({ deps, params }: Call): Promise<UpstreamLinkRow> =>
  found((await findUpstreamLink(deps.sql, params.id ?? ''))[0], 'upstream link')

export const upstreamLinkOperations: Operation[] = [
  operation({
    method: 'GET',
    path: LINK.path,
    id: 'listUpstreamOAuthLinks',
    area: 'users',
    summary: 'List identities at providers',
    query: listQuery({
      'filter[user]': Type.Optional(Ulid('Of this user.')),
      'filter[provider]': Type.Optional(Ulid('Of this provider.')),
      'filter[subject]': Type.Optional(Subject),
      'filter[human-account-name]': Type.Optional(
        Type.String({ minLength: 1, maxLength: 255, description: 'A part of the name, in any case.' }),
      ),
    }),
    success: { status: 200, description: 'Links.', schema: answers.list },
    refusals: [{ status: 404, code: 'not_found', when: 'There is no such user or provider.' }],
    async handle(call) {
      const { deps, query } = call
      const filter = {
        userId: await existingUser(deps, query['filter[user]']),
        providerId: await existing(
          deps,
          query['filter[provider]'],
          findUpstreamProvider,
          'upstream provider',
        ),
        subject: query['filter[subject]'],
        accountName: query['filter[human-account-name]'],
      }
      return list(call, LINK, {
        rows: (page) => listUpstreamLinks(deps.sql, filter, page),
        count: (how) => countUpstreamLinks(deps.sql, filter, how),
      })
    },
  }),
  operation({
    method: 'POST',
    path: LINK.path,
    id: 'createUpstreamOAuthLink',
    area: 'users',
    summary: 'Link an identity at a provider to a user',
    description:
      'An identity that is nobody’s yet is given to the user: then the answer is 200, and its name stays. Whoever signs in with it at the provider gets into the account; its owner hears of it.',
    body: Type.Object(
      {
        user_id: Ulid('Whose account it leads to.'),
        provider_id: Ulid('Of which provider.'),
        subject: Subject,
        human_account_name: Type.Optional(nullable(AccountName)),
      },
      { additionalProperties: false },
    ),
    success: { status: 201, description: 'The link.', schema: answers.single },
    refusals: [
      ADMIN_ACCOUNT,
      { status: 404, code: 'not_found', when: 'There is no such user or provider.' },
      { status: 409, code: 'link_taken', when: 'The identity leads to an account, also if it is this one.' },
    ],
    async handle(call) {
      const { deps, body } = call
      const [row] = await findAdminUser(deps.sql, uuidFromUlid(body.user_id) ?? '')
      const user = found(row, 'user')
      await requireRightsOver(call, user)
      const [provider] = await findUpstreamProvider(deps.sql, uuidFromUlid(body.provider_id) ?? '')
      const { id: providerId, human_name, issuer } = found(provider, 'upstream provider')
      const made = await transact(deps.sql, async (tx) => {
        const accountName = body.human_account_name ?? null
        const identity = { providerId, subject: body.subject, userId: user.id, accountName }
        const given = await giveIdentity(deps, tx, identity)
        if (!given) return undefined
        const details = { name: human_name ?? issuer ?? ulidFromUuid(providerId) }
        await recordSecurityEvent(deps, tx, {
          userId: user.id,
          kind: 'identity_linked',
          actor: 'admin',
          details,
        })
        return given
      })
      if (!made) throw new AdminError(409, 'link_taken', 'This identity leads to an account already.')
      return single(call, LINK, made.link, made.isNew ? 201 : 200)
    },
  }),
  operation({
    method: 'GET',
    path: `${LINK.path}/{id}`,
    id: 'getUpstreamOAuthLink',
    area: 'users',
    summary: 'Get an identity at a provider',
    success: { status: 200, description: 'The link.', schema: answers.single },
    refusals: [NOT_FOUND],
    handle: async (call) => single(call, LINK, await rowOf(call)),
  }),
  operation({
    method: 'DELETE',
    path: `${LINK.path}/{id}`,
    id: 'deleteUpstreamOAuthLink',
    area: 'users',
    summary: 'Unlink an identity at a provider',
    description: 'Also when it is the last way into the account.',
    success: { status: 204, description: 'It is gone.' },
    refusals: [NOT_FOUND, ADMIN_ACCOUNT],
    async handle(call) {
      const { deps } = call
      const row = await rowOf(call)
      const { user_id: userId } = row
      if (userId !== null) {
        const [user] = await findAdminUser(deps.sql, userId)
        await requireRightsOver(call, found(user, 'user'))
      }
      const [provider] = await findUpstreamProvider(deps.sql, row.provider_id)
      await transact(deps.sql, async (tx) => {
        const [removed] = await removeUpstreamLink(tx, row.id)
        found(removed, 'upstream link')
        const details = { name: provider?.human_name ?? provider?.issuer ?? ulidFromUuid(row.provider_id) }
        if (userId !== null)
          await recordSecurityEvent(deps, tx, { userId, kind: 'identity_unlinked', actor: 'admin', details })
      })
      return { status: 204, target: { type: LINK.type, id: ulidFromUuid(row.id) } }
    },
  }),
]

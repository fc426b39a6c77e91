import { Type } from '@sinclair/typebox'
import { countFailedMails, findMail, listFailedMailPage, type MailRow, reviveMails } from '../../sql/mails.ts'
import { AdminError } from '../http/errors.ts'
import { transact } from '../lib/transact.ts'
import { type Operation, operation } from './operation.ts'
import { answersOf, found, list, type ResourceKind, single } from './resource.ts'
import { listQuery, nullable, Time } from './schemas.ts'

/** Neither to whom nor what: the contents are sealed, and may hold a code. `manage list-undelivered-mail` names addresses. */
const MAIL: ResourceKind<MailRow> = {
  type: 'undelivered-mail',
  path: '/undelivered-mails',
  attributes: (row) => ({
    kind: row.kind,
    attempts: row.attempts,
    failure: row.failure,
    created_at: row.created_at.toISOString(),
    attempted_at: row.attempted_at?.toISOString() ?? null,
    expires_at: row.expires_at?.toISOString() ?? null,
    given_up_at: row.given_up_at?.toISOString() ?? null,
  }),
}

const answers = answersOf(
  MAIL.type,
  Type.Object({
    kind: Type.String({ description: 'What it says.', examples: ['email-code'] }),
    attempts: Type.Integer(),
    failure: nullable(Type.String({ description: 'What the mail server said last.' })),
    created_at: Time('When it was written.'),
    attempted_at: nullable(Time('When it was tried last.')),
    expires_at: nullable(Time('From when on it is of no use.')),
    given_up_at: nullable(Time('Since when nobody tries any more.')),
  }),
)

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such mail.' } as const

const listOperation = operation({
  method: 'GET',
  path: MAIL.path,
  id: 'listUndeliveredMails',
  area: 'server',
  summary: 'List mail that could not be sent',
  query: listQuery({
    'filter[given_up]': Type.Optional(
      Type.Boolean({ description: 'Nobody tries any more; false: it is still tried.' }),
    ),
  }),
  success: { status: 200, description: 'Mails.', schema: answers.list },
  handle(call) {
    const { deps, query } = call
    const filter = { givenUp: query['filter[given_up]'] }
    return list(call, MAIL, {
      rows: (page) => listFailedMailPage(deps.sql, filter, page),
      count: (how) => countFailedMails(deps.sql, filter, how),
    })
  },
})

const retryOperation = operation({
  method: 'POST',
  path: `${MAIL.path}/{id}/retry`,
  id: 'retryUndeliveredMail',
  area: 'server',
  summary: 'Try to send a mail again that was given up',
  success: { status: 200, description: 'The mail, which waits again.', schema: answers.single },
  refusals: [
    NOT_FOUND,
    { status: 409, code: 'not_given_up', when: 'It is still tried, or its code or link has run out.' },
  ],
  async handle(call) {
    const { deps } = call
    const row = found((await findMail(deps.sql, call.params.id ?? ''))[0], 'mail')
    const revived = await transact(deps.sql, async (tx) => {
      const mails = await reviveMails(tx, row.id, deps.clock.now())
      for (const mail of mails) await deps.jobs.enqueue(tx, 'send-mail', { mail_id: mail.id })
      return mails.length > 0
    })
    if (!revived)
      throw new AdminError(409, 'not_given_up', 'The mail is still tried, or its code or link has run out.')
    return single(call, MAIL, { ...row, attempts: 0, given_up_at: null })
  },
})

export const mailOperations: Operation[] = [listOperation, retryOperation]

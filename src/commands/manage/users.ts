import { type AdminUserRow, listUsers } from '../../../sql/admin-users.ts'
import { countActiveSessions } from '../../../sql/sessions.ts'
import { listEmailAddresses } from '../../identity/emails.ts'
import { fold } from '../../lib/fold.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import { type Context, note, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { counted, phrase } from './accounts.ts'
import { answer, userRecord } from './answer.ts'
import { requireUser, withLatchkey } from './with-latchkey.ts'

/** Accounts that are read at once; a server may have a million. */
const PAGE = 1000

/** The filter that finds every account. */
export const EVERYBODY = {
  admin: undefined,
  guest: undefined,
  search: undefined,
  status: undefined,
  clientIds: undefined,
  hasOAuthSession: undefined,
  hasCompatSession: undefined,
}

interface ListFlags extends ConfigOnly {
  search?: string
  status?: 'active' | 'locked' | 'deactivated'
  json?: boolean
}

/** `latchkey manage list-users`: one a line, in the order in which they were made. */
export async function listAccounts(this: Context, flags: ListFlags): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const search = flags.search === undefined ? undefined : fold(flags.search)
    const filter = { ...EVERYBODY, search, status: flags.status }
    let found = 0
    for (let after: string | undefined; ; ) {
      this.signal.throwIfAborted()
      const page = { size: PAGE, backward: false, after, before: undefined }
      const rows = (await listUsers(deps.sql, filter, page)).slice(0, PAGE)
      for (const row of rows) say(this, flags.json ? JSON.stringify(userRecord(row)) : line(row))
      found += rows.length
      after = rows.at(-1)?.id
      if (rows.length < PAGE) break
    }
    if (!flags.json) note(this, `${counted(found, 'account')}.`)
  })
}

const statesOf = (
  row: Pick<AdminUserRow, 'is_admin' | 'locked_at' | 'deactivated_at' | 'approval_requested_at'>,
): string[] => [
  ...(row.is_admin ? ['admin'] : []),
  ...(row.approval_requested_at ? ['waiting'] : row.locked_at ? ['locked'] : []),
  ...(row.deactivated_at ? ['deactivated'] : []),
]

const line = (row: AdminUserRow): string =>
  [
    ulidFromUuid(row.id),
    row.username,
    row.created_at.toISOString(),
    statesOf(row).join(',') || 'active',
  ].join('\t')

/** `latchkey manage show-user`. */
export async function showUser(
  this: Context,
  flags: ConfigOnly & { json?: boolean },
  username: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const emails = (await listEmailAddresses(deps, user.id)).map(({ email }) => email)
    const [counts] = await countActiveSessions(deps.sql, user.id)
    const { browser = 0, oauth = 0, compat = 0, personal = 0 } = counts ?? {}
    const sessions = { browsers: browser, apps: oauth + compat, tokens: personal }
    const mxid = `@${user.username}:${deps.config.matrix.homeserver}`
    const lines = [
      ['Matrix id', mxid],
      ['Id', ulidFromUuid(user.id)],
      ['Display name', user.display_name ?? '(none set here)'],
      ['Created', user.created_at.toISOString()],
      ['State', statesOf(user).join(', ') || 'active'],
      ['Emails', emails.join(', ') || '(none)'],
      ['Signed in', phrase(sessions)],
    ]
    answer(this, flags, lines.map(([name = '', value = '']) => `${name.padEnd(13)} ${value}`).join('\n'), {
      ...userRecord(user),
      mxid,
      emails,
      sessions,
    })
  })
}

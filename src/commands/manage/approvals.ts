import { listWaiting } from '../../../sql/approvals.ts'
import { approve, reject } from '../../identity/approvals.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import { CommandError, type Context, note, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { counted } from './accounts.ts'
import { type ChangeFlags, changeAccount } from './answer.ts'
import { withLatchkey } from './with-latchkey.ts'

/** Accounts that are read at once. */
const PAGE = 1000

/** `latchkey manage list-approvals`: who waits, one a line, the first to come first. */
export async function listApprovals(this: Context, flags: ConfigOnly & { json?: boolean }): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    let found = 0
    for (let after: string | null = null; ; ) {
      this.signal.throwIfAborted()
      const rows = await listWaiting(deps.sql, after, PAGE)
      for (const row of rows) {
        const id = ulidFromUuid(row.id)
        const at = row.approval_requested_at.toISOString()
        const { username, display_name, email } = row
        const record = { id, username, display_name, email, approval_requested_at: at }
        const line = [id, username, at, email ?? '', display_name ?? ''].join('\t')
        say(this, flags.json ? JSON.stringify(record) : line)
      }
      found += rows.length
      if (rows.length < PAGE) break
      after = rows.at(-1)?.id ?? null
    }
    if (!flags.json) note(this, `${counted(found, 'account')} waiting.`)
  })
}

const notWaiting = (username: string): CommandError =>
  new CommandError(`${username} does not wait for approval. Who does: latchkey manage list-approvals`)

/** `latchkey manage approve-user`. */
export function approveUser(this: Context, flags: ChangeFlags, username: string): Promise<void> {
  return changeAccount(this, flags, username, (deps, user) => {
    if (!user.approval_requested_at) throw notWaiting(user.username)
    return {
      would: `approve ${user.username}`,
      async make() {
        if (!(await approve(deps, user.id))) throw notWaiting(user.username)
        return `${user.username} is approved and may sign in.`
      },
    }
  })
}

/** `latchkey manage reject-user`. */
export function rejectUser(this: Context, flags: ChangeFlags, username: string): Promise<void> {
  return changeAccount(this, flags, username, (deps, user) => {
    if (!user.approval_requested_at) throw notWaiting(user.username)
    return {
      would: `reject and delete ${user.username}`,
      async make() {
        if (!(await reject(deps, user.id))) throw notWaiting(user.username)
        return `${user.username} is rejected and deleted; the name is free.`
      },
    }
  })
}

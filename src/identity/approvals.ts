import { approveWaiting, deleteWaiting } from '../../sql/approvals.ts'
import type { Db } from '../../sql/connect.ts'
import { findMailRecipient } from '../../sql/security-events.ts'
import type { Deps } from '../deps.ts'
import { transact } from '../lib/transact.ts'
import { queueMail } from './mails.ts'
import { recipientLanguage, recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'

type Needs = Pick<Deps, 'sql' | 'urls'> & SecurityLogNeeds

/**
 * Approves an account that waits: it may sign in, the homeserver hears of it by a job, and the person by mail. False for
 * one that does not wait.
 */
export const approve = (deps: Needs, userId: string): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    const [user] = await approveWaiting(tx, userId)
    if (!user) return false
    await recordSecurityEvent(deps, tx, { userId, kind: 'approved', actor: 'admin' })
    await deps.jobs.enqueue(tx, 'provision-user', { user_id: userId })
    await tell(deps, tx, userId, { ...user, approved: true })
    deps.log.info('user.approved', { user_id: userId, username: user.username })
    return true
  })

/**
 * Rejects an account that waits: it is deleted, its name and its address are free, and the person gets a mail. False for
 * one that does not wait.
 */
export const reject = (deps: Needs, userId: string): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    // Before it is gone, and with it the address; a mail of somebody who did not wait is rolled back.
    const recipient = await recipientOf(tx, userId)
    const [user] = await deleteWaiting(tx, userId)
    if (!user) return false
    await tell(deps, tx, userId, { ...user, approved: false }, recipient)
    deps.log.info('user.rejected', { user_id: userId, username: user.username })
    return true
  })

const recipientOf = async (tx: Db, userId: string) => (await findMailRecipient(tx, userId))[0]

async function tell(
  deps: Needs,
  tx: Db,
  userId: string,
  decided: { username: string; sign_up_lang: string | null; approved: boolean },
  recipient?: Awaited<ReturnType<typeof recipientOf>>,
): Promise<void> {
  const { username, sign_up_lang: locale, approved } = decided
  const person = recipient ?? (await recipientOf(tx, userId))
  if (!person?.email) return
  await queueMail(deps, tx, 'approval', {
    to: { address: person.email, name: username },
    ...recipientLanguage(deps, { locale: person.locale ?? locale, time_zone: person.time_zone }, undefined),
    context: {
      approved,
      mxid: `@${username}:${deps.config.matrix.homeserver}`,
      ...(approved && { sign_in_uri: deps.urls.absolute('/login') }),
    },
  })
}

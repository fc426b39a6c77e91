import type { Db } from '../../sql/connect.ts'
import {
  claimDueDeactivation,
  claimPendingDeactivation,
  findPendingDeactivation,
  insertPendingDeactivation,
  type PendingDeactivationRow,
} from '../../sql/pending-deactivations.ts'
import { findMailRecipient } from '../../sql/security-events.ts'
import { lockUser, unlockUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { randomString } from '../lib/random.ts'
import { transact } from '../lib/transact.ts'
import { deactivate, deactivateIn } from './lifecycle.ts'
import { limitSubject, take } from './limits.ts'
import { queueMail } from './mails.ts'
import { recipientLanguage, recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'
import { knownUserAgent } from './user-agent.ts'

/** Links of one address that are none. */
const WRONG_TICKETS = { burst: 30, per_second: 1 / 60 }

type Needs = Pick<Deps, 'config' | 'sql' | 'urls'> & SecurityLogNeeds

/**
 * Deactivates the account of somebody who asked for it: at once, or with `account.deactivation_grace_period` after that
 * time. Until then it is locked, so nobody signs in and nothing is lost, and a mail holds the link that takes it back.
 * Gives when it will happen, undefined when it has.
 */
export async function requestDeactivation(
  deps: Needs,
  userId: string,
  erase: boolean,
  requester: Requester,
): Promise<Date | undefined> {
  const grace = deps.config.account.deactivation_grace_period
  if (grace === 0) {
    await deactivate(deps, userId, erase, { actor: 'self', requester })
    return undefined
  }
  const now = deps.clock.now()
  const dueAt = addSeconds(now, grace)
  const ticket = randomString(deps.random, 32)
  await transact(deps.sql, async (tx) => {
    const [locked] = await lockUser(tx, userId, now)
    const pending = { userId, digest: sha256(ticket), erase, keepLocked: !locked, now, dueAt }
    const [added] = await insertPendingDeactivation(tx, pending)
    if (!added) return
    await recordSecurityEvent(deps, tx, { userId, kind: 'deactivation_requested', requester })
    await writeMail(deps, tx, userId, { ticket, dueAt, requester })
    await deps.jobs.enqueue(tx, 'provision-user', { user_id: userId })
  })
  deps.log.info('user.deactivation_requested', { user_id: userId, due_at: dueAt.toISOString() })
  return dueAt
}

async function writeMail(
  deps: Needs,
  tx: Db,
  userId: string,
  { ticket, dueAt, requester }: { ticket: string; dueAt: Date; requester: Requester },
): Promise<void> {
  const [owner] = await findMailRecipient(tx, userId)
  if (!owner || owner.email === null) return
  const device = knownUserAgent(requester.userAgent)
  await queueMail(
    deps,
    tx,
    'deactivation',
    {
      to: { address: owner.email, name: owner.username },
      ...recipientLanguage(deps, owner, requester),
      context: {
        mxid: `@${owner.username}:${deps.config.matrix.homeserver}`,
        due_at: dueAt.toISOString(),
        link: deps.urls.absolute(`/account/deactivate/undo?ticket=${ticket}`),
        at: deps.clock.now().toISOString(),
        ...(requester.ip !== undefined && { ip: requester.ip }),
        ...(device !== undefined && { device }),
      },
    },
    dueAt,
  )
}

/** What the link of a mail would take back; undefined when there is nothing. Changes nothing. @throws RateLimited */
export async function readDeactivationTicket(
  deps: Pick<Deps, 'sql' | 'clock' | 'secrets' | 'log'>,
  ticket: string,
  requester: Requester,
): Promise<PendingDeactivationRow | undefined> {
  const [found] = /^[0-9A-Za-z]{32}$/.test(ticket)
    ? await findPendingDeactivation(deps.sql, sha256(ticket))
    : []
  if (!found) await take(deps, 'deactivation-ticket.ip', limitSubject(requester.ip), WRONG_TICKETS)
  return found
}

/**
 * Takes a deactivation back: the account is unlocked, and its sessions go on. False when somebody was first or it has
 * happened: the row is claimed by one write, which the job makes too.
 */
export const undoDeactivation = (
  deps: Pick<Deps, 'sql'> & SecurityLogNeeds,
  ticket: string,
  requester: Requester,
): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    const [claimed] = await claimPendingDeactivation(tx, sha256(ticket))
    if (!claimed) return false
    const userId = claimed.user_id
    if (!claimed.keep_locked) await unlockUser(tx, userId)
    await recordSecurityEvent(deps, tx, { userId, kind: 'deactivation_undone', requester })
    await deps.jobs.enqueue(tx, 'provision-user', { user_id: userId })
    deps.log.info('user.deactivation_undone', { user_id: userId })
    return true
  })

/** Deactivates the accounts whose time has come, one after the other: what fails is tried again at the next run. */
export async function deactivateDue(deps: Pick<Deps, 'sql'> & SecurityLogNeeds): Promise<void> {
  const next = () =>
    transact(deps.sql, async (tx) => {
      const [due] = await claimDueDeactivation(tx, deps.clock.now())
      if (due) await deactivateIn(deps, tx, due.user_id, due.erase, { actor: 'self' })
      return due !== undefined
    })
  while (await next());
}

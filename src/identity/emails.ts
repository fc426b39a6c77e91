import type { Db } from '../../sql/connect.ts'
import type { EmailVerificationRow } from '../../sql/email-verifications.ts'
import { voidRecoveryTickets } from '../../sql/recoveries.ts'
import {
  clearPrimaryEmail,
  deleteUserEmail,
  listUserEmails,
  lockUserEmails,
  markPrimaryEmail,
  type UserEmailRow,
} from '../../sql/user-emails.ts'
import { insertEmail } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { transact } from '../lib/transact.ts'
import { newId } from '../lib/ulid.ts'
import { foldEmail } from './email-address.ts'
import {
  beginVerification,
  type Claimant,
  type CodeAnswer,
  confirmCode,
  takeAttempt,
  takeCodeLimits,
} from './email-verification.ts'
import { recordSecurityEvent, type SecurityEvent, type SecurityLogNeeds } from './security-log.ts'

type Needs = SecurityLogNeeds & Pick<Deps, 'sql' | 'urls'>
/** Who does it, for the security log: the owner unless it says otherwise. */
type By = Pick<SecurityEvent, 'actor' | 'requester'>

/** Gives an account an address that was proven, in the caller's transaction; false when another account has it. */
export async function addEmail(
  deps: Pick<Deps, 'clock' | 'random'>,
  tx: Db,
  userId: string,
  email: string,
): Promise<boolean> {
  const now = deps.clock.now()
  const row = { id: newId(now, deps.random), userId, email, folded: foldEmail(email), now }
  const [added] = await insertEmail(tx, row)
  return added !== undefined
}

/**
 * Begins to add an address to an account: a mail with a code is on its way, or, where another account has the address,
 * one that tells its owner. Whoever asks can't tell which. Gives the id of the verification; undefined when the address
 * is the account's already.
 *
 * @throws RateLimited
 */
export async function startAddingEmail(
  deps: Needs,
  userId: string,
  email: string,
  claimant: Claimant,
): Promise<string | undefined> {
  const own = await listUserEmails(deps.sql, userId)
  if (own.some((row) => foldEmail(row.email) === foldEmail(email))) return undefined
  await takeCodeLimits(deps, claimant.requester, email)
  return transact(deps.sql, (tx) => beginVerification(deps, tx, { userId }, email, claimant))
}

/**
 * Adds an address with its code; the homeserver is told by a job. The notice goes to the addresses that were there
 * before. `taken`: another account proved it first.
 *
 * @throws RateLimited
 */
export async function confirmEmail(
  deps: Needs,
  userId: string,
  verification: EmailVerificationRow,
  code: string,
  requester: Requester,
): Promise<CodeAnswer | 'taken'> {
  await takeAttempt(deps, verification)
  return transact(deps.sql, async (tx) => {
    const answer = await confirmCode(deps, tx, verification, code)
    if (answer !== 'ok') return answer
    await attach(deps, tx, userId, verification.email, { requester })
    return 'ok' as const
  }).catch((error: unknown) => {
    if (error instanceof Taken) return 'taken' as const
    throw error
  })
}

/** Writes down that the account has another address, and tells the homeserver by a job. @throws Taken */
async function attach(deps: Needs, tx: Db, userId: string, email: string, by: By): Promise<void> {
  // Before it is there: a new address alone need not hear that it is new.
  await recordSecurityEvent(deps, tx, { userId, kind: 'email_added', details: { email }, ...by })
  if (!(await addEmail(deps, tx, userId, email))) throw new Taken()
  await deps.jobs.enqueue(tx, 'provision-user', { user_id: userId })
  deps.log.info('email.added', { user_id: userId })
}

/** Gives an account an address because an admin says that it is theirs; false when another account has it. */
export const addEmailUnproven = (deps: Needs, userId: string, email: string): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    await attach(deps, tx, userId, email, { actor: 'admin' })
    return true
  }).catch((error: unknown) => {
    if (error instanceof Taken) return false
    throw error
  })

/** Rolls back, so that neither the log nor a mail says that the address was added. */
class Taken extends Error {}

/** Whether people must keep an address: where a sign-up needs one. */
export const mustKeepEmail = ({ config }: Pick<Deps, 'config'>): boolean =>
  config.account.password_registration_email_required

/**
 * Takes an address from an account; the homeserver is told by a job, and links that may be on their way to it end. The
 * notice goes to that address too. `last`: an address must stay. `gone`: it is not the account's.
 */
export const removeEmail = (
  deps: Needs,
  userId: string,
  emailId: string,
  { keepLast, ...by }: By & { keepLast: boolean },
): Promise<'removed' | 'gone' | 'last'> =>
  transact(deps.sql, async (tx) => {
    await lockUserEmails(tx, userId)
    const rows = await listUserEmails(tx, userId)
    const row = rows.find(({ id }) => id === emailId)
    if (!row) return 'gone'
    if (keepLast && rows.length === 1) return 'last'
    await deleteUserEmail(tx, emailId, userId)
    await voidRecoveryTickets(tx, userId, deps.clock.now())
    const { email } = row
    await recordSecurityEvent(deps, tx, {
      userId,
      kind: 'email_removed',
      details: { email },
      alsoTo: email,
      ...by,
    })
    await deps.jobs.enqueue(tx, 'provision-user', { user_id: userId })
    deps.log.info('email.removed', { user_id: userId })
    return 'removed'
  })

/** Makes an address of an account the main one. The one before is told; false when the address is not the account's. */
export const setPrimaryEmail = (deps: Needs, userId: string, emailId: string, by: By): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    await lockUserEmails(tx, userId)
    const [before] = await listUserEmails(tx, userId)
    await clearPrimaryEmail(tx, userId)
    const [row] = await markPrimaryEmail(tx, emailId, userId)
    if (!row) throw new NotOwn()
    if (before?.id === emailId) return true
    const { email } = row
    await recordSecurityEvent(deps, tx, {
      userId,
      kind: 'email_primary',
      details: { email },
      ...(before && { alsoTo: before.email }),
      ...by,
    })
    deps.log.info('email.primary_changed', { user_id: userId })
    return true
  }).catch((error: unknown) => {
    if (error instanceof NotOwn) return false
    throw error
  })

class NotOwn extends Error {}

/** The addresses of an account, the main one first. */
export const listEmailAddresses = async (
  deps: Pick<Deps, 'sql'>,
  userId: string,
): Promise<(UserEmailRow & { main: boolean })[]> =>
  (await listUserEmails(deps.sql, userId)).map((row, index) => ({ ...row, main: index === 0 }))

import type { Db } from '../../sql/connect.ts'
import {
  claimRecoveryTicket,
  findRecovery,
  findRecoveryTicket,
  insertRecovery,
  insertRecoveryTicket,
  listRecoverable,
  type RecoverableRow,
  type RecoveryRow,
  type RecoveryTicketRow,
} from '../../sql/recoveries.ts'
import type { StoredPassword } from '../crypto/passwords.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import type { Requester } from '../http/requester.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { randomString } from '../lib/random.ts'
import { transact } from '../lib/transact.ts'
import { newId } from '../lib/ulid.ts'
import type { RecoveryMail } from '../render/contexts-mail.ts'
import { beginSession } from './begin-session.ts'
import type { Continuation } from './continuation.ts'
import { foldEmail } from './email-address.ts'
import { endEverything, replacePassword } from './lifecycle.ts'
import { limitSubject, take, takeAll } from './limits.ts'
import { queueMail } from './mails.ts'
import { recipientLanguage, recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'
import { knownUserAgent } from './user-agent.ts'
import type { Visit } from './visit.ts'

/** Seconds that a link from a mail works (reference operations 5.3). */
export const TICKET_LIFETIME = 600
/** Seconds that the link of an administrator works: it is passed on by hand. */
const ADMIN_TICKET_LIFETIME = 24 * 3600
/** Wrong tickets of one address: nobody guesses one, but nobody needs to try thousands either. */
const WRONG_TICKETS = { burst: 30, per_second: 1 / 60 }

/** Whether people may reset a lost password by mail. */
export const recoveryEnabled = ({ config }: Pick<Deps, 'config'>): boolean =>
  config.passwords.enabled && config.account.password_recovery_enabled

/**
 * Notes that somebody wants to get back into the accounts of an address, and leaves the rest to a job: an address that
 * nobody has costs the same time and gets the same answer (reference flows 5.1). Gives the id of the request.
 *
 * @throws RateLimited
 */
export async function requestRecovery(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'random' | 'secrets' | 'jobs' | 'log'>,
  { browser, requester }: Pick<Visit, 'browser' | 'requester'>,
  email: string,
  continuation: Continuation,
): Promise<string> {
  await takeLimits(deps, requester, email)
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  await transact(deps.sql, async (tx) => {
    await insertRecovery(tx, {
      id,
      browserHash: browserHash(browser),
      email,
      continuation: continuation.text,
      ip: requester.ip ?? null,
      userAgent: requester.userAgent ?? null,
      acceptLanguage: requester.acceptLanguage ?? null,
      now,
    })
    await deps.jobs.enqueue(tx, 'recovery-mail', { recovery_id: id })
  })
  deps.log.info('recovery.requested', { recovery_id: id, ip: requester.ip })
  return id
}

/** Sends the mail of a request once more, with new links. @throws RateLimited */
export async function repeatRecovery(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'secrets' | 'jobs' | 'log'>,
  recovery: Pick<RecoveryRow, 'id' | 'email'>,
  requester: Requester,
): Promise<void> {
  await takeLimits(deps, requester, recovery.email)
  await transact(deps.sql, (tx) => deps.jobs.enqueue(tx, 'recovery-mail', { recovery_id: recovery.id }))
}

async function takeLimits(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'secrets' | 'log'>,
  requester: Requester,
  email: string,
): Promise<void> {
  const limits = deps.config.rate_limiting.account_recovery
  await takeAll(
    deps,
    ['recovery.ip', limitSubject(requester.ip), limits.per_ip],
    ['recovery.address', foldEmail(email), limits.per_address],
  )
}

/**
 * The job: one mail to each spelling of the address that accounts have, with a link for each account. It goes to the
 * address as its owner wrote it, never as the stranger did.
 */
export function sendRecoveryMails(
  deps: SecurityLogNeeds & Pick<Deps, 'sql' | 'urls'>,
  recoveryId: string,
): Promise<void> {
  return transact(deps.sql, async (tx) => {
    const [recovery] = await findRecovery(tx, recoveryId)
    if (!recovery || addSeconds(recovery.requested_at, 3600) <= deps.clock.now()) return
    const accounts = await listRecoverable(tx, foldEmail(recovery.email))
    for (const [address, owned] of Map.groupBy(accounts, ({ email }) => email))
      await sendRecoveryMail(deps, tx, recovery, address, owned)
  })
}

async function sendRecoveryMail(
  deps: SecurityLogNeeds & Pick<Deps, 'urls'>,
  tx: Db,
  recovery: RecoveryRow,
  address: string,
  accounts: RecoverableRow[],
): Promise<void> {
  const [first] = accounts
  if (!first) return
  const requester: Requester = {
    ip: recovery.ip ?? undefined,
    userAgent: recovery.user_agent ?? undefined,
    acceptLanguage: recovery.accept_language ?? undefined,
  }
  const lines: RecoveryMail['accounts'] = []
  for (const account of accounts) {
    const state = account.approval_requested_at ? 'waiting' : stateOf(deps, account)
    lines.push({
      mxid: `@${account.username}:${deps.config.matrix.homeserver}`,
      state,
      ...(state === 'open' && {
        link: linkOf(deps, await addTicket(deps, tx, account.user_id, recovery.id)),
      }),
    })
    await recordSecurityEvent(deps, tx, { userId: account.user_id, kind: 'recovery_requested', requester })
  }
  const device = knownUserAgent(requester.userAgent)
  await queueMail(
    deps,
    tx,
    'recovery',
    {
      to: { address, name: accounts.length === 1 ? first.username : '' },
      ...recipientLanguage(deps, first, requester),
      context: {
        accounts: lines,
        minutes: TICKET_LIFETIME / 60,
        at: recovery.requested_at.toISOString(),
        ...(requester.ip !== undefined && { ip: requester.ip }),
        ...(device !== undefined && { device }),
      },
    },
    addSeconds(deps.clock.now(), TICKET_LIFETIME),
  )
}

/** Whether the directory decides about the password of an account: one of ours would open nothing. */
const hasOtherPassword = ({ ldap }: Deps['config'], account: Pick<RecoverableRow, 'in_directory'>): boolean =>
  ldap !== undefined && account.in_directory

/** Whether a link may let anybody into an account. */
const stateOf = (
  { config }: Pick<Deps, 'config'>,
  account: Pick<RecoverableRow, 'locked_at' | 'has_password' | 'in_directory'>,
): 'open' | 'locked' | 'no_password' => {
  if (account.locked_at) return 'locked'
  if (hasOtherPassword(config, account)) return 'no_password'
  return account.has_password || config.account.passwordless_recovery_allowed ? 'open' : 'no_password'
}

/** Makes a ticket: 32 characters, of which only a digest is stored. */
async function addTicket(
  deps: Pick<Deps, 'clock' | 'random'>,
  tx: Db,
  userId: string,
  recoveryId: string | null,
  lifetime = TICKET_LIFETIME,
): Promise<string> {
  const now = deps.clock.now()
  const ticket = randomString(deps.random, 32)
  const expiresAt = addSeconds(now, lifetime)
  await insertRecoveryTicket(tx, { digest: sha256(ticket), userId, recoveryId, now, expiresAt })
  return ticket
}

const linkOf = ({ urls }: Pick<Deps, 'urls'>, ticket: string): string =>
  urls.absolute(`/account/password/recovery?ticket=${ticket}`)

/**
 * A link with which an account gets a password once, within a day, whatever the configuration says of recovery: for an
 * administrator to pass on. The owner gets a notice.
 */
export const issueRecoveryLink = (
  deps: SecurityLogNeeds & Pick<Deps, 'sql' | 'urls'>,
  userId: string,
): Promise<string> =>
  transact(deps.sql, async (tx) => {
    const ticket = await addTicket(deps, tx, userId, null, ADMIN_TICKET_LIFETIME)
    await recordSecurityEvent(deps, tx, { userId, kind: 'recovery_link_issued', actor: 'admin' })
    deps.log.info('recovery.link_issued', { user_id: userId })
    return linkOf(deps, ticket)
  })

/** What a presented ticket is good for. `locked` is told to whoever has the link: they own the address. */
export type Ticket =
  | { state: 'good' | 'locked'; account: RecoveryTicketRow }
  /** Unknown, used, too old, or not to be used for this account. */
  | { state: 'gone' }

/** Looks a ticket up and changes nothing. @throws RateLimited for somebody who tries many */
export async function readTicket(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'secrets' | 'log'>,
  ticket: string,
  requester: Requester,
): Promise<Ticket> {
  const [account] = /^[0-9A-Za-z]{32}$/.test(ticket) ? await findRecoveryTicket(deps.sql, sha256(ticket)) : []
  if (!account) {
    await take(deps, 'recovery-ticket.ip', limitSubject(requester.ip), WRONG_TICKETS)
    return { state: 'gone' }
  }
  const ofAdmin = account.recovery_id === null
  const spent = account.used_at !== null || account.expires_at <= deps.clock.now()
  if (spent || account.deactivated_at || !deps.config.passwords.enabled) return { state: 'gone' }
  if (hasOtherPassword(deps.config, account)) return { state: 'gone' }
  if (account.locked_at) return { state: 'locked', account }
  if (ofAdmin || (recoveryEnabled(deps) && stateOf(deps, account) === 'open'))
    return { state: 'good', account }
  return { state: 'gone' }
}

/**
 * Gives the account of a ticket another password and signs in, and ends all its other sessions if `endSessions`. The
 * ticket is claimed by one write, so of two browsers one gets undefined. All other tickets of the account end with it.
 */
export const resetPassword = (
  deps: SecurityLogNeeds & Pick<Deps, 'sql' | 'urls'>,
  visit: Pick<Visit, 'browser' | 'requester'>,
  ticket: string,
  password: StoredPassword,
  { endSessions }: { endSessions: boolean },
): Promise<{ userId: string; cookies: string[] } | undefined> =>
  transact(deps.sql, async (tx) => {
    const [claimed] = await claimRecoveryTicket(tx, sha256(ticket), deps.clock.now())
    if (!claimed) return undefined
    const userId = claimed.user_id
    await replacePassword(deps, tx, userId, password)
    if (endSessions) await endEverything(deps, tx, userId)
    await recordSecurityEvent(deps, tx, {
      userId,
      kind: 'password_reset',
      requester: visit.requester,
      details: { sessions_ended: String(endSessions) },
    })
    const { id, cookies } = await beginSession(deps, tx, visit, userId, { method: 'recovery', quiet: true })
    deps.log.info('recovery.completed', { user_id: userId, session_id: id, sessions_ended: endSessions })
    return { userId, cookies }
  })

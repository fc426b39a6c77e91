import { requestApproval } from '../../sql/approvals.ts'
import { finishBrowserSessions } from '../../sql/browser-sessions.ts'
import { finishCompatSessions } from '../../sql/compat-sessions.ts'
import type { Db } from '../../sql/connect.ts'
import { deleteKnownBrowsers } from '../../sql/known-browsers.ts'
import { finishOAuthSessions } from '../../sql/oauth-sessions.ts'
import { deletePendingDeactivation, keepLockedAfterDeactivation } from '../../sql/pending-deactivations.ts'
import { markErased, reactivateUser } from '../../sql/provisioning.ts'
import { voidRecoveryTickets } from '../../sql/recoveries.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import {
  anyUserExists,
  deactivateUser,
  deleteEmails,
  deletePasswords,
  insertPassword,
  insertUser,
  lockFirstAccount,
  lockUser,
  unlockUser,
} from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { fold } from '../lib/fold.ts'
import { transact } from '../lib/transact.ts'
import { newId } from '../lib/ulid.ts'
import { announceLogout } from './logout-notices.ts'
import { endPersonalSessionsOf } from './personal-tokens.ts'
import { recordSecurityEvent, type SecurityEvent, type SecurityLogNeeds } from './security-log.ts'

/**
 * Creates an account in a transaction: the row, its password, the job that tells the homeserver. Undefined when the
 * name was taken in any case of its letters. The first account of a standalone deployment is an admin (decision 25),
 * unless `foreignName` says that the sign-up came by a host name which is not ours. With `approvalIn`, the language of a
 * sign-up, anybody else waits for an admin (`approvals.ts`) and the homeserver hears nothing yet.
 */
export async function createUser(
  deps: Pick<Deps, 'config' | 'clock' | 'random' | 'jobs' | 'log'>,
  tx: Db,
  account: {
    username: string
    displayName: string | null
    password: { version: number; hash: string } | undefined
    isAdmin: boolean
    foreignName?: boolean
    approvalIn?: string | undefined
  },
): Promise<{ id: string; isAdmin: boolean; waits: boolean } | undefined> {
  const now = deps.clock.now()
  const firstIsAdmin = deps.config.matrix.kind === 'standalone' && !account.foreignName
  const isAdmin = account.isAdmin || (firstIsAdmin && (await isFirstAccount(tx)))
  const [user] = await insertUser(tx, {
    id: newId(now, deps.random),
    username: account.username,
    folded: fold(account.username),
    displayName: account.displayName,
    isAdmin,
    now,
  })
  if (!user) return undefined
  if (account.password)
    await insertPassword(tx, { id: newId(now, deps.random), userId: user.id, ...account.password, now })
  const waits = account.approvalIn !== undefined && !isAdmin
  if (waits) await requestApproval(tx, user.id, account.approvalIn ?? '', now)
  else await deps.jobs.enqueue(tx, 'provision-user', { user_id: user.id })
  deps.log.info('user.created', {
    user_id: user.id,
    username: account.username,
    is_admin: isAdmin,
    ...(waits && { awaits_approval: true }),
  })
  return { id: user.id, isAdmin, waits }
}

/** Asked again under a lock: people who sign up at the same instant would all be the first. */
async function isFirstAccount(tx: Db): Promise<boolean> {
  const [before] = await anyUserExists(tx)
  if (before?.exists !== false) return false
  await lockFirstAccount(tx)
  const [now] = await anyUserExists(tx)
  return now?.exists === false
}

type Needs = Pick<Deps, 'sql'> & SecurityLogNeeds

/** Who does it, for the security log: the people who run the server, unless it says otherwise. */
type By = Pick<SecurityEvent, 'actor' | 'requester'>
const ADMIN: By = { actor: 'admin' }

/**
 * Locks an account: it cannot sign in and its sessions rest until it is unlocked. The homeserver is told by a job.
 * Clients get no logout token: nothing ended, and what they end comes not back when the account is unlocked.
 */
export const lock = (deps: Needs, userId: string, by: By = ADMIN): Promise<void> =>
  transact(deps.sql, async (tx) => {
    const [locked] = await lockUser(tx, userId, deps.clock.now())
    if (locked) await recordSecurityEvent(deps, tx, { userId, kind: 'locked', ...by })
    else await keepLockedAfterDeactivation(tx, userId)
    await deps.jobs.enqueue(tx, 'provision-user', { user_id: userId })
    deps.log.info('user.locked', { user_id: userId })
  })

/**
 * Unlocks an account: its sessions go on, and a deactivation that was to come is taken back. One that waits for approval
 * stays locked.
 */
export const unlock = (deps: Needs, userId: string, by: By = ADMIN): Promise<void> =>
  transact(deps.sql, async (tx) => {
    const [unlocked] = await unlockUser(tx, userId)
    const [kept] = await deletePendingDeactivation(tx, userId)
    const kind = kept ? 'deactivation_undone' : 'unlocked'
    if (unlocked || kept) await recordSecurityEvent(deps, tx, { userId, kind, ...by })
    await deps.jobs.enqueue(tx, 'provision-user', { user_id: userId })
    deps.log.info('user.unlocked', { user_id: userId })
  })

/** How many sessions ended, by kind. */
export interface EndedSessions {
  browsers: number
  apps: number
  /** Personal tokens that acted as the person. */
  tokens: number
}

/**
 * Ends every session of an account, browsers, apps and personal tokens; gives how many. Tokens that the person made for
 * others go on: bots do not stop because their administrator changed a password.
 */
export const killSessions = (deps: Needs, userId: string, by: By = ADMIN): Promise<EndedSessions> =>
  transact(deps.sql, async (tx) => {
    const ended = await endEverything(deps, tx, userId)
    if (ended.browsers + ended.apps + ended.tokens > 0)
      await recordSecurityEvent(deps, tx, { userId, kind: 'sessions_ended', ...by })
    return ended
  })

/**
 * Deactivates an account: sessions end, passwords and addresses go, the homeserver deactivates the user by a job and,
 * with `erase`, hides what they wrote. The name stays taken. `reactivate` brings back the account, not what is gone.
 */
export const deactivate = (deps: Needs, userId: string, erase: boolean, by: By = ADMIN): Promise<void> =>
  transact(deps.sql, (tx) => deactivateIn(deps, tx, userId, erase, by))

/** Deactivates as `deactivate` does, in the caller's transaction. */
export async function deactivateIn(
  deps: Needs,
  tx: Db,
  userId: string,
  erase: boolean,
  by: By,
): Promise<void> {
  const now = deps.clock.now()
  const [deactivated] = await deactivateUser(tx, userId, now)
  await deletePendingDeactivation(tx, userId)
  // First of all: afterwards there is no address to write to.
  if (deactivated) await recordSecurityEvent(deps, tx, { userId, kind: 'deactivated', ...by })
  await endAllSessions(deps, tx, userId, { owned: true })
  await deletePasswords(tx, userId)
  await deleteEmails(tx, userId)
  if (erase) await markErased(tx, userId, now)
  await voidRecoveryTickets(tx, userId, now)
  await deps.jobs.enqueue(tx, 'deactivate-user', { user_id: userId, erase })
  deps.log.info('user.deactivated', { user_id: userId, erase })
}

/**
 * Brings a deactivated account back, here and (by a job) at the homeserver; false when there is none. Nothing that went
 * with the deactivation returns: somebody has to set a password. A lock stays. For an account that is active here it
 * repairs one that was deactivated at the homeserver alone.
 */
export const reactivate = (deps: Needs, userId: string, by: By = ADMIN): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    const [user] = await reactivateUser(tx, userId, deps.clock.now())
    if (!user) return false
    await recordSecurityEvent(deps, tx, { userId, kind: 'reactivated', ...by })
    await deps.jobs.enqueue(tx, 'provision-user', { user_id: userId })
    deps.log.info('user.reactivated', { user_id: userId })
    return true
  })

/**
 * Gives an account another password. Its sessions stay, unless `endSessions` ends them all with the old one; gives how
 * many ended then.
 */
export const setPassword = (
  deps: Needs & Pick<Deps, 'passwords'>,
  userId: string,
  password: { version: number; hash: string },
  by: By = ADMIN,
  { endSessions = false }: { endSessions?: boolean } = {},
): Promise<EndedSessions> =>
  transact(deps.sql, async (tx) => {
    await replacePassword(deps, tx, userId, password)
    await recordSecurityEvent(deps, tx, { userId, kind: 'password_changed', ...by })
    deps.log.info('user.password_set', { user_id: userId })
    return endSessions ? await endEverything(deps, tx, userId) : { browsers: 0, apps: 0, tokens: 0 }
  })

/** The new password alone takes the place of all others, and links that could set yet another one end. */
export async function replacePassword(
  deps: Pick<Deps, 'clock' | 'random'>,
  tx: Db,
  userId: string,
  password: { version: number; hash: string },
): Promise<void> {
  const now = deps.clock.now()
  await deletePasswords(tx, userId)
  await insertPassword(tx, { id: newId(now, deps.random), userId, ...password, now })
  await voidRecoveryTickets(tx, userId, now)
}

/** Ends every session as `killSessions` does, in the caller's transaction and without a word in the security log. */
export async function endEverything(deps: Needs, tx: Db, userId: string): Promise<EndedSessions> {
  const ended = await endAllSessions(deps, tx, userId, { owned: false })
  // One of them may have been a stranger's: should it sign in again, the owner hears of it.
  await deleteKnownBrowsers(tx, userId)
  await deps.jobs.enqueue(tx, 'sync-devices', { user_id: userId })
  deps.log.info('user.sessions_ended', { user_id: userId, ...ended })
  return ended
}

async function endAllSessions(
  deps: Needs,
  tx: Db,
  userId: string,
  tokens: { owned: boolean },
): Promise<EndedSessions> {
  const now = deps.clock.now()
  // A sign-in at this moment comes before all of this, and ends with the others, or after it, and finds its session gone.
  await lockSessionsOf(tx, userId)
  const browsers = await finishBrowserSessions(tx, userId, now, null)
  await announceLogout(
    deps,
    tx,
    browsers.map(({ id }) => id),
  )
  const apps = await finishOAuthSessions(tx, userId, now)
  const legacy = await finishCompatSessions(tx, userId, now)
  return {
    browsers: browsers.length,
    apps: apps.length + legacy.length,
    tokens: await endPersonalSessionsOf(deps, tx, userId, tokens),
  }
}

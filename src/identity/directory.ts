import type { Db } from '../../sql/connect.ts'
import {
  deleteDirectoryLink,
  findDirectoryLink,
  insertDirectoryLink,
  touchDirectoryLink,
} from '../../sql/directory-links.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import { findUserByEntry, findUserByName, type UserRow } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import type { Requester } from '../http/requester.ts'
import type { Authentication, Who } from '../ldap/directory.ts'
import { DirectoryError } from '../ldap/directory-error.ts'
import type { Entry } from '../ldap/entry.ts'
import { fold } from '../lib/fold.ts'
import { transact } from '../lib/transact.ts'
import { chooseLanguage } from '../render/translate.ts'
import { provisionUser } from './devices.ts'
import { claimsOf } from './directory-claims.ts'
import { addEmail } from './emails.ts'
import { createUser } from './lifecycle.ts'
import { take } from './limits.ts'
import { turnedAwayMessage } from './providers.ts'
import { recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'
import { takeOver } from './take-over.ts'
import { checkUsername } from './usernames.ts'

type Claims = ReturnType<typeof claimsOf>

/**
 * Why somebody whom the directory knows may not go on. `no_account`: there is none, and none can be made. `turned_away`: by
 * `allow_if`; `not_allowed`: by the directory itself.
 */
export type DirectoryRefusal = 'no_account' | 'turned_away' | 'not_allowed' | 'password_expired'

/** What the operator says to who is refused, in their language; undefined where there is a text of ours. */
export const refusalMessage = (
  { config }: Pick<Deps, 'config'>,
  reason: DirectoryRefusal,
  lang: string,
): string | undefined =>
  reason === 'turned_away' && config.ldap ? turnedAwayMessage(config.ldap, lang) : undefined

/** What comes of a password that the directory was asked about. */
export type DirectorySignIn =
  | { result: 'right'; user: UserRow; entryId: string }
  | { result: 'wrong' }
  | { result: 'refused'; reason: DirectoryRefusal }

const refused = (reason: DirectoryRefusal): DirectorySignIn & { result: 'refused' } => ({
  result: 'refused',
  reason,
})

/**
 * Asks the directory about a password, and finds, links or makes the account of who it is. `user` comes from the entry and
 * not from the name that was typed. Whether the account may sign in, the caller looks.
 *
 * @throws Unavailable when the directory cannot be asked, Overloaded, RateLimited
 */
export async function signInByDirectory(
  deps: Deps,
  who: Who,
  password: string,
  requester: Requester,
): Promise<DirectorySignIn> {
  const answer = await ask(deps, who, password)
  if (answer.result === 'refused') {
    const { reason, code } = answer
    // Several entries that one name fits are a filter to mend.
    deps.log[reason === 'ambiguous' ? 'warn' : 'info']('directory.refused', { reason, code })
    if (reason === 'wrong' || reason === 'ambiguous') return { result: 'wrong' }
    return refused(reason === 'expired' ? 'password_expired' : 'not_allowed')
  }
  const { entry } = answer
  // Somebody else is where the person used to be.
  if (who.name === undefined && entry.id !== who.known?.id) return { result: 'wrong' }
  const claims = claimsOf(deps, entry)
  if (claims.isAllowed === false) {
    deps.log.warn('directory.turned_away', { entry_id: entry.id })
    return refused('turned_away')
  }
  const [owner] = await findUserByEntry(deps.sql, entry.id)
  const known = owner ?? (await meet(deps, entry, claims, requester))
  if ('result' in known) return known
  const now = deps.clock.now()
  const [touched] = await touchDirectoryLink(deps.sql, {
    userId: known.id,
    entryId: entry.id,
    dn: entry.dn,
    now,
  })
  if (!touched) return { result: 'wrong' }
  await sync(deps, known, claims)
  const [user] = await findUserByEntry(deps.sql, entry.id)
  return user ? { result: 'right', user, entryId: entry.id } : { result: 'wrong' }
}

async function ask(deps: Deps, who: Who, password: string): Promise<Authentication> {
  const { directory, log } = deps
  if (!directory) throw new Error('there is no directory')
  try {
    const { per_account: limit } = deps.config.rate_limiting.login
    return await directory.authenticate(who, password, (id) => take(deps, 'login.entry', id, limit))
  } catch (error) {
    if (!(error instanceof DirectoryError)) throw error
    log.error('directory.failed', { problem: error.problem, error })
    throw new Unavailable('directory', { cause: error })
  }
}

/** Nothing is done for who is deactivated: addresses that went with it do not come back. */
async function sync(deps: Deps, user: UserRow, { displayName, email, isAdmin }: Claims): Promise<void> {
  if (user.deactivated_at || user.approval_requested_at) return
  const wanted = new Set(deps.config.ldap?.sync_on_login)
  await takeOver(deps, user.id, {
    displayName: wanted.has('displayname') ? displayName : undefined,
    email: wanted.has('email') ? email : undefined,
    isAdmin,
  })
}

/** Somebody whose entry is nobody's yet: an account of their name becomes theirs where the operator wants that, or is made. */
async function meet(
  deps: Deps,
  entry: Entry,
  claims: Claims,
  requester: Requester,
): Promise<UserRow | (DirectorySignIn & { result: 'refused' })> {
  const { localpart } = claims
  const turnAway = (why: string) => {
    deps.log.warn('directory.no_account', { why, entry_id: entry.id, username: localpart })
    return refused('no_account')
  }
  if (localpart === undefined) return turnAway('the template of the localpart gives nothing')
  const [taken] = await findUserByName(deps.sql, localpart, fold(localpart))
  if (taken) {
    const isAdopted = !taken.deactivated_at && (await adopt(deps, entry, taken, requester))
    return isAdopted ? taken : turnAway('the name is taken')
  }
  if (!deps.config.ldap?.allow_registration) return turnAway('registration is not allowed')
  const about = { method: 'upstream-oauth2', nameOnly: true } as const
  const answer = await checkUsername(deps, localpart, requester, about)
  if (!answer.available) return turnAway(`the name may not be had: ${answer.reason}`)
  const { email } = claims
  const isFit = email === undefined || (await deps.policy.email(email, requester)).length === 0
  const made = await create(
    deps,
    entry,
    localpart,
    isFit ? claims : { ...claims, email: undefined },
    requester,
  )
  // The same person signed in twice at once.
  const [user] = await findUserByEntry(deps.sql, entry.id)
  if (!user) return turnAway('the name was taken meanwhile')
  if (made)
    // The job does it again if this fails; no code is given out before it worked.
    await provisionUser(deps, user.id).catch((error: unknown) =>
      deps.log.warn('provision.failed', { user_id: user.id, error }),
    )
  return user
}

/** Gives an account to the entry that has its name, where the operator trusts the directory with it (`on_conflict`). */
const adopt = (deps: Deps, entry: Entry, user: UserRow, requester: Requester): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    const mode = deps.config.ldap?.on_conflict ?? 'fail'
    if (mode === 'fail') return false
    await lockSessionsOf(tx, user.id)
    if (mode === 'replace') await deleteDirectoryLink(tx, user.id)
    const now = deps.clock.now()
    const link = { userId: user.id, entryId: entry.id, dn: entry.dn, now }
    const [linked] = await insertDirectoryLink(tx, link)
    if (!linked) return false
    const details = { name: 'LDAP' }
    await recordSecurityEvent(deps, tx, { userId: user.id, kind: 'identity_linked', details, requester })
    deps.log.info('directory.linked', { user_id: user.id, entry_id: entry.id, mode })
    return true
  })

/** Rolls back. */
class Taken extends Error {}

/** Makes the account of an entry; false when its name was taken, or the entry had one, meanwhile. */
const create = (
  deps: Deps,
  entry: Entry,
  username: string,
  claims: Claims,
  requester: Requester,
): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    const { languages } = deps.translate
    const waits = deps.config.account.registration_requires_approval
    const user = await createUser(deps, tx, {
      username,
      displayName: claims.displayName ?? username,
      password: undefined,
      isAdmin: claims.isAdmin ?? false,
      // Who comes first from an organisation is not the one who runs this server: `admin_if` says who that is.
      foreignName: true,
      approvalIn: waits ? chooseLanguage(requester.acceptLanguage ?? null, languages) : undefined,
    })
    const now = deps.clock.now()
    const link = user && { userId: user.id, entryId: entry.id, dn: entry.dn, now }
    const [linked] = link ? await insertDirectoryLink(tx, link) : []
    if (!user || !linked) throw new Taken()
    const { email } = claims
    // Another account's stays another account's.
    if (email !== undefined && !(await addEmail(deps, tx, user.id, email)))
      deps.log.warn('directory.email_taken', { user_id: user.id })
    await recordSecurityEvent(deps, tx, { userId: user.id, kind: 'signed_up', requester })
    return true
  }).catch((error: unknown) => {
    if (error instanceof Taken) return false
    throw error
  })

/** Whether the directory, if there is one, decides about the password of an account. */
export async function isDirectoryAccount(
  deps: Pick<Deps, 'config' | 'sql'>,
  userId: string,
  sql: Db = deps.sql,
): Promise<boolean> {
  if (!deps.config.ldap) return false
  const [link] = await findDirectoryLink(sql, userId)
  return link !== undefined
}

/** Takes the entry of the directory from an account; false when it has none. */
export const unlinkDirectory = (
  deps: SecurityLogNeeds & Pick<Deps, 'sql'>,
  userId: string,
): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    await lockSessionsOf(tx, userId)
    const [gone] = await deleteDirectoryLink(tx, userId)
    if (!gone) return false
    const details = { name: 'LDAP' }
    await recordSecurityEvent(deps, tx, { userId, kind: 'identity_unlinked', details, actor: 'admin' })
    deps.log.info('directory.unlinked', { user_id: userId })
    return true
  })

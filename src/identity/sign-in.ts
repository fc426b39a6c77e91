import type { Db } from '../../sql/connect.ts'
import { findDirectoryLink } from '../../sql/directory-links.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import {
  findPassword,
  findUser,
  findUserAndPassword,
  findUserByEmail,
  findUserByName,
  type PasswordRow,
  rehashPassword,
  type UserRow,
} from '../../sql/users.ts'
import { PASSWORD_LIMIT } from '../crypto/passwords.ts'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { fold } from '../lib/fold.ts'
import { type DirectoryRefusal, signInByDirectory } from './directory.ts'
import { limitSubject, takeAll } from './limits.ts'
import { type StopReason, stopReason } from './stopped-page.ts'
import { localpartOf } from './usernames.ts'

/** An id that no account has. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

/** What a right password was compared with. */
export type PasswordProof = { passwordId: string } | { entryId: string }

export type SignInResult =
  | { result: 'ok'; user: UserRow; proof: PasswordProof }
  | { result: 'wrong' }
  /** The directory knows the password, and something else stands in the way. */
  | { result: 'refused'; reason: DirectoryRefusal }
  | { result: StopReason; user: UserRow }

/**
 * Checks a name (or address, where the configuration allows it) and a password. The limits are taken before anything is
 * looked up and a dummy hash is verified for unknown names, so that neither count nor time tells which names exist; lock,
 * deactivation and waiting for approval are told only to who knows the password (edge 45). Where there is a directory, it
 * decides about the accounts that are linked to it, and about names that nobody has here: those get an account.
 *
 * @throws RateLimited, Unavailable when the directory cannot be asked
 */
export async function checkPassword(
  deps: Deps,
  input: { username: string; password: string },
  requester: Requester,
): Promise<SignInResult> {
  // By what was typed, however it is written, and not by the account that it leads to: a limit which a name shared with
  // an address would tell whose address it is, and that somebody has it.
  const typed = localpartOf(input.username, deps.config.matrix.homeserver)
  await takeLimits(deps, typed, requester)
  const { user, stored } = await findByLogin(deps, input.username)
  return decide(deps, { user, stored, typed }, input.password, requester)
}

/**
 * Checks the password of somebody who is signed in. It counts as a sign-in, and the directory is asked about the entry
 * that their account is linked to, whatever its name is by now.
 *
 * @throws RateLimited, Unavailable
 */
export async function checkOwnPassword(
  deps: Deps,
  session: { user_id: string; username: string },
  password: string,
  requester: Requester,
): Promise<SignInResult> {
  await takeLimits(deps, session.username, requester)
  const [user] = await findUser(deps.sql, session.user_id)
  const [stored] = await findPassword(deps.sql, session.user_id)
  return decide(deps, { user, stored }, password, requester)
}

async function takeLimits(deps: Deps, name: string, requester: Requester): Promise<void> {
  const limits = deps.config.rate_limiting.login
  await takeAll(
    deps,
    ['login.ip', limitSubject(requester.ip), limits.per_ip],
    ['login.account', fold(name), limits.per_account],
  )
}

/** Whose password it should be, and what was typed where somebody is not signed in yet. */
interface Asked {
  user: UserRow | undefined
  stored: PasswordRow | undefined
  typed?: string | undefined
}

async function decide(
  deps: Deps,
  { user, stored, typed }: Asked,
  password: string,
  requester: Requester,
): Promise<SignInResult> {
  // Asked for nobody too: a query less would be seen in the time.
  const [link] = deps.directory ? await findDirectoryLink(deps.sql, user?.id ?? NOBODY) : []
  const verdict = await deps.passwords.verify(password, link ? undefined : stored)
  if (!verdict.ok && verdict.unknownVersion)
    deps.log.error('login.scheme_missing', { user_id: user?.id, version: stored?.version })
  if (user && stored && verdict.ok) {
    deps.log.debug('login.password_right', { user_id: user.id })
    if (verdict.upgrade) await upgrade(deps, stored.id, password)
    return answer(user, { passwordId: stored.id })
  }
  const isAsked = link !== undefined || (typed !== undefined && mayBeFound(deps, user))
  if (deps.directory && isAsked && password.length <= PASSWORD_LIMIT) {
    const known = link && { id: link.entry_id, dn: link.dn }
    const asked = await signInByDirectory(deps, { name: typed, known }, password, requester)
    if (asked.result === 'right') {
      deps.log.debug('login.password_right', { user_id: asked.user.id })
      return answer(asked.user, { entryId: asked.entryId })
    }
    if (asked.result === 'refused') return asked
  }
  // Not what was typed: now and then it is the password, in the wrong field.
  deps.log.warn('login.failed', { user_id: user?.id, ip: requester.ip })
  return { result: 'wrong' }
}

function answer(user: UserRow, proof: PasswordProof): SignInResult {
  const stopped = stopReason(user)
  return stopped ? { result: stopped, user } : { result: 'ok', user, proof }
}

/** Whether the directory may know a name without an account that is linked to it: accounts of our own are not its business. */
const mayBeFound = ({ config }: Pick<Deps, 'config'>, user: UserRow | undefined): boolean =>
  !user || config.ldap?.on_conflict !== 'fail'

/**
 * Whether a password that was found to be right is still the account's, for the transaction that begins a session with
 * it: whoever changes it and ends all sessions at this moment ends that one too, or was first.
 */
export async function passwordStands(tx: Db, userId: string, proof: PasswordProof): Promise<boolean> {
  // In this order: what a change that held the lock has written is seen.
  const [, stands] = await Promise.all([lockSessionsOf(tx, userId), isProof(tx, userId, proof)])
  return stands
}

/** As `passwordStands`, for a transaction that has sent `lockSessionsOf` already. */
export async function isProof(tx: Db, userId: string, proof: PasswordProof): Promise<boolean> {
  if ('entryId' in proof) return (await findDirectoryLink(tx, userId))[0]?.entry_id === proof.entryId
  return (await findPassword(tx, userId))[0]?.id === proof.passwordId
}

async function findByLogin(deps: Pick<Deps, 'config' | 'sql'>, input: string): Promise<Omit<Asked, 'typed'>> {
  const name = localpartOf(input, deps.config.matrix.homeserver)
  if (!(name.includes('@') && deps.config.account.login_with_email_allowed)) {
    const [user] = await findUserAndPassword(deps.sql, name, fold(name))
    return { user, stored: user?.password ?? undefined }
  }
  const [byEmail] = await findUserByEmail(deps.sql, fold(name))
  const [byName] = await findUserByName(deps.sql, name, fold(name))
  const user = byEmail ?? byName
  // Asked for nobody too: a query less would be seen in the time.
  const [stored] = await findPassword(deps.sql, user?.id ?? NOBODY)
  return { user, stored }
}

/** An older scheme verified: the password is hashed with the current one (reference operations 1.9). */
async function upgrade(
  deps: Pick<Deps, 'sql' | 'passwords'>,
  passwordId: string,
  password: string,
): Promise<void> {
  const { version, hash } = await deps.passwords.hash(password)
  await rehashPassword(deps.sql, passwordId, version, hash)
}

import type { Db } from '../../sql/connect.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import {
  findPassword,
  findUserByEmail,
  findUserByName,
  rehashPassword,
  type UserRow,
} from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { fold } from '../lib/fold.ts'
import { limitSubject, take } from './limits.ts'
import { type StopReason, stopReason } from './stopped-page.ts'
import { localpartOf } from './usernames.ts'

/** An id that no account has. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

export type SignInResult =
  | { result: 'ok'; user: UserRow; passwordId: string }
  | { result: 'wrong' }
  | { result: StopReason; user: UserRow }

/**
 * Checks a name (or address, where the configuration allows it) and a password. The limits are taken before anything is
 * looked up and a dummy hash is verified for unknown names, so that neither count nor time tells which names exist; lock,
 * deactivation and waiting for approval are told only to who knows the password (edge 45).
 *
 * @throws RateLimited
 */
export async function checkPassword(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'random' | 'passwords' | 'secrets' | 'log'>,
  input: { username: string; password: string },
  requester: Requester,
): Promise<SignInResult> {
  const limits = deps.config.rate_limiting.login
  await take(deps, 'login.ip', limitSubject(requester.ip), limits.per_ip)
  // By what was typed, however it is written, and not by the account that it leads to: a limit which a name shared with
  // an address would tell whose address it is, and that somebody has it.
  const name = fold(localpartOf(input.username, deps.config.matrix.homeserver))
  await take(deps, 'login.account', name, limits.per_account)
  const user = await findByLogin(deps, input.username)
  // Asked for nobody too: a query less would be seen in the time.
  const [stored] = await findPassword(deps.sql, user?.id ?? NOBODY)
  const verdict = await deps.passwords.verify(input.password, stored)
  if (!verdict.ok && verdict.unknownVersion)
    deps.log.error('login.scheme_missing', { user_id: user?.id, version: stored?.version })
  if (!user || !stored || !verdict.ok) {
    // Not what was typed: now and then it is the password, in the wrong field.
    deps.log.warn('login.failed', { user_id: user?.id, ip: requester.ip })
    return { result: 'wrong' }
  }
  deps.log.debug('login.password_right', { user_id: user.id })
  if (verdict.upgrade) await upgrade(deps, stored.id, input.password)
  const stopped = stopReason(user)
  if (stopped) return { result: stopped, user }
  return { result: 'ok', user, passwordId: stored.id }
}

/**
 * Whether a password that was found to be right is still the account's, for the transaction that begins a session with
 * it: whoever changes it and ends all sessions at this moment ends that one too, or was first.
 */
export async function passwordStands(tx: Db, userId: string, passwordId: string): Promise<boolean> {
  // In this order: what a change that held the lock has written is seen.
  const [, [stored]] = await Promise.all([lockSessionsOf(tx, userId), findPassword(tx, userId)])
  return stored?.id === passwordId
}

async function findByLogin(deps: Pick<Deps, 'config' | 'sql'>, input: string): Promise<UserRow | undefined> {
  const name = localpartOf(input, deps.config.matrix.homeserver)
  const isEmail = name.includes('@') && deps.config.account.login_with_email_allowed
  const [byEmail] = isEmail ? await findUserByEmail(deps.sql, fold(name)) : []
  const [byName] = await findUserByName(deps.sql, name, fold(name))
  return byEmail ?? byName
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

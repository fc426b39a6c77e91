import { findReservation } from '../../sql/registrations.ts'
import { findUserByName } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { addSeconds } from '../lib/clock.ts'
import { fold } from '../lib/fold.ts'
import { SIGN_UP_LIFETIME } from './sign-up.ts'
import { checkUsername, type UsernameAnswer } from './usernames.ts'
import type { Visit } from './visit.ts'

/** Names that are suggested for one that is taken. */
const SUGGESTIONS = 3

/**
 * Whether this browser may sign up under a name: as `checkUsername` says, and nobody else is about to. A name is
 * reserved while the sign-up that asked for it lives, so that nobody types everything and then loses it. `own` is the id
 * of the sign-up, once there is one.
 *
 * @throws Unavailable
 */
export async function checkSignUpName(
  deps: Deps,
  visit: Visit,
  username: string,
  about: Parameters<typeof checkUsername>[3] = {},
  own: string | null = null,
): Promise<UsernameAnswer> {
  const answer = await checkUsername(deps, username, visit.requester, about)
  if (!answer.available) return answer
  return (await isReserved(deps, visit, username, own)) ? { available: false, reason: 'taken' } : answer
}

async function isReserved(deps: Deps, visit: Visit, username: string, own: string | null): Promise<boolean> {
  const since = addSeconds(deps.clock.now(), -SIGN_UP_LIFETIME)
  const [held] = await findReservation(deps.sql, fold(username), browserHash(visit.browser), since, own)
  return held !== undefined
}

/**
 * Free names like one that is taken, as far as this service knows: the homeserver is not asked about each, since whoever
 * takes one is checked again. The number comes from the clock, so that the same person sees the same names again.
 */
export async function suggestNames(deps: Deps, visit: Visit, taken: string): Promise<string[]> {
  const year = deps.clock.now().getUTCFullYear()
  const candidates = [`${taken}2`, `${taken}.${year % 100}`, `${taken}_`, `the.${taken}`, `${taken}.${year}`]
  const free: string[] = []
  for (const name of candidates) {
    if (free.length === SUGGESTIONS) break
    const [user] = await findUserByName(deps.sql, name, fold(name))
    const refused = user
      ? [user]
      : await deps.policy.register({ username: name, method: 'password' }, visit.requester)
    if (refused.length === 0 && !(await isReserved(deps, visit, name, null))) free.push(name)
  }
  return free
}

import { findJustUsedTicket } from '../../sql/recoveries.ts'
import type { Deps } from '../deps.ts'
import { addSeconds } from '../lib/clock.ts'
import { sha256 } from '../lib/digest.ts'
import { transact } from '../lib/transact.ts'
import { beginSession } from './begin-session.ts'
import { checkPassword, passwordStands } from './sign-in.ts'
import type { Visit } from './visit.ts'

/** Seconds in which a form may come a second time. */
const TWICE = 30

/**
 * Signs in whoever sent the form of a ticket twice, as without script a double click does: the ticket is spent, and the
 * password that comes with it is the account's. Undefined for everybody else. Gives cookies for the response.
 */
export async function signInAgain(
  deps: Deps,
  visit: Pick<Visit, 'browser' | 'requester'>,
  ticket: string,
  password: string,
): Promise<string[] | undefined> {
  const since = addSeconds(deps.clock.now(), -TWICE)
  const [used] = await findJustUsedTicket(deps.sql, sha256(ticket), since)
  if (!used) return undefined
  const checked = await checkPassword(deps, { username: used.username, password }, visit.requester)
  if (checked.result !== 'ok') return undefined
  return transact(deps.sql, async (tx) => {
    if (!(await passwordStands(tx, used.user_id, checked.proof))) return undefined
    const { id, cookies } = await beginSession(deps, tx, visit, used.user_id, {
      method: 'recovery',
      quiet: true,
    })
    deps.log.info('recovery.sent_twice', { user_id: used.user_id, session_id: id })
    return cookies
  })
}

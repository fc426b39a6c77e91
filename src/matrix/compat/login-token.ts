import { findLoginByToken, releaseLoginToken, spendLoginToken } from '../../../sql/compat-logins.ts'
import { lockSignIn } from '../../../sql/sessions.ts'
import type { Deps } from '../../deps.ts'
import { MatrixError } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { limitSubject, take } from '../../identity/limits.ts'
import { addSeconds } from '../../lib/clock.ts'
import { sha256 } from '../../lib/digest.ts'
import { userLocked } from './errors.ts'
import type { Spendable } from './session.ts'

/** Seconds between the approval and the exchange (reference 9.3). */
const LIFETIME = 30
/** Wrong login tokens of one address. */
const GUESSES = { burst: 20, per_second: 1 / 10 }

/** A login token that was found to be good, and how it is spent. */
export interface FoundLogin {
  user: { id: string; username: string; is_admin: boolean; provisioned_at: Date | null }
  browserSessionId: string
  spendable: Spendable
}

/**
 * The person who approved a login token. It is bound to the approval: one whose browser session has ended since is
 * worth nothing.
 *
 * @throws MatrixError M_FORBIDDEN, M_USER_LOCKED; RateLimited
 */
export async function findLoginToken(
  deps: Pick<Deps, 'sql' | 'clock' | 'secrets' | 'log'>,
  token: string,
  requester: Requester,
): Promise<FoundLogin> {
  const [row] = await findLoginByToken(deps.sql, sha256(token))
  if (!row) {
    await take(deps, 'login-token', limitSubject(requester.ip), GUESSES)
    throw invalid('Invalid login token', 'unknown login token')
  }
  const { id, user_id: userId, username, is_admin: isAdmin, browser_session_id: browserSessionId } = row
  if (row.exchanged_at) throw invalid('Invalid login token', 'the login token was used')
  if (!userId || username === null || isAdmin === null || !browserSessionId || row.session_finished_at)
    throw invalid('Invalid login token', 'the browser session of the login token has ended')
  if (row.deactivated_at) throw invalid('Invalid login token', 'the account is deactivated')
  if (addSeconds(row.fulfilled_at, LIFETIME) <= deps.clock.now())
    throw invalid('Login token expired', 'the login token is too old')
  if (row.locked_at) throw userLocked()
  return {
    user: { id: userId, username, is_admin: isAdmin, provisioned_at: row.provisioned_at },
    browserSessionId,
    spendable: {
      async spend(tx, sessionId) {
        // Asked again under a lock: the end of all sessions at this moment would not see the one that begins here.
        const [inOrder] = await lockSignIn(tx, userId, browserSessionId)
        if (!inOrder)
          throw invalid('Invalid login token', 'the browser session of the login token ended meanwhile')
        const [spent] = await spendLoginToken(tx, id, sessionId, deps.clock.now())
        if (!spent) throw invalid('Invalid login token', 'the login token was used')
      },
      async giveBack(tx, sessionId) {
        await releaseLoginToken(tx, id, sessionId)
      },
    },
  }
}

const invalid = (description: string, cause: string): MatrixError =>
  new MatrixError('M_FORBIDDEN', 403, description, { cause })

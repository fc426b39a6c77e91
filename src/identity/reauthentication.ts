import {
  type AuthenticationMethod,
  type BrowserSessionRow,
  renewBrowserSession,
} from '../../sql/browser-sessions.ts'
import { freshenGrant } from '../../sql/grants.ts'
import type { Deps } from '../deps.ts'
import { sessionHash } from '../http/browser.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds } from '../lib/clock.ts'
import { transact } from '../lib/transact.ts'

/** Seconds for which a sign-in counts as fresh. */
const FRESH = 600

/** Whether the person of a session proved lately who they are: what a stranger at an open screen must not do asks for it. */
export const isFresh = (
  deps: Pick<Deps, 'clock'>,
  { authenticated_at }: Pick<BrowserSessionRow, 'authenticated_at'>,
): boolean => addSeconds(authenticated_at, FRESH) > deps.clock.now()

/**
 * Notes that the person of a session proved anew by `method` who they are; `grantId` is the authorization request that asked for
 * it, if one did. The session stays, with all that hangs on it, and gets a new cookie: one that somebody copied before does not become a
 * fresh sign-in. Gives the secret for the cookie; undefined when the session ended meanwhile.
 */
export function reauthenticate(
  deps: Pick<Deps, 'sql' | 'clock' | 'random' | 'log'>,
  session: Pick<BrowserSessionRow, 'id' | 'user_id'>,
  method: AuthenticationMethod,
  grantId?: string,
): Promise<string | undefined> {
  const secret = base64url(deps.random.bytes(32))
  return transact(deps.sql, async (tx) => {
    const [renewed] = await renewBrowserSession(tx, session.id, sessionHash(secret), method, deps.clock.now())
    if (!renewed) return undefined
    if (grantId !== undefined) await freshenGrant(tx, grantId, session.id)
    deps.log.info('session.renewed', { user_id: session.user_id, session_id: session.id })
    return secret
  })
}

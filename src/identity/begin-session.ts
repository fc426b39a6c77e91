import type { AuthenticationMethod } from '../../sql/browser-sessions.ts'
import type { Db } from '../../sql/connect.ts'
import { noteKnownBrowser } from '../../sql/known-browsers.ts'
import type { Deps } from '../deps.ts'
import { sessionCookie } from '../http/browser.ts'
import { writeCookie } from '../http/cookies.ts'
import { base64url } from '../lib/base64url.ts'
import { sha256 } from '../lib/digest.ts'
import { recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'
import { startSession } from './sessions.ts'
import type { Visit } from './visit.ts'

/** Seconds that a browser is known after the last sign-in: 400 days, the most that browsers keep a cookie. */
export const KNOWN_LIFETIME = 400 * 24 * 3600

/**
 * Begins a session for a person who just proved by `method` who they are, in the caller's transaction: the session, its place in
 * the security log, and a notice when this browser was not used for the account before. After a sign-up or a recovery
 * (`quiet`) the log and the mail have said that already. `secret` is that of its cookie, where it is made already.
 * `cookies` are for the response.
 */
export async function beginSession(
  deps: SecurityLogNeeds & Pick<Deps, 'urls'>,
  tx: Db,
  { browser, requester }: Pick<Visit, 'browser' | 'requester'>,
  userId: string,
  { method, quiet = false, secret }: { method: AuthenticationMethod; quiet?: boolean; secret?: string },
): Promise<{ id: string; cookies: string[] }> {
  const session = await startSession(deps, tx, userId, requester, method, secret)
  const known = browser.knownSecret ?? base64url(deps.random.bytes(32))
  const [noted] = await noteKnownBrowser(tx, userId, knownHash(userId, known), deps.clock.now())
  if (!quiet) {
    const kind = noted?.is_new ? 'signed_in_new_browser' : 'signed_in'
    await recordSecurityEvent(deps, tx, { userId, kind, requester })
  }
  return {
    id: session.id,
    cookies: [
      sessionCookie(deps.urls, session.secret),
      writeCookie(deps.urls, 'known', known, KNOWN_LIFETIME),
    ],
  }
}

/** Another digest for each account, so that the table does not tell which accounts share a browser. */
const knownHash = (userId: string, secret: string): Uint8Array => sha256(`known\n${userId}\n${secret}`)

import type { Db } from '../../sql/connect.ts'
import type { Requester } from '../http/requester.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'

/** Seconds in which the owner hears of a reused token once: an app out of a backup tries again and again. */
const QUIET = 24 * 3600

/** Warns of a refresh token whose successor was used: a stolen one, or an app restored from a backup (decision 7). */
export async function noteTokenReuse(
  deps: SecurityLogNeeds,
  tx: Db,
  session: { id: string; userId: string | null; ended: boolean },
  requester: Requester,
): Promise<void> {
  deps.log.warn('security.refresh_token_reused', {
    session_id: session.id,
    user_id: session.userId,
    session_ended: session.ended,
  })
  if (session.userId === null) return
  await recordSecurityEvent(deps, tx, {
    userId: session.userId,
    kind: 'refresh_token_reused',
    actor: 'system',
    requester,
    details: { session_id: ulidFromUuid(session.id), session_ended: String(session.ended) },
    quietFor: QUIET,
  })
}

import { type ActivePersonalTokenRow, findActivePersonalToken } from '../../sql/personal-sessions.ts'
import { type ActiveTokenRow, findActiveAccessToken, markFirstUse } from '../../sql/tokens.ts'
import { tokenDigest } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'

/**
 * What a good access token stands for; undefined for any other. Looking counts as a use: from then on its predecessor
 * cannot be retried (decision 7), and its session was seen, from nobody knows where: who asks may be the homeserver.
 */
export async function useAccessToken(
  deps: Pick<Deps, 'sql' | 'activity'>,
  token: string,
  now: Date,
): Promise<ActiveTokenRow | undefined> {
  const [row] = await findActiveAccessToken(deps.sql, tokenDigest(token), now)
  if (!row) return undefined
  if (row.unused) await markFirstUse(deps.sql, row, now)
  deps.activity.record('oauth', row.session_id, now)
  return row
}

/** What a good personal token stands for; undefined for any other. Its session was seen, from nobody knows where. */
export async function usePersonalToken(
  deps: Pick<Deps, 'sql' | 'activity'>,
  token: string,
  now: Date,
): Promise<ActivePersonalTokenRow | undefined> {
  const [row] = await findActivePersonalToken(deps.sql, tokenDigest(token), now)
  if (row) deps.activity.record('personal', row.session_id, now)
  return row
}

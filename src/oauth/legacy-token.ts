import {
  type ActiveCompatTokenRow,
  findActiveCompatAccessToken,
  findActiveCompatRefreshToken,
  markFirstCompatUse,
} from '../../sql/compat-tokens.ts'
import { tokenDigest } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'

/**
 * What a good token of a legacy client stands for; undefined for any other. To look at an access token is a use of it,
 * as it is for those of OAuth (access-token.ts).
 */
export async function useLegacyToken(
  deps: Pick<Deps, 'sql' | 'activity'>,
  token: string,
  type: 'access_token' | 'refresh_token',
  now: Date,
): Promise<ActiveCompatTokenRow | undefined> {
  const hash = tokenDigest(token)
  if (type === 'refresh_token') return (await findActiveCompatRefreshToken(deps.sql, hash))[0]
  const [row] = await findActiveCompatAccessToken(deps.sql, hash, now)
  if (!row) return undefined
  if (row.unused) await markFirstCompatUse(deps.sql, row, now)
  deps.activity.record('compat', row.session_id, now)
  return row
}

import type { ClientRow } from '../../../sql/clients.ts'
import { finishOAuthSession } from '../../../sql/oauth-sessions.ts'
import { findRefreshToken, type RefreshRow, renewSuccessor, rotateRefreshToken } from '../../../sql/tokens.ts'
import { deriveToken, parseToken, tokenDigest } from '../../crypto/tokens.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { addSeconds } from '../../lib/clock.ts'
import { transact } from '../../lib/transact.ts'
import { newId } from '../../lib/ulid.ts'
import type { TokenResponse } from '../token.ts'

type Needs = Pick<Deps, 'config' | 'sql' | 'clock' | 'random' | 'secrets' | 'jobs' | 'activity' | 'log'>

/**
 * The refresh grant (RFC 6749 section 6) with a rotation that survives a lost response (decision 7). The successor pair
 * is derived from the presented token under a key of its own: whoever presents the same token again while the successor
 * is unused (a lost response, two tabs) gets the same pair, and nothing is stored in clear. The first use of the
 * successor freezes it.
 *
 * @throws OAuthError unauthorized_client, invalid_grant; access_denied for a locked user, whose session waits
 */
export async function refresh(
  deps: Needs,
  client: ClientRow,
  form: { refresh_token: string },
  requester: Requester,
): Promise<TokenResponse> {
  if (!client.grant_types.includes('refresh_token')) throw new OAuthError('unauthorized_client')
  if (parseToken(form.refresh_token) !== 'mar')
    throw new OAuthError('invalid_grant', { cause: 'no refresh token' })
  const hash = tokenDigest(form.refresh_token)
  // Every pass either answers or finds the token in a later state, of which there are two.
  for (let pass = 0; pass < 3; pass++) {
    const [row] = await findRefreshToken(deps.sql, hash)
    const answer = await step(deps, client, row, form.refresh_token)
    if (!answer) continue
    deps.activity.record('oauth', answer.sessionId, deps.clock.now(), requester.ip)
    return answer.response
  }
  throw new OAuthError('invalid_grant', { cause: 'the token kept changing' })
}

/** One try; undefined when another request changed the token meanwhile. */
async function step(
  deps: Needs,
  client: ClientRow,
  row: RefreshRow | undefined,
  presented: string,
): Promise<{ sessionId: string; response: TokenResponse } | undefined> {
  if (!row) throw new OAuthError('invalid_grant', { cause: 'unknown token' })
  if (row.client_id !== client.id) throw new OAuthError('invalid_grant', { cause: 'token of another client' })
  if (row.finished_at || row.deactivated_at)
    throw new OAuthError('invalid_grant', { cause: 'the session has ended' })
  // Not invalid_grant, on which apps throw their session away: nothing is consumed, unlocking resumes it.
  if (row.locked_at) throw new OAuthError('access_denied', { description: 'This account is locked.' })

  const now = deps.clock.now()
  const ttl = deps.config.experimental.access_token_ttl
  const pair = {
    access: deriveToken('mat', deps.secrets.refresh, `${row.id}\n${presented}`),
    refresh: deriveToken('mar', deps.secrets.refresh, `${row.id}\n${presented}`),
  }
  const hashes = { accessHash: tokenDigest(pair.access), refreshHash: tokenDigest(pair.refresh) }
  const expiresAt = addSeconds(now, ttl)
  const response: TokenResponse = {
    access_token: pair.access,
    token_type: 'Bearer',
    expires_in: ttl,
    refresh_token: pair.refresh,
    scope: row.scope.join(' '),
  }
  const granted = { sessionId: row.session_id, response }

  if (!row.consumed_at) {
    const ids = { accessId: newId(now, deps.random), refreshId: newId(now, deps.random) }
    const [rotated] = await rotateRefreshToken(deps.sql, { id: row.id, ...ids, ...hashes, expiresAt, now })
    return rotated && granted
  }
  if (!row.next_id || row.next_consumed_at || row.next_first_used_at) return refuseReuse(deps, row)
  const [renewed] = await renewSuccessor(deps.sql, { refreshId: row.next_id, ...hashes, expiresAt })
  return renewed && granted
}

/** A token whose successor was used: a stolen one, or an app restored from a backup (decision 7). */
async function refuseReuse(deps: Needs, row: RefreshRow): Promise<never> {
  const ends = deps.config.oauth.refresh_token_reuse === 'end_session'
  deps.log.warn('security.refresh_token_reused', {
    session_id: row.session_id,
    user_id: row.user_id,
    session_ended: ends,
  })
  if (ends)
    await transact(deps.sql, async (tx) => {
      const [ended] = await finishOAuthSession(tx, row.session_id, deps.clock.now())
      if (ended?.user_id && ended.device_id)
        await deps.jobs.enqueue(tx, 'sync-devices', { user_id: ended.user_id })
      return undefined
    })
  throw new OAuthError('invalid_grant', { cause: 'the successor of the token was used' })
}

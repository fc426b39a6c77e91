import { findClient } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'
import { postPublic } from '../http/fetch-public.ts'
import { base64url } from '../lib/base64url.ts'
import { epochSeconds } from '../lib/clock.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { idTokenAlgorithm, sessionIdFor } from './id-token.ts'

/** Seconds that a logout token holds: the two minutes that section 2.4 recommends. */
const LIFETIME = 120
/** Milliseconds that a client has to answer. */
const TIMEOUT = 5000
/** What makes a JWT a logout token (section 2.4). */
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/**
 * Tells a client that a browser session ended (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.5). Each try
 * has a token of its own: one that was seen and failed half-way would be a replay to the client. Does nothing when the
 * client is gone, or does not ask for it any more.
 *
 * @throws Error when the client could not be reached or did not agree; its text is for the log
 */
export async function sendLogoutToken(
  deps: Pick<Deps, 'sql' | 'clock' | 'random' | 'urls' | 'keys' | 'clientFetch' | 'log'>,
  notice: { client_id: string; browser_session_id: string; user_id: string },
): Promise<void> {
  const [client] = await findClient(deps.sql, notice.client_id)
  const uri = client?.metadata.backchannel_logout_uri
  if (!client || typeof uri !== 'string') return
  const now = epochSeconds(deps.clock.now())
  const token = await deps.keys.sign(
    {
      iss: deps.urls.issuer,
      aud: ulidFromUuid(client.id),
      sub: ulidFromUuid(notice.user_id),
      sid: sessionIdFor(client.id, notice.browser_session_id),
      iat: now,
      exp: now + LIFETIME,
      jti: base64url(deps.random.bytes(16)),
      events: { [EVENT]: {} },
    },
    // The algorithm of the client's ID tokens (section 2.6).
    { alg: idTokenAlgorithm(deps.keys, client), typ: 'logout+jwt' },
  )
  const status = await postPublic(
    new URL(uri),
    { logout_token: token },
    // What the operator wrote down may be in a private network.
    { timeoutMs: TIMEOUT, ...(client.is_static && { allows: () => true }), ...deps.clientFetch },
  )
  // Frameworks that have nothing to say answer 204 (section 2.8).
  if (status !== 200 && status !== 204) throw new Error(`backchannel_logout_uri answered ${status}`)
  deps.log.info('client.logout_sent', { client_id: client.id, session_id: notice.browser_session_id })
}

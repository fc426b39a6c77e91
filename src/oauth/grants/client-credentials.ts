import { markFirstGrant } from '../../../sql/client-registrations.ts'
import type { ClientRow } from '../../../sql/clients.ts'
import { insertOAuthSession } from '../../../sql/oauth-sessions.ts'
import { insertTokenPair } from '../../../sql/tokens.ts'
import { newToken, tokenDigest } from '../../crypto/tokens.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { addSeconds } from '../../lib/clock.ts'
import { transact } from '../../lib/transact.ts'
import { newId } from '../../lib/ulid.ts'
import { tokenTypeOf } from '../dpop.ts'
import { askedScope } from '../registered-scope.ts'
import type { TokenResponse } from '../token-response.ts'

/**
 * The client credentials grant (RFC 6749 section 4.4): a token for the client itself, with nobody behind it and no
 * refresh token. Policy denials are 403 (reference section 4.5).
 *
 * @throws OAuthError unauthorized_client, invalid_scope
 */
export async function grantToClient(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'random' | 'log' | 'policy'>,
  client: ClientRow,
  form: { scope?: string },
  jkt: string | undefined,
  requester: Requester,
): Promise<TokenResponse> {
  // A client that does not authenticate has no credentials to grant anything for.
  if (!client.grant_types.includes('client_credentials') || client.auth_method === 'none')
    throw new OAuthError('unauthorized_client')
  const scope = askedScope(client, form.scope)
  const violations = await deps.policy.grant(
    { scope, clientId: client.id, grantType: 'client_credentials' },
    requester,
  )
  if (violations.length > 0) {
    deps.log.warn('policy.denied', { client_id: client.id, violations })
    const description = violations.map(({ msg }) => msg).join(', ')
    throw new OAuthError('invalid_scope', { status: 403, description })
  }
  const now = deps.clock.now()
  const ttl = deps.config.experimental.access_token_ttl
  const access = newToken('mat', deps.random)
  const sessionId = newId(now, deps.random)
  await transact(deps.sql, async (tx) => {
    await insertOAuthSession(tx, {
      id: sessionId,
      clientId: client.id,
      userId: null,
      browserSessionId: null,
      scope,
      deviceId: null,
      humanName: null,
      userAgent: requester.userAgent ?? null,
      ip: requester.ip ?? null,
      now,
    })
    if (client.first_granted_at === null) await markFirstGrant(tx, client.id, now)
    await insertTokenPair(tx, {
      id: newId(now, deps.random),
      sessionId,
      accessHash: tokenDigest(access),
      refreshHash: null,
      expiresAt: addSeconds(now, ttl),
      dpopJkt: jkt,
    })
  })
  deps.log.info('token.issued', { grant: 'client_credentials', client_id: client.id, session_id: sessionId })
  return {
    access_token: access,
    token_type: tokenTypeOf(scope, jkt),
    expires_in: ttl,
    ...(scope.length > 0 && { scope: scope.join(' ') }),
  }
}

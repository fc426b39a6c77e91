import type { ActivePersonalTokenRow } from '../../sql/personal-sessions.ts'
import type { ActiveTokenRow } from '../../sql/tokens.ts'
import { parseToken } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { authenticateAccessToken, readCredentials, usePersonalToken } from '../oauth/access-token.ts'

/** Who calls the admin API. */
export interface Caller {
  /** The person who signed in, or as whom a personal token acts; undefined for a client by itself. */
  userId: string | undefined
  username: string | undefined
  /** The client of the session; undefined for a token that a person made. */
  clientId: string | undefined
  sessionId: string
  kind: 'oauth' | 'personal'
  scope: readonly string[]
}

type Needs = Pick<Deps, 'sql' | 'clock' | 'activity' | 'accessTokens' | 'log'>

/**
 * The caller of a request to `address` (as clients know it): an OAuth access token or a personal one, in the header alone
 * (RFC 6750 section 2.1); one that is bound to a key with a proof of it (RFC 9449 section 7). Before anything else of the
 * request is looked at, so that strangers learn nothing from errors.
 *
 * @throws AdminError 401
 */
export async function authenticateCaller(deps: Needs, request: Request, address: string): Promise<Caller> {
  const credentials = readCredentials(request)
  if (!credentials || credentials === 'malformed')
    throw new AdminError(401, 'token_missing', 'The request has no access token.', {
      detail: 'Send it as: Authorization: Bearer <token>',
      headers: { 'www-authenticate': 'Bearer realm="admin API"' },
    })
  if (credentials.scheme === 'Bearer' && parseToken(credentials.token) === 'mpt') {
    const row = await usePersonalToken(deps, credentials.token, deps.clock.now())
    if (row) return callerOf('personal', row)
    throw invalidToken(undefined)
  }
  const row = await authenticateAccessToken(deps, request, address, credentials)
  if ('status' in row) throw invalidToken(row.challenge)
  return callerOf('oauth', row)
}

const invalidToken = (challenge = 'Bearer realm="admin API", error="invalid_token"'): AdminError =>
  new AdminError(
    401,
    'token_invalid',
    'The access token is unknown, expired or revoked, or its proof is not valid.',
    {
      headers: { 'www-authenticate': challenge },
    },
  )

const callerOf = (kind: Caller['kind'], row: ActiveTokenRow | ActivePersonalTokenRow): Caller => ({
  userId: row.user_id ?? undefined,
  username: row.username ?? undefined,
  clientId: row.client_id ?? undefined,
  sessionId: row.session_id,
  kind,
  scope: row.scope.split(' '),
})

/** Refuses a caller who may not do this: 403 names the scopes of which one is enough (RFC 6750 section 3.1). */
export function requireScope(caller: Caller, scopes: readonly string[]): void {
  if (scopes.some((scope) => caller.scope.includes(scope))) return
  throw new AdminError(403, 'scope_missing', 'The access token does not allow this.', {
    detail: `One of these scopes is needed: ${scopes.join(', ')}`,
    headers: {
      'www-authenticate': `Bearer realm="admin API", error="insufficient_scope", scope="${scopes[0]}"`,
    },
  })
}

import { parseToken } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'
import { AdminError } from '../http/errors.ts'
import { useAccessToken, usePersonalToken } from '../oauth/access-token.ts'

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

type Needs = Pick<Deps, 'sql' | 'clock' | 'activity' | 'log'>

/**
 * The caller of a request: an OAuth access token or a personal one, in the header alone (RFC 6750 section 2.1). Before
 * anything else of the request is looked at, so that strangers learn nothing from errors.
 *
 * @throws AdminError 401
 */
export async function authenticateCaller(deps: Needs, request: Request): Promise<Caller> {
  const header = request.headers.get('authorization')
  const token = /^bearer +([\x21-\x7e]+)$/i.exec(header ?? '')?.[1]
  if (token === undefined)
    throw new AdminError(401, 'token_missing', 'The request has no access token.', {
      detail: 'Send it as: Authorization: Bearer <token>',
      headers: { 'www-authenticate': 'Bearer realm="admin API"' },
    })
  const caller = await findCaller(deps, token)
  if (caller) return caller
  throw new AdminError(401, 'token_invalid', 'The access token is unknown, expired or revoked.', {
    headers: { 'www-authenticate': 'Bearer realm="admin API", error="invalid_token"' },
  })
}

async function findCaller(deps: Needs, token: string): Promise<Caller | undefined> {
  const kind = parseToken(token)
  if (kind === 'mat') {
    const row = await useAccessToken(deps, token, deps.clock.now())
    return (
      row && {
        userId: row.user_id ?? undefined,
        username: row.username ?? undefined,
        clientId: row.client_id,
        sessionId: row.session_id,
        kind: 'oauth',
        scope: row.scope.split(' '),
      }
    )
  }
  if (kind !== 'mpt') return undefined
  const row = await usePersonalToken(deps, token, deps.clock.now())
  return (
    row && {
      userId: row.user_id,
      username: row.username,
      clientId: row.client_id ?? undefined,
      sessionId: row.session_id,
      kind: 'personal',
      scope: row.scope.split(' '),
    }
  )
}

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

import type { BrowserSessionRow } from '../../../sql/browser-sessions.ts'
import { findClient } from '../../../sql/clients.ts'
import { findConsent, insertConsent } from '../../../sql/consents.ts'
import { fulfilGrant } from '../../../sql/grants.ts'
import type { Deps } from '../../deps.ts'
import { authorizationResponse } from '../../http/authorization-response.ts'
import { PageError } from '../../http/errors.ts'
import { ensureProvisioned } from '../../identity/devices.ts'
import type { Visit } from '../../identity/visit.ts'
import { isAdminApiScope } from '../../lib/admin-scope.ts'
import { sha256 } from '../../lib/digest.ts'
import { randomString } from '../../lib/random.ts'
import { consentScope, deviceOf, SYNAPSE_ADMIN } from '../../lib/scope.ts'
import { transact } from '../../lib/transact.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import type { Violation } from '../../policy/violation.ts'
import { type GrantWithClient, targetOf } from '../grant-context.ts'
import { CODES } from '../grants/authorization-code.ts'
import { exchange } from '../grants/exchange.ts'
import { isProvenRedirect } from '../redirect-uri.ts'

/** What a consent is about. */
export type Consentable = Pick<
  GrantWithClient,
  'client_id' | 'client_is_static' | 'client_metadata' | 'redirect_uri' | 'scope'
>

/** Whether a remembered consent may answer without a page (decision 10). */
export function maySkip(grant: Consentable): boolean {
  const proven = grant.client_is_static
    ? /^https:/.test(grant.redirect_uri)
    : isProvenRedirect(grant.redirect_uri, grant.client_metadata.client_uri)
  return proven && deviceOf(grant.scope) === undefined && !grant.scope.some(isAdminScope)
}

const isAdminScope = (scope: string): boolean => scope === SYNAPSE_ADMIN || isAdminApiScope(scope)

/** Whether a person agreed to the same before. */
export async function isRemembered(
  deps: Pick<Deps, 'sql'>,
  grant: Consentable,
  session: Pick<BrowserSessionRow, 'user_id'>,
): Promise<boolean> {
  const [consent] = await findConsent(deps.sql, session.user_id, grant.client_id, consentScope(grant.scope))
  return consent !== undefined
}

/**
 * Gives out the code and remembers the consent. The homeserver must know the person first (reference edge 37).
 *
 * @throws PageError when the request was answered meanwhile; Unavailable when the homeserver is down
 */
export async function approve(
  deps: Deps,
  visit: Visit,
  grant: GrantWithClient,
  session: BrowserSessionRow,
): Promise<Response> {
  await ensureProvisioned(deps, session.user_id)
  const code = randomString(deps.random, 32)
  const now = deps.clock.now()
  await transact(deps.sql, async (tx) => {
    const [fulfilled] = await fulfilGrant(tx, grant.id, session.id, sha256(code), now)
    if (!fulfilled) throw new PageError('grant_not_pending', 409)
    await insertConsent(tx, session.user_id, grant.client_id, consentScope(grant.scope), now)
  })
  deps.log.info('consent.given', { user_id: session.user_id, client_id: ulidFromUuid(grant.client_id) })
  const result = grant.response_type === 'code' ? { code } : await tokensFor(deps, visit, grant, session)
  return authorizationResponse(deps, visit.request, targetOf(grant), result, answeredBy(visit))
}

/**
 * The tokens that a request of the implicit flow is answered with (OpenID Connect Core section 3.2.2.5): the same exchange
 * that a code goes through, on the spot, without a refresh token.
 */
async function tokensFor(
  deps: Deps,
  visit: Visit,
  grant: GrantWithClient,
  session: BrowserSessionRow,
): Promise<Record<string, string>> {
  const [client] = await findClient(deps.sql, grant.client_id)
  if (!client) throw new PageError('unknown_client', 400)
  const approved = {
    id: grant.id,
    userId: session.user_id,
    username: session.username,
    browserSessionId: session.id,
    scope: grant.scope,
    locale: grant.locale,
    previousSessionId: null,
    authTime: session.authenticated_at,
    method: session.authentication_method,
    nonce: grant.nonce,
    code: undefined,
    acrRequested: grant.acr_requested,
    withRefreshToken: false,
    jkt: undefined,
    grantType: 'implicit',
  } as const
  const {
    id_token = '',
    access_token,
    token_type,
    expires_in,
    scope,
  } = await exchange(deps, client, approved, CODES, visit.requester)
  if (grant.response_type === 'id_token') return { id_token }
  return {
    access_token,
    token_type,
    expires_in: String(expires_in),
    id_token,
    ...(scope !== undefined && { scope }),
  }
}

/** What an answer carries of the visit that gave it. */
export const answeredBy = ({ browser, lang }: Visit): { cookies: string[]; lang: string } => ({
  cookies: browser.cookies,
  lang,
})

/** Violations that another scope would not mend. */
const DENIALS = new Set(['requester-banned', 'too-many-sessions'])

/** What the client is told when the policy says no (decision 11). */
export const refusalOf = (
  violations: Violation[],
): { error: 'access_denied' | 'invalid_scope'; error_description: string } => ({
  error: violations.some(({ code }) => code !== undefined && DENIALS.has(code))
    ? 'access_denied'
    : 'invalid_scope',
  error_description: violations.map(({ msg }) => msg).join(' '),
})

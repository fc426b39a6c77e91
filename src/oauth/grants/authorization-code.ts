import type { ClientRow } from '../../../sql/clients.ts'
import {
  type CodeRow,
  claimCode,
  findCodeState,
  findGrantByCode,
  releaseCode,
  spendCode,
} from '../../../sql/grants.ts'
import { OAuthError } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { recordSecurityEvent } from '../../identity/security-log.ts'
import { endAppSession } from '../../identity/sessions.ts'
import { addSeconds } from '../../lib/clock.ts'
import { sha256 } from '../../lib/digest.ts'
import { transact } from '../../lib/transact.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'
import { codeFault, codeLifetime } from '../fapi2.ts'
import { verifies } from '../pkce.ts'
import type { TokenResponse } from '../token-response.ts'
import { type ClaimQueries, type ExchangeNeeds, exchange } from './exchange.ts'

/** Seconds between consent and exchange. */
const CODE_LIFETIME = 600
/** Seconds after an exchange in which the same code again is a client's retry, not a theft (reference 4.3). */
const REPLAY_GRACE = 20

interface CodeForm {
  code: string
  code_verifier?: string
  redirect_uri?: string
}

/** A code whose person, session and request were found to be in order. */
type ValidCode = CodeRow & {
  user_id: string
  username: string
  browser_session_id: string
  session_authenticated_at: Date
}

/** How the row of an authorization request is claimed and spent. */
export const CODES: ClaimQueries = {
  claim: claimCode,
  findState: findCodeState,
  release: releaseCode,
  spend: spendCode,
}

/**
 * The authorization code grant (RFC 6749 section 4.1.3, RFC 7636).
 *
 * @throws OAuthError invalid_grant, invalid_request, unauthorized_client; Unavailable when the homeserver is down
 */
export async function exchangeCode(
  deps: ExchangeNeeds,
  client: ClientRow,
  form: CodeForm,
  jkt: string | undefined,
  requester: Requester,
): Promise<TokenResponse> {
  if (!client.grant_types.includes('authorization_code')) throw new OAuthError('unauthorized_client')
  const grant = await findValidCode(deps, client, form, jkt, requester)
  const approved = {
    id: grant.id,
    userId: grant.user_id,
    username: grant.username,
    browserSessionId: grant.browser_session_id,
    scope: grant.scope,
    locale: grant.locale,
    previousSessionId: grant.oauth_session_id,
    authTime: grant.session_authenticated_at,
    method: grant.session_authentication_method,
    nonce: grant.nonce,
    code: form.code,
    acrRequested: grant.acr_requested,
    withRefreshToken: true,
    jkt,
  }
  return exchange(deps, client, approved, CODES, requester)
}

/** Finds the request of a code and checks everything that needs no write, the client first (reference edge 18). */
async function findValidCode(
  deps: ExchangeNeeds,
  client: ClientRow,
  form: CodeForm,
  jkt: string | undefined,
  requester: Requester,
): Promise<ValidCode> {
  const invalid = (cause: string) => new OAuthError('invalid_grant', { cause })
  if (!/^[0-9A-Za-z]{32}$/.test(form.code)) throw invalid('malformed code')
  const [grant] = await findGrantByCode(deps.sql, sha256(form.code))
  if (!grant) throw invalid('unknown code')
  if (grant.client_id !== client.id)
    throw new OAuthError(codeFault(client, 'unauthorized_client'), { cause: 'code of another client' })
  const now = deps.clock.now()
  if (grant.exchanged_at) {
    const isLate = now.getTime() - grant.exchanged_at.getTime() > REPLAY_GRACE * 1000
    // Without the verifier nobody can have used the code: one that was found in a log ends nobody's session.
    if (isLate && isProven(grant, form) && isBoundTo(grant, jkt)) await endReplayed(deps, grant, requester)
    throw invalid('the code was used')
  }
  if (!grant.fulfilled_at || addSeconds(grant.fulfilled_at, codeLifetime(client) ?? CODE_LIFETIME) <= now)
    throw invalid('the code has expired')
  checkProof(client, grant, form)
  if (!isBoundTo(grant, jkt))
    throw new OAuthError('invalid_grant', {
      description: 'The code is bound to a key that the request does not prove.',
    })
  if (!grant.user_id || !grant.username || !grant.browser_session_id || !grant.session_authenticated_at)
    throw invalid('the browser session is gone')
  if (grant.session_finished_at || grant.locked_at || grant.deactivated_at)
    throw invalid('the browser session or its user is not active')
  return grant as ValidCode
}

/** RFC 7636 section 4.6, and RFC 6749 section 4.1.3 for the redirect URI when one is sent (edge 5). */
function checkProof(client: ClientRow, grant: CodeRow, form: CodeForm): void {
  if ((grant.code_challenge === null) !== (form.code_verifier === undefined))
    throw new OAuthError(codeFault(client, 'invalid_request'), {
      description:
        form.code_verifier === undefined
          ? 'The parameter code_verifier is missing.'
          : 'A code_verifier was sent for a request without code_challenge.',
    })
  if (!isProven(grant, form))
    throw new OAuthError('invalid_grant', { description: 'PKCE verification failed.' })
  if (form.redirect_uri !== undefined && !sameUri(form.redirect_uri, grant.redirect_uri))
    throw new OAuthError('invalid_grant', { description: 'The redirect_uri is not that of the request.' })
}

const isProven = (grant: CodeRow, form: CodeForm): boolean =>
  grant.code_challenge === null || verifies(form.code_verifier ?? '', grant.code_challenge)

/** RFC 9449 section 10: a code whose request named a key is for whoever proves that key. */
const isBoundTo = (grant: CodeRow, jkt: string | undefined): boolean =>
  grant.dpop_jkt === null || grant.dpop_jkt === jkt

const sameUri = (a: string, b: string): boolean =>
  a === b || (URL.canParse(a) && URL.canParse(b) && new URL(a).href === new URL(b).href)

/** RFC 6749 section 4.1.2: a code that comes back late was stolen, on one side or the other; its session ends. */
async function endReplayed(deps: ExchangeNeeds, grant: CodeRow, requester: Requester): Promise<void> {
  const sessionId = grant.oauth_session_id
  if (sessionId === null) return
  await transact(deps.sql, async (tx) => {
    if (!(await endAppSession(deps, tx, sessionId))) return
    deps.log.warn('security.code_replayed', {
      grant_id: grant.id,
      session_id: sessionId,
      user_id: grant.user_id,
    })
    if (grant.user_id)
      await recordSecurityEvent(deps, tx, {
        userId: grant.user_id,
        kind: 'code_replayed',
        actor: 'system',
        requester,
        details: { session_id: ulidFromUuid(sessionId) },
      })
  })
}

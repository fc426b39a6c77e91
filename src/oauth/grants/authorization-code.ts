import type { ClientRow } from '../../../sql/clients.ts'
import {
  type CodeRow,
  claimCode,
  findCodeState,
  findGrantByCode,
  releaseCode,
  spendCode,
} from '../../../sql/grants.ts'
import { finishOAuthSession, insertOAuthSession } from '../../../sql/oauth-sessions.ts'
import { insertTokenPair } from '../../../sql/tokens.ts'
import { newToken, tokenDigest } from '../../crypto/tokens.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError, Unavailable } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { addDevice } from '../../identity/devices.ts'
import { endAppSession } from '../../identity/sessions.ts'
import { addSeconds } from '../../lib/clock.ts'
import { sha256 } from '../../lib/digest.ts'
import { deviceOf } from '../../lib/scope.ts'
import { transact } from '../../lib/transact.ts'
import { newId, ulidFromUuid } from '../../lib/ulid.ts'
import { idToken } from '../id-token.ts'
import { verifies } from '../pkce.ts'
import { sessionName } from '../session-name.ts'
import type { TokenResponse } from '../token.ts'

type Needs = Pick<
  Deps,
  'config' | 'urls' | 'sql' | 'clock' | 'random' | 'keys' | 'homeserver' | 'jobs' | 'translate' | 'log'
>

/** Seconds between consent and exchange. */
const CODE_LIFETIME = 600
/** Seconds after an exchange in which the same code again is a client's retry, not a theft (reference section 4.3). */
const REPLAY_GRACE = 20
/** Seconds that one exchange may hold a code while it talks to the homeserver. */
const CLAIM = 60
/** Milliseconds that an exchange waits for another one of the same code. */
const PATIENCE = 12_000

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

/**
 * The authorization code grant (RFC 6749 section 4.1.3, RFC 7636). The code is claimed, the session committed without a
 * token, the device made at the homeserver, and only then the code spent and tokens issued; no transaction spans the
 * call. A failure in between frees the code for the client's retry (decision 9).
 *
 * @throws OAuthError invalid_grant, invalid_request, unauthorized_client; Unavailable when the homeserver is down
 */
export async function exchangeCode(
  deps: Needs,
  client: ClientRow,
  form: CodeForm,
  requester: Requester,
): Promise<TokenResponse> {
  if (!client.grant_types.includes('authorization_code')) throw new OAuthError('unauthorized_client')
  const grant = await findValidCode(deps, client, form)
  const now = deps.clock.now()
  const session = {
    id: newId(now, deps.random),
    clientId: client.id,
    userId: grant.user_id,
    browserSessionId: grant.browser_session_id,
    scope: grant.scope,
    deviceId: deviceOf(grant.scope) ?? null,
    humanName: sessionName(deps.translate, client, requester.userAgent, grant.locale),
    userAgent: requester.userAgent ?? null,
    ip: requester.ip ?? null,
    now,
  }
  try {
    await claim(deps, grant, session)
    if (session.deviceId !== null)
      await addDevice(
        deps,
        { id: grant.user_id, username: grant.username },
        { id: session.deviceId, name: session.humanName },
      )
    return await issue(deps, client, grant, form.code, session.id)
  } catch (error) {
    await giveUp(deps, grant.id, session.id)
    throw error
  }
}

/**
 * Claims the code and commits the session, which is not usable yet. While another exchange holds the code this one
 * waits for its end: a client that gave up on a slow homeserver and tries again must not be told that its code is bad.
 *
 * @throws OAuthError invalid_grant when the other one got tokens; Unavailable when it does not end
 */
async function claim(
  deps: Needs,
  grant: ValidCode,
  session: Parameters<typeof insertOAuthSession>[1],
): Promise<void> {
  for (let waited = 0, pause = 20; ; waited += pause, pause = Math.min(pause * 2, 500)) {
    const claimed = await transact(deps.sql, async (tx) => {
      const now = deps.clock.now()
      const [row] = await claimCode(tx, grant.id, session.id, now, addSeconds(now, CLAIM))
      if (!row) return false
      // What a process left behind that died in an exchange of this code. It was for the same device.
      if (grant.oauth_session_id !== null) await finishOAuthSession(tx, grant.oauth_session_id, now)
      await insertOAuthSession(tx, session)
      return true
    })
    if (claimed) return
    const [current] = await findCodeState(deps.sql, grant.id)
    if (!current || current.exchanged_at)
      throw new OAuthError('invalid_grant', { cause: 'another exchange of the code was first' })
    if (waited >= PATIENCE)
      throw new Unavailable('homeserver', { cause: new Error('another exchange holds the code') })
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

/** Finds the request of a code and checks everything that needs no write, the client first (reference edge 18). */
async function findValidCode(deps: Needs, client: ClientRow, form: CodeForm): Promise<ValidCode> {
  const invalid = (cause: string) => new OAuthError('invalid_grant', { cause })
  if (!/^[0-9A-Za-z]{32}$/.test(form.code)) throw invalid('malformed code')
  const [grant] = await findGrantByCode(deps.sql, sha256(form.code))
  if (!grant) throw invalid('unknown code')
  if (grant.client_id !== client.id)
    throw new OAuthError('unauthorized_client', { cause: 'code of another client' })
  const now = deps.clock.now()
  if (grant.exchanged_at) {
    if (now.getTime() - grant.exchanged_at.getTime() > REPLAY_GRACE * 1000) await endReplayed(deps, grant)
    throw invalid('the code was used')
  }
  if (!grant.fulfilled_at || addSeconds(grant.fulfilled_at, CODE_LIFETIME) <= now)
    throw invalid('the code has expired')
  checkProof(grant, form)
  if (!grant.user_id || !grant.username || !grant.browser_session_id || !grant.session_authenticated_at)
    throw invalid('the browser session is gone')
  if (grant.session_finished_at || grant.locked_at || grant.deactivated_at)
    throw invalid('the browser session or its user is not active')
  return grant as ValidCode
}

/** RFC 7636 section 4.6, and RFC 6749 section 4.1.3 for the redirect URI when one is sent (reference edge 5). */
function checkProof(grant: CodeRow, form: CodeForm): void {
  if ((grant.code_challenge === null) !== (form.code_verifier === undefined))
    throw new OAuthError('invalid_request', {
      description:
        form.code_verifier === undefined
          ? 'The parameter code_verifier is missing.'
          : 'A code_verifier was sent for a request without code_challenge.',
    })
  if (grant.code_challenge !== null && !verifies(form.code_verifier ?? '', grant.code_challenge))
    throw new OAuthError('invalid_grant', { description: 'PKCE verification failed.' })
  if (form.redirect_uri !== undefined && !sameUri(form.redirect_uri, grant.redirect_uri))
    throw new OAuthError('invalid_grant', { description: 'The redirect_uri is not that of the request.' })
}

const sameUri = (a: string, b: string): boolean =>
  a === b || (URL.canParse(a) && URL.canParse(b) && new URL(a).href === new URL(b).href)

/** RFC 6749 section 4.1.2: a code that comes back late was stolen, on one side or the other; its session ends. */
async function endReplayed(deps: Needs, grant: CodeRow): Promise<void> {
  const sessionId = grant.oauth_session_id
  if (sessionId === null) return
  await transact(deps.sql, async (tx) => {
    if (!(await endAppSession(deps, tx, sessionId))) return
    deps.log.warn('security.code_replayed', {
      grant_id: grant.id,
      session_id: sessionId,
      user_id: grant.user_id,
    })
  })
}

/** Spends the code and gives the session its tokens. */
async function issue(
  deps: Needs,
  client: ClientRow,
  grant: ValidCode,
  code: string,
  sessionId: string,
): Promise<TokenResponse> {
  const now = deps.clock.now()
  const ttl = deps.config.experimental.access_token_ttl
  const access = newToken('mat', deps.random)
  const refresh = newToken('mar', deps.random)
  const signed = grant.scope.includes('openid')
    ? await idToken(deps, client, {
        userId: grant.user_id,
        nonce: grant.nonce,
        authTime: grant.session_authenticated_at,
        accessToken: access,
        code,
      })
    : undefined
  await transact(deps.sql, async (tx) => {
    const [spent] = await spendCode(tx, grant.id, sessionId, now)
    if (!spent) throw new OAuthError('invalid_grant', { cause: 'the claim on the code ran out' })
    await insertTokenPair(tx, {
      sessionId,
      id: newId(now, deps.random),
      accessHash: tokenDigest(access),
      refreshHash: tokenDigest(refresh),
      expiresAt: addSeconds(now, ttl),
    })
  })
  deps.log.info('token.issued', {
    grant: 'authorization_code',
    client_id: ulidFromUuid(client.id),
    session_id: sessionId,
    user_id: grant.user_id,
  })
  return {
    access_token: access,
    token_type: 'Bearer',
    expires_in: ttl,
    refresh_token: refresh,
    ...(signed !== undefined && { id_token: signed }),
    scope: grant.scope.join(' '),
  }
}

/**
 * Ends the unusable session and frees the code, best effort. A database that went away in the middle is often back at
 * once, on another connection; one that stays away frees the code when the claim ends.
 */
async function giveUp(deps: Needs, grantId: string, sessionId: string): Promise<void> {
  for (const pause of [50, 250, undefined])
    try {
      return await transact(deps.sql, async (tx) => {
        await endAppSession(deps, tx, sessionId)
        await releaseCode(tx, grantId, sessionId)
      })
    } catch (error) {
      if (pause === undefined) deps.log.warn('code.release_failed', { grant_id: grantId, error })
      else await new Promise((resolve) => setTimeout(resolve, pause))
    }
}

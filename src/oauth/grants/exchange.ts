import type { AuthenticationMethod } from '../../../sql/browser-sessions.ts'
import { markFirstGrant } from '../../../sql/client-registrations.ts'
import type { ClientRow } from '../../../sql/clients.ts'
import type { Db } from '../../../sql/connect.ts'
import { finishDeviceSessions } from '../../../sql/devices.ts'
import { finishOAuthSession, insertOAuthSession, lockOAuthSession } from '../../../sql/oauth-sessions.ts'
import { lockSessionsOf, lockSignIn } from '../../../sql/sessions.ts'
import { insertTokenPair } from '../../../sql/tokens.ts'
import { newToken, tokenDigest } from '../../crypto/tokens.ts'
import type { Deps } from '../../deps.ts'
import { OAuthError, Unavailable } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { addDevice } from '../../identity/devices.ts'
import { makeRoom } from '../../identity/session-limit.ts'
import { endAppSession } from '../../identity/sessions.ts'
import { addSeconds } from '../../lib/clock.ts'
import { deviceOf } from '../../lib/scope.ts'
import { transact } from '../../lib/transact.ts'
import { newId } from '../../lib/ulid.ts'
import { poll, retrying } from '../../lib/waiting.ts'
import { TOO_MANY_SESSIONS } from '../../policy/session-limit.ts'
import { tokenTypeOf } from '../dpop.ts'
import { idToken } from '../id-token.ts'
import { claimScopesOf, personClaims } from '../person-claims.ts'
import { sessionName } from '../session-name.ts'
import type { TokenResponse } from '../token-response.ts'

export type ExchangeNeeds = Pick<
  Deps,
  | 'config'
  | 'urls'
  | 'sql'
  | 'clock'
  | 'random'
  | 'keys'
  | 'secrets'
  | 'homeserver'
  | 'jobs'
  | 'translate'
  | 'log'
>

/**
 * Seconds that one exchange may hold a code: longer than one that lives can take (12 for the lease of the person, 10 for
 * the call), and no longer: a process that is killed keeps it that long, and the codes of FAPI 2.0 live for 60.
 */
const CLAIM = 30
/** Milliseconds that an exchange waits for another one of the same code. */
const PATIENCE = 12_000

/** What a person approved, found to be in order: of a code or a device code. */
export interface Approved {
  /** The row of the grant. */
  id: string
  userId: string
  username: string
  browserSessionId: string
  scope: string[]
  locale: string | null
  /** The session that an exchange which never ended has left behind. */
  previousSessionId: string | null
  /** When the person last proved who they are. */
  authTime: Date
  /** How, where that is known. */
  method: AuthenticationMethod | null
  nonce: string | null
  /** The authorization code, for `c_hash`; a device code has none. */
  code: string | undefined
  /** For the log, where it is neither a code nor a device code. */
  grantType?: 'implicit'
  /** The client asked for `acr` in the ID token. */
  acrRequested?: boolean
  /** An app by code always gets one; a device only when its client registered the grant (reference section 4.2). */
  withRefreshToken: boolean
  /** The key that the exchange proved, if it did: the tokens are bound to it (RFC 9449 section 5). */
  jkt: string | undefined
}

/** The rows of one kind of grant: how they are claimed, looked at, freed and spent (sql/grants.ts, sql/device-grants.ts). */
export interface ClaimQueries {
  claim(
    sql: Db,
    id: string,
    sessionId: string,
    now: Date,
    until: Date,
  ): PromiseLike<readonly { id: string; scope: string[] }[]>
  findState(sql: Db, id: string): PromiseLike<readonly { exchanged_at: Date | null }[]>
  release(sql: Db, id: string, sessionId: string): PromiseLike<unknown>
  spend(sql: Db, id: string, sessionId: string, now: Date): PromiseLike<readonly { id: string }[]>
}

/**
 * Turns something that a person approved into a session with tokens. The grant is claimed, the session committed
 * without a token, the device made at the homeserver, and only then the grant spent and tokens issued; no transaction
 * spans the call. A failure in between frees the grant for the client's retry (decision 9).
 *
 * @throws OAuthError invalid_grant when another exchange was first; Unavailable when the homeserver is down
 */
export async function exchange(
  deps: ExchangeNeeds,
  client: ClientRow,
  approved: Approved,
  queries: ClaimQueries,
  requester: Requester,
): Promise<TokenResponse> {
  const now = deps.clock.now()
  const session = {
    id: newId(now, deps.random),
    clientId: client.id,
    userId: approved.userId,
    browserSessionId: approved.browserSessionId,
    scope: approved.scope,
    // Every scope was on the page on which the person agreed (decision 16).
    claimScopes: claimScopesOf(approved.scope),
    deviceId: deviceOf(approved.scope) ?? null,
    humanName: sessionName(deps.translate, client, requester.userAgent, approved.locale),
    userAgent: requester.userAgent ?? null,
    ip: requester.ip ?? null,
    now,
  }
  try {
    await claim(deps, approved, queries, session)
    if (session.deviceId !== null)
      await addDevice(
        deps,
        { id: approved.userId, username: approved.username },
        { id: session.deviceId, name: session.humanName },
      )
    return await issue(deps, client, approved, queries, session)
  } catch (error) {
    await giveUp(deps, approved.id, queries, session.id)
    throw error
  }
}

/**
 * Claims the grant and commits the session, which is not usable yet. While another exchange holds the grant this one
 * waits for its end: a client that gave up on a slow homeserver and tries again must not be told that its code is bad.
 *
 * @throws OAuthError invalid_grant when the other one got tokens, the account or the session that approved has ended, or
 *   the account has too many sessions; Unavailable when it does not end
 */
async function claim(
  deps: ExchangeNeeds,
  approved: Approved,
  queries: ClaimQueries,
  session: Parameters<typeof insertOAuthSession>[1],
): Promise<void> {
  const claimed = await poll(PATIENCE, async () => {
    const isOurs = await transact(deps.sql, async (tx) => {
      // Asked again under a lock: a deactivation at this moment would not see the session that begins here, nor end it.
      const [inOrder] = await lockSignIn(tx, approved.userId, approved.browserSessionId)
      if (!inOrder)
        throw new OAuthError('invalid_grant', {
          cause: 'the account or the session that approved ended meanwhile',
        })
      const now = deps.clock.now()
      const [row] = await queries.claim(tx, approved.id, session.id, now, addSeconds(now, CLAIM))
      if (!row) return false
      if (row.scope.length < approved.scope.length)
        throw new OAuthError('invalid_grant', { cause: 'the account lost the right to a scope meanwhile' })
      // What a process left behind that died in an exchange of this grant. It was for the same device.
      if (approved.previousSessionId !== null) await finishOAuthSession(tx, approved.previousSessionId, now)
      if (!(await makeRoom(deps, tx, { userId: approved.userId, deviceId: session.deviceId })))
        throw new OAuthError('invalid_grant', {
          description: TOO_MANY_SESSIONS.msg,
          cause: 'experimental.session_limit.hard_limit is reached',
        })
      await insertOAuthSession(tx, session)
      return true
    })
    if (isOurs) return true
    const [current] = await queries.findState(deps.sql, approved.id)
    if (!current || current.exchanged_at)
      throw new OAuthError('invalid_grant', { cause: 'another exchange of the code was first' })
    return undefined
  })
  if (!claimed) throw new Unavailable('homeserver', { cause: new Error('another exchange holds the code') })
}

/**
 * Spends the grant and gives the session its tokens. A device has one session: whatever else is signed in on it, in
 * whichever way, ends in that moment and not before, so that a sign-in which fails takes nothing from anybody.
 *
 * @throws OAuthError invalid_grant when the session was ended meanwhile, with all others or by a faster sign-in on the
 *   same device
 */
async function issue(
  deps: ExchangeNeeds,
  client: ClientRow,
  approved: Approved,
  queries: ClaimQueries,
  { id: sessionId, deviceId }: { id: string; deviceId: string | null },
): Promise<TokenResponse> {
  const now = deps.clock.now()
  const ttl = deps.config.experimental.access_token_ttl
  const access = newToken('mat', deps.random)
  const refresh = approved.withRefreshToken ? newToken('mar', deps.random) : undefined
  const signed = approved.scope.includes('openid')
    ? await idToken(deps, client, {
        userId: approved.userId,
        browserSessionId: approved.browserSessionId,
        nonce: approved.nonce,
        authTime: approved.authTime,
        method: approved.method,
        accessToken: access,
        code: approved.code,
        acrRequested: approved.acrRequested ?? false,
        person: await personClaims(deps.sql, sessionId, approved.scope),
      })
    : undefined
  const replaced = await transact(deps.sql, async (tx) => {
    if (deviceId !== null) await lockSessionsOf(tx, approved.userId)
    const [active] = await lockOAuthSession(tx, sessionId)
    if (!active) {
      // The device may have been made after the homeserver was told that the session is gone.
      if (deviceId !== null) await deps.jobs.enqueue(tx, 'sync-devices', { user_id: approved.userId })
      return new OAuthError('invalid_grant', { cause: 'the session was replaced or ended' })
    }
    const [spent] = await queries.spend(tx, approved.id, sessionId, now)
    if (!spent) throw new OAuthError('invalid_grant', { cause: 'the claim on the code ran out' })
    if (client.first_granted_at === null) await markFirstGrant(tx, client.id, now)
    await insertTokenPair(tx, {
      id: newId(now, deps.random),
      sessionId,
      accessHash: tokenDigest(access),
      refreshHash: refresh === undefined ? null : tokenDigest(refresh),
      expiresAt: addSeconds(now, ttl),
      dpopJkt: approved.jkt,
    })
    return deviceId === null ? [] : await finishDeviceSessions(tx, approved.userId, deviceId, sessionId, now)
  })
  deps.log.info('token.issued', {
    grant: approved.grantType ?? (approved.code === undefined ? 'device_code' : 'authorization_code'),
    client_id: client.id,
    session_id: sessionId,
    user_id: approved.userId,
    replaced: replaced.length,
  })
  return {
    access_token: access,
    token_type: tokenTypeOf(approved.scope, approved.jkt),
    expires_in: ttl,
    ...(refresh !== undefined && { refresh_token: refresh }),
    ...(signed !== undefined && { id_token: signed }),
    ...(approved.scope.length > 0 && { scope: approved.scope.join(' ') }),
  }
}

/**
 * Ends the unusable session and frees the grant, best effort. A database that went away in the middle is often back at
 * once, on another connection; one that stays away frees the grant when the claim ends.
 */
async function giveUp(
  deps: ExchangeNeeds,
  grantId: string,
  queries: ClaimQueries,
  sessionId: string,
): Promise<void> {
  await retrying([50, 250], () =>
    transact(deps.sql, async (tx) => {
      await endAppSession(deps, tx, sessionId)
      await queries.release(tx, grantId, sessionId)
    }),
  ).catch((error: unknown) => deps.log.warn('code.release_failed', { grant_id: grantId, error }))
}

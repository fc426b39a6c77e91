import { insertCompatSession } from '../../../sql/compat-sessions.ts'
import { insertCompatTokens } from '../../../sql/compat-tokens.ts'
import type { Tx } from '../../../sql/connect.ts'
import { finishDeviceSessions } from '../../../sql/devices.ts'
import { lockSessionsOf } from '../../../sql/sessions.ts'
import { newToken, tokenDigest } from '../../crypto/tokens.ts'
import type { Deps } from '../../deps.ts'
import { MatrixError, Unavailable } from '../../http/errors.ts'
import type { Requester } from '../../http/requester.ts'
import { addDevice, ensureProvisioned } from '../../identity/devices.ts'
import { recordSecurityEvent, type SecurityLogNeeds } from '../../identity/security-log.ts'
import { makeRoom } from '../../identity/session-limit.ts'
import { endCompatSession } from '../../identity/sessions.ts'
import { addSeconds } from '../../lib/clock.ts'
import { randomString } from '../../lib/random.ts'
import { transact } from '../../lib/transact.ts'
import { newId, ulidFromUuid } from '../../lib/ulid.ts'
import { retrying } from '../../lib/waiting.ts'
import { TOO_MANY_SESSIONS } from '../../policy/session-limit.ts'
import { userLocked } from './errors.ts'

type Needs = SecurityLogNeeds &
  Pick<Deps, 'config' | 'sql' | 'clock' | 'random' | 'homeserver' | 'jobs' | 'log'>

/** A login that was found to be right. */
export interface Login {
  user: { id: string; username: string; provisioned_at: Date | null }
  /** As the client wants it; one is made when it wants none. */
  deviceId: string | undefined
  deviceName: string | undefined
  browserSessionId: string | null
  withRefreshToken: boolean
  requester: Requester
  /** Its token may use Synapse's admin API: only an operator says so. */
  synapseAdmin?: boolean
  /** An operator signs in for somebody: the limit of sessions is not looked at. */
  unlimited?: boolean
  /**
   * Looks once more at what the login was found to be right by, in the transaction that gives out its tokens, which has
   * locked the person's sessions. @throws when it does not hold any more
   */
  check?(tx: Tx): Promise<void>
  /** How many other sessions the policy wants ended, where the operator lets them make room. */
  need?: number
}

/** What is spent for a login, in the transaction that begins its session, and given back when that fails. */
export interface Spendable {
  /** @throws when it was spent meanwhile */
  spend(tx: Tx, sessionId: string): Promise<void>
  giveBack(tx: Tx, sessionId: string): Promise<void>
}

/** The answer of `POST /login` (Matrix specification, client-server API). */
export interface LoginResponse {
  user_id: string
  device_id: string
  access_token: string
  refresh_token?: string
  expires_in_ms?: number
}

/** Length of a device id that we make. */
const DEVICE_ID_LENGTH = 10

/**
 * Begins the session of a legacy client. The session is committed without a token, its device made at the homeserver,
 * and only then tokens are issued and earlier sessions of the same device ended, whichever way they began (edges 36,
 * 50): a login that fails takes nothing from anybody. No transaction spans the call (decision 9).
 *
 * @throws Unavailable when the homeserver is down; MatrixError when the account was locked or deactivated meanwhile, or
 *   has too many sessions
 */
export async function beginCompatSession(
  deps: Needs,
  login: Login,
  spendable?: Spendable,
): Promise<LoginResponse> {
  const { user, requester } = login
  if (!user.provisioned_at) await ensureProvisioned(deps, user.id)
  const now = deps.clock.now()
  const deviceId = login.deviceId ?? randomString(deps.random, DEVICE_ID_LENGTH)
  const session = {
    id: newId(now, deps.random),
    userId: user.id,
    deviceId,
    humanName: login.deviceName ?? null,
    browserSessionId: login.browserSessionId,
    synapseAdmin: login.synapseAdmin ?? false,
    userAgent: requester.userAgent ?? null,
    ip: requester.ip ?? null,
    now,
  }
  try {
    const isLimited = !login.unlimited && deps.config.experimental.session_limit !== undefined
    if (isLimited || spendable)
      await transact(deps.sql, async (tx) => {
        if (isLimited && !(await makeRoom(deps, tx, session, login.need))) throw tooManySessions()
        await insertCompatSession(tx, session)
        await spendable?.spend(tx, session.id)
      })
    else await insertCompatSession(deps.sql, session)
    await addDevice(deps, user, { id: deviceId, name: login.deviceName })
    return await issue(deps, login, { id: session.id, deviceId })
  } catch (error) {
    await giveUp(deps, session.id, spendable)
    throw error
  }
}

const tooManySessions = () =>
  new MatrixError('M_FORBIDDEN', 403, `The login was refused: ${TOO_MANY_SESSIONS.msg}`)

/** Makes the session usable: its tokens, and the end of the sessions that it replaces. */
async function issue(
  deps: Needs,
  login: Login,
  session: { id: string; deviceId: string },
): Promise<LoginResponse> {
  const { user, withRefreshToken, requester } = login
  const now = deps.clock.now()
  const ttl = deps.config.experimental.compat_token_ttl
  const access = newToken('mct', deps.random)
  const refresh = withRefreshToken ? newToken('mcr', deps.random) : undefined
  const replaced = await transact(deps.sql, async (tx) => {
    // Sent at once, in this order: a login is to cost little besides its hash. What must not be is thrown, and undone.
    const [[person], , [issued], ended] = await Promise.all([
      lockSessionsOf(tx, user.id),
      login.check?.(tx),
      insertCompatTokens(tx, {
        sessionId: session.id,
        id: newId(now, deps.random),
        accessHash: tokenDigest(access),
        refreshHash: refresh === undefined ? null : tokenDigest(refresh),
        expiresAt: refresh === undefined ? null : addSeconds(now, ttl),
      }),
      // A device that we named just now is nobody else's.
      login.deviceId === undefined
        ? []
        : finishDeviceSessions(tx, user.id, session.deviceId, session.id, now),
    ])
    if (!person || person.deactivated_at) throw new MatrixError('M_FORBIDDEN', 403, 'Invalid credentials')
    if (person.locked_at) throw userLocked()
    // Another login with the same device id was faster; this one may try again.
    if (!issued) throw new Unavailable('database', { cause: new Error('the session was replaced or ended') })
    // A login by SSO came after a sign-in in a browser, and that had its notice.
    const isNew = login.browserSessionId === null && ended.length === 0
    await recordSecurityEvent(deps, tx, {
      userId: user.id,
      kind: isNew ? 'signed_in_legacy' : 'signed_in',
      requester,
      details: { name: login.deviceName ?? session.deviceId, session_id: ulidFromUuid(session.id) },
    })
    return ended
  })
  deps.log.info('legacy_login.succeeded', {
    user_id: user.id,
    session_id: session.id,
    replaced: replaced.length,
    ip: requester.ip,
  })
  return {
    user_id: deps.homeserver.mxid(user.username),
    device_id: session.deviceId,
    access_token: access,
    ...(refresh !== undefined && { refresh_token: refresh, expires_in_ms: ttl * 1000 }),
  }
}

/** Ends the unusable session and gives back what was spent for it, best effort; the homeserver forgets its device. */
async function giveUp(deps: Needs, sessionId: string, spendable: Spendable | undefined): Promise<void> {
  await retrying([50, 250], () =>
    transact(deps.sql, async (tx) => {
      await endCompatSession(deps, tx, sessionId)
      await spendable?.giveBack(tx, sessionId)
    }),
  ).catch((error: unknown) => deps.log.warn('legacy_login.release_failed', { session_id: sessionId, error }))
}

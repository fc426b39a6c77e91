import type { Db } from '../../sql/connect.ts'
import { finishDeviceSessions } from '../../sql/devices.ts'
import {
  findPersonalSession,
  finishPersonalSession,
  finishPersonalSessions,
  insertPersonalSession,
  insertPersonalToken,
  lockPersonalSession,
  type PersonalSessionRow,
  revokePersonalToken,
} from '../../sql/personal-sessions.ts'
import { lockSessionsOf } from '../../sql/sessions.ts'
import type { UserRow } from '../../sql/users.ts'
import { newToken, tokenDigest } from '../crypto/tokens.ts'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import { addSeconds } from '../lib/clock.ts'
import { type Random, randomString } from '../lib/random.ts'
import { deviceOf } from '../lib/scope.ts'
import { transact } from '../lib/transact.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import { checkAdminTokenPolicy, type TokenMaker } from '../policy/personal-token.ts'
import { TOO_MANY_SESSIONS } from '../policy/session-limit.ts'
import type { Violation } from '../policy/violation.ts'
import { addDevice, ensureProvisioned } from './devices.ts'
import { recordSecurityEvent, type SecurityEvent, type SecurityLogNeeds } from './security-log.ts'
import { makeRoom } from './session-limit.ts'

type Needs = Pick<Deps, 'sql' | 'homeserver' | 'policy'> & SecurityLogNeeds

/** Who does it, for the security log: the people who run the server, unless it says otherwise. */
type By = Pick<SecurityEvent, 'actor' | 'requester'>
const ADMIN: By = { actor: 'admin' }

/** Characters of a token's name: it is also the name of its device, and Synapse refuses longer ones. */
export const TOKEN_NAME_LIMIT = 100

/** A device of its own for a token: a new id, so that it takes nobody's device over. */
export const newDeviceId = (random: Random): string => randomString(random, 10, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')

/** What a personal token is to be. */
export interface NewPersonalToken {
  /** Whom it acts as. */
  actor: UserRow
  /** Who makes it. */
  owner: { userId: string } | { clientId: string }
  /** Whose rights decide what it may do. */
  maker: TokenMaker
  /** 1 to `TOKEN_NAME_LIMIT` characters. */
  name: string
  scope: string[]
  /** Seconds; undefined for a token that never runs out. */
  expiresIn: number | undefined
  requester: Requester
}

export type PersonalTokenResult =
  /** `token` is known here and now only: what is stored is its digest. */
  | { result: 'issued'; session: PersonalSessionRow; token: string }
  | { result: 'refused'; violations: Violation[] }
  /** The account that it would act as is deactivated, or all its sessions were ended meanwhile. */
  | { result: 'deactivated' | 'ended' }

/**
 * Makes a personal token. Its session is committed first and its device made at the homeserver next; only then there is
 * a token (edge 38). What fails in between ends the session.
 *
 * @throws Unavailable when the homeserver does not answer
 */
export async function createPersonalToken(
  deps: Needs,
  wanted: NewPersonalToken,
): Promise<PersonalTokenResult> {
  const { actor, scope, requester } = wanted
  // A person grants no more than an app of theirs could get.
  const violations =
    wanted.maker === 'admin'
      ? checkAdminTokenPolicy(scope)
      : await deps.policy.grant(
          { scope, user: { ...actor, user_id: actor.id }, grantType: 'authorization_code' },
          requester,
        )
  if (violations.length > 0) return { result: 'refused', violations }
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const deviceId = deviceOf(scope) ?? null
  const begun = await transact(deps.sql, async (tx) => {
    // Read under the lock: an account that is deactivated at this moment gets no token that comes back with it.
    const [account] = await lockSessionsOf(tx, actor.id)
    if (!account || account.deactivated_at) return 'deactivated'
    if (wanted.maker === 'self' && !(await makeRoom(deps, tx, { userId: actor.id, deviceId }))) return 'full'
    await insertPersonalSession(tx, {
      id,
      ownerUserId: 'userId' in wanted.owner ? wanted.owner.userId : null,
      ownerClientId: 'clientId' in wanted.owner ? wanted.owner.clientId : null,
      userId: actor.id,
      humanName: wanted.name,
      scope,
      deviceId,
      userAgent: requester.userAgent ?? null,
      now,
    })
    return 'begun'
  })
  if (begun === 'deactivated') return { result: 'deactivated' }
  if (begun === 'full') return { result: 'refused', violations: [TOO_MANY_SESSIONS] }
  if (deviceId !== null) await makeDevice(deps, actor, id, { id: deviceId, name: wanted.name })
  const by: By = wanted.maker === 'admin' ? ADMIN : { actor: 'self', requester }
  const issued = await issue(deps, id, wanted.expiresIn, by, { userId: actor.id, deviceId })
  if (!issued) {
    // Ended while it was made, with the account or with all its sessions; the device may have come after that.
    if (deviceId !== null) await deps.jobs.enqueue(deps.sql, 'sync-devices', { user_id: actor.id })
    return { result: 'ended' }
  }
  deps.log.info('personal_token.issued', {
    session_id: id,
    user_id: actor.id,
    ...('userId' in wanted.owner
      ? { owner_user_id: wanted.owner.userId }
      : { client_id: wanted.owner.clientId }),
    scope: scope.join(' '),
    ip: requester.ip,
  })
  return { result: 'issued', ...issued }
}

async function makeDevice(
  deps: Needs,
  actor: UserRow,
  sessionId: string,
  device: { id: string; name: string },
): Promise<void> {
  try {
    await ensureProvisioned(deps, actor.id)
    await addDevice(deps, actor, device)
  } catch (error) {
    await transact(deps.sql, (tx) => endPersonalSession(deps, tx, sessionId)).catch((cause: unknown) =>
      deps.log.warn('personal_token.release_failed', { session_id: sessionId, error: cause }),
    )
    throw error
  }
}

/**
 * Gives a personal session another token; the one before stops working at once. Undefined when the session has ended.
 */
export async function regeneratePersonalToken(
  deps: Needs,
  sessionId: string,
  expiresIn: number | undefined,
  by: By = ADMIN,
): Promise<{ session: PersonalSessionRow; token: string } | undefined> {
  const issued = await issue(deps, sessionId, expiresIn, by)
  if (issued)
    deps.log.info('personal_token.regenerated', { session_id: sessionId, user_id: issued.session.user_id })
  return issued
}

/**
 * Replaces the token of a session, if it has not ended. With the first one (`begun`) whatever else is signed in on its
 * device ends: a device has one session.
 */
function issue(
  deps: Needs,
  sessionId: string,
  expiresIn: number | undefined,
  by: By,
  begun?: { userId: string; deviceId: string | null },
): Promise<{ session: PersonalSessionRow; token: string } | undefined> {
  return transact(deps.sql, async (tx) => {
    if (begun) await lockSessionsOf(tx, begun.userId)
    const [active] = await lockPersonalSession(tx, sessionId)
    if (!active) return undefined
    const now = deps.clock.now()
    if (begun && begun.deviceId !== null)
      await finishDeviceSessions(tx, begun.userId, begun.deviceId, sessionId, now)
    const token = newToken('mpt', deps.random)
    await revokePersonalToken(tx, sessionId, now)
    await insertPersonalToken(tx, {
      id: newId(now, deps.random),
      sessionId,
      hash: tokenDigest(token),
      now,
      expiresAt: expiresIn === undefined ? null : addSeconds(now, expiresIn),
    })
    const [session] = await findPersonalSession(tx, sessionId)
    if (!session) return undefined
    await record(deps, tx, 'personal_token_created', session, by)
    return { session, token }
  })
}

/** Ends a personal session with its token and its device; false when it had ended. */
export const revokePersonalSession = (deps: Needs, sessionId: string, by: By = ADMIN): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    if (!(await endPersonalSession(deps, tx, sessionId))) return false
    const [session] = await findPersonalSession(tx, sessionId)
    if (session) await record(deps, tx, 'personal_token_revoked', session, by)
    deps.log.info('personal_token.revoked', { session_id: sessionId })
    return true
  })

/** The account that a token acts as has it in its security log. */
const record = (
  deps: Needs,
  tx: Db,
  kind: 'personal_token_created' | 'personal_token_revoked',
  session: PersonalSessionRow,
  by: By,
): Promise<void> =>
  recordSecurityEvent(deps, tx, {
    userId: session.user_id,
    kind,
    details: { name: session.human_name, session_id: ulidFromUuid(session.id) },
    ...by,
  })

/** The same in the caller's transaction. The homeserver learns of a vanished device through a job. */
export async function endPersonalSession(
  deps: Pick<Deps, 'clock' | 'jobs'>,
  tx: Db,
  sessionId: string,
): Promise<boolean> {
  const now = deps.clock.now()
  const [ended] = await finishPersonalSession(tx, sessionId, now)
  if (!ended) return false
  await revokePersonalToken(tx, sessionId, now)
  if (ended.device_id !== null) await deps.jobs.enqueue(tx, 'sync-devices', { user_id: ended.user_id })
  return true
}

/**
 * Ends every personal session that acts as a person, in the caller's transaction; with `owned` also those that the
 * person made for others. Gives how many. The caller has the person's own devices synced; those of others are here.
 */
export async function endPersonalSessionsOf(
  deps: Pick<Deps, 'clock' | 'jobs'>,
  tx: Db,
  userId: string,
  { owned }: { owned: boolean },
): Promise<number> {
  const ended = await finishPersonalSessions(tx, userId, deps.clock.now(), owned)
  const others = ended.filter((row) => row.user_id !== userId && row.device_id !== null)
  for (const id of new Set(others.map((row) => row.user_id)))
    await deps.jobs.enqueue(tx, 'sync-devices', { user_id: id })
  return ended.length
}

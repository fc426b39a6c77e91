import {
  type AuthenticationMethod,
  type BrowserSessionRow,
  findBrowserSession,
  finishBrowserSession,
  insertBrowserSession,
  renameBrowserSession,
} from '../../sql/browser-sessions.ts'
import { finishCompatSession, finishCompatSessionOf, renameCompatSession } from '../../sql/compat-sessions.ts'
import type { Db } from '../../sql/connect.ts'
import { deleteConsents } from '../../sql/consents.ts'
import { finishAppsOf, finishClientSessions } from '../../sql/logout.ts'
import {
  finishOAuthSession,
  finishOAuthSessionOf,
  finishOAuthSessionsOfClient,
  renameOAuthSession,
} from '../../sql/oauth-sessions.ts'
import { finishPersonalSessionOf, renamePersonalSession } from '../../sql/personal-sessions.ts'
import { findActiveSession, listActiveSessions, type SessionRow } from '../../sql/sessions.ts'
import type { Deps } from '../deps.ts'
import { type Browser, sessionHash } from '../http/browser.ts'
import { Unavailable } from '../http/errors.ts'
import type { Requester } from '../http/requester.ts'
import { base64url } from '../lib/base64url.ts'
import { addSeconds } from '../lib/clock.ts'
import { transact } from '../lib/transact.ts'
import { newId } from '../lib/ulid.ts'
import { HomeserverError } from '../matrix/homeserver/homeserver.ts'
import { termsOf } from '../policy/terms.ts'
import { announceLogout } from './logout-notices.ts'
import { recordSecurityEvent, type SecurityLogNeeds } from './security-log.ts'

/** The session that a browser's cookie stands for, and whether it may act. `terms`: once they are accepted. */
export type SessionState =
  | { state: 'none' }
  | { state: 'active'; session: BrowserSessionRow }
  | { state: 'ended' | 'locked' | 'deactivated' | 'terms'; session: BrowserSessionRow }

/** Seconds in which a form may come a second time, with the cookie that the first one changed. */
const SENT_TWICE = 10

/** Looks up the browser's session. An active one counts as seen now. */
export async function loadSession(
  deps: Pick<Deps, 'config' | 'sql' | 'clock' | 'activity'>,
  browser: Browser,
  requester: Requester,
): Promise<SessionState> {
  if (browser.sessionSecret === undefined) return { state: 'none' }
  const [session] = await findBrowserSession(
    deps.sql,
    sessionHash(browser.sessionSecret),
    termsOf(deps.config),
    addSeconds(deps.clock.now(), -SENT_TWICE),
  )
  if (!session) return { state: 'none' }
  if (session.deactivated_at) return { state: 'deactivated', session }
  if (session.locked_at) return { state: 'locked', session }
  if (session.finished_at) return { state: 'ended', session }
  deps.activity.record('browser', session.id, deps.clock.now(), requester.ip)
  return { state: session.owes_terms ? 'terms' : 'active', session }
}

/**
 * Begins a browser session for a user who proved by `method` who they are, and gives the secret for its cookie; `secret`
 * where one is made already.
 */
export async function startSession(
  deps: Pick<Deps, 'clock' | 'random'>,
  tx: Db,
  userId: string,
  requester: Requester,
  method: AuthenticationMethod,
  secret: string = base64url(deps.random.bytes(32)),
): Promise<{ id: string; secret: string }> {
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  await insertBrowserSession(tx, {
    id,
    userId,
    secretHash: sessionHash(secret),
    userAgent: requester.userAgent ?? null,
    ip: requester.ip ?? null,
    method,
    now,
  })
  return { id, secret }
}

/**
 * Ends one session of a person, of whichever kind; false when it was not theirs or had ended. The homeserver learns of
 * a vanished device through a job, and clients of a browser session that asked for it through another.
 */
export const endSession = (
  deps: Pick<Deps, 'sql' | 'clock' | 'jobs' | 'log'>,
  userId: string,
  sessionId: string,
  options: EndOptions = {},
): Promise<boolean> => transact(deps.sql, (tx) => endSessionIn(deps, tx, userId, sessionId, options))

interface EndOptions {
  /** With a browser end the apps that were signed in with it. */
  withApps?: boolean
}

/**
 * Ends several sessions of a person at once, as `endSession` does each; gives how many of them there were to end, not
 * counting apps that ended with a browser. Written into the security log.
 */
export const endSessions = (
  deps: EndNeeds,
  userId: string,
  sessionIds: readonly string[],
  requester: Requester,
  options: EndOptions = {},
): Promise<number> =>
  transact(deps.sql, async (tx) => {
    let ended = 0
    for (const id of sessionIds) if (await endSessionIn(deps, tx, userId, id, options)) ended++
    const kind = ended === 1 ? 'session_ended' : 'sessions_ended'
    if (ended > 0) await recordSecurityEvent(deps, tx, { userId, kind, requester })
    return ended
  })

/** What ending sessions at the wish of their owner needs. */
type EndNeeds = Pick<Deps, 'sql'> & SecurityLogNeeds

async function endSessionIn(
  deps: Pick<Deps, 'clock' | 'jobs' | 'log'>,
  tx: Db,
  userId: string,
  sessionId: string,
  { withApps = false }: EndOptions,
): Promise<boolean> {
  const now = deps.clock.now()
  const [browser] = await finishBrowserSession(tx, sessionId, userId, now)
  if (browser) await announceLogout(deps, tx, [sessionId])
  if (browser && withApps) await endAppsOf(deps, tx, userId, sessionId)
  const [app] = browser ? [] : await finishAppSessionOf(tx, sessionId, userId, now)
  if (app?.device_id) await deps.jobs.enqueue(tx, 'sync-devices', { user_id: userId })
  if (browser || app) deps.log.info('session.ended', { user_id: userId, session_id: sessionId })
  return browser !== undefined || app !== undefined
}

/**
 * Ends a browser session whose person signed out elsewhere, in the caller's transaction, and with `withApps` the apps
 * that were signed in with it, also when the browser itself had signed out before. False when nothing was left to end.
 */
export async function endBrowserIn(
  deps: Pick<Deps, 'clock' | 'jobs' | 'log'>,
  tx: Db,
  userId: string,
  sessionId: string,
  { withApps }: Required<EndOptions>,
): Promise<boolean> {
  const [browser] = await finishBrowserSession(tx, sessionId, userId, deps.clock.now())
  if (browser) {
    await announceLogout(deps, tx, [sessionId])
    deps.log.info('session.ended', { user_id: userId, session_id: sessionId })
  }
  const apps = withApps ? await endAppsOf(deps, tx, userId, sessionId) : 0
  return browser !== undefined || apps > 0
}

/** Ends the apps that were signed in with a browser; the homeserver learns of vanished devices through a job. Gives how many. */
async function endAppsOf(
  deps: Pick<Deps, 'clock' | 'jobs' | 'log'>,
  tx: Db,
  userId: string,
  browserSessionId: string,
): Promise<number> {
  const apps = await finishAppsOf(tx, browserSessionId, userId, deps.clock.now())
  if (apps.some((app) => app.device_id !== null))
    await deps.jobs.enqueue(tx, 'sync-devices', { user_id: userId })
  if (apps.length > 0)
    deps.log.info('session.apps_ended', {
      user_id: userId,
      session_id: browserSessionId,
      apps: apps.length,
    })
  return apps.length
}

/** Ends the session of an app of whichever kind, or of a personal token, if it is this person's. */
async function finishAppSessionOf(tx: Db, sessionId: string, userId: string, now: Date) {
  for (const finish of [finishOAuthSessionOf, finishCompatSessionOf, finishPersonalSessionOf]) {
    const ended = await finish(tx, sessionId, userId, now)
    if (ended.length > 0) return ended
  }
  return []
}

/** What ends together; tokens that somebody else made are for them to end, or for the person one by one. */
export const sortOf = ({ kind, is_own }: SessionRow): 'browser' | 'app' | 'token' | 'other' =>
  kind === 'personal' ? (is_own ? 'token' : 'other') : kind === 'browser' ? 'browser' : 'app'

/** Sessions that are ended in one transaction: more than a person has. */
const MOST = 10_000

/**
 * Ends the other sessions of a person: browsers, apps, tokens that the person made for themselves, or several of them.
 * Gives how many there were to end.
 */
export async function endOtherSessions(
  deps: EndNeeds,
  userId: string,
  exceptId: string,
  kinds: { browsers: boolean; apps: boolean; tokens: boolean },
  requester: Requester,
): Promise<number> {
  const rows = await listActiveSessions(deps.sql, userId, MOST)
  const others = rows.filter(
    (row) =>
      row.id !== exceptId &&
      { browser: kinds.browsers, app: kinds.apps, token: kinds.tokens, other: false }[sortOf(row)],
  )
  return endSessions(
    deps,
    userId,
    others.map(({ id }) => id),
    requester,
  )
}

/**
 * Takes an account out of the hands of a client: its sessions of the person end and what the person agreed to is
 * forgotten, so that it has to ask again. False when it had nothing.
 */
export const revokeApp = (
  deps: Pick<Deps, 'sql' | 'clock' | 'jobs' | 'log'>,
  userId: string,
  clientId: string,
): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    const ended = await finishOAuthSessionsOfClient(tx, userId, clientId, deps.clock.now())
    const forgotten = await deleteConsents(tx, userId, clientId)
    if (ended.some(({ device_id }) => device_id !== null))
      await deps.jobs.enqueue(tx, 'sync-devices', { user_id: userId })
    deps.log.info('app.revoked', { user_id: userId, client_id: clientId, sessions: ended.length })
    return ended.length > 0 || forgotten.length > 0
  })

const RENAMES = {
  browser: renameBrowserSession,
  oauth: renameOAuthSession,
  compat: renameCompatSession,
  personal: renamePersonalSession,
}
/** Milliseconds that the homeserver has for a new name of a device. */
const RENAME_TIMEOUT = 5000

/**
 * Gives a session of a person another name, here and for its device at the homeserver, if it has one. False when there
 * is no such session.
 *
 * @throws Unavailable when the homeserver does not take the name: then it stays as it was
 */
export async function renameSession(
  deps: Pick<Deps, 'sql' | 'homeserver' | 'log'>,
  user: { user_id: string; username: string },
  sessionId: string,
  name: string,
): Promise<boolean> {
  const [session] = await findActiveSession(deps.sql, sessionId, user.user_id)
  if (!session) return false
  if (session.device_id !== null)
    try {
      const options = { timeoutMs: RENAME_TIMEOUT }
      await deps.homeserver.updateDeviceDisplayName(user.username, session.device_id, name, options)
    } catch (error) {
      throw error instanceof HomeserverError ? new Unavailable('homeserver', { cause: error }) : error
    }
  const [renamed] = await RENAMES[session.kind](deps.sql, sessionId, user.user_id, name)
  return renamed !== undefined
}

/**
 * Ends a browser session because a client says that the person signed out there, and with it what that client has of
 * the session without a Matrix device. A device stays: its keys may be the only ones that read old messages, and a
 * Matrix client signs out by revoking its token (RFC 7009).
 */
export const endSessionFor = (
  deps: Pick<Deps, 'sql' | 'clock' | 'jobs' | 'log'>,
  userId: string,
  sessionId: string,
  clientId: string,
  { withApps = false }: EndOptions = {},
): Promise<void> =>
  transact(deps.sql, async (tx) => {
    const now = deps.clock.now()
    const [browser] = await finishBrowserSession(tx, sessionId, userId, now)
    if (browser) await announceLogout(deps, tx, [sessionId])
    if (browser && withApps) await endAppsOf(deps, tx, userId, sessionId)
    const apps = await finishClientSessions(tx, sessionId, clientId, now)
    deps.log.info('session.ended', {
      user_id: userId,
      session_id: sessionId,
      client_id: clientId,
      apps: apps.length,
    })
  })

/**
 * Ends the session of an app, whoever asks, in the caller's transaction; false when it had ended. The homeserver learns
 * of a vanished device through a job.
 */
export async function endAppSession(
  deps: Pick<Deps, 'clock' | 'jobs'>,
  tx: Db,
  sessionId: string,
): Promise<boolean> {
  const [ended] = await finishOAuthSession(tx, sessionId, deps.clock.now())
  if (ended?.user_id && ended.device_id)
    await deps.jobs.enqueue(tx, 'sync-devices', { user_id: ended.user_id })
  return ended !== undefined
}

/** Ends the session of a legacy client as `endAppSession` does; false when it had ended. */
export async function endCompatSession(
  deps: Pick<Deps, 'clock' | 'jobs'>,
  tx: Db,
  sessionId: string,
): Promise<boolean> {
  const [ended] = await finishCompatSession(tx, sessionId, deps.clock.now())
  if (ended?.device_id) await deps.jobs.enqueue(tx, 'sync-devices', { user_id: ended.user_id })
  return ended !== undefined
}

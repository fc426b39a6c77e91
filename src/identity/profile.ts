import { updateDisplayName } from '../../sql/provisioning.ts'
import { findUser, type UserRow } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { addSeconds } from '../lib/clock.ts'
import { transact } from '../lib/transact.ts'
import { ensureProvisioned, rethrow } from './devices.ts'
import { recordSecurityEvent, type SecurityEvent, type SecurityLogNeeds } from './security-log.ts'

type Needs = Pick<Deps, 'sql' | 'clock' | 'homeserver' | 'log'>
type By = Pick<SecurityEvent, 'actor' | 'requester'>

/** Bytes of a display name (reference 1.4); Synapse takes a little more. */
export const DISPLAY_NAME_LIMIT = 255

/** Seconds for which the homeserver lets somebody replace their cross-signing keys. */
const RESET_WINDOW = 10 * 60

/**
 * Sets the name that others see, or with null takes it away, at the homeserver and then here; false when there is no
 * active account of this id. The name is not empty and within `DISPLAY_NAME_LIMIT`. At once and not by a job: a later
 * run would undo what the person did meanwhile in a Matrix client.
 *
 * @throws Unavailable when the homeserver does not take it; nothing was changed then
 */
export async function setDisplayName(deps: Needs, userId: string, name: string | null): Promise<boolean> {
  const user = await activeUser(deps, userId)
  if (!user) return false
  await ensureProvisioned(deps, userId)
  const { homeserver } = deps
  const change =
    name === null
      ? homeserver.unsetDisplayName(user.username)
      : homeserver.setDisplayName(user.username, name)
  await change.catch(rethrow)
  const [stored] = await updateDisplayName(deps.sql, userId, name)
  deps.log.info('user.display_name_set', { user_id: userId })
  return stored !== undefined
}

/**
 * Lets somebody replace their cross-signing keys from a Matrix client without further proof; gives until when, undefined
 * when there is no active account of this id. Whoever calls this has made sure that it is the person (a fresh sign-in),
 * or an admin: with new keys one can read what others send from then on.
 *
 * @throws Unavailable
 */
export async function allowCrossSigningReset(
  deps: Needs & SecurityLogNeeds,
  userId: string,
  by: By,
): Promise<Date | undefined> {
  const user = await activeUser(deps, userId)
  if (!user) return undefined
  await ensureProvisioned(deps, userId)
  // From before the call: the homeserver counts from when it got it.
  const until = addSeconds(deps.clock.now(), RESET_WINDOW)
  await deps.homeserver.allowCrossSigningReset(user.username).catch(rethrow)
  await transact(deps.sql, (tx) =>
    recordSecurityEvent(deps, tx, { userId, kind: 'keys_reset_allowed', ...by }),
  )
  deps.log.info('user.cross_signing_reset_allowed', { user_id: userId, until: until.toISOString() })
  return until
}

async function activeUser(deps: Needs, userId: string): Promise<UserRow | undefined> {
  const [user] = await findUser(deps.sql, userId)
  return user?.deactivated_at === null ? user : undefined
}

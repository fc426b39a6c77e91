import { findUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import { setAdminRight } from './admin-right.ts'
import { addEmailUnproven } from './emails.ts'
import { setDisplayName } from './profile.ts'
import type { SecurityLogNeeds } from './security-log.ts'

/** What a provider or the directory says of a person, as far as it counts here. */
export interface Said {
  displayName?: string | undefined
  /** The operator trusts it to be theirs. */
  email?: string | undefined
  isAdmin?: boolean | undefined
}

/**
 * Takes over what is said of somebody who signs in. Nothing of it keeps anybody out: what does not work now works at the
 * next sign-in.
 */
export async function takeOver(
  deps: SecurityLogNeeds & Pick<Deps, 'sql' | 'urls' | 'homeserver'>,
  userId: string,
  { displayName, email, isAdmin }: Said,
): Promise<void> {
  if (displayName === undefined && email === undefined && isAdmin === undefined) return
  const [user] = await findUser(deps.sql, userId)
  if (!user) return
  try {
    if (displayName !== undefined && displayName !== user.display_name)
      await setDisplayName(deps, userId, displayName)
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    deps.log.warn('upstream.sync_failed', { user_id: userId, attribute: 'displayname', error })
  }
  // Another account's stays another account's.
  if (email !== undefined) await addEmailUnproven(deps, userId, email)
  if (isAdmin !== undefined && isAdmin !== user.is_admin) {
    await setAdminRight(deps, userId, isAdmin)
    deps.log.info('upstream.admin_synced', { user_id: ulidFromUuid(userId), is_admin: isAdmin })
  }
}

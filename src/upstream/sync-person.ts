import { findUser } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import { setAdminRight } from '../identity/admin-right.ts'
import { addEmailUnproven } from '../identity/emails.ts'
import { setDisplayName } from '../identity/profile.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import type { Arrival } from './arrival.ts'
import { holds, importClaims } from './claims.ts'

/**
 * What the provider says of somebody who signs in, taken over again: `sync_on_login`, `admin_if`. Nothing of it keeps
 * anybody out: what does not work now works at the next sign-in.
 */
export async function syncPerson(
  deps: Deps,
  { provider, way }: Pick<Arrival, 'provider' | 'way'>,
  userId: string,
): Promise<void> {
  const wanted = new Set(provider.sync_on_login)
  const claims = wanted.size > 0 ? importClaims(deps, provider, way.said) : {}
  const admin = holds(deps, provider, 'admin_if', way.said)
  if (wanted.size === 0 && admin === undefined) return
  const [user] = await findUser(deps.sql, userId)
  if (!user) return
  const { displayname, email } = 'missing' in claims ? {} : claims
  try {
    if (wanted.has('displayname') && displayname && displayname.value !== user.display_name)
      await setDisplayName(deps, userId, displayname.value)
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    deps.log.warn('upstream.sync_failed', { user_id: userId, attribute: 'displayname', error })
  }
  // Another account's stays another account's, and one that nobody proved is nobody's.
  if (wanted.has('email') && email && !email.unproven) await addEmailUnproven(deps, userId, email.value)
  if (admin !== undefined && admin !== user.is_admin) {
    await setAdminRight(deps, userId, admin)
    deps.log.info('upstream.admin_synced', { user_id: ulidFromUuid(userId), is_admin: admin })
  }
}

import type { Deps } from '../deps.ts'
import { takeOver } from '../identity/take-over.ts'
import type { Arrival } from './arrival.ts'
import { holds, importClaims } from './claims.ts'

/** What the provider says of somebody who signs in, taken over again: `sync_on_login`, `admin_if`. */
export function syncPerson(
  deps: Deps,
  { provider, way }: Pick<Arrival, 'provider' | 'way'>,
  userId: string,
): Promise<void> {
  const wanted = new Set(provider.sync_on_login)
  const claims = wanted.size > 0 ? importClaims(deps, provider, way.said) : {}
  const { displayname, email } = 'missing' in claims ? {} : claims
  return takeOver(deps, userId, {
    displayName: wanted.has('displayname') ? displayname?.value : undefined,
    // One that nobody proved is nobody's.
    email: wanted.has('email') && !email?.unproven ? email?.value : undefined,
    isAdmin: holds(deps, provider, 'admin_if', way.said),
  })
}

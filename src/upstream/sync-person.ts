import type { Deps } from '../deps.ts'
import { providerName } from '../identity/providers.ts'
import { askToProveEmail } from '../identity/said-email.ts'
import { takeOver } from '../identity/take-over.ts'
import type { Arrival } from './arrival.ts'
import { holds, importClaims } from './claims.ts'

/** What the provider says of somebody who signs in, taken over again: `sync_on_login`, `admin_if`. */
export async function syncPerson(
  deps: Deps,
  { provider, way, link, visit }: Pick<Arrival, 'provider' | 'way' | 'link' | 'visit'>,
  userId: string,
): Promise<void> {
  const wanted = new Set(provider.sync_on_login)
  const claims = wanted.size > 0 ? importClaims(deps, provider, way.said) : {}
  const { displayname, email } = 'missing' in claims ? {} : claims
  const said = wanted.has('email') ? email : undefined
  await takeOver(deps, userId, {
    displayName: wanted.has('displayname') ? displayname?.value : undefined,
    // One that nobody proved is nobody's.
    email: said?.unproven ? undefined : said?.value,
    isAdmin: holds(deps, provider, 'admin_if', way.said),
  })
  if (!said?.unproven) return
  const { lang, requester } = visit
  const claimant = { lang, requester, saidBy: providerName(provider) }
  await askToProveEmail(deps, { userId, linkId: link.id }, said.value, claimant)
}

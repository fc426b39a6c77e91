import { hasAnyConsent } from '../../../sql/consents.ts'
import type { Deps } from '../../deps.ts'
import { activeSession, type Visit } from '../../identity/visit.ts'
import { isLoopback } from '../redirect-uri.ts'

/**
 * Whether an error may lead to a client at once. Everybody can register a client, and an address of ours that leads to any
 * site is what a phishing mail needs (RFC 9700 section 4.11.2): so only
 *
 * - to a client that the operator wrote down or made,
 * - to an app of this device, which is no site,
 * - back to the site that the person comes from: they were there already,
 * - inside of a frame of another page, where nobody is led anywhere,
 * - for somebody who agreed to something of this client before.
 *
 * Anybody else is asked with a link. Answers that follow a click on a page of ours are not automatic.
 */
export async function mayReturnAtOnce(
  deps: Pick<Deps, 'sql'>,
  visit: Visit,
  client: { id: string; is_static: boolean },
  redirectUri: string,
): Promise<boolean> {
  if (client.is_static || !isSite(redirectUri)) return true
  const { headers } = visit.request
  if (['iframe', 'frame', 'fencedframe'].includes(headers.get('sec-fetch-dest') ?? '')) return true
  const home = new URL(redirectUri).origin
  if ([headers.get('origin'), headers.get('referer')].some((from) => originOf(from) === home)) return true
  const session = activeSession(visit)
  if (!session) return false
  const [consent] = await hasAnyConsent(deps.sql, session.user_id, client.id)
  return consent !== undefined
}

function isSite(redirectUri: string): boolean {
  const url = new URL(redirectUri)
  return /^https?:$/.test(url.protocol) && !isLoopback(url)
}

const originOf = (address: string | null): string | undefined =>
  address !== null && URL.canParse(address) ? new URL(address).origin : undefined

import { findGrant } from '../../sql/grants.ts'
import type { Deps } from '../deps.ts'
import { browserHash } from '../http/browser.ts'
import { PageError } from '../http/errors.ts'
import { formActionSource } from '../http/headers.ts'
import type { Visit } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { equalBytes } from '../lib/digest.ts'
import type { ClientSummary } from '../render/contexts.ts'

export type GrantWithClient = Awaited<ReturnType<typeof findGrant>>[number]

/** Seconds that a person has from the app to the consent: a sign-up may lie in between. */
const GRANT_LIFETIME = 3600

/**
 * The pending authorization request of a page, bound to the browser that began it (edge 8).
 *
 * @throws PageError when it is unknown, over, or another browser's
 */
export async function findPendingGrant(
  deps: Pick<Deps, 'sql' | 'clock'>,
  visit: Visit,
  id: string,
): Promise<GrantWithClient> {
  const [grant] = await findGrant(deps.sql, id)
  if (!grant || addSeconds(grant.created_at, GRANT_LIFETIME) <= deps.clock.now())
    throw new PageError('grant_not_found', 404)
  if (!equalBytes(grant.browser_hash, browserHash(visit.browser)))
    throw new PageError('grant_other_browser', 403)
  if (grant.fulfilled_at || grant.cancelled_at) throw new PageError('grant_not_pending', 409)
  return grant
}

/** What sign-in and sign-up pages know of the request that they lead to; nothing when there is none, or no longer. */
export async function describeGrant(
  deps: Pick<Deps, 'sql'>,
  visit: Visit,
  grantId: string | undefined,
): Promise<{
  client?: ClientSummary
  formAction: string[]
  images: (string | undefined)[]
  grant?: GrantWithClient
}> {
  const [grant] = grantId === undefined ? [] : await findGrant(deps.sql, grantId)
  if (!grant || !equalBytes(grant.browser_hash, browserHash(visit.browser)))
    return { formAction: [], images: [] }
  return {
    client: clientSummary(grant),
    // The browser follows our POST through the consent to the client (decision 1).
    formAction: [formActionSource(grant.redirect_uri)],
    images: [grant.client_metadata.logo_uri],
    grant,
  }
}

/** The client of a request as pages show it. */
export function clientSummary(grant: GrantWithClient): ClientSummary {
  const { client_name, client_uri, logo_uri } = grant.client_metadata
  const host = hostOf(client_uri)
  return {
    name: client_name ?? host ?? hostOf(grant.redirect_uri) ?? 'App',
    ...(host !== undefined && { host }),
    ...(logo_uri !== undefined && { logo_uri }),
  }
}

/** The host of a web address; undefined for anything else. */
export const hostOf = (uri: string | undefined): string | undefined =>
  uri !== undefined && /^https?:/.test(uri) && URL.canParse(uri) ? new URL(uri).host : undefined

import { findUpstreamLink, type UpstreamLinkRow } from '../../sql/upstream-links.ts'
import type { Deps } from '../deps.ts'
import { PageError } from '../http/errors.ts'
import { redirect } from '../http/reply.ts'
import { type Continuation, storedContinuation } from '../identity/continuation.ts'
import { type Provider, providerName } from '../identity/providers.ts'
import type { Visit } from '../identity/visit.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { type Flow, openFlow } from '../oauth/grant-context.ts'
import type { UpstreamIdentity } from '../render/contexts-upstream.ts'
import { findWay } from './way.ts'

/** An answer of a provider that this browser has not used yet. */
export interface Arrival {
  way: NonNullable<Awaited<ReturnType<typeof findWay>>>
  link: UpstreamLinkRow
  provider: Provider
  continuation: Continuation
  visit: Visit
  flow: Flow
}

/** @throws PageError when there is none: used, too old, another browser's, or the provider is gone */
export async function openArrival(deps: Deps, came: Visit, ulid: string): Promise<Arrival> {
  const id = uuidFromUlid(ulid)
  const way = id === undefined ? undefined : await findWay(deps, came, id)
  const provider = way && deps.upstream.provider(ulidFromUuid(way.provider_id))
  const [link] = way && id !== undefined ? await findUpstreamLink(deps.sql, id) : []
  if (!way || !provider || !link) throw new PageError('upstream_gone', 404)
  const continuation = storedContinuation(way.continuation)
  const flow = await openFlow(deps, came, continuation)
  return { way, link, provider, continuation, flow, visit: flow.visit }
}

/** What pages call the identity. */
export const identityOf = ({ provider, link }: Pick<Arrival, 'provider' | 'link'>): UpstreamIdentity => ({
  provider: providerName(provider),
  ...(link.human_account_name !== null && { account: link.human_account_name }),
})

/** The last page before the way goes on where it began. */
export const goOn = (
  deps: Pick<Deps, 'urls'>,
  { visit, continuation }: Arrival,
  cookies: string[],
): Response => redirect(deps.urls.path(continuation.path), [...visit.browser.cookies, ...cookies])

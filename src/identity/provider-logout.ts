import { findSealedIdToken } from '../../sql/upstream-sessions.ts'
import type { Deps } from '../deps.ts'
import { ulidFromUuid } from '../lib/ulid.ts'

const contextOf = (wayId: string): string => `upstream-id-token:${wayId}`

/** The ID token of a way to a provider, as its row keeps it: what proves there who is to be signed out. */
export const sealIdToken = (deps: Pick<Deps, 'secrets'>, wayId: string, idToken: string): Promise<string> =>
  deps.secrets.seal(idToken, contextOf(wayId))

/**
 * Where a browser is sent to be signed out at the provider too (OpenID Connect RP-Initiated Logout 1.0), if the provider
 * of its session can do that and the operator wants it. A provider that is down keeps nobody signed in here.
 */
export async function providerLogout(
  deps: Pick<Deps, 'sql' | 'secrets' | 'urls' | 'upstream' | 'log'>,
  browserSessionId: string,
): Promise<string | undefined> {
  const [way] = await findSealedIdToken(deps.sql, browserSessionId)
  const provider = way && deps.upstream.provider(ulidFromUuid(way.provider_id))
  if (!way || !provider?.rp_initiated_logout) return undefined
  try {
    const { endSessionEndpoint } = await deps.upstream.metadata.of(provider)
    const idToken = await deps.secrets.open(way.sealed_id_token, contextOf(way.id))
    if (!endSessionEndpoint || idToken === undefined) return undefined
    const url = new URL(endSessionEndpoint)
    url.searchParams.set('id_token_hint', idToken)
    url.searchParams.set('client_id', provider.client_id)
    url.searchParams.set('post_logout_redirect_uri', deps.urls.base)
    return url.href
  } catch (error) {
    deps.log.warn('upstream.failed', { provider_id: provider.id, error })
    return undefined
  }
}

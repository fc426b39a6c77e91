import type { Deps } from '../deps.ts'
import { discoveryCors } from '../http/cors.ts'
import { publicJson } from '../http/reply.ts'
import type { Route } from '../http/route.ts'

/**
 * GET /.well-known/matrix/client for a deployment domain that has no other web server (decision 26): where the
 * homeserver is, and who signs people in. `extra` is merged in, for rtc_foci and the like.
 */
export function wellKnownRoutes(
  deps: Pick<Deps, 'urls' | 'config'>,
  resource: { homeserver_base_url?: string | undefined; extra?: Record<string, unknown> | undefined },
): Route[] {
  const homeserver = resource.homeserver_base_url ?? deps.config.matrix.endpoint
  const document = {
    ...resource.extra,
    'm.homeserver': { base_url: homeserver?.replace(/\/+$/, '') ?? '' },
    'org.matrix.msc2965.authentication': {
      issuer: deps.urls.issuer,
      account: deps.urls.absolute('/account/'),
    },
  }
  return [
    {
      method: 'GET',
      path: '/.well-known/matrix/client',
      cors: discoveryCors,
      handle: () => publicJson(document, 600),
    },
  ]
}

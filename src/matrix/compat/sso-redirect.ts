import { insertCompatLogin } from '../../../sql/compat-logins.ts'
import type { Deps } from '../../deps.ts'
import { PageError } from '../../http/errors.ts'
import { readPageQuery } from '../../http/params.ts'
import { redirect } from '../../http/reply.ts'
import type { PathParams, Route } from '../../http/route.ts'
import { parseSsoRedirect } from '../../identity/sso-redirect.ts'
import { newId, ulidFromUuid } from '../../lib/ulid.ts'
import { identityProviders } from './providers.ts'

/**
 * GET /_matrix/client/{version}/login/sso/redirect[/{idp}] (reference 9.3): stores where the client wants the person
 * back and sends the browser to our page. `action` says which of sign-in and sign-up the person chose in the client
 * (MSC3824), `idp` which provider; a provider that is not there is as good as none.
 *
 * @throws PageError
 */
async function beginSso(deps: Deps, request: Request, { idp }: PathParams): Promise<Response> {
  const query = readPageQuery(request)
  const target = parseSsoRedirect(query.redirectUrl)
  if (!target) throw new PageError('bad_request', 400, { code: 'redirectUrl' })
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  await insertCompatLogin(deps.sql, { id, redirectUri: target.href, now })
  const on = new URLSearchParams()
  const action = query.action ?? query['org.matrix.msc3824.action']
  if (action === 'login' || action === 'register') {
    on.set('action', action)
    on.set('org.matrix.msc3824.action', action)
  }
  if (identityProviders(deps.config).some((provider) => provider.id === idp))
    on.set('upstream_idp', idp ?? '')
  const page = `/complete-compat-sso/${ulidFromUuid(id)}${on.size > 0 ? `?${on}` : ''}`
  // Absolute: this path may be served under the name of the homeserver, where our pages are not.
  return redirect(deps.urls.absolute(page))
}

const PATH = '/_matrix/client/{version}/login/sso/redirect'

export const compatSsoRoutes = (deps: Deps): Route[] =>
  [PATH, `${PATH}/`, `${PATH}/{idp}`].map((path) => ({
    method: 'GET',
    path,
    handle: (request, params) => beginSso(deps, request, params),
  }))

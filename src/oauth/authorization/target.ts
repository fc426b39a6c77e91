import type { ClientRow } from '../../../sql/clients.ts'
import { PageError, type RedirectTarget } from '../../http/errors.ts'
import type { Params } from '../../http/params.ts'
import { isExactRedirect, isFapi2 } from '../fapi2.ts'
import { hasReadableQuery, isRegistered } from '../redirect-uri.ts'
import { wantsTokens } from './response-type.ts'

const MODES = ['query', 'fragment', 'form_post'] as const

/**
 * Where the answer of an authorization request goes (reference sections 3.2, 3.3 and 3.7).
 *
 * @throws PageError: nothing may be sent to an address that is not the client's
 */
export function redirectTarget(
  client: Pick<ClientRow, 'redirect_uris' | 'is_static' | 'metadata'>,
  params: Params,
): RedirectTarget {
  const [only, ...others] = client.redirect_uris
  const redirectUri = params.redirect_uri ?? (others.length === 0 ? only : undefined)
  const isRegisteredFor = isFapi2(client) ? isExactRedirect : isRegistered
  if (
    redirectUri === undefined ||
    redirectUri.includes('#') ||
    !hasReadableQuery(redirectUri) ||
    !isRegisteredFor(client.redirect_uris, redirectUri)
  )
    throw new PageError('bad_redirect_uri', 400, { code: 'redirect_uri' })
  const tokens = wantsTokens(params)
  const asked = params.response_mode ?? (tokens ? 'fragment' : 'query')
  const responseMode = MODES.find((mode) => mode === asked)
  if (!responseMode || (tokens && responseMode === 'query'))
    throw new PageError('bad_request', 400, { code: 'response_mode' })
  return { redirectUri: new URL(redirectUri).href, responseMode, state: params.state }
}

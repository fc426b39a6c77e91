import type { Deps } from '../deps.ts'
import { answerAddress, answerPairs } from './answer-address.ts'
import type { RedirectTarget } from './errors.ts'
import { plainPage } from './page-response.ts'
import { redirect } from './reply.ts'

/**
 * Delivers an authorization response to the client (reference 3.3, RFC 9207): `state`, the result, `iss`. In
 * query mode the fragment is emptied, so that the browser does not carry over the one of the page before.
 */
export function authorizationResponse(
  deps: Deps,
  request: Request,
  target: RedirectTarget,
  result: Readonly<Record<string, string>>,
  { cookies = [], lang }: { cookies?: string[]; lang?: string } = {},
): Response {
  const pairs = answerPairs(deps.urls, target, result)
  if (target.responseMode === 'form_post') {
    const context = { redirect_uri: target.redirectUri, params: pairs }
    return plainPage(deps, request, 'form_post', context, {
      formAction: false,
      keepsOpener: true,
      cookies,
      ...(lang !== undefined && { lang }),
    })
  }
  const address = answerAddress(target, pairs)
  return redirect(target.responseMode === 'fragment' ? address : `${address}#`, cookies)
}

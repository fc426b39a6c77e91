import { OAuthError } from '../http/errors.ts'
import type { Params } from '../http/params.ts'

/**
 * RFC 8707 section 2: each `resource` (there may be several) must be an absolute URI without a fragment. Beyond that the
 * parameter is ignored: every token is for this service and its homeserver, nobody else can ask what it stands for.
 *
 * @throws OAuthError invalid_target
 */
export function checkResources({ resource }: Params): void {
  if (resource === undefined) return
  for (const uri of resource.split(' '))
    if (!URL.canParse(uri) || uri.includes('#')) throw new OAuthError('invalid_target')
}

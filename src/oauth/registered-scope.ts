import type { ClientRow } from '../../sql/clients.ts'
import { OAuthError } from '../http/errors.ts'
import { deviceOfScope, isApiScope, parseScope } from '../lib/scope.ts'

/**
 * Whether a scope is among those that a client registered (RFC 7591 section 2, `scope`), if it registered any: one that
 * did not may ask for whatever the policy lets people grant. The Matrix API has two spellings, and a device belongs to it:
 * its id is another one at each sign-in, so nobody can register it.
 */
export function isRegisteredScope({ metadata }: Pick<ClientRow, 'metadata'>, scope: string): boolean {
  const registered = typeof metadata.scope === 'string' ? parseScope(metadata.scope) : undefined
  if (!registered) return true
  const isMatrix = isApiScope(scope) || deviceOfScope(scope) !== undefined
  return isMatrix ? registered.some(isApiScope) : registered.includes(scope)
}

/**
 * The scopes that a client asks for with the parameter `scope` (RFC 6749 section 3.3); none without it.
 *
 * @throws OAuthError invalid_scope for a malformed one, and for more than the client registered
 */
export function askedScope(client: Pick<ClientRow, 'metadata'>, text: string | undefined): string[] {
  const scope = text === undefined ? [] : parseScope(text)
  if (!scope) throw invalid('The parameter scope is malformed.')
  const more = scope.find((one) => !isRegisteredScope(client, one))
  if (more !== undefined) throw invalid(`The client did not register the scope ${more.slice(0, 200)}.`)
  return scope
}

const invalid = (description: string) => new OAuthError('invalid_scope', { description })

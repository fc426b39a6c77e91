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

/** @throws OAuthError invalid_scope for a client that asks for more than it registered */
export function checkRegisteredScope(client: Pick<ClientRow, 'metadata'>, scope: readonly string[]): void {
  const more = scope.find((one) => !isRegisteredScope(client, one))
  if (more !== undefined)
    throw new OAuthError('invalid_scope', {
      description: `The client did not register the scope ${more.slice(0, 200)}.`,
    })
}

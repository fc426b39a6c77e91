import type { Requester } from '../http/requester.ts'
import { deviceOfScope, isApiScope } from '../lib/scope.ts'
import type { PolicyConfig } from './constraints.ts'
import { checkGrantPolicy, type GrantViolation } from './grant.ts'

/** Who asks for a personal token: the person it acts as, or an administrator (the admin API, a command). */
export type TokenMaker = 'self' | 'admin'

/** A Matrix device id that fits into a scope (RFC 6749 section 3.3) and into every homeserver's table. */
const ANY_DEVICE_ID = /^[\x21\x23-\x5b\x5d-\x7e]{1,255}$/

/**
 * The policy for a personal token; empty means: allowed. A person grants no more than an app of theirs could get. An
 * administrator decides about scopes alone, as in MAS (reference section 6), so here are only the rules without which
 * the homeserver could not use the token.
 */
export function checkPersonalTokenPolicy(
  config: PolicyConfig,
  token: { scope: readonly string[]; actor: { username: string; is_admin: boolean }; maker: TokenMaker },
  requester: Requester,
): GrantViolation[] {
  if (token.maker === 'self')
    return checkGrantPolicy(config, { scope: token.scope, user: token.actor }, requester)
  const violations: GrantViolation[] = []
  const refuse = (message: string) => violations.push({ code: 'scope-combination', message })
  const devices = new Set(token.scope.map(deviceOfScope).filter((device) => device !== undefined))
  if (devices.size > 1) refuse('Only one device may be asked for.')
  if (devices.size > 0 && !token.scope.some(isApiScope)) refuse('A device needs the Matrix API scope.')
  for (const device of devices)
    if (!ANY_DEVICE_ID.test(device)) refuse('The id of the device cannot be used.')
  return violations
}

import { deviceOfScope, isApiScope } from '../lib/scope.ts'
import type { Violation } from './violation.ts'

/** Who asks for a personal token: the person it acts as, or an administrator (the admin API, a command). */
export type TokenMaker = 'self' | 'admin'

/** A Matrix device id that fits into a scope (RFC 6749 section 3.3) and into every homeserver's table. */
const ANY_DEVICE_ID = /^[\x21\x23-\x5b\x5d-\x7e]{1,255}$/

/**
 * The policy for a personal token that an administrator makes, who decides about scopes alone, as in MAS (reference
 * section 6): only the rules without which the homeserver could not use it. One that a person makes is a grant.
 */
export function checkAdminTokenPolicy(scope: readonly string[]): Violation[] {
  const violations: Violation[] = []
  const refuse = (msg: string) => violations.push({ code: 'scope-combination', msg })
  const devices = new Set(scope.map(deviceOfScope).filter((device) => device !== undefined))
  if (devices.size > 1) refuse('Only one device may be asked for.')
  if (devices.size > 0 && !scope.some(isApiScope)) refuse('A device needs the Matrix API scope.')
  for (const device of devices)
    if (!ANY_DEVICE_ID.test(device)) refuse('The id of the device cannot be used.')
  return violations
}

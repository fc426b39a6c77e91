import type { UsernameViolation } from '../../policy/register.ts'
import type { FieldError, UsernameStatus } from '../../render/contexts.ts'

type Reason = 'taken' | UsernameViolation

/** What the sign-up form says about a name that cannot be had. */
export function usernameError(reason: Reason, serverName: string): FieldError {
  if (reason === 'too_short') return { code: 'too_short', args: { min: 1 } }
  // The whole Matrix id counts: `@`, the name, `:`, the server.
  if (reason === 'too_long') return { code: 'too_long', args: { max: 253 - serverName.length } }
  if (reason === 'requester_banned') return { code: 'not_allowed' }
  return { code: reason }
}

/** The same for the live check. */
export function usernameStatus(reason: Reason): UsernameStatus {
  switch (reason) {
    case 'taken':
    case 'too_short':
    case 'too_long':
    case 'invalid':
      return reason
    case 'banned':
    case 'not_allowed':
    case 'requester_banned':
      return 'reserved'
    case 'all_numeric':
      return 'invalid'
  }
}

import type { FieldError, UsernameStatus } from '../render/contexts.ts'
import type { UsernameAnswer, UsernameProblem } from './usernames.ts'

/** What the sign-up form says about a name that cannot be had. */
export function usernameError(
  { reason, message }: Exclude<UsernameAnswer, { available: true }>,
  serverName: string,
): FieldError {
  switch (reason) {
    case 'too_short':
      return { code: 'too_short', args: { min: 1 } }
    // The whole Matrix id counts: `@`, the name, `:`, the server.
    case 'too_long':
      return { code: 'too_long', args: { max: 253 - serverName.length } }
    case 'requester_banned':
      return { code: 'not_allowed' }
    case 'refused':
    case 'email':
      return { code: 'not_allowed', ...(message !== undefined && { message }) }
    default:
      return { code: reason }
  }
}

/** The same for the live check. */
export function usernameStatus(reason: UsernameProblem): UsernameStatus {
  switch (reason) {
    case 'taken':
    case 'too_short':
    case 'too_long':
    case 'invalid':
      return reason
    case 'banned':
    case 'not_allowed':
    case 'requester_banned':
    case 'refused':
    case 'email':
      return 'reserved'
    case 'all_numeric':
      return 'invalid'
  }
}

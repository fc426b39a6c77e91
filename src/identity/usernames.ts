import { findUserByName } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import type { Requester } from '../http/requester.ts'
import { fold } from '../lib/fold.ts'
import type { RegisterInput } from '../policy/register.ts'
import type { Violation } from '../policy/violation.ts'

/** Why a name cannot be had. `refused`: a rule of the operator's own, whose `message` says why. */
export type UsernameProblem =
  | 'taken'
  | 'too_short'
  | 'too_long'
  | 'invalid'
  | 'all_numeric'
  | 'banned'
  | 'not_allowed'
  | 'requester_banned'
  | 'refused'

/** Whether somebody may register a name, and why not. */
export type UsernameAnswer =
  | { available: true }
  | { available: false; reason: UsernameProblem; message?: string }

const PROBLEMS: Readonly<Record<string, UsernameProblem>> = {
  'username-too-short': 'too_short',
  'username-too-long': 'too_long',
  'username-invalid-chars': 'invalid',
  'username-all-numeric': 'all_numeric',
  'username-banned': 'banned',
  'username-not-allowed': 'not_allowed',
  'requester-banned': 'requester_banned',
}

/** A violation as an answer about the name. */
function problemOf({ code = '', msg }: Violation): UsernameAnswer {
  const reason = Object.hasOwn(PROBLEMS, code) ? PROBLEMS[code] : undefined
  return reason ? { available: false, reason } : { available: false, reason: 'refused', message: msg }
}

/**
 * Whether a name may be registered: the policy of reference operations 6.3, then our own accounts, then the homeserver,
 * which also knows the namespaces of application services. What the policy says of an address is not looked at here.
 *
 * @throws Unavailable when the homeserver cannot be asked
 */
export async function checkUsername(
  deps: Pick<Deps, 'policy' | 'sql' | 'homeserver'>,
  username: string,
  requester: Requester,
  method: RegisterInput['method'] = 'password',
): Promise<UsernameAnswer> {
  const [violation] = await deps.policy.register({ username, method }, requester)
  if (violation) return problemOf(violation)
  const [user] = await findUserByName(deps.sql, username, fold(username))
  if (user) return { available: false, reason: 'taken' }
  try {
    return (await deps.homeserver.isLocalpartAvailable(username))
      ? { available: true }
      : { available: false, reason: 'taken' }
  } catch (cause) {
    throw new Unavailable('homeserver', { cause })
  }
}

/** The localpart that a person means: `@name:this.server` and `name` are the same; another server's id stays as is. */
export function localpartOf(input: string, serverName: string): string {
  const trimmed = input.trim()
  const suffix = `:${serverName}`
  return trimmed.startsWith('@') && trimmed.toLowerCase().endsWith(suffix.toLowerCase())
    ? trimmed.slice(1, -suffix.length)
    : trimmed
}

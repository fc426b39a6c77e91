import { findUserByName } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import type { Requester } from '../http/requester.ts'
import { fold } from '../lib/fold.ts'
import type { RegisterInput } from '../policy/register.ts'
import type { Violation } from '../policy/violation.ts'

/**
 * Why a name cannot be had. `refused`: a rule of the operator's own, whose `message` says why; `email`: the same, about
 * the address.
 */
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
  | 'email'

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
 * which also knows the namespaces of application services. Rules of an operator's own may look at name and address
 * together; `nameOnly` leaves out what they say of the address, while it may still be typed in.
 *
 * @throws Unavailable when the homeserver cannot be asked
 */
export async function checkUsername(
  deps: Pick<Deps, 'policy' | 'sql' | 'homeserver'>,
  username: string,
  requester: Requester,
  { nameOnly = false, ...about }: Partial<Omit<RegisterInput, 'username'>> & { nameOnly?: boolean } = {},
): Promise<UsernameAnswer> {
  const violations = await deps.policy.register({ username, method: 'password', ...about }, requester)
  const aboutName = violations.find(({ field }) => field !== 'email')
  if (aboutName) return problemOf(aboutName)
  const [user] = await findUserByName(deps.sql, username, fold(username))
  if (user) return { available: false, reason: 'taken' }
  try {
    if (!(await deps.homeserver.isLocalpartAvailable(username))) return { available: false, reason: 'taken' }
  } catch (cause) {
    throw new Unavailable('homeserver', { cause })
  }
  const [aboutEmail] = nameOnly ? [] : violations
  return aboutEmail ? { available: false, reason: 'email', message: aboutEmail.msg } : { available: true }
}

/** The localpart that a person means: `@name:this.server` and `name` are the same; another server's id stays as is. */
export function localpartOf(input: string, serverName: string): string {
  const trimmed = input.trim()
  const suffix = `:${serverName}`
  return trimmed.startsWith('@') && trimmed.toLowerCase().endsWith(suffix.toLowerCase())
    ? trimmed.slice(1, -suffix.length)
    : trimmed
}

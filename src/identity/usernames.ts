import { findUserByName } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { Unavailable } from '../http/errors.ts'
import type { Requester } from '../http/requester.ts'
import { fold } from '../lib/fold.ts'
import { checkUsernamePolicy, type UsernameViolation } from '../policy/register.ts'

/** Whether somebody may register a name, and why not. */
export type UsernameAnswer = { available: true } | { available: false; reason: 'taken' | UsernameViolation }

/**
 * Whether a name may be registered: the policy of reference operations 6.3, then our own accounts, then the homeserver,
 * which also knows the namespaces of application services.
 *
 * @throws Unavailable when the homeserver cannot be asked
 */
export async function checkUsername(
  deps: Pick<Deps, 'config' | 'sql' | 'homeserver'>,
  username: string,
  requester: Requester,
): Promise<UsernameAnswer> {
  const [violation] = checkUsernamePolicy(deps.config, username, requester)
  if (violation) return { available: false, reason: violation }
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

import type { StoredPassword } from '../../crypto/passwords.ts'
import type { Deps } from '../../deps.ts'
import { Unavailable } from '../../http/errors.ts'
import { checkUsername, type UsernameAnswer } from '../../identity/usernames.ts'
import { CommandError } from '../context.ts'
import type { ChangeFlags } from './answer.ts'
import type { Identity } from './identities.ts'

/** Flags of `register-user`. */
export interface RegisterFlags extends ChangeFlags {
  admin?: boolean
  noAdmin?: boolean
  displayName?: string
  email?: readonly string[]
  passwordStdin?: boolean
  ignorePasswordComplexity?: boolean
  yes?: boolean
  password?: string
  upstreamProviderMapping?: readonly string[]
}

/** What an account is to be. */
export interface NewAccount {
  username: string
  displayName: string | null
  emails: string[]
  /** Who it is at providers: whoever signs in there gets into the account. */
  identities: Identity[]
  password: StoredPassword | undefined
  admin: boolean
  noAdmin: boolean
}

/** The policy, our own accounts and the homeserver, as at the registration page. @throws CommandError */
export async function requireAvailable(deps: Deps, username: string): Promise<void> {
  let answer: UsernameAnswer
  try {
    answer = await checkUsername(deps, username, { ip: undefined, userAgent: undefined })
  } catch (cause) {
    const reason =
      cause instanceof Unavailable && cause.cause instanceof Error ? ` (${cause.cause.message})` : ''
    throw new CommandError(
      `The homeserver at ${deps.config.matrix.endpoint} could not be asked whether ${username} is free${reason}; mend that, and try again.`,
      { cause },
    )
  }
  if (answer.available) return
  const sentences: Record<typeof answer.reason, string> = {
    taken: `The name ${username} is taken, here or on the homeserver.`,
    too_short: 'The username is empty.',
    too_long: `The name ${username} is too long: a full Matrix id has at most 255 characters.`,
    invalid: `The name ${username} can't be used: only a to z, 0 to 9 and the signs . = _ / + - are allowed.`,
    all_numeric: `The name ${username} can't be used: it needs something besides digits.`,
    banned: `The name ${username} is not allowed here (policy.data.registration.banned_usernames).`,
    not_allowed: `The name ${username} is not allowed here (policy.data.registration.allowed_usernames).`,
    requester_banned: 'The policy of this server bans requests without a user agent.',
    email: `The address is not allowed here: ${answer.message ?? ''}`,
    refused: `The name ${username} is not allowed here: ${answer.message ?? ''}`,
  }
  throw new CommandError(sentences[answer.reason])
}

import { findUser, setAdmin } from '../../../sql/users.ts'
import type { Deps } from '../../deps.ts'
import { Unavailable } from '../../http/errors.ts'
import { provisionUser } from '../../identity/devices.ts'
import { addEmail } from '../../identity/emails.ts'
import { createUser } from '../../identity/lifecycle.ts'
import { checkUsername, localpartOf, type UsernameAnswer } from '../../identity/usernames.ts'
import { transact } from '../../lib/transact.ts'
import { CommandError, type Context, say } from '../context.ts'
import { reasonOf } from '../explain.ts'
import type { ConfigOnly } from '../flags.ts'
import { requireEmail } from './emails.ts'
import { hashNewPassword, readNewPassword, refuseArgument } from './read-password.ts'
import { runJobs, withLatchkey } from './with-latchkey.ts'

interface RegisterFlags extends ConfigOnly {
  admin?: boolean
  noAdmin?: boolean
  displayName?: string
  email?: readonly string[]
  passwordStdin?: boolean
  ignorePasswordComplexity?: boolean
  yes?: boolean
  password?: string
  upstreamProviderMapping?: string
}

/** `latchkey manage register-user`. */
export default async function registerUser(
  this: Context,
  flags: RegisterFlags,
  input: string,
): Promise<void> {
  if (flags.password !== undefined)
    throw refuseArgument(`printf '%s' "$PASSWORD" | latchkey manage register-user ${input} --password-stdin`)
  if (flags.upstreamProviderMapping !== undefined)
    throw new CommandError(
      'Sign-in through other providers is not built yet; leave --upstream-provider-mapping out.',
    )
  if (flags.admin && flags.noAdmin) throw new CommandError('Choose one of --admin and --no-admin.')
  const emails = (flags.email ?? []).map(requireEmail)

  await withLatchkey(this, flags, async (deps) => {
    const username = localpartOf(input, deps.config.matrix.homeserver)
    await requireAvailable(deps, username)
    const password = flags.passwordStdin
      ? await hashNewPassword(deps, await readNewPassword(this), {
          personal: [username, flags.displayName ?? '', ...emails],
          ignoreComplexity: flags.ignorePasswordComplexity ?? false,
          overrule: '--ignore-password-complexity',
        })
      : undefined
    const created = await store(deps, { username, emails, password, flags })
    say(this, `Created ${created.isAdmin ? 'the admin ' : ''}@${username}:${deps.config.matrix.homeserver}.`)
    if (!password)
      say(this, `The account has no password yet; set one with: latchkey manage set-password ${username}`)
    await provision(this, deps, created.id)
  })
}

/** The policy, our own accounts and the homeserver, as at the registration page. @throws CommandError */
async function requireAvailable(deps: Deps, username: string): Promise<void> {
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

const store = (
  deps: Deps,
  account: {
    username: string
    emails: string[]
    password: { version: number; hash: string } | undefined
    flags: RegisterFlags
  },
): Promise<{ id: string; isAdmin: boolean }> =>
  transact(deps.sql, async (tx) => {
    const { username, emails, password, flags } = account
    const created = await createUser(deps, tx, {
      username,
      displayName: flags.displayName ?? null,
      password,
      isAdmin: flags.admin ?? false,
    })
    if (!created) throw new CommandError(`The name ${username} is taken.`)
    // The first account becomes an admin by itself, unless somebody says no.
    if (flags.noAdmin) await setAdmin(tx, created.id, false)
    for (const email of emails)
      if (!(await addEmail(deps, tx, created.id, email)))
        throw new CommandError(`The address ${email} belongs to another account; nothing was created.`)
    return { id: created.id, isAdmin: created.isAdmin && !flags.noAdmin }
  })

async function provision(context: Context, deps: Deps, userId: string): Promise<void> {
  try {
    await provisionUser(deps, userId)
  } catch (error) {
    say(
      context,
      `The homeserver could not be told yet (${reasonOf(error)}); Latchkey tells it as soon as it answers.`,
    )
    return
  }
  await runJobs(deps)
  const [user] = await findUser(deps.sql, userId)
  if (user?.provisioned_at && deps.config.matrix.kind !== 'standalone')
    say(context, 'The homeserver knows the account.')
}

import type { StoredPassword } from '../../crypto/passwords.ts'
import type { Deps } from '../../deps.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { CommandError, type Context, note } from '../context.ts'
import { requireEmail } from './emails.ts'
import { type Identity, mappingOf } from './identities.ts'
import { type NewAccount, type RegisterFlags, requireAvailable } from './new-account.ts'
import { ask, hashNewPassword, Interrupted, readNewPassword } from './read-password.ts'

/** Asks in a terminal for what the flags of `register-user` leave open; undefined when the person says no in the end. */
export async function askForAccount(
  context: Context,
  deps: Deps,
  given: { flags: RegisterFlags; input: string | undefined; emails: string[]; identities: Identity[] },
): Promise<NewAccount | undefined> {
  const { flags, identities } = given
  const line = (question: string) => ask(context, question, { hidden: false }).then((text) => text.trim())
  const username = await untilGood(context, given.input, async (typed) => {
    const name = localpartOf(typed ?? (await line('Username: ')), deps.config.matrix.homeserver)
    await requireAvailable(deps, name)
    return name
  })
  const displayName = flags.displayName ?? ((await line('Display name (empty for none): ')) || null)
  const emails =
    given.emails.length > 0
      ? given.emails
      : await untilGood(context, undefined, async () => {
          const typed = await line('Email address (empty for none): ')
          return typed === '' ? [] : [requireEmail(typed)]
        })
  const password = await untilGood(context, undefined, () =>
    askForPassword(context, deps, flags, [username, displayName ?? '', ...emails]),
  )
  const admin =
    flags.admin ?? (flags.noAdmin ? false : isYes(await line('Make the account an admin? [y/N] ')))
  note(
    context,
    [
      '',
      `  @${username}:${deps.config.matrix.homeserver}${admin ? ', an admin' : ''}`,
      `  Display name: ${displayName ?? '(none)'}`,
      `  Email:        ${emails.join(', ') || '(none)'}`,
      ...identities.map((identity) => `  Signs in with: ${mappingOf(identity)}`),
      `  Password:     ${password ? 'as typed' : '(none yet)'}`,
      '',
    ].join('\n'),
  )
  if (!isYes(await line('Create it? [y/N] '))) return undefined
  return {
    username,
    displayName,
    emails,
    identities,
    password,
    admin,
    noAdmin: !admin && flags.noAdmin === true,
  }
}

async function askForPassword(
  context: Context,
  deps: Deps,
  flags: RegisterFlags,
  personal: string[],
): Promise<StoredPassword | undefined> {
  if (!deps.passwords.enabled) return undefined
  note(context, 'A password, or nothing to set one later:')
  const typed = await readNewPassword(context)
  if (typed === '') return undefined
  return hashNewPassword(deps, typed, {
    personal,
    ignoreComplexity: flags.ignorePasswordComplexity ?? false,
    overrule: '--ignore-password-complexity',
  })
}

/** Asks again after what can be mended by typing something else; `first` is what was given on the command line. */
async function untilGood<T>(
  context: Context,
  first: string | undefined,
  attempt: (typed: string | undefined) => Promise<T>,
): Promise<T> {
  for (let typed = first; ; typed = undefined)
    try {
      return await attempt(typed)
    } catch (error) {
      if (error instanceof Interrupted || !(error instanceof CommandError)) throw error
      note(context, error.message)
    }
}

const isYes = (answer: string): boolean => /^y(es)?$/i.test(answer)

import { findUser, setAdmin } from '../../../sql/users.ts'
import type { Deps } from '../../deps.ts'
import { provisionUser } from '../../identity/devices.ts'
import { addEmail } from '../../identity/emails.ts'
import { createUser } from '../../identity/lifecycle.ts'
import { giveIdentity } from '../../identity/upstream.ts'
import { localpartOf } from '../../identity/usernames.ts'
import { transact } from '../../lib/transact.ts'
import { CommandError, type Context } from '../context.ts'
import { reasonOf } from '../explain.ts'
import { answer, userRecord } from './answer.ts'
import { askForAccount } from './ask-for-account.ts'
import { requireEmail } from './emails.ts'
import { findIdentities, type Identity, identityRecord, readMapping } from './identities.ts'
import { type NewAccount, type RegisterFlags, requireAvailable } from './new-account.ts'
import { hashNewPassword, readNewPassword, refuseArgument } from './read-password.ts'
import { runJobs, withLatchkey } from './with-latchkey.ts'

/** `latchkey manage register-user`: in a terminal it asks for what was not said, unless there is `--yes`. */
export default async function registerUser(
  this: Context,
  flags: RegisterFlags,
  input?: string,
): Promise<void> {
  if (flags.password !== undefined)
    throw refuseArgument(
      `printf '%s' "$PASSWORD" | latchkey manage register-user ${input ?? 'alice'} --password-stdin`,
    )
  if (flags.admin && flags.noAdmin) throw new CommandError('Choose one of --admin and --no-admin.')
  const emails = (flags.email ?? []).map(requireEmail)
  const mappings = (flags.upstreamProviderMapping ?? []).map(readMapping)
  const asks = this.stdin.isTTY === true && !flags.yes
  if (input === undefined && !asks)
    throw new CommandError('Name the account: latchkey manage register-user alice')

  await withLatchkey(this, flags, async (deps) => {
    const identities = await findIdentities(deps, mappings)
    const account = asks
      ? await askForAccount(this, deps, { flags, input, emails, identities })
      : await accountOf(this, deps, { flags, input: input ?? '', emails, identities })
    if (!account) throw new CommandError('Nothing was created.')
    const mxid = `@${account.username}:${deps.config.matrix.homeserver}`
    const identityRecords = account.identities.map(identityRecord)
    if (flags.dryRun) {
      const { password, noAdmin: _, ...rest } = account
      const would = `create ${account.admin ? 'the admin ' : ''}${mxid}`
      return answer(this, flags, `Would ${would}.`, {
        ...rest,
        identities: identityRecords,
        password: password !== undefined,
        dry_run: true,
        would,
      })
    }
    const created = await store(deps, account)
    const sentences = [`Created ${created.isAdmin ? 'the admin ' : ''}${mxid}.`]
    for (const { name, subject } of account.identities)
      sentences.push(`Whoever is ${subject} at ${name} signs in to it.`)
    if (!account.password && account.identities.length === 0)
      sentences.push(
        `The account has no password yet; set one with: latchkey manage set-password ${account.username}`,
      )
    sentences.push(...(await provision(deps, created.id)))
    const [user] = await findUser(deps.sql, created.id)
    if (!user) throw new Error('the account is gone')
    answer(this, flags, sentences.join('\n'), {
      ...userRecord(user),
      mxid,
      emails: account.emails,
      identities: identityRecords,
    })
  })
}

/** What the flags say. @throws CommandError */
async function accountOf(
  context: Context,
  deps: Deps,
  {
    flags,
    input,
    emails,
    identities,
  }: { flags: RegisterFlags; input: string; emails: string[]; identities: Identity[] },
): Promise<NewAccount> {
  const username = localpartOf(input, deps.config.matrix.homeserver)
  await requireAvailable(deps, username)
  const password = flags.passwordStdin
    ? await hashNewPassword(deps, await readNewPassword(context), {
        personal: [username, flags.displayName ?? '', ...emails],
        ignoreComplexity: flags.ignorePasswordComplexity ?? false,
        overrule: '--ignore-password-complexity',
      })
    : undefined
  const { displayName = null, admin = false, noAdmin = false } = flags
  return { username, displayName, emails, identities, password, admin, noAdmin }
}

const store = (deps: Deps, account: NewAccount): Promise<{ id: string; isAdmin: boolean }> =>
  transact(deps.sql, async (tx) => {
    const { username, displayName, emails, identities, password, admin, noAdmin } = account
    const created = await createUser(deps, tx, { username, displayName, password, isAdmin: admin })
    if (!created) throw new CommandError(`The name ${username} is taken.`)
    // The first account becomes an admin by itself, unless somebody says no.
    if (noAdmin) await setAdmin(tx, created.id, false)
    for (const email of emails)
      if (!(await addEmail(deps, tx, created.id, email)))
        throw new CommandError(`The address ${email} belongs to another account; nothing was created.`)
    for (const { providerId, subject, name } of identities)
      if (!(await giveIdentity(deps, tx, { providerId, subject, userId: created.id, accountName: null })))
        throw new CommandError(`${subject} at ${name} leads to another account; nothing was created.`)
    return { id: created.id, isAdmin: created.isAdmin && !noAdmin }
  })

/** Tells the homeserver; gives what to say of that. */
async function provision(deps: Deps, userId: string): Promise<string[]> {
  try {
    await provisionUser(deps, userId)
  } catch (error) {
    return [
      `The homeserver could not be told yet (${reasonOf(error)}); Latchkey tells it as soon as it answers.`,
    ]
  }
  await runJobs(deps)
  const [user] = await findUser(deps.sql, userId)
  return user?.provisioned_at && deps.config.matrix.kind !== 'standalone'
    ? ['The homeserver knows the account.']
    : []
}

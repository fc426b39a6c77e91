import { foldEmail, parseEmail } from '../../identity/email-address.ts'
import { addEmailUnproven, listEmailAddresses, removeEmail } from '../../identity/emails.ts'
import { CommandError, type Context, note } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { type ChangeFlags, changeAccount } from './answer.ts'
import { requireUser, withLatchkey } from './with-latchkey.ts'

/** The address of an argument. @throws CommandError */
export function requireEmail(input: string): string {
  const address = parseEmail(input)
  if (address === undefined) throw new CommandError(`${input.trim()} is not an email address.`)
  return address
}

/** `latchkey manage add-email`: nobody is asked for a code. An address that the account has already is no failure. */
export async function addAddress(
  this: Context,
  flags: ChangeFlags,
  username: string,
  input: string,
): Promise<void> {
  const email = requireEmail(input)
  await changeAccount(this, flags, username, async (deps, user) => {
    if (user.deactivated_at) throw new CommandError(`${user.username} is deactivated; nothing was changed.`)
    const own = await listEmailAddresses(deps, user.id)
    const known = own.some((row) => foldEmail(row.email) === foldEmail(email))
    return {
      would: known
        ? `do nothing: ${user.username} has ${email}`
        : `give ${user.username} the address ${email}`,
      async make() {
        if (!known && !(await addEmailUnproven(deps, user.id, email)))
          throw new CommandError(`The address ${email} belongs to another account; nothing was changed.`)
        return `${user.username} has the address ${email}.`
      },
    }
  })
}

/** `latchkey manage remove-email`. */
export async function removeAddress(
  this: Context,
  flags: ChangeFlags,
  username: string,
  input: string,
): Promise<void> {
  await changeAccount(this, flags, username, async (deps, user) => {
    const email = input.trim()
    const row = (await listEmailAddresses(deps, user.id)).find((one) => one.email === email)
    if (!row) throw new CommandError(`${user.username} has no address ${email}.`)
    return {
      would: `take the address ${email} from ${user.username}`,
      async make() {
        await removeEmail(deps, user.id, row.id, { keepLast: false, actor: 'admin' })
        return `${user.username} no longer has the address ${email}.`
      },
    }
  })
}

/** `latchkey manage verify-email`: in MAS too it does nothing, as every address of an account was proven. */
export async function verifyEmail(
  this: Context,
  flags: ConfigOnly,
  username: string,
  input: string,
): Promise<void> {
  const email = requireEmail(input)
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const own = await listEmailAddresses(deps, user.id)
    const known = own.some((row) => foldEmail(row.email) === foldEmail(email))
    note(
      this,
      known
        ? `Addresses of accounts count as verified; there was nothing to do.`
        : `${user.username} has no address ${email}; add it with: latchkey manage add-email ${user.username} ${email}`,
    )
  })
}

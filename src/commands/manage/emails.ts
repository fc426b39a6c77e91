import { parseEmail } from '../../identity/email-address.ts'
import { addEmailUnproven, listEmailAddresses, removeEmail } from '../../identity/emails.ts'
import { CommandError, type Context, say } from '../context.ts'
import type { ConfigOnly } from '../flags.ts'
import { requireUser, runJobs, withLatchkey } from './with-latchkey.ts'

/** The address of an argument. @throws CommandError */
export function requireEmail(input: string): string {
  const address = parseEmail(input)
  if (address === undefined) throw new CommandError(`${input.trim()} is not an email address.`)
  return address
}

/** `latchkey manage add-email`: nobody is asked for a code. */
export async function addAddress(
  this: Context,
  flags: ConfigOnly,
  username: string,
  input: string,
): Promise<void> {
  const email = requireEmail(input)
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    if (user.deactivated_at) throw new CommandError(`${user.username} is deactivated; nothing was changed.`)
    if (!(await addEmailUnproven(deps, user.id, email)))
      throw new CommandError(`The address ${email} belongs to an account already; nothing was changed.`)
    await runJobs(deps)
    say(this, `${user.username} has the address ${email}.`)
  })
}

/** `latchkey manage remove-email`. */
export async function removeAddress(
  this: Context,
  flags: ConfigOnly,
  username: string,
  input: string,
): Promise<void> {
  await withLatchkey(this, flags, async (deps) => {
    const user = await requireUser(deps, username)
    const email = input.trim()
    const row = (await listEmailAddresses(deps, user.id)).find((one) => one.email === email)
    if (!row) throw new CommandError(`${user.username} has no address ${email}.`)
    await removeEmail(deps, user.id, row.id, { keepLast: false, actor: 'admin' })
    await runJobs(deps)
    say(this, `${user.username} no longer has the address ${email}.`)
  })
}

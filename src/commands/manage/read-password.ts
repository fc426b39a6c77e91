import { PASSWORD_LIMIT, type StoredPassword } from '../../crypto/passwords.ts'
import { passwordStrength } from '../../crypto/strength.ts'
import type { Deps } from '../../deps.ts'
import { CommandError, type Context } from '../context.ts'
import { readAll } from '../read-all.ts'

/** The person wants no more questions. */
export class Interrupted extends CommandError {}

const interrupted = () => new Interrupted('Interrupted; nothing was changed.')

/** For whoever writes the password behind the command, as MAS takes it: other people see it there. */
export const refuseArgument = (instead: string): CommandError =>
  new CommandError(
    `A password on the command line can be seen by others on this machine and stays in the shell's history; give it on standard input (stdin) instead: ${instead}`,
  )

/** A new password: asked for twice in a terminal, else what standard input holds (one line break at its end is cut). */
export async function readNewPassword(context: Context): Promise<string> {
  if (!context.stdin.isTTY) return (await readAll(context)).replace(/\r?\n$/, '')
  const first = await ask(context, 'New password: ', { hidden: true })
  const second = await ask(context, 'The same again: ', { hidden: true })
  if (first !== second) throw new CommandError('The two passwords differ; nothing was changed.')
  return first
}

/** The password that somebody has: asked for in a terminal, else what standard input holds (one line break is cut). */
export const readPassword = async (context: Context): Promise<string> =>
  context.stdin.isTTY
    ? ask(context, 'Password: ', { hidden: true })
    : (await readAll(context)).replace(/\r?\n$/, '')

/** Checks a new password against the configured rules and hashes it. @throws CommandError */
export async function hashNewPassword(
  deps: Pick<Deps, 'config' | 'passwords'>,
  password: string,
  options: { personal: string[]; ignoreComplexity: boolean; overrule: string },
): Promise<StoredPassword> {
  if (!deps.passwords.enabled)
    throw new CommandError('Passwords are off on this server (passwords.enabled); nothing was changed.')
  if (password === '') throw new CommandError('The password is empty; nothing was changed.')
  if (password.length > PASSWORD_LIMIT)
    throw new CommandError(`The password has more than ${PASSWORD_LIMIT} characters; nothing was changed.`)
  if (!options.ignoreComplexity) {
    const strength = await passwordStrength(password, [...options.personal, deps.config.matrix.homeserver])
    if (strength.score < deps.passwords.minimumComplexity) {
      throw new CommandError(
        `The password is too easy to guess (${strength.score} of 4, and this server asks for ${deps.passwords.minimumComplexity}); choose a longer one, or add ${options.overrule}.`,
      )
    }
  }
  return deps.passwords.hash(password)
}

/** One line from the terminal; `hidden` does not show what is typed. */
export async function ask(
  context: Context,
  question: string,
  { hidden }: { hidden: boolean },
): Promise<string> {
  const { stdin } = context
  const { stderr } = context.process
  stderr.write(question)
  if (hidden) stdin.setRawMode(true)
  stdin.resume()
  const line = Promise.withResolvers<string>()
  let typed = ''
  const onData = (chunk: Uint8Array | string) => {
    for (const key of String(chunk)) {
      if (key === '\r' || key === '\n' || key === '\u0004') return line.resolve(typed)
      if (key === '\u0003') return line.reject(interrupted())
      typed = key === '\u007f' || key === '\b' ? [...typed].slice(0, -1).join('') : typed + key
    }
  }
  const onAbort = () => line.reject(interrupted())
  stdin.setEncoding('utf8').on('data', onData).on('end', onAbort)
  context.signal.addEventListener('abort', onAbort)
  try {
    return await line.promise
  } finally {
    stdin.off('data', onData).off('end', onAbort).pause()
    context.signal.removeEventListener('abort', onAbort)
    if (hidden) {
      stdin.setRawMode(false)
      stderr.write('\n')
    }
  }
}

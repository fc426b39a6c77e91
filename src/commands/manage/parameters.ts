import { flag, json, shared } from '../flags.ts'

/** Parameters of commands that change something. */
export const changing = { ...shared, dryRun: flag('Say what would be done, and do nothing'), json } as const

export const username = {
  brief: 'The username: alice, or @alice:example.org',
  parse: String,
  placeholder: 'username',
} as const
export const oneUser = { kind: 'tuple', parameters: [username] } as const

/** An optional flag that counts something, from 1 on. */
export const count = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: whole, brief, placeholder, optional: true }) as const

function whole(input: string): number {
  const number = Number(input)
  if (!/^\d+$/.test(input) || number < 1 || number > 10 ** 9)
    throw new SyntaxError(`${input} is not a number from 1 to 1,000,000,000`)
  return number
}

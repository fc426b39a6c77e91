import { configFlag } from '../flags.ts'

/** Parameters that commands of `latchkey manage` share. */
export const shared = { config: configFlag } as const
export const aliases = { c: 'config' } as const

/** An optional flag with a text. */
export const text = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: String, brief, placeholder, optional: true }) as const

/** An optional flag without a value. */
export const flag = (brief: string) =>
  ({ kind: 'boolean', brief, optional: true, withNegated: false }) as const

export const username = {
  brief: 'The username: alice, or @alice:example.org',
  parse: String,
  placeholder: 'username',
} as const
export const oneUser = { kind: 'tuple', parameters: [username] } as const

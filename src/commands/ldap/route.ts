import { buildCommand, buildRouteMap } from '@stricli/core'
import { aliases, json, shared } from '../flags.ts'

const username = {
  kind: 'tuple',
  parameters: [{ brief: 'What the person types at sign-in', parse: String, placeholder: 'username' }],
} as const

/** `latchkey ldap …`. */
export const ldapRoute = buildRouteMap({
  routes: {
    try: buildCommand({
      loader: () => import('./try.ts'),
      parameters: { flags: { ...shared, json }, aliases, positional: username },
      docs: {
        brief: 'Try a sign-in with the directory, and see what comes of it',
        fullDescription: `Asks for the password, or reads it from standard input, and asks the directory as a sign-in would. Prints what
the entry says, what the templates and expressions of the section ldap make of it, and whether an account would be
found or made. Changes nothing and needs no server that runs. Ends with 1 when the person would not get in.

Examples: latchkey ldap try anna
          printf '%s' "$PASSWORD" | latchkey ldap try anna --json`,
      },
    }),
    unlink: buildCommand({
      loader: () => import('./unlink.ts'),
      parameters: { flags: shared, aliases, positional: username },
      docs: {
        brief: 'Take the entry of the directory from an account',
        fullDescription: `The account stays, and can get a password of its own (latchkey manage set-password). Its entry is
nobody's then; whoever signs in with it is new.

Example: latchkey ldap unlink anna`,
      },
    }),
  },
  docs: { brief: 'Care for sign-in with a directory' },
})

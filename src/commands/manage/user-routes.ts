import { buildCommand } from '@stricli/core'
import { aliases, json, shared, text } from '../flags.ts'
import { oneUser } from './parameters.ts'

/** The commands of `latchkey manage` that look at accounts. */
export const userRoutes = {
  listUsers: buildCommand({
    loader: () => import('./users.ts').then((module) => module.listAccounts),
    parameters: {
      flags: {
        ...shared,
        search: text('Part of the username; one or two letters: its beginning', 'text'),
        status: {
          kind: 'enum',
          values: ['active', 'locked', 'deactivated'],
          brief: 'Only those in this state',
          optional: true,
        },
        json: { ...json, brief: 'Print one JSON object a line, for scripts' },
      },
      aliases,
    },
    docs: {
      brief: 'List accounts, one a line, in the order in which they were made',
      fullDescription: `Each line has, between tabs: id, username, when it was made, its state.

Example: latchkey manage list-users --status locked`,
    },
  }),
  showUser: buildCommand({
    loader: () => import('./users.ts').then((module) => module.showUser),
    parameters: { flags: { ...shared, json }, aliases, positional: oneUser },
    docs: {
      brief: 'Show an account: its state, addresses and sessions',
      fullDescription: 'Example: latchkey manage show-user alice --json',
    },
  }),
}

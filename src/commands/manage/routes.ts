import { buildCommand, buildRouteMap } from '@stricli/core'
import { aliases, flag, json, shared, text } from '../flags.ts'
import { approvalRoutes } from './approval-routes.ts'
import { homeserverRoutes } from './homeserver-routes.ts'
import { jobRoutes } from './job-routes.ts'
import { mailRoutes } from './mail-routes.ts'
import { changing, oneUser, username } from './parameters.ts'
import { providerRoutes } from './provider-routes.ts'
import { registrationTokenRoutes } from './registration-token-routes.ts'
import { tokenRoutes } from './token-routes.ts'
import { userRoutes } from './user-routes.ts'

/** For commands that take a name and nothing else. */
const nameOnly = { flags: changing, aliases, positional: oneUser } as const
/** MAS takes the password here; we say why we do not. */
const passwordArgument = {
  brief: 'Not accepted: a password comes on standard input',
  parse: String,
  placeholder: 'password',
  optional: true,
} as const

/** `latchkey manage …`: care for accounts from the command line. They also work while the server runs. */
export const manageRoutes = buildRouteMap({
  routes: {
    registerUser: buildCommand({
      loader: () => import('./register-user.ts'),
      parameters: {
        flags: {
          ...changing,
          admin: flag('Make the account an admin'),
          noAdmin: flag('Do not make it an admin (the default)'),
          displayName: text('The name that others see', 'name'),
          email: {
            kind: 'parsed',
            parse: String,
            brief: 'An email address of the person; may stand several times',
            placeholder: 'address',
            optional: true,
            variadic: true,
          },
          passwordStdin: flag('Read the password from standard input'),
          ignorePasswordComplexity: flag('Accept a password that is easy to guess'),
          yes: flag('Ask nothing, also in a terminal'),
          password: { ...text('Not accepted: use --password-stdin', 'password'), hidden: true },
          upstreamProviderMapping: {
            kind: 'parsed',
            parse: String,
            brief: 'Who the person is at a provider: its id and their subject there; may stand several times',
            placeholder: 'id:subject',
            optional: true,
            variadic: true,
          },
        },
        aliases: {
          ...aliases,
          a: 'admin',
          A: 'noAdmin',
          d: 'displayName',
          e: 'email',
          p: 'password',
          y: 'yes',
          m: 'upstreamProviderMapping',
        },
        positional: { kind: 'tuple', parameters: [{ ...username, optional: true }] },
      },
      docs: {
        brief: 'Create an account',
        fullDescription: `Creates an account, whether or not people may register themselves. Without a password the account can't sign in
until it gets one (latchkey manage set-password), unless an identity at a provider leads to it. In a terminal it asks for what is not said.

Examples: latchkey manage register-user
          printf '%s' "$PASSWORD" | latchkey manage register-user alice --admin --password-stdin
          latchkey manage register-user alice -y -m 01JDFX2V9S6QK3W4Z5Y7T8R9PA:5f2b6c`,
      },
    }),
    setPassword: buildCommand({
      loader: () => import('./set-password.ts'),
      parameters: {
        flags: {
          ...changing,
          ignoreComplexity: flag('Accept a password that is easy to guess'),
          killSessions: flag('End every session of the account with the old password'),
        },
        aliases,
        positional: { kind: 'tuple', parameters: [username, passwordArgument] },
      },
      docs: {
        brief: 'Give an account another password',
        customUsage: [
          '[--config file]... [--ignore-complexity] [--kill-sessions] [--dry-run] [--json] <username>',
        ],
        fullDescription: `Asks for the password in a terminal, else reads it from standard input. Sessions go on, unless --kill-sessions
ends them: browsers, apps and personal access tokens.

Examples: latchkey manage set-password alice
          printf '%s' "$PASSWORD" | latchkey manage set-password alice`,
      },
    }),
    lockUser: buildCommand({
      loader: () => import('./accounts.ts').then((module) => module.lockUser),
      parameters: {
        flags: { ...changing, deactivate: flag('Deactivate the account too, for good; its messages stay') },
        aliases,
        positional: oneUser,
      },
      docs: {
        brief: 'Lock an account: it can not sign in, and its sessions rest',
        fullDescription: 'Example: latchkey manage lock-user alice',
      },
    }),
    unlockUser: buildCommand({
      loader: () => import('./accounts.ts').then((module) => module.unlockUser),
      parameters: {
        flags: { ...changing, reactivate: flag('Bring back an account that was deactivated') },
        aliases,
        positional: oneUser,
      },
      docs: {
        brief: 'Unlock an account: its sessions go on',
        fullDescription: `A deactivated account comes back with --reactivate, without its password, addresses and sessions.

Example: latchkey manage unlock-user alice`,
      },
    }),
    deactivate: buildCommand({
      loader: () => import('./accounts.ts').then((module) => module.deactivateUser),
      parameters: {
        flags: {
          ...changing,
          erase: flag('Ask the homeserver to hide what the person wrote'),
          yes: flag('Do not ask'),
        },
        aliases: { ...aliases, y: 'yes' },
        positional: oneUser,
      },
      docs: {
        brief: 'Deactivate an account for good; its name stays taken',
        fullDescription: 'Example: latchkey manage deactivate alice --erase --yes',
      },
    }),
    deleteUser: buildCommand({
      loader: () => import('./delete-user.ts'),
      parameters: {
        flags: { ...changing, yes: flag('Do not ask') },
        aliases: { ...aliases, y: 'yes' },
        positional: oneUser,
      },
      docs: {
        brief: 'Delete a deactivated account with all that is stored about it; its name stays taken',
        fullDescription: `Can't be undone. The homeserver hides what the person wrote. Id and name stay reserved for ever.

Example: latchkey manage delete-user alice --yes`,
      },
    }),
    killSessions: buildCommand({
      loader: () => import('./accounts.ts').then((module) => module.endSessions),
      parameters: {
        flags: { ...changing, dryRun: flag('Only count them') },
        aliases,
        positional: oneUser,
      },
      docs: {
        brief: 'End every session of an account, in browsers and apps',
        fullDescription: 'Example: latchkey manage kill-sessions alice --dry-run',
      },
    }),
    promoteAdmin: buildCommand({
      loader: () => import('./admins.ts').then((module) => module.promoteAdmin),
      parameters: nameOnly,
      docs: {
        brief: 'Make an account an admin',
        fullDescription: 'Example: latchkey manage promote-admin alice',
      },
    }),
    demoteAdmin: buildCommand({
      loader: () => import('./admins.ts').then((module) => module.demoteAdmin),
      parameters: nameOnly,
      docs: {
        brief: 'Take the admin right from an account',
        fullDescription: 'Example: latchkey manage demote-admin alice',
      },
    }),
    listAdminUsers: buildCommand({
      loader: () => import('./admins.ts').then((module) => module.listAdminUsers),
      parameters: { flags: { ...shared, json }, aliases },
      docs: {
        brief: 'List the admins, one name a line',
        fullDescription: 'Example: latchkey manage list-admin-users',
      },
    }),
    ...userRoutes,
    ...approvalRoutes,
    ...homeserverRoutes,
    ...tokenRoutes,
    ...registrationTokenRoutes,
    ...providerRoutes,
    ...mailRoutes,
    ...jobRoutes,
  },
  docs: {
    brief: 'Care for accounts',
    fullDescription: `Care for accounts. These commands work on the database of the configuration, while the server runs and while
it does not.

Example: latchkey manage register-user alice --admin`,
  },
})

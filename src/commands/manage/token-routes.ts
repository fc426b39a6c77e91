import { buildCommand } from '@stricli/core'
import { aliases, flag, json, shared, text } from '../flags.ts'
import { changing, count, oneUser, username } from './parameters.ts'

const expiresIn = count('Seconds until it stops working; without it, it works until it is revoked', 'seconds')
const oneToken = {
  kind: 'tuple',
  parameters: [{ brief: 'The id of the token (not the token)', parse: String, placeholder: 'id' }],
} as const

/** `latchkey manage …-token`: tokens for scripts and bots. */
export const tokenRoutes = {
  issuePersonalToken: buildCommand({
    loader: () => import('./personal-tokens.ts').then((module) => module.issuePersonalToken),
    parameters: {
      flags: {
        ...shared,
        name: text('What it is for; also the name of its device', 'name'),
        scope: text('What it may do; without it, use the Matrix API on a device of its own', 'scopes'),
        deviceId: text('The Matrix device that it is; a new one by default', 'id'),
        expiresIn,
        yesIWantToGrantSynapseAdminPrivileges: flag("Let it use Synapse's admin API too"),
        json,
      },
      aliases,
      positional: oneUser,
    },
    docs: {
      brief: 'Make a personal access token for a script or bot',
      fullDescription: `Makes a token that acts as the account, and prints it: the only time that it is shown. The policy of the
server is not asked. The person sees it in the account area and can revoke it there.

Example: TOKEN=$(latchkey manage issue-personal-token reminder-bot --name 'Reminders')`,
    },
  }),
  regeneratePersonalToken: buildCommand({
    loader: () => import('./personal-tokens.ts').then((module) => module.regenerateToken),
    parameters: { flags: { ...shared, expiresIn, json }, aliases, positional: oneToken },
    docs: {
      brief: 'Replace a personal access token by a new one; the old one stops working',
      fullDescription: 'Example: latchkey manage regenerate-personal-token 01KAV4M7C0X9T8Z6Y5W3V2S1R0',
    },
  }),
  revokePersonalToken: buildCommand({
    loader: () => import('./personal-tokens.ts').then((module) => module.revokeToken),
    parameters: { flags: changing, aliases, positional: oneToken },
    docs: {
      brief: 'Revoke a personal access token for good, with its device',
      fullDescription: 'Example: latchkey manage revoke-personal-token 01KAV4M7C0X9T8Z6Y5W3V2S1R0',
    },
  }),
  listPersonalTokens: buildCommand({
    loader: () => import('./personal-tokens.ts').then((module) => module.listTokens),
    parameters: { flags: { ...shared, json }, aliases, positional: oneUser },
    docs: {
      brief: 'List the personal access tokens of an account, one a line',
      fullDescription: `Each line has, between tabs: id, name, whom it acts as, its end, its last use, its scopes.

Example: latchkey manage list-personal-tokens alice --json`,
    },
  }),
  issueCompatibilityToken: buildCommand({
    loader: () => import('./compat-token.ts'),
    parameters: {
      flags: {
        ...shared,
        deviceId: text('The Matrix device that it is; a new one by default', 'id'),
        yesIWantToGrantSynapseAdminPrivileges: flag("Let it use Synapse's admin API too"),
        json,
      },
      aliases,
      positional: {
        kind: 'tuple',
        parameters: [
          username,
          { brief: 'The same as --device-id', parse: String, placeholder: 'device_id', optional: true },
        ],
      },
    },
    docs: {
      brief: 'Make a token as older clients get it; issue-personal-token is what new scripts want',
      fullDescription: `Signs the account in as an older client would, and prints the access token, which never runs out.
For programs that MAS made such tokens for; a personal access token can also be named, listed, replaced and revoked.

Example: TOKEN=$(latchkey manage issue-compatibility-token reminder-bot)`,
    },
  }),
}

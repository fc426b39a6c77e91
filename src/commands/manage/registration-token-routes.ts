import { buildCommand } from '@stricli/core'
import { aliases, flag, json, shared, text } from '../flags.ts'
import { changing, count } from './parameters.ts'

/** `latchkey manage …-user-registration-token…`: invitations. */
export const registrationTokenRoutes = {
  issueUserRegistrationToken: buildCommand({
    loader: () => import('./registration-tokens.ts').then((module) => module.issueRegistrationToken),
    parameters: {
      flags: {
        ...shared,
        token: text('The text that people type; a random one by default', 'text'),
        usageLimit: count('How many accounts it makes; one by default', 'number'),
        unlimited: flag('It makes any number of accounts'),
        expiresIn: count(
          'Seconds until it stops working; without it, it works until it is revoked',
          'seconds',
        ),
        json,
      },
      aliases,
    },
    docs: {
      brief: 'Make an invitation, with which somebody can sign up',
      fullDescription: `Prints the invitation. Where account.password_registration_token_required is on, nobody signs up without one.

Examples: latchkey manage issue-user-registration-token
          latchkey manage issue-user-registration-token --usage-limit 20 --expires-in 604800`,
    },
  }),
  listUserRegistrationTokens: buildCommand({
    loader: () => import('./registration-tokens.ts').then((module) => module.listInvitations),
    parameters: { flags: { ...shared, all: flag('Those too that are not good any more'), json }, aliases },
    docs: {
      brief: 'List the invitations with which somebody can still sign up, newest last',
      fullDescription: `Each line has, between tabs: id, text, whether it is good, its uses, its end. The newest thousand are shown.

Example: latchkey manage list-user-registration-tokens --all`,
    },
  }),
  revokeUserRegistrationToken: buildCommand({
    loader: () => import('./registration-tokens.ts').then((module) => module.revokeInvitation),
    parameters: {
      flags: changing,
      aliases,
      positional: {
        kind: 'tuple',
        parameters: [{ brief: 'The id of the invitation (not its text)', parse: String, placeholder: 'id' }],
      },
    },
    docs: {
      brief: 'Revoke an invitation; accounts that were made with it stay',
      fullDescription: 'Example: latchkey manage revoke-user-registration-token 01KAV4M7C0X9T8Z6Y5W3V2S1R0',
    },
  }),
}

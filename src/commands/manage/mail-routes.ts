import { buildCommand } from '@stricli/core'
import { aliases, json, shared } from '../flags.ts'
import { changing, oneUser, username } from './parameters.ts'

const address = { brief: 'An email address', parse: String, placeholder: 'address' } as const
const nameOnly = { flags: shared, aliases, positional: oneUser } as const
const userAndAddress = { kind: 'tuple', parameters: [username, address] } as const

/** The commands of `latchkey manage` about email addresses, mail, and the way back into an account. */
export const mailRoutes = {
  addEmail: buildCommand({
    loader: () => import('./emails.ts').then((module) => module.addAddress),
    parameters: { flags: changing, aliases, positional: userAndAddress },
    docs: {
      brief: 'Give an account an email address, without a code',
      fullDescription: 'Example: latchkey manage add-email alice alice@example.org',
    },
  }),
  removeEmail: buildCommand({
    loader: () => import('./emails.ts').then((module) => module.removeAddress),
    parameters: { flags: changing, aliases, positional: userAndAddress },
    docs: {
      brief: 'Take an email address from an account',
      fullDescription: 'Example: latchkey manage remove-email alice alice@example.org',
    },
  }),
  verifyEmail: buildCommand({
    loader: () => import('./emails.ts').then((module) => module.verifyEmail),
    parameters: { flags: shared, aliases, positional: userAndAddress },
    docs: {
      brief: 'Does nothing, for scripts that were written for MAS: addresses of accounts count as verified',
      fullDescription: 'Example: latchkey manage verify-email alice alice@example.org',
    },
  }),
  issueRecoveryLink: buildCommand({
    loader: () => import('./recovery-link.ts'),
    parameters: nameOnly,
    docs: {
      brief: 'Make a link with which a person sets a new password, once, within a day',
      fullDescription: `Prints the link: give it to nobody but the person. It works whatever the configuration says of resetting
passwords by email, also for an account without a password or an address.

Example: latchkey manage issue-recovery-link alice`,
    },
  }),
  sendTestMail: buildCommand({
    loader: () => import('./mail.ts').then((module) => module.sendTestMail),
    parameters: {
      flags: shared,
      aliases,
      positional: {
        kind: 'tuple',
        parameters: [{ brief: 'Where the mail goes', parse: String, placeholder: 'address' }],
      },
    },
    docs: {
      brief: 'Send a mail, to see whether mail works',
      fullDescription: 'Example: latchkey manage send-test-mail me@example.org',
    },
  }),
  listUndeliveredMail: buildCommand({
    loader: () => import('./mail.ts').then((module) => module.listUndeliveredMail),
    parameters: { flags: { ...shared, json }, aliases },
    docs: {
      brief: 'List the mail that could not be sent, and why',
      fullDescription: `One mail a line: id, kind, address, attempts, and what the mail server said. Mail that is still tried is
listed too.

Example: latchkey manage list-undelivered-mail`,
    },
  }),
  retryMail: buildCommand({
    loader: () => import('./mail.ts').then((module) => module.retryMail),
    parameters: {
      flags: shared,
      aliases,
      positional: {
        kind: 'tuple',
        parameters: [
          {
            brief: 'One mail of the list; all without it',
            parse: String,
            placeholder: 'id',
            optional: true,
          },
        ],
      },
    },
    docs: {
      brief: 'Try mail anew that could not be sent',
      fullDescription: `Mail whose code or link has run out is left alone.

Example: latchkey manage retry-mail`,
    },
  }),
}

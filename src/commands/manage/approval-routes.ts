import { buildCommand } from '@stricli/core'
import { aliases, json, shared } from '../flags.ts'
import { changing, oneUser } from './parameters.ts'

/** The commands of `latchkey manage` for accounts that wait for approval. */
export const approvalRoutes = {
  listApprovals: buildCommand({
    loader: () => import('./approvals.ts').then((module) => module.listApprovals),
    parameters: {
      flags: { ...shared, json: { ...json, brief: 'Print one JSON object a line, for scripts' } },
      aliases,
    },
    docs: {
      brief: 'List the accounts that wait for approval, the first to come first',
      fullDescription: `Each line has, between tabs: id, username, since when it waits, its email address, its display name. People wait
where account.registration_requires_approval is on.

Example: latchkey manage list-approvals`,
    },
  }),
  approveUser: buildCommand({
    loader: () => import('./approvals.ts').then((module) => module.approveUser),
    parameters: { flags: changing, aliases, positional: oneUser },
    docs: {
      brief: 'Approve an account that waits: it may sign in, and gets a mail',
      fullDescription: 'Example: latchkey manage approve-user alice',
    },
  }),
  rejectUser: buildCommand({
    loader: () => import('./approvals.ts').then((module) => module.rejectUser),
    parameters: { flags: changing, aliases, positional: oneUser },
    docs: {
      brief: 'Reject an account that waits: it is deleted, gets a mail, and its name is free',
      fullDescription: 'Example: latchkey manage reject-user alice',
    },
  }),
}

import { auditOperations } from './audit-log.ts'
import { clientChanges } from './client-changes.ts'
import { clientOperations } from './clients.ts'
import { eventOperations } from './events.ts'
import { jobOperations } from './jobs.ts'
import type { Operation } from './operation.ts'
import { personalSessionOperations } from './personal-sessions.ts'
import { policyDataOperations } from './policy-data.ts'
import { providerChanges } from './provider-changes.ts'
import { registrationTokenOperations } from './registration-tokens.ts'
import { serverOperations } from './server.ts'
import { bulkSessionOperations } from './session-bulk.ts'
import { sessionOperations } from './sessions.ts'
import { mailOperations } from './undelivered-mails.ts'
import { upstreamLinkOperations } from './upstream-links.ts'
import { upstreamProviderOperations } from './upstream-providers.ts'
import { userActions } from './user-actions.ts'
import { userEmailOperations } from './user-emails.ts'
import { userOperations } from './users.ts'

/** Every operation of the admin API, in the order of the document. */
export const OPERATIONS: readonly Operation[] = [
  ...userOperations,
  ...userActions,
  ...userEmailOperations,
  ...sessionOperations,
  ...bulkSessionOperations,
  ...eventOperations,
  ...personalSessionOperations,
  ...registrationTokenOperations,
  ...upstreamLinkOperations,
  ...upstreamProviderOperations,
  ...providerChanges,
  ...clientOperations,
  ...clientChanges,
  ...serverOperations,
  ...policyDataOperations,
  ...auditOperations,
  ...jobOperations,
  ...mailOperations,
]

import type { ClientSummary } from './contexts.ts'
import type { AccountSession } from './contexts-account.ts'

/** The account has as many sessions as it may: some of these end, then the sign-in goes on. */
export interface SessionLimitPage {
  /** How many must end at least. */
  need: number
  /** The idlest first. The form has a box `end_<id>` for each. */
  sessions: AccountSession[]
  /** Ids that were ticked before. */
  chosen: string[]
  /** Fewer were ticked than must end. */
  too_few: boolean
  client?: ClientSummary
  /** What waits, one of these: the form goes to `consent/<id>`, `device/<id>` or `complete-compat-sso/<id>`. */
  grant_id?: string
  device_grant_id?: string
  compat_login_id?: string
}

export interface SessionLimitContexts {
  session_limit: SessionLimitPage
}

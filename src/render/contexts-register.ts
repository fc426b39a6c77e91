import type { ClientSummary, Continuation, FieldErrors, FormError } from './contexts.ts'

/** A step of the sign-up: the invitation. The form posts `token` to `register/steps/<registration_id>/token`. */
export interface RegisterTokenPage {
  registration_id: string
  form: { token: string; errors: FieldErrors; form_error?: FormError }
}

/** This browser began a sign-up. The form posts `action` = `continue` or `restart`, and `token`, to `register/resume`. */
export interface RegisterResumePage {
  mxid: string
  /** The invitation of the link that led here. */
  token?: string
  continuation: Continuation
  client?: ClientSummary
}

/** Terms to accept before anything else. The form posts what it shows to `terms`. */
export interface TermsPage {
  mxid: string
  terms_uri: string
  /** '' where versions have no names. */
  terms_version: string
  /** The person accepted others before. */
  accepted_before: boolean
  continuation: Continuation
}

/** An account that waits for an admin's approval, or that an admin rejected. */
export interface AccountWaitingPage {
  mxid: string
  state: 'waiting' | 'rejected'
  /** A mail says how it was decided. */
  mail: boolean
  continuation: Continuation
}

export interface RegisterContexts {
  account_waiting: AccountWaitingPage
  register_resume: RegisterResumePage
  terms: TermsPage
  register_token: RegisterTokenPage
}

import type { Continuation, FieldErrors, FormError, Instant } from './contexts.ts'
import type { AccountArea, Pager } from './contexts-account.ts'

/**
 * A step of the sign-up: the code of a mail. The form posts to `register/steps/<registration_id>/verify-email` with
 * `code`, with `action` = `resend`, or with `action` = `change` and `email`.
 */
export interface RegisterEmailPage {
  registration_id: string
  /** Where the code went. */
  email: string
  /** How long a code works. */
  minutes: number
  /** Another code was just sent. */
  resent: boolean
  /** A provider decided about the address: no other one can take its place. */
  fixed: boolean
  /** `code` is what was typed into a form that was too old, `email` to take the place of the address. */
  form: { code: string; email: string; errors: FieldErrors; form_error?: FormError }
  continuation: Continuation
}

/** An address of the account. */
export interface AccountEmail {
  id: string
  email: string
  /** Mail about the account goes there. */
  main: boolean
  added_at: Instant
  /** False for the only one, where an account needs one. */
  removable: boolean
}

export interface AccountEmailsPage extends AccountArea, Pager {
  /** The main one first. `several`: there are others, here or on another page. */
  emails: AccountEmail[]
  several: boolean
  /** Addresses that wait for their code. */
  pending: { id: string; email: string }[]
  change_allowed: boolean
}

export interface AccountEmailAddPage extends AccountArea {
  form: { email: string; errors: FieldErrors; form_error?: FormError }
}

/** The code of a mail; the form posts to `account/emails/<verification_id>/verify` as that of `register_email`. */
export interface AccountEmailVerifyPage extends AccountArea {
  verification_id: string
  email: string
  minutes: number
  resent: boolean
  form: { code: string; errors: FieldErrors; form_error?: FormError }
}

export interface AccountEmailRemovePage extends AccountArea {
  target: AccountEmail
  /** It is the only one. */
  last: boolean
}

export interface EmailContexts {
  register_email: RegisterEmailPage
  account_emails: AccountEmailsPage
  account_email_add: AccountEmailAddPage
  account_email_verify: AccountEmailVerifyPage
  account_email_remove: AccountEmailRemovePage
}

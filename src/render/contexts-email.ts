import type { FieldErrors, FormError } from './contexts.ts'

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
  /** `email` is what was typed to take the place of the address. */
  form: { email: string; errors: FieldErrors; form_error?: FormError }
}

export interface EmailContexts {
  register_email: RegisterEmailPage
}

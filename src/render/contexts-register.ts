import type { FieldErrors, FormError } from './contexts.ts'

/** A step of the sign-up: the invitation. The form posts `token` to `register/steps/<registration_id>/token`. */
export interface RegisterTokenPage {
  registration_id: string
  form: { token: string; errors: FieldErrors; form_error?: FormError }
}

export interface RegisterContexts {
  register_token: RegisterTokenPage
}

import type { Continuation, FieldErrors, FormError, PasswordFeedback } from './contexts.ts'

/** Where a person says which address their lost account has. */
export interface RecoverPage {
  form: { email: string; errors: FieldErrors; form_error?: FormError }
  continuation: Continuation
}

/** "Check your mail", whoever the address belongs to. */
export interface RecoverProgressPage {
  /** ULID: the form posts to `recover/progress/<id>` and has the mail sent again. */
  recovery_id: string
  /** As it was typed. */
  email: string
  minutes: number
  /** It was just sent again. */
  resent: boolean
  form: { errors: FieldErrors; form_error?: FormError }
  continuation: Continuation
}

/** Passwords are not reset by mail here. */
export interface RecoverDisabledPage {
  continuation: Continuation
}

/** Where the link of a mail leads. The one page that holds a secret: its ticket, for the form. */
export interface RecoverPasswordPage {
  form: { end_sessions: boolean; errors: FieldErrors; form_error?: FormError }
  ticket: string
  username: string
  mxid: string
  display_name?: string
  minimum_complexity: number
  password_feedback?: PasswordFeedback
}

/** The link was used, is too old, or was never one. */
export interface RecoverGonePage {
  recovery_enabled: boolean
}

export interface RecoveryContexts {
  recover: RecoverPage
  recover_progress: RecoverProgressPage
  recover_disabled: RecoverDisabledPage
  recover_password: RecoverPasswordPage
  recover_gone: RecoverGonePage
}

import type { FormError, Instant } from './contexts.ts'

/** The account of the person will be deactivated; nobody is signed in to it any more. */
export interface DeactivationPendingPage {
  mxid: string
  due_at: Instant
  /** A mail with the link that takes it back is on its way. */
  mailed: boolean
}

/** Where the link of that mail leads. */
export type DeactivationUndoPage =
  | { step: 'ask'; ticket: string; mxid: string; due_at: Instant; form_error?: FormError }
  | { step: 'done'; mxid: string }
  | { step: 'gone' }

export interface DeactivationContexts {
  deactivation_pending: DeactivationPendingPage
  deactivation_undo: DeactivationUndoPage
}

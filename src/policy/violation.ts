/** The codes of reference operations 6.1, and those of the rules that have none there. An own module may have others. */
export type KnownCode =
  | 'username-too-short'
  | 'username-too-long'
  | 'username-invalid-chars'
  | 'username-all-numeric'
  | 'username-banned'
  | 'username-not-allowed'
  | 'email-invalid'
  | 'email-domain-not-allowed'
  | 'email-domain-banned'
  | 'email-not-allowed'
  | 'email-banned'
  | 'too-many-sessions'
  | 'scope-not-allowed'
  | 'scope-combination'
  | 'requester-banned'

/** Why something is refused (reference operations 6.1). None at all: it is allowed. */
export interface Violation {
  /** A sentence for people, the log and `error_description`. */
  msg: string
  code?: KnownCode | (string & {})
  /** The field of the form that it is about: `username`, `email`. */
  field?: string
  /** The redirect URI that it is about. */
  redirect_uri?: string
  /** With `too-many-sessions`: how many must end first. */
  need_to_remove?: number
}

/** What anybody is told whom the operator banned: nothing about how we know them. */
export const REQUESTER_BANNED: Violation = {
  code: 'requester-banned',
  msg: 'Requests from here are not accepted.',
}

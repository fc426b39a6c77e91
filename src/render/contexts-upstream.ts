import type { ProviderNotice } from '../identity/provider-notice.ts'
import type { ClientSummary, Continuation, FieldErrors, FormError, Instant } from './contexts.ts'
import type { AccountArea } from './contexts-account.ts'
import type { CaptchaBox } from './contexts-captcha.ts'

/** A provider that people may sign in with. `brand` picks a picture where there is one. */
export interface ProviderButton {
  /** ULID. */
  id: string
  name: string
  brand?: string
}

/** An identity at a provider, as the person knows it there. */
export interface UpstreamIdentity {
  provider: string
  account?: string
}

/** A new person: what the provider says of them, and what they choose. */
export interface UpstreamRegisterPage {
  /** ULID: the form posts to `upstream/link/<link_id>`. */
  link_id: string
  identity: UpstreamIdentity
  form: {
    username: string
    import_email: boolean
    import_display_name: boolean
    accept_terms: boolean
    errors: FieldErrors
    form_error?: FormError
  }
  /** The provider decides about the name; it is shown and not asked for. */
  fixed_username: boolean
  /** What else the provider says; `fixed`: it is taken over without asking. */
  email?: { value: string; fixed: boolean }
  display_name?: { value: string; fixed: boolean }
  terms_uri?: string
  client?: ClientSummary
  /** The check against robots, where there is one. */
  captcha?: CaptchaBox
}

/** Somebody who is signed in comes back with an identity that is nobody's yet. */
export interface UpstreamSuggestPage {
  link_id: string
  identity: UpstreamIdentity
  user: { mxid: string; display_name?: string }
  /** The sign-in is too long ago to link anything: once more, please. */
  stale: boolean
}

/** The identity belongs to another account than the one that is signed in. */
export interface UpstreamMismatchPage {
  link_id: string
  identity: UpstreamIdentity
  user: { mxid: string; display_name?: string }
  /** Where the person came from, and stays with their account. */
  continuation: Continuation
}

/** Why an identity does not lead into an account. */
export type UpstreamProblem =
  | 'claim_missing'
  | 'name_taken'
  | 'name_refused'
  | 'email_taken'
  | 'already_linked'
  | 'registration_closed'
  | 'not_allowed'

export interface UpstreamProblemPage {
  problem: UpstreamProblem
  identity: UpstreamIdentity
  /** What is missing: `localpart`, `displayname`, `email`. */
  missing?: string
  /** The name that cannot be had. */
  username?: string
  /** The operator's own sentence. */
  message?: string
  /** With one, “I already have an account” leads to sign-in and back to the link. */
  link_id?: string
  continuation: Continuation
}

/** Sends a form once more, from a page of ours (`path` below the base). */
export interface UpstreamRelayPage {
  path: string
  params: [name: string, value: string][]
}

/** Accounts come from providers alone; this is the choice among them. */
export interface RegisterProvidersPage {
  providers: ProviderButton[]
  continuation: Continuation
}

/** An identity that leads into the account. */
export interface LinkedIdentity extends UpstreamIdentity {
  /** ULID of the link. */
  id: string
  since: Instant
  last_used_at?: Instant
  /** The provider is not offered any more. */
  disabled: boolean
}

export interface AccountLinkedPage extends AccountArea {
  identities: LinkedIdentity[]
  /** Those that could be linked. */
  providers: ProviderButton[]
  /** Why somebody is back from one. */
  notice?: { code: ProviderNotice; name: string }
}

export interface AccountUnlinkPage extends AccountArea {
  identity: LinkedIdentity
}

/** The pages on the way back from a provider. */
export interface UpstreamContexts {
  upstream_register: UpstreamRegisterPage
  upstream_suggest: UpstreamSuggestPage
  upstream_mismatch: UpstreamMismatchPage
  upstream_problem: UpstreamProblemPage
  upstream_relay: UpstreamRelayPage
  register_providers: RegisterProvidersPage
  account_linked: AccountLinkedPage
  account_unlink: AccountUnlinkPage
}

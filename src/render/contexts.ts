/**
 * What each page is given. One typed view model a page; the name is the template's, `views/pages/<name>.html`.
 *
 * Conventions: instants are ISO 8601 text (UTC); an optional key that is absent is "not there" and never `undefined`
 * or null; every text is plain text and escaped by the engine; no context holds HTML, a password or a token
 * (but for the ticket of `recover_password`).
 */

import type { ProviderNotice } from '../identity/provider-notice.ts'
import type { AccountContexts } from './contexts-account.ts'
import type { CaptchaBox } from './contexts-captcha.ts'
import type { CompatContexts } from './contexts-compat.ts'
import type { DeactivationContexts } from './contexts-deactivation.ts'
import type { EmailContexts } from './contexts-email.ts'
import type { RecoveryContexts } from './contexts-recovery.ts'
import type { RegisterContexts } from './contexts-register.ts'
import type { SessionLimitContexts } from './contexts-session-limit.ts'
import type { TokenContexts } from './contexts-tokens.ts'
import type { ProviderButton, UpstreamContexts } from './contexts-upstream.ts'

/** An instant as ISO 8601 text, for example `clock.now().toISOString()`. */
export type Instant = string

/** Why a field was refused. Each has a text in the catalogues: `field_error.<code>`. */
export type FieldErrorCode =
  | 'required'
  | 'needed'
  | 'taken'
  | 'invalid'
  | 'mismatch'
  | 'unchanged'
  | 'too_weak'
  | 'too_short'
  | 'too_long'
  | 'all_numeric'
  | 'banned'
  | 'reserved'
  | 'not_allowed'
  | 'terms_required'
  | 'already_yours'
  | 'code_required'
  | 'wrong_code'
  | 'code_expired'
  | 'failed'
  | 'too_large'
  | 'wrong_type'
  | 'wait'
  | 'unavailable'
  | 'unspecified'

/**
 * One reason. `args` are the message's arguments: `too_short` takes `min`, `too_long` takes `max`, `wait` takes `seconds`, the others
 * none.
 * `message` is a text of the operator's own (a policy's), shown in place of ours.
 */
export interface FieldError {
  code: FieldErrorCode
  args?: Record<string, string | number>
  message?: string
}

/** Errors by field name. Only the first of each field is shown. An empty record: nothing is wrong. */
export type FieldErrors = Record<string, FieldError[]>

/** Why the form as a whole was refused. Texts: `form_error.<code>`. */
export type FormErrorCode =
  | 'invalid_credentials'
  | 'invalid_password'
  | 'rate_limited'
  | 'expired_form'
  | 'unavailable'
  | 'directory_unavailable'
  | 'no_account'
  | 'password_expired'
  | 'captcha_unavailable'
  | 'not_allowed'
  | 'not_here'
  | 'too_many_sessions'
  | 'internal'

/** `retry_after_seconds` goes with `rate_limited`. `message` is a text of the operator's own. */
export interface FormError {
  code: FormErrorCode
  retry_after_seconds?: number
  message?: string
}

/** The application that a person is on the way to. `host` is the one that its `client_uri` names. */
export interface ClientSummary {
  name: string
  host?: string
  logo_uri?: string
  policy_uri?: string
  tos_uri?: string
}

/** What the operator set. `accent` is one of the built-in colours. */
export interface Branding {
  service_name: string
  logo_uri?: string
  favicon_uri?: string
  /** Where people get help: a page, or `mailto:`. */
  contact_uri?: string
  policy_uri?: string
  tos_uri?: string
  imprint?: string
  links: readonly { name: string; uri: string }[]
  accent?: 'pine' | 'ink' | 'teal' | 'violet' | 'rose' | 'amber'
}

/** Who is signed in in this browser. */
export interface SessionSummary {
  username: string
  mxid: string
  display_name?: string
}

/** An app by its name, and the address that leads back to it. */
export interface WayBack {
  name: string
  url: string
}

/** A language by its tag, and by its name in itself. */
export interface LanguageName {
  tag: string
  name: string
}

/** What every page is given besides its own context. */
export interface BaseContext {
  /** BCP 47 tag out of the catalogues, from `chooseLanguage`. */
  lang: string
  /** Writing direction, from `directionOf(lang)`. */
  dir: 'ltr' | 'rtl'
  /** The CSRF token for the hidden field `csrf`. */
  csrf: string
  branding: Branding
  /** The homeserver's server name (the part of a Matrix id after the colon). */
  server_name: string
  /** No homeserver is connected: the pages say so. */
  standalone: boolean
  /** Path prefix of all links and form actions; begins and ends with `/`. */
  base: string
  /** The URL of a static file, with its content hash (`createAssets().url`). */
  assets: (name: string) => string
  /** The languages that there are, each by its own name. */
  languages: readonly LanguageName[]
  /** The current instant, for texts like "2 hours ago". */
  now: Instant
  /** IANA name of the zone that times are shown in; UTC without one. */
  time_zone?: string
  session?: SessionSummary
  /** Pages that stop a person lead back to the app that they came from. */
  back?: WayBack
  /** Above everything else, that a form was too old and must be sent once more: on pages whose form has no errors. */
  expired_form?: true
  /** What the log knows this request as; shown on error pages. */
  reference_id?: string
}

/**
 * Query string (without `?`) that says where to go after signing in: `kind=…&id=…`, or '' for none. Links and form
 * actions get it appended; sign-out forms carry it as hidden fields.
 */
export type Continuation = string

export interface IndexPage {
  registration_enabled: boolean
}

export interface LoginPage {
  form: { username: string; errors: FieldErrors; form_error?: FormError }
  continuation: Continuation
  registration_enabled: boolean
  /** A lost password can be reset by mail. */
  recovery_enabled: boolean
  client?: ClientSummary
  /** A line above the form, for example after a sign-out. `expected`: the app asks for `person` and nobody else. */
  notice?: 'signed_out' | 'reauthenticate' | 'expected'
  /** Who must sign in, shown in place of the field for the name. `form.username` is their name. */
  person?: SessionSummary
  /** Beside `person`: another account may be used instead. */
  other_account?: boolean
  /** Other ways in. */
  providers?: ProviderButton[]
  /** There are no passwords here: the providers are the only way in. */
  providers_only?: boolean
  /** Why somebody is back from a provider. */
  provider_notice?: { code: ProviderNotice; name: string }
  /** An address may lead to a provider without a password. */
  address_alone?: boolean
}

export type UsernameStatus =
  | 'available'
  | 'taken'
  | 'invalid'
  | 'too_short'
  | 'too_long'
  | 'reserved'
  | 'unavailable'

/** Warnings and suggestions of zxcvbn by their own keys (`topTen`, `anotherWord`, …); unknown keys are skipped. */
export interface PasswordFeedback {
  warning?: string
  suggestions: string[]
}

export interface RegisterPage {
  form: {
    username: string
    /** Absent: no address is asked for. */
    email?: string
    /** The invitation of the link that led here. */
    token?: string
    accept_terms: boolean
    errors: FieldErrors
    form_error?: FormError
  }
  /** What a check of the username found, when one was made. */
  username_check?: UsernameStatus
  /** Free names like one that is taken. */
  suggestions?: string[]
  /** The least zxcvbn score that is accepted, 0 to 4. */
  minimum_complexity: number
  /** Why the password that was sent is weak. */
  password_feedback?: PasswordFeedback
  captcha?: CaptchaBox
  /** When set, `accept_terms` is asked for. */
  terms_uri?: string
  continuation: Continuation
  client?: ClientSummary
  providers?: ProviderButton[]
}

export interface RegisterDisabledPage {
  continuation: Continuation
}

export interface RegisterDisplayNamePage {
  form: { display_name: string; errors: FieldErrors; form_error?: FormError }
  username: string
  /** Another username is asked for beside it: that one was taken meanwhile. */
  rename?: true
  /** A provider decided about the display name. */
  decided?: true
  registration_id: string
}

export type ScopeCode =
  | 'openid'
  | 'email'
  | 'profile'
  | 'offline_access'
  | 'matrix_api'
  | 'device'
  | 'synapse_admin'
  | 'mas_admin'
  | 'admin_read'
  | 'admin_users'
  | 'admin_sessions'
  | 'admin_clients'
  | 'admin_server'
  | 'other'

/** One thing that the application asks for. `text` is the raw scope, shown for `other`. */
export interface ScopeLine {
  code: ScopeCode
  text?: string
  dangerous: boolean
}

export interface ConsentPage {
  client: {
    name: string
    host?: string
    logo_uri?: string
    client_uri?: string
    policy_uri?: string
    tos_uri?: string
    /** Host of the redirect URI, or its scheme for an app on this device: where the answer goes. */
    redirect_host: string
    /** `app`: a private scheme or loopback, so an app on this device; `web`: a site. */
    redirect_kind: 'web' | 'app'
  }
  user: { mxid: string; display_name?: string }
  scopes: ScopeLine[]
  /** ULID of the grant: the form posts to `consent/<grant_id>` with `action` = `consent` or `cancel`. */
  grant_id: string
  /** The answer is kept, so that this application is not asked about again. */
  remembered: boolean
}

/** Where the code of a device is typed in. */
export interface DeviceLinkPage {
  form: { code: string; errors: FieldErrors; form_error?: FormError }
}

export interface DeviceConsentPage {
  form: { errors: FieldErrors; form_error?: FormError }
  client: ClientSummary
  /** Who asked for the code. `user_agent` is a description of what the device calls itself. */
  device: { user_agent?: string; ip?: string; requested_at: Instant; user_code: string }
  user: { mxid: string; display_name?: string }
  scopes: ScopeLine[]
  /** ULID: the form posts to `device/<id>` with `action` = `consent` (and `confirm_device`) or `reject`. */
  device_grant_id: string
}

/** How the request of a device ended. */
export interface DeviceDonePage {
  outcome: 'approved' | 'rejected' | 'expired'
  client: ClientSummary
}

export interface PolicyViolationPage {
  /** `message` is the operator's text; codes without a text of ours fall back to a general sentence. */
  violations: { code: string; message?: string }[]
  client?: ClientSummary
  /** With a grant there are "try again" and "cancel" (both go through `consent/<grant_id>`). */
  grant_id?: string
  /** The same for the request of a device, through `device/<id>`. */
  device_grant_id?: string
  /** The same for the login of a legacy client, through `complete-compat-sso/<id>`. */
  compat_login_id?: string
}

export interface AccountLockedPage {
  mxid: string
  /** When it will be deactivated, as its owner asked for. */
  deactivation_at?: Instant
  continuation: Continuation
}

export interface AccountDeactivatedPage {
  mxid: string
  continuation: Continuation
}

export interface SessionEndedPage {
  continuation: Continuation
}

/** `title` and `description` are sentences for people, already in the page's language; without them, ours. */
export interface ErrorPage {
  title?: string
  description?: string
  /** The protocol's code (`invalid_request`, …), in small print. */
  code?: string
  /** In place of the base context's. */
  reference_id?: string
}

export type NotFoundPage = Record<never, never>

export interface RateLimitedPage {
  retry_after_seconds: number
}

export interface FormPostPage {
  redirect_uri: string
  /** Name and value, in order. */
  params: [name: string, value: string][]
  client?: ClientSummary
}

/**
 * A client sent the person here to sign out. `client` is who says so, which nobody proved. `returns_to` is where the
 * button leads in the end: a site, or an app on this device.
 */
export interface EndSessionPage {
  /** False: there is nobody to sign out in this browser, only a way back to the client. */
  signed_in: boolean
  mxid?: string
  client?: ClientSummary
  returns_to?: { kind: 'web'; host: string } | { kind: 'app' }
  /** The client asked for a way back that it did not register. */
  return_refused: boolean
  /** Hidden fields of the form, in order. */
  carried: [name: string, value: string][]
  /** Apps that were signed in with this browser. */
  apps: number
  /** They shall end too. */
  with_apps: boolean
}

/** A form for signing out that was too old, once more. */
export interface SignOutPage {
  mxid: string
  continuation: Continuation
}

export interface LoggedOutPage {
  continuation: Continuation
  /** The apps that were signed in with this browser are signed out too. */
  apps_ended: boolean
  /** The page leads on to the sign-out of the provider that the person signed in with. */
  provider?: { name: string; url: string }
}

/** Page name (a file `views/pages/<name>.html`) to its view model. */
export interface Contexts
  extends AccountContexts,
    DeactivationContexts,
    CompatContexts,
    EmailContexts,
    RegisterContexts,
    RecoveryContexts,
    TokenContexts,
    SessionLimitContexts,
    UpstreamContexts {
  index: IndexPage
  login: LoginPage
  register: RegisterPage
  register_disabled: RegisterDisabledPage
  register_display_name: RegisterDisplayNamePage
  consent: ConsentPage
  device_link: DeviceLinkPage
  device_consent: DeviceConsentPage
  device_done: DeviceDonePage
  policy_violation: PolicyViolationPage
  account_locked: AccountLockedPage
  account_deactivated: AccountDeactivatedPage
  session_ended: SessionEndedPage
  error: ErrorPage
  not_found: NotFoundPage
  rate_limited: RateLimitedPage
  form_post: FormPostPage
  end_session: EndSessionPage
  logged_out: LoggedOutPage
  sign_out: SignOutPage
}

export type PageName = keyof Contexts

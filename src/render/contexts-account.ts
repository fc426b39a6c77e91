import type {
  ClientSummary,
  Continuation,
  FieldErrors,
  FormError,
  Instant,
  PasswordFeedback,
  ScopeLine,
} from './contexts.ts'

/** Parts of the account area, each an entry of its navigation. Texts: `account.nav.<key>`; icons: `partials/icons.html`. */
export type AccountSectionKey =
  | 'overview'
  | 'profile'
  | 'emails'
  | 'password'
  | 'sessions'
  | 'apps'
  | 'linked'
  | 'tokens'
  | 'plan'
  | 'security'
  | 'data'

/** What every page of the account area is given besides its own context; `accountPage` in `src/account/area.ts` fills it in. */
export interface AccountArea {
  /** The navigation in order. `path` goes on after `account/`. */
  sections: { key: AccountSectionKey; path: string }[]
  /** Where the page belongs. */
  section: AccountSectionKey
  /** What was just done: the text `account.flash.<code>`, with `count` as its argument. */
  flash?: { code: string; count: number }
}

export interface AccountSession {
  id: string
  /** `compat`: a legacy Matrix login. `personal`: an access token. */
  kind: 'browser' | 'oauth' | 'compat' | 'personal'
  /** What a person calls it; for a browser without a name the short user agent does. */
  name?: string
  client_name?: string
  device_id?: string
  /** The browser session that this page is seen with. */
  current: boolean
  created_at: Instant
  last_active_at?: Instant
  last_active_ip?: string
  /** For example "Firefox on Linux". */
  user_agent?: string
}

/** Queries of the pages of a list beside this one, `''` for the first; absent where there is none. */
export interface Pager {
  previous?: string
  next?: string
}

/** The first page: how things stand, and the ways on. */
export interface AccountPage extends AccountArea {
  /** Active sessions of each kind, addresses, clients with a session, tokens. */
  counts: { browsers: number; apps: number; emails: number; clients: number; tokens: number }
  /** The main address. */
  email?: string
  /** Absent for an account without a password. */
  password_set_at?: Instant
  /** The directory keeps the password. */
  password_elsewhere?: boolean
  /** The newest line of the security log. */
  last_event?: { kind: string; at: Instant }
}

/** A list of sessions: what was searched for, one page of what was found, and the queries of its neighbours. */
export interface AccountSessionsPage extends AccountArea {
  sessions: AccountSession[]
  search: { kind: '' | 'browser' | 'apps' | 'tokens'; text: string; sort: 'active' | 'created' | 'name' }
  /** The same search for each kind, as a query. */
  tabs: { kind: '' | 'browser' | 'apps' | 'tokens'; query: string }[]
  total: number
  /** The page of the list, from 1. */
  at: number
  pages: number
  previous?: string
  next?: string
}

/** One session: what is known about it, what it may do, and its name. */
export interface AccountSessionPage extends AccountArea {
  target: AccountSession
  scopes: ScopeLine[]
  /** The app that has it. */
  app?: ClientSummary & { id: string }
  /** Of a token: until when it works, and who made it, where that is somebody else ('' for those who run the server). */
  token?: { expires_at?: Instant; expired: boolean; made_by?: string }
  /** The browser that it was begun in, while that is signed in. */
  begun_in?: AccountSession
  form: { name: string; errors: FieldErrors; form_error?: FormError }
}

/** Several sessions that are about to end. */
export interface AccountEndSessionsPage extends AccountArea {
  targets: AccountSession[]
}

/** All but this session: which kinds, and how many there are of each. */
export interface AccountEndOthersPage extends AccountArea {
  counts: { browsers: number; apps: number; tokens: number }
  /** What is ticked. */
  chosen: { browsers: boolean; apps: boolean; tokens: boolean }
  form: { errors: FieldErrors; form_error?: FormError }
}

/** An app that has the account in its hands. */
export interface ConnectedApp {
  /** ULID of the client. */
  id: string
  client: ClientSummary
  scopes: ScopeLine[]
  /** Active sessions; none: only the answer of the person is remembered. */
  sessions: number
  since: Instant
  last_active_at?: Instant
}

export interface AccountAppsPage extends AccountArea, Pager {
  apps: ConnectedApp[]
}

export interface AccountRevokeAppPage extends AccountArea {
  app: ConnectedApp
}

/** `target` and not `session`, which is who is signed in (BaseContext). */
export interface AccountEndSessionPage extends AccountArea {
  target: AccountSession
  /** Of a browser: apps that were signed in with it, which may end too. */
  apps: number
  with_apps: boolean
}

/** The name that others see, and how pages and mails are written. */
export interface AccountProfilePage extends AccountArea {
  name_change_allowed: boolean
  /** Nothing is changed at the homeserver from here. */
  read_only: boolean
  /** Absent where no pictures are kept; `path` from the root of the pages where the person has one. */
  picture?: { path?: string }
  form: { display_name: string; errors: FieldErrors; form_error?: FormError }
  /** The language that was chosen; none: as the browser says. */
  locale?: string
  /** The time zone that was chosen; none: UTC. */
  chosen_zone?: string
  /** Names of all time zones. */
  time_zones: string[]
}

export interface AccountPasswordPage extends AccountArea {
  /**
   * `none`: this account has no password; `not_allowed`: the operator does not let people change it; `directory`: it is
   * changed in the directory, at `password_url` if that is known.
   */
  way: 'change' | 'none' | 'not_allowed' | 'directory'
  password_url?: string
  /** `end_browsers`, `end_apps`, `end_tokens`: the other sessions end with the old password. */
  form: {
    end_browsers: boolean
    end_apps: boolean
    end_tokens: boolean
    errors: FieldErrors
    form_error?: FormError
  }
  minimum_complexity: number
  password_feedback?: PasswordFeedback
}

/** Asks before the homeserver takes new cross-signing keys. */
export interface AccountResetCrossSigningPage extends AccountArea {
  /** False where the homeserver is only read. */
  possible: boolean
  form_error?: FormError
}

/** The way back to the app after it. On success a script tells the app that waits. */
export interface AccountResetCrossSigningDonePage extends AccountArea {
  outcome: 'success' | 'cancelled'
}

/** A page of the operator, in a frame. */
export interface AccountPlanPage extends AccountArea {
  uri: string
}

/** One line of the security log. */
export interface LogLine {
  /** The text is `security_event.<kind>`, where there is one. */
  kind: string
  at: Instant
  by_admin: boolean
  ip?: string
  /** For example "Firefox, Linux". */
  device?: string
  /** What it was about: an address, the name of an app or a token. */
  about?: string
}

export interface AccountSecurityPage extends AccountArea {
  events: LogLine[]
  /** The page with the newest events. */
  first: boolean
  /** There are older ones: the value of `before`. */
  older?: string
}

export interface AccountDataPage extends AccountArea {
  deactivation_allowed: boolean
  form_error?: FormError
}

/** First what deactivation means, then the page where it is confirmed. */
export interface AccountDeactivatePage extends AccountArea {
  step: 'explain' | 'confirm'
  /** The homeserver is asked to hide what the person wrote from those who join later. */
  erase: boolean
  /** Until when it could be taken back, and whether by a mail; absent where it happens at once. */
  grace?: { until: Instant; mail: boolean }
  form: { errors: FieldErrors; form_error?: FormError }
}

/** "Confirm that it is you", before something that needs a fresh sign-in. */
export interface AccountConfirmPage extends AccountArea {
  /** `sign_in`: there is no password to ask for, so the way is to sign out and in again. */
  way: 'password' | 'sign_in'
  form: { errors: FieldErrors; form_error?: FormError }
  /** Where it goes on, as the continuation of a sign-in. */
  continuation: Continuation
}

export interface AccountContexts {
  account: AccountPage
  account_sessions: AccountSessionsPage
  account_session: AccountSessionPage
  account_end_session: AccountEndSessionPage
  account_end_sessions: AccountEndSessionsPage
  account_end_others: AccountEndOthersPage
  account_apps: AccountAppsPage
  account_revoke_app: AccountRevokeAppPage
  account_confirm: AccountConfirmPage
  account_plan: AccountPlanPage
  account_security: AccountSecurityPage
  account_data: AccountDataPage
  account_deactivate: AccountDeactivatePage
  account_profile: AccountProfilePage
  account_password: AccountPasswordPage
  account_reset_cross_signing: AccountResetCrossSigningPage
  account_reset_cross_signing_done: AccountResetCrossSigningDonePage
}

import type { Continuation, FieldErrors, FormError, Instant } from './contexts.ts'

/** Parts of the account area, each an entry of its navigation. Texts: `account.nav.<key>`; icons: `partials/account_icon.html`. */
export type AccountSectionKey =
  | 'overview'
  | 'profile'
  | 'emails'
  | 'password'
  | 'sessions'
  | 'apps'
  | 'tokens'
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
  /** `compat`: a legacy Matrix login. */
  kind: 'browser' | 'oauth' | 'compat'
  /** What a person calls it; for a browser session the short user agent does. */
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

/** The first page: how things stand, and the ways on. */
export interface AccountPage extends AccountArea {
  /** Active sessions of each kind. */
  counts: { browsers: number; apps: number }
}

export interface AccountSessionsPage extends AccountArea {
  sessions: AccountSession[]
}

/** `target` and not `session`, which is who is signed in (BaseContext). */
export interface AccountEndSessionPage extends AccountArea {
  target: AccountSession
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
  account_end_session: AccountEndSessionPage
  account_confirm: AccountConfirmPage
}

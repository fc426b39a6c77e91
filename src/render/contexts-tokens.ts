import type { FieldErrors, FormError, Instant, ScopeLine } from './contexts.ts'
import type { AccountArea, Pager } from './contexts-account.ts'

/** A personal access token as pages show it, never the token itself. */
export interface AccountToken {
  id: string
  name: string
  /** What it may do, without its device. */
  scopes: ScopeLine[]
  device_id?: string
  created_at: Instant
  last_used_at?: Instant
  /** Absent: it works until it is revoked. */
  expires_at?: Instant
  expired: boolean
  /** The Matrix id that it acts as, when that is somebody else. */
  acts_as?: string
  /** Somebody else made it: the Matrix id of a person, or '' for a program of the people who run the server. */
  made_by?: string
  /** Only who made it for themselves may replace it. */
  replaceable: boolean
}

export interface AccountTokensPage extends AccountArea, Pager {
  tokens: AccountToken[]
}

/** How long a token may work, in days. */
export type TokenLifetime = '7' | '30' | '90' | '365' | 'never'

/** What may be chosen on the form, each a checkbox `scope_<code>`. */
export type TokenScopeChoice = 'matrix_api' | 'synapse_admin' | 'mas_admin'

export interface AccountTokenNewPage extends AccountArea {
  form: {
    name: string
    /** The ticked ones. */
    scopes: TokenScopeChoice[]
    device: boolean
    expires: TokenLifetime
    errors: FieldErrors
    form_error?: FormError
  }
  choices: { code: TokenScopeChoice; dangerous: boolean }[]
  lifetimes: readonly TokenLifetime[]
}

/** The one page that shows the token. `target` and not `token`, so that nobody prints the wrong one. */
export interface AccountTokenIssuedPage extends AccountArea {
  token: string
  target: AccountToken
}

export interface AccountTokenReplacePage extends AccountArea {
  target: AccountToken
  form: { expires: TokenLifetime; errors: FieldErrors; form_error?: FormError }
  lifetimes: readonly TokenLifetime[]
}

export interface AccountTokenRevokePage extends AccountArea {
  target: AccountToken
}

export interface TokenContexts {
  account_tokens: AccountTokensPage
  account_token_new: AccountTokenNewPage
  account_token_issued: AccountTokenIssuedPage
  account_token_replace: AccountTokenReplacePage
  account_token_revoke: AccountTokenRevokePage
}

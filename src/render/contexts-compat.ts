/** Where a login of a legacy client leads: the host of a site, or the scheme of an app on this device. */
export interface SsoTarget {
  target: string
  kind: 'web' | 'app'
}

/** A client that speaks the older login API asks to be let in; nobody knows more of it than the address. */
export interface CompatSsoPage extends SsoTarget {
  login_id: string
  user: { mxid: string; display_name?: string }
}

/** The pages on which a client of the older login API is let in. */
export interface CompatContexts {
  compat_sso: CompatSsoPage
  compat_sso_cancelled: SsoTarget
}

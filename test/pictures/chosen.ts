/** A picture of the documentation: which state it shows, and how. */
export interface Chosen {
  /** Its name in `docs/images`, without `.webp`. */
  file: string
  /** A state of the gallery. */
  state: string
  size: 'desktop' | 'phone'
  scheme: 'light' | 'dark'
  lang?: string
}

const pair = (file: string, state: string): Chosen[] => [
  { file, state, size: 'desktop', scheme: 'light' },
  { file: `${file}-dark`, state, size: 'desktop', scheme: 'dark' },
]
const one = (
  file: string,
  state: string,
  size: Chosen['size'] = 'desktop',
  scheme: Chosen['scheme'] = 'light',
) => ({
  file,
  state,
  size,
  scheme,
})

/** What a reader of the documentation wants to see. Those in a pair are shown by the reader's own colours. */
export const CHOSEN: readonly Chosen[] = [
  ...pair('sign-in', 'login.with-a-provider-for-a-client'),
  ...pair('account', 'account.plain'),
  one('sign-in-phone', 'login.with-a-provider-for-a-client', 'phone', 'dark'),
  one('sign-up', 'register.with-terms-for-a-client'),
  one('sign-up-email', 'register_email.fresh', 'phone'),
  one('consent', 'consent.known-client'),
  one('consent-dangerous', 'consent.dangerous-scopes-app-on-this-device', 'phone', 'dark'),
  one('device', 'device_consent.plain', 'phone'),
  one('recovery', 'recover_password.fresh', 'phone'),
  one('account-devices', 'account_sessions.sessions'),
  one('account-apps', 'account_apps.apps'),
  one('account-emails', 'account_emails.several', 'phone', 'dark'),
  one('account-tokens', 'account_tokens.several'),
  one('account-security', 'account_security.events'),
  one('account-phone', 'account.plain', 'phone'),
  { file: 'account-arabic', state: 'account.plain', size: 'desktop', scheme: 'light', lang: 'ar' },
  one('mail-notice', 'mail-security_notice.signed-in-new-browser', 'phone'),
]

import type { Config } from '../../config/load.ts'

/**
 * Whether people may create accounts here. Sign-up steps that are not built yet (an email address, an invitation, a
 * CAPTCHA) close it: leaving a required step out would open the server to everybody.
 */
export function registrationEnabled(config: Config): boolean {
  const { account, passwords, captcha } = config
  return (
    passwords.enabled &&
    account.password_registration_enabled &&
    !account.password_registration_email_required &&
    !account.password_registration_token_required &&
    !account.registration_token_required &&
    !captcha?.service
  )
}

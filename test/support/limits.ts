/** So much that no test meets the limit by accident: tests do in seconds what people do in days. */
export const PLENTY = { burst: 10_000, per_second: 1000 }

/** Every limit of `rate_limiting` out of the way; who tests one sets it. */
export const NO_LIMITS = {
  login: { per_ip: PLENTY, per_account: PLENTY },
  registration: PLENTY,
  account_recovery: { per_ip: PLENTY, per_address: PLENTY },
  email_authentication: {
    per_ip: PLENTY,
    per_address: PLENTY,
    emails_per_session: PLENTY,
    attempt_per_session: PLENTY,
  },
}

import type { Policy } from './policy.ts'
import type { Violation } from './violation.ts'

/** A policy whose refusals are told, by what was asked: whoever asks need not count. */
export function countedPolicy(policy: Policy, denied: (entrypoint: string) => void): Policy {
  const counted =
    <Args extends unknown[]>(entrypoint: string, ask: (...args: Args) => Promise<Violation[]>) =>
    async (...args: Args): Promise<Violation[]> => {
      const violations = await ask(...args)
      if (violations.length > 0) denied(entrypoint)
      return violations
    }
  return {
    ...policy,
    register: counted('register', policy.register),
    email: counted('email', policy.email),
    clientRegistration: counted('client_registration', policy.clientRegistration),
    grant: counted('authorization_grant', policy.grant),
    legacyLogin: counted('compat_login', policy.legacyLogin),
  }
}

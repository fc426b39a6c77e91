import type { Requester } from '../http/requester.ts'
import { checkRegistrationPolicy, type RegistrationInput } from './client-registration.ts'
import type { PolicyRules } from './constraints.ts'
import { checkEmailPolicy } from './email.ts'
import { checkClientGrantPolicy, checkGrantPolicy } from './grant.ts'
import { checkLegacyLoginPolicy, type LegacyLogin } from './legacy-login.ts'
import { checkRegisterPolicy, type RegisterInput } from './register.ts'
import type { SessionCounts } from './session-limit.ts'
import type { Violation } from './violation.ts'

/** The person that a rule is about. */
export interface PolicyUser {
  user_id: string
  username: string
  is_admin: boolean
}

/** What a person grants to an app, or a client to itself when there is no `user`. */
export interface GrantInput {
  scope: readonly string[]
  /** None: a personal token, which a person makes without an app. */
  clientId?: string
  user?: PolicyUser
  grantType: 'authorization_code' | 'client_credentials' | 'urn:ietf:params:oauth:grant-type:device_code'
}

/** The login of an older client, after the right password or token. */
export interface LegacyLoginInput {
  user: PolicyUser
  login: LegacyLogin
  /** Whether the login takes the place of a session of the same device. */
  sessionReplaced: boolean
}

/**
 * The operator's rules: the one entry for everybody who must ask. An empty list means: allowed. Each of them throws when
 * it could not be decided (the database is away, the operator's module fails); that is never an "allowed".
 */
export interface Policy {
  /** A name, and the address once there is one, of somebody who wants an account. */
  register(asked: RegisterInput, requester: Requester): Promise<Violation[]>
  /** An address that a person wants to add or sign up with. */
  email(email: string, requester: Requester): Promise<Violation[]>
  /** A client that registers itself; `metadata` is everything that it sent, checked. */
  clientRegistration(client: RegistrationInput, metadata: object, requester: Requester): Promise<Violation[]>
  grant(asked: GrantInput, requester: Requester): Promise<Violation[]>
  legacyLogin(asked: LegacyLoginInput, requester: Requester): Promise<Violation[]>
  /** Finds out whether it can decide at all. Throws a sentence for the operator if not. */
  check(): Promise<void>
  /** Ends what it started. */
  stop(): void
}

/** What the policy is told by the rest of the program, when a rule needs it. */
export interface PolicyFacts {
  /** The rules as they are now. */
  rules(): Promise<PolicyRules>
  countSessions(userId: string): Promise<SessionCounts>
}

/** The built-in rules, which follow those that MAS ships. */
export function builtInPolicy(facts: PolicyFacts): Policy {
  // Counted only where a limit asks for it: a grant costs no query more without one.
  const sessionsOf = async (rules: PolicyRules, user: PolicyUser) =>
    rules.sessionLimit ? await facts.countSessions(user.user_id) : undefined
  return {
    register: async (asked, requester) => checkRegisterPolicy(await facts.rules(), asked, requester),
    email: async (email, requester) => checkEmailPolicy(await facts.rules(), email, requester),
    clientRegistration: async (client, _metadata, requester) =>
      checkRegistrationPolicy(await facts.rules(), client, requester),
    async grant({ user, ...grant }, requester) {
      const rules = await facts.rules()
      if (!user) return checkClientGrantPolicy(rules, grant, requester)
      const sessions = await sessionsOf(rules, user)
      return checkGrantPolicy(rules, { ...grant, user, sessions }, requester)
    },
    async legacyLogin({ user, ...asked }, requester) {
      const rules = await facts.rules()
      const sessions = await sessionsOf(rules, user)
      return checkLegacyLoginPolicy(rules, { ...asked, sessions }, requester)
    },
    check: async () => {
      await facts.rules()
    },
    stop() {},
  }
}

import type { Requester } from '../http/requester.ts'
import { isAdminApiScope } from '../lib/admin-scope.ts'
import { deviceOfScope, isApiScope, SYNAPSE_ADMIN, spellingOf } from '../lib/scope.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { isBannedRequester, type PolicyRules } from './constraints.ts'
import { type SessionCounts, sessionLimitViolations } from './session-limit.ts'
import { REQUESTER_BANNED, type Violation } from './violation.ts'

/** Characters of a device id in a scope (reference 6). */
const DEVICE_ID = /^[A-Za-z0-9._~!$&'()*+,;=:@/-]{10,}$/

/** Scopes that anybody may grant. `profile` and `offline_access` are ours, MAS refuses them. */
const PLAIN_SCOPES = ['openid', 'email', 'profile', 'offline_access', 'urn:mas:graphql:*']

/** The policy for a grant that a person makes (reference section 6); empty means: allowed. */
export function checkGrantPolicy(
  rules: PolicyRules,
  grant: {
    scope: readonly string[]
    user: { username: string; is_admin: boolean }
    sessions?: SessionCounts | undefined
  },
  requester: Requester,
): Violation[] {
  const { data } = rules
  const isAdmin = grant.user.is_admin || (data.admin_users ?? []).includes(grant.user.username)
  const violations: Violation[] = []
  for (const scope of grant.scope)
    if (!isAllowed(scope, isAdmin))
      violations.push({ code: 'scope-not-allowed', msg: `The scope ${scope} may not be granted.` })
  violations.push(...combinationViolations(grant.scope))
  violations.push(...sessionLimitViolations(rules, grant.sessions, 'soft'))
  if (isBannedRequester(data, requester)) violations.push(REQUESTER_BANNED)
  return violations
}

/** The policy for what a client is granted for itself (reference section 6, last column). */
export function checkClientGrantPolicy(
  { data }: PolicyRules,
  grant: { scope: readonly string[]; clientId?: string },
  requester: Requester,
): Violation[] {
  const admins = (data.admin_clients ?? []).map((ulid) => uuidFromUlid(ulid))
  const allowed = (scope: string): boolean =>
    scope === 'openid' ||
    scope === 'email' ||
    scope === 'urn:mas:graphql:*' ||
    (isAdminApiScope(scope) && grant.clientId !== undefined && admins.includes(grant.clientId))
  const violations = grant.scope
    .filter((scope) => !allowed(scope))
    .map(
      (scope): Violation => ({
        code: 'scope-not-allowed',
        msg: `The scope ${scope} may not be granted to a client itself.`,
      }),
    )
  if (isBannedRequester(data, requester)) violations.push(REQUESTER_BANNED)
  return violations
}

function isAllowed(scope: string, isAdmin: boolean): boolean {
  const device = deviceOfScope(scope)
  if (device !== undefined) return DEVICE_ID.test(device)
  if (isApiScope(scope) || PLAIN_SCOPES.includes(scope)) return true
  return (scope === SYNAPSE_ADMIN || isAdminApiScope(scope)) && isAdmin
}

/** What makes no sense together, whatever the operator's rules are (reference section 6). */
export function combinationViolations(scopes: readonly string[]): Violation[] {
  const violations: Violation[] = []
  const devices = scopes.filter((scope) => deviceOfScope(scope) !== undefined)
  const spellings = new Set(scopes.map(spellingOf).filter((spelling) => spelling !== undefined))
  const combine = (msg: string) => violations.push({ code: 'scope-combination', msg })
  if (devices.length > 1 && spellings.size === 1) combine('Only one device may be asked for.')
  if (devices.length > 0 && !scopes.some(isApiScope)) combine('A device needs the Matrix API scope.')
  if (spellings.size > 1) combine('Stable and unstable Matrix scopes cannot be mixed.')
  return violations
}

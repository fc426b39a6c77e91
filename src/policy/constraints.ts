import { contains, parseIp, parseNetwork } from '../lib/ip.ts'

/** Matchers of `policy.data` (reference section 6.4): a text matches when any of them does. */
export interface Constraints {
  literals?: readonly string[]
  substrings?: readonly string[]
  regexes?: readonly string[]
  prefixes?: readonly string[]
  suffixes?: readonly string[]
}

/** Whether `text` meets any of the constraints. Regular expressions are unanchored; a broken one matches nothing. */
export function matches(constraints: Constraints | undefined, text: string): boolean {
  if (!constraints) return false
  const { literals = [], substrings = [], regexes = [], prefixes = [], suffixes = [] } = constraints
  return (
    literals.includes(text) ||
    substrings.some((part) => text.includes(part)) ||
    prefixes.some((part) => text.startsWith(part)) ||
    suffixes.some((part) => text.endsWith(part)) ||
    regexes.some((source) => compiled(source)?.test(text) ?? false)
  )
}

function compiled(source: string): RegExp | undefined {
  try {
    return new RegExp(source, 'u')
  } catch {
    return undefined
  }
}

/** Operator data that the typed policy reads; anything else in `policy.data` is left alone. */
export interface PolicyData {
  admin_users?: readonly string[]
  admin_clients?: readonly string[]
  client_registration?: {
    allow_host_mismatch?: boolean
    allow_insecure_uris?: boolean
    allow_missing_client_uri?: boolean
  }
  registration?: { allowed_usernames?: Constraints; banned_usernames?: Constraints }
  requester?: { banned_ips?: readonly string[]; banned_user_agents?: Constraints }
}

/** `policy.data` as the typed functions read it. */
export const policyData = (config: { policy: { data?: unknown } }): PolicyData =>
  (config.policy.data ?? {}) as PolicyData

/** Whether the operator banned an address or user agent. */
export function isBannedRequester(
  data: PolicyData,
  requester: { ip: string | undefined; userAgent: string | undefined },
): boolean {
  const address = requester.ip === undefined ? undefined : parseIp(requester.ip)
  const banned = (data.requester?.banned_ips ?? []).some((text) => {
    const network = parseNetwork(text)
    return network !== undefined && address !== undefined && contains(network, address)
  })
  return banned || matches(data.requester?.banned_user_agents, requester.userAgent ?? '')
}

import type { Config } from '../config/schema.ts'
import type { Requester } from '../http/requester.ts'
import { contains, parseIp, parseNetwork } from '../lib/ip.ts'
import { parseRegex } from '../lib/regex.ts'

/** What the operator says in `policy.data` (reference operations 6.4). */
export type PolicyData = Config['policy']['data']

/** What the rules go by. */
export interface PolicyRules {
  /** That of the configuration with what was set at run time over it. */
  data: PolicyData
  serverName: string
  sessionLimit: Config['experimental']['session_limit']
}

/** Matchers: a text matches when any of them does. */
export type Constraints = NonNullable<NonNullable<PolicyData['requester']>['banned_user_agents']>

/** Whether `text` meets any of the constraints. Regular expressions are unanchored; a broken one matches nothing. */
export function matches(constraints: Constraints | undefined, text: string): boolean {
  if (!constraints) return false
  const { literals = [], substrings = [], regexes = [], prefixes = [], suffixes = [] } = constraints
  return (
    literals.includes(text) ||
    substrings.some((part) => text.includes(part)) ||
    prefixes.some((part) => text.startsWith(part)) ||
    suffixes.some((part) => text.endsWith(part)) ||
    regexes.some((source) => parseRegex(source)?.test(text) ?? false)
  )
}

/** Whether the operator banned an address or user agent. */
export function isBannedRequester(data: PolicyData, requester: Requester): boolean {
  const address = requester.ip === undefined ? undefined : parseIp(requester.ip)
  const banned = (data.requester?.banned_ips ?? []).some((text) => {
    const network = parseNetwork(text)
    return network !== undefined && address !== undefined && contains(network, address)
  })
  return banned || matches(data.requester?.banned_user_agents, requester.userAgent ?? '')
}

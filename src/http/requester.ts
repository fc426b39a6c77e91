import type { Deps } from '../deps.ts'
import { clientIp } from './client-ip.ts'

/** Who asks, as far as the network tells: what sessions, limits and policy are given. */
export interface Requester {
  ip: string | undefined
  userAgent: string | undefined
  /** `Accept-Language` as it came: mail about what was done goes out in this language. */
  acceptLanguage?: string | undefined
}

/** Characters of a User-Agent that are kept, and of an Accept-Language. */
const USER_AGENT_LIMIT = 400

/** The requester of a request. */
export const requesterOf = (deps: Pick<Deps, 'peers' | 'trustedProxies'>, request: Request): Requester => ({
  ip: clientIp(deps.peers.get(request)?.(), request.headers, deps.trustedProxies),
  userAgent: request.headers.get('user-agent')?.slice(0, USER_AGENT_LIMIT),
  acceptLanguage: request.headers.get('accept-language')?.slice(0, USER_AGENT_LIMIT),
})

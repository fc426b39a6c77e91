import type { Deps } from '../deps.ts'
import { clientIp } from './client-ip.ts'

/** Who asks, as far as the network tells: what sessions, limits and policy are given. */
export interface Requester {
  ip: string | undefined
  userAgent: string | undefined
  /** `Accept-Language` as it came, or the language of the page that was used: mail about what was done is in it. */
  acceptLanguage?: string | undefined
}

/** Characters of a User-Agent that are kept, and of an Accept-Language. */
const USER_AGENT_LIMIT = 400

const known = new WeakMap<Request, Requester>()

/** The requester of a request; looked up once, for whoever wants to know. */
export function requesterOf(deps: Pick<Deps, 'peers' | 'trustedProxies'>, request: Request): Requester {
  let requester = known.get(request)
  if (!requester) {
    requester = {
      ip: clientIp(deps.peers.get(request)?.(), request.headers, deps.trustedProxies),
      userAgent: request.headers.get('user-agent')?.slice(0, USER_AGENT_LIMIT),
      acceptLanguage: request.headers.get('accept-language')?.slice(0, USER_AGENT_LIMIT),
    }
    known.set(request, requester)
  }
  return requester
}

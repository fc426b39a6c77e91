import { findLimit, takeFromLimit } from '../../sql/limits.ts'
import type { Deps } from '../deps.ts'
import { RateLimited } from '../http/errors.ts'
import { base64url } from '../lib/base64url.ts'
import { hmacSha256 } from '../lib/digest.ts'
import { formatIp, parseIp } from '../lib/ip.ts'

/** How often something may happen: `burst` at once, then `per_second` (reference section 7). */
export interface Limit {
  burst: number
  per_second: number
}

/**
 * Takes one from the limit of `subject` (an address, an account). Shared by all processes through PostgreSQL; keys are
 * stored under an HMAC, since they hold addresses of people.
 *
 * @throws RateLimited with the seconds to wait
 */
export async function take(
  deps: Pick<Deps, 'sql' | 'clock' | 'secrets'>,
  name: string,
  subject: string,
  limit: Limit,
): Promise<void> {
  const now = deps.clock.now()
  const interval = 1000 / limit.per_second
  const key = `${name}:${base64url(hmacSha256(deps.secrets.limits, `${name}\n${subject}`).subarray(0, 18))}`
  const [taken] = await takeFromLimit(deps.sql, key, now, interval, limit.burst)
  if (taken) return
  const [limited] = await findLimit(deps.sql, key)
  const allowedAt = limited ? limited.arrival_at.getTime() + interval - interval * limit.burst : now.getTime()
  throw new RateLimited(Math.max(1, Math.ceil((allowedAt - now.getTime()) / 1000)))
}

/** Whom a limit by address counts: IPv4 addresses one by one, IPv6 by /64; requests without an address share a name. */
export function limitSubject(ip: string | undefined): string {
  const address = ip === undefined ? undefined : parseIp(ip)
  if (ip === undefined || !address) return 'unknown'
  // One customer commonly holds a whole IPv6 /64; limits by single address would not hold them.
  return ip.includes(':') ? `${formatIp(address.fill(0, 8))}/64` : ip
}

import { findLimit, type LimitUse, takeFromLimits } from '../../sql/limits.ts'
import type { Deps } from '../deps.ts'
import { RateLimited } from '../http/errors.ts'
import { base64url } from '../lib/base64url.ts'
import { hmacSha256 } from '../lib/digest.ts'
import { formatIp, parseIp } from '../lib/ip.ts'

/** How often something may happen: `burst` at once, then `per_second` (reference operations 7). */
export interface Limit {
  burst: number
  per_second: number
}

/** A use of a limit: its name, whom it counts (an address, an account), how often they may. */
export type Use = [name: string, subject: string, limit: Limit]

/**
 * Takes one from the limit of a subject, and one from that of a second one if the first has room: in one statement, as
 * most forms have two. Shared by all processes through PostgreSQL; keys are stored under an HMAC, since they hold addresses
 * of people.
 *
 * @throws RateLimited with the seconds to wait
 */
export async function takeAll(deps: LimitNeeds, first: Use, second?: Use): Promise<void> {
  const now = deps.clock.now()
  const taken = await takeFromLimits(deps.sql, [limitUse(deps, first), second && limitUse(deps, second)], now)
  const refused = taken.length === 0 ? first : taken.length === 1 ? second : undefined
  if (!refused) return
  const [name, , limit] = refused
  deps.log.info('limit.hit', { limit: name })
  throw await limited(deps, limitUse(deps, refused).key, limit)
}

/** Takes one from the limit of `subject` (`takeAll`). */
export const take = (deps: LimitNeeds, ...use: Use): Promise<void> => takeAll(deps, use)

type LimitNeeds = Pick<Deps, 'sql' | 'clock' | 'secrets' | 'log'>

const limitUse = (deps: LimitNeeds, [name, subject, { burst, per_second }]: Use): LimitUse => ({
  key: keyOf(deps, name, subject),
  interval: 1000 / per_second,
  burst,
})

const keyOf = (deps: Pick<Deps, 'secrets'>, name: string, subject: string): string =>
  `${name}:${base64url(hmacSha256(deps.secrets.limits, `${name}\n${subject}`).subarray(0, 18))}`

/** How long a limited key must wait. */
async function limited(deps: Pick<Deps, 'sql' | 'clock'>, key: string, limit: Limit): Promise<RateLimited> {
  const [row] = await findLimit(deps.sql, key)
  const now = deps.clock.now().getTime()
  return new RateLimited(Math.max(1, Math.ceil((row ? opensAt(row.arrival_at, limit) - now : 0) / 1000)))
}

/** When a key with this arrival time may be taken from again, in milliseconds since the epoch. */
const opensAt = (arrivalAt: Date, { burst, per_second }: Limit): number =>
  arrivalAt.getTime() - (1000 / per_second) * (burst - 1)

/** Subjects that guessed wrong, as one process remembers them: only these are looked up before a check. */
export type Guessers = Set<string>
/** Guessers that one process remembers; who falls out is looked up again after the next wrong guess. */
const CAPACITY = 10_000

/**
 * Checks a secret that a program presents, with the wrong ones limited by `subject`. A right secret costs no query,
 * unless this process saw wrong ones from the same subject before: then a used-up limit refuses even a right one, or
 * guessing would go on behind the refusals.
 *
 * @throws RateLimited with the seconds to wait
 */
export async function checkSecret(
  deps: Pick<Deps, 'sql' | 'clock' | 'secrets' | 'guessers' | 'log'>,
  name: string,
  subject: string,
  limit: Limit,
  isRight: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const key = keyOf(deps, name, subject)
  if (deps.guessers.has(key)) {
    const [row] = await findLimit(deps.sql, key)
    if (row && opensAt(row.arrival_at, limit) > deps.clock.now().getTime()) {
      deps.log.info('limit.hit', { limit: name })
      throw await limited(deps, key, limit)
    }
  }
  if (await isRight()) return true
  deps.guessers.add(key)
  const [oldest] = deps.guessers
  if (deps.guessers.size > CAPACITY && oldest !== undefined) deps.guessers.delete(oldest)
  await take(deps, name, subject, limit)
  return false
}

/** Whom a limit by address counts: IPv4 addresses one by one, IPv6 by /64; requests without an address share a name. */
export function limitSubject(ip: string | undefined): string {
  const address = ip === undefined ? undefined : parseIp(ip)
  if (ip === undefined || !address) return 'unknown'
  // One customer commonly holds a whole IPv6 /64; limits by single address would not hold them.
  return ip.includes(':') ? `${formatIp(address.fill(0, 8))}/64` : ip
}

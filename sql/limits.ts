import type { Db } from './connect.ts'
import type { Fragment } from './page.ts'

/** One use of a limit: `burst` uses at once, then one in `interval` milliseconds. */
export interface LimitUse {
  key: string
  interval: number
  burst: number
}

/** Moves the arrival time of a key on by `interval`, unless that would run further ahead of now than `burst * interval`. */
const takenBy = (sql: Db, { key, interval, burst }: LimitUse, now: Date, after: Fragment) => sql`
  insert into latchkey.rate_limits as r (key, arrival_at)
  select ${key}, ${new Date(now.getTime() + interval)}::timestamptz ${after}
  on conflict (key) do update
    set arrival_at = greatest(r.arrival_at, ${now}) + make_interval(secs => ${interval / 1000}::float8)
    where greatest(r.arrival_at, ${now}) + make_interval(secs => ${interval / 1000}::float8)
      <= ${new Date(now.getTime() + Math.ceil(interval * burst))}
  returning key`

/**
 * One step of GCRA, the limiter of reference operations 7, in one conditional write, for a key and, when that has room,
 * for a second one. The keys that had room: one that is missing is limited.
 */
export const takeFromLimits = (sql: Db, [first, second]: [LimitUse, LimitUse | undefined], now: Date) => {
  const one = takenBy(sql, first, now, sql``)
  if (!second) return sql<{ key: string }[]>`${one}`
  return sql<{ key: string }[]>`
    with one as (${one}),
    two as (${takenBy(sql, second, now, sql`from one`)})
    select key from one union all select key from two`
}

/** The arrival time of a limited key, to tell a person how long to wait. */
export const findLimit = (sql: Db, key: string) => sql<{ arrival_at: Date }[]>`
  select arrival_at from latchkey.rate_limits where key = ${key}`

/** Forgets keys that limit nobody any more. */
export const deleteIdleLimits = (sql: Db, now: Date) => sql`
  delete from latchkey.rate_limits where arrival_at < ${now}`

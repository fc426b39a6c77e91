import type { Db } from './connect.ts'

/**
 * One step of GCRA, the limiter of reference operations 7, in one conditional write: the arrival time moves on by
 * `interval` unless that would run further ahead of now than `burst * interval`. No row means: limited.
 */
export const takeFromLimit = (sql: Db, key: string, now: Date, intervalMs: number, burst: number) => sql<
  { arrival_at: Date }[]
>`
  insert into latchkey.rate_limits as r (key, arrival_at)
  values (${key}, ${new Date(now.getTime() + intervalMs)})
  on conflict (key) do update
    set arrival_at = greatest(r.arrival_at, ${now}) + make_interval(secs => ${intervalMs / 1000}::float8)
    where greatest(r.arrival_at, ${now}) + make_interval(secs => ${intervalMs / 1000}::float8)
      <= ${new Date(now.getTime() + Math.ceil(intervalMs * burst))}
  returning arrival_at`

/** The arrival time of a limited key, to tell a person how long to wait. */
export const findLimit = (sql: Db, key: string) => sql<{ arrival_at: Date }[]>`
  select arrival_at from latchkey.rate_limits where key = ${key}`

/** Forgets keys that limit nobody any more. */
export const deleteIdleLimits = (sql: Db, now: Date) => sql`
  delete from latchkey.rate_limits where arrival_at < ${now}`

import type { Db } from './connect.ts'

/** Takes the lease of a user if it is free; the row carries the new generation (decision 9). */
export const takeLease = (sql: Db, userId: string, now: Date, expiresAt: Date) => sql<
  { generation: string }[]
>`
  insert into latchkey.user_leases as lease (user_id, generation, expires_at)
  values (${userId}, 1, ${expiresAt})
  on conflict (user_id) do update set generation = lease.generation + 1, expires_at = ${expiresAt}
    where lease.expires_at <= ${now}
  returning generation`

/** Whether a lease is still held in this generation, and until at least `until`. */
export const findLease = (sql: Db, userId: string, generation: string, until: Date) => sql<
  { held: boolean }[]
>`
  select true as held from latchkey.user_leases
  where user_id = ${userId} and generation = ${generation} and expires_at >= ${until}`

/** Frees a lease, if this generation still holds it. */
export const releaseLease = (sql: Db, userId: string, generation: string, now: Date) => sql`
  update latchkey.user_leases set expires_at = ${now} where user_id = ${userId} and generation = ${generation}`

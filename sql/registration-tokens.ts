import type { Db } from './connect.ts'
import {
  bounds,
  type Counting,
  counted,
  type Fragment,
  type ListTable,
  type PageBounds,
  where,
  window,
} from './page.ts'

/** An invitation. */
export interface RegistrationTokenRow {
  id: string
  sealed_token: string
  /** Null for any number of times. */
  usage_limit: number | null
  times_used: number
  created_at: Date
  last_used_at: Date | null
  expires_at: Date | null
  revoked_at: Date | null
}

/** Which invitations; what is undefined does not matter. */
export interface RegistrationTokenFilter {
  used: boolean | undefined
  revoked: boolean | undefined
  expired: boolean | undefined
  valid: boolean | undefined
  now: Date
}

const columns = (sql: Db) =>
  sql`t.id, t.sealed_token, t.usage_limit, t.times_used, t.created_at, t.last_used_at, t.expires_at, t.revoked_at`

const tokens = (sql: Db): ListTable => ({ from: sql`latchkey.registration_tokens t`, id: sql`t.id` })

/** Whether somebody may still sign up with it: not revoked, not expired, used less often than it may be. */
const isValid = (sql: Db, now: Date): Fragment => sql`(t.revoked_at is null
  and (t.expires_at is null or t.expires_at > ${now}) and (t.usage_limit is null or t.times_used < t.usage_limit))`

function conditions(
  sql: Db,
  { used, revoked, expired, valid, now }: RegistrationTokenFilter,
): (Fragment | undefined)[] {
  return [
    used === undefined ? undefined : sql`(t.times_used > 0) = ${used}`,
    revoked === undefined ? undefined : sql`(t.revoked_at is not null) = ${revoked}`,
    expired === undefined ? undefined : sql`coalesce(t.expires_at <= ${now}, false) = ${expired}`,
    valid === undefined ? undefined : sql`${isValid(sql, now)} = ${valid}`,
  ]
}

/** Adds an invitation; no row when there is one with this text. */
export const insertRegistrationToken = (
  sql: Db,
  token: {
    id: string
    hash: Uint8Array
    sealed: string
    usageLimit: number | null
    expiresAt: Date | null
    now: Date
  },
) => sql<RegistrationTokenRow[]>`
  insert into latchkey.registration_tokens as t (id, token_hash, sealed_token, usage_limit, expires_at, created_at)
  values (${token.id}, ${token.hash}, ${token.sealed}, ${token.usageLimit}, ${token.expiresAt}, ${token.now})
  on conflict (token_hash) do nothing
  returning ${columns(sql)}`

/** A page of the invitations, and one row more when there are more. */
export const listRegistrationTokens = (sql: Db, filter: RegistrationTokenFilter, page: PageBounds) => sql<
  RegistrationTokenRow[]
>`
  select ${columns(sql)} from latchkey.registration_tokens t
  ${where(sql, [...conditions(sql, filter), ...bounds(sql, tokens(sql), page)])} ${window(sql, tokens(sql), page)}`

/** How many there are. */
export const countRegistrationTokens = (sql: Db, filter: RegistrationTokenFilter, how: Counting) =>
  counted(sql, sql`latchkey.registration_tokens t`, conditions(sql, filter), how)

/** One of them. */
export const findRegistrationToken = (sql: Db, id: string) => sql<RegistrationTokenRow[]>`
  select ${columns(sql)} from latchkey.registration_tokens t where t.id = ${id}`

/** The invitation of a digest, if somebody may still sign up with it. */
export const findValidRegistrationToken = (sql: Db, hash: Uint8Array, now: Date) => sql<{ id: string }[]>`
  select t.id from latchkey.registration_tokens t where t.token_hash = ${hash} and ${isValid(sql, now)}`

/** Counts one use of an invitation, in the transaction that makes the account; no row when it is no longer valid. */
export const useRegistrationToken = (sql: Db, id: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.registration_tokens t set times_used = times_used + 1, last_used_at = ${now}
  where t.id = ${id} and ${isValid(sql, now)}
  returning t.id`

/** Sets how often and how long an invitation may be used. */
export const updateRegistrationToken = (
  sql: Db,
  id: string,
  change: { usageLimit: number | null; expiresAt: Date | null },
) => sql<RegistrationTokenRow[]>`
  update latchkey.registration_tokens t set usage_limit = ${change.usageLimit}, expires_at = ${change.expiresAt}
  where t.id = ${id} returning ${columns(sql)}`

/** Revokes an invitation; no row when it was revoked. */
export const revokeRegistrationToken = (sql: Db, id: string, now: Date) => sql<RegistrationTokenRow[]>`
  update latchkey.registration_tokens t set revoked_at = ${now} where t.id = ${id} and t.revoked_at is null
  returning ${columns(sql)}`

/** Takes a revocation back; no row when it was not revoked. */
export const unrevokeRegistrationToken = (sql: Db, id: string) => sql<RegistrationTokenRow[]>`
  update latchkey.registration_tokens t set revoked_at = null where t.id = ${id} and t.revoked_at is not null
  returning ${columns(sql)}`

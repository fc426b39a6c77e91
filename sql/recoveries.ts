import type { Db } from './connect.ts'

/** Somebody asked for a new password. */
export interface RecoveryRow {
  id: string
  browser_hash: Uint8Array
  email: string
  continuation: string
  requested_at: Date
  ip: string | null
  user_agent: string | null
  accept_language: string | null
}

/** Notes a request. */
export const insertRecovery = (
  sql: Db,
  recovery: {
    id: string
    browserHash: Uint8Array
    email: string
    continuation: string
    ip: string | null
    userAgent: string | null
    acceptLanguage: string | null
    now: Date
  },
) => sql`
  insert into latchkey.recoveries (id, browser_hash, email, continuation, requested_at, ip, user_agent,
    accept_language)
  values (${recovery.id}, ${recovery.browserHash}, ${recovery.email}, ${recovery.continuation},
    ${recovery.now}, ${recovery.ip}, ${recovery.userAgent}, ${recovery.acceptLanguage})`

/** A request by its id. */
export const findRecovery = (sql: Db, id: string) => sql<RecoveryRow[]>`
  select id, browser_hash, email, continuation, requested_at, host(ip) as ip, user_agent, accept_language
  from latchkey.recoveries where id = ${id}`

/** An account of an address, with the address as its owner wrote it. */
export interface RecoverableRow {
  user_id: string
  username: string
  email: string
  locale: string | null
  time_zone: string | null
  locked_at: Date | null
  approval_requested_at: Date | null
  has_password: boolean
  /** The account is linked to an entry of a directory. */
  in_directory: boolean
}

/** The accounts of an address that are not deactivated, by name. */
export const listRecoverable = (sql: Db, folded: string) => sql<RecoverableRow[]>`
  select u.id as user_id, u.username, e.email, u.locale, u.time_zone, u.locked_at,
    u.approval_requested_at,
    exists (select from latchkey.user_passwords p where p.user_id = u.id) as has_password,
    exists (select from latchkey.directory_links l where l.user_id = u.id) as in_directory
  from latchkey.user_emails e join latchkey.users u on u.id = e.user_id
  where e.email_folded = ${folded} and u.deactivated_at is null
  order by u.username, e.id limit 50`

/** Adds a ticket. */
export const insertRecoveryTicket = (
  sql: Db,
  ticket: { digest: Uint8Array; userId: string; recoveryId: string | null; now: Date; expiresAt: Date },
) => sql`
  insert into latchkey.recovery_tickets (digest, user_id, recovery_id, created_at, expires_at)
  values (${ticket.digest}, ${ticket.userId}, ${ticket.recoveryId}, ${ticket.now}, ${ticket.expiresAt})`

/** A ticket with its account, in any state. */
export interface RecoveryTicketRow {
  user_id: string
  recovery_id: string | null
  expires_at: Date
  used_at: Date | null
  username: string
  display_name: string | null
  locked_at: Date | null
  deactivated_at: Date | null
  has_password: boolean
  /** The account is linked to an entry of a directory. */
  in_directory: boolean
  /** Of the browser that asked, and where it was on the way to; null for the link of an administrator. */
  browser_hash: Uint8Array | null
  continuation: string | null
}

/** The ticket of a digest. */
export const findRecoveryTicket = (sql: Db, digest: Uint8Array) => sql<RecoveryTicketRow[]>`
  select t.user_id, t.recovery_id, t.expires_at, t.used_at, u.username, u.display_name, u.locked_at,
    u.deactivated_at, exists (select from latchkey.user_passwords p where p.user_id = u.id) as has_password,
    exists (select from latchkey.directory_links l where l.user_id = u.id) as in_directory,
    r.browser_hash, r.continuation
  from latchkey.recovery_tickets t
    join latchkey.users u on u.id = t.user_id
    left join latchkey.recoveries r on r.id = t.recovery_id
  where t.digest = ${digest}`

/** Claims a ticket; no row when it was used, has run out, or its account may not sign in. */
export const claimRecoveryTicket = (sql: Db, digest: Uint8Array, now: Date) => sql<{ user_id: string }[]>`
  update latchkey.recovery_tickets t set used_at = ${now}
  from latchkey.users u
  where t.digest = ${digest} and t.used_at is null and t.expires_at > ${now}
    and u.id = t.user_id and u.locked_at is null and u.deactivated_at is null
  returning t.user_id`

/** The account of a ticket that was used after `since`: its form may have been sent twice. */
export const findJustUsedTicket = (sql: Db, digest: Uint8Array, since: Date) => sql<
  { user_id: string; username: string }[]
>`
  select t.user_id, u.username from latchkey.recovery_tickets t join latchkey.users u on u.id = t.user_id
  where t.digest = ${digest} and t.used_at > ${since}`

/** Ends every ticket of an account that was not used: it has another password, or another owner of its address. */
export const voidRecoveryTickets = (sql: Db, userId: string, now: Date) => sql`
  update latchkey.recovery_tickets set expires_at = ${now}
  where user_id = ${userId} and used_at is null and expires_at > ${now}`

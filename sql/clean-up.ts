import type { Db } from './connect.ts'

/** Ids of one batch: small enough to hold no lock for long. */
type Batch = { id: string }[]

/** Deletes authorization requests that began before `before`, at most `limit`. */
export const deleteOldGrants = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.authorization_grants where id in (
    select id from latchkey.authorization_grants where created_at < ${before} limit ${limit})
  returning id`

/** Deletes device requests that ran out before `before`, at most `limit`. */
export const deleteOldDeviceGrants = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.device_grants where id in (
    select id from latchkey.device_grants where expires_at < ${before} limit ${limit})
  returning id`

/**
 * Deletes sign-ups, at most `limit`: those that nobody finished and that began before `abandoned` (they hold a password
 * hash), and finished ones that began before `before`.
 */
export const deleteOldRegistrations = (sql: Db, abandoned: Date, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.registrations where id in (
    select id from latchkey.registrations
    where (completed_at is null and created_at < ${abandoned}) or created_at < ${before} limit ${limit})
  returning id`

/** Deletes mails that were written before `before`, at most `limit`: nobody sends them any more. */
export const deleteOldMails = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.mails where id in (
    select id from latchkey.mails where created_at < ${before} limit ${limit})
  returning id`

/**
 * Deletes logins by SSO that began before `before`, at most `limit`, but for those of active sessions: these are listed
 * by the address that they led to.
 */
export const deleteOldCompatLogins = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.compat_logins where id in (
    select l.id from latchkey.compat_logins l left join latchkey.compat_sessions s on s.id = l.session_id
    where l.created_at < ${before} and (s.id is null or s.finished_at is not null) limit ${limit})
  returning id`

/** Deletes requests for a new password that were made before `before`, with their links, at most `limit`. */
export const deleteOldRecoveries = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.recoveries where id in (
    select id from latchkey.recoveries where requested_at < ${before} limit ${limit})
  returning id`

/** Deletes links of administrators that ran out before `before`, at most `limit`. */
export const deleteOldTickets = (sql: Db, before: Date, limit: number) => sql<{ digest: Uint8Array }[]>`
  delete from latchkey.recovery_tickets where digest in (
    select digest from latchkey.recovery_tickets where expires_at < ${before} limit ${limit})
  returning digest`

/** Forgets browsers that nobody signed in with since `before`, at most `limit`: their cookie is gone too. */
export const deleteOldBrowsers = (sql: Db, before: Date, limit: number) => sql<{ user_id: string }[]>`
  delete from latchkey.known_browsers where (user_id, browser_hash) in (
    select user_id, browser_hash from latchkey.known_browsers where last_used_at < ${before} limit ${limit})
  returning user_id`

/** Deletes codes for addresses that were first asked for before `before`, at most `limit`. */
export const deleteOldVerifications = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.email_verifications where id in (
    select id from latchkey.email_verifications where created_at < ${before} limit ${limit})
  returning id`

/** Forgets what was asked under idempotency keys before `before`, at most `limit`. */
export const deleteOldIdempotencyKeys = (sql: Db, before: Date, limit: number) => sql<
  { key_hash: Uint8Array }[]
>`
  delete from latchkey.idempotency_keys where key_hash in (
    select key_hash from latchkey.idempotency_keys where created_at < ${before} limit ${limit})
  returning key_hash`

/** Forgets JWTs that could not be used any more anyway, at most `limit`. */
export const deleteExpiredJwts = (sql: Db, now: Date, limit: number) => sql<{ digest: Uint8Array }[]>`
  delete from latchkey.used_jwts where digest in (
    select digest from latchkey.used_jwts where expires_at < ${now} limit ${limit})
  returning digest`

/** Deletes pushed requests that ran out before `before`, at most `limit`. */
export const deleteOldPushedRequests = (sql: Db, before: Date, limit: number) => sql<
  { digest: Uint8Array }[]
>`
  delete from latchkey.pushed_requests where digest in (
    select digest from latchkey.pushed_requests where expires_at < ${before} limit ${limit})
  returning digest`

/** Deletes what happened to accounts before the instant of an id, at most `limit`. */
export const deleteOldSecurityEvents = (sql: Db, beforeId: string, limit: number) => sql<Batch>`
  delete from latchkey.security_events where id in (
    select id from latchkey.security_events where id < ${beforeId} order by id limit ${limit})
  returning id`

/** Deletes what admins did before the instant of an id, at most `limit`. */
export const deleteOldAuditEntries = (sql: Db, beforeId: string, limit: number) => sql<Batch>`
  delete from latchkey.audit_log where id in (
    select id from latchkey.audit_log where id < ${beforeId} order by id limit ${limit})
  returning id`

/** Deletes passwords that a newer one replaced before `before`, at most `limit`. */
export const deleteReplacedPasswords = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.user_passwords where id in (
    select p.id from latchkey.user_passwords p where exists (
      select from latchkey.user_passwords n
      where n.user_id = p.user_id and n.created_at < ${before} and (n.created_at, n.id) > (p.created_at, p.id))
    limit ${limit})
  returning id`

/** Deletes invitations that were revoked, ran out or were used up before `before`, at most `limit`. */
export const deleteOldInvitations = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.registration_tokens where id in (
    select id from latchkey.registration_tokens
    where revoked_at < ${before} or expires_at < ${before}
      or (times_used >= usage_limit and last_used_at < ${before})
    limit ${limit})
  returning id`

/**
 * Deletes ways to providers that began before `before`, at most `limit`, but for those that began a session of a browser
 * which is still there: a logout at the provider ends it.
 */
export const deleteOldUpstreamSessions = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.upstream_sessions where id in (
    select id from latchkey.upstream_sessions
    where created_at < ${before} and browser_session_id is null limit ${limit})
  returning id`

/** Deletes identities that nobody made an account of, first seen before `before`, at most `limit`. */
export const deleteUnownedLinks = (sql: Db, before: Date, limit: number) => sql<Batch>`
  delete from latchkey.upstream_links where id in (
    select l.id from latchkey.upstream_links l
    where l.user_id is null and l.created_at < ${before}
      and not exists (select from latchkey.upstream_sessions s where s.link_id = l.id and s.created_at >= ${before})
    limit ${limit})
  returning id`

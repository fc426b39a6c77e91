import type { AuthenticationMethod } from './browser-sessions.ts'
import type { ClientMetadata } from './clients.ts'
import type { Db } from './connect.ts'

/** A device authorization request with the client that made it. */
export interface DeviceGrantRow {
  id: string
  client_id: string
  scope: string[]
  sealed_user_code: string
  browser_hash: Uint8Array | null
  created_at: Date
  expires_at: Date
  interval_seconds: number
  polled_at: Date | null
  ip: string | null
  user_agent: string | null
  locale: string | null
  fulfilled_at: Date | null
  rejected_at: Date | null
  exchanged_at: Date | null
  client_metadata: ClientMetadata
}

const columns = (sql: Db) => sql`g.id, g.client_id, g.scope, g.sealed_user_code, g.browser_hash,
  g.created_at, g.expires_at, g.interval_seconds, g.polled_at, host(g.ip) as ip, g.user_agent, g.locale, g.fulfilled_at, g.rejected_at, g.exchanged_at,
  c.metadata as client_metadata`

/** Stores a request; no row when the user code is in use. */
export const insertDeviceGrant = (
  sql: Db,
  grant: {
    id: string
    clientId: string
    scope: string[]
    deviceCodeHash: Uint8Array
    userCodeHash: Uint8Array
    sealedUserCode: string
    intervalSeconds: number
    ip: string | null
    userAgent: string | null
    now: Date
    expiresAt: Date
  },
) => sql<{ id: string }[]>`
  insert into latchkey.device_grants (id, client_id, scope, device_code_hash, user_code_hash,
    sealed_user_code, created_at, expires_at, interval_seconds, ip, user_agent)
  values (${grant.id}, ${grant.clientId}, ${grant.scope}, ${grant.deviceCodeHash}, ${grant.userCodeHash},
    ${grant.sealedUserCode}, ${grant.now}, ${grant.expiresAt}, ${grant.intervalSeconds}, ${grant.ip}, ${grant.userAgent})
  on conflict (user_code_hash) do nothing
  returning id`

/**
 * Ties the pending request of a user code to the browser that the code was typed into; no row when there is none. The
 * last browser counts: people begin on a phone and go on at a computer.
 */
export const bindDeviceGrant = (sql: Db, userCodeHash: Uint8Array, browserHash: Uint8Array, now: Date) => sql<
  { id: string }[]
>`
  update latchkey.device_grants set browser_hash = ${browserHash}
  where user_code_hash = ${userCodeHash} and fulfilled_at is null and rejected_at is null and expires_at > ${now}
  returning id`

/** The request of an id, for the page of the person who decides. */
export const findDeviceGrant = (sql: Db, id: string) => sql<DeviceGrantRow[]>`
  select ${columns(sql)} from latchkey.device_grants g join latchkey.clients c on c.id = g.client_id
  where g.id = ${id}`

/** Approves a pending request in the browser that it is tied to; no row when it is not pending any more. */
export const fulfilDeviceGrant = (
  sql: Db,
  id: string,
  browserHash: Uint8Array,
  answer: { browserSessionId: string; locale: string; now: Date },
) => sql<{ id: string }[]>`
  update latchkey.device_grants
  set fulfilled_at = ${answer.now}, browser_session_id = ${answer.browserSessionId}, locale = ${answer.locale}
  where id = ${id} and browser_hash = ${browserHash} and fulfilled_at is null and rejected_at is null
    and expires_at > ${answer.now}
  returning id`

/** Rejects a pending request in the browser that it is tied to; no row when it is not pending any more. */
export const rejectDeviceGrant = (sql: Db, id: string, browserHash: Uint8Array, now: Date) => sql<
  { id: string }[]
>`
  update latchkey.device_grants set rejected_at = ${now}
  where id = ${id} and browser_hash = ${browserHash} and fulfilled_at is null and rejected_at is null
    and expires_at > ${now}
  returning id`

/** What the exchange of a device code needs to know: the request, and who approved it. */
export interface DeviceCodeRow extends DeviceGrantRow {
  browser_session_id: string | null
  session_authenticated_at: Date | null
  session_authentication_method: AuthenticationMethod | null
  session_finished_at: Date | null
  user_id: string | null
  username: string | null
  locked_at: Date | null
  deactivated_at: Date | null
  oauth_session_id: string | null
}

/** The request of a device code. */
export const findDeviceGrantByCode = (sql: Db, hash: Uint8Array) => sql<DeviceCodeRow[]>`
  select ${columns(sql)}, g.browser_session_id, g.oauth_session_id, b.authenticated_at as session_authenticated_at,
    b.authentication_method as session_authentication_method, b.finished_at as session_finished_at, u.id as user_id, u.username, u.locked_at, u.deactivated_at
  from latchkey.device_grants g
    join latchkey.clients c on c.id = g.client_id
    left join latchkey.browser_sessions b on b.id = g.browser_session_id
    left join latchkey.users u on u.id = b.user_id
  where g.device_code_hash = ${hash}`

/**
 * Notes a poll. One that comes too early (by more than the second that networks may shift it) makes the interval 5
 * seconds longer (RFC 8628 section 3.5), up to a minute: a client that missed one answer would never catch up. `slow`
 * tells so.
 */
export const pollDeviceGrant = (sql: Db, id: string, now: Date) => sql<{ slow: boolean }[]>`
  update latchkey.device_grants g
  set polled_at = ${now},
    interval_seconds = case when before.slow then least(g.interval_seconds + 5, 60) else g.interval_seconds end
  from (
    select id, coalesce(polled_at + make_interval(secs => interval_seconds - 1) > ${now}, false) as slow
    from latchkey.device_grants where id = ${id} for update) as before
  where g.id = before.id
  returning before.slow`

/** Claims an approved request until `until` for the exchange that makes `sessionId` (see `claimCode`). */
export const claimDeviceCode = (sql: Db, id: string, sessionId: string, now: Date, until: Date) => sql<
  { id: string; scope: string[] }[]
>`
  update latchkey.device_grants set claimed_until = ${until}, oauth_session_id = ${sessionId}
  where id = ${id} and exchanged_at is null and (claimed_until is null or claimed_until <= ${now})
  returning id, scope`

/** Whether a device code was exchanged by now. */
export const findDeviceCodeState = (sql: Db, id: string) => sql<{ exchanged_at: Date | null }[]>`
  select exchanged_at from latchkey.device_grants where id = ${id}`

/** Frees a request after a failed exchange, if that one still holds it (see `releaseCode`). */
export const releaseDeviceCode = (sql: Db, id: string, sessionId: string) => sql`
  update latchkey.device_grants set claimed_until = null, exchanged_at = null
  where id = ${id} and oauth_session_id = ${sessionId}`

/** Spends a claimed request; no row when the claim ran out and another exchange took it. */
export const spendDeviceCode = (sql: Db, id: string, sessionId: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.device_grants set exchanged_at = ${now}
  where id = ${id} and exchanged_at is null and oauth_session_id = ${sessionId}
  returning id`

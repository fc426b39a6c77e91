import type { Db } from './connect.ts'

/** A sign-up under way. */
export interface RegistrationRow {
  id: string
  browser_hash: Uint8Array
  username: string
  password_version: number | null
  password_hash: string | null
  terms_uri: string | null
  terms_version: string
  /** The invitation that was given, if it still exists. */
  registration_token_id: string | null
  /** It needs an invitation: one spared it the check against robots, or its provider wants one. */
  invited: boolean
  /** What a provider called the person, before they were asked. */
  display_name: string | null
  /** The way to a provider that they came by, in place of a password. */
  upstream_session_id: string | null
  /** The provider decided, and the person changes nothing about it. */
  username_decided: boolean
  display_name_decided: boolean
  email_decided: boolean
  continuation: string
  created_at: Date
  completed_at: Date | null
  /** Its account waited for approval in the end. */
  needs_approval: boolean
}

const columns = (sql: Db) =>
  sql`id, browser_hash, username, password_version, password_hash, terms_uri, terms_version, registration_token_id,
    invited, display_name, upstream_session_id, username_decided, display_name_decided, email_decided, continuation, created_at, completed_at, needs_approval`

/** Begins a sign-up. */
export const insertRegistration = (
  sql: Db,
  registration: {
    id: string
    browserHash: Uint8Array
    username: string
    usernameFolded: string
    registrationTokenId: string | null
    invited: boolean
    passwordVersion: number | null
    passwordHash: string | null
    displayName?: string | null
    upstreamSessionId?: string | null
    decided?: { username: boolean; displayName: boolean; email: boolean }
    termsUri: string | null
    termsVersion: string
    continuation: string
    ip: string | null
    userAgent: string | null
    now: Date
  },
) => sql`
  insert into latchkey.registrations (id, browser_hash, username, username_folded, registration_token_id,
    invited, password_version, password_hash, display_name, upstream_session_id, username_decided, display_name_decided,
    email_decided, terms_uri, terms_version, continuation, ip, user_agent, created_at)
  values (${registration.id}, ${registration.browserHash}, ${registration.username}, ${registration.usernameFolded},
    ${registration.registrationTokenId}, ${registration.invited},
    ${registration.passwordVersion}, ${registration.passwordHash}, ${registration.displayName ?? null},
    ${registration.upstreamSessionId ?? null}, ${registration.decided?.username ?? false},
    ${registration.decided?.displayName ?? false}, ${registration.decided?.email ?? false}, ${registration.termsUri}, ${registration.termsVersion},
    ${registration.continuation}, ${registration.ip}, ${registration.userAgent}, ${registration.now})`

/** A sign-up by its id. */
export const findRegistration = (sql: Db, id: string) => sql<RegistrationRow[]>`
  select ${columns(sql)}
  from latchkey.registrations where id = ${id}`

/** Claims a sign-up for completion; no row when it was completed before. Its password hash goes with it. */
export const completeRegistration = (sql: Db, id: string, displayName: string, now: Date) => sql<
  { id: string }[]
>`
  update latchkey.registrations
  set completed_at = ${now}, display_name = ${displayName}, password_hash = null, password_version = null
  where id = ${id} and completed_at is null
  returning id`

/** Notes that the account of a sign-up waits for approval. */
export const markNeedsApproval = (sql: Db, id: string) => sql`
  update latchkey.registrations set needs_approval = true where id = ${id}`

/** Gives a sign-up under way another name, when the first one was taken meanwhile. */
export const renameRegistration = (sql: Db, id: string, username: string, folded: string) => sql`
  update latchkey.registrations set username = ${username}, username_folded = ${folded}
  where id = ${id} and completed_at is null`

/** Notes the invitation of a sign-up under way; null takes away one that no longer works. */
export const setRegistrationToken = (sql: Db, id: string, tokenId: string | null) => sql`
  update latchkey.registrations set registration_token_id = ${tokenId} where id = ${id} and completed_at is null`

/** The newest sign-up of a browser that is under way: begun after `since`, and not finished. */
export const findLiveRegistration = (sql: Db, browserHash: Uint8Array, since: Date) => sql<RegistrationRow[]>`
  select ${columns(sql)} from latchkey.registrations
  where browser_hash = ${browserHash} and completed_at is null and created_at > ${since}
  order by id desc limit 1`

/** Where a sign-up under way leads from now on. */
export const setRegistrationContinuation = (sql: Db, id: string, continuation: string) => sql`
  update latchkey.registrations set continuation = ${continuation} where id = ${id} and completed_at is null`

/** Gives up what a browser began and did not finish; its names are free. */
export const deleteUnfinishedRegistrations = (sql: Db, browserHash: Uint8Array) => sql`
  delete from latchkey.registrations where browser_hash = ${browserHash} and completed_at is null`

/**
 * A sign-up of another browser that holds a name: begun after `since`, and not finished. For a sign-up that is under way
 * itself (`own`) those alone count that were first, or two of the same instant would keep each other from it.
 */
export const findReservation = (
  sql: Db,
  folded: string,
  browserHash: Uint8Array,
  since: Date,
  own: string | null,
) => sql<{ id: string }[]>`
  select id from latchkey.registrations
  where username_folded = ${folded} and completed_at is null and created_at > ${since}
    and browser_hash <> ${browserHash} and (${own}::uuid is null or id < ${own}::uuid)
  limit 1`

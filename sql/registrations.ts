import type { Db } from './connect.ts'

/** A sign-up under way. */
export interface RegistrationRow {
  id: string
  browser_hash: Uint8Array
  username: string
  password_version: number | null
  password_hash: string | null
  terms_uri: string | null
  continuation: string
  created_at: Date
  completed_at: Date | null
}

/** Begins a sign-up. */
export const insertRegistration = (
  sql: Db,
  registration: {
    id: string
    browserHash: Uint8Array
    username: string
    passwordVersion: number
    passwordHash: string
    termsUri: string | null
    continuation: string
    ip: string | null
    userAgent: string | null
    now: Date
  },
) => sql`
  insert into latchkey.registrations (id, browser_hash, username, password_version, password_hash, terms_uri,
    continuation, ip, user_agent, created_at)
  values (${registration.id}, ${registration.browserHash}, ${registration.username},
    ${registration.passwordVersion}, ${registration.passwordHash}, ${registration.termsUri},
    ${registration.continuation}, ${registration.ip}, ${registration.userAgent}, ${registration.now})`

/** A sign-up by its id. */
export const findRegistration = (sql: Db, id: string) => sql<RegistrationRow[]>`
  select id, browser_hash, username, password_version, password_hash, terms_uri, continuation, created_at,
    completed_at
  from latchkey.registrations where id = ${id}`

/** Claims a sign-up for completion; no row when it was completed before. Its password hash goes with it. */
export const completeRegistration = (sql: Db, id: string, displayName: string, now: Date) => sql<
  { id: string }[]
>`
  update latchkey.registrations
  set completed_at = ${now}, display_name = ${displayName}, password_hash = null, password_version = null
  where id = ${id} and completed_at is null
  returning id`

/** Gives a sign-up under way another name, when the first one was taken meanwhile. */
export const renameRegistration = (sql: Db, id: string, username: string) => sql`
  update latchkey.registrations set username = ${username} where id = ${id} and completed_at is null`

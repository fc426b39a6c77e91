import type { Db } from './connect.ts'

/** A person as the homeserver is told about them. */
export interface ProvisioningRow {
  username: string
  display_name: string | null
  emails: string[]
  locked_at: Date | null
  deactivated_at: Date | null
  provisioned_at: Date | null
  reactivated_at: Date | null
  approval_requested_at: Date | null
}

/** What the homeserver has to know of a person, with the complete list of addresses, oldest first. */
export const findProvisioning = (sql: Db, id: string) => sql<ProvisioningRow[]>`
  select u.username, u.display_name, u.locked_at, u.deactivated_at, u.provisioned_at, u.reactivated_at,
    u.approval_requested_at,
    array(select e.email from latchkey.user_emails e where e.user_id = u.id order by e.id) as emails
  from latchkey.users u where u.id = ${id}`

/**
 * Marks that the homeserver knows the user; keeps the first time. A reactivation after `reactivatedAt`, the one that it
 * was told about, still has to reach it.
 */
export const markProvisioned = (sql: Db, id: string, now: Date, reactivatedAt: Date | null) => sql`
  update latchkey.users set provisioned_at = coalesce(provisioned_at, ${now}),
    reactivated_at = case when reactivated_at > ${reactivatedAt}::timestamptz then reactivated_at end
  where id = ${id}`

/** Brings an account back; the homeserver has to be told everything anew. No row for one that does not exist. */
export const reactivateUser = (sql: Db, id: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.users
  set deactivated_at = null, erased_at = null, provisioned_at = null, reactivated_at = ${now}
  where id = ${id} and deleted_at is null returning id`

/** Marks the wish that the homeserver hides what a deactivated person wrote; keeps the first time. */
export const markErased = (sql: Db, id: string, now: Date) => sql`
  update latchkey.users set erased_at = coalesce(erased_at, ${now}) where id = ${id}`

/** Stores a display name; no row for an account that is not active. */
export const updateDisplayName = (sql: Db, id: string, displayName: string | null) => sql<{ id: string }[]>`
  update latchkey.users set display_name = ${displayName} where id = ${id} and deactivated_at is null
  returning id`

/** A person whom the nightly check looks at. */
export interface CheckedPersonRow {
  id: string
  username: string
  provisioned_at: Date | null
  locked_at: Date | null
  deactivated_at: Date | null
  erased_at: Date | null
}

/**
 * The next people to check, in the order of their ids; deactivated ones only if that was after `since`, and none that
 * wait for approval.
 */
export const listPeopleToCheck = (sql: Db, after: string | null, since: Date, limit: number) => sql<
  CheckedPersonRow[]
>`
  select id, username, provisioned_at, locked_at, deactivated_at, erased_at from latchkey.users
  where (${after}::uuid is null or id > ${after}::uuid) and (deactivated_at is null or deactivated_at > ${since})
    and approval_requested_at is null
  order by id limit ${limit}`

/** Forgets that the homeserver knows a person: it does not. */
export const markUnprovisioned = (sql: Db, id: string) => sql`
  update latchkey.users set provisioned_at = null where id = ${id}`

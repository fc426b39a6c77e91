import type { Db } from './connect.ts'

/** A deactivation that can still be taken back, with its account. */
export interface PendingDeactivationRow {
  user_id: string
  username: string
  due_at: Date
}

/** Notes a deactivation that is to come; no row when one is to come already, which stays as it is. */
export const insertPendingDeactivation = (
  sql: Db,
  pending: {
    userId: string
    digest: Uint8Array
    erase: boolean
    keepLocked: boolean
    now: Date
    dueAt: Date
  },
) => sql<{ user_id: string }[]>`
  insert into latchkey.pending_deactivations (user_id, digest, erase, requested_at, due_at, keep_locked)
  values (${pending.userId}, ${pending.digest}, ${pending.erase}, ${pending.now}, ${pending.dueAt},
    ${pending.keepLocked})
  on conflict do nothing returning user_id`

/** The deactivation that the link of a mail is about. */
export const findPendingDeactivation = (sql: Db, digest: Uint8Array) => sql<PendingDeactivationRow[]>`
  select p.user_id, u.username, p.due_at
  from latchkey.pending_deactivations p join latchkey.users u on u.id = p.user_id where p.digest = ${digest}`

/** When the account of a name will be deactivated. */
export const findDeactivationDate = (sql: Db, username: string) => sql<{ due_at: Date }[]>`
  select p.due_at from latchkey.pending_deactivations p join latchkey.users u on u.id = p.user_id
  where u.username = ${username}`

/** Takes a deactivation back by its link; no row when somebody was first, or it has happened. */
export const claimPendingDeactivation = (sql: Db, digest: Uint8Array) => sql<
  { user_id: string; keep_locked: boolean }[]
>`
  delete from latchkey.pending_deactivations where digest = ${digest} returning user_id, keep_locked`

/** Forgets the deactivation that is to come of an account; no row where there is none. */
export const deletePendingDeactivation = (sql: Db, userId: string) => sql<{ user_id: string }[]>`
  delete from latchkey.pending_deactivations where user_id = ${userId} returning user_id`

/** The account stays locked when its deactivation is taken back. */
export const keepLockedAfterDeactivation = (sql: Db, userId: string) => sql`
  update latchkey.pending_deactivations set keep_locked = true where user_id = ${userId}`

/** Claims one deactivation whose time has come. */
export const claimDueDeactivation = (sql: Db, now: Date) => sql<{ user_id: string; erase: boolean }[]>`
  delete from latchkey.pending_deactivations where user_id = (
    select user_id from latchkey.pending_deactivations where due_at <= ${now}
    order by due_at limit 1 for update skip locked)
  returning user_id, erase`

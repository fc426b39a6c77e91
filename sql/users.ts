import type { Db } from './connect.ts'
import type { Fragment } from './page.ts'

/** A person's account, as every use case sees it. */
export interface UserRow {
  id: string
  username: string
  display_name: string | null
  is_admin: boolean
  created_at: Date
  locked_at: Date | null
  deactivated_at: Date | null
  provisioned_at: Date | null
  /** It waits for an admin's approval, locked. */
  approval_requested_at: Date | null
}

const columns = (sql: Db) =>
  sql`u.id, u.username, u.display_name, u.is_admin, u.created_at, u.locked_at, u.deactivated_at, u.provisioned_at,
    u.approval_requested_at`

/** Inserts a user; no row when the folded name is taken. */
export const insertUser = (
  sql: Db,
  user: {
    id: string
    username: string
    folded: string
    displayName: string | null
    isAdmin: boolean
    now: Date
  },
) => sql<{ id: string }[]>`
  insert into latchkey.users (id, username, username_folded, display_name, is_admin, created_at)
  values (${user.id}, ${user.username}, ${user.folded}, ${user.displayName}, ${user.isAdmin}, ${user.now})
  on conflict (username_folded) where not imported_duplicate do nothing
  returning id`

/**
 * The user of a name: the folded name decides, except where an import brought several that differ in case only; then
 * only the exact spelling counts (edge 54).
 */
export const findUserByName = (sql: Db, username: string, folded: string) => sql<UserRow[]>`
  select ${columns(sql)} from latchkey.users u where ${isNamed(sql, username, folded)} limit 1`

const isNamed = (sql: Db, username: string, folded: string) => sql`
  u.username_folded = ${folded}
    and (u.username = ${username} or not exists (
      select from latchkey.users other where other.username_folded = ${folded} and other.id <> u.id))`

/** As `findUserByName`, with the active password. */
export const findUserAndPassword = (sql: Db, username: string, folded: string) => sql<
  (UserRow & { password: PasswordRow | null })[]
>`
  select ${columns(sql)}, (
    ${activePassword(sql, sql`jsonb_build_object('id', p.id, 'version', p.version, 'hash', p.hash)`, sql`u.id`)}) as password
  from latchkey.users u where ${isNamed(sql, username, folded)} limit 1`

/** The user of an id. */
export const findUser = (sql: Db, id: string) => sql<UserRow[]>`
  select ${columns(sql)} from latchkey.users u where u.id = ${id}`

/** The user of an email address, unless several accounts share it. */
export const findUserByEmail = (sql: Db, folded: string) => sql<UserRow[]>`
  select ${columns(sql)} from latchkey.user_emails e join latchkey.users u on u.id = e.user_id
  where e.email_folded = ${folded}
    and not exists (
      select from latchkey.user_emails other where other.email_folded = ${folded} and other.id <> e.id)`

/** The user that an entry of the directory is linked to. */
export const findUserByEntry = (sql: Db, entryId: string) => sql<UserRow[]>`
  select ${columns(sql)} from latchkey.directory_links l join latchkey.users u on u.id = l.user_id
  where l.entry_id = ${entryId}`

/** Whether any account exists: the first one of a first start becomes an admin (decision 25). */
export const anyUserExists = (sql: Db) => sql<{ exists: boolean }[]>`
  select exists (select from latchkey.users) as exists`

/** Waits until no other transaction makes the first account; held until this one ends. The number is ours alone. */
export const lockFirstAccount = (sql: Db) => sql`select pg_advisory_xact_lock(7091601)`

/** Locks a user; no row for one that is locked, which stays as it was. */
export const lockUser = (sql: Db, id: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.users set locked_at = ${now} where id = ${id} and locked_at is null returning id`

/** Unlocks a user; no row for one that is not locked, or that waits for approval. */
export const unlockUser = (sql: Db, id: string) => sql<{ id: string }[]>`
  update latchkey.users set locked_at = null
  where id = ${id} and locked_at is not null and approval_requested_at is null returning id`

/** Marks a user as deactivated; no row for one that is, which keeps the first time. */
export const deactivateUser = (sql: Db, id: string, now: Date) => sql<{ id: string }[]>`
  update latchkey.users set deactivated_at = ${now}, reactivated_at = null
  where id = ${id} and deactivated_at is null returning id`

/** Adds an address; no row when it is taken. */
export const insertEmail = (
  sql: Db,
  email: { id: string; userId: string; email: string; folded: string; now: Date },
) => sql<{ id: string }[]>`
  insert into latchkey.user_emails (id, user_id, email, email_folded, created_at)
  values (${email.id}, ${email.userId}, ${email.email}, ${email.folded}, ${email.now})
  on conflict (email_folded) where not imported_duplicate do nothing
  returning id`

/** Removes every address of a user (deactivation). */
export const deleteEmails = (sql: Db, userId: string) => sql`
  delete from latchkey.user_emails where user_id = ${userId}`

/** A hashed password; `version` is that of its scheme. */
export interface PasswordRow {
  id: string
  version: number
  hash: string
}

/** The newest password of a user, which is the active one. */
const activePassword = (sql: Db, selected: Fragment, userId: Fragment) => sql`
  select ${selected} from latchkey.user_passwords p
  where p.user_id = ${userId} order by p.created_at desc, p.id desc limit 1`

/** The active password of a user. */
export const findPassword = (sql: Db, userId: string) => sql<PasswordRow[]>`
  ${activePassword(sql, sql`p.id, p.version, p.hash`, sql`${userId}`)}`

/** Adds a password, which becomes the active one. */
export const insertPassword = (
  sql: Db,
  password: { id: string; userId: string; version: number; hash: string; now: Date },
) => sql`
  insert into latchkey.user_passwords (id, user_id, version, hash, created_at)
  values (${password.id}, ${password.userId}, ${password.version}, ${password.hash}, ${password.now})`

/** Hashes a password anew; does nothing when another one took its place meanwhile. */
export const rehashPassword = (sql: Db, id: string, version: number, hash: string) => sql`
  update latchkey.user_passwords set version = ${version}, hash = ${hash} where id = ${id}`

/** Removes every password of a user, older ones included. */
export const deletePasswords = (sql: Db, userId: string) => sql`
  delete from latchkey.user_passwords where user_id = ${userId}`

/** Forgets that the homeserver knows anybody: there was none, and now there is one (decision 27). */
export const forgetProvisioning = (sql: Db) => sql`
  update latchkey.users set provisioned_at = null where provisioned_at is not null`

/** The next people whom the homeserver does not know, in the order of their ids. */
export const listUnprovisioned = (sql: Db, after: string | null, limit: number) => sql<{ id: string }[]>`
  select id from latchkey.users
  where provisioned_at is null and deactivated_at is null and approval_requested_at is null
    and (${after}::uuid is null or id > ${after}::uuid)
  order by id limit ${limit}`

/** Gives or takes the right to administer; no row for an account that does not exist. */
export const setAdmin = (sql: Db, id: string, isAdmin: boolean) => sql<{ id: string }[]>`
  update latchkey.users set is_admin = ${isAdmin} where id = ${id} returning id`

/** The accounts that may administer, by name; deactivated ones are not among them. */
export const listAdmins = (sql: Db) => sql<{ username: string; locked_at: Date | null }[]>`
  select username, locked_at from latchkey.users
  where is_admin and deactivated_at is null order by username_folded, id`

import type { Db } from './connect.ts'
import {
  beginning,
  bounds,
  COUNTED_SLOWLY,
  type Counting,
  containing,
  counted,
  type Fragment,
  type ListTable,
  type PageBounds,
  where,
  window,
} from './page.ts'

/** An account as admins see it. */
export interface AdminUserRow {
  id: string
  username: string
  display_name: string | null
  created_at: Date
  locked_at: Date | null
  deactivated_at: Date | null
  is_admin: boolean
  is_guest: boolean
  approval_requested_at: Date | null
}

/** Which accounts; what is undefined does not matter. */
export interface UserFilter {
  admin: boolean | undefined
  guest: boolean | undefined
  /** Part of the name, folded; its beginning where there are not three letters or digits in a row. */
  search: string | undefined
  /** `locked` leaves out those that wait for approval. */
  status: 'active' | 'locked' | 'deactivated' | 'awaiting_approval' | undefined
  /** With an active session of one of these clients. */
  clientIds: string[] | undefined
  hasOAuthSession: boolean | undefined
  hasCompatSession: boolean | undefined
  /** The whole address, folded. */
  email?: string | undefined
}

const columns = (sql: Db) =>
  sql`u.id, u.username, u.display_name, u.created_at, u.locked_at, u.deactivated_at, u.is_admin, u.is_guest,
    u.approval_requested_at`

const users = (sql: Db): ListTable => ({ from: sql`latchkey.users u`, id: sql`u.id` })

/** The index over parts of names knows those of three letters or digits; whatever else is looked for at the beginning. */
const patternOf = (search: string): string =>
  /[\p{L}\p{N}]{3}/u.test(search) ? containing(search) : beginning(search)

function conditions(sql: Db, filter: UserFilter): (Fragment | undefined)[] {
  const { admin, guest, search, status, clientIds, hasOAuthSession, hasCompatSession } = filter
  const active = (which: Fragment, wanted: boolean): Fragment =>
    sql`${wanted ? sql`` : sql`not`} exists (select from ${which} s where s.user_id = u.id and s.finished_at is null)`
  return [
    // What was deleted leaves its name behind, and is in no list.
    sql`u.deleted_at is null`,
    admin === undefined ? undefined : admin ? sql`u.is_admin` : sql`not u.is_admin`,
    guest === undefined ? undefined : guest ? sql`u.is_guest` : sql`not u.is_guest`,
    search === undefined ? undefined : sql`u.username_folded like ${patternOf(search)}`,
    status === 'active' ? sql`u.locked_at is null and u.deactivated_at is null` : undefined,
    status === 'locked' ? sql`u.locked_at is not null and u.approval_requested_at is null` : undefined,
    status === 'awaiting_approval'
      ? sql`u.approval_requested_at is not null and u.deactivated_at is null`
      : undefined,
    status === 'deactivated' ? sql`u.deactivated_at is not null` : undefined,
    clientIds === undefined
      ? undefined
      : sql`exists (select from latchkey.oauth_sessions s
          where s.user_id = u.id and s.finished_at is null and s.client_id = any (${clientIds}::uuid[]))`,
    hasOAuthSession === undefined ? undefined : active(sql`latchkey.oauth_sessions`, hasOAuthSession),
    hasCompatSession === undefined ? undefined : active(sql`latchkey.compat_sessions`, hasCompatSession),
    filter.email === undefined
      ? undefined
      : sql`u.id in (select e.user_id from latchkey.user_emails e where e.email_folded = ${filter.email})`,
  ]
}

/**
 * In the caller's transaction, statements are planned for their values. A plan that is kept does not know whether many
 * rows contain a text or none do, and reads all of them for the one that none do.
 */
export const planForValues = (tx: Db) => tx<{ mode: string }[]>`
  select set_config('plan_cache_mode', 'force_custom_plan', true) as mode`

/** A page of the accounts, and one row more when there are more. With `search` see `planForValues`. */
export const listUsers = (sql: Db, filter: UserFilter, page: PageBounds) => sql<AdminUserRow[]>`
  select ${columns(sql)} from latchkey.users u
  ${where(sql, [...conditions(sql, filter), ...bounds(sql, users(sql), page)])} ${window(sql, users(sql), page)}`

/** For each account its sessions are looked at, or its name is read. */
const mostOf = ({ clientIds, hasOAuthSession, hasCompatSession, search }: UserFilter): number | undefined =>
  [clientIds, hasOAuthSession, hasCompatSession, search].every((one) => one === undefined)
    ? undefined
    : COUNTED_SLOWLY

/** How many accounts a filter finds. */
export const countUsers = (sql: Db, filter: UserFilter, how: Counting) =>
  counted(sql, sql`latchkey.users u`, conditions(sql, filter), how, mostOf(filter))

/** One account. */
export const findAdminUser = (sql: Db, id: string) => sql<AdminUserRow[]>`
  select ${columns(sql)} from latchkey.users u where u.id = ${id} and u.deleted_at is null`

/** The account of a name; several that an import brought are told apart by the exact spelling. */
export const findAdminUserByName = (sql: Db, username: string, folded: string) => sql<AdminUserRow[]>`
  select ${columns(sql)} from latchkey.users u
  where u.username_folded = ${folded} and u.deleted_at is null
    and (u.username = ${username} or not exists (
      select from latchkey.users other where other.username_folded = ${folded} and other.id <> u.id))
  limit 1`

/** Deletes a deactivated account with everything that belongs to it. Gives what stays; no row for any other one. */
export const deleteUser = (sql: Db, id: string) => sql<
  {
    id: string
    username: string
    username_folded: string
    imported_duplicate: boolean
    created_at: Date
    deactivated_at: Date
  }[]
>`
  delete from latchkey.users where id = ${id} and deactivated_at is not null and deleted_at is null
  returning id, username, username_folded, imported_duplicate, created_at, deactivated_at`

/** Leaves the id and the name of a deleted account behind. */
export const insertDeletedUser = (
  sql: Db,
  user: {
    id: string
    username: string
    username_folded: string
    imported_duplicate: boolean
    created_at: Date
    deactivated_at: Date
    now: Date
  },
) => sql`
  insert into latchkey.users
    (id, username, username_folded, imported_duplicate, created_at, deactivated_at, erased_at, deleted_at)
  values (${user.id}, ${user.username}, ${user.username_folded}, ${user.imported_duplicate}, ${user.created_at},
    ${user.deactivated_at}, ${user.now}, ${user.now})`

/** Gives an account another name. The name may be taken at this moment: then it is an error of the database, 23505. */
export const renameUser = (sql: Db, id: string, username: string, folded: string) => sql<{ id: string }[]>`
  update latchkey.users u set username = ${username}, username_folded = ${folded}, imported_duplicate = false
  where u.id = ${id} and u.deleted_at is null
    and not exists (select from latchkey.users o where o.username_folded = ${folded} and o.id <> u.id)
  returning u.id`

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

/** Records what an admin did, a row for each target. The ids hold the time. */
export const insertAuditEntries = (
  sql: Db,
  entry: {
    ids: string[]
    action: string
    actorUserId: string | null
    actorClientId: string | null
    targetType: string | null
    targetIds: (string | null)[]
    ip: string | null
  },
) => sql`
  insert into latchkey.audit_log (id, action, actor_user_id, actor_client_id, target_type, target_id, ip)
  select entry.id, ${entry.action}, ${entry.actorUserId}, ${entry.actorClientId}, ${entry.targetType},
    entry.target_id, ${entry.ip}
  from unnest(${entry.ids}::uuid[], ${entry.targetIds}::uuid[]) as entry (id, target_id)`

/** What an admin did. */
export interface AuditRow {
  id: string
  action: string
  actor_user_id: string | null
  actor_username: string | null
  actor_client_id: string | null
  target_type: string | null
  target_id: string | null
  ip: string | null
}

/** Which entries; what is undefined does not matter. */
export interface AuditFilter {
  actorUserId: string | undefined
  targetId: string | undefined
  action: string | undefined
  /** An id; entries from there on may still be written beside earlier ones. */
  settledBefore: string | undefined
}

const entries = (sql: Db): ListTable => ({ from: sql`latchkey.audit_log a`, id: sql`a.id` })

const conditions = (
  sql: Db,
  { actorUserId, targetId, action, settledBefore }: AuditFilter,
): (Fragment | undefined)[] => [
  actorUserId === undefined ? undefined : sql`a.actor_user_id = ${actorUserId}`,
  targetId === undefined ? undefined : sql`a.target_id = ${targetId}`,
  action === undefined ? undefined : sql`a.action = ${action}`,
  settledBefore === undefined ? undefined : sql`a.id < ${settledBefore}`,
]

const select = (sql: Db) => sql`
  select a.id, a.action, a.actor_user_id, u.username as actor_username, a.actor_client_id, a.target_type, a.target_id,
    host(a.ip) as ip
  from latchkey.audit_log a left join latchkey.users u on u.id = a.actor_user_id`

/** A page of what admins did, and one row more when there are more. */
export const listAuditEntries = (sql: Db, filter: AuditFilter, page: PageBounds) => sql<AuditRow[]>`
  ${select(sql)} ${where(sql, [...conditions(sql, filter), ...bounds(sql, entries(sql), page)])} ${window(sql, entries(sql), page)}`

/** How many there are. */
export const countAuditEntries = (sql: Db, filter: AuditFilter, how: Counting) =>
  counted(sql, sql`latchkey.audit_log a`, conditions(sql, filter), how)

/** One of them. */
export const findAuditEntry = (sql: Db, id: string) => sql<AuditRow[]>`${select(sql)} where a.id = ${id}`

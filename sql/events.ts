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

/** Something that an admin did, or that happened to an account. */
export interface EventRow {
  id: string
  source: 'admin' | 'account'
  kind: string
  actor: 'self' | 'admin' | 'system'
  actor_user_id: string | null
  actor_client_id: string | null
  target_type: string | null
  target_id: string | null
  ip: string | null
  user_agent: string | null
  details: Record<string, string>
}

/** Which events; what is undefined does not matter. */
export interface EventFilter {
  source: EventRow['source'] | undefined
  kind: string | undefined
  /** About this account. */
  userId: string | undefined
  /** An id; events from there on may still be written beside earlier ones. */
  settledBefore: string | undefined
}

/** Both logs as one: ids hold the time, so that the database merges them in their order. */
const both = (sql: Db): Fragment => sql`(
  select id, 'admin' as source, action as kind, 'admin' as actor, actor_user_id, actor_client_id, target_type, target_id,
    host(ip) as ip, null::text as user_agent, '{}'::jsonb as details
  from latchkey.audit_log
  union all
  select id, 'account', kind, actor, null, null, 'user', user_id, host(ip), user_agent, details
  from latchkey.security_events) e`

const events = (sql: Db): ListTable => ({ from: both(sql), id: sql`e.id` })

const conditions = (
  sql: Db,
  { source, kind, userId, settledBefore }: EventFilter,
): (Fragment | undefined)[] => [
  source === undefined ? undefined : sql`e.source = ${source}`,
  kind === undefined ? undefined : sql`e.kind = ${kind}`,
  userId === undefined ? undefined : sql`e.target_type = 'user' and e.target_id = ${userId}`,
  settledBefore === undefined ? undefined : sql`e.id < ${settledBefore}`,
]

/** A page of the events, and one row more when there are more. */
export const listEvents = (sql: Db, filter: EventFilter, page: PageBounds) => sql<EventRow[]>`
  select e.* from ${both(sql)}
  ${where(sql, [...conditions(sql, filter), ...bounds(sql, events(sql), page)])} ${window(sql, events(sql), page)}`

/** How many there are. */
export const countEvents = (sql: Db, filter: EventFilter, how: Counting) =>
  counted(sql, both(sql), conditions(sql, filter), how)

/** One of them. */
export const findEvent = (sql: Db, id: string) => sql<EventRow[]>`
  select e.* from ${both(sql)} where e.id = ${id}`

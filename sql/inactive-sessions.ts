import type { Db } from './connect.ts'

/** A session that ended because nobody used it. */
export interface InactiveSessionRow {
  id: string
  user_id: string
  /** Browsers have none. */
  device_id: string | null
}

/**
 * Ends the sessions of a kind that nobody used since `before`, at most `limit`, in the order of their ids after `after`.
 * Of apps only those that registered themselves, and a person stands behind: what the operator configured, and clients
 * that act for themselves, may rest for as long as they like (reference operations 5.2).
 */
export const finishInactiveSessions = (
  sql: Db,
  kind: 'browser' | 'oauth' | 'compat',
  idle: { after: string; before: Date; limit: number; now: Date },
) => {
  const table = sql(`latchkey.${kind}_sessions`)
  const isIdle = sql`s.finished_at is null and coalesce(s.last_active_at, s.created_at) < ${idle.before}`
  const registered =
    kind === 'oauth'
      ? sql`and s.user_id is not null and exists (
          select from latchkey.clients c where c.id = s.client_id and not c.is_static)`
      : sql``
  return sql<InactiveSessionRow[]>`
    update ${table} s set finished_at = ${idle.now}
    where ${isIdle} and s.id in (
      select s.id from ${table} s where s.id > ${idle.after} and ${isIdle} ${registered}
      order by s.id limit ${idle.limit})
    returning s.id, s.user_id, ${kind === 'browser' ? sql`null as device_id` : sql`s.device_id`}`
}

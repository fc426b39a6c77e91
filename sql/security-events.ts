import type { Db, Json } from './connect.ts'

/** Something that happened to an account. */
export interface SecurityEventRow {
  id: string
  kind: string
  at: Date
  actor: 'self' | 'admin' | 'system'
  ip: string | null
  user_agent: string | null
  details: Record<string, string>
}

/** Adds an event. */
export const insertSecurityEvent = (
  sql: Db,
  event: {
    id: string
    userId: string
    kind: string
    at: Date
    actor: SecurityEventRow['actor']
    ip: string | null
    userAgent: string | null
    details: Json
  },
) => sql`
  insert into latchkey.security_events (id, user_id, kind, at, actor, ip, user_agent, details)
  values (${event.id}, ${event.userId}, ${event.kind}, ${event.at}, ${event.actor}, ${event.ip},
    ${event.userAgent}, ${sql.json(event.details)})`

/** Events of a user, newest first; `before` is the id of the last one of the page before. */
export const listSecurityEvents = (sql: Db, userId: string, before: string | null, limit: number) => sql<
  SecurityEventRow[]
>`
  select id, kind, at, actor, host(ip) as ip, user_agent, details from latchkey.security_events
  where user_id = ${userId} and (${before}::uuid is null or id < ${before}::uuid)
  order by id desc limit ${limit}`

/** A row when an event of this kind happened to a user since `since`. */
export const findSecurityEventSince = (sql: Db, userId: string, kind: string, since: Date) => sql<
  { id: string }[]
>`
  select id from latchkey.security_events
  where user_id = ${userId} and kind = ${kind} and at > ${since} limit 1`

/** Who gets mail about an account, in which language, at its main or else its oldest address; null without any. */
export const findMailRecipient = (sql: Db, userId: string) => sql<
  { username: string; email: string | null; locale: string | null; time_zone: string | null }[]
>`
  select u.username, e.email, u.locale, u.time_zone
  from latchkey.users u left join latchkey.user_emails e on e.user_id = u.id
  where u.id = ${userId} order by e.is_primary desc, e.id limit 1`

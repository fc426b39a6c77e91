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

/** A personal session as admins see it. */
export interface AdminPersonalSessionRow {
  id: string
  owner_user_id: string | null
  owner_client_id: string | null
  user_id: string
  human_name: string
  scope: string[]
  created_at: Date
  finished_at: Date | null
  last_active_at: Date | null
  last_active_ip: string | null
  /** Of its active token. */
  expires_at: Date | null
}

/** Which sessions; what is undefined does not matter. */
export interface PersonalSessionFilter {
  ownerUserId: string | undefined
  ownerClientId: string | undefined
  actorUserId: string | undefined
  /** All of these. */
  scopes: string[] | undefined
  status: 'active' | 'revoked' | undefined
  expiresBefore: Date | undefined
  expiresAfter: Date | undefined
  expires: boolean | undefined
}

const sessions = (sql: Db): ListTable => ({ from: sql`latchkey.personal_sessions s`, id: sql`s.id` })

const select = (sql: Db) => sql`
  select s.id, s.owner_user_id, s.owner_client_id, s.user_id, s.human_name, s.scope, s.created_at, s.finished_at,
    s.last_active_at, host(s.last_active_ip) as last_active_ip, t.expires_at
  from latchkey.personal_sessions s
    left join latchkey.personal_tokens t on t.session_id = s.id and t.revoked_at is null`

function conditions(sql: Db, filter: PersonalSessionFilter): (Fragment | undefined)[] {
  const { ownerUserId, ownerClientId, actorUserId, scopes, status, expiresBefore, expiresAfter, expires } =
    filter
  return [
    ownerUserId === undefined ? undefined : sql`s.owner_user_id = ${ownerUserId}`,
    ownerClientId === undefined ? undefined : sql`s.owner_client_id = ${ownerClientId}`,
    actorUserId === undefined ? undefined : sql`s.user_id = ${actorUserId}`,
    scopes === undefined ? undefined : sql`s.scope @> ${scopes}::text[]`,
    status === 'active' ? sql`s.finished_at is null` : undefined,
    status === 'revoked' ? sql`s.finished_at is not null` : undefined,
    expiresBefore === undefined ? undefined : sql`t.expires_at < ${expiresBefore}`,
    expiresAfter === undefined ? undefined : sql`t.expires_at > ${expiresAfter}`,
    expires === undefined ? undefined : sql`(t.expires_at is not null) = ${expires}`,
  ]
}

/** A page of the personal sessions, and one row more when there are more. */
export const listAdminPersonalSessions = (sql: Db, filter: PersonalSessionFilter, page: PageBounds) => sql<
  AdminPersonalSessionRow[]
>`
  ${select(sql)} ${where(sql, [...conditions(sql, filter), ...bounds(sql, sessions(sql), page)])}
  ${window(sql, sessions(sql), page)}`

/** How many there are. */
export const countPersonalSessions = (sql: Db, filter: PersonalSessionFilter, how: Counting) =>
  counted(
    sql,
    sql`latchkey.personal_sessions s
      left join latchkey.personal_tokens t on t.session_id = s.id and t.revoked_at is null`,
    conditions(sql, filter),
    how,
  )

/** One of them. */
export const findAdminPersonalSession = (sql: Db, id: string) => sql<AdminPersonalSessionRow[]>`
  ${select(sql)} where s.id = ${id}`

import type { ClientMetadata } from './clients.ts'
import type { Db } from './connect.ts'
import { bounds, containing, type Fragment, type ListTable, type PageBounds, where, window } from './page.ts'

/** A client as admins see it. */
export interface AdminClientRow {
  id: string
  is_static: boolean
  auth_method: string
  redirect_uris: string[]
  grant_types: string[]
  metadata: ClientMetadata
  created_at: Date
}

/** Which clients; what is undefined does not matter. */
export interface ClientFilter {
  isStatic: boolean | undefined
  /** Part of it, in any case. */
  name: string | undefined
  uri: string | undefined
  grantType: string | undefined
  hasActiveSessions: boolean | undefined
}

const clients = (sql: Db): ListTable => ({ from: sql`latchkey.clients c`, id: sql`c.id` })

const columns = (sql: Db) =>
  sql`c.id, c.is_static, c.auth_method, c.redirect_uris, c.grant_types, c.metadata, c.created_at`

function conditions(sql: Db, filter: ClientFilter): (Fragment | undefined)[] {
  const { isStatic, name, uri, grantType, hasActiveSessions } = filter
  return [
    isStatic === undefined ? undefined : sql`c.is_static = ${isStatic}`,
    name === undefined ? undefined : sql`lower(c.metadata->>'client_name') like lower(${containing(name)})`,
    uri === undefined ? undefined : sql`lower(c.metadata->>'client_uri') like lower(${containing(uri)})`,
    grantType === undefined ? undefined : sql`${grantType} = any (c.grant_types)`,
    hasActiveSessions === undefined
      ? undefined
      : sql`exists (select from latchkey.oauth_sessions s
          where s.client_id = c.id and s.finished_at is null) = ${hasActiveSessions}`,
  ]
}

/** A page of the clients, and one row more when there are more. */
export const listClients = (sql: Db, filter: ClientFilter, page: PageBounds) => sql<AdminClientRow[]>`
  select ${columns(sql)} from latchkey.clients c
  ${where(sql, [...conditions(sql, filter), ...bounds(sql, clients(sql), page)])} ${window(sql, clients(sql), page)}`

/** How many there are. */
export const countClients = (sql: Db, filter: ClientFilter) => sql<{ count: number }[]>`
  select count(*)::int as count from latchkey.clients c ${where(sql, conditions(sql, filter))}`

/** One of them. */
export const findAdminClient = (sql: Db, id: string) => sql<AdminClientRow[]>`
  select ${columns(sql)} from latchkey.clients c where c.id = ${id}`

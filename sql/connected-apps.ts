import type { ClientMetadata } from './clients.ts'
import type { Db } from './connect.ts'

/** A client that has an account in its hands: with sessions, or with an answer that is remembered. */
export interface ConnectedAppRow {
  client_id: string
  client_metadata: ClientMetadata
  redirect_uris: string[]
  /** What its active sessions may do, or what was agreed to when it has none. */
  scope: string[]
  sessions: number
  /** The first active session or agreement. */
  since: Date
  last_active_at: Date | null
}

function connectedApps(sql: Db, userId: string, clientId: string | null) {
  const only = clientId === null ? sql`` : sql`and client_id = ${clientId}`
  return sql`
    select c.id as client_id, c.metadata as client_metadata, c.redirect_uris, a.sessions, a.since, a.last_active_at,
      array(select distinct part from unnest(string_to_array(a.scopes, ' ')) part where part <> '' order by part) as scope
    from (
      select client_id, count(id)::int as sessions, min(created_at) as since, max(last_active_at) as last_active_at,
        coalesce(string_agg(scope, ' ') filter (where id is not null), string_agg(scope, ' ')) as scopes
      from (
        select client_id, id, created_at, last_active_at, array_to_string(scope, ' ') as scope
        from latchkey.oauth_sessions where user_id = ${userId} and finished_at is null ${only}
        union all
        select client_id, null, created_at, null, scope from latchkey.consents where user_id = ${userId} ${only}
      ) held
      group by client_id
    ) a join latchkey.clients c on c.id = a.client_id`
}

/** The clients that a user let in, the one used last first, at most `limit` from `offset` on. */
export const listConnectedApps = (sql: Db, userId: string, limit: number, offset: number) => sql<
  ConnectedAppRow[]
>`
  ${connectedApps(sql, userId, null)} order by a.last_active_at desc nulls last, c.id limit ${limit} offset ${offset}`

/** One client that a user let in; no row when it has nothing of theirs. */
export const findConnectedApp = (sql: Db, userId: string, clientId: string) => sql<ConnectedAppRow[]>`
  ${connectedApps(sql, userId, clientId)}`

/** The client behind an active session of a user, and what the session may do. */
export const findClientOfSession = (sql: Db, id: string, userId: string) => sql<
  {
    client_id: string
    client_metadata: ClientMetadata
    redirect_uris: string[]
    scope: string[]
    browser_session_id: string | null
  }[]
>`
  select c.id as client_id, c.metadata as client_metadata, c.redirect_uris, s.scope, s.browser_session_id
  from latchkey.oauth_sessions s join latchkey.clients c on c.id = s.client_id
  where s.id = ${id} and s.user_id = ${userId} and s.finished_at is null`

import type { ClientRow } from './clients.ts'
import type { Db } from './connect.ts'

/** A client of the configuration as stored, with how much hangs on it. */
export interface StaticClientRow extends Omit<ClientRow, 'is_static' | 'created_at' | 'first_granted_at'> {
  /** Sign-ins that are active. */
  sessions: number
  /** Personal tokens that it made and that work. */
  personal_tokens: number
  /** People who agreed to something. */
  consents: number
}

/** One configuration is written at a time, until the end of the transaction. */
export const lockStaticClients = (sql: Db) => sql`select pg_advisory_xact_lock(7091602)`

/** Every client that is there because a configuration said so, oldest first. */
export const listStaticClients = (sql: Db) => sql<StaticClientRow[]>`
  select c.id, c.auth_method, c.sealed_secret, c.redirect_uris, c.grant_types, c.metadata,
    (select count(*)::int from latchkey.oauth_sessions s where s.client_id = c.id and s.finished_at is null)
      as sessions,
    (select count(*)::int from latchkey.personal_sessions p
      where p.owner_client_id = c.id and p.finished_at is null) as personal_tokens,
    (select count(*)::int from latchkey.consents o where o.client_id = c.id) as consents
  from latchkey.clients c where c.is_static and not c.by_api order by c.id`

/** The ids and names of clients that a configuration brought and that are none of these. */
export const listStaticClientsBesides = (sql: Db, ids: string[]) => sql<
  { id: string; name: string | null }[]
>`
  select c.id, c.metadata->>'client_name' as name from latchkey.clients c
  where c.is_static and not c.by_api and c.id <> all (${ids}::uuid[]) order by c.id`

/** Whose devices go when these clients do. */
export const listPeopleOfClients = (sql: Db, ids: string[]) => sql<{ user_id: string }[]>`
  select s.user_id from latchkey.oauth_sessions s
  where s.client_id = any (${ids}::uuid[]) and s.finished_at is null and s.device_id is not null
    and s.user_id is not null
  union
  select p.user_id from latchkey.personal_sessions p
  where p.owner_client_id = any (${ids}::uuid[]) and p.finished_at is null and p.device_id is not null`

/** Deletes clients of the configuration with everything that hangs on them. */
export const deleteStaticClients = (sql: Db, ids: string[]) => sql<{ id: string }[]>`
  delete from latchkey.clients c where c.is_static and not c.by_api and c.id = any (${ids}::uuid[]) returning c.id`

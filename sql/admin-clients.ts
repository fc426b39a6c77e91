import type { ClientMetadata } from './clients.ts'
import type { Db, Json } from './connect.ts'
import {
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

/** A client as admins see it. */
export interface AdminClientRow {
  id: string
  is_static: boolean
  auth_method: string
  redirect_uris: string[]
  grant_types: string[]
  metadata: ClientMetadata
  created_at: Date
  /** Made by the admin API. */
  by_api: boolean
  has_secret: boolean
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
  sql`c.id, c.is_static, c.auth_method, c.redirect_uris, c.grant_types, c.metadata, c.created_at, c.by_api,
    c.sealed_secret is not null as has_secret`

function conditions(sql: Db, filter: ClientFilter): (Fragment | undefined)[] {
  const { isStatic, name, uri, grantType, hasActiveSessions } = filter
  return [
    isStatic === undefined ? undefined : sql`c.is_static = ${isStatic}`,
    name === undefined ? undefined : sql`lower(c.metadata->>'client_name') like lower(${containing(name)})`,
    uri === undefined ? undefined : sql`lower(c.metadata->>'client_uri') like lower(${containing(uri)})`,
    grantType === undefined ? undefined : sql`${grantType} = any (c.grant_types)`,
    hasActiveSessions === undefined
      ? undefined
      : // As a join: compared with a boolean it may become a hash of every session there is.
        sql`${hasActiveSessions ? sql`` : sql`not`} exists (select from latchkey.oauth_sessions s
          where s.client_id = c.id and s.finished_at is null)`,
  ]
}

/** A page of the clients, and one row more when there are more. */
export const listClients = (sql: Db, filter: ClientFilter, page: PageBounds) => sql<AdminClientRow[]>`
  select ${columns(sql)} from latchkey.clients c
  ${where(sql, [...conditions(sql, filter), ...bounds(sql, clients(sql), page)])} ${window(sql, clients(sql), page)}`

/** How many there are. */
export const countClients = (sql: Db, filter: ClientFilter, how: Counting) =>
  counted(
    sql,
    sql`latchkey.clients c`,
    conditions(sql, filter),
    how,
    filter.hasActiveSessions === undefined ? undefined : COUNTED_SLOWLY,
  )

/** One of them. */
export const findAdminClient = (sql: Db, id: string) => sql<AdminClientRow[]>`
  select ${columns(sql)} from latchkey.clients c where c.id = ${id}`

interface OperatorClient {
  id: string
  authMethod: string
  redirectUris: string[]
  grantTypes: string[]
  metadata: ClientMetadata
}

/** Adds a client that an admin makes. */
export const insertOperatorClient = (
  sql: Db,
  client: OperatorClient & { sealedSecret: string | null; now: Date },
) => sql`
  insert into latchkey.clients
    (id, is_static, by_api, auth_method, sealed_secret, redirect_uris, grant_types, metadata, created_at)
  values (${client.id}, true, true, ${client.authMethod}, ${client.sealedSecret}, ${client.redirectUris},
    ${client.grantTypes}, ${sql.json(client.metadata as Json)}, ${client.now})`

/**
 * Changes a client that an admin made; no row for any other one. Its secret stays if it needs one; `sealedSecret` is for
 * one that has none.
 */
export const updateOperatorClient = (
  sql: Db,
  client: OperatorClient,
  needsSecret: boolean,
  sealedSecret: string | null,
) => sql<{ id: string }[]>`
  update latchkey.clients set auth_method = ${client.authMethod}, redirect_uris = ${client.redirectUris},
    grant_types = ${client.grantTypes}, metadata = ${sql.json(client.metadata as Json)},
    sealed_secret = case when ${needsSecret} then coalesce(sealed_secret, ${sealedSecret}) end
  where id = ${client.id} and by_api
  returning id`

/** Replaces the secret of a client that an admin made; no row for any other one, or one without a secret. */
export const updateOperatorSecret = (sql: Db, id: string, sealedSecret: string) => sql<{ id: string }[]>`
  update latchkey.clients set sealed_secret = ${sealedSecret}
  where id = ${id} and by_api and sealed_secret is not null
  returning id`

/** Deletes a client with all that hangs on it; no row for one of the configuration. */
export const deleteClientOfAny = (sql: Db, id: string) => sql<{ id: string }[]>`
  delete from latchkey.clients where id = ${id} and (by_api or not is_static) returning id`

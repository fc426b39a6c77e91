import type { ClientMetadata, ClientRow } from './clients.ts'
import type { Db } from './connect.ts'

const columns = (
  sql: Db,
) => sql`c.id, c.is_static, c.auth_method, c.sealed_secret, c.redirect_uris, c.grant_types,
  c.metadata, c.created_at, c.first_granted_at`

/**
 * Notes that an identical registration came once more, so that the row is not cleaned up under an app which keeps its
 * id. What it asks for may be served by now although it was not when it first came. At most one write a day for the
 * same: every install of a popular app comes by here. No row when there is none, or it is noted.
 */
export const noteRegistration = (
  sql: Db,
  digest: string,
  grantTypes: string[],
  now: Date,
  dayAgo: Date,
) => sql<ClientRow[]>`
  update latchkey.clients c set last_registered_at = ${now}, grant_types = ${grantTypes}
  where c.metadata_digest = ${digest}
    and (coalesce(c.last_registered_at, c.created_at) < ${dayAgo} or c.grant_types <> ${grantTypes})
  returning ${columns(sql)}`

/** Notes the first completed grant of a client. */
export const markFirstGrant = (sql: Db, id: string, now: Date) => sql`
  update latchkey.clients set first_granted_at = ${now} where id = ${id} and first_granted_at is null`

/** The client that a registration access token manages. */
export const findManagedClient = (sql: Db, id: string, tokenHash: Uint8Array) => sql<ClientRow[]>`
  select ${columns(sql)} from latchkey.clients c
  where c.id = ${id} and c.registration_token_hash = ${tokenHash} and not c.is_static`

/** Gives a client another registration; no row when it is gone. */
export const replaceRegistration = (
  sql: Db,
  client: {
    id: string
    authMethod: string
    sealedSecret: string | null
    redirectUris: string[]
    grantTypes: string[]
    metadata: ClientMetadata
  },
) => sql<ClientRow[]>`
  update latchkey.clients c
  set auth_method = ${client.authMethod}, sealed_secret = ${client.sealedSecret},
    redirect_uris = ${client.redirectUris}, grant_types = ${client.grantTypes},
    metadata = ${sql.json(client.metadata as never)}
  where c.id = ${client.id}
  returning ${columns(sql)}`

/** The people who have a device of a client: the homeserver must hear of its end. */
export const listDeviceUsers = (sql: Db, clientId: string) => sql<{ user_id: string }[]>`
  select user_id from latchkey.oauth_sessions
  where client_id = ${clientId} and user_id is not null and device_id is not null and finished_at is null
  union
  select user_id from latchkey.personal_sessions
  where owner_client_id = ${clientId} and device_id is not null and finished_at is null`

/** Deletes a registered client with its sessions, tokens, requests and consents. */
export const deleteClient = (sql: Db, id: string) => sql<{ id: string }[]>`
  delete from latchkey.clients where id = ${id} and not is_static returning id`

/**
 * Deletes registered clients that completed no grant and were last registered before `before`, at most `limit`; those
 * that somebody is on the way to since `recently` stay (decision 13). The row is looked at again once it is ours: it may
 * have been registered once more meanwhile.
 */
export const deleteUnusedClients = (sql: Db, before: Date, recently: Date, limit: number) => sql<
  { id: string }[]
>`
  delete from latchkey.clients c
  where c.id in (
    select u.id from latchkey.clients u
    where not u.is_static and u.first_granted_at is null
      and coalesce(u.last_registered_at, u.created_at) < ${before}
      and not exists (select from latchkey.oauth_sessions s where s.client_id = u.id)
      and not exists (
        select from latchkey.authorization_grants g where g.client_id = u.id and g.created_at > ${recently})
      and not exists (
        select from latchkey.device_grants g where g.client_id = u.id and g.created_at > ${recently})
    limit ${limit})
    and c.first_granted_at is null and coalesce(c.last_registered_at, c.created_at) < ${before}
  returning c.id`

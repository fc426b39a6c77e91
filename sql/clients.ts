import type { Db, Json } from './connect.ts'

/** A client as stored. `metadata` is what it registered, with localised members. */
export interface ClientRow {
  id: string
  is_static: boolean
  auth_method: string
  sealed_secret: string | null
  redirect_uris: string[]
  grant_types: string[]
  metadata: ClientMetadata
  created_at: Date
  /** Its first completed grant, if it ever had one. */
  first_granted_at: Date | null
}

/** The registered members that the code reads by name (RFC 7591 section 2); the rest is kept and echoed. */
export interface ClientMetadata {
  client_name?: string
  client_uri?: string
  logo_uri?: string
  policy_uri?: string
  tos_uri?: string
  application_type?: string
  scope?: string
  id_token_signed_response_alg?: string
  userinfo_signed_response_alg?: string
  backchannel_logout_uri?: string
  post_logout_redirect_uris?: string[]
  [member: string]: unknown
}

const columns = (sql: Db) =>
  sql`c.id, c.is_static, c.auth_method, c.sealed_secret, c.redirect_uris, c.grant_types, c.metadata, c.created_at,
  c.first_granted_at`

/** The client of an id. */
export const findClient = (sql: Db, id: string) => sql<ClientRow[]>`
  select ${columns(sql)} from latchkey.clients c where c.id = ${id}`

/** The client of an identical registration. */
export const findClientByDigest = (sql: Db, digest: string) => sql<ClientRow[]>`
  select ${columns(sql)} from latchkey.clients c where c.metadata_digest = ${digest}`

interface NewClient {
  id: string
  authMethod: string
  sealedSecret: string | null
  redirectUris: string[]
  grantTypes: string[]
  metadata: ClientMetadata
  now: Date
}

/**
 * Adds a registered client; no row when an identical registration (its `digest`, if it has one) came first. A client of
 * its own has `registrationTokenHash`, the SHA-256 of its registration access token.
 */
export const insertClient = (
  sql: Db,
  client: NewClient & { digest: string | null; registrationTokenHash: Uint8Array | null },
) => sql<ClientRow[]>`
  insert into latchkey.clients as c
    (id, metadata_digest, registration_token_hash, auth_method, sealed_secret, redirect_uris, grant_types, metadata,
    created_at)
  values (${client.id}, ${client.digest}, ${client.registrationTokenHash}, ${client.authMethod},
    ${client.sealedSecret}, ${client.redirectUris}, ${client.grantTypes}, ${sql.json(client.metadata as Json)},
    ${client.now})
  on conflict (metadata_digest) do nothing
  returning ${columns(sql)}`

/** Adds or replaces a client of the configuration. */
export const upsertStaticClient = (sql: Db, client: NewClient) => sql`
  insert into latchkey.clients
    (id, is_static, auth_method, sealed_secret, redirect_uris, grant_types, metadata, created_at)
  values (${client.id}, true, ${client.authMethod}, ${client.sealedSecret}, ${client.redirectUris},
    ${client.grantTypes}, ${sql.json(client.metadata as Json)}, ${client.now})
  on conflict (id) do update set is_static = true, by_api = false, auth_method = excluded.auth_method,
    sealed_secret = excluded.sealed_secret, redirect_uris = excluded.redirect_uris,
    grant_types = excluded.grant_types, metadata = excluded.metadata, metadata_digest = null`

import type { Db } from './connect.ts'

/** A provider as stored, with how much hangs on it. */
export interface StoredProviderRow {
  id: string
  issuer: string | null
  human_name: string | null
  brand_name: string | null
  registration_token_required: boolean
  disabled_at: Date | null
  /** The admin API made it. */
  by_api: boolean
  /** Accounts that people sign in to with it. */
  links: number
}

/** Every provider that a configuration ever had, and those that the admin API made, oldest first. */
export const listStoredProviders = (sql: Db) => sql<StoredProviderRow[]>`
  select p.id, p.issuer, p.human_name, p.brand_name, p.registration_token_required, p.disabled_at, p.by_api,
    (select count(*)::int from latchkey.upstream_links l where l.provider_id = p.id) as links
  from latchkey.upstream_providers p order by p.id`

/** Deletes providers of a configuration with the links of people to them, and the sign-ins under way. */
export const deleteProviders = (sql: Db, ids: string[]) => sql<{ id: string }[]>`
  delete from latchkey.upstream_providers where not by_api and id = any (${ids}::uuid[]) returning id`

import type { Db } from './connect.ts'

/** A provider as lists show it; what else there is about one of the configuration stands there. */
export interface UpstreamProviderRow {
  id: string
  issuer: string | null
  human_name: string | null
  brand_name: string | null
  registration_token_required: boolean
  created_at: Date
  disabled_at: Date | null
  /** The admin API made it, and no configuration names it. */
  by_api: boolean
  /** What was said of it there, without its secrets; null for those of a configuration. */
  settings: Record<string, unknown> | null
  has_secret: boolean
}

/** Adds a provider of the configuration, or brings its row up to date and back. */
export const upsertUpstreamProvider = (
  sql: Db,
  provider: {
    id: string
    issuer: string | null
    humanName: string | null
    brandName: string | null
    registrationTokenRequired: boolean
    now: Date
  },
) => sql`
  insert into latchkey.upstream_providers
    (id, issuer, human_name, brand_name, registration_token_required, created_at)
  values (${provider.id}, ${provider.issuer}, ${provider.humanName}, ${provider.brandName},
    ${provider.registrationTokenRequired}, ${provider.now})
  on conflict (id) do update set issuer = excluded.issuer, human_name = excluded.human_name,
    brand_name = excluded.brand_name, registration_token_required = excluded.registration_token_required,
    disabled_at = null, by_api = false, settings = null, sealed_secrets = null, revision = null`

/** Marks every other provider of a configuration as gone. */
export const disableOtherProviders = (sql: Db, kept: string[], now: Date) => sql<{ id: string }[]>`
  update latchkey.upstream_providers set disabled_at = ${now}
  where disabled_at is null and not by_api and not (id = any(${kept}::uuid[]))
  returning id`

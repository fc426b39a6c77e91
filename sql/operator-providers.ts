import type { Db, Json } from './connect.ts'

/** A provider that the admin API made, as it is read by every process. */
export interface OperatorProviderRow {
  id: string
  settings: Record<string, unknown>
  sealed_secrets: string | null
  /** Another one after each change of the settings. */
  revision: string
  disabled_at: Date | null
}

/** What a row says of a provider, for lists, beside its settings. */
export interface ProviderSettings {
  id: string
  issuer: string | null
  humanName: string | null
  brandName: string | null
  registrationTokenRequired: boolean
  settings: Json
  sealedSecrets: string | null
  revision: string
}

/** Every provider that the admin API made, oldest first. */
export const listOperatorProviders = (sql: Db) => sql<OperatorProviderRow[]>`
  select id, settings, sealed_secrets, revision, disabled_at from latchkey.upstream_providers
  where by_api order by id`

/** Makes a provider; no row when there is one of this id, whoever's it is. */
export const insertOperatorProvider = (
  sql: Db,
  provider: ProviderSettings & { now: Date; disabledAt: Date | null },
) => sql<{ id: string }[]>`
  insert into latchkey.upstream_providers
    (id, issuer, human_name, brand_name, registration_token_required, created_at, disabled_at, by_api, settings,
     sealed_secrets, revision)
  values (${provider.id}, ${provider.issuer}, ${provider.humanName}, ${provider.brandName},
    ${provider.registrationTokenRequired}, ${provider.now}, ${provider.disabledAt}, true,
    ${sql.json(provider.settings)}, ${provider.sealedSecrets}, ${provider.revision})
  on conflict (id) do nothing returning id`

/** Gives such a provider other settings, if nobody changed them since `seen`; no row when somebody did. */
export const updateOperatorProvider = (sql: Db, provider: ProviderSettings, seen: string) => sql<
  { id: string }[]
>`
  update latchkey.upstream_providers
  set issuer = ${provider.issuer}, human_name = ${provider.humanName}, brand_name = ${provider.brandName},
    registration_token_required = ${provider.registrationTokenRequired},
    settings = ${sql.json(provider.settings)}, sealed_secrets = ${provider.sealedSecrets},
    revision = ${provider.revision}
  where id = ${provider.id} and by_api and revision = ${seen} returning id`

/** Offers such a provider (null), or takes it away from `disabledAt` on; its links stay. */
export const switchOperatorProvider = (sql: Db, id: string, disabledAt: Date | null) => sql<{ id: string }[]>`
  update latchkey.upstream_providers
  set disabled_at = case when ${disabledAt}::timestamptz is null then null
    else coalesce(disabled_at, ${disabledAt}) end
  where id = ${id} and by_api returning id`

/** Deletes such a provider with the links to it and the ways that are under way. */
export const deleteOperatorProvider = (sql: Db, id: string) => sql<{ id: string }[]>`
  delete from latchkey.upstream_providers where id = ${id} and by_api returning id`

/** Keeps a provider and who is linked to it as they are until the end of the transaction. */
export const lockProvider = (sql: Db, id: string) => sql<{ id: string }[]>`
  select id from latchkey.upstream_providers where id = ${id} and by_api for update`

/** How many accounts a provider leads to, and how many of these have neither a password nor another provider that is offered. */
export const countProviderAccounts = (sql: Db, id: string) => sql<{ accounts: number; stranded: number }[]>`
  select count(*)::int as accounts, count(*) filter (
    where not exists (select from latchkey.user_passwords p where p.user_id = l.user_id)
      and not exists (select from latchkey.upstream_links o join latchkey.upstream_providers p on p.id = o.provider_id
        where o.user_id = l.user_id and o.provider_id <> l.provider_id and p.disabled_at is null))::int as stranded
  from latchkey.upstream_links l where l.provider_id = ${id} and l.user_id is not null`

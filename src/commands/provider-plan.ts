import type { Db } from '../../sql/connect.ts'
import { deleteProviders, listStoredProviders, type StoredProviderRow } from '../../sql/provider-plan.ts'
import type { Deps } from '../deps.ts'
import type { Provider } from '../identity/providers.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'

/** A provider in a plan. */
export interface PlannedProvider {
  provider_id: string
  human_name: string | null
}

/** What the configuration would change about providers. */
export interface ProviderPlan {
  added: PlannedProvider[]
  /** With the names of what differs; `enabled` for one that comes back, `origin` for one that the admin API made. */
  changed: (PlannedProvider & { fields: string[] })[]
  unchanged: number
  /** In the database and not in the configuration, with the accounts that are linked. */
  left: (PlannedProvider & { links: number })[]
}

/** Compares the providers of the configuration with the database, and changes nothing. */
export async function planProviders(
  { providers, sql }: Pick<Deps, 'providers' | 'sql'>,
  db: Db = sql,
): Promise<ProviderPlan> {
  const rows = new Map((await listStoredProviders(db)).map((row) => [ulidFromUuid(row.id), row]))
  const plan: ProviderPlan = { added: [], changed: [], unchanged: 0, left: [] }
  for (const provider of providers.configured.filter(({ enabled }) => enabled)) {
    const row = rows.get(provider.id)
    rows.delete(provider.id)
    const planned = { provider_id: provider.id, human_name: provider.human_name ?? null }
    const fields = row === undefined ? [] : differences(provider, row)
    if (row === undefined) plan.added.push(planned)
    else if (fields.length > 0) plan.changed.push({ ...planned, fields })
    else plan.unchanged++
  }
  for (const [id, { human_name, links, by_api }] of rows)
    if (!by_api) plan.left.push({ provider_id: id, human_name, links })
  return plan
}

/** What is stored of a provider; everything else is read from the configuration. */
function differences(provider: Provider, row: StoredProviderRow): string[] {
  const pairs: [string, unknown, unknown][] = [
    ['issuer', provider.issuer ?? null, row.issuer],
    ['human_name', provider.human_name ?? null, row.human_name],
    ['brand_name', provider.brand_name ?? null, row.brand_name],
    ['registration_token_required', provider.registration_token_required, row.registration_token_required],
    ['origin', 'configuration', row.by_api ? 'api' : 'configuration'],
    ['enabled', true, row.disabled_at === null],
  ]
  return pairs.filter(([, wanted, stored]) => wanted !== stored).map(([name]) => name)
}

/** Deletes the providers of a plan that left the configuration, with the links of people to them. */
export async function pruneProviders({ log }: Pick<Deps, 'log'>, tx: Db, plan: ProviderPlan): Promise<void> {
  if (plan.left.length === 0) return
  const ids = plan.left.map(({ provider_id }) => provider_id)
  await deleteProviders(
    tx,
    ids.flatMap((id) => uuidFromUlid(id) ?? []),
  )
  log.info('upstream.providers_pruned', { provider_ids: ids })
}
